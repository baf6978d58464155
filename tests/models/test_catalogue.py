from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_pea import list_models, load_model
from napari_pea.core.errors import InputError
from napari_pea.core.networks import build_network
from napari_pea.models.catalogue import add_model
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.package import save_model


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAPARI_PEA_MODELS", str(tmp_path))
    return tmp_path


def save_tiny(folder: Path, name: str, **fields: object) -> Path:
    metadata = ModelMetadata(
        name=name, architecture="resunet2d", arguments={"widths": [4] * 5}, **fields
    )
    network = build_network(metadata.architecture, metadata.arguments)
    return save_model(folder / name, network, metadata)


def test_user_models_are_found_at_once(folder: Path) -> None:
    assert "mine" not in {entry.name for entry in list_models()}
    save_tiny(folder, "mine")
    entry = {entry.name: entry for entry in list_models()}["mine"]
    assert entry.source == "user"
    assert entry.problem is None


def test_a_damaged_model_is_listed_with_the_reason(folder: Path) -> None:
    save_tiny(folder, "good")
    (folder / "bad.pea.safetensors").write_bytes(b"nothing")
    entries = {entry.name: entry for entry in list_models()}
    assert entries["good"].problem is None
    assert "damaged" in (entries["bad"].problem or "")
    assert entries["bad"].metadata is None


def test_models_load_by_name_and_by_path(folder: Path) -> None:
    path = save_tiny(folder, "mine")
    assert load_model("mine", "cpu").name == "mine"
    assert load_model(path, "cpu").name == "mine"


def test_unknown_names_list_the_known(folder: Path) -> None:
    save_tiny(folder, "mine")
    with pytest.raises(InputError, match=r"no model 'yours'.*mine"):
        load_model("yours")


def test_unknown_devices_list_the_known(folder: Path) -> None:
    save_tiny(folder, "mine")
    with pytest.raises(InputError, match=r"'abacus' is not available.*cpu"):
        load_model("mine", "abacus")


def test_a_model_embeds_any_size(folder: Path) -> None:
    save_tiny(folder, "mine")
    model = load_model("mine", "cpu")
    image = np.random.default_rng(0).integers(0, 4095, (33, 50)).astype(np.uint16)
    embedding = model.embed(image)
    assert embedding.vectors.shape == (16, 33, 50)
    np.testing.assert_allclose(np.linalg.norm(embedding.vectors, axis=0), 1, rtol=1e-5)
    assert embedding.foreground is not None
    assert 0 <= embedding.foreground.min() <= embedding.foreground.max() <= 1


def test_a_model_of_a_run_is_added_under_a_new_name(folder: Path, tmp_path_factory) -> None:
    run = save_tiny(tmp_path_factory.mktemp("run"), "draft", description="Draft.")
    path = add_model(run, "cells of Ann", "Hers.")
    assert path.parent == folder
    metadata = {entry.name: entry.metadata for entry in list_models()}["cells of Ann"]
    assert metadata is not None
    assert (metadata.name, metadata.description) == ("cells of Ann", "Hers.")
    same = [load_model(known, "cpu").network.state_dict() for known in (run, "cells of Ann")]
    for name, value in same[0].items():
        np.testing.assert_array_equal(value, same[1][name])
    with pytest.raises(InputError, match="a model 'cells of Ann' already"):
        add_model(run, "cells of Ann")
    with pytest.raises(InputError, match="a model 'nuclei' already"):
        add_model(run, "nuclei")
    with pytest.raises(InputError, match=r"cannot be called '\.\./x'"):
        add_model(run, "../x")
    assert add_model(run, "plain").exists()
    assert load_model("plain", "cpu").metadata.description == "Draft."


def test_what_is_no_name_is_told_in_one_sentence() -> None:
    with pytest.raises(InputError, match="its name or its file, not by None"):
        load_model(None)
