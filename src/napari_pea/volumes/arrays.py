"""Segmenting whatever can be read piece by piece: what dock, command line and scripts call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.core.settings import SegmentationSettings
from napari_pea.io.lazy import check_complete
from napari_pea.volumes.job import VolumeOptions, VolumeResult, job_state, segment_volume
from napari_pea.volumes.output import open_levels
from napari_pea.volumes.sources import ModelSource, Taken

if TYPE_CHECKING:
    from napari_pea.models.model import Model

__all__ = ["job_state", "open_levels", "segment_array"]

#: Letters of axes that are something else than the depth of an image.
NOT_DEPTH = "TCSYX"


def segment_array(
    model: Model,
    array: Any,
    output: Path,
    settings: SegmentationSettings | None = None,
    options: VolumeOptions | None = None,
    *,
    name: str = "",
    axes: str | None = None,
    index: Sequence[int] = (),
    pixel_size: Sequence[float] | None = None,
    allow_missing: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> VolumeResult:
    """Segment an array that may be larger than memory with a model, block by block.

    Parameters
    ----------
    model : Model
        Runs on one channel.
    array : array-like
        With a shape, and returns regions when it is indexed: NumPy, Zarr, HDF5, dask, or what
        `napari_pea.io.lazy.open_image` gives.
    output : Path
        Receives the labels as OME-Zarr; its name ends with .zarr.
    settings : SegmentationSettings, optional
        How to segment; by default as the model recommends.
    options : VolumeOptions, optional
        Blocks and workers.
    name : str
        What the array is called; a job is resumed for the same name and pixels only.
    axes : str, optional
        A letter for each axis of the array, as in `napari_pea.io.reading.ImageData`.
    index : sequence of int
        Which place to take of the axes in front, such as channel or time: one for each.
    pixel_size : sequence of float, optional
        Micrometres along each axis in space; the last ones are those of the labels.
    allow_missing : bool
        Whether chunks that are not stored count as pixels of the fill value.
    resume, overwrite, progress, cancel
        See `napari_pea.volumes.job.segment_volume`.

    Returns
    -------
    VolumeResult

    Raises
    ------
    InputError
        If the image, its axes or chunks, the settings or the output cannot be used.
    Cancelled
        If `cancel` was set.
    """
    _check_axes(axes, len(index), model)
    if not allow_missing:
        check_complete(array, name)
    source = ModelSource(model, Taken(array, tuple(index)), name)
    size = tuple(pixel_size)[-model.ndim :] if pixel_size else None
    return segment_volume(
        source,
        output,
        settings or model.recommended,
        options,
        resume=resume,
        overwrite=overwrite,
        pixel_size=size if size is not None and len(size) == model.ndim else None,
        progress=progress,
        cancel=cancel,
    )


def _check_axes(axes: str | None, n_taken: int, model: Model) -> None:
    """Say which axes are too many, or in the wrong place."""
    if axes is None:
        return
    rest, wanted = axes[n_taken:], "ZYX"[-model.ndim :]
    if len(rest) > model.ndim:
        raise InputError(
            f"The image has the axes {axes} and the model {model.name!r} segments {model.ndim}D "
            f"images: give the index to take of {', '.join(rest[: -model.ndim])}."
        )
    # An axis that is not known may well be the depth.
    fits = all(
        letter in (right, "Q") or (right == "Z" and letter not in NOT_DEPTH)
        for letter, right in zip(rest, wanted, strict=False)
    )
    if len(rest) == model.ndim and not fits:
        raise InputError(
            f"The image has the axes {axes}, and the model {model.name!r} needs {wanted} at the "
            "end: change their order, or choose one channel or time point."
        )
