"""Running long work beside the window: one job at a time, the latest wins."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Event
from time import perf_counter
from typing import TYPE_CHECKING, Any
from weakref import ref

from napari.qt.threading import FunctionWorker, create_worker
from napari.utils import cancelable_progress
from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, QTimer, Signal

from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.progress import CancelToken
from napari_pea.widgets.state import SegmentState
from napari_pea.widgets.work import Report

if TYPE_CHECKING:
    from napari.layers import Layer


#: How long the window waits at most for a quiet job to begin.
BEGIN_SECONDS = 0.004
#: The window hears of a quiet job after the labels were drawn, in milliseconds.
SAY_MS = 60
#: A quiet job that lasts longer shows its progress, in milliseconds.
QUIET_MS = 400
#: A job that lasts longer is shown in napari's activity dock too, in milliseconds. Every change
#: there has the window do all that is pending at once, so short jobs are left out,
BAR_MS = 1000
#: and changes are shown no faster than this, in seconds.
BAR_SECONDS = 0.25


@dataclass(frozen=True)
class _Refusal:
    """Why a job could not be done, in one sentence."""

    sentence: str


class _Relay(QObject):
    """Carries reports from the thread of a job to that of the window."""

    stepped = Signal(str, int, int)
    handed_over = Signal(object, object)

    def __call__(self, step: str, done: int = 0, total: int = 0, /) -> None:
        """Pass a report on; callable from any thread."""
        self.stepped.emit(step, done, total)

    def hand_over(self, part: Any, /) -> None:
        """Pass a part of the result on; callable from any thread."""
        self.handed_over.emit(self, part)


class _ActivityBar(cancelable_progress):
    """A bar in napari's activity dock whose button really cancels."""

    def cancel(self) -> None:
        """Cancel the job."""
        super().cancel()
        if self.cancel_callback is not None:
            self.cancel_callback()

    def show(self, step: str, done: int, total: int) -> None:
        """Show the present step of the job."""
        if self.disable:  # it was closed
            return
        self.set_description(step)
        self.total = total
        if done != self.n:
            self.update(done - self.n)


class Job:
    """A piece of work and what is to happen with its result.

    Parameters
    ----------
    title : str
        What the user reads, for example when closing napari while the job runs.
    work : callable
        Called in another thread with a `Report` and a `CancelToken`; may raise
        `InputError` and `Cancelled`.
    deliver : callable
        Called in the thread of the window with the result; returns one sentence for the
        user, or "" to leave what is said there. It is not called for jobs that were
        stopped.
    quiet : bool
        Whether the job is expected to be over before the user needs to know of it. Its
        progress is shown only if it lasts.
    layer : weak reference, optional
        The layer that the work is for.
    subject : hashable, optional
        What of the layer it is for.
    """

    def __init__(
        self,
        title: str,
        work: Callable[[Report, CancelToken], Any],
        deliver: Callable[[Any], str],
        *,
        quiet: bool = False,
        layer: ref[Layer] | None = None,
        subject: Hashable = None,
    ) -> None:
        self.title = title
        self.quiet = quiet
        self.layer = layer
        self.subject = subject
        #: Called in the thread of the window with what the work hands over before its end.
        self.take: Callable[[Any], object] = _nothing
        #: Whether the window lets it begin before anything else.
        self.at_once = False
        #: Whether the user is waiting for it, as the rest of a longer job.
        self.goes_on = False
        #: Set when the work begins.
        self.begun = Event()
        self.deliver = deliver
        self.token = CancelToken()
        self.relay = _Relay()
        self._work = work
        self._bar: _ActivityBar | None = None
        self._step: tuple[str, int, int] | None = None
        self._shown_at = 0.0
        self._over = False

    def __repr__(self) -> str:
        return self.title

    def __call__(self) -> Any:
        """Do the work, in whatever thread this is called; it is done only once."""
        work, self._work = self._work, _nothing
        self.begun.set()
        try:
            return work(self.relay, self.token)
        except Cancelled:
            return None
        except InputError as error:
            return _Refusal(str(error))

    def is_about(self, layer: Layer | None, subject: Hashable = None) -> bool:
        """Whether the work is for a layer, and for what of it if that is given."""
        if layer is None or self.layer is None or self.layer() is not layer:
            return False
        return subject is None or self.subject == subject

    def open_bar(self, cancel: Callable[[], None]) -> None:
        """Show the job in napari's activity dock; `cancel` is called by its button."""
        if self._over:
            return
        self._bar = _ActivityBar(desc=self.title, total=0, cancel_callback=cancel)
        if self._over:  # opening a bar lets other events happen
            self.close_bar()
        elif self._step is not None:
            self.show(*self._step)

    def show(self, step: str, done: int, total: int) -> None:
        """Show the present step in the activity dock, unless the last one is quite new."""
        self._step = step, done, total
        now = perf_counter()
        if self._bar is not None and now - self._shown_at > BAR_SECONDS:
            self._shown_at = now
            self._bar.show(step, done, total)

    def close_bar(self) -> None:
        """Take the job out of the activity dock."""
        self._over = True
        if self._bar is not None:
            self._bar.close()

    def stop(self) -> None:
        """Ask the work to stop at its next check; its result is not wanted any more."""
        self.token.cancel()
        self.release()

    def release(self) -> None:
        """End the job: napari keeps workers, and what they hold would stay in memory."""
        self.close_bar()
        self._work = self.deliver = self.take = _nothing


