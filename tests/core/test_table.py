"""Numbers of each object, by hand and against scikit-image."""

from __future__ import annotations

import hypothesis.extra.numpy as npst
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import regionprops_table

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.core.table import region_table

DIRECT = [(-1, 0), (0, -1)]


def test_columns_of_a_small_image():
    labels = np.array([[3, 3, 0], [0, 0, 7]], np.uint32)
    foreground = np.array([[1.0, 0.5, 0.2], [0.1, 0.3, 0.8]], np.float32)
    table = region_table(labels, foreground)
    expected = pd.DataFrame(
        {
            "label": np.array([3, 7], np.uint32),
            "area": [2, 1],
            "centroid-0": [0.0, 1.0],
            "centroid-1": [0.5, 2.0],
            "equivalent_diameter": [np.sqrt(8 / np.pi), np.sqrt(4 / np.pi)],
            "foreground": [0.75, 0.8],
        }
    )
    pd.testing.assert_frame_equal(table, expected, rtol=1e-6)


@given(
    npst.arrays(
        np.int32,
        npst.array_shapes(min_dims=2, max_dims=3, max_side=8),
        elements=st.integers(0, 5) | st.just(1000),
    )
)
def test_equals_scikit_image(labels):
    table = region_table(labels)
    expected = regionprops_table(
        labels, properties=("label", "area", "centroid", "equivalent_diameter_area")
    )
    expected["equivalent_diameter"] = expected.pop("equivalent_diameter_area")
    assert list(table) == list(expected)
    for name, values in expected.items():
        assert table[name].to_numpy() == pytest.approx(values)


def test_margin_is_the_affinity_inside_less_that_across():
    labels = np.array([[1, 1, 2], [1, 0, 2]])
    upward = [[0.0, 0.0, 0.0], [0.9, 0.5, 0.7]]
    left = [[0.0, 0.8, 0.3], [0.0, 0.6, 0.6]]
    table = region_table(labels, affinities=np.array([upward, left]), offsets=DIRECT)
    # Across: only 0.3, between (0, 1) and (0, 2). Pairs with background do not count.
    assert table["margin"].tolist() == pytest.approx([(0.9 + 0.8) / 2 - 0.3, 0.7 - 0.3])


def test_margin_uses_direct_neighbors_only():
    labels = np.array([[1, 1, 2, 2]])
    channels = np.array([[[0.0, 0.9, 0.2, 0.8]], [[0.5, 0.5, 0.5, 0.5]], [[0.9, 0.1, 0.7, 0.0]]])
    # The last channel tells the same neighbours from the other side.
    table = region_table(labels, affinities=channels, offsets=[(0, -1), (0, -2), (0, 1)])
    assert table["margin"].tolist() == pytest.approx([0.9 - 0.15, (0.8 + 0.7) / 2 - 0.15])


def test_margin_leaves_diagonal_neighbors_out():
    labels = np.array([[1, 1], [1, 2], [2, 2]])
    offsets = Neighborhood((1,), connectivity=8).offsets
    affinities = np.full((len(offsets), 3, 2), 0.5)
    affinities[:2] = 1.0
    table = region_table(labels, affinities=affinities, offsets=offsets)
    assert table["margin"].tolist() == [0.0, 0.0]


def test_margin_is_unknown_without_neighbors_or_without_an_inside():
    labels = np.array([[1, 1, 0, 0], [0, 0, 0, 2], [0, 0, 3, 3]])
    table = region_table(labels, affinities=np.ones((2, 3, 4)), offsets=DIRECT)
    # 1 touches no other object, 2 is one pixel, 3 has both.
    assert table["margin"].isna().tolist() == [True, True, False]
    far = region_table(labels, affinities=np.ones((2, 3, 4)), offsets=[(-3, 0), (0, -2)])
    assert far["margin"].isna().all()


def test_margin_in_a_volume_with_a_whole_neighborhood():
    labels = np.ones((4, 4, 4), int)
    labels[2:] = 2
    offsets = Neighborhood((1, 3), ndim=3).offsets
    affinities = np.ones((len(offsets), 4, 4, 4), np.float32)
    affinities[0, 2] = 0.25
    table = region_table(labels, affinities=affinities, offsets=offsets)
    assert table["margin"].tolist() == pytest.approx([0.75, 0.75])


@pytest.mark.parametrize("shape", [(4, 5), (0, 5), (3, 4, 5)])
def test_image_without_objects_has_the_same_columns(shape):
    labels = np.zeros(shape, np.uint32)
    offsets = -np.eye(len(shape), dtype=int)
    arguments = (np.ones(shape), np.ones((len(shape), *shape)), offsets)
    empty = region_table(labels, *arguments)
    assert len(empty) == 0
    one = np.ones([max(1, n) for n in shape], np.uint32)
    full = region_table(one, np.ones(one.shape), np.ones((one.ndim, *one.shape)), offsets)
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()
    assert list(region_table(labels)) == [n for n in empty if n not in ("foreground", "margin")]


def test_ids_may_be_huge():
    labels = np.array([[2**60, 5], [2**60, 0]])
    assert region_table(labels)["label"].tolist() == [5, 2**60]
    assert region_table(labels)["area"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": np.ones((3, 4))}, "Labels must be whole numbers"),
        ({"labels": np.ones(4, int)}, "2D or 3D, not 1D"),
        ({"foreground": np.ones((4, 3))}, r"The foreground has shape \(4, 3\)"),
        ({"affinities": np.ones((2, 3, 4))}, "do not fit"),
        ({"affinities": np.ones((2, 4, 3)), "offsets": DIRECT}, "do not fit"),
        ({"affinities": np.ones((3, 3, 4)), "offsets": DIRECT}, "do not fit"),
        ({"affinities": np.ones((2, 3, 4)), "offsets": [(-1, 0, 0)] * 2}, "do not fit"),
    ],
)
def test_what_does_not_fit_is_named(arguments, message):
    with pytest.raises(InputError, match=message):
        region_table(**({"labels": np.ones((3, 4), int)} | arguments))


def test_the_outline_tells_the_variance() -> None:
    labels = np.array([[1, 1, 2, 0]])
    leftward = np.array([[9.0, 0.1, 0.3, 0.5]])  # of each pixel and the one to its left
    table = region_table(labels, offsets=[(0, -1)], variances=leftward[None])
    assert table["variance"].tolist() == pytest.approx([0.3, 0.4])
    alone = region_table(np.array([[3, 3]]), offsets=[(0, -1)], variances=leftward[None, :, :2])
    assert np.isnan(alone["variance"]).all()
