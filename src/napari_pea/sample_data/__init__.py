"""A sample image with its true objects, for a first try without any download."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from napari_pea.core.errors import InputError
from napari_pea.io.reading import read_image, read_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Data, arguments and kind of a napari layer.
LayerData: TypeAlias = "tuple[NDArray[Any], dict[str, Any], str]"

FOLDER = Path(__file__).parent
#: The names of the samples.
SAMPLES = ("nuclei",)


@dataclass(frozen=True)
class Sample:
    """An annotated image.

    Attributes
    ----------
    name : str
        For layers and files.
    image_path, truth_path : Path
        The files.
    image : array of uint16, shape (Y, X)
        Raw intensities.
    truth : array of uint8, shape (Y, X)
        Ids of the annotated objects; 0 is background.
    """

    name: str
    image_path: Path
    truth_path: Path
    image: NDArray[Any]
    truth: NDArray[Any]


def load_sample(name: str = "nuclei") -> Sample:
    """Return a sample.

    Parameters
    ----------
    name : str
        One of `SAMPLES`.

    Raises
    ------
    InputError
        If there is no such sample.
    """
    if name not in SAMPLES:
        raise InputError(f"There is no sample {name!r}; choose from {', '.join(SAMPLES)}.")
    image, truth = FOLDER / f"{name}.png", FOLDER / f"{name}_truth.png"
    return Sample(name, image, truth, read_image(image).array, read_labels(truth))


def nuclei_layers() -> list[LayerData]:
    """Return the sample `nuclei` for napari: the image alone."""
    sample = load_sample("nuclei")
    return [(sample.image, {"name": "nuclei"}, "image")]


def annotated_nuclei_layers() -> list[LayerData]:
    """Return the sample `nuclei` for napari: the image and its true objects."""
    sample = load_sample("nuclei")
    return [*nuclei_layers(), (sample.truth, {"name": "nuclei truth"}, "labels")]
