"""Comparing the objects with the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from qtpy.compat import isalive
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QWidget

from napari_pea.core.errors import InputError
from napari_pea.core.metrics import evaluate
from napari_pea.core.progress import CancelToken, check_cancel
from napari_pea.core.quality import matched
from napari_pea.widgets.controls import WideCombo
from napari_pea.widgets.jobs import Job
from napari_pea.widgets.live import Live
from napari_pea.widgets.results import Kind, is_result
from napari_pea.widgets.sessions import LiveSession
from napari_pea.widgets.state import SegmentState
from napari_pea.widgets.views import View
from napari_pea.widgets.work import Report

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari.layers import Labels
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from napari_pea.widgets.sources import ImagePart

ERRORS: Kind = ("errors", None)
#: Values and colours of the picture of errors: none, wrong objects, missed true objects.
NONE, WRONG, MISSED = 0, 1, 2
COLORS = ((0.0, 0.0, 0.0, 0.0), (1.0, 0.1, 0.1, 1.0), (1.0, 0.85, 0.0, 1.0))
SCORES = ("aji", "pq", "ap50", "n_true", "n_labels")
#: Paint on the truth counts when it has been still for so long, in milliseconds.
STILL_MS = 300
_NONE_CHOSEN = "none"


def truth_plane(data: Any, part: ImagePart, name: str) -> NDArray[Any]:
    """Return the plane or volume of a truth that belongs to a part of an image.

    Parameters
    ----------
    data : array-like
        Of the truth layer: the plane or volume alone, or all of the image.
    part : ImagePart
        The part.
    name : str
        Of the layer, for messages.

    Raises
    ------
    InputError
        If it has another shape.
    """
    plane: dict[int, Any] = dict(part.plane)
    if part.block is not None:
        plane |= dict(zip(part.plane_axes, part.block, strict=True))
    whole = tuple(int(part.data.shape[axis]) for axis in part.kept_axes)
    shape = tuple(int(size) for size in data.shape)
    if shape == part.shape:
        return np.asarray(data)
    if shape == whole:
        index = tuple(plane.get(axis, slice(None)) for axis in part.kept_axes)
        return np.asarray(data[index])
    if tuple(size for size in shape if size != 1) == part.shape:
        return np.asarray(data).reshape(part.shape)
    raise InputError(
        f"The truth {name!r} has shape {shape}, but the image {part.shape}: choose labels of "
        "the same image."
    )


def error_map(labels: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.uint8]:
    """Return where objects are wrong, and where true objects were missed.

    Parameters
    ----------
    labels, truth : array of int, shape (Y, X)
        Object ids; 0 is background.

    Returns
    -------
    array of uint8, shape (Y, X)
        `WRONG` on objects that match no true object (IoU above 0.5), `MISSED` on true
        objects that none matches, where there is no wrong one; else `NONE`.
    """
    wrong = (labels > 0) & ~matched(labels, truth)[labels]
    missed = (truth > 0) & ~matched(truth, labels)[truth]
    return np.where(wrong, WRONG, np.where(missed, MISSED, NONE)).astype(np.uint8)


class TruthGroup(QWidget):
    """Scores of the objects against a labels layer, and where they are wrong.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer itself, not a proxy of it.
    state : SegmentState
        The state of the viewer.
    live : Live
        Shows the results.
    """

    def __init__(self, viewer: Viewer, state: SegmentState, live: Live) -> None:
        super().__init__()
        self._layers = viewer.layers
        self._state = state
        self._live = live
        self._listed: list[Labels] = []
        self._truth: ref[Labels] | None = None
        self._changes = 0
        self._still = QTimer(self)
        self._still.setSingleShot(True)
        self._still.setInterval(STILL_MS)
        self._still.timeout.connect(self._compare)

        self.truth_combo = WideCombo(
            "truth_combo", "A labels layer with the true objects of the image.", self
        )
        self.errors_check = QCheckBox("Highlight errors", self)
        self.errors_check.setObjectName("errors_check")
        self.errors_check.setToolTip(
            "A layer that shows objects in red that match no true object, and true objects in "
            "yellow that were missed. Two objects match if their IoU is above 0.5."
        )
        self.truth_label = QLabel(self)
        self.truth_label.setObjectName("truth_label")
        self.truth_label.setWordWrap(True)
        layout = QGridLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(QLabel("Truth", self), 0, 0)
        layout.addWidget(self.truth_combo, 0, 1)
        layout.addWidget(self.errors_check, 1, 0, 1, 2, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self.truth_label, 2, 0, 1, 2)
        layout.setColumnStretch(1, 1)
        self._view = View(
            ERRORS,
            "{image} errors",
            self._errors,
            {
                "contrast_limits": (0, len(COLORS) - 1),
                "colormap": _colormap(),
                "interpolation2d": "nearest",
                "opacity": 0.6,
            },
            self._key,
            on_top=True,
        )
        for event in ("inserted", "removed", "renamed"):
            getattr(self._layers.events, event).connect(self._refresh)
        self._refresh()
        self.truth_combo.currentIndexChanged.connect(self._on_truth_chosen)
        self.errors_check.toggled.connect(self._on_errors_toggled)
        live.session_changed.connect(self._on_session_changed)
        live.follow(self._scores_job)

    def truth(self) -> Labels | None:
        """Return the layer of the true objects."""
        layer = None if self._truth is None else self._truth()
        return layer if layer is not None and layer in self._layers else None

    def _refresh(self, _: object = None) -> None:
        """List the labels layers that may be the truth."""
        from napari.layers import Labels

        if not isalive(self):
            return
        chosen = self.truth()
        self._listed = [
            layer for layer in self._layers if isinstance(layer, Labels) and not is_result(layer)
        ]
        blocked = self.truth_combo.blockSignals(True)
        self.truth_combo.clear()
        self.truth_combo.addItems([_NONE_CHOSEN, *(layer.name for layer in self._listed)])
        places = [n for n, layer in enumerate(self._listed, 1) if layer is chosen]
        self.truth_combo.setCurrentIndex(places[0] if places else 0)
        self.truth_combo.blockSignals(blocked)
        if chosen is None and self._truth is not None:
            self._on_truth_chosen()

    def _on_truth_chosen(self, _: object = None) -> None:
        index = self.truth_combo.currentIndex() - 1
        self._listen_to(self._listed[index] if 0 <= index < len(self._listed) else None)
        self._compare()

    def _listen_to(self, layer: Labels | None) -> None:
        """Follow what is painted on the truth."""
        before = None if self._truth is None else self._truth()
        if before is not None:
            before.events.paint.disconnect(self._on_painted)
            before.events.data.disconnect(self._on_painted)
        self._truth = None if layer is None else ref(layer)
        if layer is not None:
            layer.events.paint.connect(self._on_painted)
            layer.events.data.connect(self._on_painted)

    def _on_painted(self, _: object = None) -> None:
        if isalive(self):
            self._still.start()

    def _on_session_changed(self, session: LiveSession | None) -> None:
        if isalive(self) and session is None:
            self.truth_label.setText("")

    def _on_errors_toggled(self, on: bool) -> None:
        if on and self.truth() is not None:
            self._live.views.show(self._view)
            self._compare()
        else:
            self._live.views.hide(ERRORS)

    def _compare(self) -> None:
        """Score the present objects, in the background."""
        self._changes += 1
        if self.truth() is None:
            self.truth_label.setText("")
            self._live.views.hide(ERRORS)
            return
        if self.errors_check.isChecked():
            self._live.views.show(self._view)
        session = self._live.session
        if session is not None and session.result is not None:
            self._live.follow_now(session, self._scores_job, self._live.views.job)

    def _scores_job(self, session: LiveSession) -> Job | None:
        """Return the job that scores the objects of a session."""
        truth, result, part = self.truth(), session.result, session.part
        if not isalive(self) or truth is None or result is None:
            return None
        data, name = truth.data, truth.name

        def work(report: Report, cancel: CancelToken) -> dict[str, float] | str:
            report("Comparing with the truth …")
            try:
                plane = truth_plane(data, part, name)
                check_cancel(cancel)
                return evaluate(result.labels, plane, SCORES)
            except InputError as error:
                return str(error)

        def deliver(scores: dict[str, float] | str) -> str:
            if isalive(self) and session.result is result and self.truth() is truth:
                self.truth_label.setText(scores if isinstance(scores, str) else _sentence(scores))
            return ""

        return Job("Comparing with the truth", work, deliver, quiet=True)

    def _errors(
        self, session: LiveSession, report: Report, cancel: CancelToken
    ) -> NDArray[np.uint8]:
        """Return the picture of the errors of a session, shape (Y, X)."""
        truth, result = self.truth(), session.result
        if truth is None or result is None:
            return np.zeros(session.part.shape, dtype=np.uint8)
        report("Comparing with the truth …")
        try:
            return error_map(result.labels, truth_plane(truth.data, session.part, truth.name))
        except InputError:  # said where the scores stand
            return np.zeros(session.part.shape, dtype=np.uint8)

    def _key(self, session: LiveSession) -> Hashable:
        result = session.result
        settings = None if result is None else result.settings
        return settings, id(session.result_constraints), self._changes


def _sentence(scores: dict[str, float]) -> str:
    """Return scores for the user."""
    counts = f"{scores['n_labels']:.0f} objects, {scores['n_true']:.0f} true"
    if not scores["n_true"]:
        return f"{counts}: nothing to compare with."
    return f"AJI {scores['aji']:.3f}   PQ {scores['pq']:.3f}   AP50 {scores['ap50']:.3f}\n{counts}"


def _colormap() -> Any:
    from napari.utils import Colormap

    return Colormap(np.array(COLORS), name="errors", interpolation="zero")
