from __future__ import annotations

import numpy as np

from napari_pea.training.widening import widened


def test_a_line_parts_objects_that_touch() -> None:
    labels = np.array([[4, 4, 4, 9, 9, 9, 0, 0, 9, 9]] * 3, np.int32)
    assert widened(labels)[1].tolist() == [4, 4, 0, 0, 9, 9, 0, 0, 9, 9]


def test_corners_touch_too() -> None:
    labels = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 2, 2], [0, 0, 2, 2]], np.int32)
    parted = widened(labels)
    assert parted[1, 1] == parted[2, 2] == 0
    assert (parted > 0).sum() == 6


def test_sections_are_looked_at_by_themselves() -> None:
    labels = np.ones((2, 4, 4), np.int32)
    labels[1] = 2
    np.testing.assert_array_equal(widened(labels), labels)


def test_what_is_not_annotated_parts_nothing_and_stays() -> None:
    labels = np.array([[3, 3, -1, 5, 5, -2, 0]], np.int32)
    np.testing.assert_array_equal(widened(labels), labels)
