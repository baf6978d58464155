"""From the choices in the Training dock to a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, Progress
from napari_pea.core.scaling import check_scale
from napari_pea.models.catalogue import list_models
from napari_pea.models.metadata import ModelMetadata
from napari_pea.sample_data import SAMPLES
from napari_pea.training.files import Reading, find_pairs, read
from napari_pea.training.presets import chosen_settings
from napari_pea.widgets.preferences import preferences
from napari_pea.widgets.state import state_of
from napari_pea.widgets.training_layers import PaintedLayers, painted_layers
from napari_pea.widgets.training_state import TrainingRequest, TrainingState

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_pea.models.catalogue import ModelEntry
    from napari_pea.training.labelled import LabelledImage
    from napari_pea.training.settings import TrainingSettings

#: What a model is called until its user names it.
PROVISIONAL_NAME = "new-model"


def start_of(state: TrainingState) -> ModelEntry | None:
    """Return the model that training starts from; None for nothing.

    Raises
    ------
    InputError
        If there is no such model any more.
    """
    if state.start is None:
        return None
    for entry in list_models(preferences().model_folder):
        if entry.name == state.start and entry.metadata is not None:
            return entry
    raise InputError(f"There is no model {state.start!r} any more: choose another to start from.")


def brings_images(model: ModelMetadata | None) -> bool:
    """Whether images of the kind that a model knows come with the program."""
    return model is not None and model.name in SAMPLES


def _kept_images(state: TrainingState, start: ModelEntry | None) -> Path | None:
    """Return the folder of images that the model knows, if the user was asked for one."""
    asked = state.keep and start is not None and not brings_images(start.metadata)
    return Path(state.keep_folder).expanduser() if asked and state.keep_folder else None


def settings_of(state: TrainingState, start: ModelEntry | None) -> TrainingSettings:
    """Return the settings of a run: those of the preset with the changes of the user.

    Raises
    ------
    InputError
        If a value makes no sense.
    """
    path = None if start is None else start.path
    return chosen_settings(
        path, sparse=True, preset=state.preset, keep=state.keep and start is not None
    ).updated(**state.changes)


def scale_of(state: TrainingState, start: ModelEntry | None) -> float:
    """Return by which factor images are resized before the network sees them."""
    if state.scale is not None:
        return state.scale
    return 1.0 if start is None or start.metadata is None else start.metadata.scale


def annotation_of(state: TrainingState) -> list[PaintedLayers]:
    """Return all pairs of layers, if they can be learned from.

    Raises
    ------
    InputError
        If a layer is missing or does not fit.
    """
    return [painted_layers(pair, state.ndim) for pair in state.pairs]


def collect_request(viewer: Viewer, state: TrainingState) -> TrainingRequest:
    """Return the run that the user has chosen.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer itself, not a proxy of it.
    state : TrainingState
        Its choices.

    Raises
    ------
    InputError
        If something is missing or does not fit.
    """
    start = start_of(state)
    settings = settings_of(state, start)
    # Only what is given counts as given, so that the rest is taken over from the start.
    scale: dict[str, Any] = {} if state.scale is None else {"scale": check_scale(state.scale)}
    device = state_of(viewer).device or preferences().device
    common: dict[str, Any] = {
        "start": None if start is None else start.path,
        "metadata": ModelMetadata(name=PROVISIONAL_NAME, architecture="resunet2d", **scale),
        "settings": settings,
        "keep": _kept_images(state, start),
        "device": device,
    }
    origin = "from nothing" if start is None else f"from the model {start.name!r}"
    whole = state.whole_objects
    if state.source == "folders":
        reading = Reading(zero=state.folder_zero, whole_objects=whole)
        for folder, what in ((state.image_folder, "images"), (state.labels_folder, "labels")):
            if not folder.strip():
                raise InputError(f"There is no folder of {what} to learn from: choose one.")
        images, labels = (
            Path(folder).expanduser() for folder in (state.image_folder, state.labels_folder)
        )

        def read_files(progress: Progress, cancel: CancelToken) -> tuple[LabelledImage, ...]:
            return tuple(read(find_pairs(images, labels), reading, progress, cancel))

        return TrainingRequest(
            read=read_files,
            description=f"Trained {origin} on the images in {images.name!r}.",
            **common,
        )
    pairs = annotation_of(state)

    def read_layers(progress: Progress, cancel: CancelToken) -> tuple[LabelledImage, ...]:
        items: list[LabelledImage] = []
        for done, pair in enumerate(pairs, start=1):
            items += pair.read(whole_objects=whole, cancel=cancel)
            progress(done, len(pairs))
        return tuple(items)

    names = ", ".join(repr(name) for name in dict.fromkeys(pair.name for pair in pairs))
    first = state.pairs[0]
    return TrainingRequest(
        read=read_layers,
        preview_layer=None if first.image is None else first.image(),
        preview_channel=first.channel,
        description=f"Trained {origin} on what was painted on {names}.",
        layouts={pair.name: pair.layout for pair in pairs},
        ndim=state.ndim,
        **common,
    )
