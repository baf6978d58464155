"""What single masks say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_pea.core.errors import InputError
from napari_pea.core.masks.aggregation import aggregate
from napari_pea.core.masks.device import aggregate_on_device
from napari_pea.core.masks.entries import EntryRecorder
from napari_pea.core.masks.lattice import MaskLattice

LATTICES = (MaskLattice((1, 1, 1)), MaskLattice((1, 4, 4)))
SHAPE = (4, 9, 11)
OFFSETS = [(0, 0, -1), (0, -8, 8), (-2, 0, 0)]


def drawn():
    rng = np.random.default_rng(0)
    masks = [rng.random((lattice.size, *SHAPE), dtype=np.float32) for lattice in LATTICES]
    return masks, lambda branch, region: masks[branch][(slice(None), *region)]


@pytest.mark.parametrize("most_bytes", [2**29, 2**16])
def test_the_mask_of_a_pixel_is_kept_while_all_are_averaged(most_bytes: int) -> None:
    masks, read = drawn()
    recorder = EntryRecorder(read, SHAPE, LATTICES, OFFSETS)
    averaged = aggregate(SHAPE, recorder, LATTICES, OFFSETS, most_bytes=most_bytes)
    wanted = aggregate(SHAPE, read, LATTICES, OFFSETS)
    np.testing.assert_array_equal(averaged.affinities, wanted.affinities)
    found = recorder.affinities()
    near, far, across = (
        [
            mask.reshape(*lattice.shape, *SHAPE)[place]
            for mask, lattice in zip(masks, LATTICES, strict=True)
        ]
        for place in ((2, 3, 2), (2, 1, 5), (0, 3, 3))
    )
    np.testing.assert_array_equal(found[0, ..., 1:], near[0][..., 1:])
    np.testing.assert_array_equal(found[1, :, 8:, :3], far[1][:, 8:, :3])
    # Both kinds of masks hold sections.
    np.testing.assert_allclose(found[2, 2:], (across[0] + across[1])[2:] / 2)
    # Nothing is said about what lies outside.
    assert not found[0, ..., 0].any()
    assert not found[1, :, :8].any()
    assert not found[2, :2].any()


def test_tensors_are_kept_too() -> None:
    masks, read = drawn()
    recorder = EntryRecorder(
        lambda branch, region: torch.from_numpy(np.ascontiguousarray(read(branch, region))),
        SHAPE,
        LATTICES,
        OFFSETS,
    )
    aggregate_on_device(SHAPE, recorder, LATTICES, OFFSETS)
    near = masks[0].reshape(*LATTICES[0].shape, *SHAPE)[2, 3, 2]
    np.testing.assert_array_equal(recorder.affinities()[0, ..., 1:], near[..., 1:])


def test_what_no_mask_reaches_is_refused() -> None:
    _, read = drawn()
    with pytest.raises(InputError, match="do not reach the offset"):
        EntryRecorder(read, SHAPE, LATTICES, [(0, 0, -7)])
