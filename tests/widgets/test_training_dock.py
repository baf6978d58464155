"""From paint to a model in every list, with a real short training in a real window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_pea.models.catalogue import list_models
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.package import save_model
from napari_pea.widgets.commands import open_training_dock, train
from napari_pea.widgets.controls import refresh_model_lists

OpenTraining = Callable[..., Any]
PATIENCE = 60_000


@pytest.fixture
def own_models(tiny_model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models that a test may add to."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / tiny_model_path.name).write_bytes(tiny_model_path.read_bytes())
    monkeypatch.setenv("NAPARI_PEA_MODELS", str(folder))
    return folder


@pytest.fixture
def hand(
    own_models: Path, open_training: OpenTraining, squares: np.ndarray, painted: np.ndarray
) -> Any:
    """A dock with painted squares and a run of few and small steps."""
    hand = open_training()
    hand.viewer.add_image(squares, name="cells")
    hand.viewer.add_labels(painted, name="paint")
    for name, value in (("iterations", 4), ("batch_size", 1), ("crop", 32)):
        hand.find(f"{name}_spin").setValue(value)
    hand.wait()
    return hand


def ended(hand: Any) -> bool:
    return hand.find("train_button").isEnabled()


def message(hand: Any) -> str:
    return hand.find("training_message_label").text()


def test_from_paint_to_a_model_in_every_list(hand: Any, own_models: Path, qtbot: Any) -> None:
    _, segment = hand.viewer.window.add_plugin_dock_widget("napari-pea", "Segment")
    hand.click("train_button")
    assert not hand.find("start_model_combo").isEnabled()
    # What was collected is what is learned from.
    hand.viewer.layers.remove("cells")
    qtbot.waitUntil(lambda: ended(hand), timeout=PATIENCE)
    assert "give it a name and save it" in message(hand)
    hand.find("model_name_edit").setText("mine")
    hand.click("save_model_button")
    qtbot.waitUntil(lambda: "mine" in message(hand), timeout=PATIENCE)
    assert hand.find("start_model_combo").findText("mine") >= 0
    assert segment.model_combo.findText("mine") >= 0
    (entry,) = [entry for entry in list_models(own_models) if entry.name == "mine"]
    metadata = entry.metadata
    assert metadata is not None
    assert metadata.parent == "tiny"
    assert metadata.training["iterations"] == 4
    assert metadata.object_diameter == pytest.approx(11.3)
    assert {"aji", "ap50"} <= set(metadata.scores["validation"])
    hand.choose("start_model_combo", "mine")
    assert hand.find("train_button").isEnabled()


def test_a_model_of_other_channels_and_a_single_pixel(
    hand: Any, own_models: Path, squares: np.ndarray, painted: np.ndarray, qtbot: Any
) -> None:
    from napari_pea.core.networks import build_network

    arguments = {"widths": (4, 4, 4, 4, 4), "in_channels": 3}
    metadata = ModelMetadata(name="three", architecture="resunet2d", arguments=arguments)
    save_model(own_models / "three", build_network("resunet2d", arguments), metadata)
    refresh_model_lists()
    hand.viewer.layers.clear()
    hand.viewer.add_image(np.stack([squares, squares]), name="two", axis_labels=("c", "y", "x"))
    labels = hand.viewer.add_labels(painted, name="paint")
    hand.choose("start_model_combo", "three")
    hand.choose("train_channel_combo", "all")
    hand.click("train_button")
    qtbot.waitUntil(lambda: ended(hand), timeout=PATIENCE)
    assert "has 2 channels and the model expects 3: choose one channel" in message(hand)
    hand.choose("train_channel_combo", "1")
    labels.data = np.where((np.arange(96)[:, None] == 5) & (np.arange(128) == 5), 1, 0)
    assert "largest painted object has 1 pixel" in hand.outlook
    hand.click("train_button")
    qtbot.waitUntil(lambda: ended(hand), timeout=PATIENCE)
    assert "largest painted object has 1 pixel" in message(hand)
    assert labels.data.sum() == 1


def test_the_palette_opens_the_dock_once(hand: Any) -> None:
    assert open_training_dock(hand.viewer) is hand.dock
    hand.viewer.layers.clear()
    train(hand.viewer)
    assert "no image to learn from" in message(hand)
