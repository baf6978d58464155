"""Objects that stay keep their ids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_pea.core.errors import InputError
from napari_pea.core.tracking import tracked_ids

planes = st.tuples(st.integers(1, 7), st.integers(1, 7)).flatmap(
    lambda shape: st.tuples(
        npst.arrays(np.uint32, shape, elements=st.integers(0, 6)),
        npst.arrays(np.uint32, shape, elements=st.sampled_from([0, 1, 2, 3, 5, 9, 60, 10**6])),
    )
)


def overlap(labels, label, previous, other):
    return int(((labels == label) & (previous == other)).sum())


def test_an_object_that_stays_keeps_its_id_when_others_come_and_go():
    previous = np.array([[1, 1, 0, 2, 2, 0, 3, 3]])
    labels = np.array([[0, 1, 0, 0, 0, 0, 2, 2]])
    np.testing.assert_array_equal(tracked_ids(labels, previous)[labels] > 0, labels > 0)
    assert tracked_ids(labels, previous).tolist() == [0, 1, 3]


def test_the_larger_part_of_a_split_object_keeps_its_id_and_the_other_gets_a_free_one():
    previous = np.array([[1, 1, 1, 1, 1, 3, 3]])
    labels = np.array([[1, 1, 2, 2, 2, 3, 3]])
    assert tracked_ids(labels, previous).tolist() == [0, 2, 1, 3]


def test_merged_objects_keep_the_id_of_the_largest():
    previous = np.array([[1, 1, 2, 2, 2, 3]])
    labels = np.array([[1, 1, 1, 1, 1, 2]])
    assert tracked_ids(labels, previous).tolist() == [0, 2, 3]


def test_going_back_gives_the_ids_back():
    one = np.array([[1, 1, 1, 2, 2, 3, 3, 3]])
    merged = np.array([[1, 1, 1, 1, 1, 2, 2, 2]])
    between = tracked_ids(merged, one)[merged]
    np.testing.assert_array_equal(between, [[1, 1, 1, 1, 1, 3, 3, 3]])
    np.testing.assert_array_equal(tracked_ids(one, between)[one], one)


def test_first_objects_are_numbered_as_they_are():
    labels = np.array([[1, 2, 0], [3, 3, 4]])
    assert tracked_ids(labels, np.zeros_like(labels)).tolist() == [0, 1, 2, 3, 4]


def test_nothing_at_all():
    empty = np.zeros((0, 4), np.uint32)
    assert tracked_ids(empty, empty).tolist() == [0]


def test_volumes():
    labels = np.zeros((2, 2, 2), np.uint32)
    labels[1] = 1
    assert tracked_ids(labels, labels * np.uint32(7)).tolist() == [0, 7]


@pytest.mark.parametrize(
    ("labels", "previous", "match"),
    [
        (np.zeros((2, 2), int), np.zeros((2, 3), int), "same image"),
        (np.zeros((2, 2)), np.zeros((2, 2), int), "whole numbers"),
        (np.zeros((2, 2), int), np.full((2, 2), -1), "negative"),
    ],
)
def test_what_does_not_fit_is_refused(labels, previous, match):
    with pytest.raises(InputError, match=match):
        tracked_ids(labels, previous)


@given(planes)
def test_pixels_stay_together_and_apart(arrays):
    labels, previous = arrays
    ids = tracked_ids(labels, previous)
    assert ids.dtype == np.uint32
    present = np.unique(labels[labels > 0])
    assert len(np.unique(ids[present])) == len(present)
    assert (ids[present] > 0).all()
    assert ids[0] == 0
    absent = np.setdiff1d(np.arange(len(ids)), present)
    assert not ids[absent].any()


@given(planes)
def test_ids_are_kept_by_mutual_best_overlap_and_new_ones_were_free(arrays):
    labels, previous = arrays
    ids = tracked_ids(labels, previous)
    known = set(np.unique(previous[previous > 0]).tolist())
    present = np.unique(labels[labels > 0]).tolist()
    new = []
    for label in present:
        best = max(known, key=lambda k: (overlap(labels, label, previous, k), -k), default=0)
        back = max(present, key=lambda k: (overlap(labels, k, previous, best), -k))
        if best and back == label and overlap(labels, label, previous, best):
            assert ids[label] == best
        else:
            new.append(int(ids[label]))
    free = (number for number in range(1, 10**6) if number not in known)
    assert new == [next(free) for _ in new]


@given(planes)
def test_the_same_objects_have_the_same_ids(arrays):
    labels, previous = arrays
    shown = tracked_ids(labels, previous)[labels]
    np.testing.assert_array_equal(tracked_ids(labels, shown)[labels], shown)
