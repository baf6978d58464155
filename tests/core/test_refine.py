"""Merging, removing and filling on hand-made label images, and against plain loops."""

from __future__ import annotations

import hypothesis.extra.numpy as npst
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from napari_pea.core.constraints import Constraints
from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.progress import CancelToken
from napari_pea.core.refine import DEFAULT_PASSES, fill_holes, merge_fragments, refine, remove_small
from napari_pea.core.settings import SegmentationSettings

NOTHING = SegmentationSettings(min_size=0, merge_fragments=False, fill_holes=False)
REFINEMENTS = [merge_fragments, lambda labels: remove_small(labels, 3), fill_holes]

label_images = npst.arrays(
    np.uint32, npst.array_shapes(min_dims=2, max_dims=3, max_side=7), elements=st.integers(0, 5)
)


def merge(rows, *passes, **options):
    return merge_fragments(np.array(rows), passes, **options).tolist()


# ---------------------------------------------------------------- merging: the rule


def test_fragment_goes_to_the_object_with_most_pixels_in_the_window():
    rows = [[1, 1, 1, 0, 0], [1, 3, 2, 0, 0], [1, 1, 2, 0, 0]]
    merged = [[1, 1, 1, 0, 0], [1, 1, 2, 0, 0], [1, 1, 2, 0, 0]]
    assert merge(rows, (1, 3)) == merged


@pytest.mark.parametrize(
    "rows",
    [
        [[0, 0, 0], [0, 2, 0], [0, 0, 0]],  # background and itself
        [[1, 1, 1], [1, 2, 1], [1, 1, 1]],  # one object and itself
    ],
)
def test_two_ids_in_the_window_are_not_enough(rows):
    assert merge(rows, (1, 3)) == rows


def test_third_id_in_the_window_may_be_background_or_an_object():
    assert merge([[1, 1, 1], [1, 2, 1], [1, 1, 0]], (1, 3))[1][1] == 1
    assert merge([[1, 1, 1], [1, 2, 1], [1, 1, 3]], (1, 3))[1][1] == 1


def test_fragment_that_fills_most_of_the_window_stays():
    rows = [[0, 2, 1, 1], [2, 2, 2, 1], [1, 2, 1, 1], [1, 1, 1, 1]]
    assert merge(rows, (5, 3)) == rows


def test_background_on_top_gives_way_to_the_next_object():
    # Background 6, the fragment 2, the object 1.
    rows = [[0, 0, 0], [0, 2, 2], [0, 0, 1], [1, 1, 1]]
    merged = [[0, 0, 0], [0, 1, 1], [0, 0, 1], [1, 1, 1]]
    assert merge(rows, (2, 3)) == merged


def test_larger_objects_are_left_alone():
    rows = [[0, 0, 0], [0, 2, 2], [0, 0, 1], [1, 1, 1]]
    assert merge(rows, (1, 3)) == rows


def test_sizes_count_at_the_start_of_a_pass():
    labels = np.zeros((7, 9), int)
    labels[3:, :4] = 1
    labels[2, 3:6] = 3
    labels[2, 6] = 2
    # 2 goes to 3, which then has 4 pixels; it had 3 when the pass began, so it goes to 1.
    assert merge(labels, (3, 5)) == np.minimum(labels, 1).tolist()


def test_each_pass_looks_at_what_the_last_one_left():
    labels = np.zeros((9, 9), int)
    labels[:3] = 1
    labels[5, 5] = 2
    assert merge(labels, (1, 3)) == labels.tolist()
    assert merge(labels, (1, 3), (1, 7))[5][5] == 1


