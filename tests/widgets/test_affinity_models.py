"""Models that predict affinities of fixed offsets, in a real window."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari._app_model import get_app_model

from napari_pea.core.networks import build_network
from napari_pea.models import catalogue
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.package import save_model
from napari_pea.widgets.layers import offset_text


@pytest.fixture
def masks(models: Path, tmp_path: Path, known_field: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A model of masks among the others; it doubts the object of 300."""
    model = known_field(doubtful=300)
    arguments = {"widths": (4, 4, 4, 4, 4)}
    metadata = ModelMetadata(
        name="masks",
        architecture="resunet2d",
        arguments=arguments,
        offsets=model.offsets,
        can_average=True,
        recommended=model.recommended,
    )
    folder = tmp_path / "models of masks"
    save_model(folder / "masks", build_network("resunet2d", arguments), metadata)
    for path in models.glob("*.safetensors"):
        shutil.copy(path, folder)
    monkeypatch.setenv("NAPARI_PEA_MODELS", str(folder))
    load = catalogue.load_model
    monkeypatch.setattr(
        catalogue,
        "load_model",
        lambda name, device="auto": model if Path(name).stem.startswith("masks") else load(name),
    )
    return model


@pytest.fixture
def hand(open_dock: Callable[..., Any], masks: Any, tiles_image: np.ndarray) -> Any:
    """A dock whose image was segmented by the model of masks."""
    hand = open_dock(show=True)
    hand.viewer.add_image(tiles_image, name="tiles")
    hand.find("model_combo").setCurrentText("masks")
    hand.segment()
    return hand


def n_objects(hand: Any) -> int:
    return len(np.unique(hand.viewer.layers["tiles labels"].data)) - 1


def test_labels_follow_the_controls_without_the_network(hand: Any, masks: Any) -> None:
    assert n_objects(hand) == 4
    assert masks.calls == [False]
    assert "tiles embedding" not in hand.names
    assert not hand.find("embedding_check").isEnabled()
    hand.find("range_slider").setValue(0)  # nothing holds what touches apart
    hand.wait()
    assert n_objects(hand) == 2
    hand.find("range_slider").setValue(5)
    hand.wait()
    assert n_objects(hand) == 4
    assert hand.viewer.layers["tiles labels"].metadata["napari_pea"]["settings"]["ranges"] == [
        *(1, 2, 3, 4, 8, 12)
    ]
    assert masks.calls == [False]


def test_averaging_runs_the_network_once_and_shows_variances(hand: Any, masks: Any) -> None:
    assert not hand.find("variance_button").isEnabled()
    assert hand.find("sign_combo").isHidden()
    hand.find("variance_check").click()
    hand.wait()
    assert "tiles variance" not in hand.names  # there are none yet
    hand.find("average_check").click()
    hand.wait()
    assert masks.calls == [False, True]
    labels = hand.viewer.layers["tiles labels"]
    assert labels.metadata["napari_pea"]["settings"]["average_masks"]
    assert labels.features["variance"].max() > 0.1
    variance = hand.viewer.layers["tiles variance"].data
    assert variance[8, 22] > variance[8, 10] > 0
    hand.find("min_size_spin").stepUp()
    hand.wait()
    assert hand.viewer.layers["tiles variance"].data is variance  # only pairs matter
    hand.find("variance_button").click()
    hand.wait()
    assert any(name.startswith("variance (") for name in hand.names)
    # Without averaging they are gone, and nothing is computed twice.
    hand.find("average_check").click()
    hand.wait()
    assert not any("variance" in name for name in hand.names)
    hand.find("average_check").click()
    hand.wait()
    assert "tiles variance" in hand.names
    assert masks.calls == [False, True]


def test_objects_can_be_looked_at_by_their_variance(hand: Any) -> None:
    hand.find("average_check").click()
    hand.wait()
    labels = hand.viewer.layers["tiles labels"]
    combo = hand.find("sign_combo")
    assert not combo.isHidden()
    hand.find("uncertainty_check").click()
    hand.wait()
    by_certainty = hand.viewer.layers["tiles uncertainty"].data.copy()
    combo.setCurrentIndex(1)
    hand.wait()
    doubtful = int(labels.data[8, 22])
    hand.click("next_uncertain_button")
    assert labels.selected_label == doubtful
    assert "variance 0." in hand.find("review_label").text()
    shown = hand.viewer.layers["tiles uncertainty"].data
    assert not np.array_equal(shown, by_certainty)
    assert np.unique(shown[labels.data == doubtful]) > shown[labels.data != doubtful].max()


def test_affinities_are_layers_and_other_models_take_their_place(hand: Any, bands: Any) -> None:
    hand.find("affinity_combo").setCurrentIndex(1)
    hand.click("affinity_button")
    hand.wait()
    (name,) = [name for name in hand.names if name.startswith(f"affinity {offset_text((0, -1))}")]
    found = hand.viewer.layers[name].data
    assert found[8, 10] > 0.5 > found[8, 16]
    # A model that embeds knows other ranges and has colours.
    hand.find("model_combo").setCurrentText("tiny")
    assert hand.find("average_check").isHidden()
    hand.segment()
    assert "tiles embedding" in hand.names
    assert hand.find("embedding_check").isEnabled()
    hand.find("affinity_combo").setCurrentIndex(4)  # of a range that masks do not know
    hand.click("affinity_button")
    hand.wait()
    (far,) = [each for each in hand.names if each.startswith("affinity") and each != name]
    hand.find("model_combo").setCurrentText("masks")
    hand.segment()
    assert "tiles embedding" not in hand.names
    assert far not in hand.names
    assert name in hand.names


def test_commands_of_the_palette_reach_the_new_controls(hand: Any, masks: Any) -> None:
    commands = get_app_model().commands

    def run(name: str) -> None:
        commands.execute_command(f"napari-pea.{name}").result()
        hand.wait()

    run("toggle_averaging")
    assert masks.calls == [False, True]
    run("toggle_variance")
    run("add_variance")
    assert sum("variance" in name for name in hand.names) == 2
    hand.find("model_combo").setCurrentText("tiny")
    before = hand.dock._state.live.settings
    run("toggle_averaging")  # it has no masks
    assert hand.dock._state.live.settings == before


def test_strokes_act_on_a_field(hand: Any, draw: Any) -> None:
    hand.click("join_button")
    draw(hand.viewer, [(10, 10), (10, 22)])
    hand.wait()
    labels = hand.viewer.layers["tiles labels"].data
    assert labels[8, 10] == labels[8, 22] != labels[8, 34]


def test_settings_of_another_model_get_one_sentence(hand: Any, masks: Any) -> None:
    live = hand.dock._state.live
    live.settings = live.settings.updated(ranges=(1, 5))
    hand.wait()
    assert "range 5: take ranges out of 1, 2, 3, 4, 8, 12" in hand.status
    assert masks.calls == [False]
