from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.progress import CancelToken
from napari_pea.models.catalogue import list_models, load_model
from napari_pea.models.zoo import import_model, read_package
from napari_pea.models.zoo.importing import default_name


def test_model_files_are_imported(tiny_model_path: Path, folder: Path) -> None:
    info = read_package(tiny_model_path)
    assert (info.kind, info.name, info.needs_consent) == ("model-file", "tiny", False)
    assert info.sha256 == hashlib.sha256(tiny_model_path.read_bytes()).hexdigest()
    path = import_model(tiny_model_path, sha256=f"sha256:{info.sha256}", origin="https://x.org/y")
    assert path == folder / "tiny.pea.safetensors"
    entry = {each.name: each for each in list_models()}["tiny"]
    assert entry.source == "imported"
    assert entry.metadata is not None
    assert entry.metadata.imported_from == "https://x.org/y"
    one, two = load_model(tiny_model_path, "cpu"), load_model("tiny", "cpu")
    torch.testing.assert_close(one.network.state_dict(), two.network.state_dict(), rtol=0, atol=0)


def test_names_that_are_taken_or_none_are_refused(tiny_model_path: Path, folder: Path) -> None:
    import_model(tiny_model_path)
    with pytest.raises(InputError, match="a model 'tiny' already"):
        import_model(tiny_model_path, name="tiny")
    with pytest.raises(InputError, match="cannot be called"):
        import_model(tiny_model_path, name="../x")
    assert import_model(tiny_model_path, name="other").name == "other.pea.safetensors"


def test_a_model_whose_own_name_is_taken_gets_a_number(tiny_model_path: Path, folder: Path) -> None:
    paths = [import_model(tiny_model_path) for _ in range(2)]
    assert [path.name for path in paths] == ["tiny.pea.safetensors", "tiny 2.pea.safetensors"]
    assert load_model("tiny 2", "cpu").name == "tiny 2"


def test_the_name_in_a_file_leads_nowhere(changed: Callable[..., Path], folder: Path) -> None:
    def describe(told: dict[str, Any]) -> None:
        told["config"]["napari_pea"]["name"] = "../../a/b\\c:\n."

    path = import_model(changed(describe=describe))
    assert path == folder / "a b c.pea.safetensors"
    assert default_name(read_package(path)) == "a b c"


def test_another_hash_is_refused(
    tiny_model_path: Path, package: Path, folder: Path, untouched: Callable[[], None]
) -> None:
    for path in (tiny_model_path, package):
        with pytest.raises(InputError, match="another hash than it should have"):
            import_model(path, sha256="0" * 64)
    untouched()


def test_importing_can_be_stopped(package: Path, untouched: Callable[[], None]) -> None:
    token = CancelToken()
    with pytest.raises(Cancelled):
        import_model(package, progress=lambda done, _: token.cancel(), cancel=token)
    untouched()


def flipped(path: Path, target: Path, place: int) -> Path:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x10
    target.write_bytes(data)
    return target


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9, 0.999])
def test_one_wrong_bit_in_the_weights_is_found(
    tiny_model_path: Path, tmp_path: Path, share: float, untouched: Callable[[], None]
) -> None:
    header = int.from_bytes(tiny_model_path.read_bytes()[:8], "little")
    size = tiny_model_path.stat().st_size
    place = 8 + header + int(share * (size - header - 9))
    bad = flipped(tiny_model_path, tmp_path.parent / f"{tmp_path.name}.pea.safetensors", place)
    with pytest.raises(InputError, match=r"is damaged|no numbers"):
        import_model(bad)
    untouched()


