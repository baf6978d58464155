"""Listed data sets of nuclei and cells in the layout they are published or kept in."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: BBBC039 has specks below this size, which its users remove (methods A7).
BBBC039_SMALLEST = 25


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
