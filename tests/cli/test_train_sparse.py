from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_pea.core.errors import InputError
from napari_pea.io import read_labels, write_labels
from napari_pea.models.package import read_metadata
from napari_pea.training import session
from napari_pea.training.presets import PRESETS

if TYPE_CHECKING:
    from typer.testing import Result

Run = Callable[..., "Result"]
Fails = Callable[..., str]

SHORT = ["--iterations", 2, "--batch-size", 1, "--crop", 32, "--validate-every", 2]
SHORT += ["--device", "cpu"]


@pytest.fixture
def strokes(disks: tuple[Path, Path], tmp_path: Path) -> Path:
    """Background strokes for one of the images."""
    folder = tmp_path / "background"
    folder.mkdir()
    mask = np.zeros((64, 80), np.uint8)
    mask[31:33] = 1
    write_labels(folder / "disks1.tif", mask)
    return folder


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """What reaches the training."""
    seen: list[tuple[Any, dict[str, Any]]] = []

    def stop(*arguments: Any, **options: Any) -> None:
        seen.append((arguments, options))
        raise InputError("Enough.")

    monkeypatch.setattr(session, "train_model", stop)
    return seen


def test_painted_objects_become_a_model(
    run: Run, disks: tuple[Path, Path], strokes: Path, tmp_path: Path, tiny_model_path: Path
) -> None:
    folder = tmp_path / "run"
    command = ["train", "--sparse", *disks, "-o", folder, "--start", tiny_model_path]
    result = run(*command, "--background", strokes, *SHORT)
    assert result.exit_code == 0, result.output
    metadata = read_metadata(folder / "my-model.pea.safetensors")
    assert metadata.parent == "tiny"
    assert metadata.training["hold_out"] == 0.15
    assert metadata.training["objective"]["distant_pairs"] > 0
    # The scores are those of held-out objects.
    assert set(metadata.scores["validation"]) == {"aji", "aji_error", "ap50"}


def test_options_reach_the_training(
    run: Run, disks: tuple[Path, Path], strokes: Path, called: list[Any], tmp_path: Path
) -> None:
    command = ["train", "--sparse", *disks, "-o", tmp_path / "run", "--background", strokes]
    command += ["--region", strokes, "--partial-objects", "--image-scale", 0.5]
    run(*command, "--start", "nuclei", "--preset", "quick", "--keep", "--hold-out", 0.3)
    (shown, held_out, model, settings, _), options = called[0]
    assert not held_out
    assert [item.name for item in shown if item.background is not None] == ["disks1.npy"]
    np.testing.assert_array_equal(shown[1].background, read_labels(strokes / "disks1.tif"))
    assert shown[1].region is not None
    assert {(item.zero, item.whole_objects) for item in shown} == {("auto", False)}
    assert model.scale == 0.5
    assert settings.iterations == PRESETS["quick"].iterations
    assert settings.hold_out == 0.3
    assert settings.replay > 0
    assert options["keep"] == []


def test_images_of_the_old_kind_are_read(
    run: Run, disks: tuple[Path, Path], called: list[Any], tmp_path: Path
) -> None:
    command = ["train", *disks, "-o", tmp_path / "run", "--start", "nuclei"]
    run(*command, "--keep-images", disks[0], "--zero", "not-annotated")
    (shown, held_out, _, settings, _), options = called[0]
    assert len(shown + held_out) == 4
    assert {item.zero for item in shown} == {"not-annotated"}
    assert [image.shape for image in options["keep"]] == [(64, 80)] * 4
    assert settings.replay > 0


def test_what_should_be_known_is_said(
    run: Run, disks: tuple[Path, Path], tmp_path: Path, tiny_model_path: Path
) -> None:
    for path in disks[1].iterdir():
        if path.name != "disks0.tif":
            write_labels(path, np.zeros((64, 80), np.uint8))
    command = ["train", "--sparse", *disks, "-o", tmp_path / "run", "--start", tiny_model_path]
    result = run(*command, *SHORT)
    assert result.exit_code == 0, result.output
    assert "Note: No background is painted" in result.stderr
    assert "Note: With 4 painted objects none can be held out" in result.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--zero", "void"], "--zero is one of auto, background, not-annotated, not 'void'"),
        (["--preset", "fast"], "There is no preset 'fast'"),
        (["--keep"], "nothing to keep"),
        (["--image-scale", 99], "The scale lies between 0.05 and 20, not 99"),
        (["--hold-out", 1], "hold_out is a share of at least 0 and below 1"),
        (["--background", "nowhere"], "There is no file or folder nowhere"),
    ],
)
def test_wrong_options_are_refused_before_any_work(
    fails: Fails, disks: tuple[Path, Path], tmp_path: Path, options: list[object], sentence: str
) -> None:
    assert sentence in fails("train", "--sparse", *disks, "-o", tmp_path / "run", *options)
    assert not (tmp_path / "run").exists()
