"""Neurons that the tables for volumes are measured on, or what stands in for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_pea.core.normalization import Normalization
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments.neurons_em import volume
from napari_pea.experiments.papers import neurons
from napari_pea.experiments.papers.benchmark import Benchmark
from napari_pea.experiments.papers.files import check_volumes
from napari_pea.models.metadata import DataSource, ModelMetadata
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.settings import ObjectiveSettings

#: Twelve pairs, and the strides of the authors' Mutex Watershed (methods A4, A9). Sections of
#: AC3 and AC4 are further apart than their pixels.
SECTIONS = SegmentationSettings(
    ranges=(1, 3, 9, 27),
    z_ranges=(1, 2, 3, 4),
    strides=(1, 10, 10),
    min_size=0,
    merge_fragments=False,
    fill_holes=False,
)
#: As many pairs where voxels are cubes.
CUBES = SECTIONS.updated(z_ranges=None, strides=8)
FLYEM_SOURCE = (
    "It is a block of the medulla of the fly by FIB-SEM (FlyEM, CC BY 3.0), cut into training.npz "
    "and validation.npz with image and label."
)
#: What a processor can do, with the model `neurons-em` as the example.
SMALL_WIDTHS = (16, 32, 48, 64, 80)


def ac3_ac4(folder: Path) -> Benchmark:
    """Return AC4 by the authors' split, scored on AC3 or, without that, on the rest of AC4."""
    split = neurons.ac3_ac4(folder)
    if split.test:
        held_out, said = split.test, "AC3 for scoring, as in the paper"
    else:
        held_out = split.validation
        said = "its other sections for scoring; the paper has AC3, whose labels SNEMI3D keeps"
    return _in_sections(
        "ac3-ac4",
        f"AC4, {len(split.training[0].labels)} sections for training and {said}.",
        split.training,
        held_out,
        "AC4, sections 0 to 79",
    )


def cremi(folder: Path) -> Benchmark:
    """Return the samples of CREMI as LSIM splits them."""
    split = neurons.cremi(folder)
    return _in_sections(
        "cremi",
        "CREMI, samples A, B and most of C for training and the end of C for scoring.",
        split.training,
        split.validation,
        "CREMI, samples A, B and C",
    )


def flyem(folder: Path) -> Benchmark:
    """Return the fly medulla, whose voxels are cubes."""
    check_volumes(folder, "FlyEM", FLYEM_SOURCE, ("training.npz", "validation.npz"))
    training, held_out = (volume(folder.parent, split) for split in ("training", "validation"))
    return Benchmark(
        "flyem",
        f"FlyEM, medulla of the fly, cubic voxels, {len(training.labels)} sections for training "
        f"and {len(held_out.labels)} for scoring; bodies under 1,000 voxels count nowhere. The "
        "network treats z like y and x, and is narrower than the paper's at full resolution.",
        [training],
        [held_out],
        _model(
            "flyem",
            CUBES,
            ("FlyEM, medulla of the fly, sections 0 to 149", "CC-BY-3.0"),
            widths=SMALL_WIDTHS,
            isotropic=True,
        ),
        _objective(CUBES, background_pairs="ignored"),
        settings={
            "batch_size": 2,
            "crop": 64,
            "crop_depth": 48,
            "geometric_probability": 0.5,
            "elastic_amplitude": 2.0,
        },
    )


def made_up() -> Benchmark:
    """Return small blocks of cells, on which anything runs in no time."""
    return Benchmark(
        "made-up-3d",
        "**Made-up blocks** and a network of next to nothing: this only shows that everything "
        "runs.",
        [_blocks(0)],
        [_blocks(1)],
        _model("made-up", CUBES, ("made-up blocks", ""), widths=(4,) * 5, isotropic=True),
        _objective(CUBES, background_pairs="ignored"),
        settings={"batch_size": 1, "crop": 32, "crop_depth": 16, "seed": 0},
    )


def _in_sections(
    name: str,
    note: str,
    training: Sequence[LabelledImage],
    held_out: Sequence[LabelledImage],
    source: str,
) -> Benchmark:
    """Return thick sections, with the network and the loss of the paper."""
    return Benchmark(
        name,
        note,
        training,
        held_out,
        _model(name, SECTIONS, (source, "")),
        _objective(SECTIONS, background_pairs="apart", widened=True),
        settings={
            "batch_size": 2,
            "crop": 96,
            "crop_depth": 18,
            "geometric_probability": 0.5,
            "scale": (1.0, 1.0),
        },
        published_crops={"batch_size": 2, "crop": 160, "crop_depth": 18},
    )


def _blocks(seed: int) -> LabelledImage:
    """Return a volume of eight cells with dark walls between them."""
    rng = np.random.default_rng(seed)
    shape = np.array((32, 48, 48))
    middle = shape // 2 + rng.integers(-4, 5, size=3)
    sides = [np.arange(size) >= cut for size, cut in zip(shape, middle, strict=True)]
    z, y, x = np.ix_(*(side.astype(np.int32) for side in sides))
    labels = 1 + 4 * z + 2 * y + x
    image = rng.normal(100, 5, shape)
    for axis, cut in enumerate(middle):
        np.moveaxis(image, axis, 0)[cut - 1 : cut + 1] -= 80
    return LabelledImage(image, labels, f"blocks {seed}", group="made-up")


def _model(
    name: str, settings: SegmentationSettings, source: tuple[str, str], **arguments: Any
) -> ModelMetadata:
    """Return the 3D network of the paper for a data set."""
    return ModelMetadata(
        name=name,
        description="Trained for a table of the paper.",
        architecture="resunet3d",
        arguments={"in_channels": 1, "embedding_dim": 16, **arguments},
        normalization=Normalization("percentile", 1.0, 99.8),
        recommended=settings,
        data=(DataSource(name=source[0], licence=source[1]),),
    )


def _objective(settings: SegmentationSettings, **changes: Any) -> ObjectiveSettings:
    """Return the loss of the paper on the ranges that are looked at (methods A4, A5)."""
    return ObjectiveSettings(
        ranges=settings.ranges,
        z_ranges=settings.z_ranges,
        connectivity=6,
        cross_weight=1.0,
        pyramid_weight=1.0,
        pyramid_ranges=(1, 1, 1, 1),
        **changes,
    )
