"""Measuring in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from napari_pea.core.errors import Cancelled
from napari_pea.core.progress import CancelToken
from napari_pea.experiments.processes import fresh_process


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
