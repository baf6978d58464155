"""The record of a run: rows of numbers, as CSV and as a picture."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path

from napari_pea.core.files import atomic_write
from napari_pea.training.validation import DECISIVE_SCORE, SCORE_ERROR, SCORES

Row = dict[str, float]


@dataclass
class History:
    """What was measured during a training run.

    Attributes
    ----------
    rows : list of dict
        One row for each logged iteration: "iteration", "learning_rate", the terms of the
        loss, and, where the model was validated, "validation_loss" and its scores.
    """

    rows: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Append a row; it must have "iteration"."""
        self.rows.append(row)

    def column(self, name: str) -> tuple[list[float], list[float]]:
        """Return the iterations at which `name` was measured, and its values."""
        measured = [row for row in self.rows if name in row]
        return [row["iteration"] for row in measured], [row[name] for row in measured]

    @property
    def names(self) -> list[str]:
        """Every column, in order of first appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    @property
    def start_score(self) -> float | None:
        """The decisive score before the first iteration, if it was measured."""
        first = self.rows[0] if self.rows else {}
        return first.get(DECISIVE_SCORE) if first.get("iteration") == 0 else None

    @property
    def score_to_beat(self) -> float:
        """What a later version must score to be kept: the highest score less its standard error.

        The longer the training, the better a network does what it is trained for; a few
        objects, painted with ragged edges, tell that less surely. So the later one is kept
        unless it scores clearly worse.
        """
        trained = [row for row in self.rows if DECISIVE_SCORE in row and row["iteration"] > 0]
        if not trained:
            return -math.inf
        best = max(trained, key=lambda row: row[DECISIVE_SCORE])
        return best[DECISIVE_SCORE] - best.get(SCORE_ERROR, 0.0)

    def save_csv(self, path: Path) -> None:
        """Write all rows to a CSV file; what was not measured stays empty."""
        with atomic_write(path) as temporary, temporary.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, self.names)
            writer.writeheader()
            for row in self.rows:
                writer.writerow({name: f"{value:.6g}" for name, value in row.items()})

    def save_picture(self, path: Path) -> None:
        """Draw the losses, and the validation scores beside them, as a PNG."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 4), layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2)
        for name in self.names:
            iterations, values = self.column(name)
            if name == "loss" or name.endswith("_loss"):
                left.plot(iterations, values, label=name.replace("_", " "), linewidth=1)
            elif name in SCORES or name.split("/")[-1] == DECISIVE_SCORE:
                right.plot(iterations, values, marker=".", label=name)
        left.set(xlabel="iteration", ylabel="loss", yscale="log")
        right.set(xlabel="iteration", ylabel="validation score")
        for axes in (left, right):
            if axes.has_data():
                axes.legend(frameon=False)
        with atomic_write(path) as temporary:
            figure.savefig(temporary, dpi=100, format="png")
