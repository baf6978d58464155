"""Blocks against the whole, by data sets made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments.agreement import TruthSource, compare, measure_agreement, mosaic
from napari_pea.io import read_image, write_labels


@pytest.fixture
def data(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (tmp_path / "bbbc039" / kind).mkdir(parents=True)
    names = ["a.png", "b.png"]
    (tmp_path / "bbbc039" / "validation.txt").write_text("\n".join(names))
    for name in names:
        image = draw.integers(0, 4000, (24, 40), dtype=np.uint16)
        write_labels(tmp_path / "bbbc039" / "images" / name, image)
        write_labels(tmp_path / "bbbc039" / "labels" / name, image)
    (tmp_path / "flyem").mkdir()
    labels = np.arange(40)[None, None] // 10 + 5 * (np.arange(40)[:, None] // 15)
    np.savez(
        tmp_path / "flyem" / "validation.npz",
        image=draw.random((12, 40, 40)),
        label=np.broadcast_to(labels, (12, 40, 40)),
    )
    return tmp_path


def test_a_mosaic_is_full_of_images(data: Path) -> None:
    whole = mosaic(data / "bbbc039", 60)
    assert whole.shape == (60, 60)
    first = read_image(data / "bbbc039" / "images" / "a.png").array
    second = read_image(data / "bbbc039" / "images" / "b.png").array
    assert np.array_equal(whole[:24, :40], first)
    assert np.array_equal(whole[:24, 40:], second[:, :20])


def test_both_ways_are_compared(data: Path, tiny_model_path: Path) -> None:
    found = measure_agreement(data, model=str(tiny_model_path), side=48)
    assert found["nuclei"]["shape"] == [48, 48]
    neurons = found["neurons"]
    assert neurons["arand"] <= 0.01
    assert neurons["objects_whole"] == neurons["objects_blocks"] == 12


def test_a_difference_shows() -> None:
    class Moody(TruthSource):
        """Sees something else in each region."""

        def __call__(self, region, *, cancel=None):
            return TruthSource(np.roll(labels, region[1].start // 4, axis=1))(region)

    settings = SegmentationSettings(ranges=(1, 3), strides=1, min_size=0, merge_fragments=False)
    labels = np.broadcast_to(np.arange(200) // 8, (8, 200))
    assert compare(TruthSource(labels), settings, (8, 64))["arand"] < 0.01
    assert compare(Moody(labels), settings, (8, 64))["arand"] > 0.05
