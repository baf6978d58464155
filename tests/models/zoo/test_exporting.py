from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.networks import build_network
from napari_pea.core.normalization import Normalization
from napari_pea.core.progress import CancelToken
from napari_pea.models.catalogue import load_model
from napari_pea.models.metadata import DataSource, ModelMetadata
from napari_pea.models.model import Model
from napari_pea.models.zoo import Author, export_model, exporting, import_model, read_package
from napari_pea.models.zoo.authors import citation_of
from napari_pea.models.zoo.describe import zoo_name

AUTHOR = "Ann Example; Institute of Examples; 0000-0001-2345-6789"


def told(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as package:
        found: dict[str, Any] = yaml.safe_load(package.read("rdf.yaml"))
    return found


def model_of(architecture: str, **fields: Any) -> Model:
    arguments = {"widths": [4, 4, 4, 4, 4], **fields.pop("arguments", {})}
    torch.manual_seed(1)
    network = build_network(architecture, arguments)
    metadata = ModelMetadata(
        name="made", architecture=architecture, arguments=arguments, licence="MIT", **fields
    )
    return Model(network.half().float(), metadata, torch.device("cpu"))


def test_a_package_says_what_the_zoo_asks_for(package: Path) -> None:
    found = told(package)
    assert found["name"] == "tiny model"
    assert found["authors"] == [
        {
            "name": "Ann Example",
            "affiliation": "Institute of Examples",
            "orcid": "0000-0001-2345-6789",
        }
    ]
    assert found["license"] == "CC-BY-4.0"
    assert found["cite"][0] == {
        "text": "Example et al., Examples, doi:10.1000/examples",
        "doi": "10.1000/examples",
    }
    assert set(found["weights"]) == {"pytorch_state_dict", "torchscript"}
    step = found["inputs"][0]["preprocessing"][0]
    assert step["id"] == "scale_range"
    assert step["kwargs"]["max_percentile"] == 99.8
    assert [axis.get("halo") for axis in found["outputs"][0]["axes"]] == [None, None, 92, 92]
    assert [output["id"] for output in found["outputs"]] == ["embedding", "foreground"]
    with zipfile.ZipFile(package) as archive:
        assert "\n# Validation\n" in archive.read("README.md").decode()
        with Image.open(io.BytesIO(archive.read("cover.png"))) as cover:
            assert cover.size == (800, 400)
        weights = torch.load(io.BytesIO(archive.read("weights.pt")), weights_only=True)
        assert type(weights) is dict
    assert len(found["outputs"][0]["axes"][1]["channel_names"]) == 16


def test_export_and_import_give_the_same_model(
    package: Path, tiny_model_path: Path, folder: Path
) -> None:
    path = import_model(package, name="again")
    assert path == folder / "again.pea.safetensors"
    before, after = load_model(tiny_model_path, "cpu"), load_model("again", "cpu")
    image = np.random.default_rng(0).integers(0, 4095, (100, 120)).astype(np.uint16)
    one, two = before.embed(image), after.embed(image)
    np.testing.assert_allclose(one.vectors, two.vectors, atol=1e-4)
    assert one.foreground is not None
    assert two.foreground is not None
    np.testing.assert_allclose(one.foreground, two.foreground, atol=1e-4)
    update = {"name": "again", "imported_from": "tiny.zip"}
    assert after.metadata == before.metadata.model_copy(update=update)


@pytest.mark.parametrize(
    ("architecture", "fields"),
    [
        ("resunet2d", {"scale": 0.5, "pixel_size_um": 0.25, "arguments": {"in_channels": 2}}),
        (
            "resunet3d",
            {
                "normalization": Normalization("min-max"),
                "pixel_size_um": (2.0, 0.5, 0.5),
                "arguments": {"embedding_dim": 3},
            },
        ),
    ],
    ids=["resized", "volume"],
)
def test_every_kind_of_model_can_be_exported(
    architecture: str, fields: dict[str, Any], tmp_path: Path, folder: Path
) -> None:
    model = model_of(architecture, **fields)
    path = export_model(model, tmp_path / "made", authors=[Author("Bob")], description="Things.")
    assert path == tmp_path / "made.zip"
    found = told(path)
    assert "torchscript" in found["weights"]
    space = [axis for axis in found["inputs"][0]["axes"] if axis["type"] == "space"]
    for axis in space:
        step, smallest = axis["size"]["step"], axis["size"]["min"]
        assert (step * model.metadata.scale) % model.network.divisor[-1] == 0 or axis["id"] == "z"
        assert axis["unit"] == "micrometer"
        assert smallest % step == 0
    again = load_model(import_model(path, name="again"), "cpu")
    for name, value in model.network.state_dict().items():
        torch.testing.assert_close(again.network.state_dict()[name], value, rtol=0, atol=0)


def test_the_users_image_makes_tests_and_cover(tiny_model_path: Path) -> None:
    model = load_model(tiny_model_path, "cpu")
    sample = np.zeros((300, 280), dtype=np.uint8)
    sample[100:200, 100:180] = 200
    image = exporting._tried_image(model, exporting._sides(model), sample)
    np.testing.assert_array_equal(image[0], sample[22:278, 12:268])
    picture = exporting._cover(model, image, None, sample)
    with Image.open(io.BytesIO(picture)) as cover:
        assert cover.getpixel((30, 30)) == (0, 0, 0)
        assert cover.getpixel((200, 200)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"authors": []}, "at least one"),
        ({"authors": ["; Institute"]}, "name must not be empty"),
        ({"authors": ["A/B"]}, "no slashes"),
        ({"licence": "as you like"}, "SPDX name"),
        ({"licence": ""}, "SPDX name"),
        ({"citation": "Example et al."}, "DOI or address"),
        ({"cover": "none.png"}, "no picture"),
        ({"sample": np.zeros((4, 4, 4, 4))}, "axes"),
    ],
)
def test_what_a_package_cannot_hold_is_refused_at_once(
    tiny_model_path: Path, tmp_path: Path, arguments: dict[str, Any], sentence: str
) -> None:
    given: dict[str, Any] = {"authors": [AUTHOR], "licence": "MIT", **arguments}
    with pytest.raises(InputError, match=sentence):
        export_model(tiny_model_path, tmp_path / "a.zip", **given)
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_gives_something_else_is_not_kept(
    tiny_model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = exporting.BUILD.replace("**arguments), scale)", "**arguments), scale / 2)")
    monkeypatch.setattr(exporting, "BUILD", wrong)
    with pytest.raises(InputError, match="does not give what the model gives"):
        export_model(tiny_model_path, tmp_path / "a.zip", authors=[AUTHOR], licence="MIT")
    assert list(tmp_path.iterdir()) == []


def test_torchscript_that_gives_something_else_is_left_out(
    tiny_model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = iter([{"torchscript": "its outputs differ by 1"}, {}])
    monkeypatch.setattr(exporting, "rerun", lambda *_: next(results))
    path = export_model(tiny_model_path, tmp_path / "a.zip", authors=[AUTHOR], licence="MIT")
    assert set(told(path)["weights"]) == {"pytorch_state_dict"}
    with zipfile.ZipFile(path) as archive:
        assert "weights_torchscript.pt" not in archive.namelist()


def test_exporting_tells_its_progress_and_can_be_stopped(
    tiny_model_path: Path, tmp_path: Path
) -> None:
    token = CancelToken()
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int, /) -> None:
        seen.append((done, total))
        if done == 2:
            token.cancel()

    with pytest.raises(Cancelled):
        export_model(
            tiny_model_path,
            tmp_path / "a.zip",
            authors=[AUTHOR],
            licence="MIT",
            progress=progress,
            cancel=token,
        )
    assert seen == [(0, 5), (1, 5), (2, 5)]
    assert list(tmp_path.iterdir()) == []


def test_names_and_citations_get_the_form_that_the_zoo_takes() -> None:
    assert zoo_name("nuclei") == "nuclei"
    assert zoo_name("Zellkerne (3D) ä/ö") == "Zellkerne (3D)"
    assert zoo_name("ab") == "ab model"
    assert citation_of("A paper, doi:10.1000/abc-1.2.") == {
        "text": "A paper, doi:10.1000/abc-1.2.",
        "doi": "10.1000/abc-1.2",
    }
    assert citation_of("See https://example.org/a.")["url"] == "https://example.org/a"


def test_what_the_model_knows_stands_on_its_page() -> None:
    from napari_pea.models.zoo.describe import document

    metadata = ModelMetadata(
        name="made",
        architecture="resunet2d",
        scale=0.5,
        parent="nuclei",
        object_diameter=20,
        data=(DataSource(name="Images", licence="CC0-1.0"),),
        scores={"validation": {"aji": 0.5, "ap50": 0.75}},
    )
    page = document(metadata, "Text.", [Author("Ann")])
    for line in (
        "Training started from the model `nuclei`.",
        "- Images (CC0-1.0)",
        "| validation | 0.500 |  |  | 0.750 |",
        "resizes images by 0.5",
        "about 20 pixels",
    ):
        assert line in page


def test_the_metadata_are_all_there(package: Path, tiny_model_path: Path) -> None:
    config = told(package)["config"]["napari_pea"]
    assert ModelMetadata.model_validate(config) == load_model(tiny_model_path, "cpu").metadata
    json.dumps(config)
    info = read_package(package)
    assert (info.kind, info.name, info.needs_consent, info.ndim) == ("own", "tiny", False, 2)
    assert info.authors == ("Ann Example",)
    assert len(info.sha256) == 64


def test_changed_files_are_found(package: Path, changed: Callable[..., Path], folder: Path) -> None:
    other = io.BytesIO()
    torch.save({"network.x": torch.zeros(1)}, other)
    with pytest.raises(InputError, match="another hash than its description"):
        import_model(changed({"weights.pt": other.getvalue()}))
    assert not list(folder.rglob("*.safetensors"))
