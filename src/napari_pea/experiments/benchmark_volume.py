"""How long blockwise segmentation takes, what blocks cost, and how much memory it needs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from unittest.mock import patch

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.files import atomic_write
from napari_pea.core.metrics import evaluate
from napari_pea.core.partition import partition_embedding
from napari_pea.core.predict import Embedding
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments.processes import fresh_process, memory
from napari_pea.experiments.seams import share_on_faces
from napari_pea.experiments.tissue import TissueSource
from napari_pea.volumes import block as block_module
from napari_pea.volumes.grid import Region
from napari_pea.volumes.job import VolumeOptions, VolumeResult, segment_volume
from napari_pea.volumes.sources import EmbeddingSource

#: Bytes of a voxel in single precision.
VOXEL = 4
#: Length and width of the volumes; the rest is depth.
SIDE = 512
#: What is measured when nothing else is asked for, in gigabytes.
SIZES = (0.25, 4.0)
#: What a process may hold, in gigabytes.
MEMORY = 4.0
SETTINGS = SegmentationSettings(ranges=(1, 3, 9), strides=1, min_size=100)
#: Sides of the part in the middle of a volume that is compared with the truth.
CHECKED = (96, 320, 320)

Made = TypeVar("Made")


@dataclass
class Spent:
    """Time that a job has taken so far, in all processes that worked on it.

    Attributes
    ----------
    seconds, cpu : float
        By the clock, and of processors.
    embedding, partition : float
        The parts of `cpu` that went into embeddings and partitions of blocks.
    starts : int
        How many processes began or resumed the job.
    """

    seconds: float = 0.0
    cpu: float = 0.0
    embedding: float = 0.0
    partition: float = 0.0
    starts: int = 0

    @classmethod
    def kept(cls, path: Path) -> Spent:
        """Return what was written so far."""
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def keep(self, path: Path) -> None:
        """Write it to a file."""
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(asdict(self)))

    def timed(self, name: str, function: Callable[..., Made]) -> Callable[..., Made]:
        """Return a function whose processor time is added to one of the figures."""

        def called(*arguments: Any, **options: Any) -> Made:
            started = time.process_time()
            try:
                return function(*arguments, **options)
            finally:
                setattr(self, name, getattr(self, name) + time.process_time() - started)

        return called


@dataclass
class TimedSource:
    """A source that takes note of how long it embeds."""

    source: EmbeddingSource
    spent: Spent

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the volume."""
        return self.source.shape

    @property
    def identity(self) -> dict[str, Any]:
        """Of the source."""
        return self.source.identity

    def __call__(self, region: Region, *, cancel: CancelToken | None = None) -> Embedding:
        """Return the embedding of a region."""
        return self.spent.timed("embedding", self.source)(region, cancel=cancel)


