"""Controls that act while they are used, in a real window."""

from __future__ import annotations

import json
from collections.abc import Callable
from threading import main_thread
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_pea.core.constraints import Constraints
from napari_pea.core.settings import RANGE_LADDER, SegmentationSettings

PATIENCE = 60_000


@pytest.fixture
def hand(
    open_dock: Callable[..., Any], bands: list[Any], tiles_image: np.ndarray, sluice: Any
) -> Any:
    """A dock whose image is segmented: three squares in a row, and one below."""
    hand = open_dock(show=True)
    hand.viewer.add_image(tiles_image, name="tiles", scale=(2, 2), translate=(5, 6))
    hand.segment()
    assert hand.viewer.layers["tiles labels"].data.max() == 4
    assert len(bands) == 1
    return hand


def labels_of(hand: Any, image: str = "tiles") -> Any:
    return hand.viewer.layers[f"{image} labels"]


CHANGES: dict[str, tuple[Callable[[Any], Any], str, Any, int]] = {
    "range": (lambda hand: hand.find("range_slider").setValue(0), "ranges", (1,), 2),
    "connectivity": (
        lambda hand: hand.find("connectivity_combo").setCurrentIndex(1),
        "connectivity",
        8,
        4,
    ),
    "strides": (lambda hand: hand.find("strides_spin").setValue(1), "strides", 1, 4),
    "bias": (lambda hand: hand.find("bias_slider").setValue(0.25), "bias", 0.25, 4),
    "foreground": (
        lambda hand: hand.find("foreground_slider").setValue(0.72),
        "foreground_threshold",
        0.72,
        1,
    ),
    "size": (lambda hand: hand.find("min_size_spin").setValue(41), "min_size", 41, 3),
    "fragments": (
        lambda hand: hand.find("merge_check").click(),
        "merge_fragments",
        False,
        4,
    ),
    "holes": (lambda hand: hand.find("holes_check").click(), "fill_holes", False, 4),
}


def test_every_control_acts_at_once_without_the_network(hand: Any, bands: list[Any]) -> None:
    labels = labels_of(hand)
    names = hand.names
    for change, setting, value, n_objects in CHANGES.values():
        change(hand)
        assert not hand.dock.live.idle
        hand.wait()
        assert labels_of(hand) is labels
        assert hand.names == names
        assert len(bands) == 1
        told = SegmentationSettings(**labels.metadata["napari_pea"]["settings"])
        assert getattr(told, setting) == value
        assert len(np.unique(labels.data)) - 1 == n_objects
        assert len(labels.features) == n_objects
        hand.find("reset_button").click()
        hand.wait()
        assert labels.data.max() == 4
        assert hand.dock._state.live.settings == SegmentationSettings()


def test_objects_that_stay_keep_their_ids(hand: Any) -> None:
    labels = labels_of(hand)
    before = labels.data
    assert before[28, 35] == 4
    hand.find("range_slider").setValue(0)
    hand.wait()
    # The three in the row are one object now, whose id is that of one of them.
    assert np.unique(labels.data).tolist() == [0, 1, 4]
    assert labels.data[28, 35] == 4
    assert labels.features["index"].tolist() == [1, 4]
    assert labels.features["area"].tolist() == [4 * 432, 4 * 40]
    assert labels.features["inside_margin"].notna().all()
    result = hand.dock.live.session.result
    np.testing.assert_array_equal(result.labels, labels.data)
    assert result.table["label"].tolist() == [1, 4]

    hand.find("reset_button").click()
    hand.wait()
    np.testing.assert_array_equal(labels.data, before)
    assert labels.features["index"].tolist() == [1, 2, 3, 4]
    assert labels.features["area"].tolist() == [4 * 144] * 3 + [4 * 40]


def test_a_list_of_ranges_can_be_typed(hand: Any, qtbot: Any) -> None:
    edit = hand.find("ranges_edit")
    live = hand.dock._state.live

    def type_(text: str) -> None:
        edit.selectAll()
        qtbot.keyClicks(edit, text)
        qtbot.keyClick(edit, Qt.Key.Key_Return)
        hand.wait()

    type_("9 3, 3")
    assert live.settings.ranges == (1, 3, 9)
    assert edit.text() == "1, 3, 9"
    assert hand.find("range_slider").value() == RANGE_LADDER.index(9)
    for text in ("1, two", "0, 3", "1.5", "", "-3"):
        type_(text)
        assert "Ranges are whole numbers of at least 1" in hand.status
        assert edit.text() == "1, 3, 9"
    assert live.settings.ranges == (1, 3, 9)
    hand.find("recommended_button").click()
    hand.wait()
    assert live.settings.ranges == SegmentationSettings().ranges

    edit.selectAll()
    qtbot.keyClicks(edit, "3")
    # It acts when the user pauses, without the return key.
    qtbot.waitUntil(lambda: live.settings.ranges == (1, 3), timeout=PATIENCE)
    assert edit.text() == "3"


