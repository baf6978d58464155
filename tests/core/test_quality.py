from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pea.core.errors import InputError
from napari_pea.core.metrics import evaluate
from napari_pea.core.quality import best_overlaps, matched

TRUTH = np.array([[1, 1, 1, 1, 0, 2, 2, 2]])


def test_objects_that_overlap_enough_are_right() -> None:
    labels = np.array([[9, 9, 9, 0, 0, 4, 0, 0]])
    assert np.flatnonzero(matched(labels, TRUTH)).tolist() == [9]
    # Exactly half is not enough.
    assert not matched(np.array([[3, 3, 0, 0, 0, 0, 0, 0]]), TRUTH).any()


def test_the_best_overlap_of_an_object_counts() -> None:
    labels = np.array([[9, 9, 9, 5, 0, 0, 7, 7]])
    assert best_overlaps(TRUTH, labels).tolist() == [0, 3 / 4, 2 / 3]
    assert best_overlaps(TRUTH, np.zeros_like(TRUTH)).tolist() == [0, 0, 0]


def test_ids_may_be_large() -> None:
    labels = np.where(TRUTH > 0, TRUTH + 50_000, 0)
    right = matched(labels, TRUTH)
    assert np.flatnonzero(right).tolist() == [50_001, 50_002]


@given(seed=st.integers(0, 2**32 - 1))
def test_as_many_are_right_as_ap50_counts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.integers(0, 4, (4, 3)), 3, axis=1)
    labels = np.where(rng.random(truth.shape) < 0.7, truth, rng.integers(0, 5, truth.shape))
    scores = evaluate(labels, truth, ["ap50", "n_true", "n_labels"])
    hits = int(matched(labels, truth).sum())
    assert hits == int(matched(truth, labels).sum())
    if scores["n_true"]:
        assert scores["ap50"] == hits / (scores["n_true"] + scores["n_labels"] - hits)


def test_images_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="same field of view"):
        matched(TRUTH, TRUTH[:, 1:])
    with pytest.raises(InputError, match=r"at least 0\.5"):
        matched(TRUTH, TRUTH, 0.4)
