"""Hand-worked scores, and properties that hold for any pair of label images.

In the comments T1, T2, ... are truth objects and L1, L2, ... labels.
"""

from __future__ import annotations

import itertools
import math

import hypothesis.extra.numpy as npst
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from skimage.metrics import adapted_rand_error, variation_of_information

from napari_pea.core.errors import InputError
from napari_pea.core.metrics import AP_THRESHOLDS, METRICS, evaluate, summarize

NAN_WITHOUT_TRUTH = [name for name in METRICS if name not in {"dic", "n_true", "n_labels"}]
SHARES = ["aji", "dice", "pq", "sq", "dq", "ap50", "ap75", "ap", "sbd"]
ERRORS = ["dic", "voi_split", "voi_merge", "arand", "cremi"]


def score(name, truth, labels, **settings):
    """One metric; truth first because the hand-worked cases read more easily that way."""
    return evaluate(np.array(labels), np.array(truth), [name], **settings)[name]


@st.composite
def image_pairs(draw, lowest=0):
    shape = draw(npst.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5))
    ids = st.integers(lowest, 5)
    images = npst.arrays(np.int64, shape, elements=ids)
    return draw(images), draw(images)


def has_objects(*images):
    return all(image.any() for image in images)


# ---------------------------------------------------------------- hand-worked

# |T1| = 4, |T2| = 2, |L1| = 3, |L2| = 2; T1 and L1 share 3, T2 and L2 share 1.
TRUTH = [[1, 1, 1, 1], [2, 2, 0, 0]]
LABELS = [[1, 1, 1, 0], [0, 2, 2, 0]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # The unions are 4 and 3.
        ("aji", (3 + 1) / (4 + 3)),
        # 4 common pixels, 6 true, 5 labelled.
        ("dice", 2 * 4 / (6 + 5)),
        # IoU 3/4 and 1/3: one true positive, one false positive, one false negative.
        ("dq", 1 / (1 + 0.5 + 0.5)),
        ("sq", 3 / 4),
        ("pq", 3 / 8),
        ("ap50", 1 / 3),
        # 3/4 does not exceed 0.75.
        ("ap75", 0.0),
        # 3/4 exceeds 0.50, 0.55, 0.60, 0.65 and 0.70: 5 of 10 thresholds.
        ("ap", 5 / 10 * 1 / 3),
        # Best Dice 6/7 and 2/4, the same in both directions.
        ("sbd", (6 / 7 + 2 / 4) / 2),
        ("dic", 0.0),
        # The 6 true pixels: T1 is 3 L1 + 1 background, T2 is 1 L2 + 1 background.
        # H(L|T) = 3/6 log2(4/3) + 1/6 log2(4) + 2 * 1/6 log2(2)
        ("voi_split", math.log2(4 / 3) / 2 + 2 / 3),
        # H(T|L): only the background mixes both, 2 * 1/6 log2(2)
        ("voi_merge", 1 / 3),
        # S = 9+1+1+1-6 = 6, A = 16+4-6 = 14, B = 9+1+4-6 = 8
        ("arand", 1 - 2 * 6 / (14 + 8)),
        ("cremi", math.sqrt((math.log2(4 / 3) / 2 + 1) * (1 - 2 * 6 / (14 + 8)))),
        ("n_true", 2.0),
        ("n_labels", 2.0),
    ],
)
def test_two_partly_found_objects(name, expected):
    assert score(name, TRUTH, LABELS) == pytest.approx(expected)


