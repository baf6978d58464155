"""The recipe of the shipped model `nuclei-3d`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_pea.core.normalization import Normalization
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments.datasets import bbbc050, read_volume
from napari_pea.experiments.recipes import Recipe
from napari_pea.models.metadata import DataSource, ModelMetadata
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.settings import (
    AugmentationSettings,
    ObjectiveSettings,
    TrainingSettings,
)

#: Narrower at full resolution than the paper's, which takes twice as long for a step.
MODEL = ModelMetadata(
    name="nuclei-3d",
    description="Nuclei in fluorescence volumes, about 15 voxels across along every axis.",
    architecture="resunet3d",
    arguments={
        "in_channels": 1,
        "embedding_dim": 16,
        "widths": (16, 32, 48, 64, 80),
        "isotropic": True,
        "foreground": True,
    },
    normalization=Normalization("percentile", 1.0, 99.8),
    recommended=SegmentationSettings(ranges=(1, 3, 5, 9, 15), strides=3, min_size=100),
    data=(
        DataSource(
            name="BBBC050, nuclei of mouse embryos, embryos 01 to 10",
            licence="CC-BY-3.0",
            url="https://bbbc.broadinstitute.org/BBBC050",
        ),
    ),
    licence="BSD-3-Clause",
)

SETTINGS = TrainingSettings(
    iterations=3000,
    batch_size=2,
    crop=48,
    crop_depth=48,
    ema_decay=0.995,
    validate_every=300,
    checkpoint_every=50,
    objective=ObjectiveSettings(
        ranges=(1, 3, 5, 9, 15),
        connectivity=6,
        pyramid_ranges=(1, 1, 1, 1),
        background_pairs="ignored",
    ),
    augmentation=AugmentationSettings(scale=(0.8, 1.25)),
)

#: What is tried for the recommended settings.
CHOICES = {
    "ranges": ((1, 3, 5, 9), (1, 3, 5, 9, 15)),
    "connectivity": (None, 26),
    "bias": (-0.1, 0.0, 0.1),
    "foreground_threshold": (0.4, 0.5, 0.6),
    "min_size": (50, 100, 200),
}


def recipe(data: Path) -> Recipe:
    """Return the recipe of the model `nuclei-3d` with its data.

    Parameters
    ----------
    data : Path
        Holds the folder `bbbc050` (see `napari_pea.experiments.datasets`).
    """
    shown, held_out = (volumes(data, split) for split in ("training", "validation"))
    return Recipe(MODEL, SETTINGS, shown, held_out, choices=CHOICES)


def volumes(data: Path, split: str) -> list[LabelledImage]:
    """Return the volumes of a split of BBBC050, crowded ones with a greater weight.

    Parameters
    ----------
    data : Path
        See `recipe`.
    split : str
        "training" or "validation".
    """
    found = []
    for path in bbbc050(data / "bbbc050", split):
        image, labels = read_volume(path)
        crowd = float(len(np.unique(labels)))
        found.append(LabelledImage(image, labels, path.stem, crowd, "bbbc050"))
    return found
