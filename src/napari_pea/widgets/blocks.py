"""Images that are segmented piece by piece: what is visible first, or all in blocks on disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, check_cancel
from napari_pea.core.settings import SegmentationSettings
from napari_pea.io.lazy import full_index
from napari_pea.widgets.borrowed import BorrowedModel
from napari_pea.widgets.memory import memory_reported
from napari_pea.widgets.preview import BLOCK, LARGE
from napari_pea.widgets.sources import ImagePart, Region, level_zero, read_pixels
from napari_pea.widgets.work import (
    Outcome,
    Report,
    SegmentRequest,
    segment_again,
    segment_part,
)

if TYPE_CHECKING:
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_pea.core.predict import Embedding
    from napari_pea.volumes.job import VolumeResult
    from napari_pea.volumes.sources import ModelSource

#: What a pixel takes in memory until it has a label: embedding, a copy, and the partition.
BYTES_PER_PIXEL = 256
#: An image may take this share of the free memory.
SHARE = 0.6
#: A block is shown before an image that is larger by this factor.
FIRST = 4
#: What a part says about itself that tells it from others of its image.
_PART = ("plane", "channel", "channel_axis")
#: What helps if the memory does not suffice.
MEMORY_ADVICE = "choose smaller blocks or the device cpu"


def bytes_needed(part: ImagePart) -> int:
    """Return how much memory it takes to segment a part at once."""
    return BYTES_PER_PIXEL * int(np.prod(part.shape, dtype=np.int64))


def fits_memory(part: ImagePart) -> bool:
    """Whether a part can be segmented at once."""
    import psutil

    return bytes_needed(part) <= SHARE * int(psutil.virtual_memory().available)


def is_slow(part: ImagePart) -> bool:
    """Whether a part is a volume that a block of should be shown before all of it."""
    n_pixels = int(np.prod(part.shape, dtype=np.int64))
    return len(part.shape) == 3 and n_pixels > max(LARGE[3], FIRST * int(np.prod(BLOCK[3])))


def is_lazy(layer: Image) -> bool:
    """Whether the pixels of a layer are read when they are needed, and may be many."""
    return bool(layer.multiscale) or not isinstance(level_zero(layer), np.ndarray)


class PartArray:
    """The pixels of a part of a layer, read piece by piece.

    Parameters
    ----------
    part : ImagePart
        All of a plane or volume.

    Raises
    ------
    InputError
        If it has several channels.
    """

    def __init__(self, part: ImagePart) -> None:
        if part.has_channels:
            raise InputError(
                "Large images are segmented by one channel: choose one in place of all."
            )
        self._part = part
        self.shape = part.shape
        self.ndim = len(part.shape)
        self.dtype = np.dtype(part.data.dtype)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Read a region."""
        part = self._part
        given = full_index(index, self.ndim)
        where: list[Any] = [slice(None)] * part.ndim
        for axis, position in part.plane:
            where[axis] = position
        if part.layer_channel_axis is not None:
            where[part.layer_channel_axis] = part.channel
        for axis, piece in zip(part.plane_axes, given, strict=False):
            where[axis] = piece
        if part.rgb:
            where.append(part.channel)
        return read_pixels(part.data, tuple(where))


@dataclass(frozen=True)
class _OfBlock(BorrowedModel):
    """A model that embeds a block of a large image, whatever it is given."""

    source: ModelSource
    block: Region

    def embed(self, image: Any, *, cancel: CancelToken | None = None, **options: Any) -> Embedding:
        """Return the embedding of the block, as that of the whole image has it."""
        return self.source(self.block, cancel=cancel)


def segment_block(request: SegmentRequest, report: Report, cancel: CancelToken) -> Outcome:
    """Segment a block of a large image, with the intensities of all of it.

    A model that predicts affinities sees the block alone, and its intensities.

    Parameters
    ----------
    request : SegmentRequest
        Its part is a block.
    report, cancel
        Told and checked all the time.

    Raises
    ------
    InputError
        If image or model cannot be used, or the memory does not suffice.
    Cancelled
        If `cancel` was set.
    """
    from napari_pea.core.predictors import predicts_affinities
    from napari_pea.core.segmenter import Segmenter
    from napari_pea.models.catalogue import load_model
    from napari_pea.volumes.sources import ModelSource

    started = perf_counter()
    with memory_reported():
        report("Segmenting what you see …")
        model = load_model(request.model, request.device)
        check_cancel(cancel)
        if predicts_affinities(model):
            return segment_part(request, report, cancel)
        source = ModelSource(model, PartArray(request.part.whole))
        check_cancel(cancel)
        embedder = _OfBlock(model, source, request.part.block or ())
        return segment_again(
            Segmenter(embedder, None),
            request.part,
            request.settings,
            request.constraints,
            request.former_labels,
            request.source,
            cancel,
            started,
        )


