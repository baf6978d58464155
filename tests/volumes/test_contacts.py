"""Every pixel pair between objects is counted once, in a block or across its faces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pea.core.affinity import embedding_affinities, pair_slices
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.volumes.contacts import Contacts, Crossing, contacts_within, reach_of
from napari_pea.volumes.grid import Grid, relative, widened


def all_contacts(labels, vectors, neighborhood, strides, bias):
    """Return the contacts of a whole array, pair by pair."""
    affinities = embedding_affinities(vectors, neighborhood.offsets)
    objects, evidence = [np.zeros((0, 2), int)], [np.zeros(0)]
    for channel, offset in enumerate(neighborhood.offset_list):
        slices = pair_slices(labels.shape, offset)
        if slices is None:
            continue
        here, there = slices
        value = affinities[channel][here] - 0.5
        keep = np.ones(labels.shape, bool)
        if channel < neighborhood.n_attractive:
            value = value + bias
        else:
            keep[:] = False
            keep[tuple(slice(None, None, step) for step in strides)] = True
        keep = keep[here]
        objects.append(np.stack([labels[here][keep], labels[there][keep]], axis=1))
        evidence.append(value[keep])
    return Contacts.summed(np.concatenate(objects), np.concatenate(evidence))


def said_by(crossing, labels, affinities, bias):
    return Contacts.summed(crossing.objects(labels), crossing.evidence(affinities, bias))


def as_dict(contacts):
    return dict(zip(map(tuple, contacts.objects.tolist()), contacts.evidence, strict=True))


@given(st.data())
def test_pairs_of_all_blocks_are_those_of_the_array(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    ndim = data.draw(st.sampled_from([2, 3]))
    shape = tuple(data.draw(st.lists(st.integers(1, 7), min_size=ndim, max_size=ndim)))
    side = tuple(data.draw(st.lists(st.integers(1, 5), min_size=ndim, max_size=ndim)))
    connectivity = data.draw(st.sampled_from({2: [4, 8], 3: [6, 18, 26]}[ndim]))
    neighborhood = Neighborhood((1, data.draw(st.integers(2, 4))), connectivity, ndim)
    strides = tuple(data.draw(st.lists(st.integers(1, 3), min_size=ndim, max_size=ndim)))
    bias = data.draw(st.sampled_from([0.0, 0.25]))
    labels = rng.integers(0, 5, shape)
    vectors = rng.standard_normal((4, *shape)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=0)
    grid = Grid(shape, side, reach_of(neighborhood))
    found = []
    for block in grid:
        outer = (slice(None), *block.outer)
        within = contacts_within(
            labels[block.core].astype(np.uint32), vectors[outer], block, neighborhood, strides
        )
        frame = widened(block.core, reach_of(neighborhood), shape)
        crossing = Crossing.of(block, frame, grid, neighborhood, strides)
        affinities = crossing.affinities(vectors[(slice(None), *frame)])
        assert relative(block.core, frame)[0].start >= 0
        found += [within, said_by(crossing, labels[frame], affinities, bias)]
    expected = as_dict(all_contacts(labels, vectors, neighborhood, strides, 0.0))
    parts = Contacts.side_by_side(found)
    # Here the ids of two blocks may be the same.
    together = Contacts.summed(parts.objects, parts.evidence)
    if bias:  # within a block nothing is decided again, so the bias counts across faces only
        assert set(as_dict(together)) == set(expected)
        return
    blockwise = as_dict(together)
    assert set(blockwise) == set(expected)
    for pair, evidence in expected.items():
        assert blockwise[pair] == pytest.approx(evidence, abs=1e-4)


def test_bias_counts_for_direct_neighbours_across_faces():
    labels = np.array([[1, 2]])
    vectors = np.ones((1, 1, 2), np.float32)
    neighborhood = Neighborhood((1,))
    grid = Grid((1, 2), (1, 1), (1, 1))
    block = next(iter(grid))
    frame = widened(block.core, (1, 1), (1, 2))
    crossing = Crossing.of(block, frame, grid, neighborhood, (1, 1))
    contacts = said_by(crossing, labels, crossing.affinities(vectors), 0.25)
    assert as_dict(contacts) == {(1, 2): pytest.approx(0.75)}


def test_background_and_the_object_itself_do_not_count():
    objects = np.array([[1, 1], [0, 2], [3, 2], [2, 3]])
    contacts = Contacts.summed(objects, np.array([1.0, 1.0, 0.5, -0.25]))
    assert as_dict(contacts) == {(2, 3): 0.25}
    assert not len(Contacts.side_by_side([]).objects)
