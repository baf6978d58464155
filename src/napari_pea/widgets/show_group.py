"""The controls of the layers on request."""

from __future__ import annotations

from qtpy.compat import isalive
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Offset
from napari_pea.widgets.controls import WideCombo
from napari_pea.widgets.layers import offset_text
from napari_pea.widgets.live import Live
from napari_pea.widgets.state import SegmentState
from napari_pea.widgets.views import EMBEDDING_VIEW, FOREGROUND_VIEW, View, affinity_view


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
        affinity = QHBoxLayout()
        affinity.addWidget(QLabel("Affinity", self))
        affinity.addWidget(self.affinity_combo, 1)
        affinity.addWidget(self.affinity_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.embedding_check)
        layout.addWidget(self.foreground_check)
        layout.addLayout(affinity)
        self.embedding_check.toggled.connect(lambda on: self._toggle(EMBEDDING_VIEW, on))
        self.foreground_check.toggled.connect(lambda on: self._toggle(FOREGROUND_VIEW, on))
        self.affinity_button.clicked.connect(self._on_add_clicked)
        live.session_changed.connect(self._enable)
        live.result_shown.connect(self._enable)
        state.events.connect(self._enable)
        state.live.events.settings.connect(self._list_offsets)
        state.live.events.ndim.connect(self._list_offsets)
        self._list_offsets()

    def _toggle(self, view: View, on: bool) -> None:
        if not on:
            self._live.views.hide(view.kind)
            return
        self._live.views.show(view)
        session = self._live.session
        if session is not None and session.result is not None and not self._state.busy:
            self._live.add_view(session, view)

    def _on_add_clicked(self) -> None:
        session = self._live.session
        if session is not None:
            self._live.add_view(
                session, affinity_view(self._offsets[self.affinity_combo.currentIndex()])
            )

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
        if isalive(self):
            has_session = self._live.session is not None
            self.affinity_button.setEnabled(
                has_session
                and bool(self._offsets)
                and not (self._state.busy and not self._state.quiet)
            )
