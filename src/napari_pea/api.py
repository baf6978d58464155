"""Segmenting and training in one call each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.core.segmentation import Segmentation
from napari_pea.core.segmenter import Segmenter
from napari_pea.models.catalogue import load_model
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.model import Model

if TYPE_CHECKING:
    from napari_pea.training.annotation import Notice, Zero
    from napari_pea.training.control import TrainingControl, TrainingHooks
    from napari_pea.training.presets import PresetName
    from napari_pea.training.settings import TrainingSettings


def segment(
    image: Any,
    model: str | Path | Model = "nuclei",
    neighborhood: Neighborhood | None = None,
    *,
    channel: int | None = None,
    channel_axis: int | None = None,
    device: str = "auto",
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
    **settings: Any,
) -> Segmentation:
    """Segment an image.

    Parameters
    ----------
    image : array-like, shape (Y, X) or with channels
        Raw intensities of any type.
    model : str, Path or Model
        A name from `list_models`, a model file, or a loaded model.
    neighborhood : Neighborhood, optional
        Which pixel pairs are compared; by default what the model recommends.
    channel, channel_axis : int, optional
        Which channel to use and which axis holds the channels.
    device : str
        "auto", "cuda", "mps" or "cpu"; a loaded model stays where it is.
    progress : callable
        Told the tiles done and the tiles in all.
    cancel : CancelToken, optional
        Stops the job when set.
    **settings
        Single values of `SegmentationSettings`, for example ``min_size=50``.

    Returns
    -------
    Segmentation
        Labels, table and settings.

    Raises
    ------
    InputError
        If image, model or a setting cannot be used; one sentence says why.

    Examples
    --------
    >>> from skimage.data import human_mitosis
    >>> segment(human_mitosis()).labels.shape  # doctest: +SKIP
    (512, 512)
    """
    loaded = model if isinstance(model, Model) else load_model(model, device)
    if neighborhood is not None:
        if neighborhood.ndim != loaded.ndim:
            raise InputError(
                f"The model {loaded.name!r} segments {loaded.ndim}D images, the neighborhood "
                f"has {neighborhood.ndim} dimensions."
            )
        settings = {
            "ranges": neighborhood.ranges,
            "connectivity": neighborhood.connectivity,
            "z_ranges": neighborhood.z_ranges,
            **settings,
        }
    segmenter = Segmenter(loaded, image, channel=channel, channel_axis=channel_axis)
    return segmenter.segment(progress=progress, cancel=cancel, **settings)


def train(
    images: Sequence[NDArray[Any]],
    labels: Sequence[NDArray[Any]],
    start: str | Path | None = None,
    *,
    folder: str | Path,
    name: str = "my-model",
    validation: tuple[Sequence[NDArray[Any]], Sequence[NDArray[Any]]] = ((), ()),
    settings: TrainingSettings | None = None,
    model: ModelMetadata | None = None,
    channel: int | None = None,
    channel_axis: int | None = None,
    sparse: bool = False,
    zero: Zero | None = None,
    background: Sequence[NDArray[Any] | None] | None = None,
    region: Sequence[NDArray[Any] | None] | None = None,
    whole_objects: bool = True,
    preset: PresetName | None = None,
    keep: bool | Sequence[NDArray[Any]] = False,
    image_scale: float | None = None,
    resume: bool = False,
    device: str = "auto",
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
    control: TrainingControl | None = None,
    hooks: TrainingHooks | None = None,
    preview: Callable[[Model, int], None] | None = None,
    notify: Callable[[Notice], None] | None = None,
    **changes: Any,
) -> Model:
    """Train a model on annotated images.

    Parameters
    ----------
    images, labels : sequences of arrays, shape (Y, X)
        Raw images, which may have channels, and their object ids.
    start : str or Path, optional
        A model to go on from; by default training starts from nothing. The new model takes
        over its ranges, recommended settings, data and licence unless others are given.
    folder : str or Path
        Receives model file, checkpoint, log and curves.
    name : str
        Of the new model.
    validation : (images, labels), optional
        Held-out data by whose AJI the best version is chosen.
    settings : TrainingSettings, optional
        The run; single values can be given as keyword arguments instead.
    model : ModelMetadata, optional
        Architecture, normalisation and recommended settings of the new model; `name` is
        then not used.
    channel, channel_axis : int, optional
        Which channel to use and which axis holds the channels; by default colour images are
        taken as grey. Without `start` the new model takes as many channels as there are.
    sparse : bool
        Whether only some objects are painted. Then a preset is used, and some of the objects
        are held out if there are no validation images.
    zero : {"auto", "background", "not-annotated"}, optional
        What label 0 means; by default background, with `sparse` "auto": background where at
        least half of the pixels are painted.
    background, region : sequence of array or None, optional
        For each image a mask of painted background, and one of what was looked at.
    whole_objects : bool
        Whether painted objects are painted whole but for a rim, so that what lies beyond
        belongs to none of them.
    preset : {"quick", "standard", "long"}, optional
        Length and learning rate of the run.
    keep : bool or sequence of array
        Whether the new model must still do what `start` does; images of the old kind, without
        labels, show it. For the model `nuclei` none need be given.
    image_scale : float, optional
        Images are resized by this factor before the network sees them; by default as `start`
        does.
    resume : bool
        Go on with the run in `folder`.
    device : str
        "auto", "cuda", "mps" or "cpu".
    progress : callable
        Told the iterations done and the iterations in all.
    cancel : CancelToken, optional
        Stops the run when set; it can be resumed.
    control : TrainingControl, optional
        Pauses the run, or ends it early with the best version kept.
    hooks : TrainingHooks, optional
        What is called while the run goes on.
    preview : callable, optional
        Called every so often with the model as it is and the iteration.
    notify : callable, optional
        Told what should be known about the annotation before training begins.
    **changes
        Single values of `TrainingSettings`, of its objective and of its augmentation, for
        example ``iterations=500`` or ``ranges=(1, 3, 5)``.

    Returns
    -------
    Model
        The best version, ready to use.

    Raises
    ------
    InputError
        If the data or a setting cannot be used; one sentence says why.
    """
    from napari_pea.core.scaling import check_scale
    from napari_pea.training.labelled import LabelledImage
    from napari_pea.training.presets import chosen_settings
    from napari_pea.training.session import train_model

    meaning: Zero = zero or ("auto" if sparse else "background")

    def paired(
        pictures: Sequence[NDArray[Any]],
        ids: Sequence[NDArray[Any]],
        strokes: Sequence[NDArray[Any] | None] | None = None,
        regions: Sequence[NDArray[Any] | None] | None = None,
        meaning: Zero = "background",
    ) -> list[LabelledImage]:
        counts = {"label images": ids, "masks of background": strokes, "regions": regions}
        for what, given in counts.items():
            if given is not None and len(pictures) != len(given):
                raise InputError(
                    f"Every image needs its labels and masks: got {len(pictures)} images and "
                    f"{len(given)} {what}."
                )
        none = [None] * len(pictures)
        return [
            LabelledImage(
                image,
                labels,
                channel=channel,
                channel_axis=channel_axis,
                zero=meaning,
                background=stroke,
                region=looked_at,
                whole_objects=whole_objects,
            )
            for image, labels, stroke, looked_at in zip(
                pictures, ids, strokes or none, regions or none, strict=True
            )
        ]

    shown = () if isinstance(keep, bool) else tuple(keep)
    if settings is None:
        kept = keep is True or bool(shown)
        settings = chosen_settings(start, sparse=sparse, preset=preset, keep=kept)
    metadata = model or ModelMetadata(name=name, architecture="resunet2d")
    if image_scale is not None:
        # Only what is given counts as given, so that the rest is taken over from the start.
        metadata = metadata.model_copy(update={"scale": check_scale(image_scale)})
    path = train_model(
        paired(images, labels, background, region, meaning),
        paired(*validation),
        metadata,
        settings.updated(**changes),
        Path(folder),
        start=start,
        resume=resume,
        keep=shown,
        device=device,
        progress=progress,
        cancel=cancel,
        control=control,
        hooks=hooks,
        preview=preview,
        notify=notify,
    )
    return load_model(path, device)
