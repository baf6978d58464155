"""Stepping through uncertain objects, in a real window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt


@pytest.fixture
def hand(open_dock: Callable[..., Any], bands: list[Any], tiles_image: np.ndarray) -> Any:
    """A dock whose image is segmented: the darker an object, the less certain it is."""
    hand = open_dock(show=True)
    hand.viewer.add_image(tiles_image, name="tiles", scale=(2, 2), translate=(5, 6))
    hand.segment()
    return hand


def centers_of(hand: Any) -> dict[int, tuple[float, float]]:
    table = hand.viewer.layers["tiles labels"].features
    return {
        int(row["index"]): (row["centroid-0"], row["centroid-1"]) for _, row in table.iterrows()
    }


def test_steps_lead_from_the_least_certain_on(hand: Any) -> None:
    labels = hand.viewer.layers["tiles labels"]
    # Pixels of one square are alike, those of two have nothing in common.
    outside = labels.features["outside_margin"].tolist()
    assert outside == pytest.approx([1, 1, 1, np.nan], nan_ok=True)
    assert labels.features["inside_margin"].tolist() == [1, 1, 1, 1]
    order = labels.features.sort_values("certainty")["index"].tolist()
    assert order == [1, 2, 3, 4]
    centers = centers_of(hand)
    for label in (1, 2, 3, 4, 1):
        hand.click("next_uncertain_button")
        assert labels.selected_label == label
        assert hand.viewer.scene.camera.center[-2:] == pytest.approx(centers[label])
        assert f"Object {label}, certainty 0." in hand.find("review_label").text()


def test_an_accepted_object_is_not_shown_again(hand: Any) -> None:
    labels = hand.viewer.layers["tiles labels"]
    hand.click("next_uncertain_button")
    hand.click("accept_button")
    assert labels.features["accepted"].tolist() == [True] + [False] * 3
    assert "1 of 4 accepted" in hand.find("review_label").text()
    assert hand.find("accept_button").text() == "Take back"
    hand.click("accept_button")
    assert hand.find("accept_button").text() == "Accept"
    assert not labels.features["accepted"].any()
    hand.click("accept_button")
    seen = []
    for _ in range(4):
        hand.click("next_uncertain_button")
        seen.append(labels.selected_label)
    assert seen == [2, 3, 4, 2]
    for _ in range(3):
        hand.click("accept_button")
        hand.click("next_uncertain_button")
    assert hand.status == "All objects are accepted."
    # The table was changed, but the layer is not the user's own for that.
    hand.find("bias_slider").setValue(0.25)
    hand.wait()
    assert hand.names.count("tiles labels") == 1
    assert hand.viewer.layers["tiles labels"] is labels


def test_what_was_accepted_stays_so_while_the_object_stays(hand: Any) -> None:
    hand.click("next_uncertain_button")
    hand.click("accept_button")
    hand.find("min_size_spin").setValue(41)  # the small one below goes
    hand.wait()
    labels = hand.viewer.layers["tiles labels"]
    assert labels.features["accepted"].tolist() == [True, False, False]
    told = labels.metadata["napari_pea"]["corrections"]["accepted"]
    assert len(told) == 1
    hand.find("foreground_slider").setValue(0.62)  # now the first one goes
    hand.wait()
    assert labels.features["accepted"].tolist() == [False, False]


def test_key_n_steps(hand: Any, qtbot: Any) -> None:
    canvas = hand.viewer.window._qt_viewer.canvas.native
    labels = hand.viewer.layers["tiles labels"]
    qtbot.keyClick(canvas, Qt.Key.Key_N)
    assert labels.selected_label == 1
    qtbot.keyClick(canvas, Qt.Key.Key_N)
    assert labels.selected_label == 2
    hand.frame.hide()
    qtbot.keyClick(canvas, Qt.Key.Key_N)
    assert labels.selected_label == 2


def test_a_small_object_is_brought_near(hand: Any) -> None:
    hand.viewer.scene.camera.zoom = 0.5
    hand.click("next_uncertain_button")
    assert hand.viewer.scene.camera.zoom > 1
    near = hand.viewer.scene.camera.zoom
    hand.viewer.scene.camera.zoom = 2 * near
    hand.click("next_uncertain_button")
    assert hand.viewer.scene.camera.zoom == 2 * near


def test_the_map_is_bright_where_objects_are_uncertain(hand: Any, qtbot: Any) -> None:
    hand.click("uncertainty_check")
    hand.wait()
    labels = hand.viewer.layers["tiles labels"]
    shown = hand.viewer.layers["tiles uncertainty"]
    assert hand.viewer.layers[-1] is shown
    sure = labels.features.set_index("index")["certainty"]
    for label in (1, 2, 3, 4):
        assert shown.data[labels.data == label] == pytest.approx(1 - sure[label])
    assert not shown.data[labels.data == 0].any()
    hand.find("foreground_slider").setValue(0.62)
    hand.wait()
    assert hand.viewer.layers["tiles uncertainty"] is shown
    assert not shown.data[10, 8]
    hand.click("uncertainty_check")
    assert shown not in hand.viewer.layers


def test_without_a_result_there_is_nothing_to_step_to(open_dock: Callable[..., Any]) -> None:
    hand = open_dock()
    assert not hand.find("next_uncertain_button").isEnabled()
    assert not hand.find("accept_button").isEnabled()
    hand.find("uncertainty_check").click()
    assert hand.names == []


def test_planes_of_a_stack(
    open_dock: Callable[..., Any], bands: list[Any], tiles_image: np.ndarray
) -> None:
    hand = open_dock()
    stack = np.stack([tiles_image] * 7)
    hand.viewer.add_image(stack, name="tiles", scale=(3, 2, 2))
    hand.viewer.dims.set_current_step(0, 4)
    hand.segment()
    hand.click("next_uncertain_button")
    assert hand.viewer.dims.point[0] == pytest.approx(12)
    assert hand.viewer.scene.camera.center[-2:] == pytest.approx((2 * 9.5, 2 * 9.5))
