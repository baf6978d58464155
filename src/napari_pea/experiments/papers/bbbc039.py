"""Nuclei: BBBC039v1 of the Broad Bioimage Benchmark Collection, as it is published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.refine import remove_small
from napari_pea.experiments.datasets import BBBC039_SMALLEST
from napari_pea.experiments.papers.files import Inspection, check_pair
from napari_pea.training.labelled import LabelledImage

#: Images of each list.
N_IMAGES = {"training": 100, "validation": 50, "test": 50}
SOURCE = (
    "Get images.zip, masks.zip and metadata.zip of BBBC039v1 from "
    "https://bbbc.broadinstitute.org/BBBC039 (CC0) and unpack all three into one folder."
)


@dataclass(frozen=True)
class Field:
    """The files of a field of view.

    Attributes
    ----------
    image, mask : Path
        A 16-bit TIFF, and a PNG whose first channel tells touching nuclei apart.
    """

    image: Path
    mask: Path

    def read(self, weight: float = 1.0) -> LabelledImage:
        """Return image and nuclei, without specks (methods A7)."""
        from napari_pea.io import read_image

        return LabelledImage(
            np.asarray(read_image(self.image).array),
            remove_small(nuclei_of(self.mask), BBBC039_SMALLEST),
            self.image.stem,
            weight,
            "bbbc039",
        )


def is_published_layout(folder: Path) -> bool:
    """Whether a folder looks like the unpacked archives, be they complete or not."""
    return any((folder / name).is_dir() for name in ("masks", "metadata"))


def fields(folder: Path) -> dict[str, list[Field]]:
    """Return the fields of view of each list.

    Parameters
    ----------
    folder : Path
        Holds `images` (TIFF), `masks` (PNG) and `metadata` with training.txt, validation.txt
        and test.txt.

    Raises
    ------
    InputError
        If files are missing, misnamed or of another version: each is named.
    """
    inspection = Inspection("BBBC039v1", folder, SOURCE)
    found: dict[str, list[Field]] = {}
    for name, count in N_IMAGES.items():
        path = inspection.file("metadata", f"{name}.txt")
        listed = path.read_text().split() if path.is_file() else []
        if path.is_file() and len(listed) != count:
            inspection.note(path, f"names {len(listed)} images, but the list has {count}")
        found[name] = [
            Field(
                inspection.file("images", f"{Path(item).stem}.tif"),
                inspection.file("masks", f"{Path(item).stem}.png"),
            )
            for item in listed
        ]
    known = [field for listed_fields in found.values() for field in listed_fields]
    for field in known:
        check_pair(field.image, field.mask, inspection)
    if known:
        for part, paths in (
            ("images", [field.image for field in known]),
            ("masks", [field.mask for field in known]),
        ):
            inspection.strangers(paths, f"{part}/*", "those in the lists of metadata")
    inspection.checksums()
    inspection.finish()
    return found


def nuclei_of(mask: Path) -> NDArray[np.int32]:
    """Return the nuclei of a mask: what hangs together with one value of the first channel."""
    from PIL import Image
    from skimage.measure import label

    with Image.open(mask) as picture:
        values = np.asarray(picture)
    first = values if values.ndim == 2 else values[..., 0]
    numbered: NDArray[np.int32] = label(first, background=0).astype(np.int32)
    return numbered