@dataclass(frozen=True)
class BlocksRequest:
    """What to segment in blocks, and where the labels go.

    Attributes
    ----------
    part : ImagePart
        All of a plane or volume.
    name : str
        Of the image.
    model : Path
        The model file.
    device : str
        "auto" or the name of a device.
    settings : SegmentationSettings
        How to segment.
    output : Path
        An OME-Zarr to be.
    block_shape : tuple of int or None
        Sides of a block; None for the usual ones.
    workers : int
        Blocks at the same time.
    pixel_size : tuple of float
        Along each axis.
    about : dict
        What is kept with the labels about image and part, as plain values.
    allow_missing : bool
        Whether chunks that are not stored are empty on purpose.
    resume, overwrite : bool
        Whether to go on with an unfinished job, or to replace what exists.
    """

    part: ImagePart
    name: str
    model: Path
    device: str
    settings: SegmentationSettings
    output: Path
    block_shape: tuple[int, ...] | None
    workers: int
    pixel_size: tuple[float, ...]
    about: dict[str, Any]
    allow_missing: bool = False
    resume: bool = False
    overwrite: bool = False


@contextmanager
def _writing_reported(output: Path) -> Iterator[None]:
    """Turn a full disk, or a closed one, into one sentence."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{output} cannot be written to ({error.strerror or error}): make room there, or "
            "choose another place; what is done is kept."
        ) from error


def segment_in_blocks(request: BlocksRequest, report: Report, cancel: CancelToken) -> VolumeResult:
    """Segment all of an image block by block, to disk.

    Raises
    ------
    InputError
        If image, model, settings or the place of the labels cannot be used.
    Cancelled
        If `cancel` was set; the job can be resumed.
    """
    import zarr

    from napari_pea.io.lazy import check_complete
    from napari_pea.models.catalogue import load_model
    from napari_pea.volumes.arrays import segment_array
    from napari_pea.volumes.job import VolumeOptions
    from napari_pea.volumes.output import told_about

    def blocks(done: int, total: int, /) -> None:
        report("Segmenting block by block …", done, total)

    with memory_reported(MEMORY_ADVICE), _writing_reported(request.output):
        if not request.allow_missing:
            check_complete(request.part.data, repr(request.name))
        report("Loading the model …")
        model = load_model(request.model, request.device)
        check_cancel(cancel)
        result = segment_array(
            model,
            PartArray(request.part),
            request.output,
            request.settings,
            VolumeOptions(request.block_shape, workers=request.workers),
            name=request.name,
            pixel_size=request.pixel_size,
            allow_missing=request.allow_missing,
            resume=request.resume,
            overwrite=request.overwrite,
            progress=blocks,
            cancel=cancel,
        )
        attributes = zarr.open_group(result.path, mode="r+").attrs
        attributes["napari_pea"] = {**told_about(result.path), **request.about}
    return result


def check_is_of(path: Path, about: dict[str, Any]) -> None:
    """Say that labels on disk are of another image, plane or channel, if they tell.

    Parameters
    ----------
    path : Path
        What `napari_pea.volumes.output.check_is_ours` has checked.
    about : dict
        What `ImagePart.described` says about the part.

    Raises
    ------
    InputError
        If they are.
    """
    from napari_pea.volumes.output import told_about

    told = told_about(path) if path.exists() else {}
    if "plane" not in told:  # written by the command line
        return
    files = (told.get("image_path"), about["image_path"])
    same_image = told["image"] == about["image"] or (files[0] is not None and files[0] == files[1])
    if not same_image or any(told[key] != about[key] for key in _PART):
        raise InputError(
            f"{path} holds the labels of {told['image']!r}{part_text(told)}, and not of "
            f"{about['image']!r}{part_text(about)}: choose another name."
        )


def part_text(about: dict[str, Any]) -> str:
    """Return what tells a part from others of its image: ", axis 0 at 3, channel 1".

    Parameters
    ----------
    about : dict
        What `ImagePart.described` says about it.
    """
    texts = [f", axis {axis} at {position}" for axis, position in about["plane"]]
    if about["channel"] is not None:
        texts.append(f", channel {about['channel']}")
    return "".join(texts)


def labels_on_disk(path: Path, part: ImagePart, about: dict[str, Any]) -> list[Any]:
    """Return the levels of labels that a job in blocks has written, the finest first.

    Parameters
    ----------
    path : Path
        An OME-Zarr.
    part : ImagePart
        What they are of.
    about : dict
        What it says about itself.

    Raises
    ------
    InputError
        If there are none, or they are of another image.
    """
    from napari_pea.volumes.arrays import open_levels
    from napari_pea.volumes.output import check_is_ours

    check_is_ours(path)
    levels: list[Any] = list(open_levels(path))
    if levels[0].shape != part.shape:
        raise InputError(
            f"The labels in {path} measure {levels[0].shape} pixels and the image {part.shape}: "
            "they are those of another image."
        )
    check_is_of(path, about)
    return levels
