"""Killing a blockwise job at random moments: it goes on to the same labels."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments.processes import killed
from napari_pea.experiments.tissue import TissueSource
from napari_pea.volumes.job import VolumeOptions, VolumeResult, job_state, segment_volume

TISSUE = TissueSource((64, 128, 128))
BLOCK = (16, 64, 64)
SETTINGS = SegmentationSettings(ranges=(1, 3, 9), strides=1, min_size=100)


def measure_volume_kills(
    folder: Path,
    kills: int = 5,
    *,
    tissue: TissueSource = TISSUE,
    block: tuple[int, ...] = BLOCK,
    seed: int = 0,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Kill a job (SIGKILL) again and again, and compare its labels with those of a straight one.

    Each process is killed at a random moment of the time that the straight job took. One that
    was quicker ends; its labels are compared, and a new job begins.

    Parameters
    ----------
    folder : Path
        An empty folder.
    kills : int
        How often a process is killed.
    tissue : TissueSource
        What is segmented.
    block : tuple of int
        Sides of the blocks.
    seed : int
        Of the moments.
    progress : callable
        Told the kills done and in all.
    cancel : CancelToken, optional
        Checked between kills.

    Returns
    -------
    dict
        ``kills``; ``kept``, the blocks that were found finished after each; ``blocks``, all of
        them; ``compared``, how many results were compared, all of them identical.

    Raises
    ------
    InputError
        If a job does not go on, or its labels differ.
    """
    straight = _segment(tissue, folder / "warm.zarr", block)  # compiles kernels
    started = time.perf_counter()
    straight = _segment(tissue, folder / "straight.zarr", block)
    longest = time.perf_counter() - started
    expected = np.asarray(straight.levels()[0])
    draw = random.Random(seed)  # noqa: S311 - moments, not secrets
    output = folder / "killed.zarr"
    kept: list[int] = []
    compared = 0
    while len(kept) < kills:
        progress(len(kept), kills)
        check_cancel(cancel)
        if killed(_segment_in_child, tissue, output, block, after=draw.uniform(0, longest)):
            kept.append(len(list(folder.glob(".killed.parts/block-*.npz"))))
            if job_state(output) == "finished":  # it was about to end
                shutil.rmtree(output)
            continue
        compared += _compared(output, expected)
        shutil.rmtree(output)
    _segment(tissue, output, block)
    compared += _compared(output, expected)
    progress(kills, kills)
    return {"kills": kills, "kept": kept, "blocks": straight.n_blocks, "compared": compared}


def _compared(output: Path, expected: Any) -> int:
    """Count a result, if it is the right one."""
    found = VolumeResult(output, 0, 0).levels()[0]
    if not np.array_equal(np.asarray(found), expected):
        raise InputError("A job that was killed and resumed has led to other labels.")
    return 1


def _segment_in_child(
    begun: Callable[[], None], tissue: TissueSource, output: Path, block: tuple[int, ...]
) -> None:
    begun()
    _segment(tissue, output, block)


def _segment(tissue: TissueSource, output: Path, block: tuple[int, ...]) -> VolumeResult:
    return segment_volume(tissue, output, SETTINGS, VolumeOptions(block), resume=True)
