"""From the signed graph of LSIM to objects."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_pea.core.affinity import label_affinities
from napari_pea.core.errors import Cancelled
from napari_pea.core.neighborhood import graph_offsets
from napari_pea.core.progress import CancelToken
from napari_pea.core.signed_graph import ROUTES, mutex_objects


def blocks(ndim):
    """Return six blocks side by side, in 3D in two layers."""
    plane = np.kron([[1, 2, 3], [4, 5, 6]], np.ones((20, 20), int))
    return plane if ndim == 2 else np.stack([plane] * 4 + [plane + 6] * 4)


def problem(truth, noise=0.3):
    """Return affinities of labels that are soft at borders and noisy."""
    offsets = graph_offsets(truth.ndim, preset=True)
    affinities, _ = label_affinities(truth, offsets)
    affinities = ndimage.minimum_filter(affinities, (*[1] * (truth.ndim - 1), 2, 2))
    rng = np.random.default_rng(0)
    # Sections alike, or pieces of a section would reach over the borders of the next.
    drawn = rng.random((len(offsets), *truth.shape[-2:]))
    affinities = np.abs(affinities - noise * (drawn if truth.ndim == 2 else drawn[:, None]))
    return affinities.astype(np.float32), offsets


def same_objects(found, truth):
    pairs = np.unique(np.stack([truth.ravel(), found.ravel()]), axis=1)
    return len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
@pytest.mark.parametrize("ndim", [2, 3])
def test_objects_that_touch_are_found_without_crumbs(route, ndim) -> None:
    truth = blocks(ndim)
    labels = route(*problem(truth), min_size=100)
    inner = np.zeros(truth.shape, bool)
    inner[..., 4::20, 4::20] = inner[..., 15::20, 15::20] = True
    assert labels.dtype == np.uint32
    assert same_objects(labels[inner], truth[inner])
    assert (labels > 0).all()
    assert labels.max() == truth.max()
    assert np.bincount(labels.ravel())[1:].min() >= 100


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_nothing_is_found_outside_the_foreground(route) -> None:
    truth = blocks(2)
    mask = np.ones(truth.shape, bool)
    mask[:, 8:12] = False  # cuts the first blocks in two
    labels = route(*problem(truth), mask=mask, min_size=50)
    assert not labels[~mask].any()
    assert len(np.unique(labels[5, [4, 16]])) == 2


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_objects_are_connected(route) -> None:
    # Two halves that all distant pairs want in one object, and a wall in between.
    truth = np.ones((24, 40), int)
    truth[:, 18:22] = 2
    affinities, offsets = problem(truth, noise=0.0)
    labels = route(affinities, offsets, min_size=0)
    for number in range(1, labels.max() + 1):
        assert ndimage.label(labels == number)[1] == 1
    assert labels[12, 5] != labels[12, 35]


def test_the_seed_draws_the_pairs_further_apart() -> None:
    truth = blocks(2)
    affinities, offsets = problem(truth, noise=1.0)
    first, again, other = (
        mutex_objects(affinities, offsets, min_size=1, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_can_be_cancelled(route) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        route(*problem(blocks(2)), cancel=token)
