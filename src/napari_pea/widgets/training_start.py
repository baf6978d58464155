"""What training starts from, and how long it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_pea.training.presets import PRESETS
from napari_pea.widgets.controls import Fold, ModelCombo, WideCombo
from napari_pea.widgets.forms import FolderEdit, form, silently
from napari_pea.widgets.sources import NDIM
from napari_pea.widgets.training_expert import TrainingExpertGroup
from napari_pea.widgets.training_request import brings_images
from napari_pea.widgets.training_state import TrainingState

if TYPE_CHECKING:
    from qtpy.QtGui import QShowEvent

#: The entry that stands for no model.
NOTHING = "from nothing"
#: Settings that are the point of a preset.
LENGTH = ("iterations", "learning_rate")


class TrainingStartGroup(QWidget):
    """The model to go on from, the length of the run, and what experts may change.

    Parameters
    ----------
    state : TrainingState
        It holds what the controls say.
    usual : str
        The model that is chosen at first.
    """

    def __init__(self, state: TrainingState, usual: str) -> None:
        super().__init__()
        self._state = state
        self.model_combo = ModelCombo(self, name="start_model_combo", nothing=NOTHING)
        self.preset_combo = WideCombo(
            "preset_combo",
            "How long to train; the times are those of a processor with two cores.",
            self,
        )
        self.preset_combo.set_items(preset.title for preset in PRESETS.values())
        self.keep_check = QCheckBox("Keep what the model knows", self)
        self.keep_check.setObjectName("keep_check")
        self.keep_check.setToolTip(
            "Half of what is shown in training comes from images of the old kind, so that the new "
            "model still does what the old one did."
        )
        self.keep_folder = FolderEdit(
            "keep_folder_edit", "Folder of images that the model knows, without labels.", self
        )
        self.expert_group = TrainingExpertGroup(state)
        self.expert_fold = Fold("training_expert_fold", "Expert", self.expert_group)
        self.expert_fold.collapse(animate=False)
        controls = form()
        controls.addRow("Start from", self.model_combo)
        controls.addRow("Length", self.preset_combo)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(controls)
        layout.addWidget(self.keep_check, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self.keep_folder)
        layout.addWidget(self.expert_fold)

        # At first a model that knows something: it needs less paint.
        self.model_combo.refresh(state.start or (NOTHING if state.start_chosen else usual))
        self._on_model_chosen()
        self.model_combo.currentIndexChanged.connect(self._on_model_chosen)
        self.preset_combo.currentIndexChanged.connect(self._on_preset_chosen)
        self.keep_check.toggled.connect(lambda on: setattr(state, "keep", bool(on)))
        self.keep_folder.changed.connect(lambda text: setattr(state, "keep_folder", text))
        for name in ("preset", "keep", "keep_folder", "start"):
            getattr(state.events, name).connect(self._show)
        state.events.phase.connect(self._on_phase)
        self._show()
        self._on_phase()

    def _on_phase(self, _: object = None) -> None:
        """Let nothing be chosen while a run is under way."""
        if isalive(self):
            self.setEnabled(not self._state.phase.is_busy)

    def _on_model_chosen(self, _: object = None) -> None:
        entry = self.model_combo.entry()
        name = None if entry is None else entry.name
        if name != self._state.start:
            # What was chosen for the objects of another model.
            self._state.scale = None
        self._state.start = name
        self._state.ndim = NDIM if entry is None or entry.metadata is None else entry.metadata.ndim
        self._state.start_chosen = True
        if entry is None:
            self._state.keep = False

    def _on_preset_chosen(self, index: int) -> None:
        state = self._state
        # Another length than the one that was changed by hand is wanted.
        state.changes = {name: value for name, value in state.changes.items() if name not in LENGTH}
        state.preset = list(PRESETS)[index]

    def _show(self, _: object = None) -> None:
        """Let the controls say what the choices are."""
        if not isalive(self):
            return
        state, entry = self._state, self.model_combo.entry()
        index = [str(name) for name in PRESETS].index(state.preset)
        silently(self.preset_combo, self.preset_combo.setCurrentIndex, index)
        silently(self.keep_check, self.keep_check.setChecked, state.keep)
        self.keep_check.setEnabled(entry is not None)
        self.keep_folder.set_text(state.keep_folder)
        known = entry is not None and brings_images(entry.metadata)
        self.keep_folder.setVisible(state.keep and not known)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Look for models."""
        super().showEvent(event)
        self.model_combo.refresh()
