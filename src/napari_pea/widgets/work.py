"""The long work behind the docks. Runs in another thread and knows no window."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol
from weakref import ref

import numpy as np

from napari_pea.core import warm
from napari_pea.core.constraints import Constraints
from napari_pea.core.errors import Cancelled
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.core.settings import SegmentationSettings
from napari_pea.widgets.features import layer_features
from napari_pea.widgets.memory import memory_reported
from napari_pea.widgets.results import ResultLayer, fingerprint
from napari_pea.widgets.sources import ImagePart

if TYPE_CHECKING:
    import pandas as pd
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_pea.core.segmentation import Segmentation
    from napari_pea.core.segmenter import Segmenter
    from napari_pea.widgets.sessions import LiveSession


class Report(Protocol):
    """Takes note of the present step, of the pieces done and of the pieces in all."""

    def __call__(self, step: str, done: int = 0, total: int = 0, /) -> None:
        """Take note; callable from any thread."""

    def hand_over(self, part: Any, /) -> None:
        """Hand over a part of the result before the rest; callable from any thread."""


@dataclass(frozen=True)
class SegmentRequest:
    """What to segment.

    Attributes
    ----------
    part : ImagePart
        The pixels.
    model : Path
        The model file.
    device : str
        "auto" or the name of a device.
    tile : int or None
        Side of a tile in pixels; None for the tiles of the network.
    halo : int or None
        How far tiles overlap beyond what is used of them, in pixels; by default as far as
        the network sees.
    settings : SegmentationSettings
        How to segment.
    constraints : Constraints
        What the user has said about pairs of pixels.
    former_labels : ResultLayer or None
        The layer that the labels may replace.
    source : weak reference
        The image layer, for the place of objects in its world.
    """

    part: ImagePart
    model: Path
    device: str
    tile: int | None
    halo: int | None
    settings: SegmentationSettings
    constraints: Constraints
    former_labels: ResultLayer | None
    source: ref[Image]


@dataclass(frozen=True)
class Early:
    """Labels that can be shown before their table is made.

    Attributes
    ----------
    settings : SegmentationSettings
        Those that they were made with.
    data : array of uint32
        The labels as the layer will hold them.
    print_ : hashable
        Their fingerprint.
    """

    settings: SegmentationSettings
    data: NDArray[np.uint32]
    print_: Hashable


@dataclass(frozen=True)
class Outcome:
    """A segmentation, ready to be shown.

    Attributes
    ----------
    segmenter : Segmenter
        With what the network has said, for further segmentations.
    segmentation : Segmentation
        Labels, table and settings.
    constraints : Constraints
        Those that it was made with.
    data : array of uint32
        The labels as the layer will hold them.
    features : pandas.DataFrame
        The table as the layer will hold it.
    print_ : hashable
        Fingerprint of the labels as the layer will hold them.
    replace : bool
        Whether data and table of the former labels are as they were written.
    seconds : float
        How long it took.
    model_hash : str
        What the model was, whatever becomes of its file: see `models.package.model_hash`.
    """

    segmenter: Segmenter
    segmentation: Segmentation
    constraints: Constraints
    data: NDArray[np.uint32]
    features: pd.DataFrame
    print_: Hashable
    replace: bool
    seconds: float
    model_hash: str = ""


def segment_part(request: SegmentRequest, report: Report, cancel: CancelToken) -> Outcome:
    """Embed and segment a part of an image.

    Raises
    ------
    InputError
        If image or model cannot be used, or the memory does not suffice.
    Cancelled
        If `cancel` was set.
    """
    from napari_pea.core.predictors import check_settings
    from napari_pea.core.segmenter import Segmenter
    from napari_pea.models.catalogue import load_model
    from napari_pea.models.package import model_hash

    started = perf_counter()
    with memory_reported():
        report("Reading the image …")
        image = request.part.read()
        check_cancel(cancel)
        report("Loading the model …")
        model = load_model(request.model, request.device)
        known_by = model_hash(request.model)
        check_cancel(cancel)

        segmenter = Segmenter(
            model,
            image,
            channel=request.part.channel,
            channel_axis=request.part.channel_axis,
            tile=request.tile,
            halo=request.halo,
        )
        check_settings(model, request.settings)
        segmenter.evidence(request.settings, progress=looking(report), cancel=cancel)
        warm.wait_for_compilation(cancel)
        found = segment_again(
            segmenter,
            request.part,
            request.settings,
            request.constraints,
            request.former_labels,
            request.source,
            cancel,
            started,
        )
        return replace(found, model_hash=known_by)


def looking(report: Report) -> Progress:
    """Return what tells the user how far the network is, and then the averaging of masks."""
    seen = False

    def tell(done: int, total: int, /) -> None:
        nonlocal seen
        if done < total:
            report("Averaging masks …" if seen else "Looking at the image …", done, total)
        else:
            seen = True
            first = "" if warm.is_ready() else "; the first time this takes a minute"
            report(f"Finding the objects{first} …")

    return tell


def segment_again(
    segmenter: Segmenter,
    part: ImagePart,
    settings: SegmentationSettings,
    constraints: Constraints,
    former_labels: ResultLayer | None,
    source: ref[Image],
    cancel: CancelToken,
    started: float | None = None,
    hand_over: Callable[[Early], None] | None = None,
    previous: NDArray[np.uint32] | None = None,
    progress: Progress = ignore_progress,
) -> Outcome:
    """Segment what the network has seen before.

    Objects that were there before keep their ids.

    Parameters
    ----------
    segmenter : Segmenter
        With what the network has said.
    part : ImagePart
        What it is of.
    settings : SegmentationSettings
        How to segment.
    constraints : Constraints
        What the user has said about pairs of pixels.
    former_labels : ResultLayer or None
        The layer that the labels may replace.
    source : weak reference
        The image layer.
    cancel : CancelToken
        Checked all the time.
    started : float, optional
        When the work began, by `time.perf_counter`; by default now.
    hand_over : callable, optional
        Given the labels as soon as they are there, if they may replace the former ones.
    previous : array of uint32, shape (*spatial), optional
        The objects before, if there are no former labels that may be replaced.
    progress : callable
        Told the tiles done and in all if the network has to look again, as it does where masks
        are to be averaged for the first time.

    Raises
    ------
    InputError
        If settings or constraints cannot be used, or the memory does not suffice.
    Cancelled
        If `cancel` was set.
    """
    from napari_pea.core.tracking import tracked_ids  # numba takes its time

    began = perf_counter() if started is None else started
    with memory_reported():
        labels = segmenter.labels(settings, constraints, progress=progress, cancel=cancel)
        layer = None if former_labels is None else former_labels.layer
        replace = former_labels is not None and former_labels.has_its_data()
        if replace and layer is not None and layer.data.shape == part.as_result(labels).shape:
            previous = layer.data.reshape(labels.shape)
        ids = None if previous is None else tracked_ids(labels, previous)
        labels = labels if ids is None else ids[labels]
        data = part.as_result(labels)
        print_ = fingerprint(data)
        seconds = perf_counter() - began
        check_cancel(cancel)
        if replace and hand_over is not None:
            hand_over(Early(settings, data, print_))
        segmentation = segmenter.segment(settings, constraints, cancel=cancel)
        if ids is not None:
            segmentation = segmentation.with_ids(ids, labels)
        check_cancel(cancel)
        image = source()
        if image is None:
            raise Cancelled("The image is gone.")
        return Outcome(
            segmenter,
            segmentation,
            constraints,
            data,
            layer_features(segmentation.table, image, part),
            print_,
            replace,
            seconds,
        )


@dataclass(frozen=True)
class StackOutcome:
    """The segmentation of every plane of a stack.

    Attributes
    ----------
    labels : array of uint32
        Object ids, unique in the stack, with the axes of the layer but that of its
        channels.
    table : pandas.DataFrame
        One row for each object, with a column ``plane``.
    """

    labels: NDArray[np.uint32]
    table: pd.DataFrame


def segment_stack(
    session: LiveSession,
    axis: int,
    settings: SegmentationSettings,
    report: Report,
    cancel: CancelToken,
) -> StackOutcome:
    """Segment every plane along an axis, each by itself.

    Parameters
    ----------
    session : LiveSession
        One of the planes.
    axis : int
        The axis of the layer.
    settings : SegmentationSettings
        How to segment.
    report, cancel
        Told and checked for every plane.

    Raises
    ------
    InputError
        If a plane cannot be used, or the memory does not suffice.
    Cancelled
        If `cancel` was set.
    """
    import pandas as pd

    from napari_pea.core.segmenter import Segmenter

    n_planes = int(session.part.data.shape[axis])
    planes, tables, n_objects = [], [], 0
    kept = dict(session.part.plane)
    with memory_reported():
        for position in range(n_planes):
            check_cancel(cancel)
            report("Segmenting every plane …", position, n_planes)
            part = session.part.at(axis, position)
            if position == kept[axis]:
                found = session.segmenter.segment(settings, session.constraints, cancel=cancel)
            else:
                segmenter = Segmenter(
                    session.segmenter.model,
                    part.read(),
                    channel=part.channel,
                    channel_axis=part.channel_axis,
                    tile=session.origin.get("tile"),
                    halo=session.origin.get("halo"),
                )
                found = segmenter.segment(settings, cancel=cancel)
            labels = np.where(found.labels > 0, found.labels + np.uint32(n_objects), np.uint32(0))
            table = found.table.assign(label=found.table["label"] + n_objects)
            table.insert(1, "plane", position)
            planes.append(part.as_result(labels))
            tables.append(table)
            n_objects += len(table)
        report("Segmenting every plane …", n_planes, n_planes)
        place = session.part.kept_axes.index(axis)
        return StackOutcome(
            np.concatenate(planes, axis=place), pd.concat(tables, ignore_index=True)
        )


def origin_of(
    request: SegmentRequest, outcome: Outcome, image: str, path: str | None
) -> dict[str, Any]:
    """Return how an embedding was made, as plain values.

    Parameters
    ----------
    request : SegmentRequest
        What was asked for.
    outcome : Outcome
        What came of it.
    image : str
        Name of the image layer.
    path : str or None
        The file that it was read from.
    """
    model = outcome.segmenter.model
    return {
        **request.part.described(image, path),
        "model": model.name,
        "model_path": str(request.model),
        "model_hash": outcome.model_hash,
        "device": str(getattr(model, "device", request.device)),
        "tile": request.tile,
        "halo": request.halo,
    }
