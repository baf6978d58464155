"""Measuring in a process of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.progress import CancelToken
from napari_pea.experiments.processes import fresh_process, killed


def tell(send: Callable[[int], None], *values: int) -> None:
    for value in values:
        send(value)
    send(os.getpid())


def run_out_of_memory(send: Callable[[int], None]) -> None:
    raise MemoryError


def wait_forever(send: Callable[[int], None]) -> None:
    while True:
        pass


def test_values_come_from_another_process() -> None:
    with fresh_process(tell, 3, 4) as receive:
        assert [receive(), receive()] == [3, 4]
        assert receive() != os.getpid()
        with pytest.raises(EOFError):
            receive()


def test_nothing_comes_when_memory_runs_out() -> None:
    with fresh_process(run_out_of_memory) as receive, pytest.raises(EOFError):
        receive()


def test_cancelling_ends_the_wait() -> None:
    token = CancelToken()
    token.cancel()
    with fresh_process(wait_forever, cancel=token) as receive, pytest.raises(Cancelled):
        receive()


def begins(begun: Callable[[], None], path: str, seconds: float) -> None:
    begun()
    time.sleep(seconds)
    Path(path).touch()


@pytest.mark.parametrize("seconds", [0, 60])
def test_a_process_is_killed_unless_it_has_ended(tmp_path: Path, seconds: float) -> None:
    path = tmp_path / "end"
    # What ends at once has the time to do so.
    was_killed = killed(begins, str(path), seconds, after=0.1 if seconds else 60)
    assert was_killed == (seconds > 0) != path.exists()


def test_a_process_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has failed"):
        killed(begins, str(tmp_path / "no folder" / "end"), 0, after=60)
