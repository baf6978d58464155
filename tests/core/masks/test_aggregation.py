"""MaskAggr against the algorithm in plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.masks.aggregation import (
    MaskAffinities,
    aggregate,
    aggregate_masks,
)
from napari_pea.core.masks.device import aggregate_on_device
from napari_pea.core.masks.lattice import MaskLattice, sources_of
from napari_pea.core.progress import CancelToken
from napari_pea.experiments.benchmark_masks import plain_loops

FLAT = (MaskLattice((1, 1), (3, 5)), MaskLattice((2, 2), (3, 3)))
DEEP = (MaskLattice((1, 1, 1), (3, 3, 3)), MaskLattice((1, 2, 2), (5, 3, 3)))
OFFSETS = {
    2: [(-1, 0), (0, -2), (1, -1), (-2, 2)],
    3: [(-1, 0, 0), (0, 0, -1), (0, -2, 0), (-2, 0, 0), (-1, -2, 2)],
}


def random_masks(lattices, shape, seed=0):
    rng = np.random.default_rng(seed)
    masks = [rng.random((lattice.size, *shape), dtype=np.float32) for lattice in lattices]
    for values in masks:  # entries that are sure, and some without any evidence
        values[values < 0.2] = 0
        values[values > 0.9] = 1
    return masks


def evidence(masks, lattices, offset, pixel):
    """Yield affinity and weight that each mask says about a pair of pixels."""
    shape = masks[0].shape[1:]
    for branch, first, second in sources_of(offset, lattices):
        lattice = lattices[branch]
        for i, j in zip(first, second, strict=True):
            owner = np.subtract(pixel, lattice.steps[i])
            if ((owner >= 0) & (owner < shape)).all():
                ends = [
                    np.float32(1) if entry == lattice.centre else masks[branch][(entry, *owner)]
                    for entry in (i, j)
                ]
                yield min(ends), max(ends)


def reader(masks):
    return lambda branch, region: masks[branch][(slice(None), *region)]


def assert_equal(found: MaskAffinities, wanted: MaskAffinities) -> None:
    np.testing.assert_array_equal(found.affinities, wanted.affinities)
    np.testing.assert_array_equal(found.variances, wanted.variances)


@settings(max_examples=30)
@given(
    ndim=st.sampled_from([2, 3]),
    sides=st.tuples(*[st.integers(1, 5)] * 3),
    seed=st.integers(0, 1000),
    threads=st.integers(1, 3),
)
def test_equals_plain_loops_to_the_last_bit(ndim, sides, seed, threads) -> None:
    lattices = FLAT if ndim == 2 else DEEP
    masks = random_masks(lattices, sides[-ndim:], seed)
    offsets = [OFFSETS[ndim][seed % len(OFFSETS[ndim])], OFFSETS[ndim][0]]
    found = aggregate_masks(masks, lattices, offsets, threads=threads)
    assert_equal(found, plain_loops(masks, lattices, offsets))


def test_is_the_weighted_mean_and_the_corrected_variance() -> None:
    masks = random_masks(FLAT, (6, 7))
    offset = (0, -2)
    found = aggregate_masks(masks, FLAT, [offset])
    values, weights = np.array(list(evidence(masks, FLAT, offset, (3, 4))), dtype=float).T
    mean = np.average(values, weights=weights)
    spread = (weights * (values - mean) ** 2).sum()
    variance = spread / (weights.sum() - (weights**2).sum() / weights.sum())
    assert found.affinities[0, 3, 4] == pytest.approx(mean, rel=1e-5)
    assert found.variances[0, 3, 4] == pytest.approx(variance, rel=1e-5)


@pytest.mark.parametrize("most_bytes", [1, 20_000, 60_000, 200_000])
@pytest.mark.parametrize("ndim", [2, 3])
def test_blocks_do_not_change_the_result(ndim, most_bytes) -> None:
    lattices, shape = (FLAT, (23, 9)) if ndim == 2 else (DEEP, (9, 8, 6))
    masks = random_masks(lattices, shape)
    steps = []
    found = aggregate(
        shape,
        reader(masks),
        lattices,
        OFFSETS[ndim],
        most_bytes=most_bytes,
        threads=2,
        progress=lambda done, total: steps.append((done, total)),
    )
    whole = aggregate_masks(masks, lattices, OFFSETS[ndim])
    assert_equal(found, whole)
    assert steps[0][0] == 0
    assert steps[-1][0] == steps[-1][1] == len(steps) - 1


@pytest.mark.parametrize("most_bytes", [1, 100_000, 10_000_000])
@pytest.mark.parametrize("ndim", [2, 3])
def test_pytorch_says_the_same(ndim, most_bytes) -> None:
    lattices, shape = (FLAT, (9, 14)) if ndim == 2 else (DEEP, (4, 6, 5))
    masks = random_masks(lattices, shape)
    found = aggregate_on_device(
        shape,
        reader([torch.from_numpy(values) for values in masks]),
        lattices,
        OFFSETS[ndim],
        most_bytes=most_bytes,
    )
    wanted = aggregate_masks(masks, lattices, OFFSETS[ndim])
    np.testing.assert_allclose(found.affinities, wanted.affinities, atol=1e-6)
    np.testing.assert_allclose(found.variances, wanted.variances, atol=1e-6)


def test_masks_of_labels_give_their_affinities_without_doubt() -> None:
    labels = np.kron([[1, 2], [3, 3]], np.ones((8, 9), int))
    lattice = MaskLattice((1, 1))
    padded = np.pad(labels, 3)
    masks = np.stack(
        [padded[3 + dy : 19 + dy, 3 + dx : 21 + dx] == labels for dy, dx in lattice.steps.tolist()]
    ).astype(np.float32)
    found = aggregate_masks([masks], [lattice], [(-3, 0), (0, -2)])
    np.testing.assert_array_equal(found.affinities[0, 3:], labels[3:] == labels[:-3])
    np.testing.assert_array_equal(found.affinities[1, :, 2:], labels[:, 2:] == labels[:, :-2])
    assert found.affinities[0, :3].max() == found.affinities[1, :, :2].max() == 0
    assert found.variances.max() < 1e-6


def test_masks_that_disagree_are_uncertain() -> None:
    lattice = MaskLattice((1, 1), (3, 3))
    masks = np.ones((9, 8, 8), np.float32)
    rng = np.random.default_rng(0)
    masks[:, :, 4:] = rng.random((9, 8, 4)) < 0.5
    found = aggregate_masks([masks], [lattice], [(0, -1)])
    assert found.variances[0, :, 1:3].max() == 0
    assert found.variances[0, :, 5:].mean() > 0.05


def test_memory_does_not_grow_with_the_image() -> None:
    sizes = []

    def read(branch, region):
        sides = [part.stop - part.start for part in region]
        sizes.append(DEEP[branch].size * int(np.prod(sides)))
        return np.zeros((DEEP[branch].size, *sides), np.float32)

    largest = []
    for depth in (10, 40):
        sizes.clear()
        aggregate((depth, 24, 6), read, DEEP, [(-1, 0, 0), (0, -1, 0)], most_bytes=400_000)
        largest.append(max(sizes))
    assert largest[0] == largest[1] < 400_000 / 4
    # Along the first axis no mask is read twice.
    every = 40 * 24 * 6 * sum(lattice.size for lattice in DEEP)
    assert sum(sizes) < 1.6 * every


def test_masks_are_not_changed() -> None:
    masks = random_masks(FLAT, (5, 5))
    before = [values.copy() for values in masks]
    aggregate_masks(masks, FLAT, [(0, -1)])
    for values, kept in zip(masks, before, strict=True):
        np.testing.assert_array_equal(values, kept)


def test_it_can_be_cancelled() -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        aggregate_masks(random_masks(FLAT, (5, 5)), FLAT, [(0, -1)], cancel=cancel)


def test_masks_that_do_not_fit_are_refused() -> None:
    masks = random_masks(FLAT, (5, 5))
    with pytest.raises(InputError, match="entries"):
        aggregate_masks([masks[0], masks[1][:, 1:]], FLAT, [(0, -1)])
    with pytest.raises(InputError, match="do not reach"):
        aggregate_masks(masks, FLAT, [(0, -9)])
