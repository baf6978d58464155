"""Hand-made partitions, equality with bioimage-cpp, and what holds for every partition."""

from __future__ import annotations

import hypothesis.extra.numpy as npst
import numpy as np
import pytest
from bioimage_cpp import segmentation
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage.segmentation import relabel_sequential

from napari_pea.core.errors import InputError
from napari_pea.core.mutex import mutex_watershed

ROW = [(0, -1), (0, -2)]
FOUR = [(-1, 0), (0, -1), (-3, 0), (0, -3)]


def random_affinities(shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


@st.composite
def problems(draw, min_attractive=0):
    """Affinities, offsets and the rest, in 2D or 3D; many ties, some offsets too long."""
    ndim = draw(st.sampled_from([2, 3]))
    shape = draw(npst.array_shapes(min_dims=ndim, max_dims=ndim, min_side=1, max_side=9 - ndim))
    step = st.integers(-4, 4)
    offsets = draw(
        st.lists(st.tuples(*[step] * ndim).filter(any), min_size=max(1, min_attractive), max_size=6)
    )
    n_attractive = draw(st.integers(min_attractive, len(offsets)))
    if draw(st.booleans()):
        values = st.sampled_from([0.0, 0.25, 0.3, 0.5, 0.7, 0.75, 1.0])
    else:
        values = st.floats(0, 1, width=32)
    affinities = draw(npst.arrays(np.float32, (len(offsets), *shape), elements=values))
    strides = draw(st.none() | st.tuples(*[st.integers(1, 4)] * ndim))
    mask = draw(st.none() | npst.arrays(bool, shape))
    return affinities, offsets, n_attractive, strides, mask


# ---------------------------------------------------------------- hand-made


def test_weak_attraction_separates_what_repels():
    # Pair by pair: 0.9 joins, 0.9 repels pixels 0 and 2, 0.8 would join them.
    direct = [[0.0, 0.9, 0.8]]
    further = [[0.0, 0.0, 0.1]]
    labels = mutex_watershed(np.array([direct, further]), ROW, 1)
    assert labels.tolist() == [[1, 1, 2]]
    assert labels.dtype == np.uint32


def test_strong_attraction_wins_over_later_repulsion():
    direct = [[0.0, 0.95, 0.92]]
    further = [[0.0, 0.0, 0.1]]
    assert mutex_watershed(np.array([direct, further]), ROW, 1).tolist() == [[1, 1, 1]]


def test_default_attraction_is_one_channel_for_each_axis():
    affinities = random_affinities((4, 6, 7))
    expected = mutex_watershed(affinities, FOUR, 2)
    assert np.array_equal(mutex_watershed(affinities, FOUR), expected)
    assert not np.array_equal(mutex_watershed(affinities, FOUR, 3), expected)


def test_mask_cuts_objects_and_is_background():
    direct = np.ones((1, 1, 5))
    mask = np.array([[True, True, False, True, True]])
    assert mutex_watershed(direct, [(0, -1)], 1, mask=mask).tolist() == [[1, 1, 0, 2, 2]]


def test_strides_thin_out_repulsion_only():
    # Everything repels: with strides of 3 only pixels 0, 3, 6 and 9 do.
    affinities = np.stack([np.full((1, 10), 0.9), np.zeros((1, 10))])
    offsets = [(0, 1), (0, 2)]
    assert mutex_watershed(affinities, offsets, 1).max() == 5
    thinned = mutex_watershed(affinities, offsets, 1, strides=(1, 3))
    assert thinned.tolist() == [[1, 1, 2, 2, 2, 3, 3, 3, 4, 4]]
    assert np.array_equal(mutex_watershed(affinities, offsets, 1, strides=3), thinned)


# ---------------------------------------------------------------- equality


@given(problems())
def test_equals_bioimage_cpp(problem):
    affinities, offsets, n_attractive, strides, mask = problem
    priorities = affinities.copy()
    priorities[n_attractive:] = 1 - priorities[n_attractive:]
    expected = segmentation.mutex_watershed(
        priorities, offsets, n_attractive, strides=strides, mask=mask
    )
    labels = mutex_watershed(affinities, offsets, n_attractive, strides=strides, mask=mask)
    assert labels.dtype == np.uint32
    assert np.array_equal(labels, relabel_sequential(expected)[0])


# ---------------------------------------------------------------- properties


@given(problems())
def test_labels_count_up_inside_the_mask(problem):
    affinities, offsets, n_attractive, strides, mask = problem
    labels = mutex_watershed(affinities, offsets, n_attractive, strides=strides, mask=mask)
    inside = np.ones(labels.shape, bool) if mask is None else mask
    assert np.array_equal(labels > 0, inside)
    ids, first = np.unique(labels[inside], return_index=True)
    assert ids.tolist() == list(range(1, len(ids) + 1))
    assert np.all(np.diff(first) > 0)


@given(problems(), st.data())
def test_objects_are_connected_through_direct_neighbors(problem, data):
    affinities, offsets, _, strides, mask = problem
    ndim = len(offsets[0])
    direct = [tuple(step) for step in -np.eye(ndim, dtype=int)]
    attraction = data.draw(
        npst.arrays(np.float32, (ndim, *affinities.shape[1:]), elements=st.floats(0, 1, width=32))
    )
    labels = mutex_watershed(
        np.concatenate([attraction, affinities]), direct + offsets, strides=strides, mask=mask
    )
    for label in range(1, labels.max() + 1):
        assert ndimage.label(labels == label)[1] == 1


@given(problems(), st.sampled_from([np.float64, np.longdouble]))
def test_precision_of_the_same_values_changes_nothing(problem, dtype):
    affinities, offsets, n_attractive, strides, mask = problem
    expected = mutex_watershed(affinities, offsets, n_attractive, strides=strides, mask=mask)
    other = affinities.astype(dtype)
    labels = mutex_watershed(other, offsets, n_attractive, strides=strides, mask=mask)
    assert np.array_equal(labels, expected)


@given(problems())
def test_only_the_order_of_priorities_matters(problem):
    affinities, offsets, n_attractive, strides, mask = problem
    steps = np.round(affinities * 64) / 64  # exact in single precision, and so is what follows
    calmer = steps / 2 + np.float32(0.25)
    expected = mutex_watershed(steps, offsets, n_attractive, strides=strides, mask=mask)
    labels = mutex_watershed(calmer, offsets, n_attractive, strides=strides, mask=mask)
    assert np.array_equal(labels, expected)


@given(st.integers(0, 2**32 - 1), st.permutations(range(3)))
def test_axes_can_be_swapped(seed, axes):
    offsets = np.array([[-1, 0, 0], [0, -1, 0], [0, 0, -1], [-2, 0, 0], [0, -3, 1]])
    shape = (len(offsets), 3, 4, 5)
    # All priorities differ, so that no tie depends on the order of the pixels.
    priorities = np.random.default_rng(seed).permutation(512)[: np.prod(shape)].reshape(shape)
    affinities = (priorities / 512).astype(np.float32)
    affinities[3:] = 1 - affinities[3:]
    expected = mutex_watershed(affinities, offsets).transpose(axes)
    swapped = affinities.transpose(0, *(axis + 1 for axis in axes))
    labels = mutex_watershed(swapped, offsets[:, axes])
    pairs = np.unique(np.stack([labels.ravel(), expected.ravel()]), axis=1)
    assert pairs.shape[1] == labels.max() == expected.max()


def test_input_is_not_changed():
    affinities = random_affinities((4, 6, 7))
    mask = np.ones((6, 7), bool)
    affinities.flags.writeable = mask.flags.writeable = False
    kept = affinities.copy()
    mutex_watershed(affinities, FOUR, mask=mask)
    assert np.array_equal(affinities, kept)


@pytest.mark.parametrize("dtype", [bool, np.float16])
def test_other_types_are_computed_in_single_precision(dtype):
    affinities = (random_affinities((4, 6, 7)) * 8).round() / 8
    affinities = affinities > 0.5 if dtype is bool else affinities.astype(dtype)
    expected = mutex_watershed(affinities.astype(np.float32), FOUR)
    assert np.array_equal(mutex_watershed(affinities, FOUR), expected)


def test_double_precision_is_rounded_before_it_is_inverted():
    exact = np.random.default_rng(0).random(1000)
    rounded_first = 1 - exact.astype(np.float32)
    differs = exact[rounded_first > (1 - exact).astype(np.float32)][0]
    attraction = float(np.float32(1 - differs))  # just below the repulsion as documented
    affinities = np.array([[[0.0, 1.0, attraction]], [[0.0, 0.0, differs]]])
    assert mutex_watershed(affinities, ROW, 1).tolist() == [[1, 1, 2]]


def test_memory_layout_does_not_matter():
    affinities = random_affinities((4, 6, 7))
    turned = np.asfortranarray(affinities)
    assert np.array_equal(mutex_watershed(turned, FOUR), mutex_watershed(affinities, FOUR))


# ---------------------------------------------------------------- odd input with an answer


@pytest.mark.parametrize("far", [(-6, 0), (6, 0), (0, -(2**62)), (2**62, 2**62)])
def test_offset_longer_than_the_image_has_no_pairs(far):
    affinities = random_affinities((5, 6, 7))
    kept = [0, 1, 3, 4]
    offsets = [*FOUR[:2], far, *FOUR[2:]]
    assert np.array_equal(
        mutex_watershed(affinities, offsets), mutex_watershed(affinities[kept], FOUR)
    )


def test_without_any_pair_each_pixel_is_an_object():
    affinities = np.ones((2, 2, 2))
    mask = np.array([[True, False], [True, True]])
    offsets = [(5, 0), (0, 5)]
    assert mutex_watershed(affinities, offsets).tolist() == [[1, 2], [3, 4]]
    assert mutex_watershed(affinities, offsets, mask=mask).tolist() == [[1, 0], [2, 3]]
    assert mutex_watershed(affinities[:0], [], 0).tolist() == [[1, 2], [3, 4]]


def test_without_attraction_each_pixel_is_an_object():
    labels = mutex_watershed(np.ones((4, 2, 3)), FOUR, 0)
    assert labels.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_repeated_offset_may_attract_and_repel():
    affinities = np.array([[[0.0, 0.9, 0.6]], [[0.0, 0.8, 0.2]]])
    # 0.9 joins before 0.2 repels; 0.8 repels before 0.6 joins.
    assert mutex_watershed(affinities, [(0, -1), (0, -1)], 1).tolist() == [[1, 1, 2]]


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_images_of_one_pixel_width(shape):
    assert mutex_watershed(np.ones((4, *shape)), FOUR).tolist() == np.ones(shape).tolist()


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0), (4, 0, 4)])
def test_image_without_pixels(shape):
    offsets = -np.eye(len(shape), dtype=int)
    affinities = np.zeros((len(shape), *shape))
    for mask in (None, np.zeros(shape, bool)):
        labels = mutex_watershed(affinities, offsets, mask=mask)
        assert labels.shape == shape
        assert labels.dtype == np.uint32


