"""Carrying out the last of many changes."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer

#: Changes that follow each other faster are one, in milliseconds.
PAUSE_MS = 35


class Debouncer(QObject):
    """Calls a function at once, and for quick repetitions once more when they end.

    A single change is thus not held up, and of many the last one counts.

    Parameters
    ----------
    call : callable
        What to call.
    parent : QObject
        Nothing is called once this is destroyed.
    pause : int
        How long it must be quiet, in milliseconds.
    """

    def __init__(self, call: Callable[[], None], parent: QObject, pause: int = PAUSE_MS) -> None:
        super().__init__(parent)
        self._call = call
        self._waiting = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(pause)
        self._timer.timeout.connect(self._on_quiet)

    @property
    def waiting(self) -> bool:
        """Whether a call is still to come."""
        return self._waiting

    def __call__(self) -> None:
        """Ask for a call."""
        if self._timer.isActive():
            self._waiting = True
            self._timer.start()
        else:
            self._timer.start()
            self._call()

    def stop(self) -> None:
        """Forget the call that is still to come."""
        self._waiting = False

    def _on_quiet(self) -> None:
        if self._waiting:
            self._waiting = False
            self._timer.start()
            self._call()