class TestAji:
    def test_missed_first_object_does_not_take_a_label(self):
        # T1 adds 2 to the denominator, T2 adds 2 to both.
        assert score("aji", [1, 1, 2, 2], [0, 0, 1, 1]) == 2 / 4

    def test_missed_last_object(self):
        assert score("aji", [1, 1, 2, 2], [1, 1, 0, 0]) == 2 / 4

    def test_gaps_in_the_ids_do_not_matter(self):
        assert score("aji", [3, 3, 9, 9], [0, 0, 7, 7]) == 2 / 4
        assert score("aji", [3, 3, 9, 9], [70, 70, 20, 20]) == 1.0

    def test_no_label(self):
        assert score("aji", [1, 1, 2, 2], [0, 0, 0, 0]) == 0.0

    def test_unused_label_adds_its_size(self):
        assert score("aji", [1, 1, 0, 0, 0], [1, 1, 0, 2, 2]) == 2 / (2 + 2)

    def test_best_label_is_by_iou_not_by_shared_pixels(self):
        # L1 shares 3 of 4 pixels but covers 12: IoU 3/13. L2 shares 1 and covers 1: IoU 1/4.
        truth = [1] * 4 + [0] * 9
        labels = [2] + [1] * 12
        assert score("aji", truth, labels) == 1 / (4 + 12)

    def test_merged_objects_both_take_the_label(self):
        # Both T1 and T2 add 2 to the numerator and 4 to the denominator.
        assert score("aji", [1, 1, 2, 2], [1, 1, 1, 1]) == 4 / 8

    @pytest.mark.parametrize("labels", [[1, 1, 2, 2], [2, 2, 1, 1]])
    def test_equal_halves(self, labels):
        # One half is the match (2 of 4), the other is unused (2).
        assert score("aji", [1, 1, 1, 1], labels) == 2 / (4 + 2)

    def test_equal_iou_takes_the_label_that_shares_more(self):
        # L1 shares 1 of 4: 1/4. L2 has 6 pixels and shares 2: 2/8. L1 is left over.
        assert score("aji", [1, 1, 1, 1, 0, 0, 0, 0], [1, 0, 2, 2, 2, 2, 2, 2]) == 2 / (8 + 1)

    def test_full_tie_takes_the_label_that_comes_first(self):
        # T1 shares one pixel with each of two labels of size 2. The first in the image is also
        # the best of T2, so the other is left over: (1 + 1) / (3 + 2 + 2).
        truth, labels = [2, 1, 1, 0], [5, 5, 4, 4]
        assert score("aji", truth, labels) == (1 + 1) / (3 + 2 + 2)
        # Mirrored, the label that T2 does not take comes first: nothing is left over.
        assert score("aji", truth[::-1], labels[::-1]) == (1 + 1) / (3 + 2)


def test_dice_ignores_how_the_foreground_is_divided():
    assert score("dice", [1, 1, 2, 2, 0], [0, 3, 3, 3, 3]) == 2 * 3 / (4 + 4)


def test_iou_of_exactly_one_half_is_no_match():
    assert score("pq", [1, 1, 0], [1, 0, 0]) == 0.0
    assert score("sq", [1, 1, 0], [1, 0, 0]) == 0.0
    assert score("ap50", [1, 1, 0], [1, 0, 0]) == 0.0
    # 2 of 3
    assert score("sq", [1, 1, 1], [1, 1, 0]) == 2 / 3


def test_average_precision_at_each_threshold():
    # IoU 9/10 exceeds 0.50 to 0.85: 8 of 10 thresholds; not 0.90.
    assert score("ap", [1] * 10, [1] * 9 + [0]) == pytest.approx(0.8)
    assert score("ap75", [1] * 10, [1] * 9 + [0]) == 1.0
    assert AP_THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def test_symmetric_best_dice_is_the_worse_direction():
    # A label too many: over truth 1, over labels (1 + 0) / 2.
    assert score("sbd", [1, 1, 0, 0], [1, 1, 0, 2]) == 1 / 2
    # A missed object: over truth (1 + 0) / 2, over labels 1.
    assert score("sbd", [1, 1, 0, 2], [1, 1, 0, 0]) == 1 / 2


def test_symmetric_best_dice_needs_no_background():
    # Background is id 0, not the lowest id: all four objects count.
    assert score("sbd", [1, 1, 2, 2], [1, 1, 2, 2]) == 1.0
    # T1 L1: 2*2/(2+4) = 2/3, T2 L1 the same; over labels 2/3.
    assert score("sbd", [1, 1, 2, 2], [8, 8, 8, 8]) == pytest.approx(2 / 3)


def test_difference_in_count_is_absolute():
    assert score("dic", [1, 2, 3, 0], [4, 4, 4, 4]) == 2.0
    assert score("dic", [4, 4, 4, 4], [1, 2, 3, 0]) == 2.0


def test_split_is_oversegmentation_and_merge_is_undersegmentation():
    one, two = [1, 1, 1, 1], [1, 1, 2, 2]
    assert score("voi_split", one, two) == 1.0
    assert score("voi_merge", one, two) == 0.0
    assert score("voi_split", two, one) == 0.0
    assert score("voi_merge", two, one) == 1.0


def test_pixels_outside_of_the_truth_do_not_count_for_voi_and_arand():
    for name in ("voi_split", "voi_merge", "arand", "cremi"):
        assert score(name, [1, 1, 0, 0, 0], [1, 1, 1, 2, 3]) == 0.0


