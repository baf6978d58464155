"""The controls of the layers on request."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.compat import isalive
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Offset
from napari_pea.widgets.controls import WideCombo
from napari_pea.widgets.layers import offset_text
from napari_pea.widgets.live import Live
from napari_pea.widgets.results import VARIANCE
from napari_pea.widgets.state import SegmentState
from napari_pea.widgets.views import (
    EMBEDDING_VIEW,
    FOREGROUND_VIEW,
    VARIANCE_VIEW,
    View,
    affinity_view,
    variance_view,
)


class ShowGroup(QWidget):
    """Embedding, foreground, and affinities of any offset.

    Parameters
    ----------
    state : SegmentState
        Of the viewer.
    live : Live
        Shows the pictures.
    parent : QWidget
        The dock.
    """

    def __init__(self, state: SegmentState, live: Live, parent: QWidget) -> None:
        super().__init__(parent)
        self._state = state
        self._live = live
        self._offsets: list[Offset] = []
        self.embedding_check = QCheckBox("Embedding as colours", self)
        self.embedding_check.setObjectName("embedding_check")
        self.embedding_check.setToolTip(
            "A layer in which pixels of one object have one colour, as the model sees it. It "
            "is hidden at first: click its eye in the layer list."
        )
        self.embedding_check.setChecked(state.show_embedding)
        self.foreground_check = QCheckBox("Foreground", self)
        self.foreground_check.setObjectName("foreground_check")
        self.foreground_check.setToolTip(
            "A layer that says for every pixel how surely it lies in an object."
        )
        self.foreground_check.setChecked(state.show_foreground)
        self.affinity_combo = WideCombo(
            "affinity_combo",
            "A step in pixels, in volumes sections first, then rows. The affinity says for every "
            "pixel how surely the pixel one step away belongs to the same object.",
            self,
        )
        self.affinity_button = QPushButton("Add", self)
        self.affinity_button.setObjectName("affinity_button")
        self.affinity_button.setToolTip("Add these affinities as a layer.")
        self.variance_check = QCheckBox("Variance", self)
        self.variance_check.setObjectName("variance_check")
        self.variance_check.setToolTip(
            "A layer that is bright where averaged masks differ about which pixels belong together."
        )
        self.variance_check.setChecked(VARIANCE in live.views.shown)
        self.variance_button = QPushButton("Add its variance", self)
        self.variance_button.setObjectName("variance_button")
        self.variance_button.setToolTip(
            "Add how much averaged masks differ about these affinities as a layer."
        )
        affinity = QHBoxLayout()
        affinity.addWidget(QLabel("Affinity", self))
        affinity.addWidget(self.affinity_combo, 1)
        affinity.addWidget(self.affinity_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.embedding_check)
        layout.addWidget(self.foreground_check)
        layout.addWidget(self.variance_check)
        layout.addLayout(affinity)
        layout.addWidget(self.variance_button)
        self.embedding_check.toggled.connect(lambda on: self._toggle(EMBEDDING_VIEW, on))
        self.foreground_check.toggled.connect(lambda on: self._toggle(FOREGROUND_VIEW, on))
        self.variance_check.toggled.connect(lambda on: self._toggle(VARIANCE_VIEW, on))
        self.affinity_button.clicked.connect(lambda: self._add(affinity_view))
        self.variance_button.clicked.connect(lambda: self._add(variance_view))
        live.session_changed.connect(self._enable)
        live.result_shown.connect(self._enable)
        state.events.connect(self._enable)
        state.live.events.settings.connect(self._list_offsets)
        state.live.events.ndim.connect(self._list_offsets)
        state.live.events.known.connect(self._enable)
        state.live.events.can_average.connect(self._enable)
        self._list_offsets()

    def _toggle(self, view: View, on: bool) -> None:
        if not on:
            self._live.views.hide(view.kind)
            return
        self._live.views.show(view)
        session = self._live.session
        if session is None or session.result is None or self._state.busy:
            return
        if view.suits(session):
            self._live.add_view(session, view)

    def _add(self, view: Callable[[Offset], View]) -> None:
        """Add the picture of the chosen offset."""
        session = self._live.session
        if session is not None:
            self._live.add_view(session, view(self._offsets[self.affinity_combo.currentIndex()]))

    def _list_offsets(self, _: object = None) -> None:
        """Offer the offsets of the present settings."""
        if not isalive(self):
            return
        try:
            live = self._state.live
            offsets = list(live.settings.neighborhood(live.ndim).offset_list)
        except InputError:
            offsets = []
        if offsets != self._offsets:
            self._offsets = offsets
            self.affinity_combo.set_items([offset_text(offset) for offset in offsets])
        self._enable()

    def _enable(self, _: object = None) -> None:
        if not isalive(self):
            return
        session, live = self._live.session, self._state.live
        can_add = session is not None and bool(self._offsets)
        can_add &= not (self._state.busy and not self._state.quiet)
        self.affinity_button.setEnabled(can_add)
        has_variances = session is not None and VARIANCE_VIEW.suits(session)
        self.variance_button.setEnabled(can_add and has_variances)
        for widget in (self.variance_check, self.variance_button):
            widget.setVisible(live.can_average)
        self.variance_check.setEnabled(live.can_average)
        # Models of affinities have colours only if they tell the codes behind them.
        has_colors = not live.known.is_limited
        if session is not None and session.result is not None:
            has_colors = EMBEDDING_VIEW.suits(session)
        self.embedding_check.setEnabled(has_colors)
