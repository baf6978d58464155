"""Keeping a model that was trained: its name, its description, and the list it appears in."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFormLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken
from napari_pea.models.catalogue import add_model, list_models
from napari_pea.widgets.controls import refresh_model_lists
from napari_pea.widgets.jobs import Job, JobRunner
from napari_pea.widgets.preferences import preferences
from napari_pea.widgets.state import SegmentState
from napari_pea.widgets.training_job import Trained
from napari_pea.widgets.work import Report

if TYPE_CHECKING:
    from napari_pea.widgets.training_run import TrainingRunGroup
    from napari_pea.widgets.training_state import TrainingState


class TrainingSaveGroup(QWidget):
    """Name, describe and save the model of a run.

    Parameters
    ----------
    state : TrainingState
        The state of the viewer.
    run : TrainingRunGroup
        Where models come from.
    """

    def __init__(self, state: TrainingState, run: TrainingRunGroup) -> None:
        super().__init__()
        self._state = state
        self._run = run
        self._trained: Trained | None = None
        self._progress = SegmentState()
        self._runner = JobRunner(self._progress, self)
        self.model_name_edit = QLineEdit(self)
        self.model_name_edit.setObjectName("model_name_edit")
        self.model_name_edit.setToolTip("What the model is called in every list of models.")
        self.description_edit = QLineEdit(self)
        self.description_edit.setObjectName("model_description_edit")
        self.description_edit.setToolTip("What it finds, and in which images, for later.")
        self.save_button = QPushButton("Save model", self)
        self.save_button.setObjectName("save_model_button")
        form = QFormLayout()
        form.setVerticalSpacing(4)
        form.addRow("Name", self.model_name_edit)
        form.addRow("About", self.description_edit)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(form)
        layout.addWidget(self.save_button)
        self.save_button.clicked.connect(self._on_save_clicked)
        self.model_name_edit.textChanged.connect(self._enable)
        self._progress.events.busy.connect(self._enable)
        self._progress.events.status.connect(self._on_status)
        run.trained.connect(self._on_trained)
        self._enable()

    def _on_trained(self, found: Trained | None) -> None:
        self._trained = found
        if found is not None:
            if not self.model_name_edit.text().strip():
                self.model_name_edit.setText(self._free_name(found))
            self.description_edit.setText(found.metadata.description)
            self.description_edit.setCursorPosition(0)  # the beginning of it is seen
        self._enable()

    def _free_name(self, found: Trained) -> str:
        """Return a name that no model has."""
        taken = {entry.name for entry in list_models(preferences().model_folder)}
        base = f"my-{(found.metadata.parent or 'model').removeprefix('my-')}"
        numbered = (f"{base}-{number}" for number in range(2, len(taken) + 3))
        return base if base not in taken else next(name for name in numbered if name not in taken)

    def _enable(self, _: object = None) -> None:
        ready = self._trained is not None and not self._progress.busy
        self.save_button.setEnabled(ready and bool(self.model_name_edit.text().strip()))
        for editor in (self.model_name_edit, self.description_edit):
            editor.setEnabled(ready)
        self.save_button.setToolTip(
            "Keep the model for good: every list of models shows it at once."
            if self._trained is not None
            else "Train a model first."
        )

    def _on_status(self, status: str) -> None:
        """Say what went wrong."""
        if status:
            self._state.message = status

    def _on_save_clicked(self) -> None:
        found = self._trained
        if found is None:
            return
        name = self.model_name_edit.text().strip()
        about = self.description_edit.text().strip()
        work = partial(_save, found, name, about, preferences().model_folder)
        self._runner.start(Job(f"Saving the model {name!r}", work, self._on_saved, quiet=True))

    def _on_saved(self, name: str) -> str:
        self.model_name_edit.clear()
        self.description_edit.clear()
        refresh_model_lists()
        self._run.saved(name)
        return ""


def _save(
    found: Trained, name: str, about: str, folder: Path | None, _: Report, __: CancelToken
) -> str:
    """Save a model; in another thread."""
    path = found.run.model_path
    if path is None:
        raise InputError("The model of this run is gone: resume the run to make it again.")
    add_model(path, name, about, folder=folder)
    found.run.put_away()
    return name
