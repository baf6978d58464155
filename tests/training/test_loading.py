from __future__ import annotations

import threading

import pytest
import torch

from napari_pea.training.data import Batch
from napari_pea.training.learners import EmbeddingLearner
from napari_pea.training.loading import BatchLoader
from napari_pea.training.sampling import CropSampler
from napari_pea.training.settings import TrainingSettings

SETTINGS = TrainingSettings().updated(
    iterations=4, batch_size=2, crop=32, ranges=(1, 3), distant_pairs=50
)


@pytest.fixture
def loader(make_discs) -> BatchLoader:
    sampler = CropSampler([make_discs(0)], SETTINGS)
    learner = EmbeddingLearner(SETTINGS, torch.device("cpu"), sampler.factors)
    return BatchLoader(sampler, SETTINGS, learner)


def same(one: Batch, other: Batch) -> bool:
    return (
        torch.equal(one.images, other.images)
        and torch.equal(one.target.weights, other.target.weights)
        and torch.equal(one.distant, other.distant)
    )


def test_batches_made_ahead_are_those_made_in_turn(loader: BatchLoader) -> None:
    plain = [loader.batch(number) for number in range(4)]
    with loader:
        # A run that is resumed begins anywhere.
        ahead = [loader.batch(number) for number in (1, 2, 3, 0)]
    assert all(same(plain[at], batch) for at, batch in zip((1, 2, 3, 0), ahead, strict=True))


def test_the_next_batch_is_made_in_another_thread_and_none_after_the_end(
    loader: BatchLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[int, bool]] = []
    crops = CropSampler.crops

    def noted(self: CropSampler, iteration: int):
        made.append((iteration, threading.current_thread() is threading.main_thread()))
        return crops(self, iteration)

    monkeypatch.setattr(CropSampler, "crops", noted)
    with loader:
        loader.batch(2)
        loader.wait()
        assert made == [(2, True), (3, False)]
        loader.batch(3)
        loader.wait()
    assert len(made) == 2
    assert not any("napari-pea batches" in each.name for each in threading.enumerate())


def test_what_goes_wrong_ahead_is_told_in_turn(
    loader: BatchLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    with loader:
        loader.batch(0)
        loader.wait()
        monkeypatch.setattr(CropSampler, "crops", lambda *_: 1 / 0)
        loader.batch(1)
        with pytest.raises(ZeroDivisionError):
            loader.batch(2)
