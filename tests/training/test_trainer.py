from __future__ import annotations

import csv
import errno
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.networks import EmbeddingNetwork
from napari_pea.core.progress import CancelToken
from napari_pea.training.checkpoint import CHECKPOINT_NAME, Checkpoint
from napari_pea.training.history import History
from napari_pea.training.learners import EmbeddingLearner
from napari_pea.training.optimization import FIRST_SCALE
from napari_pea.training.settings import ObjectiveSettings, TrainingSettings
from napari_pea.training.trainer import DivergenceError, Trainer

SETTINGS = TrainingSettings(
    iterations=8,
    batch_size=2,
    crop=32,
    learning_rate=5e-3,
    validate_every=3,
    checkpoint_every=2,
    objective=ObjectiveSettings(ranges=(1, 3, 5), cross_weight=1.0),
)


draw_curves = History.save_picture


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than training here: it is left to the test that looks at it."""
    monkeypatch.setattr(History, "save_picture", lambda self, path: None)


@pytest.fixture
def items(make_discs):
    return [make_discs(seed) for seed in range(3)]


@pytest.fixture
def make_trainer(make_tiny_network, make_discs, items):
    """Return trainers of the same run, each with a network of its own."""

    def make(settings: TrainingSettings = SETTINGS, *, seed: int = 0, **options) -> Trainer:
        options.setdefault("validation", [make_discs(10), make_discs(11)])
        return Trainer(make_tiny_network(seed), items, settings, precision="full", **options)

    return make


def test_a_short_training_run_reduces_the_validation_loss(make_trainer) -> None:
    settings = replace(
        SETTINGS, iterations=40, crop=64, validate_every=10, objective=ObjectiveSettings()
    )
    trainer = make_trainer(settings)
    history = trainer.run()
    iterations, losses = history.column("validation_loss")
    assert iterations == [10, 20, 30, 40]
    assert losses[-1] < 0.8 * losses[0]
    assert trainer.best_score == pytest.approx(-min(losses))


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "paper", "schedule": "constant"},
        {"objective": ObjectiveSettings(pyramid_weight=0)},
        {"objective": ObjectiveSettings(cross_weight=1, detach_cross=False, balance_classes=False)},
        {"objective": ObjectiveSettings(connectivity=8)},
        {
            "objective": ObjectiveSettings(
                cross_weight=1, symmetric_cross=True, balance_foreground=True
            )
        },
        {"objective": ObjectiveSettings(cross_weight=1, plain_mean=True)},
        {"ema_decay": 0.0},
        {"iterations": 9},
        {"iterations": 1, "batch_size": 1},
    ],
)
def test_every_option_trains(make_trainer, changes: dict[str, object]) -> None:
    trainer = make_trainer(replace(SETTINGS, **changes))
    before = {name: value.clone() for name, value in trainer.averaged_network.state_dict().items()}
    history = trainer.run()
    assert np.isfinite(history.rows[-1]["validation_loss"])
    after = trainer.averaged_network.state_dict()
    assert any((after[name] != value).any() for name, value in before.items())


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Everything that training changes, by name."""
    checkpoint = Checkpoint.load(trainer.folder)
    return {
        **{f"network {name}": value for name, value in checkpoint.network.items()},
        **{f"average {name}": value for name, value in checkpoint.average.items()},
    }


@pytest.mark.parametrize("stop", [1, 4, 5])
def test_a_resumed_run_equals_an_uninterrupted_one(make_trainer, tmp_path: Path, stop: int) -> None:
    whole = make_trainer(folder=tmp_path / "whole")
    whole.run()

    token = CancelToken()

    def interrupt(done: int, total: int) -> None:
        if done == stop:
            token.cancel()

    with pytest.raises(Cancelled):
        make_trainer(folder=tmp_path / "cut").run(progress=interrupt, cancel=token)
    # Another start: everything has to come from the checkpoint.
    resumed = make_trainer(folder=tmp_path / "cut", seed=99)
    resumed.resume()
    assert resumed.iteration == stop
    seen: list[int] = []
    resumed.run(progress=lambda done, total: seen.append(done))
    assert seen == list(range(stop + 1, 9))

    expected, found = weights(whole), weights(resumed)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-5, msg=name)
    for row, same in zip(whole.history.rows, resumed.history.rows, strict=True):
        assert row == pytest.approx(same, abs=1e-4)
    assert resumed.best_score == pytest.approx(whole.best_score, abs=1e-4)