def test_what_a_model_says_about_itself_is_checked_too(
    tiny_model_path: Path, tmp_path: Path, folder: Path
) -> None:
    data = tiny_model_path.read_bytes()
    bad = tmp_path / "bad.pea.safetensors"
    bad.write_bytes(data.replace(b'\\"min_size\\":25', b'\\"min_size\\":26'))
    assert bad.read_bytes() != data
    with pytest.raises(InputError, match="another hash than it was written with"):
        import_model(bad)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"widths": [4, 4, 4, 4, 1_000_000]}, "larger than any known"),
        ({"widths": [4096] * 5}, "do not fit"),
        ({"widths": [4] * 5000}, "larger than any known"),
        ({"widths": [4, 4, 4, 4, "x"]}, "cannot be built"),
        ({"widths": [4, 4, 4, 4, -4]}, "cannot be built|do not fit"),
        ({"widths": [[[]]]}, "cannot be built"),
        ({"embedding_dim": 4.5}, "cannot be built"),
    ],
)
def test_networks_of_any_size_take_no_memory(
    tiny_model_path: Path, tmp_path: Path, arguments: dict[str, Any], sentence: str, folder: Path
) -> None:
    told = json.loads(read_package(tiny_model_path).metadata.model_dump_json())
    told["arguments"] = arguments
    bad = tmp_path / "bad.pea.safetensors"
    save_file(load_file(tiny_model_path), bad, metadata={"napari_pea": json.dumps(told)})
    with pytest.raises(InputError, match=sentence):
        import_model(bad)


def test_long_headers_and_deep_descriptions_are_refused(
    tiny_model_path: Path, tmp_path: Path, at_most: Callable[..., Any]
) -> None:
    bad = tmp_path / "bad.pea.safetensors"
    bad.write_bytes((100 << 20).to_bytes(8, "little") + b"{")
    with bad.open("ab") as file:
        file.truncate(101 << 20)
    with at_most(4 << 20), pytest.raises(InputError, match="is damaged"):
        read_package(bad)
    weights = load_file(tiny_model_path)
    for depth in (100, 1_000_000):
        deep = '{"name": ' + "[" * depth + "]" * depth + "}"
        save_file(weights, bad, metadata={"napari_pea": deep})
        with pytest.raises(InputError, match="is damaged"):
            read_package(bad)


def weights_with(**tensors: torch.Tensor) -> bytes:
    stream = io.BytesIO()
    torch.save({f"network.{name}": value for name, value in tensors.items()}, stream)
    return stream.getvalue()


def test_weights_of_another_network_are_refused(changed: Callable[..., Path], folder: Path) -> None:
    data = weights_with(stem=torch.zeros(3))

    def describe(told: dict[str, Any]) -> None:
        entry = told["weights"]["pytorch_state_dict"]
        entry["sha256"] = hashlib.sha256(data).hexdigest()

    with pytest.raises(InputError, match="do not fit its architecture"):
        import_model(changed({"weights.pt": data}, describe))
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_our_packages_run_none_of_their_code(
    changed: Callable[..., Path], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = changed({"architecture.py": b"open('written', 'w')\nraise SystemExit"})
    import_model(path)
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize(
    ("describe", "sentence"),
    [
        (lambda told: told.clear(), "something else than a model"),
        (lambda told: told.update(type="dataset"), "something else than a model"),
        (lambda told: told.update(format_version="0.3.6"), "formats 0.4 and 0.5"),
        (lambda told: told.update(weights=[]), "does not keep to its format"),
        (lambda told: told.update(inputs=3), "does not keep to its format"),
        (lambda told: told.update(config=1), "does not keep to its format"),
        (lambda told: told.update(config=[[1]]), "does not keep to its format"),
        (lambda told: told["weights"].pop("pytorch_state_dict"), "lacks the weights"),
        (lambda told: told["config"]["napari_pea"].update(scale="x"), "is damaged"),
        (lambda told: told["config"].pop("napari_pea"), "tells no offsets"),
        (
            lambda told: told["weights"]["pytorch_state_dict"].update(source="../weights.pt"),
            "does not hold",
        ),
        (
            lambda told: told["weights"]["pytorch_state_dict"].update(source="https://x.org/w"),
            "does not hold",
        ),
    ],
)
def test_descriptions_that_cannot_be_used_get_one_sentence(
    changed: Callable[..., Path],
    describe: Callable[[dict[str, Any]], None],
    sentence: str,
    untouched: Callable[[], None],
) -> None:
    path = changed(describe=describe)
    with pytest.raises(InputError, match=sentence) as caught:
        import_model(path)
    assert "\n" not in str(caught.value)


def test_archives_without_description_are_refused(changed: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="damaged: it is no YAML"):
        read_package(changed({"rdf.yaml": b"a: b: c"}))
