from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from napari_pea.core.errors import Cancelled
from napari_pea.core.progress import CancelToken
from napari_pea.training.control import Reporter, TrainingControl, TrainingHooks, TrainingStatus
from napari_pea.training.history import History
from napari_pea.training.settings import ObjectiveSettings, TrainingSettings
from napari_pea.training.trainer import Trainer

SETTINGS = TrainingSettings(
    iterations=8,
    batch_size=1,
    crop=32,
    validate_every=3,
    checkpoint_every=100,
    objective=ObjectiveSettings(ranges=(1, 3), cross_weight=0),
)


@pytest.fixture
def make(make_tiny_network, make_discs, monkeypatch):
    monkeypatch.setattr(History, "save_picture", lambda self, path: None)

    def make(settings=SETTINGS, **options) -> Trainer:
        return Trainer(make_tiny_network(), [make_discs(0)], settings, precision="full", **options)

    return make


def test_a_paused_run_is_saved_and_goes_on(make, tmp_path) -> None:
    control, seen = TrainingControl(), []

    def on_status(status: TrainingStatus) -> None:
        seen.append((status.phase, status.iteration))
        if status.phase == "paused":
            assert (tmp_path / "checkpoint.pt").exists()
            threading.Timer(0.05, control.resume).start()

    def progress(done: int, total: int) -> None:
        if done == 2:
            control.pause()

    trainer = make(folder=tmp_path, hooks=TrainingHooks(on_status=on_status))
    trainer.run(progress=progress, control=control)
    assert seen.index(("paused", 2)) + 1 == seen.index(("validating", 3))
    assert seen[-1] == ("finished", 8)
    assert trainer.iteration == 8


def test_a_paused_run_can_be_cancelled(make, tmp_path) -> None:
    control, cancel = TrainingControl(), CancelToken()
    control.pause()
    threading.Timer(0.05, cancel.cancel).start()
    with pytest.raises(Cancelled):
        make(folder=tmp_path).run(control=control, cancel=cancel)
    assert (tmp_path / "checkpoint.pt").exists()


@pytest.mark.parametrize("pause_first", [False, True])
def test_a_stopped_run_validates_and_keeps_the_best(make, tmp_path, pause_first: bool) -> None:
    control, kept, phases = TrainingControl(), [], []
    scores = iter([0.5, 0.9])

    def progress(done: int, total: int) -> None:
        if done == 5:
            if pause_first:
                control.pause()
            control.stop()

    trainer = make(
        folder=tmp_path,
        scorer=lambda *_: {"aji": next(scores)},
        keep=lambda network, measured, iteration: kept.append((measured["aji"], iteration)),
        hooks=TrainingHooks(on_status=lambda status: phases.append(status)),
    )
    history = trainer.run(progress=progress, control=control)
    assert kept == [(0.5, 3), (0.9, 5)]
    assert history.rows[-1]["iteration"] == 5
    assert phases[-1].phase == "stopped"
    assert (phases[-1].best_score, phases[-1].best_iteration) == (0.9, 5)
    # Who wants more goes on.
    again = make(folder=tmp_path, scorer=lambda *_: {"aji": 0.1})
    again.resume()
    assert (again.iteration, again.best_iteration) == (5, 5)
    assert again.run().rows[-1]["iteration"] == 8


def test_a_run_stopped_at_once_still_gives_a_model(make) -> None:
    control, kept = TrainingControl(), []
    control.stop()
    trainer = make(keep=lambda network, measured, iteration: kept.append(iteration))
    trainer.run(control=control)
    assert kept == [0]


def test_hooks_hear_of_every_iteration_row_and_preview(make) -> None:
    status, rows, previews = [], [], []

    def preview(network, iteration: int) -> None:
        assert not network.training
        previews.append(iteration)

    hooks = TrainingHooks(status.append, rows.append, preview, preview_seconds=0)
    trainer = make(hooks=hooks)
    trainer.run()
    trained = [known for known in status if known.phase == "training"]
    assert [known.iteration for known in trained] == list(range(1, 9))
    assert previews == list(range(1, 9))
    assert rows == trainer.history.rows
    for known in trained:
        assert known.loss > 0
        assert known.seconds_left == pytest.approx((8 - known.iteration) / known.speed)
    assert trained[0].best_score is None
    assert trained[3].best_iteration == 3


def test_previews_keep_their_distance() -> None:
    seen = []
    reporter = Reporter(TrainingHooks(on_preview=lambda *known: seen.append(known)))

    class Network:
        def eval(self) -> None: ...

    for iteration in range(5):
        reporter.preview(Network(), iteration)
    assert [iteration for _, iteration in seen] == [0]


def test_previews_change_nothing(make) -> None:
    plain = make(replace(SETTINGS, ema_decay=0.5)).run().rows
    hooks = TrainingHooks(on_preview=lambda network, _: network.eval(), preview_seconds=0)
    assert make(replace(SETTINGS, ema_decay=0.5), hooks=hooks).run().rows == plain
