"""A model on a volume of any size, made of one image that is mirrored again and again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.experiments.benchmark_volume import (
    MEMORY,
    SIDE,
    VOXEL,
    limit_memory,
    measure_job,
    row_told,
)
from napari_pea.experiments.datasets import flyem, read_volume
from napari_pea.experiments.processes import fresh_process
from napari_pea.models.catalogue import load_model
from napari_pea.volumes.job import VolumeOptions
from napari_pea.volumes.sources import ModelSource


@dataclass(frozen=True, eq=False)
class Mirrored:
    """An image that goes on beyond its sides as if there were mirrors.

    Attributes
    ----------
    image : array, shape (*spatial)
        The image.
    shape : tuple of int
        Of what it becomes.
    """

    image: NDArray[Any]
    shape: tuple[int, ...]

    def __getitem__(self, region: Any) -> NDArray[Any]:
        """Return a region."""
        if region is Ellipsis:
            region = (slice(None),) * len(self.shape)
        places = []
        for part, size, length in zip(region, self.shape, self.image.shape, strict=True):
            at = np.arange(size)[part] % (2 * length)
            places.append(np.minimum(at, 2 * length - 1 - at))
        return self.image[np.ix_(*places)]


def measure_model(
    model: str,
    data: Path,
    *,
    size: float = 0.25,
    block: tuple[int, ...] = (64, 256, 256),
    limit: float | None = MEMORY,
    folder: Path | None = None,
    device: str = "cpu",
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Segment a volume of mirrored neurons with a model, in a process of its own.

    Parameters
    ----------
    model : str
        A name or a file; for volumes.
    data : Path
        Holds the folder flyem.
    size : float
        Gigabytes of the volume in single precision.
    block, limit, folder, progress, cancel
        See `napari_pea.experiments.benchmark_volume.measure_volume`.
    device : str
        Where the model runs.

    Returns
    -------
    dict
        See `napari_pea.experiments.benchmark_volume.measure_job`.

    Raises
    ------
    InputError
        If model or data cannot be read, or the memory does not suffice.
    Cancelled
        If `cancel` was set.
    """
    image, _ = read_volume(flyem(data / "flyem", "validation"))
    load_model(model, device)  # says now what would be wrong
    given = (model, image, size, block, limit, folder, device)
    with fresh_process(_measured, *given, cancel=cancel) as receive:
        return row_told(receive, progress, limit, block)


def _measured(
    send: Callable[[Any], None],
    model: str,
    image: NDArray[Any],
    size: float,
    block: tuple[int, ...],
    limit: float | None,
    folder: Path | None,
    device: str,
) -> None:
    loaded = load_model(model, device)
    if limit is not None:
        limit_memory(int(limit * 1e9))
    depth = max(1, round(size * 1e9 / VOXEL / SIDE**2))
    source = ModelSource(loaded, Mirrored(image, (depth, SIDE, SIDE)), "mirrored neurons")
    with TemporaryDirectory() as elsewhere:
        row, _ = measure_job(
            source,
            (folder or Path(elsewhere)) / f"model-{size:g}.zarr",
            loaded.recommended,
            VolumeOptions(block),
            progress=lambda done, total, /: send((done, total)),
        )
    send(row)
