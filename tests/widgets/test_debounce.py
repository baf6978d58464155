from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import QObject

from napari_pea.widgets.debounce import Debouncer

PATIENCE = 60_000


@pytest.fixture
def calls() -> list[int]:
    return []


@pytest.fixture
def debouncer(qtbot: Any, calls: list[int]) -> Any:
    parent = QObject()
    yield Debouncer(lambda: calls.append(len(calls)), parent, pause=60)
    parent.deleteLater()


def test_a_single_change_is_not_held_up(debouncer: Any, calls: list[int], qtbot: Any) -> None:
    debouncer()
    assert calls == [0]
    qtbot.wait(150)
    assert calls == [0]


def test_of_many_changes_the_last_one_counts(debouncer: Any, calls: list[int], qtbot: Any) -> None:
    for _ in range(20):
        debouncer()
    assert calls == [0]
    assert debouncer.waiting
    qtbot.waitUntil(lambda: calls == [0, 1], timeout=PATIENCE)
    assert not debouncer.waiting
    qtbot.wait(150)
    assert calls == [0, 1]


def test_a_waiting_call_can_be_given_up(debouncer: Any, calls: list[int], qtbot: Any) -> None:
    debouncer()
    debouncer()
    debouncer.stop()
    qtbot.wait(150)
    assert calls == [0]
