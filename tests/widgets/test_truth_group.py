"""Scores against a truth layer, in a real window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_pea.core.errors import InputError
from napari_pea.widgets.sources import ImagePart
from napari_pea.widgets.truth_group import MISSED, NONE, WRONG, error_map, truth_plane


@pytest.fixture
def truth(tiles_image: np.ndarray) -> np.ndarray:
    """The first two squares are one object, the last ones are right, and one is missed."""
    pixels = np.zeros(tiles_image.shape, dtype=np.uint16)
    pixels[4:16, 4:28] = 5
    pixels[4:16, 28:40] = 6
    pixels[26:30, 30:40] = 9
    pixels[26:38, 2:20] = 11
    return pixels


@pytest.fixture
def hand(open_dock: Callable[..., Any], bands: list[Any], tiles_image: np.ndarray) -> Any:
    hand = open_dock()
    hand.viewer.add_image(tiles_image, name="tiles", scale=(2, 2))
    hand.segment()
    hand.find("truth_fold").expand(animate=False)
    return hand


def choose(hand: Any, name: str) -> None:
    combo = hand.find("truth_combo")
    combo.setCurrentIndex([combo.itemText(n) for n in range(combo.count())].index(name))
    hand.wait()


def test_scores_follow_the_controls_and_the_paint(hand: Any, truth: np.ndarray, qtbot: Any) -> None:
    layer = hand.viewer.add_labels(truth, name="by hand")
    choose(hand, "by hand")
    label = hand.find("truth_label")
    # Two of four objects match, and two of four true ones; the first true object takes one
    # of the two squares in it, and nobody takes the other.
    assert "AP50 0.333" in label.text()
    assert "PQ 0.500" in label.text()
    assert f"AJI {328 / (288 + 144 + 40 + 216 + 144):.3f}" in label.text()
    assert "4 objects, 4 true" in label.text()
    hand.find("min_size_spin").setValue(41)
    hand.wait()
    assert "3 objects, 4 true" in label.text()
    layer.data_setitem(np.nonzero(truth == 11), 0)
    qtbot.waitUntil(lambda: "3 objects, 3 true" in label.text(), timeout=20_000)
    hand.wait()


def test_errors_are_highlighted(hand: Any, truth: np.ndarray) -> None:
    hand.viewer.add_labels(truth, name="by hand")
    choose(hand, "by hand")
    hand.click("errors_check")
    hand.wait()
    shown = hand.viewer.layers["tiles errors"]
    assert hand.viewer.layers[-1] is shown
    assert (shown.data[4:16, 4:28] == WRONG).all()
    assert (shown.data[26:38, 2:20] == MISSED).all()
    assert (shown.data[4:16, 28:40] == NONE).all()
    assert np.array_equal(shown.scale, [2, 2])
    hand.find("foreground_slider").setValue(0.62)  # the first square goes
    hand.wait()
    assert hand.viewer.layers["tiles errors"] is shown
    assert (shown.data[4:16, 4:16] == MISSED).all()
    hand.click("errors_check")
    assert "tiles errors" not in hand.names


def test_a_removed_truth_is_forgotten(hand: Any, truth: np.ndarray) -> None:
    layer = hand.viewer.add_labels(truth, name="by hand")
    choose(hand, "by hand")
    hand.click("errors_check")
    hand.wait()
    layer.name = "mine"
    assert hand.find("truth_combo").currentText() == "mine"
    hand.viewer.layers.remove(layer)
    assert hand.find("truth_combo").currentText() == "none"
    assert hand.find("truth_label").text() == ""
    assert "tiles errors" not in hand.names


def test_what_cannot_be_compared_is_said(hand: Any, truth: np.ndarray) -> None:
    combo, label = hand.find("truth_combo"), hand.find("truth_label")
    # Labels of the dock itself are no truth.
    assert [combo.itemText(n) for n in range(combo.count())] == ["none"]
    hand.viewer.add_labels(truth[:-1], name="cropped")
    choose(hand, "cropped")
    assert "'cropped' has shape (39, 56), but the image (40, 56)" in label.text()
    hand.viewer.add_labels(np.zeros_like(truth), name="empty")
    choose(hand, "empty")
    assert "nothing to compare with" in label.text()


def test_the_plane_of_a_truth() -> None:
    stack = np.arange(4 * 2 * 5 * 6).reshape(4, 2, 5, 6)
    part = ImagePart(stack, ((0, 3),), 1, 1, 4, False)
    labels = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    np.testing.assert_array_equal(truth_plane(labels, part, "a"), labels[3])
    np.testing.assert_array_equal(truth_plane(labels[3], part, "a"), labels[3])
    np.testing.assert_array_equal(truth_plane(labels[3][None], part, "a"), labels[3])
    with pytest.raises(InputError, match="'a' has shape"):
        truth_plane(labels[:2], part, "a")


def test_wrong_goes_before_missed() -> None:
    labels = np.array([[1, 1, 0, 2, 2, 2]])
    truth = np.array([[0, 3, 3, 3, 0, 4]])
    assert error_map(labels, truth).tolist() == [[1, 1, 2, 1, 1, 1]]
