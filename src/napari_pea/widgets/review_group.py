"""Looking at the least certain objects first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.compat import isalive
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QPushButton, QWidget

from napari_pea.core.certainty import SIGNS, sureness
from napari_pea.core.progress import CancelToken
from napari_pea.widgets.controls import WideCombo
from napari_pea.widgets.jobs import Job
from napari_pea.widgets.live import Live
from napari_pea.widgets.results import Kind
from napari_pea.widgets.sessions import LiveSession
from napari_pea.widgets.state import SegmentState
from napari_pea.widgets.views import View
from napari_pea.widgets.work import Report

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd
    from napari.viewer import Viewer
    from numpy.typing import NDArray

UNCERTAINTY: Kind = ("uncertainty", None)
#: The signs as the user reads them.
SIGN_TITLES = {"certainty": "by certainty", "variance": "by variance of the masks"}
#: An object is shown at least this many pixels of the screen wide.
LEAST_PIXELS = 60


def uncertainty_map(session: LiveSession, sign: str, report: Report) -> NDArray[np.float32]:
    """Return 1 - sureness of the object that each pixel lies in, shape (*spatial); else 0."""
    result = session.result
    if result is None:
        return np.zeros(session.part.shape, dtype=np.float32)
    report("Mapping the uncertainty …")
    sure = sureness(result.table, sign)
    value = np.zeros(int(result.labels.max(initial=0)) + 1, dtype=np.float32)
    if sure is not None:
        value[result.table["label"].to_numpy()] = 1 - sure
    uncertainty: NDArray[np.float32] = value[result.labels]
    return uncertainty


def _result_key(session: LiveSession) -> Hashable:
    """Return what tells one result of a session from another."""
    result = session.result
    return None if result is None else (result.settings, id(session.result_constraints))


def uncertainty_view(state: SegmentState) -> View:
    """Return the picture of how uncertain objects are by the sign that a viewer sorts by."""
    return View(
        UNCERTAINTY,
        "{image} uncertainty",
        lambda session, report, _: uncertainty_map(session, state.sign, report),
        {"contrast_limits": (0.0, 0.3), "colormap": "inferno", "opacity": 0.7},
        lambda session: (_result_key(session), state.sign),
        on_top=True,
    )


class ReviewGroup(QWidget):
    """Step through the objects from the least certain on, and accept them.

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
        self._viewer = viewer
        self._state = state
        self._live = live
        self._current: tuple[float, ...] | None = None

        self.next_uncertain_button = self._button(
            "next_uncertain_button",
            "Next uncertain",
            "Go to the next least certain object that is not accepted (N).",
            self.next_uncertain,
        )
        self.accept_button = self._button(
            "accept_button",
            "Accept",
            "The object in the middle is right: it is not shown again. Click again to take "
            "that back.",
            self.accept,
        )
        self.uncertainty_check = QCheckBox("Show uncertainty", self)
        self.uncertainty_check.setObjectName("uncertainty_check")
        self.uncertainty_check.setToolTip(
            "A layer in which uncertain objects are bright. The column “certainty” of the "
            "table of features has the figures."
        )
        self.sign_combo = WideCombo(
            "sign_combo",
            "What tells that an object may be wrong: certainty looks at its foreground and how "
            "clearly it stands out, variance at how much averaged masks differ along its outline.",
            self,
        )
        self.sign_combo.set_items(SIGN_TITLES[sign] for sign in SIGNS)
        self.sign_combo.setCurrentIndex(list(SIGNS).index(state.sign))
        self.review_label = QLabel(self)
        self.review_label.setObjectName("review_label")
        self.review_label.setWordWrap(True)
        layout = QGridLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.next_uncertain_button, 0, 0)
        layout.addWidget(self.accept_button, 0, 1)
        layout.addWidget(self.review_label, 1, 0, 1, 2)
        layout.addWidget(self.sign_combo, 2, 0, 1, 2)
        layout.addWidget(self.uncertainty_check, 3, 0, 1, 2, Qt.AlignmentFlag.AlignLeft)
        self.uncertainty_check.setChecked(UNCERTAINTY in live.views.shown)
        self.uncertainty_check.toggled.connect(self._on_uncertainty_toggled)
        self.sign_combo.currentIndexChanged.connect(self._on_sign_chosen)
        live.session_changed.connect(self._on_session_changed)
        live.result_shown.connect(self._on_session_changed)
        live.follow(margins_job(live))
        self._show()

    def _button(self, name: str, text: str, tip: str, call: Callable[[], None]) -> QPushButton:
        button = QPushButton(text, self)
        button.setObjectName(name)
        button.setToolTip(tip)
        button.clicked.connect(call)
        return button

    def shortcuts(self) -> dict[str, Callable[[], None]]:
        """Return the keys that act while the dock is open."""
        return {"N": self.next_uncertain}

    def next_uncertain(self) -> None:
        """Select and centre the next least certain object that is not accepted."""
        session, table = self._session_and_table()
        if session is None or table is None:
            return
        sure = sureness(table, self._state.sign)
        if sure is None:
            self._state.status = "The model does not tell how sure it is of objects."
            return
        keys = _keys(table)
        accepted = _accepted(session)
        order = [row for row in np.argsort(sure, kind="stable") if keys[row] not in accepted]
        if not order:
            self._state.status = "All objects are accepted."
            return
        places = [keys[row] for row in order]
        follows = places.index(self._current) + 1 if self._current in places else 0
        if self._current is not None and self._current in accepted:
            # It was accepted meanwhile: go on from where it was.
            row = keys.index(self._current) if self._current in keys else None
            if row is not None:
                follows = sum(bool(sure[other] <= sure[row]) for other in order)
        row = order[follows % len(order)]
        self._current = keys[row]
        self._go_to(session, table.iloc[row])
        self._show()

    def accept(self) -> None:
        """Mark the present object as right, or take that back."""
        session, table = self._session_and_table()
        if session is None or table is None or self._current not in _keys(table):
            return
        current = list(self._current or ())
        accepted = list(session.corrections.get("accepted", []))
        if current in accepted:
            accepted.remove(current)
        else:
            accepted.append(current)
        session.corrections = {**session.corrections, "accepted": accepted}
        self._live.write_features(session, with_accepted(session, table))
        layer = session.labels_layer
        if layer is not None:
            told = {**layer.metadata["napari_pea"], "corrections": session.corrections}
            layer.metadata = {**layer.metadata, "napari_pea": told}
        self._show()

    def _go_to(self, session: LiveSession, row: pd.Series) -> None:
        """Select an object and bring it into the middle."""
        source, layer = session.source, session.labels_layer
        if source is None:
            return
        if layer is not None:
            layer.selected_label = int(row["label"])
        place = np.zeros(source.ndim)
        for axis, position in session.part.plane:
            place[axis] = position
        for n, (axis, first) in enumerate(
            zip(session.part.plane_axes, session.part.start, strict=True)
        ):
            place[axis] = row[f"centroid-{n}"] + first
        world = np.asarray(source.data_to_world(place))
        dims, camera = self._viewer.dims, self._viewer.scene.camera
        shown = list(dims.displayed)
        hidden = dims.ndim - source.ndim
        center = np.array(dims.point, dtype=float)
        center[hidden:] = world
        camera.center = tuple(center[shown])
        for axis in session.part.plane_axes:
            if axis + hidden not in shown:
                dims.set_point(axis + hidden, center[axis + hidden])
        scale = float(np.mean([source.scale[axis] for axis in session.part.plane_axes]))
        width = row["equivalent_diameter"] * scale * camera.zoom
        if width < LEAST_PIXELS:
            camera.zoom *= LEAST_PIXELS / width

    def _session_and_table(self) -> tuple[LiveSession | None, pd.DataFrame | None]:
        session = self._live.session
        if session is None or session.result is None or not len(session.result.table):
            return None, None
        return session, session.result.table

    def _on_uncertainty_toggled(self, on: bool) -> None:
        if not on:
            self._live.views.hide(UNCERTAINTY)
            return
        view = uncertainty_view(self._state)
        self._live.views.show(view)
        session = self._live.session
        if session is not None and session.result is not None and not self._state.busy:
            self._live.add_view(session, view)

    def _on_sign_chosen(self, index: int) -> None:
        """Begin again with the least certain object by another sign."""
        self._state.sign = list(SIGNS)[index]
        self._current = None
        session = self._live.session
        if session is not None and session.result is not None:
            self._live.follow_now(session, self._live.views.job)
        self._show()

    def _on_session_changed(self, _: object = None) -> None:
        if isalive(self):
            self._show()

    def _show(self) -> None:
        """Say which object is looked at and how many are accepted."""
        session, table = self._session_and_table()
        self.next_uncertain_button.setEnabled(table is not None)
        self.sign_combo.setVisible(table is not None and "variance" in table)
        if session is None or table is None:
            self.accept_button.setEnabled(False)
            self.review_label.setText("")
            return
        accepted = _accepted(session)
        # Large tables are looked through only if there is something to find.
        keys = _keys(table) if accepted or self._current is not None else []
        done = sum(key in accepted for key in keys)
        text = f"{done} of {len(table)} accepted"
        is_known = self._current in keys
        if is_known:
            row = keys.index(self._current)  # type: ignore[arg-type]
            sure = sureness(table, self._state.sign)
            value = "" if sure is None else f", certainty {sure[row]:.2f}"
            if self._state.sign == "variance" and "variance" in table:
                value = f", variance {table['variance'].iloc[row]:.3f}"
            text = f"Object {table['label'].iloc[row]}{value}; {text}"
        self.accept_button.setEnabled(is_known)
        self.accept_button.setText("Take back" if self._current in accepted else "Accept")
        self.review_label.setText(text)


