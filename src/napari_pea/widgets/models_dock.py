"""The dock that shows every model and keeps the user's own in order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtCore import QFileSystemWatcher, Qt, QTimer
from qtpy.QtWidgets import (
    QFrame,
    QLabel,
    QLineEdit,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_pea.core.progress import CancelToken
from napari_pea.models.catalogue import ModelEntry, entry_of, list_models, user_folder
from napari_pea.models.picture import jpeg_of, store_picture, stored_picture
from napari_pea.models.shelf import (
    add_file,
    delete_model,
    duplicate_model,
    last_deleted,
    rename_model,
    restore_model,
)
from napari_pea.widgets.controls import Fold, follow_models, is_image, refresh_model_lists
from napari_pea.widgets.forms import breakable, row
from napari_pea.widgets.jobs import Job, JobRunner
from napari_pea.widgets.models_card import ModelCard
from napari_pea.widgets.models_list import ModelsList
from napari_pea.widgets.models_share import ExportGroup, ImportGroup
from napari_pea.widgets.preferences import preferences
from napari_pea.widgets.sources import level_zero
from napari_pea.widgets.state import SegmentState, unproxied
from napari_pea.widgets.work import Report

if TYPE_CHECKING:
    import napari.viewer
    from qtpy.QtGui import QShowEvent

#: The folder is looked at again when nothing has changed in it for so long, in milliseconds.
QUIET_MS = 200


class ModelsDock(QScrollArea):
    """Look at the models, rename, copy, delete, import and export them.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer that the dock belongs to.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = unproxied(napari_viewer)
        self._progress = SegmentState()
        self.runner = JobRunner(self._progress, self)
        self._elsewhere: list[ModelEntry] = []
        self._wanted: str | None = None
        self.setObjectName("models_dock")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._watcher = QFileSystemWatcher(self)
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(QUIET_MS)
        self._make_controls()
        self._lay_out()
        self._connect()
        self.refresh()

    def _make_controls(self) -> None:
        self.models = ModelsList(self)
        self.card = ModelCard(self)
        self.name_edit = QLineEdit(self)
        self.name_edit.setObjectName("models_name_edit")
        self.name_edit.setToolTip("The name of the model; change it and click Rename.")
        self.rename_button = self._button("models_rename_button", "Rename")
        self.duplicate_button = self._button("models_duplicate_button", "Duplicate")
        self.delete_button = self._button("models_delete_button", "Delete …")
        self.undo_button = self._button("models_undo_button", "Undo delete")
        self.picture_button = self._button("models_picture_button", "Picture of the view")
        self.add_button = self._button("models_add_button", "Add to your models")
        self.cancel_button = self._button("models_cancel_button", "Cancel")
        self.cancel_button.setToolTip("Stop what is under way; nothing is changed.")
        self.import_group = ImportGroup(self.start, lambda: self.folder)
        self.export_group = ExportGroup(self.start, self.models.entry, self._sample)
        self.progress_bar = QProgressBar(self)
        self.progress_bar.setObjectName("models_progress")
        self.progress_bar.setMaximumHeight(self.fontMetrics().lineSpacing())
        self.status_label = QLabel(self)
        self.status_label.setObjectName("models_status")
        self.status_label.setWordWrap(True)
        self.status_label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def _button(self, name: str, text: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setObjectName(name)
        return button

    def _lay_out(self) -> None:
        change = QWidget(self)
        lines = QVBoxLayout(change)
        lines.setContentsMargins(4, 0, 0, 0)
        lines.setSpacing(4)
        lines.addLayout(row(self.name_edit, self.rename_button))
        lines.addLayout(row(self.duplicate_button, self.delete_button, self.undo_button))
        lines.addWidget(self.picture_button)
        content = QWidget(self)
        layout = QVBoxLayout(content)
        layout.setSpacing(4)
        layout.addWidget(self.models)
        layout.addWidget(self.add_button)
        layout.addWidget(self.progress_bar)
        layout.addWidget(self.cancel_button)
        layout.addWidget(self.status_label)
        import_fold = Fold("models_import_fold", "Import", self.import_group)
        export_fold = Fold("models_export_fold", "Export", self.export_group)
        for fold in (import_fold, export_fold):
            fold.collapse(animate=False)  # the card is what most look for
        layout.addWidget(Fold("models_change_fold", "Change", change))
        layout.addWidget(import_fold)
        layout.addWidget(export_fold)
        layout.addWidget(Fold("models_card_fold", "Card", self.card))
        layout.addStretch(1)
        self.setWidget(content)

    def _connect(self) -> None:
        self.models.chosen.connect(self._on_chosen)
        self.name_edit.textChanged.connect(self._enable)
        self.name_edit.returnPressed.connect(self.rename_button.click)
        self.rename_button.clicked.connect(self._on_rename_clicked)
        self.duplicate_button.clicked.connect(self._on_duplicate_clicked)
        self.delete_button.clicked.connect(self._on_delete_clicked)
        self.undo_button.clicked.connect(self._on_undo_clicked)
        self.picture_button.clicked.connect(self._on_picture_clicked)
        self.add_button.clicked.connect(self._on_add_clicked)
        self.cancel_button.clicked.connect(lambda: self.runner.cancel())
        self._progress.events.connect(self._enable)
        self._watcher.directoryChanged.connect(lambda _: self._settled.start())
        self._settled.timeout.connect(refresh_model_lists)
        follow_models(self)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way or about to be."""
        return not (self._progress.busy or self._settled.isActive())

    @property
    def folder(self) -> Path:
        """Where the user's models are."""
        return preferences().model_folder or user_folder()

    def refresh(self) -> None:
        """Look again which models there are."""
        wanted, self._wanted = self._wanted, None
        folder = self.folder
        watched = self._watcher.directories()
        if watched != [str(folder)]:
            if watched:
                self._watcher.removePaths(watched)
            if folder.is_dir():
                self._watcher.addPath(str(folder))
        self._elsewhere = [entry for entry in self._elsewhere if entry.path.exists()]
        self.models.set_entries(list_models(folder), self._elsewhere, wanted)

    def show_file(self, path: str | Path) -> None:
        """Show the card of a model file, wherever it lies; nothing in it is executed.

        Parameters
        ----------
        path : str or Path
            The file.
        """
        place = Path(path).resolve()
        if not any(entry.path.resolve() == place for entry in list_models(self.folder)):
            known = [entry for entry in self._elsewhere if entry.path != place]
            self._elsewhere = [*known, entry_of(place)]
        self.models.search_edit.clear()
        if not self._progress.busy:
            self._progress.status = ""
        self.refresh()
        self.models.choose(place)

    def start(self, title: str, work: Callable[[Report, CancelToken], tuple[str, str]]) -> None:
        """Run something that changes the models.

        Parameters
        ----------
        title : str
            What the user reads meanwhile.
        work : callable
            Called in another thread; returns the model to choose and one sentence.
        """
        self.runner.start(Job(title, work, self._on_changed))

    def _on_changed(self, found: tuple[str, str]) -> str:
        name, sentence = found
        self._wanted = name
        refresh_model_lists()
        return sentence

    def _on_chosen(self) -> None:
        entry = self.models.entry()
        picture = None if entry is None else stored_picture(entry)
        elsewhere = entry is not None and self.models.is_elsewhere(entry)
        self.card.show_entry(entry, picture, elsewhere=elsewhere)
        self.name_edit.setText("" if entry is None else entry.name)
        self.export_group.show_entry(entry)
        self._enable()

    def _sample(self) -> Any:
        """Return the pixels of the selected image, if one is selected."""
        layer = self._viewer.layers.selection.active
        return None if layer is None or not is_image(layer) else level_zero(layer)

    def _enable(self, _: object = None) -> None:
        """Let the user click what makes sense."""
        if not isalive(self):
            return
        entry, busy = self.models.entry(), self._progress.busy
        is_elsewhere = entry is not None and self.models.is_elsewhere(entry)
        is_sound = entry is not None and entry.problem is None and not busy
        is_own = entry is not None and entry.source != "built-in" and not is_elsewhere and not busy
        self.name_edit.setEnabled(is_own and is_sound)
        renamed = self.name_edit.text().strip() not in ("", "" if entry is None else entry.name)
        self.rename_button.setEnabled(is_own and is_sound and renamed)
        self.duplicate_button.setEnabled(is_sound and not is_elsewhere)
        self.delete_button.setEnabled(is_own)
        self.picture_button.setEnabled(is_own and is_sound)
        self.add_button.setVisible(is_elsewhere)
        self.add_button.setEnabled(is_sound)
        built_in = entry is not None and entry.source == "built-in"
        stays = "Models that come with the program stay as they are: duplicate this one first."
        for button, tooltip in (
            (self.rename_button, "Give the model the name in the field."),
            (self.delete_button, "Delete the model; “Undo delete” brings it back."),
            (self.picture_button, "Make what you see in the viewer the picture of the model."),
        ):
            button.setToolTip(stays if built_in else tooltip)
        self.duplicate_button.setToolTip("Copy the model into your folder.")
        self.add_button.setToolTip(f"Copy the model to {self.folder}.")
        self.import_group.enable(busy=busy)
        self.export_group.enable(busy=busy)
        deleted = last_deleted(folder=self.folder)
        self.undo_button.setEnabled(deleted is not None and not busy)
        self.undo_button.setToolTip(
            "Nothing was deleted." if deleted is None else f"Bring the model {deleted!r} back."
        )
        self.progress_bar.setRange(0, self._progress.total if self._progress.total > 1 else 0)
        self.progress_bar.setValue(self._progress.done)
        self.progress_bar.setVisible(busy)
        self.cancel_button.setVisible(busy)
        self.status_label.setText(breakable(self._progress.status))
        self.status_label.setVisible(bool(self._progress.status))

    def _on_rename_clicked(self) -> None:
        entry = self.models.entry()
        if entry is not None:
            new = self.name_edit.text().strip()
            self._run(f"Renaming {entry.name}", rename_model, entry.name, new)

    def _on_duplicate_clicked(self) -> None:
        entry = self.models.entry()
        if entry is not None:
            self._run(f"Copying {entry.name}", duplicate_model, entry.name)

    def _on_delete_clicked(self) -> None:
        """Delete the model, if the user confirms it."""
        entry = self.models.entry()
        if entry is None:
            return
        answer = QMessageBox.question(
            self, "Delete the model", f"Delete the model “{entry.name}”? It can be undone."
        )
        if answer == QMessageBox.StandardButton.Yes:
            self.start(f"Deleting {entry.name}", partial(_delete, entry.name, self.folder))

    def _on_undo_clicked(self) -> None:
        self.start("Bringing the model back", partial(_restore, self.folder))

    def _on_add_clicked(self) -> None:
        entry = self.models.entry()
        if entry is not None:
            self._elsewhere = [each for each in self._elsewhere if each is not entry]
            self._run(f"Adding {entry.name}", add_file, entry.path)

    def _on_picture_clicked(self) -> None:
        entry = self.models.entry()
        if entry is None:
            return
        view: Any = self._viewer.screenshot(canvas_only=True, flash=False)
        # The middle of it, without the empty rims of a wide canvas.
        side = min(view.shape[:2])
        top, left = ((length - side) // 2 for length in view.shape[:2])
        view = view[top : top + side, left : left + side]
        self.start(f"Picture of {entry.name}", partial(_take_picture, entry, view))

    def _run(self, title: str, change: Callable[..., Path], *given: object) -> None:
        """Run one of the functions of `napari_pea.models.shelf` that make a file."""
        self.start(title, partial(_change, change, given, self.folder))

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Be wide enough, and look for new models."""
        super().showEvent(event)
        content, bar = self.widget(), self.verticalScrollBar()
        if content is not None and bar is not None:
            self.setMinimumWidth(content.minimumSizeHint().width() + bar.sizeHint().width())
        self.refresh()


def _change(
    change: Callable[..., Path], given: tuple[object, ...], folder: Path, _: Report, __: CancelToken
) -> tuple[str, str]:
    name = entry_of(change(*given, folder=folder)).name
    return name, f"There is the model {name!r} now."


def _delete(name: str, folder: Path, _: Report, __: CancelToken) -> tuple[str, str]:
    delete_model(name, folder=folder)
    return "", f"Deleted {name!r}; “Undo delete” brings it back."


def _restore(folder: Path, _: Report, __: CancelToken) -> tuple[str, str]:
    name = restore_model(folder=folder)
    return name, f"The model {name!r} is back."


def _take_picture(entry: ModelEntry, view: Any, _: Report, __: CancelToken) -> tuple[str, str]:
    store_picture(entry.path, jpeg_of(view))
    return entry.name, f"The model {entry.name!r} has a new picture."
