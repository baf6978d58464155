"""The offer to go on with a run that a crash or a closed window has ended."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QMessageBox, QPushButton, QVBoxLayout, QWidget

from napari_pea.core.errors import InputError
from napari_pea.models.package import read_metadata
from napari_pea.training.runs import KeptRun, all_runs
from napari_pea.widgets.training_job import Trained

#: A run that is under way elsewhere is looked at again after so long, in milliseconds.
HELD_MS = 3000


class TrainingOffer(QWidget):
    """Says which run is not over, and what can be done about it; hidden if there is none.

    Parameters
    ----------
    parent : QWidget
        Where it stands.
    """

    #: A `KeptRun` to go on with.
    resumed = Signal(object)
    #: A `Trained` model that was not saved.
    used = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._root: Path | None = None
        self._run: KeptRun | None = None
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(HELD_MS)
        self._later.timeout.connect(self._look_again)
        self.offer_label = QLabel(self)
        self.offer_label.setObjectName("offer_label")
        self.offer_label.setWordWrap(True)
        self.resume_button = QPushButton("Resume", self)
        self.resume_button.setObjectName("resume_button")
        self.discard_button = QPushButton("Discard", self)
        self.discard_button.setObjectName("discard_button")
        self.discard_button.setToolTip("Delete the run with all that it has learned.")
        buttons = QHBoxLayout()
        buttons.addWidget(self.resume_button, 2)
        buttons.addWidget(self.discard_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.offer_label)
        layout.addLayout(buttons)
        self.resume_button.clicked.connect(self._on_resume_clicked)
        self.discard_button.clicked.connect(self._on_discard_clicked)
        self.hide()

    def look(self, root: Path | None) -> None:
        """Offer the newest run that is not over.

        Parameters
        ----------
        root : Path or None
            The folder of all runs; None to offer nothing now.
        """
        self._root = root
        self._run = None
        for run in [] if root is None else all_runs(root):
            if run.is_held:
                # By another window, or by a dock that was just closed and is still saving.
                self._later.start()
                continue
            try:
                ended = run.model_path is not None
                begun = f"{run.begun:%d %B, %H:%M}"
                about = run.description
            except InputError:
                continue  # nothing can be done with it
            self._run = run
            state = "has made a model that is not saved" if ended else "was not finished"
            self.offer_label.setText(f"The training of {begun} {state}. {about}")
            self.resume_button.setText("Use" if ended else "Resume")
            self.resume_button.setToolTip(
                "Name and save the model."
                if ended
                else "Go on where it was left, with what was painted then."
            )
            break
        self.setVisible(self._run is not None)

    def _look_again(self) -> None:
        if self._run is None:
            self.look(self._root)

    def _on_resume_clicked(self) -> None:
        run = self._run
        if run is None:
            return
        path = run.model_path
        if path is None:
            self.resumed.emit(run)
            return
        try:
            self.used.emit(Trained(run, read_metadata(path)))
        except InputError:  # its end was noted, but the model is gone: it can be made again
            self.resumed.emit(run)

    def _on_discard_clicked(self) -> None:
        answer = QMessageBox.question(
            self,
            "Discard the training?",
            "What was learned, and the copy of what was painted for it, will be deleted.",
        )
        if answer == QMessageBox.StandardButton.Yes and self._run is not None:
            self._run.discard()
            self.look(self._root)
