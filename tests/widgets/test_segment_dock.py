"""What a user sees who clicks the controls of the Segment dock in a real window."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from napari.qt.threading import WorkerBase
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QProgressBar, QPushButton
from scipy.ndimage import label

from napari_pea.core.affinity import unit_vectors
from napari_pea.core.image import prepare_image
from napari_pea.core.predict import Embedding
from napari_pea.core.settings import SegmentationSettings
from napari_pea.core.tiling import DEFAULT_TILE
from napari_pea.models.model import Model
from napari_pea.models.package import load_network, read_metadata, save_model

OpenDock = Callable[..., Any]
PATIENCE = 60_000


@pytest.fixture
def perfect(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is right about every pixel: bright ones are objects."""

    def embed(
        _: Model, image: Any, channel: int | None, channel_axis: int | None, **__: Any
    ) -> Embedding:
        (plane,) = prepare_image(image, 1, 2, channel=channel, channel_axis=channel_axis)
        ids, _ = label(plane > 400)
        codes = np.moveaxis(np.eye(16, dtype=np.float32)[ids], -1, 0)
        return Embedding(unit_vectors(codes), (ids > 0).astype(np.float32))

    monkeypatch.setattr(Model, "embed", embed)


def test_one_click_gives_labels(open_dock: OpenDock, image: np.ndarray, models: Path) -> None:
    hand = open_dock()
    source = hand.viewer.add_image(
        image, name="cells", scale=(0.5, 0.25), translate=(7, -3), rotate=20, units=("um", "um")
    )
    hand.segment()
    assert hand.names == ["cells", "cells embedding", "cells labels"]
    labels = hand.viewer.layers["cells labels"]
    assert isinstance(labels, Labels)
    assert labels.data.shape == image.shape
    assert labels.visible
    assert hand.viewer.layers.selection.active is labels
    assert f"{labels.data.max()} object" in hand.status
    embedding = hand.viewer.layers["cells embedding"]
    assert embedding.rgb
    assert not embedding.visible
    for layer in (labels, embedding):
        np.testing.assert_allclose(layer.scale, (0.5, 0.25))
        np.testing.assert_allclose(layer.data_to_world((3, 8)), source.data_to_world((3, 8)))
        assert layer.units == source.units
    told = labels.metadata["napari_pea"]
    assert json.loads(json.dumps(told)) == told
    assert (told["model"], told["image"], told["tile"]) == ("tiny", "cells", DEFAULT_TILE)
    assert Path(told["model_path"]).parent == models
    assert told["settings"]["ranges"] == [1, 3, 5, 9, 11]


@pytest.mark.usefixtures("perfect")
def test_objects_colours_and_affinities(open_dock: OpenDock, image: np.ndarray) -> None:
    hand = open_dock()
    hand.viewer.add_image(image, name="cells", scale=(2, 2))
    assert not hand.dock.affinity_button.isEnabled()
    hand.segment()
    assert hand.status.startswith("3 objects in ")
    labels = hand.viewer.layers["cells labels"]
    ids = labels.data
    np.testing.assert_array_equal(ids > 0, image > 400)
    for index, area in zip(labels.features["index"], labels.features["area"], strict=True):
        assert 4 * (ids == index).sum() == pytest.approx(area)
    assert "area:" in labels.get_status((10, 12))["value"]

    colors = hand.viewer.layers["cells embedding"].data
    assert not colors[ids == 0].any()
    assert len({tuple(colors[ids == index][0].tolist()) for index in (1, 2, 3)}) == 3

    hand.dock.affinity_combo.setCurrentText("(0, −9)")
    hand.click("affinity_button")
    hand.wait()
    affinity = hand.viewer.layers["affinity (0, −9)"]
    np.testing.assert_allclose(affinity.data[:, 9:], ids[:, 9:] == ids[:, :-9], atol=1e-6)
    assert not affinity.data[:, :9].any()
    np.testing.assert_allclose(affinity.scale, (2, 2))
    assert affinity.metadata["napari_pea"]["offset"] == [0, -9]
    hand.click("affinity_button")
    hand.wait()
    assert len(hand.names) == 4
    combo = hand.dock.image_combo
    assert [combo.itemText(i) for i in range(combo.count())] == ["cells"]