def test_a_cancelled_validation_is_done_again(make_trainer, tmp_path: Path) -> None:
    def scorer(network: EmbeddingNetwork, cancel: CancelToken | None) -> dict[str, float]:
        assert cancel is token
        if network is stopped_in:
            token.cancel()
        token.check()
        return {"aji": 0.5}

    token, stopped_in = CancelToken(), None
    whole = make_trainer(folder=tmp_path / "whole", scorer=scorer)
    whole.run(cancel=token)

    cut = make_trainer(folder=tmp_path / "cut", scorer=scorer)
    stopped_in = cut.averaged_network
    with pytest.raises(Cancelled):
        cut.run(cancel=token)
    assert cut.iteration == 3
    assert not cut.history.rows

    token = CancelToken()
    resumed = make_trainer(folder=tmp_path / "cut", scorer=scorer)
    resumed.resume()
    resumed.run(cancel=token)
    for row, same in zip(whole.history.rows, resumed.history.rows, strict=True):
        assert row == pytest.approx(same, abs=1e-4)


def test_the_validation_loss_can_be_cancelled(make_trainer, monkeypatch) -> None:
    token = CancelToken()

    losses = EmbeddingLearner.losses

    def cancelling(self, network, batch, rng=None):
        if rng is None:  # nothing random: in validation
            token.cancel()
        return losses(self, network, batch, rng)

    monkeypatch.setattr(EmbeddingLearner, "losses", cancelling)
    trainer = make_trainer()
    with pytest.raises(Cancelled):
        trainer.run(cancel=token)
    assert trainer.iteration == 3


