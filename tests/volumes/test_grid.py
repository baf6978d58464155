from __future__ import annotations

import numpy as np
import pytest

from napari_pea.core.errors import InputError
from napari_pea.volumes.grid import Grid, relative, widened


def test_the_next_block_is_found():
    grid = Grid((10, 7, 9), (4, 3, 5), (1, 1, 1))
    blocks = list(grid)
    for block in blocks:
        for axis, part in enumerate(block.core):
            if part.stop < grid.shape[axis]:
                beyond = grid.beyond(block, axis)
                assert beyond == blocks[beyond.number]
                assert beyond.core[axis].start == part.stop


def test_blocks_look_at_the_same_pixels_as_the_whole_array():
    blocks = list(Grid((20, 20), (7, 7), (2, 3), steps=(3, 1)))
    assert {block.outer[0].start for block in blocks} == {0, 3, 12}
    assert {block.outer[1].start for block in blocks} == {0, 4, 11}
    assert all(block.outer[0].start <= max(0, block.core[0].start - 2) for block in blocks)


@pytest.mark.parametrize(
    ("shape", "block", "halo"),
    [((10, 7), (4, 3), (2, 0)), ((5, 6, 7), (5, 2, 9), (1, 1, 1)), ((1, 1), (8, 8), (3, 3))],
)
def test_cores_are_the_array_and_halos_stay_inside(shape, block, halo):
    grid = Grid(shape, block, halo)
    times = np.zeros(shape, int)
    for number, piece in enumerate(grid):
        assert piece.number == number
        times[piece.core] += 1
        outer = np.zeros(shape, bool)
        outer[piece.outer] = True
        assert outer[piece.core].all()
        frame = np.arange(np.prod(shape)).reshape(shape)
        assert np.array_equal(frame[piece.outer][piece.inner], frame[piece.core])
        assert piece.shape == frame[piece.core].shape
    assert (times == 1).all()
    assert len(grid) == len(list(grid)) == np.prod(grid.counts)


def test_a_margin_ends_where_the_array_ends():
    region = (slice(2, 4), slice(0, 3))
    assert widened(region, (1, 5), (5, 6)) == (slice(1, 5), slice(0, 6))
    assert relative(region, (slice(1, 5), slice(0, 6))) == (slice(1, 3), slice(0, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((5, 5), (2,), (0, 0)), "needs 2 sides"),
        (((5, 0), (2, 2), (0, 0)), "empty"),
        (((5, 5), (0, 2), (0, 0)), "at least 1"),
        (((5, 5), (2, 2), (-1, 0)), "at least 0"),
    ],
)
def test_what_does_not_fit_is_named(arguments, message):
    with pytest.raises(InputError, match=message):
        Grid(*arguments)
