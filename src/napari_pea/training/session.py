"""From annotated images to a model file: what dock, command line and Python call."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from napari_pea.core.device import Precision, choose_device
from napari_pea.core.errors import InputError
from napari_pea.core.networks import MaskUNet, Network, build_network
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.core.scaling import scaled_settings
from napari_pea.core.settings import SegmentationSettings
from napari_pea.models.catalogue import check_name, find_model, model_of
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.model import Model
from napari_pea.models.package import SUFFIX, load_network, save_model
from napari_pea.training.annotation import Notice, check_painted, notices, survey
from napari_pea.training.checkpoint import CHECKPOINT_NAME, plain_settings
from napari_pea.training.control import TrainingControl, TrainingHooks, TrainingStatus
from napari_pea.training.data import AnnotatedImage, check_annotated
from napari_pea.training.holdout import HeldOut, HeldOutScorer, all_held_out, hold_out
from napari_pea.training.labelled import LabelledImage, annotated, channels_of
from napari_pea.training.mask_pretraining import pretrain_decoders
from napari_pea.training.mask_settings import MaskObjective
from napari_pea.training.replay import replay_images
from napari_pea.training.settings import TrainingSettings
from napari_pea.training.trainer import Scorer, Trainer
from napari_pea.training.validation import SegmentationScorer

#: At most this many held-out images of a group are segmented at every validation.
SCORED_IMAGES = 12
#: What a model trained from another one keeps of it whatever else is said, because the
#: weights depend on it, and what it takes over unless something else is said.
KEPT_OF_PARENT = ("architecture", "arguments", "normalization", "pixel_size_um")
DEFAULTS_OF_PARENT = ("recommended", "scale", "data", "licence")


def train_model(
    training: Sequence[LabelledImage],
    validation: Sequence[LabelledImage],
    model: ModelMetadata,
    settings: TrainingSettings,
    folder: Path,
    *,
    start: str | Path | None = None,
    resume: bool = False,
    keep: Sequence[NDArray[Any]] = (),
    device: str = "auto",
    precision: Precision = "auto",
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
    control: TrainingControl | None = None,
    hooks: TrainingHooks | None = None,
    preview: Callable[[Model, int], None] | None = None,
    notify: Callable[[Notice], None] | None = None,
) -> Path:
    """Train a model and keep the version that validates best.

    The folder receives the model file, the checkpoint from which an interrupted run is
    resumed, the log as CSV, and the curves as a picture.

    Parameters
    ----------
    training, validation : sequence of LabelledImage
        Data to learn from, and held-out data by whose AJI the best version is chosen.
        Without held-out images the settings tell which share of the objects is held out.
        Without held-out objects the last version is kept.
    model : ModelMetadata
        What is made: name, architecture, normalisation, recommended settings. With `start`
        the architecture and normalisation are those of the start, and so are scale,
        recommended settings, data and licence if they are not given. A new model takes as
        many channels as the first training image has unless its arguments say so, and if no
        recommended settings are given they have the ranges that are trained.
    settings : TrainingSettings
        The run.
    folder : Path
        The run's folder.
    start : str or Path, optional
        A model whose weights the training starts from.
    resume : bool
        Go on with the run in the folder.
    keep : sequence of array, optional
        Images without labels that show what the start can do; a share of the crops
        (`TrainingSettings.replay`) comes from them. For the model `nuclei` there are some.
    device, precision
        See `napari_pea.core.device`.
    progress : callable
        Told the iterations done and the iterations in all.
    cancel : CancelToken, optional
        Checked before every iteration and while validating; a checkpoint is saved first.
    control : TrainingControl, optional
        Pauses the run, or ends it early with the best version kept.
    hooks : TrainingHooks, optional
        What is called while the run goes on.
    preview : callable, optional
        Called with the model as it is, ready to use, and the iteration, instead of
        `hooks.on_preview` and under the same rules.
    notify : callable, optional
        Told what should be known about the annotation before training begins.

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
    hooks = hooks or TrainingHooks()
    if hooks.on_status is not None:
        hooks.on_status(TrainingStatus("preparing", 0, settings.iterations))
    check_name(model.name)
    if not resume and _holds_run(folder):
        raise InputError(
            f"The folder {folder} already holds a training run: resume it, or choose another."
        )
    torch.manual_seed(settings.seed)
    network, metadata, parent = _start(model, start, training, settings)
    if isinstance(network, MaskUNet) and metadata.scale != 1:
        raise InputError(
            "A model of masks knows pixel pairs of images as they are: train it with an image "
            "scale of 1, on images that you have resized yourself."
        )
    settings = _settings_for(network, settings, parent)
    items = annotated(training, metadata, network)
    held_out = annotated(validation, metadata, network)
    found = survey([item.labels for item in items])
    metadata = metadata.model_copy(
        update={
            "training_ranges": settings.objective.ranges,
            "training": plain_settings(settings),
            "object_diameter": found.diameter and round(found.diameter / metadata.scale, 1),
        }
    )
    said = notices(found, metadata, parent)
    check_annotated(items, network.in_channels)
    check_painted(found)
    scored = [item for item in held_out if (item.labels > 0).any()]
    held_objects: list[HeldOut] = []
    if not scored:
        items, held_objects, more = hold_out(items, settings.hold_out, settings.seed)
        said += more
    elif any(item.sparse for item in scored):
        scored, held_objects = [], all_held_out(scored)
    for notice in said:
        if notify is not None:
            notify(notice)
    path = folder / f"{metadata.name}{SUFFIX}"
    where = choose_device(device)
    replayed: list[AnnotatedImage] = []
    if settings.replay > 0:
        if parent is None:
            raise InputError(
                "Only a model that training starts from knows something to keep: name one."
            )
        replayed = replay_images(network, parent, keep, device=where, cancel=cancel)

    def keep_best(best: Network, scores: dict[str, float], iteration: int) -> None:
        start = trainer.history.start_score
        save_model(path, best, _with_scores(metadata, scores, iteration, start))

    def on_preview(network: Network, iteration: int) -> None:
        if preview is not None:
            preview(model_of(network, metadata, where), iteration)

    trainer = Trainer(
        network,
        items,
        settings,
        folder=folder,
        validation=scored,
        scorer=_scorer(scored, held_objects, scaled_settings(metadata.recommended, metadata.scale))
        if _can_be_scored(network)
        else None,
        keep=keep_best,
        replay=replayed,
        is_trained=start is not None,
        hooks=hooks if preview is None else replace(hooks, on_preview=on_preview),
        device=where,
        precision=precision,
    )
    if resume:
        trainer.resume()
    _make_writable(folder)
    if isinstance(network, MaskUNet) and trainer.iteration == 0 and start is None:
        pretrain_decoders(network, items, settings, where, cancel=cancel)
    trainer.run(progress=progress, cancel=cancel, control=control)
    if not path.exists():  # resumed under another name, or the file was taken away
        keep_best(trainer.averaged_network, {}, trainer.iteration)
    return path


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
) -> tuple[Network, ModelMetadata, ModelMetadata | None]:
    """Return the network to train, what is known about the model so far, and its parent."""
    given = model.model_fields_set
    if start is not None:
        network, parent = load_network(find_model(start))
        inherited = [*KEPT_OF_PARENT, *(name for name in DEFAULTS_OF_PARENT if name not in given)]
        update: dict[str, Any] = {name: getattr(parent, name) for name in inherited}
        if "recommended" in update and "scale" in given and model.scale != parent.scale:
            # Ranges were chosen for the objects of the parent: all that are trained do for any.
            seen = scaled_settings(parent.recommended, parent.scale)
            seen = seen.updated(ranges=settings.objective.ranges)
            update["recommended"] = scaled_settings(seen, 1 / model.scale)
        model = model.model_copy(update={**update, "parent": parent.name})
        return network.train(), model, parent
    update = {"arguments": {"in_channels": channels_of(training), **model.arguments}}
    if "recommended" not in given:
        trained = model.recommended.updated(ranges=settings.objective.ranges)
        update["recommended"] = scaled_settings(trained, 1 / model.scale)
    model = model.model_copy(update=update)
    return build_network(model.architecture, model.arguments), model, None


