"""Holes are those of the whole array, wherever the faces of blocks lie."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_pea.core.refine import fill_holes
from napari_pea.volumes.grid import Grid
from napari_pea.volumes.holes import Background, filled, owners_of_holes


def by_blocks(labels, side):
    grid = Grid(labels.shape, side, (0,) * labels.ndim)
    kept = {
        block.number: Background.of(labels[block.core].astype(np.int64), block, grid)
        for block in grid
    }
    owners = owners_of_holes(grid, lambda block: kept[block.number])
    result = np.empty_like(labels)
    for block in grid:
        result[block.core] = filled(labels[block.core].astype(np.int64), owners[block.number])
    return result


@given(st.data())
def test_holes_of_blocks_are_those_of_the_array(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    ndim = data.draw(st.sampled_from([2, 3]))
    shape = tuple(data.draw(st.lists(st.integers(1, 9), min_size=ndim, max_size=ndim)))
    side = tuple(data.draw(st.lists(st.integers(1, 5), min_size=ndim, max_size=ndim)))
    n_objects = data.draw(st.integers(1, 3))
    labels = rng.integers(1, n_objects + 1, shape) * (rng.random(shape) < 0.7)
    assert np.array_equal(by_blocks(labels, side), fill_holes(labels))


def test_a_hole_in_four_blocks_is_filled():
    labels = np.ones((20, 20), np.int64)
    labels[4:16, 3:17] = 0
    assert by_blocks(labels, (10, 10)).all()
    labels[9:11, 9:11] = 2  # now two objects touch it
    assert np.array_equal(by_blocks(labels, (10, 10)), labels)
