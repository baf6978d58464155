"""The dock that segments many files, one after the other."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import ref

from napari.utils.notifications import show_warning
from qtpy.compat import isalive
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFrame,
    QLabel,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_pea.batch.queue import Item
from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken
from napari_pea.io.paths import READABLE
from napari_pea.widgets.batch_job import (
    BETWEEN,
    BatchRequest,
    Listed,
    count_existing,
    listed_images,
    run,
    suggested_folder,
)
from napari_pea.widgets.batch_table import BatchTable
from napari_pea.widgets.controls import ModelCombo, WideCombo
from napari_pea.widgets.forms import FolderEdit, form, row
from napari_pea.widgets.jobs import Job, JobRunner
from napari_pea.widgets.preferences import preferences
from napari_pea.widgets.sources import NDIM
from napari_pea.widgets.state import SegmentState, state_of, unproxied
from napari_pea.widgets.work import Report

if TYPE_CHECKING:
    import napari.viewer
    from qtpy.QtGui import QHideEvent, QShowEvent

#: The files are listed when nothing was typed for so long, in milliseconds.
STILL_MS = 400
#: The entries of the list of settings.
RECOMMENDED, OF_DOCK = "the model's", "the Segment dock's"
_READY = "Choose a folder of images and a model, then click Run."
LEFT = "Cancelled; what is done is kept, and Run goes on."


class BatchRunner(JobRunner):
    """Runs the batch of one dock."""

    def cancel(self, status: str = LEFT) -> None:
        """Leave the batch under way; it can be gone on with."""
        super().cancel(status)


class BatchDock(QScrollArea):
    """Choose files, a folder for their labels and a model; click Run.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer that the dock belongs to.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = unproxied(napari_viewer)
        self._progress = SegmentState()
        self._runner = BatchRunner(self._progress, self)
        self._listing = SegmentState()
        self._lister = JobRunner(self._listing, self)
        self._suggested = ""
        self._still = QTimer(self)
        self._still.setSingleShot(True)
        self._still.setInterval(STILL_MS)
        self.setObjectName("batch_dock")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._make_controls()
        self._lay_out()
        self._connect()
        self.model_combo.refresh(state_of(self._viewer).model or "nuclei")
        self._show()

    def _make_controls(self) -> None:
        self.input_edit = FolderEdit(
            "batch_input_edit", "Folder of images, or files and patterns like plates/*.tif.", self
        )
        self.files_button = QToolButton(self)
        self.files_button.setObjectName("batch_files_button")
        self.files_button.setText("Files")
        self.files_button.setToolTip("Choose single files.")
        self.output_edit = FolderEdit(
            "batch_output_edit", "Folder for the labels and for summary.csv.", self
        )
        self.model_combo = ModelCombo(self, name="batch_model_combo")
        self.settings_combo = WideCombo(
            "batch_settings_combo",
            "How objects are made: as the model recommends, or as the controls of the Segment dock "
            "stand when you click Run.",
            self,
        )
        self.settings_combo.set_items((RECOMMENDED, OF_DOCK))
        self.channel_spin = QSpinBox(self)
        self.channel_spin.setObjectName("batch_channel_spin")
        self.channel_spin.setRange(-1, 99)
        self.channel_spin.setSpecialValueText("all, or the only one")
        self.channel_spin.setValue(-1)
        self.channel_spin.setToolTip("Which channel shows your objects, counted from 0.")
        self.resume_check = QCheckBox("Skip what is done", self)
        self.resume_check.setObjectName("batch_resume_check")
        self.resume_check.setChecked(True)
        self.resume_check.setToolTip(
            "Images stay as they are whose labels were made with the same settings and model; "
            "without it everything is made again."
        )
        self.tables_check = QCheckBox("A table for each image", self)
        self.tables_check.setObjectName("batch_tables_check")
        self.tables_check.setToolTip(
            "Write <name>.csv beside <name>.tif; summary.csv has the objects of all images."
        )
        self.run_button = QPushButton("Run", self)
        self.run_button.setObjectName("batch_run_button")
        self.cancel_button = QPushButton("Cancel", self)
        self.cancel_button.setObjectName("batch_cancel_button")
        self.cancel_button.setToolTip("Stop; what is done is kept, and Run goes on.")
        self.progress_bar = QProgressBar(self)
        self.progress_bar.setObjectName("batch_progress")
        self.progress_bar.setMaximumHeight(self.fontMetrics().lineSpacing())
        self.status_label = QLabel(self)
        self.status_label.setObjectName("batch_status")
        self.status_label.setWordWrap(True)
        self.status_label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.table = BatchTable(self)
        self.open_button = QPushButton("Show selected", self)
        self.open_button.setObjectName("batch_open_button")
        self.open_button.setToolTip("Open the selected image and its labels in the viewer.")

    def _lay_out(self) -> None:
        controls = form()
        controls.addRow("Images", row(self.input_edit, self.files_button))
        controls.addRow("Labels to", self.output_edit)
        controls.addRow("Model", self.model_combo)
        controls.addRow("Settings", self.settings_combo)
        controls.addRow("Channel", self.channel_spin)
        content = QWidget(self)
        layout = QVBoxLayout(content)
        layout.setSpacing(4)
        layout.addLayout(controls)
        layout.addWidget(self.resume_check)
        layout.addWidget(self.tables_check)
        layout.addLayout(row(self.run_button, self.cancel_button))
        layout.addWidget(self.progress_bar)
        layout.addWidget(self.status_label)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.open_button)
        self.setWidget(content)

    def _connect(self) -> None:
        self.input_edit.changed.connect(self._on_input_changed)
        self.output_edit.changed.connect(lambda _: self._still.start())
        self._still.timeout.connect(self._list)
        self.files_button.clicked.connect(self._on_files_clicked)
        self.model_combo.currentIndexChanged.connect(self._show)
        self.run_button.clicked.connect(self._on_run_clicked)
        self.cancel_button.clicked.connect(lambda: self._runner.cancel())
        self.open_button.clicked.connect(self._on_open_clicked)
        self.table.itemDoubleClicked.connect(lambda _: self._on_open_clicked())
        self.table.itemSelectionChanged.connect(self._show)
        self._progress.events.connect(self._show)
        self._listing.events.connect(self._show)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way or about to be."""
        busy = self._progress.busy or self._listing.busy
        return not (busy or self._still.isActive() or self._lister.saying)

    def _on_input_changed(self, text: str) -> None:
        """Propose a folder beside the images, unless the user has chosen one."""
        if self.output_edit.text() == self._suggested:
            self._suggested = suggested_folder(text)
            self.output_edit.set_text(self._suggested)
        self._still.start()

    def _on_files_clicked(self) -> None:
        kinds = " ".join(f"*{suffix}" for suffix in READABLE)
        paths, _ = QFileDialog.getOpenFileNames(self, "Images", "", f"Images ({kinds})")
        if paths:
            self.input_edit.choose(f"{BETWEEN} ".join(paths))

    def _list(self) -> None:
        """List the files, in another thread: folders may be far away."""
        if self._progress.busy:
            return
        inputs, folder = self.input_edit.text(), self._folder()
        self._progress.status = ""
        if not inputs.strip():
            self.table.show_items(())
            self._listing.status = ""
            return

        def work(_: Report, __: CancelToken) -> tuple[list[Item], int]:
            items = listed_images(inputs, folder)
            return items, count_existing(items)

        self._lister.start(Job("Looking at the files", work, self._on_listed, quiet=True))

    def _on_listed(self, found: tuple[list[Item], int]) -> str:
        items, there = found
        self.table.show_items(items)
        return _counted(len(items), there)

    def _folder(self) -> Path | None:
        text = self.output_edit.text().strip()
        return Path(text).expanduser() if text else None

    def _on_run_clicked(self) -> None:
        entry, folder = self.model_combo.entry(), self._folder()
        inputs = self.input_edit.text()
        if entry is None or folder is None or not inputs.strip():
            return
        state = state_of(self._viewer)
        settings = None
        try:
            if self.settings_combo.currentText() == OF_DOCK:
                settings = state.live.settings
                ndim = NDIM if entry.metadata is None else entry.metadata.ndim
                if state.live.ndim != ndim:
                    raise InputError(
                        f"The Segment dock has settings for {state.live.ndim}D images and the "
                        f"model {entry.name!r} sees {ndim}D ones: choose what the model recommends."
                    )
        except InputError as error:
            self._progress.status = str(error)
            show_warning(str(error))
            return
        wanted = preferences()
        channel = self.channel_spin.value()
        ndim = NDIM if entry.metadata is None else entry.metadata.ndim
        request = BatchRequest(
            inputs,
            folder,
            entry.path,
            state.device or wanted.device,
            settings,
            None if channel < 0 else channel,
            # A network for volumes knows what its tiles should be.
            wanted.tile_size if ndim == NDIM else None,
            self.tables_check.isChecked(),
            self.resume_check.isChecked(),
        )
        self._still.stop()
        if request.resume:
            self._start(request)
        else:
            self._ask_first(request)

    def _ask_first(self, request: BatchRequest) -> None:
        """Run if nothing is replaced, or the user agrees; what is there by now is counted."""

        def work(_: Report, __: CancelToken) -> tuple[int, int]:
            items = listed_images(request.inputs, request.folder)
            return len(items), count_existing(items)

        def deliver(found: tuple[int, int]) -> str:
            if self._may_replace(found[1], request.folder):
                self._start(request)
            return _counted(*found)

        self._progress.status = ""
        self._lister.start(Job("Looking at the files", work, deliver, quiet=True))

    def _start(self, request: BatchRequest) -> None:
        """Segment all images in another thread."""
        job = Job(f"Segmenting the images of {request.inputs}", partial(run, request), str)
        job.take = self._on_item
        self._lister.cancel("")
        self._runner.start(job)

    def _may_replace(self, n_existing: int, folder: Path) -> bool:
        """Ask before labels are made again that are there."""
        if not n_existing:
            return True
        many = f"{n_existing} label image{'' if n_existing == 1 else 's'}"
        answer = QMessageBox.question(self, "Make everything again", f"Replace {many} in {folder}?")
        return bool(answer == QMessageBox.StandardButton.Yes)

    def _on_item(self, found: Listed) -> None:
        if found.row is None:
            self.table.show_items(found.items)
        else:
            self.table.show_item(found.row, found.items[0])

    def _on_open_clicked(self) -> None:
        """Open the selected image and its labels."""
        item = self.table.selected()
        if item is None:
            return
        try:
            self._viewer.open(item.image, plugin="napari")
        except Exception as error:  # noqa: BLE001 - readers raise all sorts of errors
            reason = item.message or f"{item.image} cannot be opened: {error}."
            self._progress.status = reason
            show_warning(reason)
            return
        if item.labels.exists():
            self._viewer.open(
                item.labels, plugin="napari", layer_type="labels", name=f"{item.image.stem} labels"
            )

    def _show(self, _: object = None) -> None:
        """Show what is going on, and let the user click what makes sense."""
        if not isalive(self):
            return
        busy = self._progress.busy
        reason = ""
        if self.model_combo.entry() is None:
            reason = "Choose a model first."
        elif not self.input_edit.text().strip():
            reason = "Choose the images first."
        elif self._folder() is None:
            reason = "Choose a folder for the labels first."
        self.run_button.setEnabled(not busy and not reason)
        self.run_button.setToolTip(reason or "Segment all images, one after the other.")
        self.cancel_button.setEnabled(busy)
        for control in (
            self.input_edit,
            self.files_button,
            self.output_edit,
            self.model_combo,
            self.settings_combo,
            self.channel_spin,
            self.resume_check,
            self.tables_check,
        ):
            control.setEnabled(not busy)
        self.open_button.setEnabled(self.table.selected() is not None)
        # A range of 0 to 0 makes the bar move without an end in sight.
        self.progress_bar.setRange(0, self._progress.total)
        self.progress_bar.setValue(self._progress.done)
        self.progress_bar.setVisible(busy)
        if not busy:
            self.table.nothing_runs()
        self.status_label.setText(self._progress.status or self._listing.status or _READY)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Be wide enough, and look for models."""
        super().showEvent(event)
        content, bar = self.widget(), self.verticalScrollBar()
        if content is not None and bar is not None:
            self.setMinimumWidth(content.minimumSizeHint().width() + bar.sizeHint().width())
        self.model_combo.refresh()

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802 - Qt's name
        """Leave the batch if the dock is gone afterwards; it may be hidden meanwhile."""
        super().hideEvent(event)
        for job in (self._runner.current, self._lister.current):
            if job is not None:
                QTimer.singleShot(0, partial(_stop_if_gone, ref(self), job))


def _counted(n_images: int, n_existing: int) -> str:
    """Return how many images there are, and how many of them have labels."""
    many = f"{n_images} image{'' if n_images == 1 else 's'}"
    return f"{many}; {n_existing} have labels there already." if n_existing else f"{many}."


def _stop_if_gone(dock: ref[BatchDock], job: Job) -> None:
    """Leave a batch whose dock was closed, and ask nothing any more."""
    alive = dock()
    if alive is None or not isalive(alive):
        job.stop()
    elif alive.parentWidget() is None and not alive.isVisible():
        alive._lister.cancel("")
        alive._runner.cancel()
