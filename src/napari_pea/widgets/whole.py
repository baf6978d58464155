"""The controls for images too large, or too deep, to be segmented at every change."""

from __future__ import annotations

from napari.utils.notifications import show_warning
from qtpy.compat import isalive
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QWidget

from napari_pea.core.errors import InputError
from napari_pea.widgets.live import Live
from napari_pea.widgets.preview import is_large
from napari_pea.widgets.segmenting import Segmenting
from napari_pea.widgets.sessions import LiveSession
from napari_pea.widgets.sources import NOUNS
from napari_pea.widgets.state import SegmentState


class WholeControls(QWidget):
    """Preview, and carrying the settings out on everything.

    They are shown only for images that need them.

    Parameters
    ----------
    state : SegmentState
        Of the viewer.
    live : Live
        Carries out changes.
    segmenting : Segmenting
        Segments stacks.
    parent : QWidget
        The dock.
    """

    def __init__(
        self, state: SegmentState, live: Live, segmenting: Segmenting, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._state = state
        self._live = live
        self._segmenting = segmenting
        self.preview_check = QCheckBox("Preview", self)
        self.preview_check.setObjectName("preview_check")
        self.preview_check.setToolTip(
            "On images of more than about 1500 × 1500 pixels and on volumes of more than a "
            "million, carry out changes on what you see only, so that they show at once; of large "
            "volumes, segment that before the rest."
        )
        self.preview_check.setChecked(state.live.preview)
        self.apply_button = QPushButton("Apply to whole image", self)
        self.apply_button.setObjectName("apply_button")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.preview_check)
        layout.addWidget(self.apply_button, 1)
        self.preview_check.toggled.connect(self._on_preview_toggled)
        self.apply_button.clicked.connect(self._on_apply_clicked)
        live.session_changed.connect(self.refresh)
        self.refresh()

    def refresh(self, _: object = None) -> None:
        """Show what makes sense for the chosen image."""
        if not isalive(self):
            return
        session, target = self._live.session, self._live.target
        axis = None if session is None else stack_axis(session)
        large = target is not None and is_large(target.part)
        self.setVisible(large or axis is not None)
        self.preview_check.setVisible(large)
        self.apply_button.setEnabled(session is not None)
        noun = "plane" if target is None else NOUNS[len(target.part.shape)]
        self.apply_button.setText(
            f"Apply to every {noun}" if axis is not None else "Apply to whole image"
        )
        self.apply_button.setToolTip(
            f"Segment every {noun} with these settings, each by itself, into one layer."
            if axis is not None
            else "Carry out the settings on all of the image, in the background."
        )

    def _on_preview_toggled(self, checked: bool) -> None:
        self._state.live.preview = checked

    def _on_apply_clicked(self) -> None:
        session, target = self._live.session, self._live.target
        if session is None or target is None:
            return
        axis = stack_axis(session)
        if session.part.block is not None:
            try:
                self._segmenting.segment(target, at_once=True)
            except InputError as error:
                self._state.status = str(error)
                show_warning(str(error))
        elif axis is None:
            self._live.apply_to_whole(session)
        else:
            self._segmenting.apply_to_planes(session, axis)


def stack_axis(session: LiveSession) -> int | None:
    """Return the axis of a layer that all of a plane was taken along, if there are more."""
    part = session.part
    if part.block is not None:
        return None
    return next((axis for axis, _ in part.plane if part.data.shape[axis] > 1), None)
