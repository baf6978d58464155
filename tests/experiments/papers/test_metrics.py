from __future__ import annotations

import numpy as np
import pytest

from napari_pea.core.metrics import evaluate
from napari_pea.experiments.papers.metrics import authors_scores

#: Three objects of four pixels with background between them.
TRUTH = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2, 0, 3, 3, 3, 3, 0]])


def test_both_ways_agree_on_results_without_surprises() -> None:
    labels = np.array([[1, 1, 1, 0, 0, 2, 2, 2, 2, 0, 0, 3, 3, 3, 3]])
    ours = evaluate(labels, TRUTH, ["aji", "pq", "sbd", "dic"])
    found = authors_scores(labels, TRUTH)
    assert found == pytest.approx(ours, abs=1e-5)
    assert found["aji"] == pytest.approx((3 + 4 + 3) / (4 + 4 + 5))
    assert 0 < ours["pq"] - found["pq"] < 1e-5


def test_a_missed_first_object_spoils_the_aji_of_the_authors() -> None:
    truth = np.array([[1, 1, 0, 2, 2]])
    labels = np.array([[0, 0, 0, 1, 1]])
    assert evaluate(labels, truth, ["aji"])["aji"] == 0.5
    assert authors_scores(labels, truth)["aji"] == 0.0


def test_a_gap_in_the_ids_does_likewise() -> None:
    truth = np.array([[2, 2, 0, 3, 3]])
    labels = np.array([[1, 1, 0, 2, 2]])
    assert evaluate(labels, truth, ["aji"])["aji"] == 1.0
    found = authors_scores(labels, truth)
    # Id 1 takes the first object, for 2 nothing is left but the object of 3, which 3 then lacks.
    assert found["aji"] < 0.5
    # Three ids up to the largest, of which one does not occur.
    assert found["sbd"] == pytest.approx(2 / 3)
    assert found["dic"] == 1


def test_an_object_is_taken_once() -> None:
    truth = np.array([[1, 1, 2, 2, 2]])
    labels = np.array([[1, 1, 1, 1, 1]])
    # 2 fits better, but 1 comes first; 2 then adds its own size.
    assert authors_scores(labels, truth)["aji"] == pytest.approx(2 / (5 + 3))
    assert evaluate(labels, truth, ["aji"])["aji"] == pytest.approx((2 + 3) / (5 + 5))


def test_nothing_found_and_nothing_there() -> None:
    empty = np.zeros_like(TRUTH)
    found = authors_scores(empty, TRUTH)
    assert (found["aji"], found["pq"], found["sbd"], found["dic"]) == (0, 0, 0, 3)
    both = authors_scores(empty, empty)
    assert np.isnan(both["pq"])
    assert (both["aji"], both["sbd"], both["dic"]) == (0, 0, 0)


def test_without_background_the_first_object_is_taken_for_it() -> None:
    truth = np.array([[1, 1, 2, 2, 2]])
    assert authors_scores(truth, truth) == pytest.approx(
        {"aji": 1, "pq": 1, "sbd": 1, "dic": 0}, abs=1e-5
    )
    # Only the second object counts; it is found.
    assert authors_scores(np.array([[1, 0, 2, 2, 2]]), truth)["sbd"] == pytest.approx(0.5)
