"""Progress and cancelling, as plain callables that any face can supply."""

from __future__ import annotations

import threading
from typing import Protocol

from napari_pea.core.errors import Cancelled


class Progress(Protocol):
    """Called with the steps done and the steps in all; must return quickly."""

    def __call__(self, done: int, total: int, /) -> None:
        """Take note that `done` of `total` steps are finished."""


class CancelToken:
    """A flag that one thread sets and the working thread checks.

    Examples
    --------
    >>> token = CancelToken()
    >>> token.cancel()
    >>> token.cancelled
    True
    """

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Whether the job was asked to stop."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Ask the job to stop at its next check."""
        self._event.set()

    def check(self) -> None:
        """Stop the job here if it was asked to.

        Raises
        ------
        Cancelled
            If `cancel` was called.
        """
        if self._event.is_set():
            raise Cancelled("Cancelled.")


def ignore_progress(done: int, total: int, /) -> None:
    """Take no notice of progress."""


def check_cancel(token: CancelToken | None) -> None:
    """Raise `Cancelled` if `token` is given and set."""
    if token is not None:
        token.check()
