"""The recipe of the shipped model `neurons-em`."""

from __future__ import annotations

from pathlib import Path

from napari_pea.core.normalization import Normalization
from napari_pea.core.refine import remove_small
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments.datasets import FLYEM_SMALLEST, flyem, read_volume
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
    name="neurons-em",
    description="Neurons in electron microscopy whose voxels are cubes of about 10 nm (FIB-SEM).",
    architecture="resunet3d",
    arguments={
        "in_channels": 1,
        "embedding_dim": 16,
        "widths": (16, 32, 48, 64, 80),
        "isotropic": True,
    },
    normalization=Normalization("percentile", 1.0, 99.8),
    # Sizes differ too much for pieces to be told from small neurons.
    recommended=SegmentationSettings(
        ranges=(1, 3, 5, 9), strides=8, min_size=100, merge_fragments=False
    ),
    pixel_size_um=0.01,
    data=(
        DataSource(
            name="FlyEM, medulla of the fly, FIB-SEM at 10 nm, sections 0 to 149",
            licence="CC-BY-3.0",
        ),
    ),
    licence="BSD-3-Clause",
)

SETTINGS = TrainingSettings(
    iterations=1700,
    batch_size=2,
    crop=64,
    crop_depth=48,
    ema_decay=0.995,
    validate_every=325,
    checkpoint_every=50,
    objective=ObjectiveSettings(
        ranges=(1, 3, 5, 9, 15, 27),
        connectivity=6,
        pyramid_ranges=(1, 1, 1, 1),
        # There is none but crumbs.
        background_pairs="ignored",
    ),
    augmentation=AugmentationSettings(
        geometric_probability=0.5, elastic_amplitude=2.0, missing_probability=0.05
    ),
)

#: What is tried for the recommended settings.
CHOICES = {
    "ranges": ((1, 3, 5, 9), (1, 3, 5, 9, 15)),
    "connectivity": (None, 26),
    "strides": (5, 8, 12),
    "bias": (-0.1, 0.0, 0.1),
    "min_size": (100, 300, 1000),
}


def recipe(data: Path) -> Recipe:
    """Return the recipe of the model `neurons-em` with its data.

    Parameters
    ----------
    data : Path
        Holds the folder `flyem` (see `napari_pea.experiments.datasets`).
    """
    return Recipe(
        MODEL,
        SETTINGS,
        [volume(data, "training")],
        [volume(data, "validation")],
        choices=CHOICES,
        metric="cremi",
    )


def volume(data: Path, split: str) -> LabelledImage:
    """Return a split of FlyEM.

    Parameters
    ----------
    data : Path
        See `recipe`.
    split : str
        "training" or "validation"; the crumbs of both become background.
    """
    path = flyem(data / "flyem", split)
    image, labels = read_volume(path)
    labels = remove_small(labels, FLYEM_SMALLEST)
    return LabelledImage(image, labels, path.stem, group="flyem")
