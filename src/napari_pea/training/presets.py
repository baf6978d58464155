"""Lengths and learning rates of runs on a few painted objects that work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import CONNECTIVITIES
from napari_pea.models.catalogue import find_model
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.package import read_metadata
from napari_pea.training.settings import TrainingSettings

PresetName = Literal["quick", "standard", "long"]


@dataclass(frozen=True)
class Preset:
    """How long a run is.

    Attributes
    ----------
    title : str
        For the user.
    iterations : int
        Steps of the optimiser.
    learning_rate : float
        The peak when training goes on from a model.
    new_learning_rate : float
        The peak when training starts from nothing.
    validate_every, checkpoint_every : int
        In iterations.
    """

    title: str
    iterations: int
    learning_rate: float
    new_learning_rate: float
    validate_every: int
    checkpoint_every: int


#: By name, the shortest first.
PRESETS: dict[PresetName, Preset] = {
    "quick": Preset("Quick, a few minutes", 300, 1e-3, 2e-3, 50, 25),
    "standard": Preset("Standard, about ten minutes", 1000, 1e-3, 2e-3, 100, 50),
    "long": Preset("Long, an hour", 5000, 1e-3, 2e-3, 500, 100),
}

DEFAULT_PRESET: PresetName = "standard"
#: What all of them share: small batches that two processor cores can bear, validation on
#: held-out objects, and an average of the weights that follows within a short run.
BATCH_SIZE, CROP, HOLD_OUT, DISTANT_PAIRS, EMA_DECAY = 4, 128, 0.15, 2000, 0.98
#: Share of the crops that show what the model knows already, if it is to keep that.
REPLAY = 0.5
#: What a run on volumes takes over from that of the model it starts from.
KEPT_OF_VOLUMES = ("batch_size", "crop", "crop_depth")
KEPT_OF_THEIR_PAIRS = ("connectivity", "z_ranges", "pyramid_ranges", "background_pairs", "widened")


def default_settings(start: str | Path | None = None) -> TrainingSettings:
    """Return the settings of a run if nothing is said about it.

    Parameters
    ----------
    start : str or Path, optional
        A model to go on from: its ranges are trained, and if it is one of volumes, on crops
        and pairs like its own.

    Raises
    ------
    InputError
        If there is no such model.
    """
    settings = TrainingSettings()
    if start is None:
        return settings
    parent = read_metadata(find_model(start))
    return settings.updated(ranges=parent.training_ranges, **_of_volumes(parent))


def _of_volumes(parent: ModelMetadata) -> dict[str, Any]:
    """Return what a run on volumes takes over from its start; nothing from one of images."""
    run = parent.training
    pairs = run.get("objective", {})
    if pairs.get("connectivity") not in CONNECTIVITIES[3]:
        return {}
    return {name: run[name] for name in KEPT_OF_VOLUMES if name in run} | {
        name: pairs[name] for name in KEPT_OF_THEIR_PAIRS if name in pairs
    }


def chosen_settings(
    start: str | Path | None = None,
    *,
    sparse: bool = False,
    preset: str | None = None,
    keep: bool = False,
) -> TrainingSettings:
    """Return the settings of a run if little is said about it.

    Parameters
    ----------
    start : str or Path, optional
        A model to go on from: its ranges are trained.
    sparse : bool
        Whether only some objects are painted: then a preset is used, by default "standard".
    preset : {"quick", "standard", "long"}, optional
        The length of the run.
    keep : bool
        Whether the new model must still do what the start does.

    Raises
    ------
    InputError
        If there is no such model or preset, or nothing to keep.
    """
    if keep and start is None:
        raise InputError("Without a model to start from there is nothing to keep: name one.")
    settings = default_settings(start)
    if sparse or preset is not None:
        settings = preset_settings(preset or DEFAULT_PRESET, settings, start=start is not None)
    return settings.updated(replay=REPLAY) if keep else settings


def preset_settings(name: str, base: TrainingSettings, *, start: bool) -> TrainingSettings:
    """Return the settings of a run on painted objects.

    Parameters
    ----------
    name : {"quick", "standard", "long"}
        The preset.
    base : TrainingSettings
        What else is set, such as the ranges of the model that training starts from.
    start : bool
        Whether training goes on from a model.

    Raises
    ------
    InputError
        If there is no such preset.
    """
    preset = {str(known): value for known, value in PRESETS.items()}.get(name)
    if preset is None:
        raise InputError(f"There is no preset {name!r}: choose {', '.join(PRESETS)}.")
    crops = {"batch_size": BATCH_SIZE, "crop": CROP} if base.objective.ndim == 2 else {}
    return base.updated(
        iterations=preset.iterations,
        learning_rate=preset.learning_rate if start else preset.new_learning_rate,
        validate_every=preset.validate_every,
        checkpoint_every=preset.checkpoint_every,
        **crops,
        hold_out=HOLD_OUT,
        distant_pairs=DISTANT_PAIRS,
        ema_decay=EMA_DECAY,
        # A second pass through the network costs more here than it brings.
        cross_weight=0.0,
    )