def test_empty_mask_has_no_objects():
    labels = mutex_watershed(random_affinities((4, 6, 7)), FOUR, mask=np.zeros((6, 7), bool))
    assert labels.shape == (6, 7)
    assert not labels.any()


def test_mask_of_zeros_and_ones_is_a_mask():
    affinities = random_affinities((4, 6, 7))
    mask = random_affinities((6, 7), 1) > 0.3
    expected = mutex_watershed(affinities, FOUR, mask=mask)
    for dtype in (np.uint8, np.int64):
        assert np.array_equal(mutex_watershed(affinities, FOUR, mask=mask.astype(dtype)), expected)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"affinities": np.ones((4, 6, 7), np.uint8)}, "Affinities must be floating-point"),
        ({"affinities": np.ones((4, 6, 7), complex)}, "Affinities must be floating-point"),
        ({"affinities": np.ones((4, 6))}, r"must have shape \(channels"),
        ({"affinities": np.ones((4, 2, 2, 2, 2))}, r"must have shape \(channels"),
        ({"affinities": np.full((4, 6, 7), np.nan)}, "Channel 0 of the affinities has values"),
        ({"affinities": np.full((4, 6, 7), 1e300)}, "Channel 0 of the affinities has values"),
        ({"offsets": FOUR[:3]}, "need one offset of 2 steps"),
        ({"offsets": [(-1, 0, 0)] * 4}, "need one offset of 2 steps"),
        ({"offsets": [(-1, 0), (0, -1), (1,), (2, 2)]}, "need one offset of 2 steps"),
        ({"offsets": []}, "need one offset of 2 steps"),
        ({"offsets": np.array(FOUR, float)}, "whole numbers of pixels, not float64"),
        ({"offsets": [*FOUR[:3], (0, 0)]}, r"Offset \(0, 0\) pairs each pixel with itself"),
        ({"n_attractive": -1}, "between 0 and 4, the number of channels, not -1"),
        ({"n_attractive": 5}, "between 0 and 4, the number of channels, not 5"),
        ({"n_attractive": 1.5}, "must be a whole number, not 1.5"),
        ({"strides": (0, 1)}, "2 whole numbers of at least 1"),
        ({"strides": -2}, "2 whole numbers of at least 1"),
        ({"strides": (2,)}, "2 whole numbers of at least 1"),
        ({"strides": ()}, "2 whole numbers of at least 1"),
        ({"strides": (2, 2, 2)}, "2 whole numbers of at least 1"),
        ({"strides": (1.5, 2)}, "2 whole numbers of at least 1"),
        ({"strides": 2.0}, "2 whole numbers of at least 1"),
        ({"mask": np.ones((7, 6), bool)}, r"The mask must have the shape of the image, \(6, 7\)"),
        ({"mask": np.ones((6, 7))}, "holds float64 values: compare it with a threshold"),
        ({"mask": np.full((6, 7), 255, np.uint8)}, "holds uint8 values: compare it"),
    ],
)
def test_bad_input_is_named(changes, message):
    arguments = {"affinities": random_affinities((4, 6, 7)), "offsets": FOUR} | changes
    with pytest.raises(InputError, match=message):
        mutex_watershed(**arguments)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channel", [0, 3])
def test_single_value_that_is_no_number_is_named(value, channel):
    affinities = random_affinities((4, 6, 7))
    affinities[channel, 3, 4] = value
    with pytest.raises(InputError, match=f"Channel {channel} of the affinities"):
        mutex_watershed(affinities, FOUR)


def test_too_few_channels_for_the_default_say_what_to_set():
    with pytest.raises(InputError, match="set n_attractive"):
        mutex_watershed(np.ones((1, 6, 7)), [(0, -1)])