def test_arand_of_single_pixels():
    # No two pixels belong together on either side.
    assert score("arand", [1, 2, 0], [4, 3, 0]) == 0.0
    # S = 0, A = 0, B = 4 - 2
    assert score("arand", [1, 2, 0], [3, 3, 0]) == 1.0


# ---------------------------------------------------------------- empty images


def test_no_label_scores_zero():
    scores = evaluate(np.zeros(4, int), np.array([1, 1, 2, 2]))
    assert {name: scores[name] for name in SHARES} == dict.fromkeys(SHARES, 0.0)
    assert scores["dic"] == 2.0
    # All true pixels in one segment: split 0, merge H(T) = 1 bit,
    # S = 4 + 4 - 4, A = 4 + 4 - 4, B = 16 - 4.
    assert scores["voi_split"] == 0.0
    assert scores["voi_merge"] == 1.0
    assert scores["arand"] == 1 - 2 * 4 / (4 + 12)
    assert scores["cremi"] == math.sqrt(1 / 2)


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 0, 3]])
def test_empty_truth_leaves_scores_undefined(labels):
    scores = evaluate(np.array(labels), np.zeros(3, int))
    assert all(math.isnan(scores[name]) for name in NAN_WITHOUT_TRUTH)
    n_labels = np.count_nonzero(labels)
    assert (scores["dic"], scores["n_true"], scores["n_labels"]) == (n_labels, 0, n_labels)


# ---------------------------------------------------------------- settings


def test_small_truth_objects_become_background():
    truth, labels = [1, 1, 1, 0, 2, 2], [1, 1, 1, 0, 2, 2]
    assert score("n_true", truth, labels, min_truth_size=2) == 2
    assert score("n_true", truth, labels, min_truth_size=3) == 1
    # L2 is now on background: 3 / (3 + 2) and one false positive.
    assert score("aji", truth, labels, min_truth_size=3) == 3 / 5
    assert score("ap50", truth, labels, min_truth_size=3) == 1 / 2
    assert score("dice", truth, labels, min_truth_size=3) == 2 * 3 / (3 + 5)
    assert score("sbd", truth, labels, min_truth_size=3) == 1 / 2
    assert score("cremi", truth, labels, min_truth_size=3) == 0.0
    assert math.isnan(score("aji", truth, labels, min_truth_size=4))


def test_all_metrics_by_default_and_chosen_ones_in_their_order():
    assert tuple(evaluate(np.array(LABELS), np.array(TRUTH))) == METRICS
    chosen = evaluate(np.array(LABELS), np.array(TRUTH), ("dic", "aji"))
    assert list(chosen) == ["dic", "aji"]
    assert list(evaluate(np.array(LABELS), np.array(TRUTH), "pq")) == ["pq"]


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"])
def test_any_integer_type_up_to_its_largest_id(dtype):
    top = np.iinfo(dtype).max
    truth = np.array([[1, 1, top], [0, top, top]], dtype=dtype)
    labels = np.array([[top, top, 2], [0, 2, 0]], dtype=dtype)
    # T1 is found, T2 to 2 of 3.
    assert evaluate(labels, truth, ["aji"])["aji"] == 4 / 5
    assert evaluate(truth[:, 2:], truth[:, 2:], ["aji", "n_true"]) == {"aji": 1.0, "n_true": 1.0}


def test_masks_are_one_object():
    mask = np.array([[True, False], [True, True]])
    scores = evaluate(mask, mask.astype(np.uint8) * 255)
    assert scores["n_labels"] == 1
    assert scores["pq"] == 1.0


def test_volumes_views_and_lists_score_like_the_same_pixels_in_a_plane():
    rng = np.random.default_rng(1)
    labels, truth = rng.integers(0, 5, (2, 12, 6))
    expected = evaluate(labels, truth)
    assert evaluate(labels.reshape(3, 4, 6), truth.reshape(3, 4, 6)) == expected
    assert evaluate(np.repeat(labels, 2, 1)[:, ::2], np.asfortranarray(truth)) == expected
    assert evaluate(labels.tolist(), truth.tolist()) == expected


def test_inputs_are_left_alone():
    labels, truth = np.array(LABELS), np.array(TRUTH)
    labels.flags.writeable = truth.flags.writeable = False
    evaluate(labels, truth, min_truth_size=3)
    assert labels.tolist() == LABELS
    assert truth.tolist() == TRUTH


# ---------------------------------------------------------------- bad input


def test_unknown_metric_names_the_known_ones():
    with pytest.raises(InputError, match=r"'ajj'.*aji, dice, pq"):
        evaluate(np.array(LABELS), np.array(TRUTH), ["aji", "ajj"])


