"""Absorbing pieces by hand-made embeddings, and against a plain reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pea.core.affinity import embedding_affinities
from napari_pea.core.constraints import Constraints
from napari_pea.core.errors import InputError
from napari_pea.core.field import AffinityField
from napari_pea.core.fragments import (
    CRUMB_SHARE,
    EVIDENCE_RANGES,
    PIECE_SHARE,
    absorb_fragments,
    typical_size,
)
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.core.predict import Embedding
from napari_pea.core.refine import refine
from napari_pea.core.settings import SegmentationSettings

#: Vectors of unit length whose cosines are exact, so that sums do not depend on their order.
WORDS = np.array(
    [[1, 0, 0, 0], [0, 1, 0, 0], [-1, 0, 0, 0], [0.5, 0.5, 0.5, 0.5], [0.5, -0.5, 0.5, 0.5]],
    np.float32,
)


def embed(words):
    """Return the embedding of an image from the number of the word at each pixel."""
    return Embedding(np.ascontiguousarray(np.moveaxis(WORDS[words], -1, 0)), None)


def flat(shape):
    """Return an embedding that is the same everywhere."""
    return Embedding(np.ones((2, *shape), np.float32), None)


def two_objects():
    """Two objects of 20×20 pixels side by side with opposite embeddings."""
    labels = np.zeros((24, 44), np.uint32)
    labels[2:22, 2:22] = 1
    labels[2:22, 22:42] = 2
    return labels, (labels == 2).astype(int)


def test_piece_goes_where_its_embedding_says_not_where_most_pixels_are():
    labels, words = two_objects()
    pieces = labels.copy()
    pieces[8:14, 18:22] = 3  # inside the left object, but it looks like the right one
    words[8:14, 18:22] = 1
    absorbed = absorb_fragments(pieces, embed(words))
    assert (absorbed[8:14, 18:22] == 2).all()
    assert np.array_equal(absorbed[pieces < 3], labels[pieces < 3])


def test_small_object_unlike_its_neighbor_stays():
    labels, words = two_objects()
    labels[8:14, 18:22] = 3
    words[8:14, 18:22] = 2  # cosine -1 to the left object, 0 to the right one
    assert np.array_equal(absorb_fragments(labels, embed(words)), labels)


def test_crumb_is_never_left_alone():
    labels, words = two_objects()
    assert CRUMB_SHARE * 400 > 4
    labels[8:10, 18:20] = 3
    words[8:10, 18:20] = 2
    assert set(np.unique(absorb_fragments(labels, embed(words)))) == {0, 1, 2}


def test_objects_are_not_merged_whatever_the_affinity():
    labels, _ = two_objects()
    words = np.zeros(labels.shape, int)
    assert np.array_equal(absorb_fragments(labels, embed(words)), labels)


def test_piece_that_touches_nothing_stays():
    labels, words = two_objects()
    labels[:, 22] = 0
    labels[8:14, 23:42] = np.where(labels[8:14, 23:42] > 0, 2, 0)
    labels[10:12, 22] = 0
    labels[0, 30] = 3  # one empty row from the right object
    assert absorb_fragments(labels, embed(words))[0, 30] == 3


def test_diagonal_neighbors_do_not_touch():
    labels = np.zeros((12, 12), np.uint32)
    labels[:8, :8] = 1
    labels[8:10, 8:10] = 2
    assert np.array_equal(absorb_fragments(labels, embed(np.zeros((12, 12), int))), labels)


def test_ring_of_crumbs_is_put_together_and_absorbed():
    labels, words = two_objects()
    labels[2:22, 2] = np.arange(10, 30)
    assert set(np.unique(absorb_fragments(labels, embed(words)))) == {0, 1, 2}


def test_piece_that_has_grown_is_judged_by_all_its_pixels():
    labels = np.zeros((20, 42), np.uint32)
    labels[:, 12:] = 2
    words = np.where(labels == 2, 3, 0)  # cosine 0.5 between it and all others
    labels[8:12, 4:9] = 3
    labels[9, 9:12] = 4  # the bridge from 3 to 2
    labels[9, 1:4] = 5
    absorbed = absorb_fragments(labels, embed(words), least_affinity=0.01)
    assert np.array_equal(absorbed, np.where(labels > 0, 2, 0))
    apart = absorb_fragments(labels, embed(words), least_affinity=0.1)
    assert np.array_equal(apart, np.where(labels > 3, 3, labels))


def test_what_cannot_be_one_object_is_not_merged():
    labels, words = two_objects()
    words[:] = 0
    labels[8:14, 2:6] = 3
    barred = np.array([[10 * 44 + 3, 10 * 44 + 15]])
    constraints = Constraints(np.zeros((0, 2), np.int64), barred)
    assert np.array_equal(absorb_fragments(labels, embed(words), constraints), labels)
    assert 3 not in absorb_fragments(labels, embed(words), Constraints.none())


def test_what_cannot_be_one_object_is_not_merged_by_way_of_a_third():
    labels = np.zeros((20, 60), np.uint32)
    labels[:, :40] = 1
    labels[:, 40:44] = 2
    labels[:, 44:50] = 3
    words = np.zeros((20, 60), int)
    barred = np.array([[0, 48]])  # in 1 and 3, with 2 between them
    constraints = Constraints(np.zeros((0, 2), np.int64), barred)
    absorbed = absorb_fragments(labels, embed(words), constraints)
    assert absorbed[0, 0] != absorbed[0, 48]
    assert len(np.unique(absorbed[labels > 0])) == 2
    assert len(np.unique(absorb_fragments(labels, embed(words))[labels > 0])) == 1


def test_volume():
    labels = np.zeros((8, 8, 8), np.int64)
    labels[:4], labels[4:] = 1, 2
    words = (labels == 2).astype(int)
    pieces = labels.copy()
    pieces[3, 3:5, 3:5] = 3
    words[3, 3:5, 3:5] = 1
    absorbed = absorb_fragments(pieces, embed(words))
    assert (absorbed[3, 3:5, 3:5] == 2).all()
    assert absorbed.dtype == np.int64


def reference(labels, vectors, barred, least):
    """The rule in its plainest form."""
    labels = labels.copy()
    offsets = Neighborhood(EVIDENCE_RANGES, ndim=labels.ndim).offsets
    steps = np.concatenate((offsets, -offsets))
    affinities = embedding_affinities(vectors, steps)
    typical = typical_size(np.bincount(labels.ravel())[1:])
    largest = int(PIECE_SHARE * typical)
    done = set()
    while True:
        ids, sizes = np.unique(labels[labels > 0], return_counts=True)
        due = [
            (size, label)
            for label, size in zip(ids.tolist(), sizes.tolist(), strict=True)
            if size <= largest and (size, label) not in done
        ]
        if not due:
            return labels
        size, piece = min(due)
        done.add((size, piece))
        total, touching = {}, set()
        for step, channel in zip(steps, affinities, strict=True):
            for pixel in np.argwhere(labels == piece):
                partner = pixel + step
                if (partner < 0).any() or (partner >= labels.shape).any():
                    continue
                other = int(labels[tuple(partner)])
                if other in (0, piece):
                    continue
                total[other] = total.get(other, 0.0) + float(channel[tuple(pixel)])
                if np.abs(step).sum() == 1:
                    touching.add(other)
        flat = labels.ravel()
        excluded = {tuple(sorted(flat[list(pair)].tolist())) for pair in barred}
        allowed = [n for n in touching if tuple(sorted((n, piece))) not in excluded]
        if not allowed:
            continue
        target = min(allowed, key=lambda n: (-total[n], n))
        if size >= np.ceil(CRUMB_SHARE * typical) and total[target] < least * size * len(steps):
            continue
        labels[labels == piece] = target


def strewn(seed):
    """Two large objects with pieces, gaps and odd pixels strewn over them."""
    rng = np.random.default_rng(seed)
    shape = [(14, 16), (1, 90), (90, 1), (4, 7, 8)][seed % 4]
    count = int(np.prod(shape))
    labels = np.where(np.arange(count) < count // 2, 11, 4).astype(np.uint32)
    words = rng.integers(0, 5, count) * (rng.random(count) < rng.random())
    for start in rng.integers(0, count, 25):
        labels[start : start + rng.integers(1, 9)] = rng.integers(0, 21)
    barred = rng.integers(0, count, (rng.integers(0, 12), 2))
    return labels.reshape(shape), embed(words.reshape(shape)), barred


@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.03125, 0.125, 1.0]))
def test_equals_the_plain_rule(seed, least):
    labels, embedding, barred = strewn(seed)
    constraints = Constraints(np.zeros((0, 2), np.int64), barred)
    expected = reference(labels, embedding.vectors, barred, least)
    absorbed = absorb_fragments(labels, embedding, constraints, least_affinity=least)
    assert np.array_equal(absorbed, expected)
    # The same affinities, some noted at the other end.
    offsets = Neighborhood(EVIDENCE_RANGES, ndim=labels.ndim).offsets
    offsets[::2] *= -1
    field = AffinityField(embedding.affinities(offsets), tuple(map(tuple, offsets.tolist())))
    absorbed = absorb_fragments(labels, field, constraints, least_affinity=least)
    assert np.array_equal(absorbed, expected)


def test_refine_uses_the_embedding_and_obeys_the_switch():
    labels, words = two_objects()
    pieces = labels.copy()
    pieces[8:14, 18:22] = 3
    words[8:14, 18:22] = 1
    settings = SegmentationSettings(min_size=0)
    refined = refine(pieces, settings, evidence=embed(words))
    assert (refined[8:14, 18:22] == refined[10, 30]).all()
    kept = refine(pieces, settings.updated(merge_fragments=False), evidence=embed(words))
    assert np.array_equal(kept, pieces)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_type_ids_layout_and_input_are_kept(dtype):
    labels, words = two_objects()
    labels[8:10, 18:20] = 100
    embedding = embed(words)
    expected = absorb_fragments(labels, embedding)
    given_labels = np.asfortranarray(labels.astype(dtype))
    given_labels.flags.writeable = False
    wide = Embedding(np.repeat(embedding.vectors, 2, axis=2)[:, :, ::2], None)
    absorbed = absorb_fragments(given_labels, wide)
    assert absorbed.dtype == dtype
    assert np.array_equal(absorbed, expected)
    assert 100 in given_labels


def test_huge_ids_need_no_more_memory():
    labels, words = two_objects()
    labels[8:10, 18:20] = 3
    far = 2**60
    moved = np.where(labels > 0, labels.astype(np.int64) + far, 0)
    expected = absorb_fragments(labels, embed(words))
    absorbed = absorb_fragments(moved, embed(words))
    assert np.array_equal(absorbed, np.where(expected > 0, expected.astype(np.int64) + far, 0))


@pytest.mark.parametrize("shape", [(5, 5), (0, 5), (1, 5)])
def test_image_without_objects(shape):
    assert not absorb_fragments(np.zeros(shape, np.uint32), flat(shape)).any()


def test_what_does_not_fit_is_named():
    with pytest.raises(InputError, match=r"shape \(4, 3\) does not fit labels of shape \(3, 4"):
        absorb_fragments(np.ones((3, 4), int), flat((4, 3)))
    with pytest.raises(InputError, match="does not fit"):
        absorb_fragments(np.ones(4, int), flat((4,)))
