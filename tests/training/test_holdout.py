from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_pea.core.predict import Embedding
from napari_pea.core.settings import SegmentationSettings
from napari_pea.training import holdout
from napari_pea.training.annotation import UNANNOTATED
from napari_pea.training.data import AnnotatedImage
from napari_pea.training.holdout import HeldOutScorer, all_held_out, hold_out, on_held_out


def squares(count: int, side: int = 300) -> AnnotatedImage:
    """An image with squares in a grid, the rest not annotated."""
    labels = np.full((side, side), UNANNOTATED, np.int32)
    for number in range(count):
        y, x = divmod(number, 10)
        labels[30 * y + 5 : 30 * y + 20, 30 * x + 5 : 30 * x + 20] = number + 1
    return AnnotatedImage((labels > 0).astype(np.float32)[None], labels)


def test_whole_objects_are_held_out_and_never_trained_on() -> None:
    images = [squares(12), squares(8)]
    training, held_out, said = hold_out(images, 0.2, seed=3)
    assert not said
    taken = [set(np.unique(item.truth[item.truth > 0])) for item in held_out]
    assert sum(map(len, taken)) == 4
    for item, numbers in zip(held_out, taken, strict=True):
        before, after = images[item.index].labels, training[item.index].labels
        for number in range(1, int(before.max()) + 1):
            left = (after == number).sum()
            assert left == (0 if number in numbers else (before == number).sum())
        assert (after[np.isin(before, list(numbers))] == UNANNOTATED).all()
        region = before[item.region]
        np.testing.assert_array_equal(item.truth > 0, np.isin(region, list(numbers)))
        np.testing.assert_array_equal((item.others > 0) | (item.truth > 0), region > 0)
        np.testing.assert_array_equal(item.image, images[item.index].image[:, *item.region])
    assert images[0].labels.max() == 12  # the originals stay


def test_the_seed_decides_and_at_least_one_is_taken() -> None:
    def taken(share: float, seed: int) -> list[int]:
        _, held_out, _ = hold_out([squares(30)], share, seed)
        return sorted({int(i) for item in held_out for i in np.unique(item.truth)} - {0})

    assert taken(0.2, 1) == taken(0.2, 1) != taken(0.2, 2)
    assert len(taken(0.001, 1)) == 1
    assert len(hold_out([squares(90)], 0.9, 1)[1][0].truth[0]) > 0
    assert len(taken(0.9, 1)) == min(27, holdout.MOST_HELD_OUT)


def test_too_little_annotation_is_said() -> None:
    images = [squares(2), squares(1)]
    training, held_out, (notice,) = hold_out(images, 0.2, 1)
    assert notice.code == "no-validation"
    assert "With 3 painted objects none can be held out" in notice.text
    assert not held_out
    assert [item.labels.max() for item in training] == [2, 1]
    assert hold_out([squares(9)], 0.0, 1)[1:] == ([], [])


def test_what_was_found_elsewhere_does_not_count() -> None:
    truth = np.zeros((4, 12), int)
    truth[:, 0:3] = 5
    others = np.zeros((4, 12), int)
    others[:, 3:6] = 8
    labels = np.zeros((4, 12), int)
    labels[:, 0:2] = 1  # on the held-out object
    labels[:, 2:6] = 2  # mostly on the other
    labels[:, 8:] = 3  # on what nobody painted
    np.testing.assert_array_equal(np.unique(on_held_out(labels, truth, others)), [0, 1])


def test_a_neighbour_that_reaches_into_a_held_out_object_does_not_count() -> None:
    truth = np.zeros((20, 40), np.int32)
    truth[5:15, 5:15] = 1
    labels = np.zeros_like(truth)
    labels[5:15, 5:14] = 1
    labels[5:15, 14:24] = 2  # an object nobody painted, one column too wide
    labels[4, 5:15] = 3
    labels[5, 5:7] = 3  # the same above
    kept = on_held_out(labels, truth, np.zeros_like(truth))
    np.testing.assert_array_equal(np.unique(kept), [0, 1])
    labels[labels == 2] = 1  # both run together: that is a mistake
    merged = on_held_out(labels, truth, np.zeros_like(truth))
    assert (merged == 1).sum() == (labels == 1).sum() > 150


def test_painted_validation_images_are_held_out_as_a_whole() -> None:
    one, two = all_held_out([squares(3), squares(12)])
    assert (one.truth.max(), two.truth.max(), two.index) == (3, 12, 1)
    assert not one.others.any()
    assert one.image.shape[1] < two.image.shape[1] <= 300


class Squares:
    """A model that embeds every square apart from the others."""

    ndim, name = 2, "squares"
    recommended = SegmentationSettings(ranges=(1, 3), strides=1)

    def __init__(self, network, settings) -> None: ...

    def embed(self, image, **_) -> Embedding:
        inside = image[0]
        return Embedding(np.stack([inside, 1 - inside]), inside)


def test_a_network_that_finds_the_held_out_objects_scores_full_marks(monkeypatch) -> None:
    monkeypatch.setattr(holdout, "in_training", Squares)
    _, held_out, _ = hold_out([squares(12), squares(8)], 0.3, seed=3)
    scorer = HeldOutScorer(held_out, Squares.recommended)
    assert scorer(None) == {"aji": 1.0, "ap50": 1.0, "aji_error": 0.0}
    monkeypatch.setattr(Squares, "embed", lambda self, image, **_: Embedding(
        np.ones((1, *image.shape[1:]), np.float32), np.ones(image.shape[1:], np.float32)
    ))  # fmt: skip
    assert scorer(None)["ap50"] == 0.0


def test_the_error_of_the_score_follows_how_much_objects_differ(monkeypatch) -> None:
    monkeypatch.setattr(holdout, "in_training", Squares)
    _, (item,), _ = hold_out([squares(12)], 0.4, seed=3)
    smaller = item.image.copy()
    taken = np.unique(item.truth[item.truth > 0])
    # Of one held-out object out of five only two thirds are seen.
    rows = np.flatnonzero((item.truth == taken[0]).any(axis=1))
    smaller[0, rows[-5:]] *= item.truth[rows[-5:]] != taken[0]
    scorer = HeldOutScorer([replace(item, image=smaller)], Squares.recommended)
    assert len(taken) == 5
    assert scorer(None)["aji_error"] == pytest.approx((1 / 3) / 5)
    one = HeldOutScorer(hold_out([squares(5)], 0.1, seed=3)[1], Squares.recommended)
    assert one(None)["aji_error"] == 1.0