@pytest.mark.usefixtures("perfect")
def test_segmenting_again_renews_the_layers(open_dock: OpenDock, image: np.ndarray) -> None:
    hand = open_dock()
    source = hand.viewer.add_image(image, name="cells")
    hand.segment()
    labels = hand.viewer.layers["cells labels"]
    hand.click("affinity_button")
    hand.wait()
    names = hand.names
    source.data = np.where(np.arange(56) < 30, image, 0)
    hand.segment()
    assert hand.names == names
    assert hand.viewer.layers["cells labels"] is labels
    assert hand.status.startswith("2 objects")
    assert np.unique(labels.data).tolist() == [0, 1, 3]  # they are where they were
    assert labels.features["index"].tolist() == [1, 3]
    assert not hand.viewer.layers["cells embedding"].data[:, 35:].any()
    assert (hand.viewer.layers["affinity (−1, 0)"].data[1:, 35:] == 1).all()

    labels.paint((5, 50), 7)
    kept = labels.data.copy()
    hand.segment()
    np.testing.assert_array_equal(labels.data, kept)
    assert hand.names == [*names, "cells labels [1]"]

    hand.dock.embedding_check.click()
    hand.segment()
    assert "cells embedding" not in hand.names


def test_stacks_channels_and_colours(open_dock: OpenDock, image: np.ndarray) -> None:
    hand = open_dock()
    stack = np.stack([image + 10 * i for i in range(7)])
    source = hand.viewer.add_image(stack, name="stack", scale=(4, 1, 1))
    hand.viewer.dims.set_current_step(0, 2)
    hand.segment()
    labels = hand.viewer.layers["stack labels"]
    assert labels.data.shape == (1, *image.shape)
    np.testing.assert_allclose(labels.data_to_world((0, 1, 1)), source.data_to_world((2, 1, 1)))
    hand.viewer.dims.set_current_step(0, 5)
    hand.segment()
    assert hand.viewer.layers["stack labels [1]"].translate[0] == 20
    assert labels in hand.viewer.layers

    hand.viewer.add_image(np.stack([image, image // 2]), name="two", scale=(1, 3, 3))
    hand.dock.channel_combo.setCurrentText("1")
    hand.segment()
    labels = hand.viewer.layers["two labels"]
    assert labels.data.shape == image.shape
    np.testing.assert_allclose(labels.scale, (3, 3))
    assert labels.metadata["napari_pea"]["channel"] == 1
    hand.dock.channel_combo.setCurrentText("all")
    hand.segment()
    assert hand.status == "The image has 2 channels and the model expects 1: choose one channel."

    colors = np.stack([image // 8] * 3, axis=-1).astype(np.uint8)
    hand.viewer.add_image(colors, name="colours", rgb=True)
    hand.segment()
    assert hand.viewer.layers["colours labels"].data.shape == image.shape

    hand.dock.image_combo.setCurrentText("stack")
    hand.viewer.dims.set_point(0, 100)
    hand.viewer.add_image(np.stack([image] * 30), name="longer", scale=(4, 1, 1))
    hand.dock.image_combo.setCurrentText("stack")
    hand.viewer.dims.set_point(0, 100)
    names = hand.names
    hand.click("segment_button")
    assert "'stack' has no plane where the sliders are" in hand.status
    assert hand.names == names


def test_cancel_leaves_everything_as_it_was(
    open_dock: OpenDock, image: np.ndarray, gate: Any, qtbot: Any
) -> None:
    hand = open_dock(show=True)
    hand.viewer.add_image(image, name="cells")
    hand.click("segment_button")
    qtbot.waitUntil(lambda: hand.status == "Looking at the image …", timeout=PATIENCE)
    bar = hand.dock.progress_bar
    assert bar.isVisible()
    assert (bar.value(), bar.maximum()) == (1, 4)
    hand.click("cancel_button")
    assert hand.status == "Cancelled; nothing was changed."
    assert not bar.isVisible()
    gate.open.set()
    hand.segment()
    assert hand.names == ["cells", "cells embedding", "cells labels"]


def test_a_result_goes_with_its_image(open_dock: OpenDock, image: np.ndarray, gate: Any) -> None:
    hand = open_dock()
    first = hand.viewer.add_image(image, name="first", scale=(2, 2))
    hand.click("segment_button")
    hand.viewer.add_image(image[:20], name="second")
    assert hand.dock.image_combo.currentText() == "second"
    first.name = "renamed"
    gate.open.set()
    hand.wait()
    labels = hand.viewer.layers["renamed labels"]
    assert labels.data.shape == image.shape
    np.testing.assert_allclose(labels.scale, (2, 2))

    gate.open.clear()
    gate.requests.clear()
    for name in ("renamed", "second", "renamed", "second"):
        hand.dock.image_combo.setCurrentText(name)
        hand.click("segment_button")
    gate.open.set()
    hand.wait()
    assert [name for name in hand.names if "labels" in name] == ["renamed labels", "second labels"]
    assert len(gate.requests) <= 2


def test_images_that_go_or_change_get_no_labels(
    open_dock: OpenDock, image: np.ndarray, gate: Any
) -> None:
    hand = open_dock()
    source = hand.viewer.add_image(image, name="cells")
    hand.click("segment_button")
    source.data = image[::-1]
    gate.open.set()
    hand.wait()
    assert hand.names == ["cells"]
    assert "was changed in the meantime" in hand.status

    gate.open.clear()
    hand.click("segment_button")
    hand.viewer.layers.remove("cells")
    assert hand.status == "Cancelled: the image 'cells' was removed."
    gate.open.set()
    hand.viewer.add_image(image, name="other")
    hand.segment()
    assert hand.names == ["other", "other embedding", "other labels"]


@pytest.mark.parametrize("way", ["viewer", "window", "dock", "hide"])
def test_closing_is_safe_at_any_moment(
    open_dock: OpenDock, image: np.ndarray, gate: Any, qtbot: Any, way: str
) -> None:
    hand = open_dock(show=True)
    layers = hand.viewer.layers
    layer = hand.viewer.add_image(image, name="cells")
    qtbot.waitUntil(hand.dock.isVisible, timeout=PATIENCE)
    hand.click("segment_button")
    qtbot.waitUntil(gate.entered.is_set, timeout=PATIENCE)
    if way == "viewer":
        hand.viewer.close()
    elif way == "window":
        window = hand.viewer.window._qt_window
        # The fixture wants to close the window itself later.
        window.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
        window.close()
    elif way == "dock":
        hand.frame.title.close_button.click()
    else:
        hand.frame.title.hide_button.click()
    # The gate stays shut: only cancelling ends the work.
    qtbot.waitUntil(lambda: not WorkerBase._worker_set, timeout=PATIENCE)
    assert list(layers) in ([], [layer])


def test_moving_the_dock_cancels_nothing(
    open_dock: OpenDock, image: np.ndarray, gate: Any, qtbot: Any
) -> None:
    hand = open_dock(show=True)
    hand.viewer.add_image(image, name="cells")
    hand.click("segment_button")
    for floating in (True, False):
        hand.frame.setFloating(floating)
        qtbot.wait(50)
    gate.open.set()
    hand.wait()
    assert "cells labels" in hand.names


def test_images_that_cannot_be_used_get_one_sentence(open_dock: OpenDock) -> None:
    hand = open_dock()
    infinite = np.arange(400.0).reshape(20, 20)
    infinite[3, 3] = np.inf
    for pixels, sentence in (
        (np.ones((20, 20)), "constant"),
        (np.zeros((20, 20), bool), "constant"),
        (np.where(np.eye(20), np.nan, 1.0), "NaN"),
        (infinite, "infinite"),
        (np.arange(20.0)[None], "1 pixel wide"),
    ):
        hand.viewer.layers.clear()
        hand.viewer.add_image(pixels, name="odd", contrast_limits=(0, 1))
        notification_manager.records.clear()
        hand.segment()
        assert sentence in hand.status
        assert [record.message for record in notification_manager.records] == [hand.status]
        assert hand.names == ["odd"]


def test_models_that_cannot_be_used(
    open_dock: OpenDock,
    image: np.ndarray,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hand = open_dock(show=True)
    assert hand.dock.segment_button.toolTip() == "Open an image first."
    assert not hand.dock.segment_button.isEnabled()
    hand.viewer.add_image(image, name="cells")
    assert hand.dock.segment_button.isEnabled()

    monkeypatch.setenv("NAPARI_PEA_MODELS", str(tmp_path))
    fleeting = tmp_path / "fleeting.pea.safetensors"
    fleeting.write_bytes((models / "tiny.pea.safetensors").read_bytes())
    (tmp_path / "broken.pea.safetensors").write_bytes(b"nothing")
    combo = hand.dock.model_combo
    combo.showPopup()
    combo.hidePopup()
    assert [combo.itemText(i) for i in range(combo.count())] == ["broken", "fleeting"]
    assert combo.currentText() == "fleeting"
    assert f"Copy your own model files to {tmp_path}." in combo.toolTip()
    item = combo.model().item(0)
    assert not item.isEnabled()
    assert "damaged" in item.toolTip()

    fleeting.unlink()
    hand.segment()
    assert "no model file" in hand.status
    assert hand.names == ["cells"]

    combo.refresh()
    assert not hand.dock.segment_button.isEnabled()
    assert str(tmp_path) in combo.toolTip()


def test_a_model_whose_settings_do_not_fit(
    open_dock: OpenDock,
    image: np.ndarray,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NAPARI_PEA_MODELS", str(tmp_path))
    path = models / "tiny.pea.safetensors"
    (tmp_path / "tiny.pea.safetensors").write_bytes(path.read_bytes())
    metadata = read_metadata(path).model_copy(
        update={"recommended": SegmentationSettings(connectivity=26)}
    )
    save_model(tmp_path / "deep", load_network(path)[0], metadata)
    hand = open_dock()
    hand.viewer.add_image(image, name="cells")
    combo = hand.dock.model_combo
    assert combo.currentText() == "deep"
    assert "Connectivity 26 does not exist in 2D" in hand.status
    assert not hand.dock.segment_button.isEnabled()
    combo.setCurrentText("tiny")
    assert "Connectivity" not in hand.status
    hand.segment()
    assert "cells labels" in hand.names
    assert hand.dock.affinity_button.isEnabled()
    combo.setCurrentText("deep")
    assert "'deep' recommends" in hand.status
    # There is no offset to show.
    assert not hand.dock.affinity_button.isEnabled()


def test_two_viewers_do_not_know_of_each_other(
    open_dock: OpenDock, image: np.ndarray, gate: Any
) -> None:
    one, two = open_dock(), open_dock()
    one.viewer.add_image(image, name="cells")
    two.viewer.add_image(image, name="other")
    two.dock.embedding_check.click()
    assert one.dock.embedding_check.isChecked()
    one.click("segment_button")
    assert not two.dock.cancel_button.isEnabled()
    gate.open.set()
    two.segment()
    one.wait()
    assert one.names == ["cells", "cells embedding", "cells labels"]
    assert two.names == ["other", "other labels"]


def test_the_controls(open_dock: OpenDock, image: np.ndarray, gate: Any, qtbot: Any) -> None:
    hand = open_dock(show=True)
    for name in ("model", "image", "channel", "device", "affinity"):
        assert hand.dock.findChild(QComboBox, f"{name}_combo").toolTip()
    for name in ("segment", "cancel", "affinity"):
        assert hand.dock.findChild(QPushButton, f"{name}_button").toolTip()
    assert hand.dock.findChild(QProgressBar, "progress_bar")

    images, channels = hand.dock.image_combo, hand.dock.channel_combo
    first = hand.viewer.add_image(image, name="first")
    hand.viewer.add_image(np.stack([image] * 9), name="second")
    assert (images.currentText(), channels.currentText()) == ("second", "shown plane")
    hand.viewer.layers.selection.active = first
    assert (images.currentText(), channels.currentText()) == ("first", "grey")
    first.name = "renamed"
    assert images.currentText() == "renamed"
    hand.viewer.layers.remove(first)
    assert (images.currentText(), channels.currentText()) == ("second", "shown plane")

    devices = hand.dock.device_combo
    qtbot.waitUntil(lambda: devices.findText("cpu") > 0, timeout=PATIENCE)
    assert devices.currentText() == "auto"
    qtbot.keyClicks(devices, "cpu")
    assert devices.currentText() == "cpu"
    gate.open.set()
    hand.segment()
    assert gate.requests[-1].device == "cpu"
    devices.setCurrentText("auto")
    hand.segment()
    assert gate.requests[-1].device == "auto"


def test_a_dock_that_is_opened_again_knows_the_choices(
    open_dock: OpenDock, image: np.ndarray
) -> None:
    hand = open_dock()
    hand.viewer.add_image(image, name="cells")
    hand.dock.embedding_check.click()
    hand.segment()
    hand.frame.title.close_button.click()
    again = hand.opened_again()
    assert again.dock is not hand.dock
    assert not again.dock.embedding_check.isChecked()
    labels = hand.viewer.layers["cells labels"]
    again.segment()
    assert again.names == ["cells", "cells labels"]
    assert again.viewer.layers["cells labels"] is labels
