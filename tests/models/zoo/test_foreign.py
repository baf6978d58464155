from __future__ import annotations

import hashlib
import io
import shutil
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray

from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.known import KnownOffsets
from napari_pea.core.predictors import predicts_affinities
from napari_pea.core.progress import CancelToken
from napari_pea.core.segmenter import Segmenter
from napari_pea.models.catalogue import list_models, load_model
from napari_pea.models.shelf import duplicate_model, rename_model
from napari_pea.models.zoo import export_model, import_model, read_package

OFFSETS = [[-1, 0], [0, -1], [-3, 0], [0, -3], [-9, 0], [0, -9]]
OFFSETS_3D = [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [-2, 0, 0], [0, -3, 0], [0, 0, -3]]
#: A network that knows that pixels of one intensity are one object.
CODE = """
from pathlib import Path
import torch

Path("executed").touch()


class Oracle(torch.nn.Module):
    def __init__(self, offsets, apart=False, logits=False):
        super().__init__()
        self.offsets, self.apart, self.logits = offsets, apart, logits
        self.gain = torch.nn.Parameter(torch.tensor(50.0))

    def forward(self, x):
        dims = list(range(2, x.dim()))
        found = [
            torch.exp(-self.gain * (x - torch.roll(x, [-step for step in offset], dims)).abs())
            for offset in self.offsets
        ]
        found = torch.cat(found, 1)
        if self.apart:
            found = torch.cat([(x > 0).float(), 1 - found], 1)
        return torch.logit(found.clamp(1e-4, 1 - 1e-4)) if self.logits else found
"""


def blocks(ndim: int = 2) -> tuple[NDArray[np.uint16], NDArray[np.intp]]:
    """An image of touching blocks of different brightness, and what is what."""
    labels = np.zeros((70, 90) if ndim == 2 else (20, 40, 48), dtype=np.intp)
    spans = [(4, 20), (20, 36), (40, 60)] if ndim == 2 else [(4, 18), (18, 34)]
    for number, (top, left) in enumerate((a, b) for a in spans for b in spans):
        inside = (slice(*top), slice(*left))
        labels[(slice(3, 17), *inside) if ndim == 3 else inside] = number + 1
    levels = np.array([0, *(1000 + 400 * n for n in range(9))], dtype=np.uint16)
    return levels[labels], labels


def oracle(**arguments: Any) -> Any:
    scope: dict[str, Any] = {}
    exec(CODE.replace('Path("executed").touch()', ""), scope)  # noqa: S102 - it stands above
    return scope["Oracle"](**arguments)


def scripted(network: Any, shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(network, torch.rand(shape)), stream)
    return stream.getvalue()


