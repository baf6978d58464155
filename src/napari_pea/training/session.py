"""From annotated images to a model file: what dock, command line and Python call."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_pea.core.device import Precision, choose_device
from napari_pea.core.errors import InputError
from napari_pea.core.image import prepare_image
from napari_pea.core.networks import build_network
from napari_pea.core.networks.base import EmbeddingNetwork
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.core.refine import checked_labels, compact
from napari_pea.models.catalogue import find_model
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.package import SUFFIX, load_network, read_metadata, save_model
from napari_pea.training.checkpoint import CHECKPOINT_NAME, plain_settings
from napari_pea.training.data import AnnotatedImage
from napari_pea.training.settings import TrainingSettings
from napari_pea.training.trainer import Trainer
from napari_pea.training.validation import SegmentationScorer

#: At most this many held-out images of a group are segmented at every validation.
SCORED_IMAGES = 12
#: What a model trained from another one keeps of it whatever else is said, because the
#: weights depend on it, and what it takes over unless something else is said.
KEPT_OF_PARENT = ("architecture", "arguments", "normalization", "pixel_size_um")
DEFAULTS_OF_PARENT = ("recommended", "data", "licence")


@dataclass(frozen=True)
class LabelledImage:
    """An image as the user has it, with its objects.

    Attributes
    ----------
    image : array, shape (Y, X) or with channels
        Raw intensities.
    labels : array of int, shape (Y, X)
        Object ids; 0 is background.
    name : str
        For messages.
    weight : float
        How often crops come from it, relative to the others.
    group : str
        The data set it belongs to; groups are scored apart.
    channel : int, optional
        Use this channel only.
    channel_axis : int, optional
        Which axis holds the channels; without it colour images are taken as grey.
    """

    image: NDArray[np.generic]
    labels: NDArray[np.integer]
    name: str = ""
    weight: float = 1.0
    group: str = ""
    channel: int | None = None
    channel_axis: int | None = None


def default_settings(start: str | Path | None = None) -> TrainingSettings:
    """Return the settings of a run if nothing is said about it.

    Parameters
    ----------
    start : str or Path, optional
        A model to go on from: its ranges are trained.

    Raises
    ------
    InputError
        If there is no such model.
    """
    settings = TrainingSettings()
    if start is None:
        return settings
    return settings.updated(ranges=read_metadata(find_model(start)).training_ranges)


def train_model(
    training: Sequence[LabelledImage],
    validation: Sequence[LabelledImage],
    model: ModelMetadata,
    settings: TrainingSettings,
    folder: Path,
    *,
    start: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    precision: Precision = "auto",
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> Path:
    """Train a model and keep the version that validates best.

    The folder receives the model file, the checkpoint from which an interrupted run is
    resumed, the log as CSV, and the curves as a picture.

    Parameters
    ----------
    training, validation : sequence of LabelledImage
        Data to learn from, and held-out data by whose AJI the best version is chosen.
        Without held-out objects the last version is kept.
    model : ModelMetadata
        What is made: name, architecture, normalisation, recommended settings. With `start`
        the architecture and normalisation are those of the start, and so are recommended
        settings, data and licence if they are not given. A new model takes as many channels
        as the first training image has unless its arguments say so, and if no recommended
        settings are given they have the ranges that are trained.
    settings : TrainingSettings
        The run.
    folder : Path
        The run's folder.
    start : str or Path, optional
        A model whose weights the training starts from.
    resume : bool
        Go on with the run in the folder.
    device, precision
        See `napari_pea.core.device`.
    progress : callable
        Told the iterations done and the iterations in all.
    cancel : CancelToken, optional
        Checked before every iteration; a checkpoint is saved first.

    Returns
    -------
    Path
        The model file, `<folder>/<name>.pea.safetensors`.

    Raises
    ------
    InputError
        If the data or the folder cannot be used.
    Cancelled
        If `cancel` was set.
    """
    _check_name(model.name)
    if not resume and _holds_run(folder):
        raise InputError(
            f"The folder {folder} already holds a training run: resume it, or choose another."
        )
    torch.manual_seed(settings.seed)
    network, metadata = _start(model, start, training, settings)
    items = _annotated(training, metadata, network)
    held_out = _annotated(validation, metadata, network)
    metadata = metadata.model_copy(
        update={
            "training_ranges": settings.objective.ranges,
            "training": plain_settings(settings),
            "object_diameter": _median_diameter(items),
        }
    )
    path = folder / f"{metadata.name}{SUFFIX}"

    def keep(best: EmbeddingNetwork, scores: dict[str, float], iteration: int) -> None:
        save_model(path, best, _with_scores(metadata, scores, iteration))

    scored = [item for item in held_out if item.labels.any()]
    trainer = Trainer(
        network,
        items,
        settings,
        folder=folder,
        validation=scored,
        scorer=SegmentationScorer(_few(scored), metadata.recommended) if scored else None,
        keep=keep,
        device=choose_device(device),
        precision=precision,
    )
    if resume:
        trainer.resume()
    _make_writable(folder)
    trainer.run(progress=progress, cancel=cancel)
    if not path.exists():  # resumed under another name, or the file was taken away
        keep(trainer.averaged_network, {}, trainer.iteration)
    return path


def _check_name(name: str) -> None:
    """Make sure that a model's name can be that of its file."""
    if not name.strip() or any(letter in name for letter in "/\\\0"):
        raise InputError(
            f"A model cannot be called {name!r}: its name becomes that of its file, so give one "
            "without slashes."
        )


