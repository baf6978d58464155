"""Models of fixed offsets beside one that embeds, for a few changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_pea.core.segmenter import Segmenter
from napari_pea.experiments.benchmark_fields import RANGES, KnownAffinities, measure_fields
from napari_pea.experiments.benchmark_inference import sample_image
from napari_pea.models.catalogue import load_model


def test_both_say_the_same(tiny_model_path: Path) -> None:
    image = sample_image((64, 64))
    embeds = Segmenter(load_model(tiny_model_path, "cpu"), image)
    settings = embeds.model.recommended.updated(
        ranges=RANGES, strides=1, min_size=0, merge_fragments=False, foreground_threshold=0.0
    )
    offsets = settings.neighborhood(2).offset_list
    knows = Segmenter(KnownAffinities(embeds, offsets), image)
    one, other = embeds.labels(settings), knows.labels(settings)
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    assert pairs.shape[1] == one.max() == other.max()


def test_every_case_is_timed(tiny_model_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    found = measure_fields(
        str(tiny_model_path),
        shape=(64, 64),
        changes=2,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert [case["channels"] for case in found["cases"]] == [12, 24]
    for case in found["cases"]:
        assert case["factor"] == pytest.approx(case["affinities"] / case["embedding"])
        assert case["factor"] > 0
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
