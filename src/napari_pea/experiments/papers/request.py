"""What a table is asked for with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.experiments.papers.budget import Budget
from napari_pea.experiments.papers.report import Report


@dataclass(frozen=True)
class Request:
    """What a table is asked for with.

    Attributes
    ----------
    name : str
        Of the table.
    data : Path or None
        Holds the data sets.
    folder : Path
        Receives runs and tables.
    budget : Budget or None
        The length of every run.
    seeds : int
        How many runs everything has.
    quick : bool
        Whether made-up images and tiny networks shall do.
    on : str or None
        The data set to use instead of the paper's.
    as_published : bool
        Whether crops and optimiser are those of the authors.
    widths : tuple of int
        Feature channels of the U-Nets at 1/1 to 1/16; empty for those of the data set.
    device : str
        "auto", "cuda", "mps" or "cpu".
    progress : callable
        Told what is done and what there is in all.
    cancel : CancelToken or None
        Stops the work when set.
    changes : mapping
        Values of `TrainingSettings` that all runs share.
    side : int or None
        Score only so many pixels along each axis, in the middle of images.
    """

    name: str
    data: Path | None
    folder: Path
    budget: Budget | None = None
    seeds: int = 2
    quick: bool = False
    on: str | None = None
    as_published: bool = False
    widths: Sequence[int] = ()
    device: str = "auto"
    progress: Progress = ignore_progress
    cancel: CancelToken | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    side: int | None = None

    def data_folder(self) -> Path | None:
        """Return the folder of the data, or None for a quick run.

        Raises
        ------
        InputError
            If there is no folder and the run is not a quick one.
        """
        if self.quick:
            return None
        if self.data is None:
            raise InputError(
                "Name the folder of the data, or ask for a quick run on made-up images."
            )
        return self.data


#: Makes one or more tables and writes them into the folder of the request.
Maker: TypeAlias = Callable[[Request], list[Report]]
