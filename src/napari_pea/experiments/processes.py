"""Measuring in a process of its own: starting one, and how much memory this one holds."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, check_cancel

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

#: How often a wait looks whether it was cancelled.
CHECK_SECONDS = 0.1
#: Something is wrong if a process does not begin, in seconds.
PATIENCE = 300.0


@contextmanager
def fresh_process(
    target: Callable[..., None], *arguments: Any, cancel: CancelToken | None = None
) -> Iterator[Callable[[], Any]]:
    """Run a function in a process that has done nothing else, and end it in the end.

    Parameters
    ----------
    target : callable
        Given a function that sends a value, and the arguments. It sends nothing more if
        memory runs out.
    *arguments
        Can be pickled.
    cancel : CancelToken, optional
        Looked at while waiting.

    Yields
    ------
    callable
        Waits for the next value and returns it; raises EOFError if there is none any more.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_run, args=(sender, target, arguments), daemon=True)
    child.start()
    sender.close()

    def receive() -> Any:
        while not receiver.poll(CHECK_SECONDS):
            check_cancel(cancel)
        return receiver.recv()

    try:
        yield receive
    finally:
        receiver.close()
        child.terminate()
        child.join()


def _run(sender: Connection, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process decides
    with suppress(MemoryError), sender:
        target(sender.send, *arguments)


def killed(target: Callable[..., None], *arguments: Any, after: float) -> bool:
    """Run a function in another process and kill it some time after it has begun.

    Parameters
    ----------
    target : callable
        Given a function to call when the time begins, and the arguments.
    *arguments
        Can be pickled.
    after : float
        In seconds.

    Returns
    -------
    bool
        False if the process had ended by itself.

    Raises
    ------
    InputError
        If it does not begin, or has failed.
    """
    context = multiprocessing.get_context("spawn")
    begun = context.Event()
    child = context.Process(target=_run_until, args=(begun, target, arguments), daemon=True)
    child.start()
    try:
        if not begun.wait(PATIENCE):
            raise InputError("The process that is to be killed has not begun.")
        child.join(after)
        if child.exitcode:
            raise InputError("The process that is to be killed has failed.")
        return child.exitcode is None
    finally:
        child.kill()
        child.join()
        child.close()


def _run_until(begun: Any, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    target(begun.set, *arguments)


def memory(name: str) -> int | None:
    """Return a figure of this process from the kernel of Linux, in bytes, if it is known.

    Parameters
    ----------
    name : str
        "VmHWM", the most that was ever held, or "VmRSS", what is held now. Other counters go
        on from the parent process; these are the process's own.
    """
    if not sys.platform.startswith("linux"):
        return None
    lines = Path("/proc/self/status").read_text().splitlines()
    found = (line for line in lines if line.startswith(f"{name}:"))
    return next((1024 * int(line.split()[1]) for line in found), None)