def test_published_rule_merges_across_background_unless_told_otherwise():
    rows = [[1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [0, 0, 2, 0, 0]]
    assert merge(rows, (1, 5))[2][2] == 1
    assert merge(rows, (1, 5), touching=True) == rows


def test_touching_fragment_is_merged_along_any_axis():
    for turn in range(4):
        rows = np.rot90([[1, 1, 1], [0, 2, 0], [0, 0, 0]], turn)
        assert merge(rows, (1, 3), touching=True) == np.minimum(rows, 1).tolist()
    diagonal = [[1, 0, 0], [0, 2, 0], [0, 0, 0]]
    assert merge(diagonal, (1, 3), touching=True) == diagonal


@pytest.mark.parametrize("turn", range(4))
def test_window_is_cut_off_at_the_border(turn):
    rows = np.rot90([[2, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]], turn)
    assert merge(rows, (1, 5)) == np.minimum(rows, 1).tolist()


def test_opposite_border_is_far_away():
    rows = np.zeros((9, 9), int)
    rows[4, 0] = 2
    rows[:, 8] = 1
    assert merge(rows, (1, 5)) == rows.tolist()


def test_of_equally_frequent_objects_the_lowest_id_wins():
    assert merge([[7, 9, 4], [7, 0, 4]], (1, 3)) == [[7, 4, 4], [7, 0, 4]]


def test_fragment_in_a_volume():
    labels = np.ones((3, 3, 3), int)
    labels[1, 1, 1], labels[0, 0, 0] = 2, 0
    assert np.array_equal(merge_fragments(labels), np.minimum(labels, 1))


def test_published_passes_absorb_up_to_100_pixels():
    assert DEFAULT_PASSES == ((5, 5), (25, 11), (50, 11), (100, 21))
    for side, expected in ((10, 1), (11, 2)):
        labels = np.zeros((60, 60), int)
        labels[:, :25] = 1
        labels[20 : 20 + side, 25 : 25 + side] = 2
        assert merge_fragments(labels)[25, 30] == expected


def merged_by_loops(labels, passes):
    """The rule in its plainest form."""
    labels = labels.copy()
    for size, window in passes:
        ids, sizes = np.unique(labels, return_counts=True)
        for label in ids[(ids > 0) & (sizes <= size)]:
            pixels = np.argwhere(labels == label)
            ranges = [
                range(max(0, c - window // 2), min(n, c + window // 2 + 1))
                for c, n in zip(
                    np.floor(pixels.mean(axis=0)).astype(int), labels.shape, strict=True
                )
            ]
            seen = labels[np.ix_(*ranges)]
            ranked = sorted(np.unique(seen), key=lambda n: (-np.count_nonzero(seen == n), n))
            if len(ranked) > 2 and ranked[0] != label:
                labels[labels == label] = next(n for n in ranked if n not in (0, label))
    return labels


@given(
    label_images,
    st.lists(st.tuples(st.integers(1, 20), st.sampled_from([1, 3, 5, 7])), max_size=3),
)
def test_merging_equals_plain_loops(labels, passes):
    assert np.array_equal(merge_fragments(labels, passes), merged_by_loops(labels, passes))


@pytest.mark.parametrize("bad", [(0, 5), (5, 0), (5, 4), (-1, 3)])
def test_pass_without_sense_is_named(bad):
    with pytest.raises(InputError, match="merging pass needs"):
        merge_fragments(np.ones((3, 3), int), [bad])


# ---------------------------------------------------------------- removing


def test_objects_below_the_minimum_become_background():
    labels = [[1, 1, 1, 0], [4, 4, 0, 7], [4, 0, 7, 7]]
    assert remove_small(np.array(labels), 3).tolist() == labels
    assert remove_small(np.array(labels[:2]), 3).tolist() == [[1, 1, 1, 0], [0, 0, 0, 0]]


# ---------------------------------------------------------------- filling


def test_hole_takes_the_id_of_its_object():
    labels = np.zeros((6, 6), int)
    labels[1:5, 1:5] = 9
    labels[2:4, 2:4] = 0
    expected = np.zeros((6, 6), int)
    expected[1:5, 1:5] = 9
    assert np.array_equal(fill_holes(labels), expected)


@pytest.mark.parametrize(
    "rows",
    [
        [[1, 1, 1], [1, 0, 1], [1, 0, 1]],  # open to the border
        [[1, 1, 2], [1, 0, 2], [1, 1, 2]],  # between two objects
        [[1, 1, 1, 1, 1], [1, 0, 0, 0, 1], [1, 0, 2, 0, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]],
    ],
)
def test_other_background_stays(rows):
    assert fill_holes(np.array(rows)).tolist() == rows


def test_background_that_meets_at_a_corner_is_two_pieces():
    rows = [[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]]
    assert fill_holes(np.array(rows))[1, 1] == 1


def test_cavity_needs_walls_on_all_sides_of_a_volume():
    labels = np.ones((3, 3, 3), int)
    labels[1, 1, 1] = 0
    assert fill_holes(labels).all()
    labels[0, 1, 1] = 0
    assert np.array_equal(fill_holes(labels), labels)


@given(npst.arrays(np.uint8, npst.array_shapes(max_dims=3, max_side=8), elements=st.integers(0, 1)))
def test_one_object_is_filled_as_scipy_does(labels):
    assert np.array_equal(fill_holes(labels), ndimage.binary_fill_holes(labels))


@given(label_images)
def test_filling_equals_plain_loops(labels):
    expected = labels.copy()
    pieces, count = ndimage.label(labels == 0)
    edge = np.pad(np.zeros([max(0, n - 2) for n in labels.shape], bool), 1, constant_values=True)
    edge = edge[tuple(slice(0, n) for n in labels.shape)] | (min(labels.shape) <= 2)
    for piece in range(1, count + 1):
        hole = pieces == piece
        around = np.unique(labels[ndimage.binary_dilation(hole) & ~hole])
        if len(around) == 1 and not (hole & edge).any():
            expected[hole] = around[0]
    assert np.array_equal(fill_holes(labels), expected)


# ---------------------------------------------------------------- all together


def disk_image():
    """One disk of 30 pixels radius, id 5."""
    y, x = np.mgrid[:80, :80]
    return np.where((y - 40) ** 2 + (x - 40) ** 2 < 900, 5, 0)


def test_ids_are_numbered_without_gaps():
    labels = np.array([[0, 9, 9], [4, 4, 0], [0, 0, 2**40]])
    refined = refine(labels, NOTHING)
    assert refined.tolist() == [[0, 2, 2], [1, 1, 0], [0, 0, 3]]
    assert refined.dtype == np.uint32


def test_fragment_at_the_outline_is_merged_not_removed():
    labels = disk_image()
    labels[40, 69] = 8
    assert np.array_equal(refine(labels, SegmentationSettings()), disk_image() > 0)


def test_speck_inside_an_object_leaves_no_hole():
    labels = disk_image()
    labels[38:41, 38:41] = 8
    settings = SegmentationSettings(min_size=25)
    assert np.array_equal(refine(labels, settings), disk_image() > 0)
    holey = refine(labels, settings.updated(fill_holes=False))
    assert np.array_equal(holey == 0, (labels != 5))


def test_speck_across_background_is_removed_not_merged():
    labels = disk_image()
    labels[5:7, 40] = 8
    assert np.array_equal(refine(labels, SegmentationSettings()), disk_image() > 0)
    kept = refine(labels, SegmentationSettings(min_size=0))
    assert kept.max() == 2


def test_small_objects_that_touch_stay_apart():
    labels = np.zeros((40, 40), int)
    for n, (y, x) in enumerate((y, x) for y in range(3, 36, 8) for x in range(2, 36, 12)):
        labels[y : y + 4, x : x + 4] = 2 * n + 1
        labels[y : y + 4, x + 4 : x + 8] = 2 * n + 2
    assert len(np.unique(merge_fragments(labels))) < len(np.unique(labels))
    assert np.array_equal(refine(labels, SegmentationSettings(min_size=0)), labels)


def test_many_fragments_do_not_make_objects_look_small():
    labels = disk_image()
    rows, columns = np.nonzero(labels)
    outline = np.flatnonzero(~ndimage.binary_erosion(labels)[rows, columns])[::3]
    labels[rows[outline], columns[outline]] = np.arange(len(outline)) + 10
    assert refine(labels, SegmentationSettings(min_size=0)).max() == 1


def test_steps_can_be_switched_off():
    labels = disk_image()
    labels[40, 69] = 8
    labels[40, 40] = 0
    assert np.array_equal(refine(labels, NOTHING) > 0, labels > 0)
    assert refine(labels, NOTHING).max() == 2
    assert refine(labels, NOTHING.updated(min_size=2)).max() == 1
    assert refine(labels, NOTHING.updated(merge_fragments=True)).max() == 1
    assert refine(labels, NOTHING.updated(fill_holes=True))[40, 40] == 1


@pytest.mark.parametrize("shape", [(5, 5), (0, 5), (1, 5), (3, 0, 3)])
def test_image_without_objects(shape):
    refined = refine(np.zeros(shape, np.uint64), SegmentationSettings())
    assert refined.shape == shape
    assert refined.dtype == np.uint32
    assert not refined.any()


def test_merging_can_be_cancelled():
    labels = disk_image()
    labels[40, 69] = 8
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        refine(labels, SegmentationSettings(), cancel=cancel)


# ---------------------------------------------------------------- for all of them


@pytest.mark.parametrize("refinement", REFINEMENTS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_type_ids_and_input_are_kept(refinement, dtype):
    labels = disk_image().astype(dtype)
    labels[40, 69] = 100
    labels[40, 40] = 0
    labels.flags.writeable = False
    result = refinement(labels)
    assert result.dtype == dtype
    assert set(np.unique(result)) <= {0, 5, 100}
    assert not np.array_equal(result, labels)


@pytest.mark.parametrize("refinement", REFINEMENTS)
def test_memory_layout_does_not_matter(refinement):
    labels = disk_image()[:70]
    labels[40, 69] = 8
    labels[30, 40] = 0
    for other in (np.asfortranarray(labels), np.repeat(labels, 2, axis=1)[:, ::2]):
        assert np.array_equal(refinement(other), refinement(labels))


@pytest.mark.parametrize("refinement", REFINEMENTS)
def test_huge_ids_need_no_more_memory(refinement):
    labels = disk_image()
    labels[40, 69] = 8
    labels[40, 40] = 0
    far = 2**60
    expected = np.where(refinement(labels) > 0, refinement(labels) + far, 0)
    assert np.array_equal(refinement(np.where(labels > 0, labels + far, 0)), expected)


@pytest.mark.parametrize("refinement", [*REFINEMENTS, lambda labels: refine(labels, NOTHING)])
def test_what_is_no_label_image_is_named(refinement):
    with pytest.raises(InputError, match="Labels must be whole numbers, not float64"):
        refinement(np.ones((3, 3)))
    with pytest.raises(InputError, match="Labels cannot be negative: found -1"):
        refinement(np.array([[1, -1]]))


def test_a_filled_hole_does_not_heal_a_cut():
    labels = np.ones((7, 7), dtype=np.uint32)
    labels[3, 2:5] = 2
    hole, rim = 3 * 7 + 3, 2 * 7 + 3
    constraints = Constraints(np.zeros((0, 2), np.int64), np.array([[hole, rim]]))
    settings = NOTHING.updated(min_size=10, fill_holes=True)
    assert (refine(labels, settings) == 1).all()
    kept = refine(labels, settings, constraints=constraints)
    assert kept[3, 3] == 0
    assert np.count_nonzero(kept == 1) == 48
