"""The recipe of the shipped model `cells`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments.datasets import read_pairs, usiigaci
from napari_pea.experiments.recipes import Recipe
from napari_pea.models.metadata import DataSource, ModelMetadata
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.settings import (
    AugmentationSettings,
    ObjectiveSettings,
    TrainingSettings,
)

#: At half of their size the cells are as large as the nuclei that the start knows.
MODEL = ModelMetadata(
    name="cells",
    description="Whole cells in phase contrast, touching ones included.",
    architecture="resunet2d",
    scale=0.5,
    recommended=SegmentationSettings(ranges=(1, 6, 10, 18, 30, 54), strides=6, min_size=100),
    data=(
        DataSource(
            name="Usiigaci, T98G cells, training list",
            licence="MIT",
            url="https://github.com/oist/Usiigaci",
        ),
        DataSource(
            name="those of the model nuclei, from which training started",
            licence="CC0-1.0",
        ),
    ),
    licence="BSD-3-Clause",
)
START = "nuclei"

SETTINGS = TrainingSettings(
    iterations=800,
    crop=128,
    validate_every=200,
    checkpoint_every=25,
    ema_decay=0.99,
    objective=ObjectiveSettings(ranges=(1, 3, 5, 9, 15, 27), cross_weight=0.0),
    augmentation=AugmentationSettings(scale=(0.7, 1.4)),
)

#: What is tried for the recommended settings.
CHOICES = {
    "ranges": (
        (1, 6, 10, 18, 30, 54),
        (1, 10, 30, 54, 80),
        (1, 10, 30, 54, 80, 110),
        (1, 18, 54, 80),
    ),
    "connectivity": (None, 8),
    "strides": (6, 9, 12),
    "bias": (-0.2, -0.1, 0.0, 0.1),
    "foreground_threshold": (0.5, 0.6, 0.7),
    "min_size": (100, 200, 300),
}


def recipe(data: Path) -> Recipe:
    """Return the recipe of the model `cells` with its data.

    Parameters
    ----------
    data : Path
        Holds the folder `usiigaci` (see `napari_pea.experiments.datasets`).
    """
    shown, held_out = (usiigaci_images(data, split) for split in ("training", "validation"))
    return Recipe(MODEL, SETTINGS, shown, held_out, START, CHOICES)


def usiigaci_images(data: Path, split: str) -> list[LabelledImage]:
    """Return the images of a split of Usiigaci.

    Parameters
    ----------
    data : Path
        See `recipe`.
    split : str
        "training" or "validation".
    """
    pairs = usiigaci(data / "usiigaci", split)
    return [
        LabelledImage(np.asarray(image), labels, pair.name, group="usiigaci")
        for pair, (image, labels) in zip(pairs, read_pairs(pairs), strict=True)
    ]
