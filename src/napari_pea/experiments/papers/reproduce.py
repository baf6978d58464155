"""Making a table of the papers again, with one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.experiments.papers.adaptive import make_adaptive
from napari_pea.experiments.papers.budget import Budget
from napari_pea.experiments.papers.lsim import NAME as LSIM
from napari_pea.experiments.papers.lsim import make_lsim
from napari_pea.experiments.papers.report import Report
from napari_pea.experiments.papers.request import Maker, Request
from napari_pea.experiments.papers.speed import make_speed
from napari_pea.experiments.papers.tables import TABLES
from napari_pea.experiments.papers.trained import make_trained

#: Everything that can be made again, and what makes it.
MAKERS: dict[str, Maker] = {
    **dict.fromkeys(TABLES, make_trained),
    "7": make_adaptive,
    "speed": make_speed,
    LSIM: make_lsim,
}
NAMES = tuple(sorted(MAKERS))


def reproduce(
    name: str,
    data: Path | None,
    folder: Path,
    *,
    budget: Budget | None = None,
    seeds: int = 2,
    quick: bool = False,
    on: str | None = None,
    as_published: bool = False,
    widths: Sequence[int] = (),
    side: int | None = None,
    device: str = "auto",
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
    **changes: Any,
) -> list[Report]:
    """Train what a table of the paper needs, score it, and write the table.

    Started again on the same folder, this goes on where it stopped. Tables share their runs.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    data : Path or None
        Holds the data sets: see `benchmarks.choose`. Not needed for a quick run.
    folder : Path
        Receives the runs, and the table as Markdown and JSON, anew after each run.
    budget : Budget, optional
        The length of every run; tables that need no training need none.
    seeds : int
        How many runs everything has.
    quick : bool
        Whether made-up images and tiny networks shall do, which only shows that it runs.
    on : str, optional
        The data set to use instead of the paper's.
    as_published : bool
        Whether crops and optimiser are those of the authors, which is for long runs only.
    widths : sequence of five int, optional
        Feature channels of the networks at 1/1 to 1/16.
    side : int, optional
        Score only so many pixels along each axis, in the middle of images; in the table of LSIM,
        whose averaging of masks takes long.
    device : str
        "auto", "cuda", "mps" or "cpu".
    progress : callable
        Told what is done and what there is in all.
    cancel : CancelToken, optional
        Stops the work when set.
    **changes
        Values of `TrainingSettings` that all runs share, such as ``crop=256``.

    Returns
    -------
    list of Report
        The table; table 7 is one for each model.

    Raises
    ------
    InputError
        If there is no such table, the data are not as they should be, or the folder holds
        other runs.
    Cancelled
        If `cancel` was set.
    """
    if name not in MAKERS:
        raise InputError(f"There is no table {name!r} here: use {', '.join(NAMES)}.")
    if widths and (len(widths) != 5 or min(widths) < 1):
        raise InputError(
            "Widths are five numbers of channels, at 1/1 to 1/16 of the size, such as "
            "16,32,64,128,256."
        )
    if side is not None and (name != LSIM or side < 1):
        raise InputError(f"A side is at least one pixel, and for the table {LSIM} only.")
    request = Request(
        name,
        data,
        folder,
        budget,
        seeds,
        quick,
        on,
        as_published,
        widths,
        device,
        progress,
        cancel,
        changes,
        side,
    )
    return MAKERS[name](request)
