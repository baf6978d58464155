"""The recipe of the shipped model `neurons-em-lsim`."""

from __future__ import annotations

from pathlib import Path

from napari_pea.core.masks.lattice import MaskLattice
from napari_pea.core.masks.prediction import trained_offsets
from napari_pea.core.normalization import Normalization
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments import neurons_em
from napari_pea.experiments.neurons_em import volume
from napari_pea.experiments.recipes import Recipe
from napari_pea.models.metadata import ModelMetadata
from napari_pea.training.settings import (
    AugmentationSettings,
    ObjectiveSettings,
    TrainingSettings,
)

#: Masks of stride 1 and 4 tell of these pairs.
OFFSETS = trained_offsets((MaskLattice((1, 1, 1)), MaskLattice((1, 4, 4))))

#: Half as wide as the paper's at the finest levels.
MODEL = ModelMetadata(
    name="neurons-em-lsim",
    description=(
        "Neurons in electron microscopy whose voxels are cubes of about 10 nm (FIB-SEM), by "
        "single-instance masks, with uncertainty."
    ),
    architecture="maskunet3d",
    arguments={
        "in_channels": 1,
        "widths": (16, 32, 48, 64),
        "decoder_widths": (16, 32, 48),
        "dense": (1, 2, 3, 4),
        "sparse": (1, 2, 3),
        "offsets": OFFSETS,
    },
    normalization=Normalization("percentile", 1.0, 99.8),
    recommended=SegmentationSettings(
        ranges=(1, 2, 3, 4, 8, 12),
        z_ranges=(1, 2, 2, 2, 2, 2),
        strides=(1, 4, 4),
        min_size=200,
        merge_fragments=False,
    ),
    pixel_size_um=neurons_em.MODEL.pixel_size_um,
    data=neurons_em.MODEL.data,
    licence="BSD-3-Clause",
)

SETTINGS = TrainingSettings(
    iterations=2000,
    batch_size=1,
    crop=96,
    crop_depth=14,
    ema_decay=0.995,
    validate_every=400,
    checkpoint_every=50,
    objective=ObjectiveSettings(
        kind="masks", ranges=(1, 2, 3, 4, 8, 12), z_ranges=(1, 2, 2, 2, 2, 2), connectivity=6
    ),
    augmentation=AugmentationSettings(
        geometric_probability=0.5, elastic_amplitude=2.0, missing_probability=0.05
    ),
)

#: What is tried for the recommended settings.
CHOICES = {
    "ranges": ((1, 2, 3, 4, 8, 12), (1, 4, 8, 12), (1, 4, 8)),
    "strides": ((1, 4, 4), (2, 4, 4), (2, 8, 8)),
    "bias": (-0.1, 0.0, 0.1),
    "min_size": (100, 200, 500),
}


def recipe(data: Path) -> Recipe:
    """Return the recipe of the model `neurons-em-lsim` with its data.

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
