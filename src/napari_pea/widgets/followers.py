"""The jobs that follow a result, one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import ref

from qtpy.QtCore import QObject, QTimer

from napari_pea.widgets.jobs import Job, JobRunner
from napari_pea.widgets.sessions import LiveSession

#: Makes a job for a session that shows a new result; None if there is nothing to do.
FollowUp = Callable[[LiveSession], Job | None]


#: What follows a change begins when the labels are on the screen and the user is likely
#: to look at them, in milliseconds.
LATER_MS = 120


class Followers(QObject):
    """Starts quiet jobs after a result; a newer one takes their place.

    Parameters
    ----------
    runner : JobRunner
        Runs the jobs.
    parent : QObject
        Nothing is started once this is destroyed.
    """

    def __init__(self, runner: JobRunner, parent: QObject) -> None:
        super().__init__(parent)
        self._runner = runner
        self._session: ref[LiveSession] | None = None
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(LATER_MS)
        self._later.timeout.connect(self._on_later)
        self._standing: list[FollowUp] = []
        self._queue: deque[FollowUp] = deque()

    @property
    def waiting(self) -> bool:
        """Whether something is about to be started."""
        return self._later.isActive()

    def add(self, make_job: FollowUp) -> None:
        """Let a quiet job follow every result.

        Parameters
        ----------
        make_job : callable
            Given the session; returns the job, or None if there is nothing to do.
        """
        self._standing.append(make_job)

    def add_now(self, session: LiveSession, *make_jobs: FollowUp) -> None:
        """Let quiet jobs follow the result that a session shows already.

        Parameters
        ----------
        session : LiveSession
            Whose result.
        *make_jobs : callable
            See `add`.
        """
        self._queue.extend(make_jobs)
        if self._runner.current is None and not self.waiting:
            self._next(session, goes_on=False)

    def start(self, session: LiveSession, *, goes_on: bool) -> None:
        """Start what follows a new result.

        Parameters
        ----------
        session : LiveSession
            Whose result.
        goes_on : bool
            Whether the user is waiting for it.
        """
        self._queue = deque(self._standing)
        if goes_on:
            self._next(session, goes_on=True)
        else:
            self._session = ref(session)
            self._later.start()

    def clear(self) -> None:
        """Give up what has not been started."""
        self._queue.clear()
        self._later.stop()

    def _on_later(self) -> None:
        session = None if self._session is None else self._session()
        if session is not None and self._runner.current is None:
            self._next(session, goes_on=False)

    def _next(self, session: LiveSession, *, goes_on: bool) -> None:
        while self._queue:
            job = self._queue.popleft()(session)
            if job is None:
                continue
            job.layer = None if session.source is None else ref(session.source)
            job.goes_on = goes_on
            job.deliver = partial(self._deliver, session, job.deliver, goes_on)
            self._runner.start(job)
            return

    def _deliver(
        self,
        session: LiveSession,
        deliver: Callable[[Any], str],
        goes_on: bool,
        result: Any,
    ) -> str:
        said = deliver(result)
        self._next(session, goes_on=goes_on)
        return said
