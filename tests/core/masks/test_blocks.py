"""Blocks of an image, and the masks around them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pea.core.masks.blocks import MaskWindow, blocks_of, surroundings
from napari_pea.core.masks.lattice import MaskLattice

LATTICE = MaskLattice((1, 2, 2), (3, 3, 3))


@pytest.mark.parametrize("shape", [(5, 9, 7), (1, 1, 3), (12, 4, 4)])
@pytest.mark.parametrize("most_bytes", [1, 30_000, 10**9])
def test_blocks_cover_every_pixel_once(shape, most_bytes) -> None:
    times = np.zeros(shape, int)
    for block in blocks_of(shape, [LATTICE], most_bytes):
        times[block] += 1
        assert block[-1] == slice(0, shape[-1])
    assert (times == 1).all()


def test_an_image_that_fits_is_one_block() -> None:
    assert list(blocks_of((4, 5, 6), [LATTICE])) == [(slice(0, 4), slice(0, 5), slice(0, 6))]


def test_surroundings_end_with_the_image() -> None:
    region = surroundings((slice(0, 2), slice(4, 5), slice(0, 9)), LATTICE, (5, 9, 9))
    assert region == (slice(0, 3), slice(2, 7), slice(0, 9))


def test_a_window_that_slides_reads_only_what_is_new() -> None:
    masks = np.random.default_rng(0).random((LATTICE.size, 9, 8, 5), dtype=np.float32)
    masks[LATTICE.centre] = 1
    read = []

    def reader(branch, region):
        read.append(region[0])
        return masks[(slice(None), *region)]

    window = MaskWindow(LATTICE, 5)
    whole = (slice(2, 6), slice(0, 5))
    for first in (slice(0, 3), slice(1, 5), slice(4, 9), slice(0, 2)):
        window.move((first, *whole), 0, reader)
        held = np.moveaxis(window.masks[..., 2:7], 2, 0)
        np.testing.assert_array_equal(held, masks[:, first, 2:6])
        assert not window.masks[..., :2].any()
        assert not window.masks[..., 7:].any()
    assert read == [slice(0, 3), slice(3, 5), slice(5, 9), slice(0, 2)]
