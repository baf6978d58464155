"""Tables with the figures of a paper beside our own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from napari_pea.experiments.arms import write_text

#: How metrics are headed.
HEADINGS = {
    "aji": "AJI",
    "authors' aji": "AJI as the authors compute it",
    "dice": "Dice",
    "pq": "PQ",
    "ap50": "AP50",
    "sbd": "SBD",
    "dic": "\\|DiC\\|",
    "voi_split": "VOI split",
    "voi_merge": "VOI merge",
    "voi": "VOI",
    "arand": "ARAND",
    "cremi": "CREMI",
    "parameters": "parameters, M",
    "seconds": "seconds an image",
    "memory": "memory, MB",
}
#: Decimal places of those that are not shares of 1 or bits, which have four.
DIGITS = {"dic": 2, "parameters": 2, "seconds": 2, "memory": 0}


@dataclass(frozen=True)
class Line:
    """One row of a table.

    Attributes
    ----------
    title : str
        What was done.
    found : dict of str to list of float
        For each metric one value of every run.
    paper : dict of str to float
        What the paper reports.
    extra : dict of str to str
        Further cells, by their headings.
    """

    title: str
    found: Mapping[str, Sequence[float]] = field(default_factory=dict)
    paper: Mapping[str, float] = field(default_factory=dict)
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """A table, and what has to be known to read it.

    Attributes
    ----------
    title : str
        Its heading.
    notes : sequence of str
        Paragraphs above the table.
    metrics : sequence of str
        Keys of `HEADINGS` in the order of the columns; those of a second data set have its
        name and a slash in front.
    lines : sequence of Line
        The rows.
    """

    title: str
    notes: Sequence[str]
    metrics: Sequence[str]
    lines: Sequence[Line]

    def markdown(self) -> str:
        """Return the table with its notes; more than one run is told as mean ± deviation."""
        told = [name for name in self.metrics if any(name in line.paper for line in self.lines)]
        extra = list(dict.fromkeys(name for line in self.lines for name in line.extra))
        headings = [
            "",
            *(f"paper: {_heading(name)}" for name in told),
            *(_heading(name) for name in self.metrics),
            *extra,
        ]
        rows = [
            [
                line.title,
                *(_figure(name, [line.paper[name]] if name in line.paper else []) for name in told),
                *(_figure(name, line.found.get(name, ())) for name in self.metrics),
                *(line.extra.get(name, "") for name in extra),
            ]
            for line in self.lines
        ]
        table = [headings, ["---"] * len(headings), *rows]
        text = [f"## {self.title}", "", *(part for note in self.notes for part in (note, ""))]
        text += [f"| {' | '.join(cells)} |" for cells in table]
        return "\n".join(text) + "\n"

    def save(self, folder: Path, name: str) -> None:
        """Write the table as Markdown and as JSON.

        Parameters
        ----------
        folder : Path
            Where the files go.
        name : str
            Their name without suffix.
        """
        write_text(folder / f"{name}.md", self.markdown())
        write_text(folder / f"{name}.json", json.dumps(asdict(self), indent=1))


def _heading(metric: str) -> str:
    group, _, name = metric.rpartition("/")
    return f"{group} {HEADINGS[name]}".strip()


def _figure(metric: str, values: Sequence[float]) -> str:
    """Return the mean of values, with their deviation if there are several."""
    known = [value for value in values if not np.isnan(value)]
    if not known:
        return ""
    digits = DIGITS.get(metric.rpartition("/")[2], 4)
    text = f"{np.mean(known):.{digits}f}"
    if len(known) > 1:
        text += f" ± {np.std(known, ddof=1):.{digits}f}"
    return text
