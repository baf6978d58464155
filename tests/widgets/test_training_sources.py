"""Choosing and painting what to learn from, in a real window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, ignore_progress
from napari_pea.widgets import training_brush
from napari_pea.widgets.results import LABELS, ResultLayer
from napari_pea.widgets.state import state_of
from napari_pea.widgets.training_state import TrainingPhase, training_state_of

OpenTraining = Callable[..., Any]


def read(hand: Any) -> tuple[Any, ...]:
    return hand.dock.collect().read(ignore_progress, CancelToken())


def texts(combo: Any) -> list[str]:
    return [combo.itemText(n) for n in range(combo.count())]


def test_one_pair_is_chosen_by_itself_and_label_0_guessed(
    open_training: OpenTraining, squares: np.ndarray, painted: np.ndarray
) -> None:
    hand = open_training()
    hand.viewer.add_labels(painted[:40], name="of another image")
    hand.viewer.add_image(squares, name="cells")
    labels = hand.viewer.add_labels(painted, name="paint")
    assert hand.find("train_image_combo").currentText() == "cells"
    assert hand.find("train_labels_combo").currentText() == "paint"
    assert hand.outlook.startswith("12 painted objects, 2 of them held out")
    zero = hand.find("zero_means_combo")
    assert zero.currentText() == "not annotated"
    labels.data_setitem(np.nonzero(painted == 0), 20)
    hand.wait()
    assert zero.currentText() == "background"
    assert read(hand)[0].zero == "background"
    zero.setCurrentText("not annotated")
    assert read(hand)[0].zero == "not-annotated"


def test_painting_makes_layers_of_its_own(open_training: OpenTraining, squares: np.ndarray) -> None:
    hand = open_training()
    hand.viewer.add_image(squares, name="cells", scale=(2, 2), translate=(5, 0))
    assert "Nothing is painted" in hand.outlook
    hand.click("paint_object_button")
    labels = hand.viewer.layers["cells annotation"]
    assert (labels.mode, labels.selected_label) == ("paint", 1)
    labels.paint((10, 10), 1)
    hand.click("paint_object_button")
    assert labels.selected_label == 2
    hand.click("background_brush_button")
    strokes = hand.viewer.layers["cells annotation background"]
    assert hand.viewer.layers.selection.active is strokes
    strokes.paint((60, 60), 1)
    hand.click("background_brush_button")
    hand.click("draw_region_button")
    region = hand.viewer.layers["cells regions"]
    assert region.mode == "add_rectangle"
    region.add_rectangles([[0, 0], [0, 100], [60, 100], [60, 0]])
    region.mode = "pan_zoom"
    assert len(hand.viewer.layers) == 4
    (item,) = read(hand)
    assert set(np.unique(item.labels)) == {0, 1}
    assert item.background[60, 60]
    assert item.region[60, 100]
    assert not item.region[61, 100]
    np.testing.assert_allclose(strokes.translate, (5, 0))


def test_painting_on_a_stack_and_on_a_channel(
    open_training: OpenTraining, squares: np.ndarray
) -> None:
    hand = open_training()
    hand.viewer.add_image(np.stack([squares] * 3), name="stack", scale=(4, 2, 2))
    hand.click("paint_object_button")
    everywhere = hand.viewer.layers["stack annotation"]
    assert everywhere.data.shape == (3, 96, 128)
    np.testing.assert_allclose(everywhere.scale, (4, 2, 2))
    everywhere.data_setitem((np.array([1] * 9), *np.mgrid[6:9, 6:9].reshape(2, 9)), 1)
    (item,) = read(hand)
    assert item.name == "stack, plane 1"

    # Its planes are channels, so what is painted counts for all of them.
    hand.choose("train_channel_combo", "1")
    assert "click Paint" in hand.outlook
    hand.click("paint_object_button")
    flat = hand.viewer.layers[-1]
    assert flat.data.shape == (96, 128)
    flat.data_setitem(tuple(np.mgrid[6:9, 6:9].reshape(2, 9)), 1)
    (item,) = read(hand)
    assert (item.name, item.channel, item.channel_axis) == ("stack", 1, 0)
    hand.choose("train_channel_combo", "shown plane")
    assert hand.find("train_labels_combo").currentText() == "stack annotation"


def test_several_pairs(
    open_training: OpenTraining, squares: np.ndarray, painted: np.ndarray
) -> None:
    hand = open_training()
    for name in ("one", "two"):
        hand.viewer.add_image(squares, name=name)
        hand.viewer.add_labels(painted, name=f"{name} paint")
    assert not hand.sees("train_pair_list")
    hand.click("add_pair_button")
    pairs = hand.find("train_pair_list")
    assert [pairs.item(n).text() for n in range(2)] == ["one – one paint", "two – two paint"]
    assert hand.find("train_image_combo").currentText() == "two"
    hand.choose("zero_means_combo", "background")
    pairs.setCurrentRow(0)
    assert hand.find("train_image_combo").currentText() == "one"
    assert hand.find("zero_means_combo").currentText() == "not annotated"
    assert [item.zero for item in read(hand)] == ["not-annotated", "background"]
    assert hand.outlook.startswith("24 painted objects")
    hand.viewer.layers.remove("two")
    assert [item.name for item in read(hand)] == ["one"]
    hand.viewer.layers.remove("one paint")
    with pytest.raises(InputError, match="Nothing is painted for the image 'one'"):
        hand.dock.collect()
    assert not hand.sees("remove_pair_button")


def test_what_was_collected_outlives_its_layers(
    open_training: OpenTraining, squares: np.ndarray, painted: np.ndarray
) -> None:
    hand = open_training()
    hand.viewer.add_image(squares, name="cells")
    hand.viewer.add_labels(painted.copy(), name="paint")
    request = hand.dock.collect()
    assert request.preview_layer.name == "cells"
    hand.viewer.layers.clear()
    (item,) = request.read(ignore_progress, CancelToken())
    np.testing.assert_array_equal(item.labels, painted)
    assert "no image to learn from" in hand.outlook


def test_folders(
    open_training: OpenTraining, squares: np.ndarray, painted: np.ndarray, tmp_path: Path
) -> None:
    for folder, pixels in (("images", squares), ("labels", painted)):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / "a.tif", pixels)
    hand = open_training()
    hand.choose("train_source_combo", "folders")
    with pytest.raises(InputError, match="no folder of images"):
        hand.dock.collect()
    hand.find("train_image_folder").setText(str(tmp_path / "images"))
    hand.find("train_labels_folder").setText(str(tmp_path / "labels"))
    (item,) = read(hand)
    assert (item.name, item.zero, item.labels.max()) == ("a.tif", "auto", 12)
    hand.choose("zero_means_combo", "background")
    assert read(hand)[0].zero == "background"
    assert "looked at when you click Train" in hand.outlook


def test_held_out_objects_are_shown_on_demand(
    open_training: OpenTraining, squares: np.ndarray, painted: np.ndarray
) -> None:
    hand = open_training()
    hand.viewer.add_image(squares, name="cells")
    labels = hand.viewer.add_labels(painted, name="paint", scale=(1, 1))
    hand.wait()
    hand.click("held_out_check")
    held = hand.viewer.layers["paint held out"]
    assert len(np.unique(held.data)) == 3
    assert hand.viewer.layers.selection.active is labels
    assert texts(hand.find("train_labels_combo")) == ["paint"]
    hand.click("held_out_check")
    assert hand.names == ["cells", "paint"]
    hand.click("held_out_check")
    hand.viewer.layers.remove("paint held out")
    assert not hand.find("held_out_check").isChecked()
    # Layers that come apart are noticed without a click.
    labels.scale = (3, 3)
    assert "have another scale" in hand.outlook
    labels.scale = (1, 1)
    hand.viewer.layers["cells"].translate = (50, 0)
    assert "lie beside the image" in hand.outlook


def test_a_result_that_was_opened_can_be_learned_from(
    open_training: OpenTraining, squares: np.ndarray, painted: np.ndarray
) -> None:
    hand = open_training()
    hand.viewer.add_image(squares, name="cells")
    told = {"napari_pea": {"kind": "labels"}}
    opened = hand.viewer.add_labels(painted, name="opened", metadata=told)
    assert "Nothing is painted" in hand.outlook  # it is only offered
    hand.choose("train_labels_combo", "opened")
    assert "12 painted objects" in hand.outlook
    # What the Segment dock has made it also replaces.
    image = hand.viewer.layers["cells"]
    state_of(hand.viewer).results.enter(image, None, LABELS, ResultLayer(opened))
    hand.viewer.layers["cells"].name = "other"
    assert texts(hand.find("train_labels_combo")) == []


def test_the_brush_for_large_layers_comes_when_a_free_label_is_found(
    open_training: OpenTraining,
    squares: np.ndarray,
    painted: np.ndarray,
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(training_brush, "LOOKED_THROUGH", 0)
    hand = open_training()
    hand.viewer.add_image(squares, name="cells")
    labels = hand.viewer.add_labels(painted, name="paint")
    hand.click("paint_object_button")
    qtbot.waitUntil(lambda: labels.mode == "paint", timeout=60_000)
    assert labels.selected_label == 13


def test_nothing_can_be_changed_while_a_run_is_under_way(
    open_training: OpenTraining, squares: np.ndarray
) -> None:
    hand = open_training()
    hand.viewer.add_image(squares)
    state = training_state_of(hand.viewer)
    state.phase = TrainingPhase.PAUSED
    assert not hand.find("train_image_combo").isEnabled()
    assert not hand.find("preset_combo").isEnabled()
    assert hand.find("paint_object_button").isEnabled()
    state.phase = TrainingPhase.DONE
    assert hand.find("train_image_combo").isEnabled()


def test_a_corrected_result_becomes_annotation_with_one_click(
    open_dock: Any, bands: list[Any], tiles_image: np.ndarray
) -> None:
    hand = open_dock()
    hand.viewer.add_image(np.stack([tiles_image, tiles_image]), name="tiles", scale=(4, 2, 2))
    hand.viewer.dims.set_current_step(0, 1)
    hand.segment()
    labels = hand.viewer.layers["tiles labels"]
    labels.data_setitem((np.array([0, 0]), np.array([20, 21]), np.array([3, 3])), 9)
    hand.click("annotate_button")
    taken = hand.viewer.layers["tiles annotation"]
    np.testing.assert_array_equal(taken.data, labels.data)
    assert taken.data is not labels.data
    state = training_state_of(hand.viewer)
    (pair,) = state.pairs
    assert pair.zero == "background"
    docks = [dock for dock in hand.viewer.window.dock_widgets if dock.startswith("Train")]
    assert len(docks) == 1
    training = hand.viewer.window.dock_widgets[docks[0]]
    (item,) = training.collect().read(ignore_progress, CancelToken())
    np.testing.assert_array_equal(item.image, tiles_image)
    assert item.labels[20, 3] == 9
    # A second time replaces it in the list; nothing is lost.
    hand.click("annotate_button")
    assert len(state.pairs) == 1
    assert {"tiles annotation", "tiles annotation [1]"} <= set(hand.names)