def test_different_shapes_are_named():
    with pytest.raises(InputError, match=r"\(4, 5\).*\(5, 4\)"):
        evaluate(np.zeros((4, 5), int), np.zeros((5, 4), int))


@pytest.mark.parametrize("bad", [np.ones(3), np.ones(3, complex), np.array(["a", "b", "c"])])
def test_only_integers(bad):
    good = np.ones(3, int)
    with pytest.raises(InputError, match=r"^The labels must hold integer"):
        evaluate(bad, good)
    with pytest.raises(InputError, match=r"^The truth labels must hold integer"):
        evaluate(good, bad)


def test_no_negative_ids():
    with pytest.raises(InputError, match="labels hold the negative id -2"):
        evaluate(np.array([1, -2]), np.array([1, 2]))


def test_no_pixels():
    with pytest.raises(InputError, match="no pixels"):
        evaluate(np.zeros((0, 3), int), np.zeros((0, 3), int))


def test_no_negative_minimum_size():
    with pytest.raises(InputError, match="min_truth_size"):
        evaluate(np.ones(3, int), np.ones(3, int), min_truth_size=-1)


# ---------------------------------------------------------------- properties


@given(image_pairs())
def test_identical_labels_are_perfect(pair):
    truth, _ = pair
    assume(has_objects(truth))
    scores = evaluate(truth, truth)
    assert {name: scores[name] for name in SHARES} == dict.fromkeys(SHARES, 1.0)
    assert [scores[name] for name in ERRORS] == pytest.approx([0.0] * len(ERRORS), abs=1e-12)


@given(image_pairs(), st.data())
def test_no_score_depends_on_the_ids(pair, data):
    labels, truth = pair
    ids = st.lists(st.integers(1, 2**62), min_size=5, max_size=5, unique=True)
    renamed = [np.array([0, *data.draw(ids)])[image] for image in (labels, truth)]
    np.testing.assert_equal(evaluate(*renamed), evaluate(labels, truth))


@given(image_pairs())
def test_ranges(pair):
    labels, truth = pair
    scores = evaluate(labels, truth)
    assert scores["n_true"] == np.unique(truth[truth > 0]).size
    assert scores["n_labels"] == np.unique(labels[labels > 0]).size
    assert any(map(math.isnan, scores.values())) == (not has_objects(truth))
    if has_objects(truth):
        assert all(0 <= scores[name] <= 1 for name in [*SHARES, "arand"])
        bits = math.log2(max(2, np.count_nonzero(truth)))
        assert all(0 <= scores[name] <= bits + 1e-9 for name in ("voi_split", "voi_merge"))


@given(image_pairs())
def test_symmetric_metrics(pair):
    labels, truth = pair
    assume(has_objects(labels, truth))
    names = ("dice", "pq", "sq", "dq", "ap50", "ap75", "ap", "sbd", "dic")
    there, back = evaluate(labels, truth, names), evaluate(truth, labels, names)
    assert there == pytest.approx(back)


@given(image_pairs(lowest=1))
def test_without_background_split_and_merge_trade_places(pair):
    labels, truth = pair
    there, back = evaluate(labels, truth), evaluate(truth, labels)
    assert there["voi_split"] == pytest.approx(back["voi_merge"], abs=1e-12)
    assert there["arand"] == pytest.approx(back["arand"], abs=1e-12)
    assert there["cremi"] == pytest.approx(back["cremi"], abs=1e-6)


def pairwise(labels, truth):
    """(truth, label, IoU, shared pixels) of all pairs, by comparing masks."""
    for i, j in itertools.product(np.unique(truth[truth > 0]), np.unique(labels[labels > 0])):
        shared = np.sum((truth == i) & (labels == j))
        yield i, j, shared / np.sum((truth == i) | (labels == j)), shared


def quality_by_masks(labels, truth, threshold):
    """TP, FP, FN and the summed IoU of the matches, one truth object after the other."""
    n, m = (np.unique(image[image > 0]).size for image in (truth, labels))
    ious = [iou for _, _, iou, _ in pairwise(labels, truth) if iou > threshold]
    return len(ious), m - len(ious), n - len(ious), sum(ious)


