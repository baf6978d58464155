"""Partitions straight from an embedding are those of its affinities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pea.core.affinity import embedding_affinities, pixel_major, unit_vectors
from napari_pea.core.errors import InputError
from napari_pea.core.mutex import (
    EmbeddingWatershed,
    embedding_mutex_watershed,
    mutex_watershed,
)

FOUR = [(-1, 0), (0, -1), (-3, 0), (0, -3)]


def exact_vectors(rng, shape, depth, n_values):
    """Return vectors of unit length whose products have no rounding: one or two axes each."""
    axis = rng.integers(0, n_values, shape)
    vectors = np.zeros((depth, *shape), np.float32)
    half = rng.random(shape) < 0.5
    for d in range(depth):
        vectors[d] = axis % depth == d
        # Four parts of one half each: of unit length.
        four = np.isin((axis - d) % depth, range(4)) / np.float32(2)
        vectors[d] = np.where(half, vectors[d], four)
    return vectors


@given(st.data())
def test_equals_the_stack_where_nothing_is_rounded(small_tiles, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = data.draw(st.sampled_from([(13, 17), (4, 9, 8)]))
    depth = data.draw(st.sampled_from([5, 16, 37]))
    vectors = exact_vectors(rng, shape, depth, data.draw(st.integers(1, 7)))
    ndim = len(shape)
    step = st.tuples(*[st.integers(-4, 4)] * ndim).filter(any)
    offsets = (-np.eye(ndim, dtype=int)).tolist() + data.draw(st.lists(step, max_size=20))
    arguments = {
        "strides": data.draw(st.none() | st.tuples(*[st.integers(1, 3)] * ndim)),
        "mask": data.draw(st.none() | st.just(rng.random(shape) < 0.8)),
        "bias": data.draw(st.sampled_from([0.0, 0.25, -0.25])),
        "must_link": data.draw(st.none() | st.just(rng.integers(0, vectors[0].size, (3, 2)))),
        "threads": data.draw(st.integers(1, 2)),
    }
    with small_tiles():
        expected = mutex_watershed(embedding_affinities(vectors, offsets), offsets, **arguments)
        labels = embedding_mutex_watershed(vectors, offsets, **arguments)
    assert np.array_equal(labels, expected)


@given(st.data())
def test_equals_the_definition_but_for_rounding(reference, small_tiles, drawn, data):
    vectors, affinities, offsets, arguments = data.draw(drawn())
    ndim = affinities.ndim - 1
    attraction = np.sort(affinities[:ndim], axis=None)
    repulsion = np.sort(1 - affinities[ndim:], axis=None)
    both = np.sort(np.concatenate([attraction, np.unique(repulsion)]))
    gaps = np.diff(both[(both > 1e-6) & (both < 1 - 1e-6)])
    with small_tiles():
        labels = embedding_mutex_watershed(vectors, offsets, **arguments)
    if gaps.size and gaps.min() > 1e-6:  # no two priorities that rounding could exchange
        assert np.array_equal(labels, reference(affinities, offsets, ndim, **arguments))
    else:
        inside = arguments["mask"]
        assert np.array_equal(labels > 0, np.ones(labels.shape, bool) if inside is None else inside)


@given(st.data())
def test_other_repulsive_offsets_again_and_again(small_tiles, drawn, data):
    vectors, affinities, offsets, arguments = data.draw(drawn())
    ndim = affinities.ndim - 1
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    vectors = exact_vectors(rng, affinities.shape[1:], 16, data.draw(st.integers(1, 7)))
    pixels = rng.permutation(affinities[0].size)
    said = data.draw(st.booleans()) and len(pixels) >= 8
    told = {
        "mask": arguments["mask"],
        "bias": data.draw(st.sampled_from([0.0, 0.25, -0.25])),
        "must_link": pixels[:4].reshape(2, 2) if said else None,
        "cannot_link": pixels[4:8].reshape(2, 2) if said else None,
        "threads": data.draw(st.integers(1, 2)),
    }
    direct, further = offsets[:ndim], offsets[ndim:]
    with small_tiles():
        watershed = EmbeddingWatershed(vectors, direct, **told)
        foreseen = [(), further[1:], further, further[:2]]
        for some in (further, further[:1], further[::-1], further):
            watershed.foresee(data.draw(st.sampled_from(foreseen)))
            every = data.draw(st.none() | st.integers(1, 3))
            expected = embedding_mutex_watershed(
                vectors, direct + list(some), ndim, strides=every, **told
            )
            assert np.array_equal(watershed.partition(some, strides=every), expected)


def test_opposite_vectors_do_not_merge_within_a_tight_cluster():
    # Two tight groups that are nearly opposite, joined by one weak chain.
    vectors = np.zeros((2, 1, 12), np.float32)
    vectors[0, 0, :6] = 1
    vectors[1, 0, 6:] = 1
    labels = embedding_mutex_watershed(vectors, [(0, -1), (0, -2)], 1)
    assert labels.tolist() == [[1] * 6 + [2] * 6]


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_layout_and_type_do_not_matter(dtype):
    vectors = exact_vectors(np.random.default_rng(0), (9, 11), 5, 4)
    expected = embedding_mutex_watershed(vectors, FOUR)
    assert np.array_equal(embedding_mutex_watershed(pixel_major(vectors), FOUR), expected)
    assert np.array_equal(embedding_mutex_watershed(vectors.astype(dtype), FOUR), expected)


def test_input_is_not_changed():
    vectors = exact_vectors(np.random.default_rng(0), (9, 11), 16, 4)
    rows = pixel_major(vectors)
    rows.flags.writeable = False
    embedding_mutex_watershed(rows, FOUR)
    assert np.array_equal(rows, vectors)


def test_vectors_of_no_length_have_affinity_zero():
    vectors = np.zeros((4, 5, 5), np.float32)
    expected = mutex_watershed(np.zeros((4, 5, 5)), FOUR)
    assert np.array_equal(embedding_mutex_watershed(vectors, FOUR), expected)
    vectors[0, :2] = 1
    expected = mutex_watershed(embedding_affinities(vectors, FOUR), FOUR)
    assert np.array_equal(embedding_mutex_watershed(vectors, FOUR), expected)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (1, 1), (4, 0, 4)])
def test_tiny_images(shape):
    offsets = -np.eye(len(shape), dtype=int)
    labels = embedding_mutex_watershed(np.ones((1, *shape), np.float32), offsets)
    assert labels.shape == shape
    assert labels.dtype == np.uint32
    assert np.all(labels == 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vectors": np.ones((3, 6, 7), int)}, "Embedding vectors must be floating-point"),
        ({"vectors": np.ones((6, 7))}, r"An embedding must have shape \(D, y, x\)"),
        ({"vectors": np.full((3, 6, 7), np.nan)}, "infinite or not numbers"),
        ({"vectors": np.full((3, 6, 7), np.inf)}, "infinite or not numbers"),
        ({"vectors": np.full((3, 6, 7), 0.7)}, "longer than 1"),
        ({"offsets": [(1, 0, 0)]}, "need one offset of 2 steps"),
        ({"offsets": [*FOUR[:3], (0, 0)]}, "pairs each pixel with itself"),
        ({"offsets": 3}, "need one offset of 2 steps"),
        ({"n_attractive": 5}, "between 0 and 4"),
        ({"strides": 0}, "Strides must be"),
        ({"mask": np.ones((7, 6), bool)}, "The mask must have the shape"),
        ({"bias": np.nan}, "bias"),
        ({"threads": 0}, "threads"),
    ],
)
def test_bad_input_is_named(changes, message):
    vectors = unit_vectors(np.ones((3, 6, 7), np.float32))
    with pytest.raises(InputError, match=message):
        embedding_mutex_watershed(**({"vectors": vectors, "offsets": FOUR} | changes))
