"""Joining and cutting with the mouse, in a real window."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_pea.core.labels import numbered_by_appearance
from napari_pea.widgets.repeat import as_python
from napari_pea.widgets.scribbles import STILL_MS

SCALE, SHIFT = 2, np.array([5, 6])


@pytest.fixture
def hand(open_dock: Callable[..., Any], bands: list[Any], tiles_image: np.ndarray) -> Any:
    """A dock whose image is segmented: three squares in a row, and one below."""
    hand = open_dock(show=True)
    hand.viewer.add_image(tiles_image, name="tiles", scale=(SCALE,) * 2, translate=SHIFT)
    hand.segment()
    return hand


class Brush:
    """Draws in pixels of the image and says what the labels are."""

    def __init__(self, hand: Any, draw: Callable[..., None], qtbot: Any) -> None:
        self.hand = hand
        self._draw = draw
        self._qtbot = qtbot

    def take(self, name: str) -> None:
        if not self.hand.find(f"{name}_button").isChecked():
            self.hand.click(f"{name}_button")

    def draw(self, *points: tuple[float, float]) -> None:
        self._draw(self.hand.viewer, [np.array(point) * SCALE + SHIFT for point in points])
        self.settle()

    def settle(self) -> None:
        """Wait until what was drawn or undone is carried out."""
        self._qtbot.wait(2 * STILL_MS)
        self.hand.wait()

    def undo(self) -> None:
        self.layer.undo()
        self.settle()

    def redo(self) -> None:
        self.layer.redo()
        self.settle()

    @property
    def layer(self) -> Any:
        return self.hand.viewer.layers["tiles corrections"]

    @property
    def labels(self) -> Any:
        return self.hand.viewer.layers["tiles labels"].data

    @property
    def squares(self) -> list[int]:
        """Which of the squares in the row, and the one below, are one object, from 1 on."""
        found = [int(self.labels[place]) for place in ((10, 8), (10, 20), (10, 32), (28, 35))]
        assert all(found)
        objects = list(dict.fromkeys(found))
        return [objects.index(label) + 1 for label in found]

    @property
    def kinds(self) -> list[str]:
        told = self.hand.viewer.layers["tiles labels"].metadata["napari_pea"]
        told = json.loads(json.dumps(told))
        return [stroke["kind"] for stroke in told.get("corrections", {}).get("strokes", [])]


@pytest.fixture
def brush(hand: Any, draw: Callable[..., None], qtbot: Any) -> Brush:
    return Brush(hand, draw, qtbot)


def test_a_join_makes_one_object(hand: Any, brush: Brush, bands: list[Any]) -> None:
    brush.take("join")
    assert hand.viewer.layers.selection.active is brush.layer
    brush.draw((10, 12), (10, 20))
    assert brush.squares == [1, 1, 2, 3]
    assert brush.kinds == ["join"]
    assert hand.find("corrections_label").text() == "1 stroke"
    # The paint lies where the mouse was, and the network did not run again.
    rows, columns = np.nonzero(brush.layer.data)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (8, 12, 10, 22)
    assert len(bands) == 1


def test_strokes_survive_other_settings(hand: Any, brush: Brush) -> None:
    brush.take("join")
    brush.draw((10, 12), (10, 20))
    hand.find("bias_slider").setValue(-0.25)
    brush.settle()
    assert hand.viewer.layers["tiles labels"].metadata["napari_pea"]["settings"]["bias"] == -0.25
    assert brush.squares == [1, 1, 2, 3]
    assert brush.kinds == ["join"]


def test_a_cut_makes_two_objects(brush: Brush) -> None:
    brush.take("cut")
    brush.draw((0, 10), (10, 10), (20, 10))
    left, right = set(np.unique(brush.labels[4:16, 4:7])), set(np.unique(brush.labels[4:16, 13:16]))
    assert not left & right
    assert brush.labels.max() == 5
    assert brush.kinds == ["cut"]


def test_each_stroke_can_be_undone(hand: Any, brush: Brush) -> None:
    brush.take("join")
    brush.draw((10, 12), (10, 20))
    brush.draw((6, 24), (6, 32))
    assert brush.squares == [1, 1, 1, 2]
    brush.undo()
    assert brush.squares == [1, 1, 2, 3]
    brush.undo()
    assert brush.squares == [1, 2, 3, 4]
    assert brush.kinds == []
    brush.redo()
    assert brush.squares == [1, 1, 2, 3]
    assert brush.kinds == ["join"]


def test_the_button_undoes_the_newest_stroke(hand: Any, brush: Brush) -> None:
    brush.take("join")
    brush.draw((10, 12), (10, 20))
    brush.draw((10, 18), (10, 32))
    hand.click("undo_correction_button")
    brush.settle()
    assert brush.squares == [1, 1, 2, 3]
    # The paint of the older one, which it ran over, is whole again.
    assert set(np.unique(brush.layer.data)) == {0, 1}
    assert brush.layer.data[10, 20] == 1
    brush.undo()  # napari's own undo takes that back
    assert brush.squares == [1, 1, 1, 2]
    hand.click("undo_correction_button")
    hand.click("undo_correction_button")
    brush.settle()
    assert brush.squares == [1, 2, 3, 4]
    assert not hand.find("undo_correction_button").isEnabled()


def test_a_stroke_replaces_one_that_says_the_opposite(
    hand: Any, brush: Brush, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("napari_pea.widgets.corrections_group.show_info", said.append)
    brush.take("join")
    brush.draw((10, 10), (10, 22))
    brush.take("cut")
    brush.draw((0, 15.5), (20, 15.5))
    assert brush.kinds == ["cut"]
    assert len(said) == 1
    assert "replaced" in said[0]
    assert brush.squares == [1, 2, 3, 4]
    assert set(np.unique(brush.layer.data)) == {0, 2}
    brush.undo()
    assert brush.kinds == ["join"]
    assert brush.squares == [1, 1, 2, 3]
    assert brush.layer.data[10, 10] == brush.layer.data[10, 15] == 1
    brush.redo()
    assert brush.kinds == ["cut"]


def test_the_eraser_takes_a_part_of_a_stroke_away(brush: Brush) -> None:
    brush.take("join")
    brush.draw((10, 8), (10, 32))
    assert brush.squares == [1, 1, 1, 2]
    brush.layer.mode = "erase"
    brush.draw((4, 28), (16, 28))
    assert brush.squares == [1, 1, 2, 3]
    assert brush.kinds == ["join", "join"]
    brush.undo()
    assert brush.squares == [1, 1, 1, 2]
    assert brush.kinds == ["join"]


def test_paint_that_is_no_stroke_changes_nothing(
    hand: Any, brush: Brush, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("napari_pea.widgets.corrections_group.show_info", said.append)
    brush.take("join")
    brush.layer.mode = "fill"
    brush.draw((30, 5), (30, 5))
    assert brush.squares == [1, 2, 3, 4]
    assert (brush.layer.data > 0).all()  # it is not lost either
    assert len(said) == 1


def test_buttons_show_what_is_in_the_hand(hand: Any, brush: Brush) -> None:
    join, cut = hand.find("join_button"), hand.find("cut_button")
    hand.click("join_button")
    assert (join.isChecked(), cut.isChecked()) == (True, False)
    hand.click("cut_button")
    assert (join.isChecked(), cut.isChecked()) == (False, True)
    hand.viewer.layers.selection.active = hand.viewer.layers["tiles labels"]
    assert (join.isChecked(), cut.isChecked()) == (False, False)
    hand.click("cut_button")
    brush.layer.mode = "pan_zoom"
    assert not cut.isChecked()
    hand.click("cut_button")
    hand.click("cut_button")
    assert brush.layer.mode == "pan_zoom"
    assert hand.names.count("tiles corrections") == 1


def test_the_width_of_the_brush(hand: Any, brush: Brush) -> None:
    hand.find("brush_spin").setValue(1)
    brush.take("join")
    brush.draw((10, 12), (10, 18))
    assert (brush.layer.data > 0).sum() == 7
    brush.layer.brush_size = 9
    assert hand.find("brush_spin").value() == 9


def test_nothing_can_be_corrected_before_there_is_a_result(open_dock: Callable[..., Any]) -> None:
    hand = open_dock()
    assert not hand.find("join_button").isEnabled()
    assert not hand.find("cut_button").isEnabled()
    assert not hand.find("undo_correction_button").isEnabled()


def test_without_the_layer_there_are_no_corrections(hand: Any, brush: Brush) -> None:
    brush.take("join")
    brush.draw((10, 12), (10, 20))
    hand.viewer.layers.remove(brush.layer)
    brush.settle()
    assert brush.squares == [1, 2, 3, 4]
    assert brush.kinds == []
    brush.take("join")
    assert not brush.layer.data.any()


def test_removing_the_image_leaves_the_paint(hand: Any, brush: Brush) -> None:
    brush.take("join")
    brush.draw((10, 12), (10, 20))
    layer = brush.layer
    hand.viewer.layers.remove("tiles")
    brush.settle()
    assert layer in hand.viewer.layers
    assert layer.data.any()
    assert not hand.find("join_button").isEnabled()
    brush.draw((28, 12), (28, 20))  # nobody minds
    hand.wait()


def test_segmenting_again_keeps_the_corrections(hand: Any, brush: Brush) -> None:
    brush.take("join")
    brush.draw((10, 12), (10, 20))
    hand.segment()
    assert brush.squares == [1, 1, 2, 3]
    assert brush.kinds == ["join"]
    brush.take("join")
    brush.draw((6, 24), (6, 32))
    assert brush.squares == [1, 1, 1, 2]
    assert hand.names.count("tiles corrections") == 1


def test_another_dock_takes_the_strokes_over(hand: Any, brush: Brush) -> None:
    brush.take("join")
    brush.draw((10, 12), (10, 20))
    hand.viewer.window.remove_dock_widget(hand.frame)
    brush.hand = again = hand.opened_again()
    again.segment()
    assert brush.squares == [1, 1, 2, 3]
    assert again.names.count("tiles corrections") == 1
    assert again.find("corrections_label").text() == "1 stroke"
    again.click("undo_correction_button")
    brush.settle()
    assert brush.squares == [1, 2, 3, 4]
    assert not brush.layer.data.any()


def test_a_result_gives_its_strokes_back(hand: Any, brush: Brush) -> None:
    brush.take("join")
    brush.draw((10, 12), (10, 20))
    labels = hand.viewer.layers["tiles labels"]
    metadata, data = json.loads(json.dumps(labels.metadata)), labels.data.copy()
    hand.viewer.layers.remove(brush.layer)
    brush.settle()
    assert brush.squares == [1, 2, 3, 4]
    # As when it is opened again, or dragged over from another window.
    hand.viewer.add_labels(data, name="old", metadata=metadata)
    brush.settle()
    assert brush.squares == [1, 1, 2, 3]
    assert brush.kinds == ["join"]
    assert brush.layer.data[10, 16] == 1
    hand.click("undo_correction_button")
    brush.settle()
    assert brush.squares == [1, 2, 3, 4]


def test_strokes_of_a_result_wait_for_its_image(
    hand: Any, brush: Brush, tiles_image: np.ndarray
) -> None:
    brush.take("join")
    brush.draw((10, 12), (10, 20))
    labels = hand.viewer.layers["tiles labels"]
    metadata, data = json.loads(json.dumps(labels.metadata)), labels.data.copy()
    hand.viewer.layers.clear()
    brush.settle()
    # As when the result is opened before its image, or before that is segmented.
    hand.viewer.add_labels(data, name="old", metadata=metadata)
    assert "strokes follow when the image 'tiles' is segmented" in hand.status
    hand.viewer.add_image(tiles_image[:, :28], name="other")
    hand.segment()
    assert "other corrections" not in hand.names
    hand.viewer.add_image(tiles_image, name="tiles", scale=(SCALE,) * 2, translate=SHIFT)
    hand.find("image_combo").setCurrentText("tiles")
    hand.segment()
    brush.settle()
    assert brush.squares == [1, 1, 2, 3]
    assert brush.kinds == ["join"]
    assert brush.layer.data[10, 16] == 1
    # They came once: what the user takes away afterwards stays away.
    hand.click("undo_correction_button")
    brush.settle()
    hand.segment()
    brush.settle()
    assert brush.squares == [1, 2, 3, 4]


def test_strokes_of_a_result_wait_until_its_image_is_chosen(
    hand: Any, brush: Brush, tiles_image: np.ndarray
) -> None:
    brush.take("join")
    brush.draw((10, 12), (10, 20))
    labels = hand.viewer.layers["tiles labels"]
    metadata, data = json.loads(json.dumps(labels.metadata)), labels.data.copy()
    hand.viewer.layers.remove(brush.layer)
    brush.settle()
    hand.viewer.add_image(tiles_image[:, :28], name="other")
    hand.find("image_combo").setCurrentText("other")
    hand.segment()
    hand.viewer.add_labels(data, name="old", metadata=metadata)
    brush.settle()
    assert not any(name.endswith("corrections") for name in hand.names)
    hand.find("image_combo").setCurrentText("tiles")
    brush.settle()
    assert brush.squares == [1, 1, 2, 3]
    assert brush.kinds == ["join"]


def test_the_copied_python_has_the_strokes(hand: Any, brush: Brush, tmp_path: Path) -> None:
    brush.take("join")
    brush.draw((10, 12), (10, 20))
    tifffile.imwrite(tmp_path / "tiles.tif", hand.viewer.layers["tiles"].data)
    about = hand.viewer.layers["tiles labels"].metadata["napari_pea"]
    names: dict[str, Any] = {}
    exec(as_python({**about, "image_path": str(tmp_path / "tiles.tif")}), names)  # noqa: S102
    np.testing.assert_array_equal(
        numbered_by_appearance(names["labels"]), numbered_by_appearance(brush.labels)
    )


def test_planes_of_a_stack_have_their_own_strokes(
    open_dock: Callable[..., Any],
    bands: list[Any],
    tiles_image: np.ndarray,
    draw: Callable[..., None],
    qtbot: Any,
) -> None:
    hand = open_dock(show=True)
    stack = np.stack([tiles_image] * 7)
    hand.viewer.add_image(stack, name="tiles", scale=(3, SCALE, SCALE), translate=(0, *SHIFT))
    hand.viewer.dims.set_current_step(0, 4)
    hand.segment()
    brush = Brush(hand, draw, qtbot)
    brush.take("join")
    brush.draw((10, 12), (10, 20))
    labels = hand.viewer.layers["tiles labels"].data
    assert labels.shape == brush.layer.data.shape == (1, 40, 56)
    assert labels[0, 10, 8] == labels[0, 10, 20] != labels[0, 10, 32]
    assert brush.layer.data[0, 10, 16] == 1
    assert brush.layer.extent.world[0, 0] == pytest.approx(12)
    hand.viewer.dims.set_current_step(0, 2)
    qtbot.wait(50)
    assert not hand.find("join_button").isChecked()
    hand.viewer.dims.set_current_step(0, 4)
    qtbot.wait(50)
    assert hand.find("corrections_label").text() == "1 stroke"
