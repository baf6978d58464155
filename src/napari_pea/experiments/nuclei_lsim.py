"""The recipe of the shipped model `nuclei-lsim`."""

from __future__ import annotations

from pathlib import Path

from napari_pea.core.masks.lattice import MaskLattice
from napari_pea.core.masks.prediction import trained_offsets
from napari_pea.core.normalization import Normalization
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments.nuclei import bbbc039_images
from napari_pea.experiments.recipes import Recipe
from napari_pea.models.metadata import DataSource, ModelMetadata
from napari_pea.training.mask_settings import MaskObjective
from napari_pea.training.settings import (
    AugmentationSettings,
    ObjectiveSettings,
    TrainingSettings,
)

#: Masks of stride 1 and 4 tell of these pairs.
OFFSETS = trained_offsets((MaskLattice((1, 1)), MaskLattice((4, 4))))

MODEL = ModelMetadata(
    name="nuclei-lsim",
    description="Nuclei in fluorescence images by single-instance masks, with uncertainty.",
    architecture="maskunet2d",
    arguments={
        "in_channels": 1,
        "widths": (16, 32, 64, 128),
        "decoder_widths": (16, 32, 64),
        "dense": (1, 2, 3, 4),
        "sparse": (1, 2, 3),
        "foreground": True,
        "offsets": OFFSETS,
    },
    normalization=Normalization("percentile", 1.0, 99.8),
    recommended=SegmentationSettings(ranges=(1, 2, 3, 4, 8, 12)),
    data=(
        DataSource(
            name="BBBC039v1, training list",
            licence="CC0-1.0",
            url="https://bbbc.broadinstitute.org/BBBC039",
        ),
    ),
    licence="BSD-3-Clause",
)

SETTINGS = TrainingSettings(
    iterations=2500,
    crop=192,
    batch_size=4,
    ema_decay=0.997,
    checkpoint_every=50,
    objective=ObjectiveSettings(kind="masks", ranges=(1, 2, 3, 4, 8, 12), connectivity=8),
    # Nuclei that touch nothing have no other neighbours to be told from.
    masks=MaskObjective(background="apart", samples=(240, 240, 120, 60)),
    augmentation=AugmentationSettings(scale=(0.7, 1.4)),
)

#: What is tried for the recommended settings.
CHOICES = {
    "ranges": ((1, 2, 3, 4, 8, 12), (1, 3, 4, 8), (1, 2, 4, 8), (1, 4, 8, 12), (1, 4, 8)),
    "connectivity": (4, 8),
    "strides": (2, 3, 4, 6),
    "foreground_threshold": (0.45, 0.5, 0.55),
    "min_size": (25, 40),
}


def recipe(data: Path) -> Recipe:
    """Return the recipe of the model `nuclei-lsim` with its data.

    Parameters
    ----------
    data : Path
        Holds the folder `bbbc039` (see `napari_pea.experiments.datasets`).
    """
    shown, held_out = (bbbc039_images(data, split) for split in ("training", "validation"))
    return Recipe(MODEL, SETTINGS, shown, held_out, choices=CHOICES)
