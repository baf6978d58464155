from __future__ import annotations

import time
from pathlib import Path

import pytest

from napari_pea.core.errors import InputError
from napari_pea.core.progress import Progress
from napari_pea.experiments.papers import budget
from napari_pea.experiments.papers.budget import TIMED, Budget


@pytest.mark.parametrize(
    ("text", "expected"),
    [("400", Budget(400)), ("20m", Budget(minutes=20)), ("0.5m", Budget(minutes=0.5))],
)
def test_steps_or_minutes(text: str, expected: Budget) -> None:
    assert Budget.of(text) == expected
    assert str(Budget.of("20m")) == "20 minutes"
    assert str(Budget.of("400")) == "400 steps"


@pytest.mark.parametrize("text", ["", "0", "0m", "20h", "-3", "1.5", "m", "1e3"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="a number of steps such as 400, or minutes such as 20m"):
        Budget.of(text)


def test_minutes_are_measured_once_for_each_arm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10_000, 3))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    trained: list[int] = []

    def train(steps: int, run: Path, progress: Progress) -> None:
        trained.append(steps)
        for done in range(1, steps + 1):
            progress(done, steps)

    # Three seconds a step.
    assert Budget(minutes=2).steps("one", tmp_path, train) == 40
    assert Budget(minutes=2).steps("one", tmp_path, train) == 40
    assert trained == [TIMED]
    assert Budget(minutes=2).steps("two", tmp_path, train) == 40
    with pytest.raises(InputError, match="holds runs of 2 minutes"):
        Budget(minutes=3).steps("one", tmp_path, train)
    assert Budget(7).steps("one", tmp_path, train) == 7
    assert trained == [TIMED] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [budget.BUDGET_NAME]


@pytest.mark.parametrize("text", ["", '{"minutes": 2', "[2]", '{"minutes": null}', "\udcff"])
def test_a_damaged_record_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / budget.BUDGET_NAME
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=r"budget\.json cannot be read: delete it"):
        Budget(minutes=2).steps("one", tmp_path, lambda *_: None)
