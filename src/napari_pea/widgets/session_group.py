"""Saving everything the dock knows about an image, and going on with it later."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_warning
from qtpy.compat import isalive
from qtpy.QtWidgets import QCheckBox, QFileDialog, QPushButton, QVBoxLayout, QWidget

from napari_pea.core.errors import InputError
from napari_pea.io.session import SUFFIX
from napari_pea.widgets.forms import ask_where, row
from napari_pea.widgets.jobs import Job, JobRunner
from napari_pea.widgets.live import Live
from napari_pea.widgets.state import SegmentState

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_pea.widgets.session_opening import Choose


class SessionGroup(QWidget):
    """The buttons that save and open sessions.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer itself, not a proxy of it.
    state : SegmentState
        The state of the viewer.
    runner : JobRunner
        Runs the jobs of the dock.
    live : Live
        Knows what the controls act on.
    choose : callable
        Chooses image and model in the dock.
    chosen : callable
        Returns what is chosen in the dock, as plain values.
    """

    def __init__(
        self,
        viewer: Viewer,
        state: SegmentState,
        runner: JobRunner,
        live: Live,
        choose: Choose,
        chosen: Callable[[], dict[str, Any]],
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._state = state
        self._runner = runner
        self._live = live
        self._chosen = chosen
        self._choose = choose
        self.save_button = QPushButton("Save session …", self)
        self.save_button.setObjectName("save_session_button")
        self.save_button.setToolTip(
            "Keep labels, strokes, settings and what the network has said in one folder, so that "
            "you can go on where you are now without waiting."
        )
        self.open_button = QPushButton("Open session …", self)
        self.open_button.setObjectName("open_session_button")
        self.open_button.setToolTip("Go on where a session was saved; the network does not run.")
        self.copy_check = QCheckBox("With a copy of the image", self)
        self.copy_check.setObjectName("session_image_check")
        self.copy_check.setToolTip(
            "Put the image into the folder too, so that it can be sent to somebody. Images that "
            "have no file are always copied."
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row(self.save_button, self.open_button))
        layout.addWidget(self.copy_check)
        self.save_button.clicked.connect(self._on_save_clicked)
        self.open_button.clicked.connect(self._on_open_clicked)
        live.session_changed.connect(self._enable)
        live.result_shown.connect(self._enable)
        self._enable()

    def open(self, path: str | Path) -> None:
        """Open a session.

        Parameters
        ----------
        path : str or Path
            The folder.
        """
        from napari_pea.widgets.session_opening import SessionOpener

        opener = SessionOpener(self._viewer, self._state, self._runner, self._live, self._choose)
        opener.open(Path(path))

    def _enable(self, _: object = None) -> None:
        if isalive(self):
            session = self._live.session
            self.save_button.setEnabled(session is not None and session.result is not None)

    def _on_save_clicked(self) -> None:
        from napari_pea.widgets.session_saving import collect, save

        session = self._live.session
        source = None if session is None else session.source
        if session is None or source is None:
            return
        file = source.source.path
        beside = Path(file).parent if file and "://" not in str(file) else Path()
        path = ask_where(
            self,
            "Save the session",
            str(beside / f"{source.name}{SUFFIX}"),
            f"Sessions (*{SUFFIX})",
            _whole,
        )
        if path is None:
            return
        try:
            request = collect(
                self._viewer,
                self._state,
                session,
                path,
                self._chosen(),
                with_image=self.copy_check.isChecked(),
            )
        except InputError as error:
            self._state.status = str(error)
            show_warning(str(error))
            return
        self._runner.start(Job(f"Saving {path.name}", partial(save, request), _saved))

    def _on_open_clicked(self) -> None:
        path = QFileDialog.getExistingDirectory(self, f"Open a session (a folder *{SUFFIX})")
        if path:
            self.open(path)


def _whole(given: str) -> Path:
    """Return the whole name of a session."""
    return Path(given if given.endswith(SUFFIX) else f"{given.removesuffix('.zarr')}{SUFFIX}")


def _saved(path: Path) -> str:
    return f"Saved {path}."
