"""Training: its buttons, and what is seen while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import ref

from napari.utils.notifications import show_warning
from qtpy.compat import isalive
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_pea.core.errors import InputError
from napari_pea.models.catalogue import user_folder
from napari_pea.training.control import TrainingControl, TrainingStatus
from napari_pea.training.runs import KeptRun
from napari_pea.widgets.jobs import Job, JobRunner
from napari_pea.widgets.preferences import preferences
from napari_pea.widgets.state import SegmentState
from napari_pea.widgets.training_curves import TrainingCurves
from napari_pea.widgets.training_job import (
    Resumed,
    Said,
    Trained,
    Update,
    begin_run,
    resume_run,
)
from napari_pea.widgets.training_offer import TrainingOffer
from napari_pea.widgets.training_preview import Preview
from napari_pea.widgets.training_state import TrainingPhase, TrainingRequest, TrainingState
from napari_pea.widgets.training_view import TrainingView

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtGui import QHideEvent, QShowEvent

    from napari_pea.models.metadata import ModelMetadata

#: What is said when a run is left before its end.
LEFT = "Training was left; what it has learned is kept, and it can be resumed."


class TrainingRunner(JobRunner):
    """Runs the training of one dock."""

    def cancel(self, status: str = LEFT) -> None:
        """Leave the run under way; it can be resumed."""
        super().cancel(status)


class TrainingRunGroup(QWidget):
    """Trains, pauses, stops, and shows how it goes.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer itself, not a proxy of it.
    state : TrainingState
        The state of the viewer.
    collect : callable
        Returns what the user has chosen to train; raises `InputError`.
    """

    #: A `Trained`: a model that can be saved; None if there is none any more.
    trained = Signal(object)

    def __init__(
        self, viewer: Viewer, state: TrainingState, collect: Callable[[], TrainingRequest]
    ) -> None:
        super().__init__()
        self._state = state
        self._collect = collect
        self._control: TrainingControl | None = None
        #: Its jobs are none of the segmentation's.
        self._progress = SegmentState()
        self._runner = TrainingRunner(self._progress, self)
        self._view = TrainingView(viewer, self._say)
        self._viewpoint = self._view.viewpoint
        self._make_controls()
        self._lay_out()
        # A former dock may have been closed while its run was under way.
        self._state.phase = TrainingPhase.IDLE
        self._connect()
        self._enable()
        self._on_progress()
        self.refresh_offer()

    def _make_controls(self) -> None:
        self.train_button = self._button("train", "Train")
        self.pause_button = self._button("pause", "Pause")
        self.stop_button = self._button("stop", "Stop")
        self.stop_button.setToolTip(
            "End the training now and keep the version that was best so far."
        )
        self.progress_bar = QProgressBar(self)
        self.progress_bar.setObjectName("training_progress")
        self.progress_bar.setMaximumHeight(self.fontMetrics().lineSpacing())
        self.pace_label = self._label("pace_label")
        self.message_label = self._label("training_message_label")
        self.curves = TrainingCurves(self)
        self.preview_check = QCheckBox("Show what it finds in the view", self)
        self.preview_check.setObjectName("training_preview_check")
        self.preview_check.setToolTip(
            "Every now and then, show in a layer of its own what the model finds by now in what "
            "you see."
        )
        self.preview_check.setChecked(True)
        self.offer = TrainingOffer(self)

    def _button(self, name: str, text: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setObjectName(f"{name}_button")
        return button

    def _label(self, name: str) -> QLabel:
        label = QLabel(self)
        label.setObjectName(name)
        label.setWordWrap(True)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        return label

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        for button in (self.train_button, self.pause_button, self.stop_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.offer)
        layout.addLayout(buttons)
        for widget in (
            *(self.progress_bar, self.pace_label, self.message_label),
            *(self.curves, self.preview_check),
        ):
            layout.addWidget(widget)

    def _connect(self) -> None:
        self.train_button.clicked.connect(self._on_train_clicked)
        self.pause_button.clicked.connect(self._on_pause_clicked)
        self.stop_button.clicked.connect(self._on_stop_clicked)
        self.preview_check.toggled.connect(self._view.set_wanted)
        self._view.unwanted.connect(partial(self.preview_check.setChecked, False))
        self.offer.resumed.connect(self.resume)
        self.offer.used.connect(self._use)
        self._runner.ended.connect(self.refresh_offer)
        self._progress.events.connect(self._on_progress)
        self._progress.events.busy.connect(self._on_busy)
        self._progress.events.status.connect(self._on_status)
        self._state.events.phase.connect(self._enable)
        self._state.events.message.connect(self._enable)

    @property
    def runs_folder(self) -> Path:
        """Where the runs of this user are kept."""
        return (preferences().model_folder or user_folder()) / "runs"

    def refresh_offer(self, _: object = None) -> None:
        """Offer to go on with a run that was not finished, if there is one."""
        if isalive(self):
            busy = self._progress.busy or self._state.phase is TrainingPhase.DONE
            self.offer.look(None if busy else self.runs_folder)

    def resume(self, run: KeptRun) -> None:
        """Go on with a run."""
        self._view.forget()
        self._start("Training goes on", partial(resume_run, run))

    def _on_train_clicked(self) -> None:
        try:
            request = self._collect()
        except InputError as error:
            self._say(str(error))
            show_warning(str(error))
            return
        layer = request.preview_layer
        self._view.look_at(layer, request.preview_channel, request.ndim)
        # The run works on copies and must not keep a removed layer in memory.
        request = replace(request, preview_layer=None)
        work = partial(begin_run, request, self.runs_folder, layer is not None)
        self._start("Training", work)

    def _start(self, title: str, work: Callable[..., Trained]) -> None:
        """Start a run."""
        self._control = TrainingControl()
        self._view.set_wanted(self.preview_check.isChecked())
        self.curves.clear()
        self.pace_label.setText("")
        self.trained.emit(None)
        job = Job(title, partial(work, self._control, self._viewpoint), self._finish)
        job.take = self._take
        self._runner.start(job)
        self._say("")  # the pace tells what goes on

    def _on_pause_clicked(self) -> None:
        control = self._control
        if control is None:
            return
        if control.paused:
            control.resume()
            self._state.phase = TrainingPhase.RUNNING
        else:
            control.pause()
            self._state.phase = TrainingPhase.PAUSED

    def _on_stop_clicked(self) -> None:
        if self._control is not None:
            self._control.stop()
            self._state.phase = TrainingPhase.STOPPING

    def _on_busy(self, busy: bool) -> None:
        if isalive(self):
            # What a job brings is delivered after it.
            self._state.phase = TrainingPhase.RUNNING if busy else TrainingPhase.IDLE
            if not busy:
                self._control = None
            self.refresh_offer()

    def _on_status(self, status: str) -> None:
        """Say how a run has ended; what it does is said elsewhere."""
        if isalive(self) and status and not self._progress.busy:
            self._say(status)

    def _on_progress(self, _: object = None) -> None:
        if isalive(self):
            progress = self._progress
            self.progress_bar.setRange(0, progress.total if progress.total > 1 else 0)
            self.progress_bar.setValue(progress.done)
            self.progress_bar.setVisible(progress.busy)

    def _take(self, news: Any) -> None:
        """Show what the run hands over."""
        self.leave_if_closed()
        if isinstance(news, Update):
            self._view.renew()
            self.curves.set_length(news.status.iterations)
            self.curves.add(news.losses, news.rows)
            self.pace_label.setText(pace_text(news.status))
        elif isinstance(news, Preview):
            self._view.show(news)
        elif isinstance(news, Said):
            self._say(f"{self._state.message} {news.text}".strip())
        elif isinstance(news, Resumed):
            self._view.restore(news.plan)

    def _finish(self, found: Trained) -> str:
        """Take a model that was trained."""
        self._use(found)
        self._state.message = kept_text(found.metadata)
        return self._state.message

    def _use(self, found: Trained) -> None:
        self._state.phase = TrainingPhase.DONE
        self.refresh_offer()
        self.trained.emit(found)

    def saved(self, name: str) -> None:
        """Take note that the model was saved."""
        self._say(f"Saved: the model {name!r} stands in every list of models.")
        if not self._state.phase.is_busy:  # by another run already
            self._state.phase = TrainingPhase.IDLE
        self.trained.emit(None)
        self.refresh_offer()

    def _say(self, sentence: str) -> None:
        self._state.message = sentence

    def _enable(self, _: object = None) -> None:
        """Let the user click what makes sense."""
        if not isalive(self):
            return
        phase = self._state.phase
        self.train_button.setEnabled(not phase.is_busy)
        self.train_button.setToolTip("Learn from what is painted, on a copy: go on painting.")
        can_steer = phase in (TrainingPhase.RUNNING, TrainingPhase.PAUSED)
        self.pause_button.setEnabled(can_steer)
        paused = phase is TrainingPhase.PAUSED
        self.pause_button.setText("Go on" if paused else "Pause")
        self.pause_button.setToolTip(
            "Go on training." if paused else "Wait, and leave the computer to something else."
        )
        self.stop_button.setEnabled(can_steer)
        self.message_label.setText(self._state.message)
        self.message_label.setVisible(bool(self._state.message))

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Look again for runs that were not finished."""
        super().showEvent(event)
        self.refresh_offer()

    def leave_if_closed(self) -> None:
        """Leave the run if the dock is in no window any more."""
        window = self.window()
        if (
            window is not None
            and window.parentWidget() is None
            and not isinstance(window, QMainWindow)
        ):
            self._runner.cancel()

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802 - Qt's name
        """Leave the run if the dock is gone afterwards: nobody could stop it any more."""
        super().hideEvent(event)
        job = self._runner.current
        if job is not None:
            QTimer.singleShot(0, partial(_stop_if_gone, ref(self), job))


