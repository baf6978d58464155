"""What a second worker brings."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments.tissue import TissueSource
from napari_pea.volumes.job import VolumeOptions, segment_volume

TISSUE = TissueSource((128, 256, 256))
BLOCK = (32, 128, 128)
SETTINGS = SegmentationSettings(ranges=(1, 3, 9), strides=1, min_size=100)
SMALL = TissueSource((16, 48, 48))


def measure_workers(
    *,
    repeats: int = 2,
    tissue: TissueSource = TISSUE,
    block: tuple[int, ...] = BLOCK,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Segment made-up tissue with one and with two processes of a cluster on this machine.

    Each has one thread, and one for PyTorch and numba.

    Parameters
    ----------
    repeats : int
        How often each is timed, in turns; the shortest counts.
    tissue : TissueSource
        What is segmented.
    block : tuple of int
        Sides of the blocks.
    progress : callable
        Told the steps done and in all.
    cancel : CancelToken, optional
        Checked between blocks.

    Returns
    -------
    dict
        ``seconds``, a list for one worker and one for two; ``factor``, by how much two are
        faster; ``blocks``.

    Raises
    ------
    InputError
        If `dask.distributed` is missing.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError(
            'A cluster needs dask.distributed: pip install "napari-pea[cluster]".'
        ) from error
    seconds: dict[int, list[float]] = {1: [], 2: []}
    n_blocks = 0
    for step in range(2 * repeats):
        progress(step, 2 * repeats)
        workers = 1 + step % 2
        with (
            LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None
            ) as cluster,
            Client(cluster) as client,
            TemporaryDirectory() as folder,
        ):
            client.run(_warm)
            started = time.perf_counter()
            n_blocks = segment_volume(
                tissue,
                Path(folder) / "tissue.zarr",
                SETTINGS,
                VolumeOptions(block, scheduler=client),
                cancel=cancel,
            ).n_blocks
            seconds[workers].append(time.perf_counter() - started)
    progress(2 * repeats, 2 * repeats)
    return {
        "seconds": [seconds[1], seconds[2]],
        "factor": min(seconds[1]) / min(seconds[2]),
        "blocks": n_blocks,
    }


def _warm() -> None:
    """Load libraries and compiled kernels."""
    with TemporaryDirectory() as folder:
        segment_volume(SMALL, Path(folder) / "small.zarr", SETTINGS, VolumeOptions((8, 48, 48)))
