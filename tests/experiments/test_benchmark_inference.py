from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.progress import CancelToken
from napari_pea.experiments.benchmark_inference import measure, peak_memory, sample_image
from napari_pea.sample_data import load_sample


def test_figures_of_a_small_image(tiny_model_path: Path) -> None:
    calls = []
    figures = measure(
        tiny_model_path,
        shapes=[(256, 300)],
        repeats=1,
        progress=lambda done, total: calls.append((done, total)),
    )
    overhead = figures["overhead"]
    assert overhead["ratio"] == overhead["predict_seconds"] / overhead["forward_seconds"]
    (row,) = figures["images"]
    assert row["shape"] == [256, 300]
    assert row["segment_seconds"] > row["embed_seconds"] > 0
    assert row["peak_mb"] is None or row["peak_mb"] >= row["program_mb"] > 10
    assert calls == [(0, 2), (1, 2), (2, 2)]


def test_a_measurement_can_be_stopped(tiny_model_path: Path) -> None:
    token = CancelToken()

    def stop_when_images_begin(done: int, total: int) -> None:
        if done == 1:
            token.cancel()

    with pytest.raises(Cancelled):
        measure(tiny_model_path, repeats=1, progress=stop_when_images_begin, cancel=token)
    assert multiprocessing.active_children() == []


def test_nothing_cannot_be_timed(tiny_model_path: Path) -> None:
    with pytest.raises(InputError, match="at least once, not 0 times"):
        measure(tiny_model_path, repeats=0)


def test_images_of_any_size_come_from_the_sample() -> None:
    sample = load_sample("nuclei").image
    image = sample_image((600, 100))
    assert image.shape == (600, 100)
    np.testing.assert_array_equal(image[:520], sample[:, :100])
    np.testing.assert_array_equal(image[520:], sample[:80, :100])


def test_peak_memory_counts_in_megabytes_and_never_falls() -> None:
    before = peak_memory()
    if before is None:
        pytest.skip("This system does not tell.")
    held = np.ones(30_000_000, dtype=np.uint8)
    full = peak_memory()
    assert full is not None
    assert held.nbytes / 1e6 < full < 100_000
    del held
    after = peak_memory()
    assert after is not None
    assert before <= full <= after
