from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_pea.core.networks import ResUNet2D, ResUNet3D
from napari_pea.training.data import AnnotatedImage


def discs(seed: int, side: int = 96, count: int = 9) -> AnnotatedImage:
    """Return an image of noisy discs, some of which touch."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    labels = np.zeros((side, side), np.int32)
    for number in range(1, count + 1):
        y, x = rng.uniform(0, side, 2)
        inside = (rows - y) ** 2 + (columns - x) ** 2 < rng.uniform(6, 13) ** 2
        labels[inside & (labels == 0)] = number
    brightness = rng.uniform(0.6, 1.0, count + 1) * (np.arange(count + 1) > 0)
    image = brightness[labels] + rng.normal(0, 0.05, labels.shape)
    return AnnotatedImage(image[None].astype(np.float32), labels)


def balls(seed: int, shape: tuple[int, ...] = (16, 32, 32), count: int = 6) -> AnnotatedImage:
    """Return a volume of noisy balls, some of which touch."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))
    labels = np.zeros(shape, np.int32)
    for number in range(1, count + 1):
        centre = rng.uniform(0, shape)[:, None, None, None]
        inside = ((grid - centre) ** 2).sum(axis=0) < rng.uniform(5, 9) ** 2
        labels[inside & (labels == 0)] = number
    brightness = rng.uniform(0.6, 1.0, count + 1) * (np.arange(count + 1) > 0)
    image = brightness[labels] + rng.normal(0, 0.05, shape)
    return AnnotatedImage(image[None].astype(np.float32), labels)


@pytest.fixture
def make_balls() -> Callable[..., AnnotatedImage]:
    return balls


@pytest.fixture
def make_tiny_volume_network() -> Callable[..., ResUNet3D]:
    """Return networks for volumes that are quick to train."""

    def make(seed: int = 0, **arguments) -> ResUNet3D:
        torch.manual_seed(seed)
        return ResUNet3D(widths=(4, 4, 4, 4, 4), embedding_dim=4, **arguments)

    return make


@pytest.fixture
def make_discs() -> Callable[..., AnnotatedImage]:
    return discs


@pytest.fixture
def make_tiny_network() -> Callable[..., ResUNet2D]:
    """Return networks that are quick to train."""

    def make(seed: int = 0, **arguments) -> ResUNet2D:
        torch.manual_seed(seed)
        return ResUNet2D(widths=(4, 8, 8, 8, 8), embedding_dim=4, **arguments)

    return make
