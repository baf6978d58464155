"""The dock that teaches a model from painted objects."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from napari_pea.sample_data import SAMPLES
from napari_pea.widgets.controls import Fold
from napari_pea.widgets.devices import DeviceFinder
from napari_pea.widgets.state import state_of, unproxied
from napari_pea.widgets.training_outlook_group import TrainingOutlookGroup
from napari_pea.widgets.training_request import collect_request
from napari_pea.widgets.training_run import TrainingRunGroup
from napari_pea.widgets.training_save import TrainingSaveGroup
from napari_pea.widgets.training_sources import TrainingSourcesGroup
from napari_pea.widgets.training_start import TrainingStartGroup
from napari_pea.widgets.training_state import TrainingPhase, TrainingState, training_state_of

if TYPE_CHECKING:
    import napari.viewer
    from qtpy.QtGui import QShowEvent


class TrainingDock(QScrollArea):
    """Paint some objects, click Train, watch, stop when it looks right, and keep the model.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer that the dock belongs to.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        viewer = unproxied(napari_viewer)
        self._state = training_state_of(viewer)
        self._finder: DeviceFinder | None = None
        self.setObjectName("training_dock")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

        self.sources_group = TrainingSourcesGroup(viewer, self._state)
        self.outlook_group = TrainingOutlookGroup(viewer, self._state)
        self.start_group = TrainingStartGroup(self._state, state_of(viewer).model or SAMPLES[0])
        self.collect = partial(collect_request, viewer, self._state)
        self.run_group = TrainingRunGroup(viewer, self._state, self.collect)
        self.save_group = TrainingSaveGroup(self._state, self.run_group)
        learn = QWidget(self)
        lines = QVBoxLayout(learn)
        lines.setContentsMargins(0, 0, 0, 0)
        lines.setSpacing(4)
        lines.addWidget(self.sources_group)
        lines.addWidget(self.outlook_group)
        content = QWidget(self)
        layout = QVBoxLayout(content)
        layout.setSpacing(4)
        layout.addWidget(Fold("training_sources_fold", "Annotation", learn))
        layout.addWidget(Fold("training_start_fold", "Start", self.start_group))
        layout.addWidget(Fold("training_run_fold", "Training", self.run_group))
        layout.addWidget(Fold("training_save_fold", "Model", self.save_group))
        layout.addStretch(1)
        self.setWidget(content)
        self._state.events.phase.connect(self._on_phase)

    @property
    def state(self) -> TrainingState:
        """What is known of the training of this viewer."""
        return self._state

    def _on_phase(self, phase: TrainingPhase) -> None:
        """Bring what happens into sight: on a small screen it lies below."""
        if isalive(self) and phase in (TrainingPhase.RUNNING, TrainingPhase.DONE):
            self.ensureWidgetVisible(self.save_group)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Be wide enough, and get ready."""
        super().showEvent(event)
        content, bar = self.widget(), self.verticalScrollBar()
        if content is not None and bar is not None:
            self.setMinimumWidth(content.minimumSizeHint().width() + bar.sizeHint().width())
        if self._finder is None:
            # Loads what training needs, so that the first click does not wait for it.
            self._finder = DeviceFinder()
            self._finder.start()
