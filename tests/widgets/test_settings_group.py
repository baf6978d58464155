from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QSlider, QSpinBox, QWidget

from napari_pea.core.errors import InputError
from napari_pea.core.known import KnownOffsets
from napari_pea.core.neighborhood import Neighborhood, graph_offsets
from napari_pea.core.settings import RANGE_LADDER, SegmentationSettings
from napari_pea.widgets.ranges import ranges_from
from napari_pea.widgets.settings_group import SettingsGroup
from napari_pea.widgets.state import SegmentState


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1, 3, 9", (1, 3, 9)), ("9 3;3", (1, 3, 9)), ("  27 ", (1, 27)), ("1,", (1,))],
)
def test_ranges_are_sorted_and_start_with_1(text: str, expected: tuple[int, ...]) -> None:
    assert ranges_from(text) == expected


@pytest.mark.parametrize("text", ["", " , ", "0", "1, x", "3.5", "-2", "²"])
def test_anything_else_gets_one_sentence(text: str) -> None:
    with pytest.raises(InputError, match="whole numbers of at least 1"):
        ranges_from(text)


@pytest.fixture
def state() -> SegmentState:
    return SegmentState()


@pytest.fixture
def group(qtbot: Any, state: SegmentState) -> Iterator[SettingsGroup]:
    parent = QWidget()
    qtbot.addWidget(parent)
    yield SettingsGroup(state, parent)
    parent.hide()


def test_controls_say_what_the_settings_are(group: SettingsGroup, state: SegmentState) -> None:
    state.live.settings = SegmentationSettings(
        ranges=(3, 20),
        connectivity=8,
        strides=(2, 3),
        partitioner="multicut",
        bias=-0.25,
        foreground_threshold=0.7,
        min_size=77,
        merge_fragments=False,
        fill_holes=False,
    )
    # Nothing was changed by showing it.
    assert state.live.settings.ranges == (3, 20)
    assert state.live.settings.strides == (2, 3)
    assert RANGE_LADDER[group.range_slider.value()] == 19
    assert group.ranges_edit.text() == "1, 3, 20"
    assert group.connectivity_combo.currentText().startswith("8")
    assert group.partitioner_combo.currentText().startswith("Multicut")
    assert group.bias_slider.value() == pytest.approx(-0.25)
    assert group.foreground_slider.value() == pytest.approx(0.7)
    assert group.min_size_spin.value() == 77
    assert not group.merge_check.isChecked()
    assert not group.holes_check.isChecked()


def test_the_slider_takes_the_ladder_up_to_it(group: SettingsGroup, state: SegmentState) -> None:
    group.range_slider.setValue(3)
    assert state.live.settings.ranges == (1, 3, 5, 7)
    group.step_range(1)
    assert state.live.settings.ranges == (1, 3, 5, 7, 9)
    group.step_range(-100)
    assert state.live.settings.ranges == (1,)


@pytest.fixture
def volumes(state: SegmentState) -> SegmentationSettings:
    """What a model for volumes recommends, whose sections are three times as far apart."""
    settings = SegmentationSettings(ranges=(1, 3, 9), z_ranges=(1, 1, 3), strides=(1, 4, 4))
    state.live.follow_model("volumes", settings, 3)
    return settings


def test_ranges_across_sections_follow(
    group: SettingsGroup, state: SegmentState, volumes: SegmentationSettings
) -> None:
    assert not group.z_ranges_edit.isHidden()
    assert group.z_ranges_edit.text() == "1, 1, 3"
    assert group.connectivity_combo.count() == 3
    assert group.connectivity_combo.currentText() == "6 (along the axes)"
    assert group.min_size_spin.suffix() == " voxels"
    group.range_slider.setValue(6)
    assert state.live.settings.ranges == (1, 3, 5, 7, 9, 11, 15)
    assert state.live.settings.z_ranges == (1, 1, 2, 2, 3, 4, 5)
    group.range_slider.setValue(0)
    group.range_slider.setValue(1)
    assert state.live.settings.z_ranges == (1, 1)
    group.recommended_button.click()
    assert state.live.settings == volumes
    group.strides_spin.setValue(8)
    assert state.live.settings.strides == (1, 8, 8)
    state.live.follow_model("planes", SegmentationSettings())
    assert group.z_ranges_edit.isHidden()
    assert group.connectivity_combo.currentText() == "4 (rows and columns)"


def test_ranges_across_sections_can_be_typed(
    group: SettingsGroup, state: SegmentState, volumes: SegmentationSettings, qtbot: Any
) -> None:
    def type_(text: str) -> None:
        group.z_ranges_edit.selectAll()
        qtbot.keyClicks(group.z_ranges_edit, text) if text else group.z_ranges_edit.del_()
        qtbot.keyClick(group.z_ranges_edit, Qt.Key.Key_Return)

    type_("1 2 4")
    assert state.live.settings.neighborhood(3).z_ranges == (1, 2, 4)
    type_("1, 2")
    assert state.status == (
        "Each range needs its z range: there are 3 ranges, 1, 3, 9, and 2 z ranges."
    )
    assert group.z_ranges_edit.text() == "1, 2, 4"
    type_("")
    assert state.live.settings.z_ranges is None