def test_the_field_says_that_range_1_was_added(hand: Any, qtbot: Any, sluice: Any) -> None:
    edit = hand.find("ranges_edit")
    edit.selectAll()
    qtbot.keyClicks(edit, "3, 5")
    sluice.close()
    qtbot.keyClick(edit, Qt.Key.Key_Return)
    assert "Range 1 was added" in hand.status
    assert edit.text() == "1, 3, 5"


def test_rule_1_the_window_goes_on_while_labels_are_computed(
    hand: Any, qtbot: Any, sluice: Any
) -> None:
    sluice.threads.clear()
    sluice.close()
    hand.find("min_size_spin").setValue(41)
    qtbot.waitUntil(sluice.entered.is_set, timeout=PATIENCE)
    # The window answers: after a while it offers to cancel, and it takes the click.
    cancel = hand.find("cancel_button")
    qtbot.waitUntil(cancel.isEnabled, timeout=PATIENCE)
    hand.click("cancel_button")
    assert not cancel.isEnabled()
    assert main_thread() not in sluice.threads
    assert labels_of(hand).data.max() == 4


def test_rule_2_the_latest_change_wins(hand: Any, qtbot: Any, sluice: Any) -> None:
    shown: list[int] = []
    hand.dock.live.result_shown.connect(
        lambda session: shown.append(session.result.settings.min_size)
    )
    labels_of(hand).events.data.connect(lambda: shown.append(-1))
    sluice.close()
    spin = hand.find("min_size_spin")
    spin.setValue(41)
    qtbot.waitUntil(sluice.entered.is_set, timeout=PATIENCE)
    job = hand.dock._runner.current
    spin.setValue(10)
    # The job under way is cancelled by the change itself, before anything else happens.
    assert job.token.cancelled
    for value in range(11, 31):
        spin.setValue(value)
    qtbot.waitUntil(lambda: sluice.settings[-1].min_size == 30, timeout=PATIENCE)
    sluice.open.set()
    hand.wait()
    assert [value for value in shown if value != -1] == [30]
    assert shown.count(-1) == 1
    # Of twenty quick changes only the last one was worth computing.
    assert len(sluice.settings) <= 3


def test_changes_during_the_first_segmentation_count(hand: Any, qtbot: Any, sluice: Any) -> None:
    shown: list[int] = []
    hand.dock.live.result_shown.connect(
        lambda session: shown.append(session.result.settings.min_size)
    )
    sluice.close()
    hand.click("segment_button")
    qtbot.waitUntil(sluice.entered.is_set, timeout=PATIENCE)
    hand.find("min_size_spin").setValue(41)
    sluice.open.set()
    hand.wait()
    assert shown == [41]
    assert labels_of(hand).data.max() == 3


def test_a_closed_dock_does_nothing_any_more(hand: Any, qtbot: Any, monkeypatch: Any) -> None:
    closed = hand.dock  # somebody keeps it
    started: list[Any] = []
    monkeypatch.setattr(closed._runner, "start", started.append)
    hand.frame.title.close_button.click()
    again = hand.opened_again()
    again.find("range_slider").setValue(0)
    again.wait()
    assert len(labels_of(again).features) == 2
    again.find("foreground_slider").setValue(0.72)
    again.wait()
    again.viewer.add_labels(labels_of(again).data, name="old", metadata=labels_of(again).metadata)
    again.wait()
    assert len(labels_of(again).features) == 1
    assert not started
    assert again.names.count("tiles labels [1]") == 0
    # Shown again, it acts again.
    again.viewer.window.add_dock_widget(closed, name="again")
    again.find("reset_button").click()
    again.wait()
    assert started


def test_rule_3_a_result_goes_with_its_layer(
    hand: Any, qtbot: Any, sluice: Any, tiles_image: np.ndarray
) -> None:
    hand.viewer.add_image(tiles_image[:, :28].copy(), name="other")
    hand.segment()
    other = labels_of(hand, "other")
    assert other.data.max() == 2
    hand.find("image_combo").setCurrentText("tiles")
    sluice.close()
    hand.find("range_slider").setValue(0)
    qtbot.waitUntil(sluice.entered.is_set, timeout=PATIENCE)
    hand.find("image_combo").setCurrentText("other")
    sluice.open.set()
    hand.wait()
    assert np.unique(labels_of(hand).data).tolist() == [0, 1, 4]
    assert labels_of(hand).data.shape == tiles_image.shape
    assert other.data.max() == 2
    assert other.data.shape == (40, 28)
    # The controls say what the chosen image was made with.
    assert hand.dock._state.live.settings.ranges == SegmentationSettings().ranges
    hand.find("image_combo").setCurrentText("tiles")
    assert hand.dock._state.live.settings.ranges == (1,)


