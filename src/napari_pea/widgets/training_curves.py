"""The curves of a run: its loss, and how well it finds what was held out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

if TYPE_CHECKING:
    from qtpy.QtGui import QPaintEvent

#: The scores that are drawn, what the user calls them, and their colours.
SCORES = {"aji": ("AJI", "#4daf4a"), "ap50": ("AP50", "#ff9f40")}
LOSS_COLOR = "#5b9bd5"
#: The losses of a run are averaged to at most so many points: single ones jump about.
MOST_POINTS = 100


class TrainingCurves(QWidget):
    """Two small plots over the iterations: the loss, and the validation scores."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("training_curves")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(11 * self.fontMetrics().lineSpacing())
        self.setToolTip(
            "Above, the loss: it falls while the model learns. Below, how well the model finds "
            "the objects that are held out, from 0 to 1."
        )
        self.clear()

    def clear(self) -> None:
        """Begin with empty plots."""
        self.iterations = 1
        self.losses: list[tuple[float, float]] = []
        self.scores: dict[str, list[tuple[float, float]]] = {name: [] for name in SCORES}
        self.update()

    def set_length(self, iterations: int) -> None:
        """Set how many iterations the run has in all."""
        self.iterations = max(1, iterations)

    def add(
        self, losses: Iterable[tuple[int, float]], rows: Sequence[Mapping[str, float]] = ()
    ) -> None:
        """Add what was measured.

        Parameters
        ----------
        losses : iterable of (int, float)
            Iterations and their losses.
        rows : sequence of mapping
            Rows of the log, of which the scores are taken. Of a run that goes on the loss is
            taken too, as far as it was not told one by one.
        """
        last = self.losses[-1][0] if self.losses else 0
        for row in rows:
            if "loss" in row and row["iteration"] > last and not losses:
                self.losses.append((row["iteration"], row["loss"]))
            for name, points in self.scores.items():
                if name in row:
                    points.append((row["iteration"], row[name]))
        self.losses.extend((float(iteration), loss) for iteration, loss in losses)
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Draw both plots."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = self.fontMetrics().lineSpacing()
        half = self.height() / 2
        points = _averaged(self.losses)
        text = f"loss {points[-1, 1]:.3g}" if len(points) else "loss"
        top = self._frame(painter, QRectF(0, 0, self.width(), half), [(text, LOSS_COLOR)], line)
        if len(points):
            logarithms = np.log10(np.clip(points[:, 1], 1e-6, None))
            low, high = float(logarithms.min()), float(logarithms.max())
            level = (logarithms - low) / max(high - low, 1e-3)
            self._curve(painter, top, points[:, 0], level, LOSS_COLOR)
        titles = [
            (f"{text} {self.scores[name][-1][1]:.2f}" if self.scores[name] else text, color)
            for name, (text, color) in SCORES.items()
        ]
        bottom = self._frame(painter, QRectF(0, half, self.width(), half), titles, line)
        for name, (_, color) in SCORES.items():
            if self.scores[name]:
                at, level = np.array(self.scores[name]).T
                self._curve(painter, bottom, at, level, color, dots=True)
        painter.end()

    def _frame(
        self, painter: QPainter, place: QRectF, titles: Sequence[tuple[str, str]], line: int
    ) -> QRectF:
        """Draw the title and the frame of a plot; return where its curves go."""
        left = place.left()
        for text, color in titles:
            painter.setPen(QColor(color))
            painter.drawText(QPointF(left, place.top() + 0.8 * line), text)
            left += painter.fontMetrics().horizontalAdvance(text + "   ")
        inner = place.adjusted(0, line, -1, -4)
        faint = self.palette().color(QPalette.ColorRole.WindowText)
        faint.setAlpha(70)
        painter.setPen(faint)
        painter.drawRect(inner)
        return inner.adjusted(3, 3, -3, -3)

    def _curve(
        self,
        painter: QPainter,
        place: QRectF,
        iterations: NDArray[np.float64],
        level: NDArray[np.float64],
        color: str,
        *,
        dots: bool = False,
    ) -> None:
        """Draw a curve of levels between 0 and 1."""
        x = place.left() + place.width() * iterations / self.iterations
        y = place.bottom() - place.height() * np.clip(level, 0, 1)
        points = [QPointF(float(a), float(b)) for a, b in zip(x, y, strict=True)]
        painter.setPen(QPen(QColor(color), 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(points))
        if dots or len(points) == 1:
            painter.setBrush(QColor(color))
            for point in points:
                painter.drawEllipse(point, 1.5, 1.5)


def _averaged(points: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """Return the means of runs of points, shape (N, 2), with N at most `MOST_POINTS`."""
    values = np.array(points, dtype=float).reshape(-1, 2)
    size = -(-len(values) // MOST_POINTS)
    if size < 2:
        return values
    starts = np.arange(0, len(values), size)
    counts = np.diff(np.append(starts, len(values)))
    means: NDArray[np.float64] = np.add.reduceat(values, starts) / counts[:, None]
    return means