def measure_volume(
    sizes: Sequence[float] = SIZES,
    *,
    block: tuple[int, int, int] = (64, 256, 256),
    limit: float | None = MEMORY,
    folder: Path | None = None,
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
    limit : float, optional
        Gigabytes that a process may ask the system for, where the system can hold it to that.
    folder : Path, optional
        Where labels and figures stay. What was stopped goes on there, and its time counts
        on; what is finished there is not measured again.
    progress : callable
        Told the steps done and in all.
    cancel : CancelToken, optional
        Checked all the time.

    Returns
    -------
    dict
        ``volumes``, a list with the result of `measure_size` for each; ``growth`` and
        ``growth_cpu``, the time and the processor time per voxel of the last one as a multiple
        of those of the first.

    Raises
    ------
    InputError
        If there is no size, one is not above 0, or the memory does not suffice.
    Cancelled
        If `cancel` was set.
    """
    if not sizes or min(sizes) <= 0:
        raise InputError("Sizes are gigabytes above 0.")
    rows = []
    for number, size in enumerate(sizes):
        with fresh_process(_measured, size, block, limit, folder, cancel=cancel) as receive:

            def step(done: int, total: int, /, before: int = number) -> None:
                progress(before * total + done, len(sizes) * total)

            rows.append(row_told(receive, step, limit, block))
    return {
        "volumes": rows,
        "growth": rows[-1]["seconds_per_voxel"] / rows[0]["seconds_per_voxel"],
        "growth_cpu": rows[-1]["cpu_per_voxel"] / rows[0]["cpu_per_voxel"],
    }


def _measured(
    send: Callable[[Any], None],
    size: float,
    block: tuple[int, int, int],
    limit: float | None,
    folder: Path | None,
) -> None:
    held = limit is not None and limit_memory(int(limit * 1e9))
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(TemporaryDirectory()))
        row = measure_size(size, block, folder, progress=lambda done, total, /: send((done, total)))
    send(row | {"limit": limit if held else None})


def row_told(
    receive: Callable[[], Any],
    progress: Progress,
    limit: float | None,
    block: tuple[int, ...],
) -> dict[str, Any]:
    """Return the figures that a process ends with, telling on the way how far it is.

    Raises
    ------
    InputError
        If it ends without, because the memory does not suffice.
    """
    try:
        while isinstance(told := receive(), tuple):
            progress(*told)
    except EOFError as error:
        raise InputError(
            f"{limit} GB of memory do not suffice for blocks of {block} voxels: choose smaller "
            "ones."
        ) from error
    row: dict[str, Any] = told
    return row


def limit_memory(n_bytes: int) -> bool:
    """Let this process fail where it asks for more memory than this; return whether that is set.

    What counts is all that it may write to and that no file stands behind, used or not.
    """
    if not sys.platform.startswith("linux"):
        return False
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (n_bytes, n_bytes))
    return True


def measure_size(
    size: float,
    block: tuple[int, int, int],
    folder: Path,
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
    folder : Path
        Receives labels and figures.

    Returns
    -------
    dict
        See `measure_job`; and for a part in the middle ``arand`` against the truth, and
        ``faces``, see `napari_pea.experiments.seams.share_on_faces`.
    """
    depth = max(1, round(size * 1e9 / VOXEL / SIDE**2))
    tissue = TissueSource((depth, SIDE, SIDE))
    # Compiles kernels and loads libraries; no block is embedded twice.
    small = TissueSource((16, 48, 48))
    with TemporaryDirectory() as elsewhere:
        segment_volume(small, Path(elsewhere) / "small.zarr", SETTINGS, VolumeOptions((16, 24, 48)))
    row, result = measure_job(
        tissue,
        folder / f"tissue-{size:g}.zarr",
        SETTINGS,
        VolumeOptions(block),
        progress=progress,
        cancel=cancel,
    )
    middle = tuple(
        slice(max(0, length // 2 - side // 2), min(length, length // 2 + side // 2))
        for length, side in zip(tissue.shape, CHECKED, strict=True)
    )
    labels = np.asarray(result.levels()[0][middle])
    return row | {
        "arand": evaluate(labels, tissue.truth(middle), ["arand"])["arand"],
        "faces": share_on_faces(labels, block, [part.start for part in middle]),
    }


def measure_job(
    source: EmbeddingSource,
    output: Path,
    settings: SegmentationSettings,
    options: VolumeOptions,
    *,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> tuple[dict[str, Any], VolumeResult]:
    """Segment a volume with one worker, or go on with it, and take the time.

    Parameters
    ----------
    source, output, settings, options, progress, cancel
        See `napari_pea.volumes.job.segment_volume`. A file beside the output keeps the time.

    Returns
    -------
    figures : dict
        ``shape``, ``gigabytes``, ``objects``, ``blocks``, ``starts``, ``seconds``, ``cpu``,
        ``seconds_per_voxel``, ``cpu_per_voxel``; ``overhead``, all processor time as a multiple
        of that of embeddings and partitions of the blocks; ``bytes``, the memory at the peak of
        the whole process, None where it cannot be told.
    result : VolumeResult
        The labels.
    """
    times, finished = output.with_suffix(".spent.json"), output.with_suffix(".json")
    if finished.exists() and output.exists():
        row = json.loads(finished.read_text())
        return row, VolumeResult(output, row["objects"], row["blocks"])
    spent = Spent.kept(times)
    spent.starts += 1
    with _clock(spent, times) as lap:

        def on_progress(done: int, total: int, /) -> None:
            lap()
            progress(done, total)

        with patch.object(
            block_module, "partition_embedding", spent.timed("partition", partition_embedding)
        ):
            result = segment_volume(
                TimedSource(source, spent),
                output,
                settings,
                options,
                resume=True,
                progress=on_progress,
                cancel=cancel,
            )
    n_voxels = int(np.prod(source.shape))
    row = {
        "shape": list(source.shape),
        "gigabytes": n_voxels * VOXEL / 1e9,
        "objects": result.n_objects,
        "blocks": result.n_blocks,
        "starts": spent.starts,
        "seconds": spent.seconds,
        "cpu": spent.cpu,
        "seconds_per_voxel": spent.seconds / n_voxels,
        "cpu_per_voxel": spent.cpu / n_voxels,
        "overhead": spent.cpu / (spent.embedding + spent.partition),
        "bytes": memory("VmHWM"),
    }
    finished.write_text(json.dumps(row))
    return row, result


@contextmanager
def _clock(spent: Spent, path: Path) -> Iterator[Callable[[], None]]:
    """Add time to what was spent whenever the function that it gives is called, and at the end."""
    at = time.perf_counter(), time.process_time()

    def lap() -> None:
        nonlocal at
        now = time.perf_counter(), time.process_time()
        spent.seconds += now[0] - at[0]
        spent.cpu += now[1] - at[1]
        at = now
        spent.keep(path)

    try:
        yield lap
    finally:
        lap()
