"""Make the pictures on the cards of the shipped models: scripts/model-pictures.py DATA.

DATA holds the folders `usiigaci` and `flyem` (see docs/models.md). Those of nuclei
are of the sample image, or of a made-up volume.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_pea import segment
from napari_pea.io import read_image
from napari_pea.models.catalogue import BUILT_IN_FOLDER
from napari_pea.models.picture import jpeg_of, outlined
from napari_pea.models.zoo.example import example_image
from napari_pea.sample_data import load_sample

#: Side of the piece that is shown, in pixels.
SIDE = 200


def nuclei(_: Path) -> np.ndarray:
    """Return the sample image."""
    return load_sample("nuclei").image


def cells(data: Path) -> np.ndarray:
    """Return the first validation image of Usiigaci."""
    folder = data / "usiigaci"
    name = (folder / "validation.txt").read_text().split()[0]
    return read_image(next((folder / "images").glob(f"{Path(name).stem}*"))).array


def neurons_em(data: Path) -> np.ndarray:
    """Return some sections of the validation block of FlyEM."""
    with np.load(data / "flyem" / "validation.npz") as found:
        return found["image"][:16]


def nuclei_3d(_: Path) -> np.ndarray:
    """Return a made-up volume."""
    return example_image((24, 128, 128), 15, tissue=False)


IMAGES: dict[str, tuple[Callable[[Path], Any], int]] = {
    "nuclei": (nuclei, SIDE),
    "cells": (cells, 2 * SIDE),
    "neurons-em": (neurons_em, SIDE),
    "nuclei-3d": (nuclei_3d, SIDE),
    "nuclei-lsim": (nuclei, SIDE),
    "neurons-em-lsim": (neurons_em, SIDE),
}


def main(data: Path, names: list[str]) -> None:
    """Segment the image of each model, or of those named, and keep a piece of it."""
    for name in names or IMAGES:
        load, side = IMAGES[name]
        image = load(data)
        labels = segment(image, name).labels
        if image.ndim == 3:
            middle = len(image) // 2
            image, labels = image[middle], labels[middle]
        corner = [max(0, (size - side) // 2) for size in image.shape]
        piece = tuple(slice(start, start + side) for start in corner)
        picture = jpeg_of(outlined(image[piece], labels[piece]))
        (BUILT_IN_FOLDER / f"{name}.jpg").write_bytes(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