def _settings_for(
    network: Network, settings: TrainingSettings, parent: ModelMetadata | None
) -> TrainingSettings:
    """Return the settings with the objective that a network needs.

    A network of masks that goes on from a model goes on with its masks too, unless others are
    asked for.
    """
    settings = settings.for_ndim(network.ndim)
    if not isinstance(network, MaskUNet) or parent is None:
        return settings
    settings = settings.updated(kind="masks")
    before = parent.training.get("masks")
    if settings.masks == MaskObjective() and isinstance(before, dict):
        known = {item.name for item in fields(MaskObjective)}
        kept = {name: value for name, value in before.items() if name in known}
        settings = settings.updated(masks=MaskObjective(**{**kept, "pretraining": 0}))
    return settings


def _can_be_scored(network: Network) -> bool:
    """Whether affinities come from the network without its masks, which would take long."""
    if not isinstance(network, MaskUNet):
        return True
    return network.affinity_head is not None or 0 in network.sparse_levels


def _scorer(
    images: Sequence[AnnotatedImage],
    objects: Sequence[HeldOut],
    settings: SegmentationSettings,
) -> Scorer | None:
    """Return what measures the network while it is trained, if there is anything held out."""
    if images:
        return SegmentationScorer(_few(images), settings)
    return HeldOutScorer(objects, settings) if objects else None


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


def _with_scores(
    metadata: ModelMetadata, scores: dict[str, float], iteration: int, start: float | None
) -> ModelMetadata:
    """Return the metadata with the validation scores sorted by data set, and the start's."""
    by_group: dict[str, dict[str, float]] = {}
    for name, value in scores.items():
        group, _, metric = name.rpartition("/")
        by_group.setdefault(group or "validation", {})[metric] = round(value, 4)
    training = {**metadata.training, "best_iteration": iteration}
    if start is not None:
        training["start_score"] = round(start, 4)
    return metadata.model_copy(update={"scores": by_group, "training": training})
