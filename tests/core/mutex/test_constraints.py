"""What the user has said about pixels holds, whatever the affinities say."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from napari_pea.core.errors import InputError
from napari_pea.core.mutex import embedding_mutex_watershed, mutex_watershed

FOUR = [(-1, 0), (0, -1), (-3, 0), (0, -3)]
ROW = [(0, -1), (0, -2)]


def random_affinities(shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def within(pairs, mask):
    return pairs if mask is None else pairs[mask.reshape(-1)[pairs].all(axis=1)]


@given(st.data())
def test_equals_the_definition(reference, small_tiles, drawn, data):
    _, affinities, offsets, arguments = data.draw(drawn())
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape, ndim, mask = affinities.shape[1:], affinities.ndim - 1, arguments["mask"]
    assume(shape[1:] not in ((2,), (2, 3)))  # images that look like pairs: see below
    must = rng.integers(0, np.prod(shape), (data.draw(st.integers(0, 4)), 2))
    apart = rng.integers(0, np.prod(shape), (data.draw(st.integers(0, 5)), 2))
    arguments["bias"] = data.draw(st.sampled_from([0.0, 0.2]))
    as_groups = data.draw(st.booleans())
    if as_groups:
        groups = np.zeros(shape, int)
        groups.flat[apart[:, 0]] = 1 + np.arange(len(apart)) // 2
        marked = np.flatnonzero(groups)
        apart = np.array(
            [pair for pair in combinations(marked, 2) if np.diff(groups.flat[list(pair)])[0]],
            dtype=int,
        ).reshape(-1, 2)
        given_apart = groups
    else:
        given_apart = apart if data.draw(st.booleans()) else as_coordinates(apart, shape)
    with small_tiles():
        try:
            labels = mutex_watershed(
                affinities,
                offsets,
                **arguments,
                must_link=must,
                cannot_link=given_apart,
                threads=data.draw(st.integers(1, 2)),
            )
        except InputError as error:
            assert "take one of the two constraints away" in str(error)  # noqa: PT017
            assume(False)
    must, apart = within(must, mask), within(apart, mask)
    expected = reference(affinities, offsets, ndim, **arguments, must_link=must, cannot_link=apart)
    assert np.array_equal(labels, expected)
    flat = labels.reshape(-1)
    assert np.all(flat[must[:, 0]] == flat[must[:, 1]])
    assert np.all(flat[apart[:, 0]] != flat[apart[:, 1]])


def as_coordinates(pairs, shape):
    return np.stack(np.unravel_index(pairs, shape), axis=-1)


@given(st.integers(0, 2**32 - 1))
def test_constraints_hold_for_embeddings(small_tiles, seed):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(16, 14, 15)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=0) * np.float32(1 + 1e-6)
    pixels = rng.permutation(14 * 15)[:12].reshape(6, 2)
    with small_tiles():
        labels = embedding_mutex_watershed(
            vectors, FOUR, must_link=pixels[:3], cannot_link=pixels[3:]
        ).reshape(-1)
    assert np.all(labels[pixels[:3, 0]] == labels[pixels[:3, 1]])
    assert np.all(labels[pixels[3:, 0]] != labels[pixels[3:, 1]])


def test_strokes_join_and_cut():
    affinities = np.ones((2, 1, 9))
    cut = np.zeros((1, 9), int)
    cut[0, 2], cut[0, 6] = 1, 2
    labels = mutex_watershed(affinities, ROW, 1, cannot_link=cut)
    assert labels[0, 2] != labels[0, 6]
    assert labels.max() == 2
    join = np.zeros((1, 9), int)
    join[0, [1, 4, 8]] = 7
    apart = np.stack([np.zeros((1, 9)), np.zeros((1, 9))])
    labels = mutex_watershed(apart, [(0, -1), (0, -1)], 1, must_link=join)
    assert labels.tolist() == [[1, 2, 3, 4, 2, 5, 6, 7, 2]]


def test_label_image_without_background():
    groups = np.array([[3, 3, 5, 5]])
    labels = mutex_watershed(np.ones((1, 1, 4)), [(0, -1)], 1, cannot_link=groups)
    assert labels.tolist() == [[1, 1, 2, 2]]
    labels = mutex_watershed(np.zeros((2, 1, 4)), ROW, 1, must_link=groups)
    assert labels.tolist() == [[1, 1, 2, 2]]


def test_pairs_that_look_like_a_label_image_are_refused():
    affinities = np.zeros((2, 3, 2))
    offsets = [(0, -1), (0, -1)]
    pairs = [(0, 1), (2, 3), (4, 5)]
    with pytest.raises(InputError, match=r"could be pairs of pixels or a label image: give pairs"):
        mutex_watershed(affinities, offsets, 1, must_link=pairs)
    labels = mutex_watershed(affinities, offsets, 1, must_link=as_coordinates(pairs, (3, 2)))
    assert labels.tolist() == [[1, 1], [2, 2], [3, 3]]
    assert mutex_watershed(affinities, offsets, 1, must_link=np.zeros((3, 2), int)).max() == 6


def test_what_lies_outside_the_mask_says_nothing():
    mask = np.array([[True, True, False, True]])
    affinities = np.array([[[0.0, 0.9, 0.9, 0.9]]])
    said = {"must_link": [(1, 2), (2, 3)], "cannot_link": [(0, 2)]}
    labels = mutex_watershed(affinities, [(0, -1)], 1, mask=mask, **said)
    assert labels.tolist() == [[1, 1, 0, 2]]


@pytest.mark.parametrize("empty", [[], np.empty((0, 2), int), np.zeros((6, 7), int)])
def test_empty_constraints_change_nothing(empty):
    affinities = random_affinities((4, 6, 7))
    labels = mutex_watershed(affinities, FOUR, must_link=empty, cannot_link=empty)
    assert np.array_equal(labels, mutex_watershed(affinities, FOUR))


@pytest.mark.parametrize(
    ("must_link", "cannot_link", "named"),
    [
        ([(0, 1), (1, 8)], [(8, 0)], (r"\(1, 1\)", r"\(0, 0\)")),
        ([], [(3, 3)], (r"\(0, 3\)", r"\(0, 3\)")),
        ([[(0, 0), (5, 6)]], [[(5, 6), (0, 0)]], (r"\(5, 6\)", r"\(0, 0\)")),
        (np.eye(6, 7, dtype=int), 2 * np.eye(6, 7, dtype=int) - np.eye(6, 7, 1, int), None),
    ],
)
def test_contradictions_are_named(must_link, cannot_link, named):
    if named is None:  # a stroke that joins pixels of two strokes that exclude each other
        must_link = np.ones((6, 7), int)
        cannot_link = np.eye(6, 7, dtype=int) + 2 * np.eye(6, 7, 1, int)
        named = (r"\(0, 0\)", r"\(0, 1\)")
    with pytest.raises(InputError, match=f"Pixels {named[0]} and {named[1]} must be in one"):
        mutex_watershed(
            random_affinities((4, 6, 7)), FOUR, must_link=must_link, cannot_link=cannot_link
        )


@pytest.mark.parametrize(
    ("given_pairs", "message"),
    [
        ([(0.5, 1)], "must be a label image of shape"),
        ([(0, 1, 2)], "must be a label image of shape"),
        (np.ones((7, 6), int), "must be a label image of shape"),
        (-np.ones((6, 7), int), "cannot be negative"),
        ([(0, 42)], "outside of the image"),
        ([(-1, 4)], "outside of the image"),
        ([[(0, 0), (6, 0)]], "outside of the image"),
        ([[(0, 0), (0, -1)]], "outside of the image"),
        ([(0, 1), (2,)], "must be a label image of shape"),
    ],
)
@pytest.mark.parametrize("name", ["must_link", "cannot_link"])
def test_bad_constraints_are_named(name, given_pairs, message):
    with pytest.raises(InputError, match=message) as error:
        mutex_watershed(random_affinities((4, 6, 7)), FOUR, **{name: given_pairs})
    assert name in str(error.value)
