"""How long blockwise segmentation takes, what blocks cost, and how much memory it needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.partition import partition_embedding
from napari_pea.core.predict import Embedding
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments.processes import fresh_process, memory
from napari_pea.experiments.tissue import TissueSource
from napari_pea.volumes.grid import Region
from napari_pea.volumes.job import VolumeOptions, segment_volume

#: Bytes of a voxel in single precision.
VOXEL = 4
#: Length and width of the volumes; the rest is depth.
SIDE = 512
#: What is measured when nothing else is asked for, in gigabytes.
SIZES = (0.25, 4.0)
SETTINGS = SegmentationSettings(ranges=(1, 3, 9), strides=1, min_size=100)


@dataclass
class TimedTissue:
    """Tissue that knows how long it was embedded."""

    tissue: TissueSource
    seconds: float = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the volume."""
        return self.tissue.shape

    @property
    def identity(self) -> dict[str, Any]:
        """Of the tissue."""
        return self.tissue.identity

    def __call__(self, region: Region, *, cancel: CancelToken | None = None) -> Embedding:
        """Return the embedding of a region."""
        started = time.perf_counter()
        embedding = self.tissue(region, cancel=cancel)
        self.seconds += time.perf_counter() - started
        return embedding


def measure_volume(
    sizes: Sequence[float] = SIZES,
    *,
    block: tuple[int, int, int] = (64, 256, 256),
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Segment made-up tissue of growing size, each volume in a process of its own.

    Parameters
    ----------
    sizes : sequence of float
        Gigabytes of the raw volume in single precision, smallest first.
    block : tuple of int
        Sides of the blocks in voxels.
    progress : callable
        Told the steps done and in all.
    cancel : CancelToken, optional
        Checked all the time.

    Returns
    -------
    dict
        ``volumes``, a list with the result of `measure_size` for each; ``growth``, the time
        per voxel of the last one as a multiple of that of the first.

    Raises
    ------
    InputError
        If there is no size, or one is not above 0.
    Cancelled
        If `cancel` was set.
    """
    if not sizes or min(sizes) <= 0:
        raise InputError("Sizes are gigabytes above 0.")
    rows = []
    for number, size in enumerate(sizes):
        with fresh_process(_measured, size, block, cancel=cancel) as receive:
            while isinstance(told := receive(), tuple):
                done, total = told
                progress(number * total + done, len(sizes) * total)
        rows.append(told)
    growth = rows[-1]["seconds_per_voxel"] / rows[0]["seconds_per_voxel"]
    return {"volumes": rows, "growth": growth}


def _measured(send: Callable[[Any], None], size: float, block: tuple[int, int, int]) -> None:
    send(measure_size(size, block, progress=lambda done, total, /: send((done, total))))


def measure_size(
    size: float,
    block: tuple[int, int, int],
    *,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Segment one volume of tissue.

    Parameters
    ----------
    size : float
        Gigabytes in single precision.
    block, progress, cancel
        See `measure_volume`.

    Returns
    -------
    dict
        ``shape``, ``gigabytes``, ``objects``, ``blocks``, ``seconds``, ``seconds_per_voxel``;
        ``overhead``, the total time as a multiple of embedding and partition alone, which
        is measured on one block afterwards; ``bytes``, the memory at the peak of the whole
        process, None where it cannot be told.
    """
    depth = max(1, round(size * 1e9 / VOXEL / SIDE**2))
    source = TimedTissue(TissueSource((depth, SIDE, SIDE)))
    options = VolumeOptions(block)
    grid = options.grid(source.shape, SETTINGS)
    example = list(grid)[len(grid) // 2]
    cut = _partition_seconds(source, example.outer)  # compiled, and its libraries loaded
    source.seconds = 0.0
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        result = segment_volume(
            source,
            Path(folder) / "tissue.zarr",
            SETTINGS,
            options,
            progress=progress,
            cancel=cancel,
        )
        seconds = time.perf_counter() - started
    embedded = source.seconds
    cut = _partition_seconds(source, example.outer)
    check_cancel(cancel)
    outer = sum(_size(piece.outer) for piece in grid)
    alone = embedded + cut / _size(example.outer) * outer
    n_voxels = int(np.prod(source.shape))
    return {
        "shape": list(source.shape),
        "gigabytes": n_voxels * VOXEL / 1e9,
        "objects": result.n_objects,
        "blocks": result.n_blocks,
        "seconds": seconds,
        "seconds_per_voxel": seconds / n_voxels,
        "overhead": seconds / alone,
        "bytes": memory("VmHWM"),
    }


def _partition_seconds(source: TimedTissue, region: Region) -> float:
    """Return how long the partition of a region takes."""
    vectors = source(region).vectors
    started = time.perf_counter()
    partition_embedding(vectors, SETTINGS.neighborhood(3), SETTINGS, None)
    return time.perf_counter() - started


def _size(region: Region) -> int:
    return int(np.prod([part.stop - part.start for part in region]))
