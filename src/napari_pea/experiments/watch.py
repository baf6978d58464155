"""Watching a window: how long it stands still, and whose code it is that holds it."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

#: How often the window is asked whether it is alive, in milliseconds.
TICK_MS = 2
#: How often the running code is looked at, in seconds.
LOOK_SECONDS = 0.002
#: Code of these packages that our code has called is not our code.
OURS, THEIRS = "napari_pea", ("napari", "vispy", "app_model", "psygnal", "superqt", "magicgui")


def keep_running() -> None:
    """Let the program go on when its last window closes."""
    from napari.qt import get_qapp

    get_qapp().setQuitOnLastWindowClosed(False)


class Stall(NamedTuple):
    """How long an event loop did not turn.

    Attributes
    ----------
    seconds : float
        By the clock.
    busy : float
        What its thread has computed meanwhile, in seconds: unlike the clock, that does not
        count what other programs do to the machine.
    """

    seconds: float
    busy: float


class StallWatch:
    """Measures the longest time that an event loop did not turn.

    Parameters
    ----------
    parent : QObject
        Lives as long as the watch.
    """

    def __init__(self, parent: Any) -> None:
        from qtpy.QtCore import Qt, QTimer

        self._last = Stall(time.perf_counter(), time.thread_time())
        self._worst = Stall(0.0, 0.0)
        self._timer = QTimer(parent)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def take(self) -> Stall:
        """Return the longest stall since the last call, by the clock and by what was busy."""
        self._tick()
        worst, self._worst = self._worst, Stall(0.0, 0.0)
        return worst

    def stop(self) -> None:
        """Stop watching."""
        self._timer.stop()

    def _tick(self) -> None:
        now, last = Stall(time.perf_counter(), time.thread_time()), self._last
        self._worst = Stall(
            max(self._worst.seconds, now.seconds - last.seconds),
            max(self._worst.busy, now.busy - last.busy),
        )
        self._last = now


class OwnTime:
    """Measures the longest time that our own code held the main thread without a break.

    A thread looks at what the main thread is doing. What napari does on our behalf is not
    ours: redrawing a layer, for example, takes its time whoever asks for it.
    """

    def __init__(self) -> None:
        self.worst = 0.0
        self.where = ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="benchmark watch", daemon=True)

    def __enter__(self) -> OwnTime:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        main = threading.main_thread().ident
        since: float | None = None
        while not self._stopped.wait(LOOK_SECONDS):
            # A frame that is held on to would keep what it paints with alive.
            place = own_place(sys._current_frames().get(main or 0))
            now = time.perf_counter()
            if place is None:
                since = None
                continue
            if since is None:
                since = now - LOOK_SECONDS
            if now - since > self.worst:
                self.worst, self.where = now - since, place


def own_place(frame: FrameType | None) -> str | None:
    """Return which line of our code a thread is in; None if it is in none, or beyond it.

    Parameters
    ----------
    frame : frame or None
        The innermost frame of the thread.
    """
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        module = str(frame.f_globals.get("__name__", ""))
        if package in THEIRS:
            return None
        if package == OURS:
            # The benchmark turns the event loop itself.
            if module.startswith(f"{OURS}.experiments"):
                return None
            return f"{module}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def running_threads(wait: float = 5.0) -> list[str]:
    """Return the names of the threads that Python has started, or that run Python now.

    Threads of Qt become known to Python when they first run it, and stay on its list when
    they have ended; those of its pool are kept for later work. So such a thread counts only
    if it is at work.

    Parameters
    ----------
    wait : float
        How long the pool of Qt may take to end its work, in seconds.
    """
    from qtpy.QtCore import QThreadPool

    pool = QThreadPool.globalInstance()
    if pool is not None:
        pool.waitForDone(int(1000 * wait))
    at_work = sys._current_frames().keys()
    names = []
    for thread in threading.enumerate():
        if not isinstance(thread, threading._DummyThread):
            names.append(thread.name)
        elif thread.ident in at_work:
            names.append("a thread of Qt")
    return names


def memory() -> float | None:
    """Return the memory that this process holds now, in 10^6 bytes, if it is known."""
    gc.collect()
    status = Path("/proc/self/statm")
    if not status.exists():
        return None
    # Memory that was given back to the allocator only would hide what is still in use.
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    import resource

    return int(status.read_text().split()[1]) * resource.getpagesize() / 1e6
