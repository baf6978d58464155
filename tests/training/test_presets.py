from __future__ import annotations

from pathlib import Path

import pytest

from napari_pea.core.errors import InputError
from napari_pea.core.networks import ResUNet3D
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.package import save_model
from napari_pea.training.checkpoint import plain_settings
from napari_pea.training.presets import PRESETS, chosen_settings
from napari_pea.training.settings import TrainingSettings


def test_without_a_preset_the_defaults_stay() -> None:
    assert chosen_settings() == TrainingSettings()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_decides_length_and_rate(name: str) -> None:
    fresh, further = chosen_settings(preset=name), chosen_settings("nuclei", preset=name)
    assert fresh.iterations == further.iterations == PRESETS[name].iterations
    assert fresh.learning_rate == PRESETS[name].new_learning_rate
    assert further.learning_rate == PRESETS[name].learning_rate
    # A crash costs at most one interval, and every run validates several times.
    assert further.checkpoint_every <= further.validate_every <= further.iterations / 5
    assert further.objective.ranges == (1, 3, 5, 9, 15, 27)
    assert further.objective.distant_pairs > 0
    assert further.hold_out > 0
    assert further.replay == 0


def test_presets_grow() -> None:
    lengths = [preset.iterations for preset in PRESETS.values()]
    assert lengths == sorted(lengths)
    assert chosen_settings(sparse=True).iterations == PRESETS["standard"].iterations


def test_what_a_model_knows_is_kept_on_request() -> None:
    assert chosen_settings("nuclei", keep=True).replay > 0
    with pytest.raises(InputError, match="nothing to keep"):
        chosen_settings(keep=True)
    with pytest.raises(InputError, match="no preset 'fast': choose quick, standard, long"):
        chosen_settings(preset="fast")


def test_a_model_of_volumes_is_trained_further_as_it_was_trained(tmp_path: Path) -> None:
    run = TrainingSettings().updated(
        ranges=(1, 5),
        connectivity=6,
        crop=48,
        crop_depth=16,
        batch_size=3,
        background_pairs="ignored",
    )
    metadata = ModelMetadata(
        name="volumes",
        architecture="resunet3d",
        arguments={"widths": (2, 2, 2, 2, 2)},
        training_ranges=(1, 5),
        training=plain_settings(run),
    )
    path = save_model(tmp_path / "volumes", ResUNet3D(widths=(2, 2, 2, 2, 2)), metadata)
    for settings in (chosen_settings(path), chosen_settings(path, sparse=True)):
        assert settings.objective.neighborhood == run.objective.neighborhood
        assert settings.objective.background_pairs == "ignored"
        assert (settings.crop_shape, settings.batch_size) == ((16, 48, 48), 3)
    assert settings.iterations == PRESETS["standard"].iterations
