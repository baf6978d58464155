"""What the table of LSIM is measured on, and the network and the settings of its runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from skimage.draw import disk

from napari_pea.core.errors import InputError
from napari_pea.core.normalization import Normalization
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments.datasets import BBBC039_SMALLEST
from napari_pea.experiments.neurons_em import volume
from napari_pea.experiments.nuclei import bbbc039_images
from napari_pea.experiments.papers import neurons
from napari_pea.experiments.papers.benchmark import Benchmark
from napari_pea.models.metadata import DataSource, ModelMetadata
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.settings import ObjectiveSettings

#: By the names that are asked for; the first is the paper's.
NAMES = ("cremi", "flyem", "bbbc039")
#: One width for all arms, which a processor can train; the paper's are 32 to 256 and 48 to 128.
WIDTHS: dict[str, Any] = {"widths": (16, 32, 48, 64), "decoder_widths": (16, 32, 48)}
TINY: dict[str, Any] = {"widths": (4, 4, 4, 4), "decoder_widths": (4, 4, 4), "code_dim": 4}
#: What a processor can learn from in a step; sections at both ends of a crop are not trained.
VOLUME_CROPS: dict[str, Any] = {
    "batch_size": 1,
    "crop": 96,
    "crop_depth": 14,
    "background": "ignored",
    "geometric_probability": 0.5,
    "elastic_amplitude": 2.0,
}
#: Of the validation images of nuclei every so many are scored: MaskAggr takes seconds for each.
EVERY = 4
#: The smallest objects that stay in a section of a volume, and in an image of nuclei.
CRUMBS = {3: 200, 2: BBBC039_SMALLEST}


def choose(data: Path | None, asked: str | None) -> Benchmark:
    """Return the data set of the table of LSIM.

    Parameters
    ----------
    data : Path or None
        Holds folders of the names of data sets; None for made-up images.
    asked : str, optional
        One of `NAMES`. By default the paper's, or `flyem` where that is missing.

    Raises
    ------
    InputError
        If there is no such data set, or one is not as it was published.
    """
    name = asked or ("cremi" if data is not None and (data / "cremi").is_dir() else "flyem")
    if name not in NAMES:
        raise InputError(f"The table of LSIM has no data set {name!r}: use {', '.join(NAMES)}.")
    if data is None:
        return made_up(2 if name == "bbbc039" else 3)
    return {"cremi": _cremi, "flyem": _flyem, "bbbc039": _bbbc039}[name](data)


def _cremi(data: Path) -> Benchmark:
    """Return the samples of CREMI at half of their size within sections (methods B1, B7)."""
    split = neurons.cremi(data / "cremi")
    return Benchmark(
        "lsim-cremi",
        "CREMI as in the paper: samples A, B and most of C for training and the end of C for "
        "scoring, at half of the size within sections. Both label images are cut into connected "
        "components before they are scored.",
        [_halved(item) for item in split.training],
        [_halved(item) for item in split.validation],
        _model("cremi", 3, ("CREMI, samples A, B and C", "")),
        _objective(3),
        settings={**VOLUME_CROPS, "scale": (1.0, 1.0)},
        published_crops={"batch_size": 1, "crop": 272, "crop_depth": 13},
    )


def _flyem(data: Path) -> Benchmark:
    """Return the fly medulla, on which all pixels but crumbs are neurons."""
    training, held_out = (volume(data, split) for split in ("training", "validation"))
    return Benchmark(
        "lsim-flyem",
        f"**Not the paper's data**: FlyEM, medulla of the fly, cubic voxels of 10 nm, "
        f"{len(training.labels)} sections for training and {len(held_out.labels)} for scoring, "
        "stands in for CREMI, whose sections are thicker and much larger. So only the "
        "order of the rows can be compared with the paper, not the figures. Bodies under 1,000 "
        "voxels count nowhere. Both label images are cut into connected components before they "
        "are scored.",
        [training],
        [held_out],
        _model("flyem", 3, ("FlyEM, medulla of the fly, sections 0 to 149", "CC-BY-3.0")),
        _objective(3),
        settings={**VOLUME_CROPS, "scale": (0.9, 1.1)},
        # The images measure 250 x 250 pixels in plane, and the authors have 272 x 272.
        published_crops={"batch_size": 1, "crop": 240, "crop_depth": 13},
    )


def _bbbc039(data: Path) -> Benchmark:
    """Return nuclei, with the foreground that the network itself predicts."""
    training, validation = (bbbc039_images(data, split) for split in ("training", "validation"))
    held_out = validation[::EVERY]
    return Benchmark(
        "lsim-bbbc039",
        f"**Not the paper's data**: BBBC039v1, {len(training)} images of the training list for "
        f"training and every {EVERY}th of the {len(validation)} of the validation list for "
        f"scoring, {len(held_out)} in all, by the 2D variant of the network, which the "
        "paper does not have. The foreground is that of a head of the network, and masks of "
        "background are empty.",
        training,
        held_out,
        _model("bbbc039", 2, ("BBBC039v1, training list", "CC0-1.0")),
        _objective(2),
        settings={
            "batch_size": 4,
            "crop": 128,
            "background": "apart",
            "scale": (0.8, 1.25),
        },
        published_crops={"batch_size": 1, "crop": 272},
    )


def _halved(item: LabelledImage) -> LabelledImage:
    """Return a volume at half of its size within sections."""
    image = np.asarray(item.image, dtype=np.float32)
    even = image[:, : image.shape[1] // 2 * 2, : image.shape[2] // 2 * 2]
    depth, height, width = even.shape
    small = even.reshape(depth, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
    return replace(item, image=small, labels=item.labels[:, 1::2, 1::2])


def made_up(ndim: int) -> Benchmark:
    """Return a few small images, on which anything runs in no time."""
    few = _model("made-up", ndim, ("made-up images", ""))
    made = _blocks if ndim == 3 else _discs
    crops: dict[str, Any] = {"crop": 32, "crop_depth": 6} if ndim == 3 else {"crop": 32}
    return Benchmark(
        f"lsim-made-up-{ndim}d",
        "**Made-up images** and a network of next to nothing: this only shows that everything "
        "runs.",
        [made(0)],
        [made(1)],
        few.model_copy(update={"arguments": {**few.arguments, **TINY}}),
        _objective(ndim),
        settings={
            "batch_size": 1,
            "seed": 0,
            "background": "ignored" if ndim == 3 else "apart",
            "samples": (4, 4, 4, 4),
            **crops,
        },
    )


def _model(name: str, ndim: int, source: tuple[str, str]) -> ModelMetadata:
    """Return what all arms have in common."""
    arguments: dict[str, Any] = {"in_channels": 1, **WIDTHS}
    if ndim == 2:
        arguments["foreground"] = True
    return ModelMetadata(
        name=name,
        description="Trained for a table of the LSIM paper.",
        architecture=f"maskunet{ndim}d",
        arguments=arguments,
        normalization=Normalization("percentile", 1.0, 99.8),
        recommended=SegmentationSettings(
            ranges=(1, 4, 8, 12), min_size=CRUMBS[ndim], merge_fragments=False
        ),
        data=(DataSource(name=source[0], licence=source[1]),),
    )


def _objective(ndim: int) -> ObjectiveSettings:
    """Return that of masks; ranges tell the number of axes and nothing else."""
    return ObjectiveSettings(
        kind="masks", ranges=(1, 4, 8, 12), connectivity=6 if ndim == 3 else 4, cross_weight=0.0
    )


def _blocks(seed: int) -> LabelledImage:
    """Return a volume of four cells with dark walls between them."""
    rng = np.random.default_rng(seed)
    labels = np.ones((8, 40, 32), np.int32)
    row, column = rng.integers(16, 24), rng.integers(12, 20)
    labels[:, row:] += 1
    labels[:, :, column:] += 2
    image = rng.normal(100, 5, labels.shape)
    image[:, row - 1 : row + 1] -= 80
    image[:, :, column - 1 : column + 1] -= 80
    return LabelledImage(image, labels, f"blocks {seed}", group="made-up")


def _discs(seed: int) -> LabelledImage:
    """Return an image of two touching discs."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((48, 64), np.int32)
    image = rng.normal(0, 5, labels.shape)
    for number in range(2):
        y, x = 20 + int(rng.integers(4)), 22 + 18 * number
        labels[disk((y, x), 10, shape=labels.shape)] = number + 1
        image[disk((y, x), 8, shape=labels.shape)] += 100
    return LabelledImage(image, labels, f"discs {seed}", group="made-up")