def test_a_crash_costs_no_more_than_the_steps_since_the_last_checkpoint(
    make_trainer, tmp_path: Path
) -> None:
    trainer = make_trainer(folder=tmp_path)

    def crash(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.run(progress=crash)
    again = make_trainer(folder=tmp_path)
    again.resume()
    assert again.iteration == 4


def test_a_finished_run_can_be_resumed_and_does_nothing(make_trainer, tmp_path: Path) -> None:
    rows = make_trainer(folder=tmp_path).run().rows
    again = make_trainer(folder=tmp_path)
    again.resume()
    assert again.run().rows == rows


def test_log_curves_and_checkpoint_are_written(
    make_trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(History, "save_picture", draw_curves)
    make_trainer(replace(SETTINGS, checkpoint_every=8), folder=tmp_path / "new" / "run").run()
    folder = tmp_path / "new" / "run"
    assert {path.name for path in folder.iterdir()} == {CHECKPOINT_NAME, "log.csv", "curves.png"}
    with (folder / "log.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["iteration"] for row in rows] == ["3", "6", "8"]
    for row in rows:
        terms = sum(float(row[name]) for name in ("self", "cross", "pyramid", "foreground"))
        assert float(row["loss"]) == pytest.approx(terms, rel=1e-4)
        assert float(row["validation_loss"]) > 0
        assert float(row["learning_rate"]) > 0
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_without_folder_nothing_is_written(make_trainer, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_trainer().run()
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_the_iterations(make_trainer) -> None:
    seen: list[tuple[int, int]] = []
    make_trainer().run(progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 8) for done in range(1, 9)]


def test_the_best_network_is_kept(make_trainer) -> None:
    scores = iter([0.2, 0.9, 0.5])
    kept: list[tuple[float, int]] = []

    def keep(network: EmbeddingNetwork, measured: dict[str, float], iteration: int) -> None:
        assert not network.training
        kept.append((measured["aji"], iteration))

    trainer = make_trainer(scorer=lambda *_: {"aji": next(scores), "dice": 0.0}, keep=keep)
    history = trainer.run()
    assert kept == [(0.2, 3), (0.9, 6)]
    assert trainer.best_score == 0.9
    assert history.column("aji") == ([3, 6, 8], [0.2, 0.9, 0.5])


def test_a_later_network_is_kept_unless_it_is_clearly_worse(make_trainer) -> None:
    scores = iter([0.8, 0.75, 0.65])
    kept: list[int] = []
    trainer = make_trainer(
        scorer=lambda *_: {"aji": next(scores), "aji_error": 0.1},
        keep=lambda network, measured, iteration: kept.append(iteration),
    )
    trainer.run()
    assert kept == [3, 6]
    assert (trainer.best_score, trainer.best_iteration) == (0.75, 6)


def test_without_validation_data_the_last_network_is_kept(make_trainer) -> None:
    kept: list[int] = []
    make_trainer(
        validation=(), keep=lambda network, measured, iteration: kept.append(iteration)
    ).run()
    assert kept == [3, 6, 8]


def test_validation_images_of_any_size_are_taken(make_trainer, make_discs) -> None:
    odd = [make_discs(1, side=7, count=2), make_discs(2, side=19), make_discs(3, side=100)]
    trainer = make_trainer(replace(SETTINGS, iterations=1), validation=odd)
    assert np.isfinite(trainer.run().rows[-1]["validation_loss"])


def test_data_that_cannot_be_trained_on_is_refused(make_tiny_network, items) -> None:
    empty = replace(items[0], labels=np.zeros_like(items[0].labels))
    with pytest.raises(InputError, match="No object is labelled in the training data"):
        Trainer(make_tiny_network(), [empty], SETTINGS)
    with pytest.raises(InputError, match="No object is labelled in the validation data"):
        Trainer(make_tiny_network(), items, SETTINGS, validation=[empty])
    with pytest.raises(InputError, match="There are no training images"):
        Trainer(make_tiny_network(), [], SETTINGS)
    with pytest.raises(InputError, match="takes images with 3 channels, but training image 0"):
        Trainer(make_tiny_network(in_channels=3), items, SETTINGS)


def test_a_run_is_resumed_only_as_it_began(
    make_trainer, make_tiny_network, items, tmp_path
) -> None:
    with pytest.raises(InputError, match="without a folder has no checkpoint"):
        make_trainer().resume()
    with pytest.raises(InputError, match="There is no training run to resume"):
        make_trainer(folder=tmp_path).resume()
    make_trainer(replace(SETTINGS, iterations=1), folder=tmp_path).run()
    with pytest.raises(InputError, match=r"these differ: iterations\."):
        make_trainer(folder=tmp_path).resume()

    wider = Trainer(
        make_tiny_network(full_resolution_skip=True),
        items,
        replace(SETTINGS, iterations=1),
        folder=tmp_path,
    )
    before = {name: value.clone() for name, value in wider.averaged_network.state_dict().items()}
    with pytest.raises(InputError, match="another architecture"):
        wider.resume()
    for name, value in wider.averaged_network.state_dict().items():
        assert torch.equal(value, before[name])

    (tmp_path / CHECKPOINT_NAME).write_bytes(b"PK")
    with pytest.raises(InputError, match="is damaged"):
        make_trainer(replace(SETTINGS, iterations=1), folder=tmp_path).resume()


def test_a_loss_that_is_no_number_stops_the_run(make_tiny_network, items, tmp_path: Path) -> None:
    broken = replace(items[0], image=np.full_like(items[0].image, np.nan))
    trainer = Trainer(make_tiny_network(), [broken], SETTINGS, folder=tmp_path)
    with pytest.raises(DivergenceError, match=r"train again with a learning rate below 0\.005"):
        trainer.run()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_and_keeps_the_last_checkpoint(
    make_trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(folder=tmp_path)
    write = Path.write_bytes

    def fills_up(self: Path, content: bytes) -> int:
        if trainer.iteration == 4:
            write(self, bytes(content[:1000]))
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", fills_up)
    with pytest.raises(InputError, match=r"could not be saved in .*: No space left on device"):
        trainer.run()
    monkeypatch.setattr(Path, "write_bytes", write)
    assert {path.name for path in tmp_path.iterdir()} == {CHECKPOINT_NAME, "log.csv"}
    again = make_trainer(folder=tmp_path)
    again.resume()
    assert again.iteration == 3


def test_mixed_precision_trains(make_tiny_network, items, monkeypatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    trainer = Trainer(
        make_tiny_network(), items, replace(SETTINGS, iterations=2), validation=items[:1]
    )
    rows = trainer.run().rows
    assert np.isfinite(list(rows[-1].values())).all()
    assert {value.dtype for value in trainer.averaged_network.parameters()} == {torch.float32}


@pytest.fixture
def _float16(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor stands for a GPU that has no bfloat16."""

    def mixed_dtype(device: torch.device, precision: str = "auto", **_: object) -> object:
        return None if precision == "full" else torch.float16

    monkeypatch.setattr("napari_pea.core.device.mixed_dtype", mixed_dtype)
    monkeypatch.setattr("napari_pea.training.optimization.mixed_dtype", mixed_dtype)


@pytest.mark.usefixtures("_float16")
def test_float16_learns_what_single_precision_learns(
    make_tiny_network, make_discs, items, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, iterations=12, validate_every=4, learning_rate=2e-3)
    losses = {}
    for precision in ("full", "mixed"):
        trainer = Trainer(
            make_tiny_network(),
            items,
            settings,
            validation=[make_discs(10)],
            folder=tmp_path / precision,
            precision=precision,
        )
        losses[precision] = trainer.run().column("validation_loss")[1]
    assert losses["mixed"] == pytest.approx(losses["full"], rel=0.05)
    assert losses["mixed"][-1] < losses["mixed"][0]
    scale = Checkpoint.load(tmp_path / "mixed").scaler["scale"]
    assert scale == FIRST_SCALE, "a step was left out"
    assert Checkpoint.load(tmp_path / "full").scaler == {}


@pytest.mark.usefixtures("_float16")
def test_steps_whose_gradients_exceed_float16_are_left_out(
    make_tiny_network, items, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_pea.training.optimization.FIRST_SCALE", 2.0**60)
    trainer = Trainer(make_tiny_network(), items, replace(SETTINGS, iterations=2), folder=tmp_path)
    before = {name: value.clone() for name, value in trainer.averaged_network.named_parameters()}
    with pytest.warns(UserWarning, match="lr_scheduler.step"):
        trainer.run()
    for name, value in trainer.averaged_network.named_parameters():
        torch.testing.assert_close(value, before[name], msg=name)
    scale = Checkpoint.load(tmp_path).scaler["scale"]
    assert scale == 2.0**58
    again = Trainer(make_tiny_network(), items, replace(SETTINGS, iterations=2), folder=tmp_path)
    again.resume()
    again._save()
    assert Checkpoint.load(tmp_path).scaler["scale"] == scale


@pytest.mark.parametrize(("is_trained", "expected"), [(True, [0, 3, 6]), (False, [3, 6])])
def test_what_is_gone_on_from_is_the_first_to_be_measured(
    make_trainer, is_trained: bool, expected: list[int]
) -> None:
    kept = []
    scores = iter([0.9, 0.2, 0.3] if is_trained else [0.2, 0.3])
    trainer = make_trainer(
        replace(SETTINGS, iterations=6),
        is_trained=is_trained,
        scorer=lambda network, cancel: {"aji": next(scores)},
        keep=lambda network, scores, iteration: kept.append(iteration),
    )
    history = trainer.run()
    assert history.column("aji")[0] == expected
    assert history.start_score == (0.9 if is_trained else None)
    # The user has the start already: what was trained is kept, even if it is worse.
    assert kept == [3, 6]
    assert trainer.best_iteration == 6
