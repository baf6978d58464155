"""Leaves: the Leaf Segmentation Challenge of CVPPP 2017, subsets A1 and A2 (methods A7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.errors import InputError
from napari_pea.experiments.papers.files import Inspection, check_pair
from napari_pea.training.labelled import LabelledImage

#: Plants of A1 by which the authors of PEA validate; the others are for training.
VALIDATION_PLANTS = (
    2, 16, 29, 37, 45, 46, 55, 61, 72, 80, 88, 99, 104, 108, 115, 127, 130, 142, 148, 159,
)  # fmt: skip
#: Annotated plants of each subset.
N_PLANTS = {"A1": 128, "A2": 31}
SOURCE = (
    "Get the training images of the Leaf Segmentation Challenge (CVPPP 2017) from "
    "https://competitions.codalab.org/competitions/18405 after registering there, under the "
    "terms told there."
)
#: What a plant's files end in: the picture, its leaves, and the foreground that the contest
#: hands out.
PICTURE, LABELS, FOREGROUND = "_rgb.png", "_label.png", "_fg.png"

#: Kinds of PNG whose numbers are ids.
MODES = ("P", "L", "I", "I;16")


@dataclass(frozen=True)
class Plant:
    """The files of a plant.

    Attributes
    ----------
    number : int
        Which plant.
    picture, labels : Path
        A colour image, and a palette image of its leaves.
    """

    number: int
    picture: Path
    labels: Path

    def read(self, group: str) -> LabelledImage:
        """Return the plant with its three colours as channels."""
        return LabelledImage(
            _pixels(self.picture)[..., :3],
            _ids(self.labels),
            f"{group}/{self.picture.name.removesuffix(PICTURE)}",
            group=group,
            channel_axis=-1,
        )


def plants(folder: Path, subset: str = "A1") -> list[Plant]:
    """Return the annotated plants of a subset, by number.

    Parameters
    ----------
    folder : Path
        Holds `A1` and `A2` as they are published, with files plantNNN_rgb.png,
        plantNNN_label.png and plantNNN_fg.png.
    subset : {"A1", "A2"}
        Which.

    Raises
    ------
    InputError
        If files are missing, misnamed or of another version: each is named.
    """
    if subset not in N_PLANTS:
        raise InputError(f"There is no subset {subset!r} of CVPPP here: use A1 or A2.")
    inspection = Inspection(f"CVPPP {subset}", folder / subset, SOURCE)
    found: list[Plant] = []
    known: set[Path] = set()
    for number in sorted(_numbers(inspection.folder)):
        stem = f"plant{number:03d}"
        picture, labels = (inspection.file(stem + end) for end in (PICTURE, LABELS))
        mask = inspection.folder / (stem + FOREGROUND)
        found.append(Plant(number, picture, labels))
        check_pair(picture, labels, inspection, MODES)
        known |= {picture, labels, mask}
    for number in VALIDATION_PLANTS if subset == "A1" else ():
        if number not in {plant.number for plant in found}:
            inspection.file(f"plant{number:03d}{PICTURE}")
    inspection.strangers(known, "*.png", "plant001_rgb.png, plant001_label.png, plant001_fg.png")
    if found and len(found) != N_PLANTS[subset]:
        inspection.problems.append(
            f"{len(found)} plants are there, but the subset has {N_PLANTS[subset]}: this is "
            "another version, or a part"
        )
    if not found and not inspection.problems:
        inspection.problems.append("no plant is there")
    inspection.checksums()
    inspection.finish()
    return found


def split(found: list[Plant]) -> tuple[list[Plant], list[Plant]]:
    """Return the plants of A1 for training and for validation."""
    held_out = [plant for plant in found if plant.number in VALIDATION_PLANTS]
    return [plant for plant in found if plant not in held_out], held_out


def _numbers(folder: Path) -> set[int]:
    """Return which plants have a picture or labels with a proper name."""
    name = re.compile(rf"plant(\d{{3}})({re.escape(PICTURE)}|{re.escape(LABELS)})")
    found = (name.fullmatch(path.name) for path in folder.glob("plant*.png"))
    return {int(match[1]) for match in found if match}


def _pixels(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def _ids(path: Path) -> NDArray[np.int32]:
    """Return the leaves of a palette image: the number of a colour is the id of a leaf."""
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture).astype(np.int32)
