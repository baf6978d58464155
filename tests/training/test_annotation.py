from __future__ import annotations

import numpy as np
import pytest

from napari_pea.core.errors import InputError
from napari_pea.models.metadata import ModelMetadata
from napari_pea.training.annotation import (
    OUTSIDE,
    UNANNOTATED,
    annotated_labels,
    check_painted,
    notices,
    scale_offer,
    survey,
)


def two_objects(side: int = 60) -> np.ndarray:
    labels = np.zeros((side, side), np.uint8)
    labels[10:20, 10:20], labels[10:20, 40:50] = 1, 2
    return labels


def test_unpainted_pixels_are_background_or_unknown() -> None:
    labels = two_objects()
    np.testing.assert_array_equal(annotated_labels(labels), labels)
    sparse = annotated_labels(labels, "not-annotated", whole_objects=False)
    np.testing.assert_array_equal(sparse, np.where(labels, labels.astype(int), UNANNOTATED))
    assert labels.max() == 2  # what the user painted is left alone


def test_what_lies_beyond_the_rim_of_whole_objects_is_outside() -> None:
    ids = annotated_labels(two_objects(), "not-annotated")
    assert ids[15, 9] == UNANNOTATED  # the rim may belong to the object
    assert ids[15, 5] == OUTSIDE
    assert ids[15, 30] == OUTSIDE
    assert set(np.unique(ids)) == {OUTSIDE, UNANNOTATED, 1, 2}
    nothing = annotated_labels(np.zeros((9, 9), int), "not-annotated")
    assert (nothing == UNANNOTATED).all()


def test_auto_decides_by_how_much_is_painted() -> None:
    labels = two_objects()
    assert (annotated_labels(labels, "auto")[labels == 0] < 0).all()
    dense = np.ones((10, 10), int)
    dense[:, :5] = 0
    assert (annotated_labels(dense, "auto") == dense).all()
    # Within a region only that counts.
    region = np.zeros((60, 60), bool)
    region[8:21, 8:21] = True
    inside = annotated_labels(labels, "auto", region=region)
    assert inside[9, 9] == 0
    assert inside[45, 45] == UNANNOTATED
    assert inside[15, 45] == UNANNOTATED  # painted, but outside of the region


def test_strokes_teach_background_and_objects_win() -> None:
    strokes = np.zeros((60, 60), int)
    strokes[15, :] = 1
    ids = annotated_labels(two_objects(), "not-annotated", background=strokes)
    assert ids[15, 30] == 0
    assert ids[15, 12] == 1
    assert ids[15, 21] == 0  # also within the rim
    assert ids[40, 30] == OUTSIDE


def test_masks_and_labels_that_do_not_fit_are_named() -> None:
    labels = two_objects()
    with pytest.raises(InputError, match=r"background strokes measure \(3, 3\) pixels"):
        annotated_labels(labels, background=np.ones((3, 3)))
    with pytest.raises(InputError, match=r"region measure \(2, 60\) pixels"):
        annotated_labels(labels, region=np.ones((2, 60)))
    with pytest.raises(InputError, match="cannot be negative"):
        annotated_labels(labels.astype(int) - 1)
    huge = labels.astype(np.int64) * 2**40
    assert set(np.unique(annotated_labels(huge))) == {0, 1, 2}


def test_a_survey_counts_what_is_painted() -> None:
    strokes = np.zeros((60, 60), bool)
    strokes[40, 10:20] = True
    ids = annotated_labels(two_objects(), "not-annotated", background=strokes, whole_objects=False)
    found = survey([ids, np.full((60, 60), UNANNOTATED, np.int32)])
    assert (found.n_objects, found.n_background) == (2, 10)
    assert found.share == pytest.approx(210 / 7200)
    assert found.sparse
    assert found.differing
    assert found.diameter == pytest.approx(11.3)
    assert not survey([annotated_labels(two_objects())]).sparse
    assert survey([]).diameter is None


def codes(ids: list[np.ndarray], **model: float) -> list[str]:
    parent = ModelMetadata(name="p", architecture="resunet2d", object_diameter=20.0)
    found = survey(ids)
    made = ModelMetadata(
        name="m", architecture="resunet2d", object_diameter=found.diameter, **model
    )
    return [notice.code for notice in notices(found, made, parent)]


def test_one_object_alone_teaches_no_difference() -> None:
    one = np.where(two_objects() == 1, 1, 0)
    alone = annotated_labels(one, "not-annotated", whole_objects=False)
    other = annotated_labels(one * 2, "not-annotated", whole_objects=False)
    # Objects of different images never meet.
    assert codes([alone, other]) == ["no-differing-pairs", "no-background"]
    assert codes([annotated_labels(one, "not-annotated")]) == ["no-background"]
    assert codes([annotated_labels(one)]) == []


def test_objects_of_another_size_come_with_an_offer() -> None:
    labels = np.zeros((300, 300), np.int32)
    for number, corner in enumerate((10, 100, 200), start=1):
        labels[corner : corner + 60, corner : corner + 60] = number
    assert codes([labels]) == ["object-size"]
    assert codes([labels], scale=0.3) == []
    parent = ModelMetadata(name="p", architecture="resunet2d", object_diameter=20.0)
    assert scale_offer(60.0, 1.0, parent) == 0.33
    assert scale_offer(60.0, 0.33, parent) is None
    assert scale_offer(25.0, 1.0, parent) is None
    assert scale_offer(None, 1.0, parent) is None
    # A parent that shrank its own images saw its objects smaller.
    assert scale_offer(60.0, 1.0, parent.model_copy(update={"scale": 0.5})) == 0.17


@pytest.mark.parametrize(
    ("pixels", "sentence"),
    [
        (0, "No object is painted"),
        (1, "The largest painted object has 1 pixel, too few"),
        (8, "The largest painted object has 8 pixels, too few"),
    ],
)
def test_dots_are_no_objects(pixels: int, sentence: str) -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[3, :pixels] = 5
    with pytest.raises(InputError, match=sentence):
        check_painted(survey([annotated_labels(labels, "not-annotated")]))
    labels[10, :9] = 6
    check_painted(survey([annotated_labels(labels, "not-annotated")]))
