from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from napari.qt.threading import WorkerBase
from napari.utils.notifications import notification_manager
from napari.utils.progress import progress
from qtpy.QtCore import QObject

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken
from napari_pea.widgets import jobs
from napari_pea.widgets.jobs import Job, JobRunner
from napari_pea.widgets.state import SegmentState

PATIENCE = 60_000


class Desk:
    """A runner, and jobs that last until the test says so."""

    def __init__(self, qtbot: Any) -> None:
        self.state = SegmentState()
        self.parent = QObject()
        self.runner = JobRunner(self.state, self.parent)
        self.delivered: list[str] = []
        self.at_work: list[str] = []
        self.most_at_once = 0
        self.gate = Event()
        self._qtbot = qtbot

    def job(self, name: str) -> Job:
        def work(report: Any, cancel: CancelToken) -> str:
            self.at_work.append(name)
            self.most_at_once = max(self.most_at_once, len(self.at_work))
            try:
                report(f"{name} works", 1, 3)
                while not self.gate.wait(0.002):
                    cancel.check()
                return name
            finally:
                self.at_work.remove(name)

        def deliver(result: str) -> str:
            self.delivered.append(result)
            return f"{result} is done"

        return Job(name, work, deliver)

    def wait(self, condition: Any) -> None:
        self._qtbot.waitUntil(condition, timeout=PATIENCE)


@pytest.fixture
def desk(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(jobs, "BAR_MS", 50)
    desk = Desk(qtbot)
    yield desk
    desk.gate.set()
    desk.wait(lambda: not WorkerBase._worker_set)
    assert not progress._all_instances


def test_a_job_reports_and_delivers(desk: Desk) -> None:
    desk.runner.start(desk.job("one"))
    assert desk.state.busy
    desk.wait(lambda: desk.state.status == "one works")
    assert (desk.state.done, desk.state.total) == (1, 3)
    desk.wait(lambda: bool(progress._all_instances))
    (bar,) = progress._all_instances
    assert (bar.n, bar.total, bar.desc) == (1, 3, "one works: ")
    desk.gate.set()
    desk.wait(lambda: not desk.state.busy)
    desk.wait(lambda: desk.state.status == "one is done")
    assert desk.delivered == ["one"]
    assert desk.state.total == 0


def test_the_latest_job_wins_and_never_two_run_at_once(desk: Desk) -> None:
    for name in ("one", "two", "three", "four"):
        desk.runner.start(desk.job(name))
    desk.wait(lambda: desk.at_work == ["four"])
    desk.gate.set()
    desk.wait(lambda: not desk.state.busy)
    assert desk.delivered == ["four"]
    assert desk.most_at_once == 1


def test_a_cancelled_job_ends_at_once_and_delivers_nothing(desk: Desk) -> None:
    desk.runner.start(desk.job("one"))
    desk.wait(lambda: desk.at_work == ["one"])
    desk.runner.cancel()
    assert not desk.state.busy
    assert "Cancelled" in desk.state.status
    assert not progress._all_instances
    desk.wait(lambda: not desk.at_work)
    desk.runner.start(desk.job("two"))
    desk.gate.set()
    desk.wait(lambda: not desk.state.busy)
    assert desk.delivered == ["two"]


def test_a_result_that_arrives_after_cancelling_is_dropped(desk: Desk) -> None:
    desk.gate.set()
    desk.runner.start(desk.job("one"))
    desk.wait(lambda: bool(WorkerBase._worker_set))
    desk.runner.cancel()
    desk.wait(lambda: not WorkerBase._worker_set)
    assert not desk.delivered


def test_the_button_in_the_activity_dock_cancels(desk: Desk) -> None:
    desk.runner.start(desk.job("one"))
    desk.wait(lambda: bool(progress._all_instances))
    (bar,) = progress._all_instances
    bar.cancel()
    assert "Cancelled" in desk.state.status
    desk.wait(lambda: not desk.at_work)


def test_a_short_job_is_not_shown_in_the_activity_dock(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars: list[str] = []
    monkeypatch.setattr(jobs, "_ActivityBar", lambda **told: bars.append(told["desc"]))
    desk.gate.set()
    desk.runner.start(desk.job("one"))
    desk.wait(lambda: desk.delivered == ["one"] and not WorkerBase._worker_set)
    desk._qtbot.wait(100)
    assert not bars


def test_napari_can_make_a_job_quit(desk: Desk) -> None:
    desk.runner.start(desk.job("one"))
    desk.wait(lambda: desk.at_work == ["one"])
    (worker,) = WorkerBase._worker_set
    worker.quit()
    desk.wait(lambda: not desk.at_work and not desk.state.busy)
    assert not desk.delivered


def test_what_cannot_be_done_is_said_in_one_sentence(desk: Desk) -> None:
    def refuse(*_: object) -> None:
        raise InputError("The image is too small.")

    notification_manager.records.clear()
    desk.runner.start(Job("one", refuse, desk.delivered.append))
    desk.wait(lambda: not desk.state.busy)
    assert desk.state.status == "The image is too small."
    desk.runner.start(Job("two", lambda *_: "fine", refuse))
    desk.wait(lambda: len(notification_manager.records) == 2)
    assert [record.message for record in notification_manager.records] == [desk.state.status] * 2
    assert not desk.delivered


def test_mistakes_of_the_program_end_the_job_only(desk: Desk, qtbot: Any) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a mistake")

    with qtbot.captureExceptions() as caught:
        desk.runner.start(Job("one", fail, desk.delivered.append))
        desk.wait(lambda: not desk.state.busy and bool(caught))
    assert [type(error) for _, error, _ in caught] == [ZeroDivisionError]
    assert "went wrong" in desk.state.status
    desk.gate.set()
    desk.runner.start(desk.job("two"))
    desk.wait(lambda: desk.delivered == ["two"])


def test_nothing_is_delivered_to_a_dock_that_is_gone(desk: Desk, qtbot: Any) -> None:
    job = desk.job("one")
    desk.runner.start(job)
    desk.wait(lambda: desk.at_work == ["one"])
    desk.parent.deleteLater()
    qtbot.wait(20)
    desk.gate.set()
    desk.wait(lambda: not WorkerBase._worker_set)
    job.stop()
    assert not desk.delivered
