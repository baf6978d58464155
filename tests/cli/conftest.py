from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from skimage.draw import disk
from typer.testing import CliRunner

from napari_pea.cli import app
from napari_pea.io import write_labels

if TYPE_CHECKING:
    from typer.testing import Result


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command as a user does."""
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return command


@pytest.fixture
def fails(run: Callable[..., Result]) -> Callable[..., str]:
    """Run a command that cannot work and return its sentence."""

    def command(*arguments: object) -> str:
        result = run(*arguments)
        assert result.exit_code == 2
        assert result.stdout == ""
        lines = result.stderr.splitlines()
        assert len(lines) == 1, result.stderr
        assert lines[0].startswith("Error: ")
        assert lines[0].endswith(".")
        return lines[0]

    return command


@pytest.fixture
def disks(tmp_path: Path) -> tuple[Path, Path]:
    """Folders with four images of bright disks, and their labels."""
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.mkdir()
    labels.mkdir()
    for number in range(4):
        rng = np.random.default_rng(number)
        ids = np.zeros((64, 80), dtype=np.uint8)
        for label, centre in enumerate([(16, 20), (18, 58), (48, 24), (46, 60)], start=1):
            ids[disk(centre, rng.integers(8, 12), shape=ids.shape)] = label
        np.save(images / f"disks{number}.npy", rng.normal(100 + 400 * (ids > 0), 20))
        write_labels(labels / f"disks{number}.tif", ids)
    return images, labels