#: Scores as the user knows them.
SCORE_TEXTS = {"aji": "AJI", "ap50": "AP50"}


def _stop_if_gone(group: ref[TrainingRunGroup], job: Job) -> None:
    """Leave a run whose dock was closed; Python may keep the dock for a while."""
    alive = group()
    if alive is None or not isalive(alive):
        job.stop()
    else:
        alive.leave_if_closed()


def kept_text(metadata: ModelMetadata) -> str:
    """Return what became of a run, for the user."""
    best = metadata.training.get("best_iteration")
    scores = metadata.scores.get("validation", {})
    told = ", ".join(
        f"{text} {scores[name]:.2f}" for name, text in SCORE_TEXTS.items() if name in scores
    )
    kept = f"The version of iteration {best:,} was kept" if best else "The model was kept"
    said = f"{kept}{f' ({told})' if told else ''}: give it a name and save it."
    start = metadata.training.get("start_score")
    if start is not None and scores.get("aji", start) < start:
        said += (
            f" The model you started from finds what is held out better (AJI {start:.2f}): "
            "train longer, paint more, or keep what the model knows."
        )
    return said


def pace_text(status: TrainingStatus) -> str:
    """Return where a run stands, for the user."""
    said = {
        "preparing": "Getting ready …",
        "validating": "Looking for the objects that are held out …",
        "paused": "Paused.",
    }.get(status.phase, "")
    parts = [f"{status.iteration:,} of {status.iterations:,}"]
    if status.speed is not None:
        parts.append(f"{status.speed:.2g} iterations a second")
    if status.seconds_left is not None and status.phase == "training":
        parts.append(f"{time_text(status.seconds_left)} left")
    if status.best_iteration is not None:
        parts.append(f"kept: {status.best_iteration:,}")
    return " · ".join([*parts, said] if said else parts)


def time_text(seconds: float) -> str:
    """Return a time for the user."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