def test_rule_4_results_keep_place_and_settings(hand: Any, bands: list[Any]) -> None:
    labels, source = labels_of(hand), hand.viewer.layers["tiles"]
    source.scale = (3, 3)
    hand.find("range_slider").setValue(1)
    hand.find("min_size_spin").setValue(7)
    hand.wait()
    np.testing.assert_allclose(labels.scale, (3, 3))
    np.testing.assert_allclose(labels.translate, source.translate)
    assert labels.units == source.units
    told = labels.metadata["napari_pea"]
    assert json.loads(json.dumps(told)) == told
    settings = SegmentationSettings(**told["settings"])
    assert (settings.ranges, settings.min_size) == ((1, 3), 7)
    assert (told["image"], told["model"]) == ("tiles", "tiny")


def test_rule_5_what_was_painted_stays(hand: Any, qtbot: Any, sluice: Any) -> None:
    labels = labels_of(hand)
    sluice.close()
    hand.find("min_size_spin").setValue(41)
    qtbot.waitUntil(sluice.entered.is_set, timeout=PATIENCE)
    labels.paint((35, 5), 9)
    painted = labels.data.copy()
    sluice.open.set()
    hand.wait()
    np.testing.assert_array_equal(labels.data, painted)
    assert hand.viewer.layers["tiles labels [1]"].data.max() == 3
    hand.find("min_size_spin").setValue(3)
    hand.wait()
    np.testing.assert_array_equal(labels.data, painted)
    assert hand.viewer.layers["tiles labels [1]"].data.max() == 4


def test_looks_of_the_labels_stay(hand: Any) -> None:
    labels = labels_of(hand)
    hand.viewer.layers.selection.active = hand.viewer.layers["tiles"]
    labels.visible = False
    labels.opacity = 0.3
    labels.selected_label = 3
    labels.contour = 2
    colormap = labels.colormap
    hand.find("min_size_spin").setValue(41)
    hand.wait()
    assert labels.data.max() == 3
    assert (labels.visible, labels.opacity, labels.contour) == (False, 0.3, 2)
    assert labels.selected_label == 3
    assert labels.colormap is colormap
    assert hand.viewer.layers.selection.active is hand.viewer.layers["tiles"]


def test_going_back_in_time_cancels_the_way_forward(hand: Any, qtbot: Any, sluice: Any) -> None:
    labels = labels_of(hand)
    before = labels.data
    sluice.close()
    spin = hand.find("min_size_spin")
    value = spin.value()
    spin.setValue(41)
    qtbot.waitUntil(sluice.entered.is_set, timeout=PATIENCE)
    spin.setValue(value)
    sluice.open.set()
    hand.wait()
    assert labels.data is before


def test_corrections_are_carried_out_and_survive_changes(hand: Any, monkeypatch: Any) -> None:
    session = hand.dock.live.session
    pair = np.ravel_multi_index(([10, 10], [10, 22]), (40, 56)).astype(np.int64)
    link = Constraints(pair[None], np.zeros((0, 2), np.int64))
    hand.dock.live.set_constraints(session, link, {"strokes": [1]})
    hand.wait()
    labels = labels_of(hand)
    assert labels.metadata["napari_pea"]["corrections"] == {"strokes": [1]}
    assert session.result_constraints is link
    hand.find("min_size_spin").setValue(3)
    hand.wait()
    assert session.result_constraints is link
    hand.segment()
    assert hand.dock.live.session.constraints is link
    assert labels.metadata["napari_pea"]["corrections"] == {"strokes": [1]}


def test_follow_ups_are_done_in_turn_and_given_up_for_a_change(
    hand: Any, qtbot: Any, sluice: Any
) -> None:
    from napari_pea.widgets.jobs import Job

    done: list[str] = []
    live = hand.dock.live
    for name in ("one", "two"):
        live.follow(
            lambda session, name=name: Job(
                name, lambda *_: name, lambda result: done.append(result) or "", quiet=True
            )
        )
    hand.find("min_size_spin").setValue(41)
    hand.wait()
    assert done == ["one", "two"]
    assert hand.status.startswith("3 objects in ")


def test_deleting_the_image_forgets_it(hand: Any, qtbot: Any, sluice: Any) -> None:
    import gc
    from weakref import ref

    embedding = ref(hand.dock.live.session.segmenter.embedding().vectors)
    layer = ref(hand.viewer.layers["tiles"])
    sluice.close()
    hand.find("min_size_spin").setValue(41)
    qtbot.waitUntil(sluice.entered.is_set, timeout=PATIENCE)
    hand.viewer.layers.remove("tiles")
    assert hand.status == "Cancelled: the image 'tiles' was removed."
    assert hand.dock.live.session is None
    sluice.open.set()
    hand.wait()
    hand.viewer.layers.clear()
    qtbot.wait(50)
    gc.collect()
    assert embedding() is None
    assert layer() is None
