from __future__ import annotations

import pytest

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.core.settings import SegmentationSettings
from napari_pea.training.settings import (
    AugmentationSettings,
    ObjectiveSettings,
    TrainingSettings,
)


def test_the_pyramid_trains_the_shortest_ranges_of_the_paper() -> None:
    levels = ObjectiveSettings(ranges=(1, 3, 5, 9, 27)).pyramid_neighborhoods
    assert [level.ranges for level in levels] == [(1, 3, 5, 9), (1, 3, 5), (1, 3), (1,)]
    eight = ObjectiveSettings(ranges=(1, 3), connectivity=8).pyramid_neighborhoods
    assert eight[0] == Neighborhood((1, 3), 8)
    assert eight[3] == Neighborhood((1,), 8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"iterations": 0}, "iterations must be at least 1, not 0"),
        ({"batch_size": -1}, "batch_size must be at least 1"),
        ({"validate_every": 0}, "validate_every must be at least 1"),
        ({"checkpoint_every": 0}, "checkpoint_every must be at least 1"),
        ({"crop": 100}, "crop must be a multiple of 16, not 100"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, not 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0, not nan"),
        ({"weight_decay": -1.0}, "weight_decay cannot be negative"),
        ({"seed": -1}, "seed cannot be negative: -1"),
        ({"warmup": 1.5}, "warmup is a fraction between 0 and 1, not 1.5"),
        ({"ema_decay": 1.0}, "ema_decay is at least 0 and below 1, not 1.0"),
        ({"optimizer": "sgd"}, "optimizer 'sgd' is not known: use adamw or paper"),
        ({"schedule": "cosine"}, "schedule 'cosine' is not known: use one-cycle or constant"),
    ],
)
def test_bad_values_of_a_run_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainingSettings(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ranges": (0,)}, "range is a whole number of at least 1, not 0"),
        ({"connectivity": 5}, "Connectivity 5 does not exist in 2D"),
        ({"cross_weight": -1.0}, "cross_weight cannot be negative: -1.0"),
        ({"pyramid_ranges": (3, 2, 1)}, "1/2, 1/4, 1/8 and 1/16 of the size, not 3 numbers"),
        ({"pyramid_ranges": (4, 3, 2, 0)}, "number of at least 1, not 0"),
    ],
)
def test_bad_values_of_the_objective_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ObjectiveSettings(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": (1.2, 0.8)}, r"magnification above 0, not \(1.2, 0.8\)"),
        ({"scale": (0.0, 1.0)}, "magnification above 0"),
        ({"elastic_spacing": 0}, "elastic_spacing must be at least 1, not 0"),
        ({"geometric_probability": 1.5}, "geometric_probability lies between 0 and 1, not 1.5"),
        ({"noise": -0.1}, "noise cannot be negative: -0.1"),
    ],
)
def test_bad_values_of_the_augmentation_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        AugmentationSettings(**changes)


def test_single_values_of_run_and_parts_are_changed() -> None:
    settings = TrainingSettings(objective=ObjectiveSettings(connectivity=8))
    changed = settings.updated(iterations=7, ranges=(1, 2), noise_probability=0.0)
    assert changed.iterations == 7
    assert changed.objective == ObjectiveSettings(ranges=(1, 2), connectivity=8)
    assert changed.augmentation == AugmentationSettings(noise_probability=0.0)
    with pytest.raises(InputError, match=r"no setting 'speed'; the settings are iterations, .*"):
        settings.updated(speed=3)


def test_pairs_that_are_trained_are_those_that_are_looked_at() -> None:
    assert ObjectiveSettings().ranges == SegmentationSettings().ranges


def test_pairs_of_images_become_those_of_volumes_and_back() -> None:
    plain = TrainingSettings(objective=ObjectiveSettings(ranges=(1, 3), connectivity=8))
    assert plain.crop_shape == (256, 256)
    volume = plain.for_ndim(3)
    assert volume.objective.connectivity == 18
    assert volume.objective.neighborhood == Neighborhood((1, 3), 18, 3)
    assert volume.crop_shape == (32, 256, 256)
    assert volume.for_ndim(2) == plain
    apart = volume.updated(connectivity=26, z_ranges=(1, 2))
    assert apart.objective.neighborhood == Neighborhood((1, 3), 26, 3, (1, 2))
    assert apart.for_ndim(3) is not None
    assert apart.for_ndim(2) == plain


def test_bad_values_of_volumes_are_named() -> None:
    with pytest.raises(InputError, match="z ranges need a 3D neighborhood"):
        ObjectiveSettings(ranges=(1, 3), z_ranges=(1, 2))
    with pytest.raises(InputError, match="background_pairs 'none' is not known: use object, apart"):
        ObjectiveSettings(background_pairs="none")
    with pytest.raises(InputError, match="kind 'mse' is not known: use correlation, affinities"):
        ObjectiveSettings(kind="mse")
    with pytest.raises(InputError, match="crop_depth must be at least 1, not 0"):
        TrainingSettings(crop_depth=0)
    with pytest.raises(InputError, match="shift cannot be negative: -1"):
        AugmentationSettings(shift=-1)
    with pytest.raises(InputError, match="missing_probability lies between 0 and 1, not 2"):
        AugmentationSettings(missing_probability=2.0)
