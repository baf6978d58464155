"""From annotated images to a model file: what dock, command line and Python call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_pea.core.device import Precision, choose_device
from napari_pea.core.errors import InputError
from napari_pea.core.image import prepare_image
from napari_pea.core.networks import build_network
from napari_pea.core.networks.base import EmbeddingNetwork
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.models.catalogue import find_model
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.package import SUFFIX, load_network, save_model
from napari_pea.training.checkpoint import CHECKPOINT_NAME, plain_settings
from napari_pea.training.data import AnnotatedImage
from napari_pea.training.settings import TrainingSettings
from napari_pea.training.trainer import Trainer
from napari_pea.training.validation import SegmentationScorer

#: At most this many held-out images of a group are segmented at every validation.
SCORED_IMAGES = 12


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
    """

    image: NDArray[np.generic]
    labels: NDArray[np.integer]
    name: str = ""
    weight: float = 1.0
    group: str = ""


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
        the architecture and normalisation are those of the start.
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
    if (folder / CHECKPOINT_NAME).exists() and not resume:
        raise InputError(
            f"The folder {folder} already holds a training run: resume it, or choose another."
        )
    torch.manual_seed(settings.seed)
    network, metadata = _start(model, start)
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
    trainer.run(progress=progress, cancel=cancel)
    return path


def _start(
    model: ModelMetadata, start: str | Path | None
) -> tuple[EmbeddingNetwork, ModelMetadata]:
    """Return the network to train and what is known about the model so far."""
    if start is None:
        return build_network(model.architecture, model.arguments), model
    network, parent = load_network(find_model(start))
    inherited = {
        name: getattr(parent, name)
        for name in ("architecture", "arguments", "normalization", "pixel_size_um")
    }
    return network.train(), model.model_copy(update={**inherited, "parent": parent.name})


def _annotated(
    images: Sequence[LabelledImage], metadata: ModelMetadata, network: EmbeddingNetwork
) -> list[AnnotatedImage]:
    """Return the images normalised, with the channels the network expects."""
    items = []
    for number, item in enumerate(images, start=1):
        what = item.name or f"image {number}"
        try:
            channels = prepare_image(item.image, network.in_channels, network.ndim)
        except InputError as error:
            raise InputError(f"{what}: {error}") from error
        if channels.shape[1:] != item.labels.shape:
            raise InputError(
                f"{what}: the image measures {channels.shape[1:]} pixels and its labels "
                f"{item.labels.shape}; they must be the same."
            )
        if item.labels.dtype.kind not in "iub":
            raise InputError(f"{what}: labels are whole numbers, not {item.labels.dtype}.")
        items.append(
            AnnotatedImage(
                metadata.normalization(channels),
                item.labels.astype(np.int32),
                item.weight,
                item.group,
            )
        )
    return items


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
