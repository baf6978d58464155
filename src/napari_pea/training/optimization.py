"""Optimiser, learning rate schedule and weight averaging of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, OneCycleLR

from napari_pea.training.settings import TrainingSettings


def make_optimizer(network: torch.nn.Module, settings: TrainingSettings) -> Optimizer:
    """Return the optimiser that the settings name."""
    if settings.optimizer == "paper":
        # Our loss is the authors' divided by the height of the crop (see `objectives`). With
        # eps and decay divided too, the steps are theirs.
        return Adam(
            network.parameters(),
            lr=settings.learning_rate,
            eps=0.01 / settings.crop,
            weight_decay=1e-6 / settings.crop,
            amsgrad=True,
        )
    return AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )


def make_schedule(optimizer: Optimizer, settings: TrainingSettings) -> LRScheduler:
    """Return the learning rate schedule that the settings name, stepped every iteration."""
    if settings.schedule == "constant":
        return ConstantLR(optimizer, factor=1.0, total_iters=1)
    steps = settings.iterations + 1
    return OneCycleLR(
        optimizer,
        max_lr=settings.learning_rate,
        total_steps=steps,
        # A rise within one step is none, and OneCycleLR would divide by its length.
        pct_start=settings.warmup if settings.warmup * steps > 1 else 0.0,
        cycle_momentum=False,
        final_div_factor=1e3,
    )


def moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """Return the update of averaged weights, in the form `AveragedModel` asks for.

    Over the first steps the average is shorter, so that the random weights of the start
    are soon forgotten. Whole numbers, such as the step counter of batch norm, are copied.
    """

    @torch.no_grad()
    def update(averaged: list[torch.Tensor], current: list[torch.Tensor], count: Any) -> None:
        steps = float(count)
        weight = 1.0 - min(decay, (1.0 + steps) / (10.0 + steps))
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(averaged, current, weight)
        else:
            for old, new in zip(averaged, current, strict=True):
                old.copy_(new)

    return update
