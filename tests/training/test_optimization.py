from __future__ import annotations

import pytest
import torch
from torch.optim import Adam, AdamW

from napari_pea.training.optimization import (
    make_optimizer,
    make_schedule,
    moving_average,
    quicken_statistics,
)
from napari_pea.training.settings import TrainingSettings


def rates(settings: TrainingSettings) -> list[float]:
    """The learning rate of every iteration of a run."""
    optimizer = make_optimizer(torch.nn.Linear(1, 1), settings)
    schedule = make_schedule(optimizer, settings)
    seen = []
    for _ in range(settings.iterations):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


def test_one_cycle_rises_over_the_warm_up_and_anneals() -> None:
    seen = rates(TrainingSettings(iterations=200, learning_rate=1e-2, warmup=0.2))
    peak = seen.index(max(seen))
    assert peak == pytest.approx(40, abs=2)
    assert max(seen) == pytest.approx(1e-2, rel=0.01)
    assert seen[:peak] == sorted(seen[:peak])
    assert seen[peak:] == sorted(seen[peak:], reverse=True)
    assert seen[0] < 1e-3
    assert seen[-1] < 1e-4


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5, 1.0])
def test_short_runs_have_a_schedule_too(warmup: float) -> None:
    for iterations in range(1, 25):
        seen = rates(TrainingSettings(iterations=iterations, warmup=warmup))
        assert len(seen) == iterations
        assert all(0 < rate <= 2e-3 * 1.0001 for rate in seen)


def test_constant_is_constant() -> None:
    seen = rates(TrainingSettings(iterations=20, schedule="constant", learning_rate=1e-4))
    assert seen == pytest.approx([1e-4] * 20)


def test_adamw_takes_rate_and_decay_from_the_settings() -> None:
    settings = TrainingSettings(learning_rate=3e-3, weight_decay=0.02)
    optimizer = make_optimizer(torch.nn.Linear(1, 1), settings)
    assert isinstance(optimizer, AdamW)
    assert optimizer.defaults["lr"] == 3e-3
    assert optimizer.defaults["weight_decay"] == 0.02


def test_the_paper_optimizer_takes_the_steps_of_the_paper() -> None:
    # Theirs sees a loss that is larger by the height of the crop (methods A5, A8).
    settings = TrainingSettings(optimizer="paper", learning_rate=1e-4, crop=256)
    ours, theirs = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    optimizer = make_optimizer(ours, settings)
    assert isinstance(optimizer, Adam)
    reference = Adam(theirs.parameters(), 1e-4, eps=0.01, weight_decay=1e-6, amsgrad=True)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        inputs = torch.randn(4, 3, generator=generator)
        for network, stepper, factor in ((ours, optimizer, 1.0), (theirs, reference, 256.0)):
            stepper.zero_grad()
            (factor * 1e-3 * network(inputs).square().mean()).backward()
            stepper.step()
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=0, atol=1e-7)
    torch.testing.assert_close(ours.bias, theirs.bias, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("count", "weight"),
    [
        (0, 0.9),  # the first steps: 1 - (1 + n) / (10 + n)
        (8, 0.5),
        (100_000, 0.01),
    ],
)
def test_moving_average_by_hand(count: int, weight: float) -> None:
    old = torch.tensor([1.0, 2.0])
    new = torch.tensor([2.0, 0.0])
    moving_average(0.99)([old], [new], torch.tensor(count))
    torch.testing.assert_close(old, torch.tensor([1.0 + weight, 2.0 - 2 * weight]))
    torch.testing.assert_close(new, torch.tensor([2.0, 0.0]))


def test_counters_are_copied() -> None:
    old, new = torch.tensor(3), torch.tensor(8)
    moving_average(0.99)([old], [new], torch.tensor(5))
    assert old.item() == 8


@pytest.mark.parametrize(
    ("momentum", "iterations", "expected"),
    [(0.001, 200_000, 0.001), (0.001, 2000, 0.05), (0.001, 50, 0.1), (0.1, 2000, 0.1)],
)
def test_statistics_are_learned_within_a_run(
    momentum: float, iterations: int, expected: float
) -> None:
    network = torch.nn.Sequential(torch.nn.BatchNorm3d(2, momentum=momentum), torch.nn.ELU())
    quicken_statistics(network, iterations)
    assert network[0].momentum == pytest.approx(expected)
