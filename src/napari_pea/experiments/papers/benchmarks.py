"""What the tables are measured on: the papers' data sets, or what stands in for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from skimage.draw import disk

from napari_pea.core.errors import InputError
from napari_pea.core.normalization import Normalization
from napari_pea.core.scaling import scaled_image, scaled_labels
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments.cells import usiigaci_images
from napari_pea.experiments.nuclei import bbbc039_images
from napari_pea.experiments.papers import bbbc039, cvppp, neuron_benchmarks, neurons
from napari_pea.experiments.papers.benchmark import Benchmark
from napari_pea.experiments.papers.files import check_sorted
from napari_pea.models.metadata import DataSource, ModelMetadata
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.settings import ObjectiveSettings

#: Ranges of the authors on leaves and on nuclei (methods A4), and the strides (A9).
LEAVES = SegmentationSettings(ranges=(1, 3, 5, 9, 27), connectivity=4, strides=5)
NUCLEI = SegmentationSettings(ranges=(1, 3, 5, 9, 11), connectivity=4, strides=10)
#: Phase contrast is shrunk to the size at which the network sees cells as large as leaves.
USIIGACI_SCALE = 0.5
USIIGACI_SOURCE = (
    "Get Usiigaci from https://github.com/oist/Usiigaci (MIT) and sort it into images/, labels/, "
    "training.txt and validation.txt."
)


@dataclass(frozen=True)
class DataSet:
    """A data set that tables are measured on.

    Attributes
    ----------
    load : callable
        Given its folder, returns the benchmark.
    source : str
        A sentence on where it comes from, if nothing but its folder tells.
    stand_in : str
        The data set that stands in where it is missing, if any.
    ndim : int
        Number of axes of its images.
    """

    load: Callable[[Path], Benchmark]
    source: str = ""
    stand_in: str = ""
    ndim: int = 2


def choose(data: Path, wanted: str, asked: str | None = None) -> Benchmark:
    """Return the data set of a table.

    Parameters
    ----------
    data : Path
        Holds a folder for each data set, named as in `DATA_SETS`, as it is published; `bbbc039`
        may also be sorted into `images` and `labels`.
    wanted : str
        The data set of the paper.
    asked : str, optional
        Another one that shall stand in. By default the one in `DATA_SETS` does where that of the
        paper is missing.

    Raises
    ------
    InputError
        If there is none of them, or one is not as it was published.
    """
    if asked is not None and asked not in DATA_SETS:
        raise InputError(f"There is no data set {asked!r} here: use {', '.join(DATA_SETS)}.")
    name = asked or wanted
    axes = DATA_SETS[wanted].ndim
    if DATA_SETS[name].ndim != axes:
        fitting = [known for known, found in DATA_SETS.items() if found.ndim == axes]
        raise InputError(
            f"The data set {name!r} has {DATA_SETS[name].ndim}D images, but this table is of "
            f"{axes}D images: use {', '.join(fitting)}."
        )
    other = DATA_SETS[name].stand_in
    if other and asked is None and not (data / name).is_dir():
        if not (data / other).is_dir():
            raise InputError(
                f"The folder {data / name} is missing, and so is {other}, which could stand "
                f"in for it. {DATA_SETS[name].source}"
            )
        name = other
    made = DATA_SETS[name].load(data / name)
    if name == wanted:
        return made
    return replace(
        made,
        note=f"**Not the paper's data**: {made.name} stands in for {wanted}, so that only the "
        f"order of the rows can be compared with the paper, not the figures. {made.note}",
    )


def _leaves(folder: Path) -> Benchmark:
    """Return CVPPP A1 by the authors' split, with A2 to score on if it is there."""
    training, held_out = cvppp.split(cvppp.plants(folder, "A1"))
    others = cvppp.plants(folder, "A2") if (folder / "A2").is_dir() else []
    return Benchmark(
        "cvppp",
        f"CVPPP A1, {len(training)} plants for training and the authors' {len(held_out)} for "
        "scoring; the true foreground is given, as in the paper.",
        [plant.read("A1") for plant in training],
        [*(plant.read("A1") for plant in held_out), *(plant.read("A2") for plant in others)],
        _model("cvppp", LEAVES, 3, ("CVPPP 2017 LSC, A1", "")),
        _objective(LEAVES),
        given_foreground=True,
        published_crops={"batch_size": 2, "crop": 544},
    )


