"""The recipe of the shipped model `nuclei`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_pea.core.normalization import Normalization
from napari_pea.core.refine import remove_small
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments.datasets import BBBC039_SMALLEST, Pair, bbbc039, dsb2018, read_pairs
from napari_pea.experiments.recipes import Recipe
from napari_pea.models.metadata import DataSource, ModelMetadata
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.settings import (
    AugmentationSettings,
    ObjectiveSettings,
    TrainingSettings,
)

#: How often a crop comes from BBBC039; the rest comes from dsb2018.
BBBC039_SHARE = 0.55

MODEL = ModelMetadata(
    name="nuclei",
    description="Nuclei in fluorescence images, touching ones included.",
    architecture="resunet2d",
    arguments={
        "in_channels": 1,
        "embedding_dim": 16,
        "widths": (16, 24, 48, 96, 192),
        "full_resolution_skip": True,
    },
    normalization=Normalization("percentile", 1.0, 99.8),
    recommended=SegmentationSettings(),
    data=(
        DataSource(
            name="BBBC039v1, training list",
            licence="CC0-1.0",
            url="https://bbbc.broadinstitute.org/BBBC039",
        ),
        DataSource(
            name="2018 Data Science Bowl, fluorescence part (BBBC038v1)",
            licence="CC0-1.0",
            url="https://bbbc.broadinstitute.org/BBBC038",
        ),
    ),
    licence="BSD-3-Clause",
)

SETTINGS = TrainingSettings(
    iterations=5500,
    objective=ObjectiveSettings(ranges=(1, 3, 5, 9, 15, 27), cross_weight=0.0),
    augmentation=AugmentationSettings(scale=(0.7, 1.4)),
)


def recipe(data: Path) -> Recipe:
    """Return the recipe of the model `nuclei` with its data.

    Parameters
    ----------
    data : Path
        Holds the folders `bbbc039` and `dsb2018` (see `napari_pea.experiments.datasets`).
    """
    return Recipe(MODEL, SETTINGS, training_images(data), validation_images(data))


def training_images(data: Path) -> list[LabelledImage]:
    """Return the training images of both data sets, with their shares."""
    return [
        *bbbc039_images(data, "training", BBBC039_SHARE),
        *_dsb2018(data, "training", 1 - BBBC039_SHARE),
    ]


def validation_images(data: Path) -> list[LabelledImage]:
    """Return the validation images of both data sets."""
    return [*bbbc039_images(data, "validation"), *_dsb2018(data, "validation", 1.0)]


def bbbc039_images(data: Path, split: str, weight: float = 1.0) -> list[LabelledImage]:
    """Return a split of BBBC039 without its specks.

    Parameters
    ----------
    data : Path
        Holds the folder `bbbc039`.
    split : str
        "training" or "validation".
    weight : float
        That the images share.
    """
    return [
        replace(item, labels=remove_small(item.labels, BBBC039_SMALLEST))
        for item in _labelled(bbbc039(data / "bbbc039", split), weight, "bbbc039")
    ]


def _dsb2018(data: Path, split: str, weight: float) -> Iterator[LabelledImage]:
    """Yield the fluorescence part of a split of dsb2018."""
    return _labelled(dsb2018(data / "dsb2018", split), weight, "dsb2018")


def _labelled(pairs: Sequence[Pair], weight: float, group: str) -> Iterator[LabelledImage]:
    """Yield grey images that share `weight` among them."""
    for pair, (image, labels) in zip(pairs, read_pairs(pairs), strict=True):
        grey = image if image.ndim == 2 else image[..., :3].mean(axis=-1)
        yield LabelledImage(np.asarray(grey), labels, pair.name, weight / len(pairs), group)
