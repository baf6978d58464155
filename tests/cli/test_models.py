from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_pea.cli import app
from napari_pea.models.catalogue import FOLDER_VARIABLE

if TYPE_CHECKING:
    from typer.testing import Result

Run = Callable[..., "Result"]


@pytest.fixture
def folder(tmp_path: Path, tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's models: one good, one damaged."""
    shutil.copy(tiny_model_path, tmp_path)
    (tmp_path / "broken.pea.safetensors").write_bytes(b"no model")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def test_list_shows_good_and_damaged_models(run: Run, folder: Path) -> None:
    result = run("models", "list")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == f"Copy your own model files to {folder}."
    assert "A small untrained network." in result.stdout
    assert "broken.pea.safetensors is damaged" in result.stdout


def test_names_are_whole_where_a_window_is_narrow(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert " neurons-em " in run("models", "list").stdout


def test_list_as_json(run: Run, folder: Path) -> None:
    entries = {entry["name"]: entry for entry in json.loads(run("models", "list", "--json").stdout)}
    assert entries["tiny"]["path"] == str(folder / "tiny.pea.safetensors")
    assert entries["tiny"]["source"] == "user"
    assert entries["tiny"]["problem"] is None
    assert "is damaged" in entries["broken"]["problem"]


def test_info_tells_what_the_model_says(run: Run, tiny_model_path: Path) -> None:
    result = run("models", "info", tiny_model_path)
    assert "architecture: resunet2d" in result.stdout
    assert "  widths: 4, 4, 4, 4, 4" in result.stdout
    told = json.loads(run("models", "info", tiny_model_path, "--json").stdout)
    assert told["recommended"]["ranges"] == [1, 3, 5, 9, 11]


@pytest.mark.usefixtures("folder")
def test_info_names_what_is_wrong(fails: Callable[..., str]) -> None:
    assert "There is no model 'elephants'" in fails("models", "info", "elephants")
    assert "is damaged" in fails("models", "info", "broken")


def test_models_are_renamed_copied_deleted_and_brought_back(run: Run, folder: Path) -> None:
    def there() -> list[str]:
        return sorted(path.name.partition(".")[0] for path in folder.glob("*.safetensors"))

    assert run("models", "rename", "tiny", "own").exit_code == 0
    assert run("models", "duplicate", "own").exit_code == 0
    assert run("models", "duplicate", "own", "third").exit_code == 0
    assert there() == ["broken", "own", "own copy", "third"]
    assert run("models", "delete", "third", "--yes").exit_code == 0
    assert there() == ["broken", "own", "own copy"]
    assert run("models", "restore").stdout == "third is back.\n"
    assert there() == ["broken", "own", "own copy", "third"]


def test_deleting_asks_first(folder: Path) -> None:
    refused = CliRunner().invoke(app, ["models", "delete", "tiny"], input="n\n")
    assert refused.exit_code == 130
    assert (folder / "tiny.pea.safetensors").exists()
    assert CliRunner().invoke(app, ["models", "delete", "tiny"], input="y\n").exit_code == 0
    assert not (folder / "tiny.pea.safetensors").exists()


@pytest.mark.usefixtures("folder")
def test_what_cannot_be_done_to_a_model_is_said(fails: Callable[..., str]) -> None:
    assert "comes with the program" in fails("models", "rename", "nuclei", "mine")
    assert "comes with the program" in fails("models", "delete", "nuclei", "--yes")
    assert "There is no model 'elephants'" in fails("models", "delete", "elephants", "--yes")
    assert "There is a model 'broken' already" in fails("models", "duplicate", "tiny", "broken")
    assert "no model was deleted" in fails("models", "restore").lower()


def test_a_model_file_is_imported_with_its_hash_shown(
    run: Run, folder: Path, tiny_model_path: Path
) -> None:
    sha256 = hashlib.sha256(tiny_model_path.read_bytes()).hexdigest()
    result = run("models", "import", tiny_model_path, "--name", "got", "--sha256", sha256)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "tiny: A small untrained network."
    assert lines[1] == f"sha256 {sha256}"
    assert lines[-1] == f"Imported as got: {folder / 'got.pea.safetensors'}"
    assert "got" in run("models", "list").stdout


@pytest.mark.usefixtures("folder")
def test_importing_tells_what_is_wrong(run: Run, tiny_model_path: Path, tmp_path: Path) -> None:
    def sentence(*arguments: object) -> str:
        result = run("models", "import", *arguments)
        assert result.exit_code == 2
        return result.stderr

    assert "There is no file" in sentence(tmp_path / "none.zip")
    assert "is no archive" in sentence(__file__)
    assert "another hash" in sentence(tiny_model_path, "--sha256", "0" * 64)
    assert "does not begin with https://" in sentence("ftp://example.org/model.zip")


def test_export_passes_everything_on(
    run: Run, tmp_path: Path, tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def export_model(model: str, path: Path, **options: Any) -> Path:
        given.update(options, model=model, path=path)
        return path

    monkeypatch.setattr("napari_pea.models.zoo.export_model", export_model)
    np.save(tmp_path / "image.npy", np.zeros((5, 6)))
    result = run(
        *("models", "export", tiny_model_path, "-o", tmp_path / "a.zip", "--licence", "MIT"),
        *("--author", "Ann; X", "--author", "Bob", "--cite", "A, doi:10.1000/1"),
        *("--sample", tmp_path / "image.npy", "--description", "Text."),
    )
    assert result.exit_code == 0, result.stderr
    assert given["authors"] == ["Ann; X", "Bob"]
    assert given["citation"] == ["A, doi:10.1000/1"]
    assert (given["licence"], given["description"], given["cover"]) == ("MIT", "Text.", None)
    assert given["sample"].shape == (5, 6)
    assert given["path"] == tmp_path / "a.zip"


def test_export_replaces_a_package_only_if_told_to(
    run: Run,
    fails: Callable[..., str],
    tmp_path: Path,
    tiny_model_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[Path] = []

    def export_model(model: str, path: Path, **_: Any) -> Path:
        written.append(path)
        return path

    monkeypatch.setattr("napari_pea.models.zoo.export_model", export_model)
    there = tmp_path / "a.zip"
    there.write_bytes(b"precious")
    for output in (there, tmp_path / "a"):
        command = ("models", "export", tiny_model_path, "-o", output, "--author", "Ann")
        assert f"{there} exists already" in fails(*command)
        assert written == []
        assert run(*command, "--overwrite").exit_code == 0
        assert written.pop() == there


def test_export_needs_authors(run: Run, tiny_model_path: Path, tmp_path: Path) -> None:
    result = run("models", "export", tiny_model_path, "-o", tmp_path / "a.zip")
    assert result.exit_code == 2
    assert "--author" in result.stderr
