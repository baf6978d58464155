"""Steering a run from outside, and hearing from it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_pea.core.progress import CancelToken, check_cancel

if TYPE_CHECKING:
    # The window makes a `TrainingControl` and must not wait for PyTorch.
    from napari_pea.core.networks.base import Network

#: What a run is doing.
Phase = Literal["preparing", "training", "validating", "paused", "stopped", "finished"]
#: How often a paused run looks whether it is to go on, in seconds.
WAIT_SECONDS = 0.1
#: The speed is that of at most so many of the last iterations.
PACE_ITERATIONS = 50


class TrainingControl:
    """Pause, resume, and stop-and-keep-best, set by one thread and obeyed by the run.

    Cancelling is left to `CancelToken`: a run that is cancelled raises, one that is stopped
    ends as if it were through.

    Examples
    --------
    >>> control = TrainingControl()
    >>> control.pause()
    >>> control.paused
    True
    """

    def __init__(self) -> None:
        self._going = threading.Event()
        self._going.set()
        self._stop = threading.Event()

    @property
    def paused(self) -> bool:
        """Whether the run is to wait."""
        return not self._going.is_set()

    @property
    def stopped(self) -> bool:
        """Whether the run is to end with what it has."""
        return self._stop.is_set()

    def pause(self) -> None:
        """Let the run wait before its next iteration; it saves a checkpoint first."""
        self._going.clear()

    def resume(self) -> None:
        """Let the run go on."""
        self._going.set()

    def stop(self) -> None:
        """Let the run validate once more, keep its best version and end."""
        self._stop.set()

    def wait(self, cancel: CancelToken | None = None) -> None:
        """Return when the run may go on or is to stop.

        Raises
        ------
        Cancelled
            If `cancel` was set while waiting.
        """
        while self.paused and not self.stopped:
            check_cancel(cancel)
            self._going.wait(WAIT_SECONDS)


@dataclass(frozen=True)
class TrainingStatus:
    """Where a run stands.

    Attributes
    ----------
    phase : str
        What it is doing.
    iteration, iterations : int
        Done and in all.
    loss : float, optional
        Of the last iteration.
    speed : float, optional
        Iterations a second, without validations and pauses.
    seconds_left : float, optional
        At that speed.
    best_score : float, optional
        Of the best version so far, and when it was reached.
    best_iteration : int, optional
        As above.
    """

    phase: Phase
    iteration: int
    iterations: int
    loss: float | None = None
    speed: float | None = None
    seconds_left: float | None = None
    best_score: float | None = None
    best_iteration: int | None = None


@dataclass(frozen=True)
class TrainingHooks:
    """What is called while a run goes on, in the thread of the run.

    Attributes
    ----------
    on_status : callable, optional
        Called after every iteration and whenever the phase changes.
    on_row : callable, optional
        Called with each new row of the log: see `napari_pea.training.history.History`.
    on_preview : callable, optional
        Called with the averaged network, in evaluation mode, and the iteration, at most
        every `preview_seconds`. It may take its time: the run waits. It must not keep the
        network, which goes on changing.
    preview_seconds : float
        As above.
    """

    on_status: Callable[[TrainingStatus], None] | None = None
    on_row: Callable[[dict[str, float]], None] | None = None
    on_preview: Callable[[Network, int], None] | None = None
    preview_seconds: float = 20.0


class Reporter:
    """Calls the hooks of a run.

    Parameters
    ----------
    hooks : TrainingHooks
    """

    def __init__(self, hooks: TrainingHooks) -> None:
        self._hooks = hooks
        self._seconds: deque[float] = deque(maxlen=PACE_ITERATIONS)
        self._previewed = -float("inf")

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Take the time of an iteration."""
        started = time.perf_counter()
        yield
        self._seconds.append(time.perf_counter() - started)

    def status(
        self,
        phase: Phase,
        iteration: int,
        iterations: int,
        *,
        loss: float | None,
        best_score: float | None,
        best_iteration: int | None,
    ) -> None:
        """Tell where the run stands."""
        if self._hooks.on_status is None:
            return
        total = sum(self._seconds)
        speed = len(self._seconds) / total if total > 0 else None
        self._hooks.on_status(
            TrainingStatus(
                phase,
                iteration,
                iterations,
                loss=loss,
                speed=speed,
                seconds_left=None if speed is None else (iterations - iteration) / speed,
                best_score=best_score,
                best_iteration=best_iteration,
            )
        )

    def row(self, row: dict[str, float]) -> None:
        """Show a row of the log."""
        if self._hooks.on_row is not None:
            self._hooks.on_row(dict(row))

    def preview(self, network: Network, iteration: int) -> None:
        """Show the network if it is time."""
        if self._hooks.on_preview is None:
            return
        if time.perf_counter() - self._previewed >= self._hooks.preview_seconds:
            network.eval()
            self._hooks.on_preview(network, iteration)
            self._previewed = time.perf_counter()
