"""Multicut and average linkage of watershed pieces."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from napari_pea.core.affinity import label_affinities
from napari_pea.core.agglomeration import (
    MULTICUT_PIECES,
    WatershedSettings,
    average_linkage,
    boundary_map,
    multicut,
    watershed_pieces,
)
from napari_pea.core.errors import Cancelled
from napari_pea.core.neighborhood import Neighborhood, graph_offsets
from napari_pea.core.progress import CancelToken

WAYS = [multicut, average_linkage]
SMALL = WatershedSettings(sigma_seeds=1.0, sigma_weights=1.0, min_size=5)


def blocks(ndim=2, side=16):
    """Return six blocks side by side, or in two layers."""
    plane = np.kron([[1, 2, 3], [4, 5, 6]], np.ones((side, side), int))
    return plane if ndim == 2 else np.stack([plane] * 5 + [plane + 6] * 5)


def problem(labels, noise=0.05, offsets=None):
    """Return slightly noisy affinities of labels, soft at borders, with the offsets."""
    if offsets is None:
        offsets = Neighborhood((1, 3), ndim=labels.ndim).offset_list
    affinities, _ = label_affinities(labels, offsets)
    if noise:
        rng = np.random.default_rng(0)
        affinities = ndimage.minimum_filter(affinities, (*[1] * (labels.ndim - 1), 3, 3))
        # Sections alike, or their pieces would reach over each other's borders.
        affinities = np.abs(affinities - noise * rng.random(affinities.shape[-2:]))
    return affinities.astype(np.float32), offsets, labels.ndim


def assert_same_objects(found, truth):
    pairs = np.unique(np.stack([truth.ravel(), found.ravel()]), axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ndim", [2, 3])
def test_objects_that_touch_are_found(way, ndim):
    truth = blocks(ndim)
    labels = way(*problem(truth), watershed=SMALL)
    # Beside a border, a pixel or two may go to the other side.
    inner = np.zeros(truth.shape, bool)
    inner[..., 2::16, 2::16] = inner[..., 8::16, 8::16] = True
    assert labels.dtype == np.uint32
    assert_same_objects(labels[inner], truth[inner])
    assert labels.max() == truth.max()


def test_average_linkage_takes_the_graph_of_lsim():
    truth = blocks(3)
    affinities, offsets, _ = problem(truth, offsets=graph_offsets())
    found = average_linkage(affinities, offsets, 3, watershed=SMALL)
    inner = np.zeros(truth.shape, bool)
    inner[..., 8::16, 8::16] = True
    assert_same_objects(found[inner], truth[inner])


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_found_outside_the_mask_nor_joined_across_it(way):
    truth = np.zeros((24, 40), int)
    truth[4:20, 4:18] = 1
    truth[4:20, 20:36] = 2
    affinities, offsets, n_attractive = problem(np.ones_like(truth), noise=0)
    labels = way(affinities, offsets, n_attractive, mask=truth > 0, watershed=SMALL)
    assert_same_objects(labels, truth)
    assert labels[0, 0] == 0


@pytest.mark.parametrize("way", WAYS)
def test_objects_are_numbered_in_the_order_of_their_first_pixels(way):
    labels = way(*problem(blocks()), watershed=SMALL)
    _, first = np.unique(labels, return_index=True)
    assert np.array_equal(np.unique(labels), np.arange(1, 7))
    assert (np.diff(first) > 0).all()


@pytest.mark.parametrize("way", WAYS)
def test_bias_merges_or_splits(way):
    affinities, offsets, n_attractive = problem(blocks())
    affinities = 0.2 + 0.6 * affinities  # nothing is sure
    sure = WatershedSettings(threshold=0.5, sigma_seeds=1.0, sigma_weights=1.0, min_size=5)
    counts = [
        int(way(affinities, offsets, n_attractive, bias=bias, watershed=sure).max())
        for bias in (0.0, 0.95)
    ]
    assert counts == [6, 1]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 1, 5)])
def test_tiny_and_uniform_images_are_one_object(way, shape):
    labels = way(*problem(np.ones(shape, int), noise=0))
    assert np.array_equal(labels, np.ones(shape))


@pytest.mark.parametrize("way", WAYS)
def test_where_everything_is_a_boundary_a_section_is_one_piece(way):
    truth = np.arange(48).reshape(6, 8) + 1
    affinities, offsets, n_attractive = problem(truth, noise=0)
    assert way(affinities, offsets, n_attractive).max() == 1


@pytest.mark.parametrize("way", WAYS)
def test_an_empty_mask_gives_no_objects(way):
    truth = blocks()
    assert not way(*problem(truth), mask=np.zeros(truth.shape, bool)).any()


@pytest.mark.parametrize("way", WAYS)
def test_it_can_be_cancelled(way):
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        way(*problem(blocks()), cancel=token)


def test_the_boundary_lies_between_the_objects_and_not_at_the_border():
    affinities, offsets, n_attractive = problem(blocks(3), noise=0)
    cut = boundary_map(affinities[:n_attractive], offsets[:n_attractive])
    assert cut.shape == (10, 32, 48)
    assert cut[0, 0].nonzero()[0].tolist() == [15, 16, 31, 32]
    assert cut[0, :, 0].nonzero()[0].tolist() == [15, 16]
    assert np.array_equal(cut[0], cut[5])  # what lies between sections cuts none


def test_pieces_stay_within_sections_and_objects():
    truth = blocks(3)
    affinities, offsets, n_attractive = problem(truth)
    pieces = watershed_pieces(
        affinities[:n_attractive], offsets[:n_attractive], None, MULTICUT_PIECES
    )
    for one, other in pairwise(pieces):
        assert not np.isin(one, other).any()
    assert np.array_equal(np.unique(pieces), np.arange(1, pieces.max() + 1))


@pytest.mark.parametrize("way", WAYS)
def test_a_foreground_that_is_all_boundary_is_one_piece_each(way):
    affinities = np.ones((2, 12, 20), np.float32)
    affinities[:, 3:6] = 0
    mask = np.zeros((12, 20), bool)
    mask[4, 2:8] = mask[4, 12:18] = True
    labels = way(affinities, [(-1, 0), (0, -1)], 2, mask=mask)
    assert labels[4, 2:8].tolist() == [1] * 6
    assert labels[4, 12:18].tolist() == [2] * 6
    assert not labels[~mask].any()