def packed(path: Path, told: dict[str, Any], **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("rdf.yaml", yaml.safe_dump(told))
        for name, data in files.items():
            package.writestr(name.replace("__", "."), data)
    return path


def saved_array(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def with_code(path: Path, *, config: dict[str, Any] | None = None, **arguments: Any) -> Path:
    """A package of format 0.4 with the code of its network, as torch-em writes them."""
    network = oracle(offsets=OFFSETS, **arguments)
    stream = io.BytesIO()
    torch.save(network.state_dict(), stream)
    image, _ = blocks()
    told = {
        "format_version": "0.4.9",
        "type": "model",
        "name": "Oracle / 0.4",
        "description": "Blocks.",
        "license": "CC-BY-4.0",
        "authors": [{"name": "Somebody"}],
        "inputs": [
            {
                "name": "input",
                "axes": "bcyx",
                "shape": {"min": [1, 1, 32, 32], "step": [0, 0, 16, 16]},
                "preprocessing": [
                    {
                        "name": "zero_mean_unit_variance",
                        "kwargs": {"axes": "cyx", "mode": "per_sample"},
                    }
                ],
            }
        ],
        "outputs": [{"name": "output", "axes": "bcyx", "halo": [0, 0, 8, 8]}],
        "test_inputs": ["test_input.npy"],
        "weights": {
            "pytorch_state_dict": {
                "source": "weights.pt",
                "sha256": hashlib.sha256(stream.getvalue()).hexdigest(),
                "architecture": "network.py:Oracle",
                "architecture_sha256": hashlib.sha256(CODE.encode()).hexdigest(),
                "kwargs": {"offsets": OFFSETS, **arguments},
            }
        },
        "config": {"mws": {"offsets": OFFSETS}} if config is None else config,
    }
    return packed(
        path,
        told,
        weights__pt=stream.getvalue(),
        network__py=CODE.encode(),
        test_input__npy=saved_array(image[None, None, :64, :80].astype(np.float32)),
    )


def with_script(path: Path, ndim: int = 2, **arguments: Any) -> Path:
    """A package of format 0.5 with TorchScript of a fixed size."""
    offsets = OFFSETS if ndim == 2 else OFFSETS_3D
    letters, side = "zyx"[-ndim:], 48 if ndim == 2 else 24
    space = [{"type": "space", "id": letter, "size": side} for letter in letters]
    axes = [{"type": "batch"}, {"type": "channel", "channel_names": ["raw"]}, *space]
    halo = {"halo": 10 if ndim == 2 else 4}  # how far the oracle looks
    shape = (1, 1, *[side] * ndim)
    told = {
        "format_version": "0.5.3",
        "type": "model",
        "name": "script",
        "inputs": [
            {
                "id": "raw",
                "axes": axes,
                "preprocessing": [{"id": "scale_range", "kwargs": {"axes": list(letters)}}],
            }
        ],
        "outputs": [{"id": "affinities", "axes": [*axes[:2], *(axis | halo for axis in space)]}],
        "weights": {
            "torchscript": {"source": "weights.pt"},
            "pytorch_state_dict": {"source": "x"},
        },
        "config": {"mws": {"offsets": offsets}},
    }
    network = oracle(offsets=offsets, **arguments)
    return packed(path, told, weights__pt=scripted(network, shape))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, in which code of strangers leaves its mark."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.mark.parametrize("arguments", [{}, {"apart": True}, {"apart": True, "logits": True}])
def test_a_model_with_code_finds_the_blocks(
    folder: Path, tmp_path: Path, here: Path, arguments: dict[str, Any]
) -> None:
    path = import_model(with_code(tmp_path / "a.zip", **arguments), trust_code=True)
    assert path == folder / "Oracle 0.4.pea.safetensors"
    model = load_model("Oracle 0.4", "cpu")
    assert predicts_affinities(model)
    assert model.offsets == tuple(map(tuple, OFFSETS))
    assert not model.can_average
    assert model.recommended.ranges == (1, 3, 9)
    image, labels = blocks()
    field = model.field(image)
    assert (field.foreground is not None) == bool(arguments)
    assert 0 <= field.values.min() <= field.values.max() <= 1
    # The Mutex Watershed makes of it what the blocks are.
    found = Segmenter(model, image).segment(min_size=0).labels
    for label in range(1, 10):
        assert len(np.unique(found[labels == label])) == 1
    assert len(np.unique(found[labels > 0])) == 9
    if arguments:
        assert found[labels == 0].max() == 0


def test_the_user_can_say_what_high_affinities_mean(
    folder: Path, tmp_path: Path, here: Path
) -> None:
    source = with_code(tmp_path / "a.zip")
    image = blocks()[0]
    values = {}
    for meaning in ("guess", "same", "different"):
        import_model(source, trust_code=True, name=meaning, affinities=meaning)
        values[meaning] = load_model(meaning, "cpu").field(image).values
    np.testing.assert_array_equal(values["same"], values["guess"])
    np.testing.assert_allclose(values["different"], 1 - values["guess"], atol=1e-6)


@pytest.mark.parametrize("ndim", [2, 3])
def test_torchscript_of_a_fixed_size_runs_in_tiles(folder: Path, tmp_path: Path, ndim: int) -> None:
    import_model(with_script(tmp_path / "a.zip", ndim), trust_code=True)
    model = load_model("script", "cpu")
    image, labels = blocks(ndim)
    values = model.field(image).values
    for channel, offset in enumerate(model.offsets):
        there = np.roll(labels, [-step for step in offset], range(ndim))
        same = labels == there
        # Rolled ends of tiles and images mean nothing.
        inner = tuple(slice(10, -10) if size > 30 else slice(3, -3) for size in labels.shape)
        assert values[channel][inner][same[inner]].min() > 0.99
        assert values[channel][inner][~same[inner]].max() < 0.5
    if ndim == 3:
        assert model.recommended.z_ranges is not None
        assert Segmenter(model, image).segment(min_size=0).labels.max() >= 4


def test_ranges_beyond_those_of_the_model_are_refused_with_the_way_out(
    folder: Path, tmp_path: Path, here: Path
) -> None:
    import_model(with_code(tmp_path / "a.zip"), trust_code=True)
    model = load_model("Oracle 0.4", "cpu")
    with pytest.raises(InputError, match="does not know the range 5: take ranges out of 1, 3, 9"):
        Segmenter(model, blocks()[0]).segment(ranges=(1, 5))
    with pytest.raises(InputError, match="pass on the package"):
        export_model(model, tmp_path / "b.zip", authors=["Ann"], licence="MIT")
    with pytest.raises(InputError, match="no embedding"):
        model.embed(blocks()[0])
    with pytest.raises(InputError, match="resize the image itself"):
        model.with_scale(2)
    assert KnownOffsets(model.offsets).ranges == (1, 3, 9)


def test_no_code_runs_without_consent(folder: Path, tmp_path: Path, here: Path) -> None:
    for path in (with_code(tmp_path / "a.zip"), with_script(tmp_path / "b.zip")):
        info = read_package(path)
        assert info.needs_consent
        assert info.kind == "affinities"
        assert info.ndim == 2
        assert len(info.reasons) == 1
        with pytest.raises(InputError, match=r"runs code of its authors.*--trust-code"):
            import_model(path)
    assert list(here.iterdir()) == []
    assert not folder.exists()
    import_model(tmp_path / "a.zip", trust_code=True)
    assert [path.name for path in here.iterdir()] == ["executed"]


def test_consent_belongs_to_the_bytes_and_stays_with_the_user(
    folder: Path, tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = import_model(with_code(tmp_path / "a.zip"), trust_code=True)
    assert not read_package(path).needs_consent
    rename_model("Oracle 0.4", "renamed")
    duplicate_model("renamed", "twice")
    assert load_model("twice", "cpu").name == "twice"
    entry = {each.name: each for each in list_models()}["twice"]
    assert entry.source == "imported"
    # A colleague who gets the file has agreed to nothing.
    shutil.copy(folder / "twice.pea.safetensors", tmp_path / "sent.pea.safetensors")
    monkeypatch.setenv("NAPARI_PEA_MODELS", str(tmp_path / "other"))
    (here / "executed").unlink()
    info = read_package(tmp_path / "sent.pea.safetensors")
    assert (info.kind, info.needs_consent) == ("model-file", True)
    with pytest.raises(InputError, match="was not allowed here"):
        load_model(tmp_path / "sent.pea.safetensors", "cpu")
    with pytest.raises(InputError, match="--trust-code"):
        import_model(tmp_path / "sent.pea.safetensors")
    assert list(here.iterdir()) == []
    import_model(tmp_path / "sent.pea.safetensors", trust_code=True)
    assert load_model("twice", "cpu").field(blocks()[0]).values.shape == (6, 70, 90)


def changed(path: Path, change: Any, code: bytes | None = None) -> Path:
    """Change the description, or the code, of a package."""
    with zipfile.ZipFile(path) as package:
        files = {name: package.read(name) for name in package.namelist()}
    told = yaml.safe_load(files["rdf.yaml"])
    change(told)
    files["rdf.yaml"] = yaml.safe_dump(told).encode()
    if code is not None:
        files["network.py"] = code
    with zipfile.ZipFile(path, "w") as package:
        for name, data in files.items():
            package.writestr(name, data)
    return path


def described(**entries: Any) -> Any:
    return lambda told: told.update(entries)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (described(config={}), "tells no offsets"),
        (described(config={"mws": {"offsets": []}}), "no list of whole numbers"),
        (described(config={"mws": {"offsets": [[-1, 0], [0]]}}), "no list of whole numbers"),
        (described(config={"mws": {"offsets": [[-1, 0], ["a", 1]]}}), "no list of whole numbers"),
        (described(config={"mws": {"offsets": [[-1, 0], [-1, 0]]}}), "twice"),
        (described(config={"mws": {"offsets": [[-3, 0], [0, -3]]}}), "does not know the"),
        (described(config={"mws": {"offsets": OFFSETS[:2]}}), "no output of its network"),
        (described(config={"mws": {"offsets": OFFSETS_3D}}), "can be used here"),
        (described(inputs=[]), "tells nothing about the image"),
        (lambda told: told.update(inputs=told["inputs"] * 3), "takes 3 images at once"),
        (lambda told: told["inputs"][0].update(axes="byxc"), "axes 'byxc'.*only 'bcyx'"),
        (lambda told: told["inputs"][0].update(axes="cbyx"), "axes 'cbyx'.*only 'bcyx'"),
        (
            lambda told: told["inputs"][0]["shape"].update(min=[1, 1, 1 << 20, 1 << 20]),
            "1048576 x 1048576 pixels and 1 channels.*in memory",
        ),
        (
            lambda told: told["inputs"][0]["shape"].update(step=[0, 0, 1 << 20, 1 << 20]),
            "growing by 1048576 x 1048576.*in memory",
        ),
        (described(weights={"onnx": {"source": "weights.onnx"}}), "only onnx"),
        (
            lambda told: told["inputs"][0].update(preprocessing=[{"name": "magic"}]),
            "step 'magic'",
        ),
        (
            lambda told: told["weights"]["pytorch_state_dict"].update(sha256="0" * 64),
            "another hash",
        ),
        (
            lambda told: told["weights"]["pytorch_state_dict"].update(
                architecture="network.py:Nothing"
            ),
            "cannot be built",
        ),
    ],
)
def test_models_that_cannot_be_used_get_one_sentence(
    folder: Path, tmp_path: Path, here: Path, change: Any, sentence: str
) -> None:
    path = changed(with_code(tmp_path / "a.zip"), change)
    with pytest.raises(InputError, match=sentence) as caught:
        import_model(path, trust_code=True)
    assert "\n" not in str(caught.value)
    assert not list(folder.rglob("*.safetensors"))


def test_other_code_than_described_never_runs(folder: Path, tmp_path: Path, here: Path) -> None:
    path = changed(
        with_code(tmp_path / "a.zip"), described(), code=b"open('executed', 'w')\n" + CODE.encode()
    )
    with pytest.raises(InputError, match="another hash than its description"):
        import_model(path, trust_code=True)
    assert list(here.iterdir()) == []


def test_code_that_fails_or_ends_the_program_gets_one_sentence(
    folder: Path, tmp_path: Path, here: Path
) -> None:
    for code in (b"raise RuntimeError('a\\nb')", b"1 +", b"import nothing_of_that_name", b"exit()"):
        path = with_code(tmp_path / "a.zip")
        changed(
            path,
            lambda told: told["weights"]["pytorch_state_dict"].pop("architecture_sha256"),
            code=code,
        )
        with pytest.raises(InputError, match="cannot be built") as caught:
            import_model(path, trust_code=True)
        assert "\n" not in str(caught.value)


def test_a_change_of_type_leaves_logits_logits(folder: Path, tmp_path: Path, here: Path) -> None:
    values = {}
    for logits in (False, True):
        path = changed(
            with_code(tmp_path / "a.zip", logits=logits),
            lambda told: told["outputs"][0].update(
                postprocessing=[{"name": "ensure_dtype", "kwargs": {"dtype": "float32"}}]
            ),
        )
        import_model(path, trust_code=True, name=f"logits {logits}")
        values[logits] = load_model(f"logits {logits}", "cpu").field(blocks()[0]).values
    np.testing.assert_allclose(values[True], values[False].clip(1e-4, 1 - 1e-4), atol=1e-4)


def moody(path: Path, raised: str) -> Path:
    """A package whose network fails on images with a dark dot."""
    code = CODE.replace(
        "dims = list", f"if x.min() < -20:\n            raise {raised}\n        dims = list"
    )
    return changed(
        with_code(path),
        lambda told: told["weights"]["pytorch_state_dict"].pop("architecture_sha256"),
        code=code.encode(),
    )


def dark_dot() -> NDArray[np.uint16]:
    image = np.full((70, 90), 500, np.uint16)
    image[30, 40] = 0
    return image


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        ("ValueError('too\\nbright')", "does not work on this image: bright"),
        ("AssertionError", "does not work on this image: AssertionError"),
        ("ZeroDivisionError('by zero')", "does not work on this image: by zero"),
        ("SystemExit", "does not work on this image: SystemExit"),
    ],
)
def test_whatever_the_code_raises_ends_one_image_only(
    folder: Path, tmp_path: Path, here: Path, raised: str, told: str
) -> None:
    model = load_model(import_model(moody(tmp_path / "a.zip", raised), trust_code=True), "cpu")
    image = blocks()[0]
    with pytest.raises(InputError, match=told):
        model.field(dark_dot())
    assert model.field(image).values.shape == (6, 70, 90)


def test_memory_that_runs_out_and_cancelling_are_told_as_such(
    folder: Path, tmp_path: Path, here: Path
) -> None:
    path = import_model(moody(tmp_path / "a.zip", "MemoryError"), trust_code=True)
    model = load_model(path, "cpu")
    image = blocks()[0]
    with pytest.raises(MemoryError):
        model.field(dark_dot())
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        model.field(image, cancel=token)