def _nothing(*_: object) -> str:
    """Do nothing, and say nothing."""
    return ""


class _JobWorker(FunctionWorker):
    """A worker that stops when napari asks it to, which it does when a window closes."""

    def quit(self) -> None:
        """Cancel the job."""
        self._func.token.cancel()
        super().quit()


class JobRunner(QObject):
    """Runs the jobs of one dock, never two at once.

    A new job cancels the one under way and starts as soon as that has stopped, so that
    two never share the memory. Results of cancelled jobs are dropped.

    Parameters
    ----------
    state : SegmentState
        Told what is going on.
    parent : QObject
        The dock; when it is destroyed, nothing is delivered any more.
    """

    #: The thread of a job has come to its end.
    ended = Signal()

    def __init__(self, state: SegmentState, parent: QObject) -> None:
        super().__init__(parent)
        self._state = state
        self._current: Job | None = None
        self._running: Job | None = None
        self._worker: FunctionWorker[Any] | None = None
        self._show_later = QTimer(self)
        self._show_later.setSingleShot(True)
        self._show_later.setInterval(QUIET_MS)
        self._show_later.timeout.connect(self._show_now)
        self._bar_later = QTimer(self)
        self._bar_later.setSingleShot(True)
        self._bar_later.setInterval(BAR_MS)
        self._bar_later.timeout.connect(self._open_bar)
        self._said = self._to_say = ""
        self._say_later = QTimer(self)
        self._say_later.setSingleShot(True)
        self._say_later.setInterval(SAY_MS)
        self._say_later.timeout.connect(self._say_now)

    @property
    def current(self) -> Job | None:
        """The job whose result is wanted, if there is one."""
        return self._current

    @property
    def saying(self) -> bool:
        """Whether the user is about to be told what the last job has brought."""
        return self._say_later.isActive()

    def start(self, job: Job) -> None:
        """Run a job in place of any that is under way."""
        if self._current is not None:
            self._current.stop()
        self._current = job
        if self.saying:
            self._say_now()
        # What a quiet job does not change stays said.
        self._said = self._state.status if job.quiet else ""
        if not job.quiet:
            self._state.status = f"{job.title} …"
        self._state.total = 0
        self._state.quiet = job.quiet and not job.goes_on
        self._state.busy = True
        if self._worker is None:
            self._launch(job)

    def cancel(self, status: str = "Cancelled; nothing was changed.") -> None:
        """Stop the job under way, if there is one.

        Parameters
        ----------
        status : str
            What the user is told.
        """
        if self._current is not None:
            self._current.stop()
            self._become_idle(status)

    def _launch(self, job: Job) -> None:
        """Start the thread of a job."""
        job.relay.stepped.connect(self._on_step)
        job.relay.handed_over.connect(self._on_handed_over)
        worker = create_worker(job, _worker_class=_JobWorker, _start_thread=False)
        worker.returned.connect(self._on_returned)
        worker.errored.connect(self._on_errored)
        worker.finished.connect(self._on_finished)
        self._running = job
        self._worker = worker
        worker.start()
        if job.quiet:
            self._show_later.start()
        if job.at_once:
            # Painting keeps Python to itself: let the other thread begin before it.
            job.begun.wait(BEGIN_SECONDS)
        self._bar_later.start()

    def _show_now(self) -> None:
        """Show the progress of a quiet job that lasts."""
        job = self._running
        if job is not None and job is self._current:
            self._state.quiet = False

    def _open_bar(self) -> None:
        """Show a job that lasts in the activity dock."""
        job = self._running
        if job is not None and job is self._current:
            job.open_bar(self.cancel)

    def _on_step(self, step: str, done: int, total: int) -> None:
        job = self._running
        if job is None or job is not self._current:
            return
        if not self._state.quiet:
            self._state.status = step
        self._state.done = done
        self._state.total = total
        job.show(step, done, total)

    def _on_handed_over(self, relay: _Relay, part: Any) -> None:
        job = self._running
        if job is not None and job is self._current and job.relay is relay:
            job.take(part)

    def _on_returned(self, result: Any) -> None:
        job = self._running
        if job is None or job is not self._current:
            return
        job.close_bar()
        if isinstance(result, _Refusal):
            self._become_idle(result.sentence)
            show_warning(result.sentence)
            return
        said = self._said
        self._become_idle(said)
        try:
            # What `deliver` starts may end without a word: then this is said again.
            self._to_say = self._said = job.deliver(result) or said
            if job.quiet and not job.goes_on:
                self._say_later.start()
            else:
                self._say_now()
        except InputError as error:
            self._state.status = str(error)
            show_warning(str(error))

    def _say_now(self) -> None:
        """Say what the last job has brought."""
        self._say_later.stop()
        self._state.status = self._said = self._to_say

    def _on_errored(self, _: Exception) -> None:
        if self._running is self._current:
            self._become_idle("Something went wrong; nothing was changed.")

    def _on_finished(self) -> None:
        job = self._running
        self._worker = self._running = None
        self._show_later.stop()
        self._bar_later.stop()
        if job is not None:
            job.release()
        if self._current is job:  # napari made the worker quit
            self._become_idle("")
        elif self._current is not None:
            self._launch(self._current)
        self.ended.emit()

    def _become_idle(self, status: str) -> None:
        self._current = None
        self._state.busy = False
        self._state.done = self._state.total = 0
        self._state.status = status