def margins_job(live: Live) -> Callable[[LiveSession], Job | None]:
    """Return what makes the job that adds the margins to the table of a result.

    Parameters
    ----------
    live : Live
        Writes the table.
    """

    def make(session: LiveSession) -> Job | None:
        result = session.result
        pieces = None if result is None else result.pieces
        if result is None or pieces is None:
            return None
        constraints = session.result_constraints

        def work(report: Report, cancel: CancelToken) -> dict[str, NDArray[Any]]:
            from napari_pea.core.margins import margins_of

            ndim = session.segmenter.model.ndim
            margins = margins_of(
                pieces,
                session.segmenter.evidence(result.settings, cancel=cancel),
                result.settings.neighborhood(ndim),
                strides=result.settings.strides_for(ndim),
                bias=result.settings.bias,
                constraints=constraints,
                cancel=cancel,
            )
            inside, outside = margins.refined(pieces, result.labels)
            rows = result.table["label"].to_numpy()
            return {"inside_margin": inside[rows], "outside_margin": outside[rows]}

        def deliver(columns: dict[str, NDArray[Any]]) -> str:
            if session.result is result:
                table = result.table.assign(**columns)
                live.write_features(session, with_accepted(session, table))
            return ""

        return Job("Margins of the objects", work, deliver, quiet=True)

    return make


def with_accepted(session: LiveSession, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with a column that says which objects were accepted."""
    accepted = _accepted(session)
    if not accepted:
        return table.assign(accepted=False)
    return table.assign(accepted=[key in accepted for key in _keys(table)])


def _keys(table: pd.DataFrame) -> list[tuple[float, ...]]:
    """Return what tells an object again in another result: its size and its place."""
    columns = ["area", *(name for name in table.columns if name.startswith("centroid-"))]
    return [tuple(row) for row in table[columns].to_numpy(dtype=float).round(3).tolist()]


def _accepted(session: LiveSession) -> set[tuple[float, ...]]:
    """Return the keys of the objects that were accepted."""
    return {tuple(key) for key in session.corrections.get("accepted", [])}
