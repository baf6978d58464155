"""Optimiser, learning rate schedule and weight averaging of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.amp.grad_scaler import GradScaler
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel

from napari_pea.core.device import Precision, mixed_dtype
from napari_pea.training.settings import TrainingSettings

#: Batch norm averages its statistics over about this part of a run at most.
STATISTICS_SHARE = 0.01
#: The usual momentum of batch norm; a higher one would average over too few batches.
HIGHEST_MOMENTUM = 0.1
#: How much the loss is scaled up at first where gradients are float16. It adapts itself.
FIRST_SCALE = 1024.0


def quicken_statistics(network: torch.nn.Module, iterations: int) -> None:
    """Let batch norm learn its statistics within a run.

    The momentum of 0.001 of the authors' 3D network is for their 200,000 steps: after some
    thousand the statistics would still be those that it begins with in part, and the network
    would be of no use outside of training.

    Parameters
    ----------
    network : Module
        A momentum that is too low for the run is raised, to 0.1 at most.
    iterations : int
        Steps of the run.
    """
    needed = min(HIGHEST_MOMENTUM, 1 / (STATISTICS_SHARE * iterations))
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and module.momentum:
            module.momentum = max(module.momentum, needed)


def make_optimizer(network: torch.nn.Module, settings: TrainingSettings) -> Optimizer:
    """Return the optimiser that the settings name."""
    if settings.optimizer == "paper":
        # In 2D our loss is the authors' divided by the height of the crop (see `objectives`).
        # With eps and decay divided too, the steps are theirs.
        height = settings.crop if settings.objective.ndim == 2 else 1
        return Adam(
            network.parameters(),
            lr=settings.learning_rate,
            eps=0.01 / height,
            weight_decay=1e-6 / height,
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


def make_scaler(device: torch.device, precision: Precision) -> GradScaler:
    """Return what scales the loss up so that gradients in float16 do not vanish.

    With other types it does nothing.
    """
    is_needed = mixed_dtype(device, precision, training=True) == torch.float16
    return GradScaler(device.type, init_scale=FIRST_SCALE, enabled=is_needed)


def averaged_model(
    network: torch.nn.Module, settings: TrainingSettings, device: torch.device
) -> AveragedModel:
    """Return what averages the weights of a network, and its statistics, over its steps."""
    return AveragedModel(
        network,
        device=device,
        multi_avg_fn=moving_average(settings.ema_decay),
        use_buffers=True,
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
