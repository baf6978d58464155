from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from napari_pea.core.errors import InputError
from napari_pea.experiments.overview import save_overview

IMAGE = np.random.default_rng(0).normal(size=(40, 60))
COLORS = np.random.default_rng(1).random((40, 60, 3)).astype(np.float32)
LABELS = np.repeat([[0] * 20 + [3] * 20 + [7] * 20], 40, axis=0)


def test_picture_shows_labels(tmp_path: Path) -> None:
    save_overview(tmp_path / "with.png", IMAGE, COLORS, LABELS)
    save_overview(tmp_path / "without.png", IMAGE, COLORS, np.zeros_like(LABELS))
    shown, bare = (
        imagecodecs.png_decode((tmp_path / name).read_bytes())
        for name in ("with.png", "without.png")
    )
    assert shown.shape == bare.shape
    third = shown.shape[1] // 3
    below_title = shown.shape[0] // 4
    differs = (shown != bare).any(axis=-1)[below_title:]
    assert differs[:, 2 * third :].any()
    assert not differs[:, : 2 * third].any()


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"a.png could not be saved"):
        save_overview(tmp_path / "file" / "a.png", IMAGE, COLORS, LABELS)
