from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imsave

from napari_pea.training.history import History


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than training here."""
    monkeypatch.setattr(History, "save_picture", lambda self, path: None)


@pytest.fixture
def save_sorted() -> Callable[[Path], None]:
    """Write three images with two objects each into the folders of the project's own layout."""

    def save(folder: Path) -> None:
        for part in ("images", "labels"):
            (folder / part).mkdir(parents=True)
        for number in range(3):
            labels = np.zeros((40, 60), np.uint16)
            labels[10:30, 10:30], labels[10:30, 30:50] = 1, 2
            for part, array in (("images", 300 + 20 * labels), ("labels", labels)):
                imsave(folder / part / f"{number}.png", array, check_contrast=False)
        (folder / "training.txt").write_text("0.png 1.png")
        (folder / "validation.txt").write_text("2.png")

    return save
