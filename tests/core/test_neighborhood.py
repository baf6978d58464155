from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import (
    DEFAULT_RANGES,
    Neighborhood,
    graph_offsets,
    sparse_offsets,
)


def test_4_neighborhood_is_that_of_the_paper() -> None:
    neighborhood = Neighborhood((1, 3, 5, 9, 27))
    assert neighborhood.offsets.tolist() == [
        [-1, 0], [0, -1],
        [-3, 0], [0, -3],
        [-5, 0], [0, -5],
        [-9, 0], [0, -9],
        [-27, 0], [0, -27],
    ]  # fmt: skip
    assert neighborhood.offsets.dtype == np.int64
    assert neighborhood.n_attractive == 2


def test_8_neighborhood_has_both_diagonals_after_the_axes_of_each_range() -> None:
    assert Neighborhood((1, 9), 8).offset_list == (
        (-1, 0), (0, -1), (-1, -1), (-1, 1),
        (-9, 0), (0, -9), (-9, -9), (-9, 9),
    )  # fmt: skip


def test_3d_neighborhood_of_anisotropic_stacks_has_the_twelve_channels_of_the_paper() -> None:
    neighborhood = Neighborhood((1, 3, 9, 27), ndim=3, z_ranges=(1, 2, 3, 4))
    assert neighborhood.offset_list == (
        (-1, 0, 0), (0, -1, 0), (0, 0, -1),
        (-2, 0, 0), (0, -3, 0), (0, 0, -3),
        (-3, 0, 0), (0, -9, 0), (0, 0, -9),
        (-4, 0, 0), (0, -27, 0), (0, 0, -27),
    )  # fmt: skip
    assert neighborhood.n_attractive == 3


@pytest.mark.parametrize(("ndim", "connectivity"), [(2, 4), (2, 8), (3, 6), (3, 18), (3, 26)])
def test_every_neighbor_occurs_once_in_one_direction(ndim: int, connectivity: int) -> None:
    offsets = Neighborhood((1,), connectivity, ndim).offset_list
    both = {*offsets, *(tuple(-step for step in offset) for offset in offsets)}
    reach = {4: 1, 8: 2, 6: 1, 18: 2, 26: 3}[connectivity]
    expected = {
        offset
        for offset in product((-1, 0, 1), repeat=ndim)
        if 1 <= np.count_nonzero(offset) <= reach
    }
    assert len(offsets) == connectivity // 2
    assert both == expected


def test_direct_neighbors_come_first_in_3d() -> None:
    offsets = Neighborhood((1, 5), 26, 3).offset_list
    assert offsets[:3] == ((-1, 0, 0), (0, -1, 0), (0, 0, -1))
    # Two axes: the last of them negative first; then all three.
    assert offsets[3:9] == (
        (-1, -1, 0), (-1, 1, 0), (-1, 0, -1), (-1, 0, 1), (0, -1, -1), (0, -1, 1),
    )  # fmt: skip
    assert offsets[13] == (-5, 0, 0)


def test_defaults() -> None:
    assert Neighborhood() == Neighborhood(DEFAULT_RANGES, 4, 2)
    assert Neighborhood(ndim=3).connectivity == 6
    assert len(Neighborhood().offsets) == 10


def test_ranges_are_sorted_unique_and_begin_with_1() -> None:
    neighborhood = Neighborhood((9, 3, 3))
    assert neighborhood.ranges == (1, 3, 9)
    assert Neighborhood(np.array([3, 9])) == neighborhood
    assert hash(Neighborhood((3, 9))) == hash(neighborhood)


def test_z_ranges_stay_with_their_ranges() -> None:
    neighborhood = Neighborhood((9, 3), ndim=3, z_ranges=(3, 2))
    assert neighborhood.ranges == (1, 3, 9)
    assert neighborhood.z_ranges == (1, 2, 3)


def test_no_offset_occurs_twice_where_sections_are_far_apart() -> None:
    neighborhood = Neighborhood((1, 3, 9), ndim=3, z_ranges=(1, 1, 1))
    assert neighborhood.offset_list == (
        (-1, 0, 0), (0, -1, 0), (0, 0, -1),
        (0, -3, 0), (0, 0, -3),
        (0, -9, 0), (0, 0, -9),
    )  # fmt: skip


def test_first_keeps_the_shortest_ranges() -> None:
    assert Neighborhood((1, 3, 5, 9), 8).first(2) == Neighborhood((1, 3), 8)
    stack = Neighborhood((1, 3, 9), ndim=3, z_ranges=(1, 2, 3))
    assert stack.first(2) == Neighborhood((1, 3), ndim=3, z_ranges=(1, 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ndim": 4}, "2 or 3 dimensions, not 4"),
        ({"connectivity": 6}, "Connectivity 6 does not exist in 2D: use 4 or 8"),
        ({"connectivity": 8, "ndim": 3}, "Connectivity 8 does not exist in 3D: use 6 or 18 or 26"),
        ({"ranges": ()}, "At least one range is needed"),
        ({"ranges": (0, 1)}, "whole number of at least 1, not 0"),
        ({"ranges": (1.5,)}, "not 1.5"),
        ({"ranges": (float("nan"),)}, "not nan"),
        ({"ranges": (float("inf"),)}, "not inf"),
        ({"ranges": (True,)}, "not True"),
        ({"ranges": "13"}, "not '1'"),
        ({"ranges": 3}, "must be a list of whole numbers, not 3"),
        ({"z_ranges": (1, 2, 3, 4, 5)}, "need a 3D neighborhood"),
        ({"ranges": (1, 3), "z_ranges": (1,), "ndim": 3}, "got 2 ranges and 1 z ranges"),
        ({"z_ranges": (0,), "ndim": 3}, "z range is a whole number of at least 1, not 0"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Neighborhood(**arguments)


def test_lsim_compares_the_pairs_of_its_table() -> None:
    graph = graph_offsets()
    assert len(graph) == len(set(graph)) == 16
    assert graph[:3] == ((-1, 0, 0), (0, -1, 0), (0, 0, -1))
    # As many of each kind as in the table: across sections, within them, both.
    assert [sum(bool(o[0]) and not any(o[1:]) for o in graph), sum(not o[0] for o in graph)] == [
        2,
        10,
    ]
    assert graph_offsets(2) == tuple(offset[1:] for offset in graph if not offset[0])
    assert graph_offsets(preset=True) == (*graph[:7], *graph[12:])
    assert graph_offsets(2, preset=True) == graph_offsets(2)
    assert len(sparse_offsets(0)) == 18
    assert set(sparse_offsets(0)) - set(graph) == {(-3, 0, 0), (-4, 0, 0)}


@pytest.mark.parametrize(("level", "far"), [(1, 14), (2, 12)])
def test_coarser_sparse_branches_look_as_far_in_pixels_of_the_image(level: int, far: int) -> None:
    offsets = np.array(sparse_offsets(level)) * [1, 2**level, 2**level]
    assert len(offsets) == 10
    assert sorted(set(np.abs(offsets[:, 1]).tolist())) == [0, 4, far]
    assert offsets[:, 0].tolist()[:4] == [-1, -2, -3, -4]
    assert len(sparse_offsets(level, 2)) == 6