def _holds_run(folder: Path) -> bool:
    """Whether a run was saved in the folder."""
    try:
        return (folder / CHECKPOINT_NAME).exists()
    except OSError:
        # Making the folder writable says what is wrong with it.
        return False


def _make_writable(folder: Path) -> None:
    """Make the run's folder and write to it, so that no training is lost in the end."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileExistsError:
        raise InputError(f"{folder} is a file: choose a folder for the run.") from None
    except OSError as error:
        raise InputError(
            f"The folder {folder} cannot be written to ({error.strerror}): choose another."
        ) from error


def _start(
    model: ModelMetadata,
    start: str | Path | None,
    training: Sequence[LabelledImage],
    settings: TrainingSettings,
) -> tuple[EmbeddingNetwork, ModelMetadata]:
    """Return the network to train and what is known about the model so far."""
    given = model.model_fields_set
    if start is not None:
        network, parent = load_network(find_model(start))
        inherited = [*KEPT_OF_PARENT, *(name for name in DEFAULTS_OF_PARENT if name not in given)]
        update = {name: getattr(parent, name) for name in inherited}
        return network.train(), model.model_copy(update={**update, "parent": parent.name})
    update = {"arguments": {"in_channels": _channels_of(training), **model.arguments}}
    if "recommended" not in given:
        update["recommended"] = model.recommended.updated(ranges=settings.objective.ranges)
    model = model.model_copy(update=update)
    return build_network(model.architecture, model.arguments), model


def _channels_of(images: Sequence[LabelledImage]) -> int:
    """Return how many channels a new network needs for the images.

    The first one decides. What cannot be used is told when the images are prepared.
    """
    if not images or images[0].channel is not None or images[0].channel_axis is None:
        return 1
    shape = _as_array(images[0].image).shape
    axis = images[0].channel_axis
    return max(1, shape[axis]) if -len(shape) <= axis < len(shape) else 1


def _as_array(values: Any) -> NDArray[Any]:
    """Return an array of what may be nested lists."""
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError("An image needs rows of the same length.") from error


def _annotated(
    images: Sequence[LabelledImage], metadata: ModelMetadata, network: EmbeddingNetwork
) -> list[AnnotatedImage]:
    """Return the images normalised, with the channels the network expects."""
    items = []
    for number, item in enumerate(images, start=1):
        what = item.name or f"image {number}"
        try:
            channels = prepare_image(
                _as_array(item.image),
                network.in_channels,
                network.ndim,
                channel=item.channel,
                channel_axis=item.channel_axis,
            )
            labels = _object_ids(_as_array(item.labels))
        except InputError as error:
            raise InputError(f"{what}: {error}") from error
        if channels.shape[1:] != labels.shape:
            raise InputError(
                f"{what}: the image measures {channels.shape[1:]} pixels and its labels "
                f"{labels.shape}; they must be the same."
            )
        items.append(
            AnnotatedImage(metadata.normalization(channels), labels, item.weight, item.group)
        )
    return items


def _object_ids(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Return labels that fit 32 bits: larger ids are numbered anew."""
    if labels.dtype.kind == "b":
        labels = labels.astype(np.uint8)
    return compact(checked_labels(labels))[0].astype(np.int32)


def _few(images: Sequence[AnnotatedImage]) -> list[AnnotatedImage]:
    """Return some images of every group, evenly spread."""
    groups: dict[str, list[AnnotatedImage]] = {}
    for item in images:
        groups.setdefault(item.group, []).append(item)
    return [
        item
        for members in groups.values()
        for item in members[:: max(1, -(-len(members) // SCORED_IMAGES))]
    ]


def _median_diameter(images: Sequence[AnnotatedImage]) -> float | None:
    """Return the median diameter of all objects, as circles of their area, in pixels."""
    areas = [np.bincount(item.labels.ravel())[1:] for item in images]
    present = np.concatenate(areas) if areas else np.zeros(0)
    present = present[present > 0]
    if not present.size:
        return None
    return round(float(np.median(2 * np.sqrt(present / np.pi))), 1)


def _with_scores(
    metadata: ModelMetadata, scores: dict[str, float], iteration: int
) -> ModelMetadata:
    """Return the metadata with the validation scores sorted by data set."""
    by_group: dict[str, dict[str, float]] = {}
    for name, value in scores.items():
        group, _, metric = name.rpartition("/")
        by_group.setdefault(group or "validation", {})[metric] = round(value, 4)
    training = {**metadata.training, "best_iteration": iteration}
    return metadata.model_copy(update={"scores": by_group, "training": training})
