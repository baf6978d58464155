from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from napari_pea import list_models, load_model
from napari_pea.core.errors import InputError
from napari_pea.core.files import atomic_write
from napari_pea.models import catalogue
from napari_pea.models.package import copy_model, model_hash, read_metadata
from napari_pea.models.shelf import (
    delete_model,
    duplicate_model,
    free_name,
    last_deleted,
    rename_model,
    restore_model,
)


@pytest.fixture
def folder(tmp_path: Path, tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's models: `tiny`, and a damaged one."""
    home = tmp_path / "models"
    home.mkdir()
    shutil.copy(tiny_model_path, home)
    (home / "broken.pea.safetensors").write_bytes(b"no model")
    monkeypatch.setenv(catalogue.FOLDER_VARIABLE, str(home))
    return home


def names() -> list[str]:
    return [entry.name for entry in list_models() if entry.source != "built-in"]


def weights(name: str) -> dict[str, list[float]]:
    network = load_model(name, "cpu").network
    return {key: value.flatten().tolist() for key, value in network.state_dict().items()}


def test_a_model_gets_another_name_and_keeps_its_weights(folder: Path) -> None:
    before = weights("tiny")
    path = rename_model("tiny", "cells of Ann")
    assert names() == ["broken", "cells of Ann"]
    assert read_metadata(path).name == "cells of Ann"
    assert read_metadata(path).description == "A small untrained network."
    assert weights("cells of Ann") == before
    assert rename_model("cells of Ann", "cells of Ann") == path


def test_a_name_may_change_by_its_case_alone(folder: Path) -> None:
    before = weights("tiny")
    assert rename_model("tiny", "Tiny").name == "Tiny.pea.safetensors"
    assert names() == ["Tiny", "broken"]
    # Where case does not count the new file is the old one.
    (folder / "TINY.pea.safetensors").hardlink_to(folder / "Tiny.pea.safetensors")
    rename_model("Tiny", "TINY")
    assert weights("TINY") == before


def test_files_that_are_being_written_are_no_models(folder: Path) -> None:
    with atomic_write(folder / "new.pea.safetensors") as temporary:
        temporary.write_bytes(b"half")
        assert names() == ["broken", "tiny"]


def test_scores_that_are_no_numbers_cost_no_model(folder: Path) -> None:
    scores = {"validation": {"aji": float("nan"), "ap50": 0.5, "voi": float("inf")}}
    copy_model(folder / "tiny.pea.safetensors", folder / "odd.pea.safetensors", scores=scores)
    for new in ("odd", "odder"):
        path = rename_model("odd", new)
        assert read_metadata(path).scores == {"validation": {"ap50": 0.5}}
    assert names() == ["broken", "odder", "tiny"]
    assert weights("odder") == weights("tiny")


def test_names_that_are_taken_or_no_names_are_refused(folder: Path) -> None:
    for new, sentence in (
        ("broken", "There is a model 'broken' already"),
        ("nuclei", "There is a model 'nuclei' already"),
        ("Broken", "There is a model 'Broken' already"),
        (".tiny", "without a dot in front"),
        ("../up", "cannot be called '../up'"),
    ):
        for change in (rename_model, duplicate_model):
            with pytest.raises(InputError, match=sentence):
                change("tiny", new)
    assert names() == ["broken", "tiny"]
    with pytest.raises(InputError, match="There is no model 'elephants'"):
        rename_model("elephants", "mice")


def test_a_copy_of_a_model_that_came_with_the_program(folder: Path) -> None:
    path = duplicate_model("nuclei")
    assert path == folder / "nuclei copy.pea.safetensors"
    assert weights("nuclei copy") == weights("nuclei")
    assert duplicate_model("nuclei").name == "nuclei copy 2.pea.safetensors"
    assert free_name("nuclei copy") == "nuclei copy 3"


def test_models_of_the_program_stay(folder: Path) -> None:
    for refuse in (lambda: rename_model("nuclei", "mine"), lambda: delete_model("nuclei")):
        with pytest.raises(InputError, match="comes with the program"):
            refuse()


def test_damaged_models_can_be_deleted_but_not_copied(folder: Path) -> None:
    with pytest.raises(InputError, match="is damaged"):
        rename_model("broken", "mended")
    with pytest.raises(InputError, match="is damaged"):
        duplicate_model("broken")
    assert names() == ["broken", "tiny"]
    delete_model("broken")
    assert names() == ["tiny"]


def test_deleted_models_come_back_the_last_one_first(folder: Path) -> None:
    assert last_deleted() is None
    with pytest.raises(InputError, match="none to bring back"):
        restore_model()
    before = weights("tiny")
    delete_model("broken")
    delete_model("tiny")
    assert names() == []
    assert last_deleted() == "tiny"
    assert restore_model() == "tiny"
    assert weights("tiny") == before
    assert restore_model() == "broken"
    assert names() == ["broken", "tiny"]


def test_a_deleted_model_takes_no_other_ones_place(folder: Path) -> None:
    delete_model("tiny")
    duplicate_model("nuclei", "tiny")
    with pytest.raises(InputError, match="another model 'tiny'"):
        restore_model()
    rename_model("tiny", "other")
    assert restore_model() == "tiny"
    assert names() == ["broken", "other", "tiny"]


def test_the_hash_follows_the_results_and_not_the_name(folder: Path) -> None:
    tiny = folder / "tiny.pea.safetensors"
    known = model_hash(tiny)
    assert model_hash(duplicate_model("tiny")) == known
    assert model_hash(copy_model(tiny, folder / "x.pea.safetensors", description="Else.")) == known
    assert model_hash(copy_model(tiny, folder / "y.pea.safetensors", scale=0.5)) != known
    assert model_hash(duplicate_model("nuclei")) != known


def test_imported_models_are_told_from_own_ones(folder: Path) -> None:
    copy_model(folder / "tiny.pea.safetensors", folder / "got.pea.safetensors", imported_from="x")
    sources = {entry.name: entry.source for entry in list_models()}
    assert sources["got"] == "imported"
    assert sources["tiny"] == sources["broken"] == "user"
    assert sources["nuclei"] == "built-in"


def test_keeping_models_in_order_needs_no_torch(folder: Path) -> None:
    code = (
        "import sys\n"
        "from napari_pea.models.shelf import duplicate_model, delete_model, rename_model\n"
        "duplicate_model('tiny'); rename_model('tiny', 'own'); delete_model('own')\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603
    assert names() == ["broken", "tiny copy"]