@given(image_pairs())
def test_quality_and_precision_equal_a_search_over_all_pairs(pair):
    labels, truth = pair
    assume(has_objects(truth))
    scores = evaluate(labels, truth)
    tp, fp, fn, total = quality_by_masks(labels, truth, 0.5)
    assert scores["pq"] == pytest.approx(total / (tp + fp / 2 + fn / 2))
    precisions = []
    for threshold in AP_THRESHOLDS:
        tp, fp, fn, _ = quality_by_masks(labels, truth, threshold)
        precisions.append(tp / (tp + fp + fn))
    assert scores["ap50"] == precisions[0]
    assert scores["ap75"] == precisions[5]
    assert scores["ap"] == pytest.approx(np.mean(precisions))


def aji_by_masks(labels, truth):
    correct = union = 0
    used = set()
    for i in np.unique(truth[truth > 0]):
        candidates = [
            (iou, shared, -np.flatnonzero(labels.ravel() == j)[0], j)
            for t, j, iou, shared in pairwise(labels, truth)
            if t == i and shared
        ]
        if not candidates:
            union += np.sum(truth == i)
            continue
        *_, best = max(candidates)
        used.add(best)
        correct += np.sum((truth == i) & (labels == best))
        union += np.sum((truth == i) | (labels == best))
    return correct / (union + np.sum((labels > 0) & ~np.isin(labels, list(used))))


@given(image_pairs())
def test_aji_equals_the_algorithm_step_by_step(pair):
    labels, truth = pair
    assume(has_objects(truth))
    expected = aji_by_masks(labels, truth)
    assert evaluate(labels, truth, ["aji"])["aji"] == pytest.approx(expected)


def best_dice_by_masks(first, second):
    def best(mask):
        others = [second == j for j in np.unique(second[second > 0])]
        return max((2 * np.sum(mask & o) / (mask.sum() + o.sum()) for o in others), default=0)

    ids = np.unique(first[first > 0])
    return np.mean([best(first == i) for i in ids]) if ids.size else 0.0


@given(image_pairs())
def test_symmetric_best_dice_equals_a_search_over_all_pairs(pair):
    labels, truth = pair
    assume(has_objects(truth))
    expected = min(best_dice_by_masks(labels, truth), best_dice_by_masks(truth, labels))
    assert evaluate(labels, truth, ["sbd"])["sbd"] == pytest.approx(expected)


@given(image_pairs())
def test_voi_and_arand_equal_scikit_image_on_the_images(pair):
    labels, truth = pair
    assume(has_objects(truth))
    scores = evaluate(labels, truth)
    voi = variation_of_information(truth, labels, ignore_labels=(0,))
    assert [scores["voi_split"], scores["voi_merge"]] == pytest.approx(voi, abs=1e-12)
    with np.errstate(invalid="ignore"):
        arand = adapted_rand_error(truth, labels, ignore_labels=(0,))[0]
    assert scores["arand"] == pytest.approx(np.nan_to_num(arand), abs=1e-12)


# ---------------------------------------------------------------- summaries


def test_summary_leaves_out_and_counts_images_without_truth():
    truth, empty = np.array([1, 1, 0, 0]), np.zeros(4, int)
    images = [(truth, truth), (empty, truth), (truth, empty), (empty, empty)]
    summary = summarize(evaluate(labels, true) for labels, true in images)
    assert summary["aji"] == 0.5
    assert summary["n_true"] == 1.0
    # The label in the image without truth is left out here too.
    assert summary["dic"] == 0.5
    assert (summary["n_images"], summary["n_empty_truth"]) == (2, 2)


def test_summary_knows_empty_truth_without_the_counts():
    images = [{"aji": 0.75, "dic": 1.0}, {"aji": math.nan, "dic": 3.0}, {"aji": 0.25, "dic": 2.0}]
    expected = {"aji": 0.5, "dic": 1.5, "n_images": 2, "n_empty_truth": 1}
    assert summarize(images) == expected


def test_summary_with_standard_deviation():
    summary = summarize([{"aji": 0.75}, {"aji": 0.25}], std=True)
    assert summary == {"aji": 0.5, "aji_std": 0.25, "n_images": 2, "n_empty_truth": 0}


def test_summary_without_any_truth_is_undefined():
    empty = np.zeros(3, int)
    summary = summarize([evaluate(empty, empty)], std=True)
    assert math.isnan(summary["aji"])
    assert math.isnan(summary["aji_std"])
    assert (summary["n_images"], summary["n_empty_truth"]) == (0, 1)


def test_summary_of_nothing():
    with pytest.raises(InputError, match="no scores"):
        summarize([])


def test_summary_of_different_metrics():
    with pytest.raises(InputError, match="different metrics"):
        summarize([{"aji": 1.0}, {"pq": 1.0}])