def test_the_method_can_be_chosen(group: SettingsGroup, state: SegmentState) -> None:
    assert state.live.settings.partitioner == "mutex"
    group.partitioner_combo.setCurrentText("Mean shift on the embedding")
    assert state.live.settings.partitioner == "mean-shift"


def test_choosing_a_model_starts_from_what_it_recommends(state: SegmentState) -> None:
    live = state.live
    live.follow_model("a", SegmentationSettings(min_size=3))
    assert live.settings.min_size == 3
    live.settings = live.settings.updated(min_size=9)
    live.follow_model("a", SegmentationSettings(min_size=3))
    assert live.settings.min_size == 9
    live.follow_model("b", SegmentationSettings(min_size=5))
    assert live.settings == live.recommended == SegmentationSettings(min_size=5)


def test_every_control_says_what_it_does(group: SettingsGroup) -> None:
    kinds = (QSlider, QSpinBox, QComboBox)
    named = [
        each
        for kind in kinds
        for each in group.findChildren(kind)
        if each.objectName() and not each.objectName().startswith("qt_")
    ]
    assert len(named) >= 4
    for each in named:
        assert each.toolTip(), each.objectName()
        assert "tensor" not in each.toolTip()


def is_seen(group: SettingsGroup, name: str) -> bool:
    widget = group.findChild(QWidget, name)
    assert widget is not None
    return not widget.isHidden()


def test_only_what_the_model_knows_can_be_chosen(group: SettingsGroup, state: SegmentState) -> None:
    live = state.live
    assert not is_seen(group, "known_label")
    assert not is_seen(group, "average_check")
    known = KnownOffsets(Neighborhood((1, 2, 3, 4, 8, 12)).offset_list)
    recommended = SegmentationSettings(ranges=(1, 2, 4), strides=1)
    live.follow_model("masks", recommended, 2, known, can_average=True)
    assert is_seen(group, "average_check")
    assert is_seen(group, "known_label")
    assert "ranges 1, 2, 3, 4, 8, 12" in group.known_label.text()
    chosen = []
    for index in range(group.range_slider.maximum() + 1):
        group.range_slider.setValue(index)
        chosen.append(max(live.settings.ranges))
    assert chosen == [1, 2, 3, 4, 8, 12]
    assert live.settings.ranges == (1, 2, 3, 4, 8, 12)
    assert [group.connectivity_combo.itemText(0)] == [
        group.connectivity_combo.itemText(n) for n in range(group.connectivity_combo.count())
    ]
    assert group.partitioner_combo.findText("Mean shift on the embedding") < 0
    group.average_check.click()
    assert live.settings.average_masks
    group.reset()
    assert live.settings == recommended
    assert group.range_slider.value() == 3

    live.follow_model("embeds", SegmentationSettings())
    assert group.range_slider.maximum() == len(RANGE_LADDER) - 1
    assert group.connectivity_combo.count() == 2
    assert group.partitioner_combo.count() == 4
    assert not is_seen(group, "average_check")
    assert not is_seen(group, "known_label")


def test_a_range_that_the_model_does_not_know_is_refused(
    group: SettingsGroup, state: SegmentState
) -> None:
    known = KnownOffsets(Neighborhood((1, 2, 4)).offset_list)
    state.live.follow_model("masks", SegmentationSettings(ranges=(1, 2)), 2, known)
    group.ranges_edit.setText("1, 5")
    group.ranges_edit.setModified(True)
    group.ranges_edit.editingFinished.emit()
    assert state.live.settings.ranges == (1, 2)
    assert group.ranges_edit.text() == "1, 2"
    assert "range 5: take ranges out of 1, 2, 4" in state.status


def test_z_ranges_follow_as_far_as_they_are_known(
    group: SettingsGroup, state: SegmentState
) -> None:
    known = KnownOffsets(graph_offsets(3))
    recommended = SegmentationSettings(ranges=(1, 4), z_ranges=(1, 2))
    state.live.follow_model("masks", recommended, 3, known)
    assert "z ranges 1, 2" in group.known_label.text()
    group.range_slider.setValue(2)
    assert state.live.settings.ranges == (1, 4, 12)
    assert state.live.settings.z_ranges == (1, 2, 2)
    group.z_ranges_edit.setText("1, 2, 3")
    group.z_ranges_edit.setModified(True)
    group.z_ranges_edit.editingFinished.emit()
    assert "z range 3: take z ranges out of 1, 2" in state.status
    assert state.live.settings.z_ranges == (1, 2, 2)
