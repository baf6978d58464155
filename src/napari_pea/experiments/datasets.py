"""Data sets of nuclei, cells and neurons in the layout they are published or kept in."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from napari_pea.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: BBBC039 has specks below this size, which its users remove (methods A7).
BBBC039_SMALLEST = 25
#: FlyEM has crumbs of bodies below this size, which say nothing.
FLYEM_SMALLEST = 1000


@dataclass(frozen=True)
class Pair:
    """The files of one annotated image.

    Attributes
    ----------
    image, labels : Path
        Files with the same picture and its object ids.
    """

    image: Path
    labels: Path

    @property
    def name(self) -> str:
        """The name of the image without folder and suffix."""
        return self.image.stem


def bbbc039(folder: Path, split: str) -> list[Pair]:
    """Return the pairs of a split of BBBC039.

    Parameters
    ----------
    folder : Path
        Holds `images/`, `labels/` and `<split>.txt`, one file name a line.
    split : str
        "training", "validation" or "test".
    """
    return _listed(folder, split, "BBBC039")


def usiigaci(folder: Path, split: str) -> list[Pair]:
    """Return the pairs of a split of the Usiigaci phase-contrast cells.

    Parameters
    ----------
    folder : Path
        Holds `images/`, `labels/` and `<split>.txt`, one file name a line.
    split : str
        "training" or "validation".
    """
    return _listed(folder, split, "Usiigaci")


def _listed(folder: Path, split: str, title: str) -> list[Pair]:
    """Return the pairs that a list names."""
    listed = folder / f"{split}.txt"
    if not listed.exists():
        raise InputError(f"The list {listed} is missing: {title} needs it for its split.")
    names = listed.read_text().split()
    return [Pair(folder / "images" / name, folder / "labels" / name) for name in names]


def dsb2018(folder: Path, split: str, kinds: Sequence[str] = ("fluo",)) -> list[Pair]:
    """Return the pairs of a split of the Data Science Bowl 2018 nuclei.

    Parameters
    ----------
    folder : Path
        Holds `images/`, `labels/` and `index.csv` with the columns id, kind and split.
    split : str
        "training" or "validation".
    kinds : sequence of str
        Among "fluo", "colour" and "gray_bright".
    """
    index = folder / "index.csv"
    if not index.exists():
        raise InputError(f"The table {index} is missing: dsb2018 needs it for its split.")
    with index.open(newline="") as stream:
        rows = [
            row for row in csv.DictReader(stream) if row["split"] == split and row["kind"] in kinds
        ]
    names = [f"{row['id']}.png" for row in rows]
    return [Pair(folder / "images" / name, folder / "labels" / name) for name in names]


def bbbc050(folder: Path, split: str) -> list[Path]:
    """Return the volumes of a split of the mouse embryos BBBC050.

    Parameters
    ----------
    folder : Path
        Holds a folder for each split with ``.npz`` files of `image` and `label`.
    split : str
        "training" or "validation".
    """
    paths = sorted((folder / split).glob("*.npz"))
    if not paths:
        raise InputError(f"There are no volumes (.npz) in {folder / split}: BBBC050 needs them.")
    return paths


def flyem(folder: Path, split: str) -> Path:
    """Return the volume of a split of the fly medulla.

    Parameters
    ----------
    folder : Path
        Holds `<split>.npz` with `image` and `label`.
    split : str
        "training" or "validation".
    """
    return folder / f"{split}.npz"


def read_volume(path: Path) -> tuple[NDArray[np.generic], NDArray[np.int32]]:
    """Return image and labels of a volume, as they are stored.

    Raises
    ------
    InputError
        If the file is missing or holds something else.
    """
    try:
        with np.load(path) as stored:
            return stored["image"], stored["label"].astype(np.int32)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise InputError(
            f"{path} cannot be read: a file .npz with image and label is needed."
        ) from error


def read_pairs(pairs: Sequence[Pair]) -> Iterator[tuple[NDArray[np.generic], NDArray[np.int32]]]:
    """Yield image and labels of each pair, as they are stored.

    Raises
    ------
    InputError
        If a file is missing or cannot be read.
    """
    from napari_pea.io import read_image, read_labels

    for pair in pairs:
        yield read_image(pair.image).array, read_labels(pair.labels).astype(np.int32)
