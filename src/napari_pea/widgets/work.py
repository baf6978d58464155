"""The long work behind the docks. Runs in another thread and knows no window."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_pea.core.errors import InputError, is_out_of_memory
from napari_pea.core.neighborhood import Offset
from napari_pea.core.predict import Embedding
from napari_pea.core.progress import CancelToken, check_cancel
from napari_pea.widgets.results import ResultLayer, fingerprint
from napari_pea.widgets.sources import ImagePart

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pea.core.segmenter import Segmentation


class Report(Protocol):
    """Takes note of the present step, of the pieces done and of the pieces in all."""

    def __call__(self, step: str, done: int = 0, total: int = 0, /) -> None:
        """Take note; callable from any thread."""


@dataclass(frozen=True)
class SegmentRequest:
    """What to segment, and what to show of it.

    Attributes
    ----------
    part : ImagePart
        The pixels.
    model : Path
        The model file.
    device : str
        "auto" or the name of a device.
    tile : int
        Side of a tile in pixels.
    with_embedding : bool
        Whether the embedding is wanted as colours.
    offsets : tuple of Offset
        The offsets whose affinities are wanted.
    former_labels : ResultLayer or None
        The layer that the labels may replace.
    """

    part: ImagePart
    model: Path
    device: str
    tile: int
    with_embedding: bool
    offsets: tuple[Offset, ...]
    former_labels: ResultLayer | None


@dataclass(frozen=True)
class SegmentOutcome:
    """A segmentation with what is shown of it.

    Attributes
    ----------
    segmentation : Segmentation
        Labels, table and settings.
    embedding : Embedding
        For affinities that are asked for later.
    device : str
        Where the network ran.
    colors : array of uint8, shape (Y, X, 3), or None
        The embedding as colours.
    affinities : dict
        Affinities of shape (Y, X) by offset.
    print_ : hashable
        Fingerprint of the labels as the layer will hold them.
    replace : bool
        Whether the data of the former labels are as they were written.
    seconds : float
        How long it took.
    """

    segmentation: Segmentation
    embedding: Embedding
    device: str
    colors: NDArray[np.uint8] | None
    affinities: dict[Offset, NDArray[np.float32]]
    print_: Hashable
    replace: bool
    seconds: float


def segment_part(request: SegmentRequest, report: Report, cancel: CancelToken) -> SegmentOutcome:
    """Segment a part of an image.

    Raises
    ------
    InputError
        If image or model cannot be used, or the memory does not suffice.
    Cancelled
        If `cancel` was set.
    """
    started = perf_counter()
    try:
        return _segment_part(request, report, cancel, started)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise InputError(
            "The memory does not suffice: choose a smaller tile size in the preferences of "
            "napari-pea, the device cpu, or a smaller image."
        ) from error


def _segment_part(
    request: SegmentRequest, report: Report, cancel: CancelToken, started: float
) -> SegmentOutcome:
    from napari_pea.core.colors import embedding_colors
    from napari_pea.core.partition import foreground_mask
    from napari_pea.core.segmenter import Segmenter
    from napari_pea.models.catalogue import load_model

    report("Reading the image …")
    image = request.part.read()
    check_cancel(cancel)
    report("Loading the model …")
    model = load_model(request.model, request.device)
    check_cancel(cancel)

    def tiles(done: int, total: int, /) -> None:
        if done < total:
            report("Looking at the image …", done, total)
        else:
            report("Finding the objects …")

    segmenter = Segmenter(
        model,
        image,
        channel=request.part.channel,
        channel_axis=request.part.channel_axis,
        tile=request.tile,
    )
    segmentation = segmenter.segment(progress=tiles, cancel=cancel)
    embedding = segmenter.embedding()
    check_cancel(cancel)
    colors = None
    if request.with_embedding:
        report("Colouring the embedding …")
        mask = foreground_mask(embedding.foreground, segmentation.settings)
        shades = embedding_colors(embedding.vectors, mask, cancel=cancel)
        colors = (shades * np.float32(255)).astype(np.uint8)
    affinities = {
        offset: affinity_of(embedding, offset, report, cancel) for offset in request.offsets
    }
    check_cancel(cancel)
    former = request.former_labels
    return SegmentOutcome(
        segmentation,
        embedding,
        str(model.device),
        colors,
        affinities,
        fingerprint(request.part.as_result(segmentation.labels)),
        former is not None and former.has_its_data(),
        perf_counter() - started,
    )


def affinity_of(
    embedding: Embedding, offset: Offset, report: Report, cancel: CancelToken
) -> NDArray[np.float32]:
    """Return the affinities under one offset, shape (*spatial).

    Raises
    ------
    Cancelled
        If `cancel` was set.
    """
    from napari_pea.core.affinity import embedding_affinities

    check_cancel(cancel)
    report("Computing affinities …")
    affinity: NDArray[np.float32] = embedding_affinities(embedding.vectors, [offset])[0]
    return affinity


def about(
    outcome: SegmentOutcome, request: SegmentRequest, image: str, path: str | None
) -> dict[str, Any]:
    """Return how a result was made, as plain values; enough to make it again.

    Parameters
    ----------
    outcome, request
        The segmentation and what was asked for.
    image : str
        Name of the image layer.
    path : str or None
        The file that it was read from.
    """
    from importlib.metadata import version

    part = request.part
    return {
        "version": version("napari-pea"),
        "image": image,
        "image_path": path,
        "plane": [list(taken) for taken in part.plane],
        "channel": part.channel,
        "channel_axis": part.channel_axis,
        "model": outcome.segmentation.model,
        "model_path": str(request.model),
        "device": outcome.device,
        "tile": request.tile,
        "settings": outcome.segmentation.settings.as_dict(),
    }
