"""Copying how a result was made, and taking over the settings of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_warning
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_pea.core.errors import InputError
from napari_pea.widgets.corrections_group import restore_corrections
from napari_pea.widgets.forms import ask_where
from napari_pea.widgets.live import Live
from napari_pea.widgets.repeat import as_command, as_python, settings_from
from napari_pea.widgets.result_files import SUFFIX, result_path, save_result, told_by
from napari_pea.widgets.results import is_result
from napari_pea.widgets.state import SegmentState

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer


class RepeatGroup(QWidget):
    """Results as a command or as Python, and back to controls.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer itself, not a proxy of it.
    state : SegmentState
        Of the viewer.
    live : Live
        Knows what is shown.
    parent : QWidget
        The dock.
    """

    def __init__(self, viewer: Viewer, state: SegmentState, live: Live, parent: QWidget) -> None:
        super().__init__(parent)
        self._layers = viewer.layers
        self._state = state
        self._live = live
        self.copy_command_button = QPushButton("Copy as command", self)
        self.copy_command_button.setObjectName("copy_command_button")
        self.copy_command_button.setToolTip(
            "Copy the command that makes the selected result again in a terminal."
        )
        self.copy_python_button = QPushButton("Copy as Python", self)
        self.copy_python_button.setObjectName("copy_python_button")
        self.copy_python_button.setToolTip(
            "Copy the Python code that makes the selected result again."
        )
        self.restore_button = QPushButton("Take over settings of selected layer", self)
        self.restore_button.setObjectName("restore_button")
        self.restore_button.setToolTip(
            "Set the controls to what the selected result was made with."
        )
        self.save_button = QPushButton("Save …", self)
        self.save_button.setObjectName("save_button")
        self.save_button.setToolTip(
            "Save the selected labels with the settings they were made with; opening the file "
            "brings the settings back."
        )
        copy = QHBoxLayout()
        copy.addWidget(self.copy_command_button)
        copy.addWidget(self.copy_python_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(copy)
        layout.addWidget(self.restore_button)
        layout.addWidget(self.save_button)
        self.copy_command_button.clicked.connect(lambda: self._copy(as_command))
        self.copy_python_button.clicked.connect(lambda: self._copy(as_python))
        self.restore_button.clicked.connect(self._on_restore_clicked)
        self.save_button.clicked.connect(self._on_save_clicked)

    def take_over_from(self, layer: Layer) -> None:
        """Take over the settings of a layer that was just opened, if it is a result."""
        if not is_result(layer) or self._state.results.is_adding(layer):
            return
        try:
            self._take_over(layer, layer.metadata["napari_pea"])
        except InputError:
            return

    def _take_over(self, layer: Layer, told: dict[str, Any]) -> None:
        """Take over settings and strokes of a result."""
        settings, ndim = settings_from(told), self._state.live.ndim
        if told.get("ndim", ndim) != ndim:
            raise InputError(
                f"The settings of {layer.name!r} are those of a model for {told['ndim']}D images: "
                "choose such a model first."
            )
        self._state.live.settings = settings
        waiting = restore_corrections(self._live, self._state, told)
        self._state.status = f"Took over the settings of {layer.name!r}. {waiting}".strip()

    def _about(self) -> dict[str, Any]:
        """Return how the selected result was made, or that of the chosen image."""
        active = self._layers.selection.active
        if active is not None and is_result(active):
            told: dict[str, Any] = active.metadata["napari_pea"]
            return told
        session = self._live.session
        if session is None or session.result is None:
            raise InputError("There is no result yet: click Segment, or select one.")
        return session.about()

    def _copy(self, convert: Callable[[dict[str, Any]], str]) -> None:
        try:
            text = convert(self._about())
        except InputError as error:
            self._refuse(error)
            return
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(text)
        self._state.status = f"Copied: {text.splitlines()[0]} …"

    def _on_restore_clicked(self) -> None:
        active = self._layers.selection.active
        try:
            told = None if active is None else told_by(active)
            if active is None or told is None:
                raise InputError("Select a result in the layer list first.")
            self._take_over(active, told)
        except InputError as error:
            self._refuse(error)

    def _on_save_clicked(self) -> None:
        layer = self._layers.selection.active
        session = self._live.session
        if (layer is None or not is_result(layer)) and session is not None:
            layer = session.labels_layer
        if layer is None:
            self._refuse(InputError("There is no result yet: click Segment, or select one."))
            return
        path = ask_where(
            self, "Save the result", f"{layer.name}{SUFFIX}", f"Results (*{SUFFIX})", result_path
        )
        if path is None:
            return
        try:
            self._state.status = f"Saved {save_result(layer, path)}."
        except InputError as error:
            self._refuse(error)

    def _refuse(self, error: InputError) -> None:
        self._state.status = str(error)
        show_warning(str(error))
