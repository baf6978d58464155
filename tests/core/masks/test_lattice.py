"""Which pixels masks tell about."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pea.core.errors import InputError
from napari_pea.core.masks.lattice import (
    MaskLattice,
    reached_neighborhood,
    reached_ranges,
    reached_z_ranges,
    sources_of,
)
from napari_pea.core.neighborhood import Neighborhood, graph_offsets

FINE, COARSE = MaskLattice((1, 1, 1)), MaskLattice((1, 4, 4))
FLAT = (MaskLattice((1, 1)), MaskLattice((4, 4)))


def test_entries_lie_around_the_pixel() -> None:
    assert COARSE.shape == (5, 7, 7)
    assert COARSE.size == len(COARSE.steps) == 245
    assert COARSE.steps[COARSE.centre].tolist() == [0, 0, 0]
    assert COARSE.steps[0].tolist() == [-2, -12, -12]
    assert COARSE.steps[-1].tolist() == [2, 12, 12] == list(COARSE.reach)


@pytest.mark.parametrize("offset", [(-1, 0), (3, -2), (6, 6), (0, 4)])
def test_pairs_are_all_entries_an_offset_apart(offset) -> None:
    lattice = MaskLattice((1, 2))
    first, second = lattice.pairs(offset)
    found = set(zip(first.tolist(), second.tolist(), strict=True))
    steps = lattice.steps
    wanted = {
        (i, j)
        for i in range(lattice.size)
        for j in range(lattice.size)
        if (steps[j] - steps[i]).tolist() == list(offset)
    }
    assert found == wanted
    assert wanted


def test_there_are_no_pairs_between_entries() -> None:
    assert all(len(ends) == 0 for ends in COARSE.pairs((0, 0, 2)))


def test_outermost_entries_can_be_left_out() -> None:
    first, second = FINE.pairs((-2, 0, 0), (1, 0, 0))
    assert set(FINE.steps[first][:, 0]) == {1}
    assert set(FINE.steps[second][:, 0]) == {-1}
    assert len(first) == 49


def test_each_offset_asks_the_masks_that_the_authors_ask() -> None:
    lattices = (FINE, COARSE)
    asked = {
        offset: tuple(source.branch for source in sources_of(offset, lattices))
        for offset in graph_offsets()
    }
    assert asked[-1, 0, 0] == asked[-2, 0, 0] == (0, 1)
    assert asked[0, -1, 0] == asked[0, 0, -1] == (0,)
    others = [branches for offset, branches in asked.items() if any(np.abs(offset[1:]) > 1)]
    assert len(others) == 12
    assert set(others) == {(1,)}
    # Without the outermost sections: three are left, and two or one of them begin a pair.
    assert len(sources_of((-1, 0, 0), lattices)[0].first) == 2 * 49
    assert len(sources_of((0, -1, 0), lattices)[0].first) == 5 * 6 * 7


def test_the_ranges_that_can_be_chosen_are_those_that_masks_reach() -> None:
    assert reached_ranges(FLAT) == (1, 2, 3, 4, 8, 12)
    assert reached_ranges((FINE, COARSE)) == (1, 2, 3, 4, 8, 12)
    assert reached_z_ranges((FINE, COARSE)) == (1, 2)
    assert reached_z_ranges(FLAT) == ()
    assert reached_ranges((MaskLattice((8, 8)),)) == (8, 16, 24)


@pytest.mark.parametrize("lattices", [FLAT, (FINE, COARSE)])
def test_masks_reach_all_of_their_neighborhood(lattices) -> None:
    widest = {2: 8, 3: 26}[lattices[0].ndim]
    neighborhood = reached_neighborhood(lattices, widest)
    assert neighborhood.ranges == (1, 2, 3, 4, 8, 12)
    assert all(sources_of(offset, lattices) for offset in neighborhood.offset_list)


def test_what_masks_do_not_reach_is_said_with_what_they_do() -> None:
    for offset in Neighborhood((5,)).offset_list[2:]:
        with pytest.raises(InputError, match="1, 2, 3, 4, 8, 12"):
            sources_of(offset, FLAT)


@pytest.mark.parametrize(
    ("strides", "shape"), [((1,), ()), ((1, 0), ()), ((1, 1), (7, 6)), ((1, 1), (7,))]
)
def test_lattices_that_make_no_sense_are_refused(strides, shape) -> None:
    with pytest.raises(InputError):
        MaskLattice(strides, shape)
