"""What training starts from, in a real window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_pea.core.errors import InputError
from napari_pea.models.catalogue import add_model
from napari_pea.models.package import load_network, save_model
from napari_pea.training.presets import PRESETS
from napari_pea.widgets.controls import refresh_model_lists

OpenTraining = Callable[..., Any]


@pytest.fixture
def hand(open_training: OpenTraining, squares: np.ndarray, painted: np.ndarray) -> Any:
    hand = open_training()
    hand.viewer.add_image(squares, name="cells")
    hand.viewer.add_labels(painted, name="paint")
    return hand


def names(hand: Any) -> list[str]:
    combo = hand.find("start_model_combo")
    return [combo.itemText(n) for n in range(combo.count())]


def test_models_and_presets(hand: Any, models: Path) -> None:
    assert names(hand) == ["tiny", "from nothing"]
    request = hand.dock.collect()
    assert request.start == models / "tiny.pea.safetensors"
    assert request.settings.iterations == PRESETS["standard"].iterations
    assert request.description == "Trained from the model 'tiny' on what was painted on 'cells'."
    hand.choose("start_model_combo", "from nothing")
    hand.choose("preset_combo", "Quick")
    request = hand.dock.collect()
    assert request.start is None
    assert request.settings.iterations == PRESETS["quick"].iterations
    assert request.settings.learning_rate == PRESETS["quick"].new_learning_rate
    assert not hand.find("keep_check").isEnabled()


def test_a_new_model_appears_in_every_list(hand: Any, models: Path) -> None:
    _, segment = hand.viewer.window.add_plugin_dock_widget("napari-pea", "Segment")
    path = add_model(models / "tiny.pea.safetensors", "mine", folder=models)
    try:
        refresh_model_lists()
        assert names(hand) == ["mine", "tiny", "from nothing"]
        assert hand.find("start_model_combo").currentText() == "tiny"
        assert segment.model_combo.findText("mine") >= 0
        hand.choose("start_model_combo", "mine")
    finally:
        path.unlink()
    with pytest.raises(InputError, match="no model 'mine' any more"):
        hand.dock.collect()


def test_experts_change_single_values(hand: Any) -> None:
    hand.find("training_expert_fold").expand(animate=False)
    assert hand.find("iterations_spin").value() == PRESETS["standard"].iterations
    hand.find("iterations_spin").setValue(7)
    assert hand.dock.collect().settings.iterations == 7
    hand.find("cross_weight_spin").setValue(1)
    hand.find("frozen_stages_spin").setValue(2)
    hand.find("noise_probability_spin").setValue(0)
    edit = hand.find("training_ranges_edit")
    edit.setText("3, 7")
    edit.setModified(True)
    edit.editingFinished.emit()
    hand.choose("preset_combo", "Long")
    settings = hand.dock.collect().settings
    assert settings.iterations == hand.find("iterations_spin").value() == 5000
    assert (settings.objective.cross_weight, settings.frozen_stages) == (1, 2)
    assert (settings.augmentation.noise_probability, settings.objective.ranges) == (0, (1, 3, 7))
    hand.click("training_reset_button")
    assert hand.dock.collect().settings.objective.cross_weight == 0
    assert hand.find("cross_weight_spin").value() == 0


def test_objects_of_another_size(hand: Any, models: Path, tmp_path: Path) -> None:
    network, metadata = load_network(models / "tiny.pea.safetensors")
    update = {"name": "big", "object_diameter": 30.0}
    path = save_model(models / "big", network, metadata.model_copy(update=update))
    try:
        refresh_model_lists()
        hand.choose("start_model_combo", "big")
        assert "those of the model 'big' 30" in hand.outlook
        hand.click("rescale_button")
        assert "Images are resized by 2.65" in hand.outlook
        assert not hand.sees("rescale_button")
        assert hand.dock.collect().metadata.scale == 2.65
        assert hand.find("image_scale_spin").value() == 2.65
        hand.choose("start_model_combo", "tiny")
        assert hand.dock.collect().metadata.scale == 1
    finally:
        path.unlink()
    refresh_model_lists()


def test_keeping_what_a_model_knows_needs_images(
    hand: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not hand.sees("keep_folder_edit")
    hand.click("keep_check")
    assert hand.sees("keep_folder_edit")
    hand.find("keep_folder_edit").setText(str(tmp_path))
    request = hand.dock.collect()
    assert request.keep == tmp_path
    assert request.settings.replay == 0.5
    with monkeypatch.context() as patch:
        # With a model whose images come with the program, nobody sees what was typed before.
        patch.setattr("napari_pea.widgets.training_request.SAMPLES", ("tiny",))
        request = hand.dock.collect()
        assert (request.keep, request.settings.replay) == (None, 0.5)
    hand.choose("start_model_combo", "from nothing")
    request = hand.dock.collect()
    assert request.keep is None
    assert request.settings.replay == 0