def _nuclei(folder: Path) -> Benchmark:
    """Return BBBC039 with its test list, or its validation list where that is all there is."""
    if bbbc039.is_published_layout(folder):
        fields = bbbc039.fields(folder)
        training, held_out = (
            [item.read() for item in fields[name]] for name in ("training", "test")
        )
        said = "test list, as in the paper"
    else:
        check_sorted(folder, "BBBC039v1", bbbc039.SOURCE)
        training, held_out = (
            bbbc039_images(folder.parent, split) for split in ("training", "validation")
        )
        said = "validation list; the paper has the test list"
    return Benchmark(
        "bbbc039",
        f"BBBC039v1, {len(training)} images of the training list and {len(held_out)} of the "
        f"{said}; the foreground is the network's own.",
        training,
        held_out,
        _model("bbbc039", NUCLEI, 1, ("BBBC039v1, training list", "CC0-1.0")),
        _objective(NUCLEI),
        published_crops={"batch_size": 8, "crop": 256},
    )


def _cells(folder: Path) -> Benchmark:
    """Return Usiigaci at half of its size, with the foreground given as on leaves."""
    check_sorted(folder, "Usiigaci", USIIGACI_SOURCE)
    training, held_out = (
        [_shrunk(item) for item in usiigaci_images(folder.parent, split)]
        for split in ("training", "validation")
    )
    return Benchmark(
        "usiigaci",
        f"Usiigaci, cells in phase contrast that touch as leaves do, at half of their size, "
        f"{len(training)} images for training and {len(held_out)} for scoring; the true "
        "foreground is given, as in the paper.",
        training,
        held_out,
        _model("usiigaci", LEAVES, 1, ("Usiigaci, T98G cells, training list", "MIT")),
        _objective(LEAVES),
        given_foreground=True,
    )


def made_up_for(name: str) -> Benchmark:
    """Return made-up images with as many axes as those of a data set have."""
    return neuron_benchmarks.made_up() if DATA_SETS[name].ndim == 3 else made_up()


def made_up() -> Benchmark:
    """Return a few small images of touching discs, on which anything runs in no time."""
    few = _model("made-up", LEAVES, 1, ("made-up discs", ""))
    return Benchmark(
        "made-up",
        "**Made-up discs** and a network of next to nothing: this only shows that everything runs.",
        [_discs(seed) for seed in range(2)],
        [_discs(seed) for seed in range(2, 4)],
        few.model_copy(update={"arguments": {**few.arguments, "widths": (4, 4, 4, 4, 4)}}),
        _objective(LEAVES),
        given_foreground=True,
        settings={"batch_size": 1, "crop": 32, "seed": 0},
    )


def _discs(seed: int) -> LabelledImage:
    """Return an image of pairs of touching discs with dark rims."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((64, 80), np.int32)
    image = rng.normal(0, 5, labels.shape)
    moved = rng.integers(0, 12, size=2)
    for number in range(4):
        row, column = divmod(number, 2)
        y, x = 17 + 30 * row, 20 + 18 * column + int(moved[row])
        labels[disk((y, x), 10, shape=labels.shape)] = number + 1
        image[disk((y, x), 8, shape=labels.shape)] += 100
    return LabelledImage(image, labels, f"discs {seed}", group="made-up")


def _shrunk(item: LabelledImage) -> LabelledImage:
    """Return an image of one channel and its labels at another size."""
    pixels = np.asarray(item.image, dtype=np.float32)[None]
    return replace(
        item,
        image=scaled_image(pixels, USIIGACI_SCALE)[0],
        labels=scaled_labels(item.labels, USIIGACI_SCALE),
    )


def _model(
    name: str, settings: SegmentationSettings, channels: int, source: tuple[str, str]
) -> ModelMetadata:
    """Return the 2D network of the paper for a data set."""
    return ModelMetadata(
        name=name,
        description="Trained for a table of the paper.",
        architecture="resunet2d",
        arguments={"in_channels": channels, "embedding_dim": 16},
        normalization=Normalization("percentile", 1.0, 99.8),
        recommended=settings,
        data=(DataSource(name=source[0], licence=source[1]),),
    )


def _objective(settings: SegmentationSettings) -> ObjectiveSettings:
    """Return the loss of the paper on the ranges that are looked at."""
    return ObjectiveSettings(ranges=settings.ranges, cross_weight=1.0, pyramid_weight=1.0)


#: By the names that are asked for, which are those of the folders.
DATA_SETS: dict[str, DataSet] = {
    "cvppp": DataSet(_leaves, cvppp.SOURCE, "usiigaci"),
    "bbbc039": DataSet(_nuclei),
    "usiigaci": DataSet(_cells),
    "ac3-ac4": DataSet(neuron_benchmarks.ac3_ac4, neurons.AC_SOURCE, "flyem", 3),
    "flyem": DataSet(neuron_benchmarks.flyem, ndim=3),
    "cremi": DataSet(neuron_benchmarks.cremi, ndim=3),
}
