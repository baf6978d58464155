"""A table as a picture: what the paper shows in a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_pea.core.files import atomic_write
from napari_pea.experiments.papers.report import HEADINGS, Report

#: So many metrics are drawn, the first ones of a table.
N_DRAWN = 2


@dataclass(frozen=True)
class Panel:
    """A curve of a figure.

    Attributes
    ----------
    title : str
        What changes along the curve.
    points : tuple of (str, str)
        For each point what stands below it, and the title of its row in the table.
    """

    title: str
    points: tuple[tuple[str, str], ...]


def draw(report: Report, panels: Sequence[Panel], path: Path) -> None:
    """Draw a table as curves, one column for each panel, and write a PNG.

    Points are the means of the runs, bars their standard deviation. Rows without runs are left
    out.

    Parameters
    ----------
    report : Report
        The table.
    panels : sequence of Panel
        The curves.
    path : Path
        The picture, replaced if it is there.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    metrics = report.metrics[:N_DRAWN]
    found = {line.title: line.found for line in report.lines}
    figure = Figure(figsize=(5 * len(panels), 3 * len(metrics)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(metrics), len(panels), squeeze=False, sharey="row")
    for column, panel in enumerate(panels):
        for row, metric in enumerate(metrics):
            axes = grid[row, column]
            values = [found[title].get(metric, ()) for _, title in panel.points]
            known = [place for place, runs in enumerate(values) if len(runs)]
            axes.errorbar(
                known,
                [np.mean(values[place]) for place in known],
                [np.std(values[place], ddof=1) if len(values[place]) > 1 else 0 for place in known],
                marker="o",
                capsize=3,
            )
            axes.set_xticks(range(len(values)), [label for label, _ in panel.points])
            axes.set_xlabel(panel.title)
            if not column:
                axes.set_ylabel(HEADINGS[metric].replace("\\|", "|"))
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=100, format="png")
