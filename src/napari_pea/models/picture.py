"""The example picture on the card of a model: small enough to travel in its file."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.models.catalogue import ModelEntry
from napari_pea.models.package import copy_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Longest side of a picture in pixels, and the quality of its JPEG.
SIDE, QUALITY = 256, 80
#: A longer text in a model file is no picture of ours, and not looked at.
LONGEST = 200_000
#: Colour of the outlines, as red, green and blue.
OUTLINE = (255, 217, 26)


def stored_picture(entry: ModelEntry) -> bytes | None:
    """Return the example picture of a model, as JPEG; None if there is none.

    Parameters
    ----------
    entry : ModelEntry
        The model. Its file brings the picture; for models that come with the program one
        beside it, ``<name>.jpg``, counts too.
    """
    text = "" if entry.metadata is None else entry.metadata.picture
    if text and len(text) <= LONGEST:
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return None
    beside = entry.path.with_name(f"{entry.name}.jpg")
    return beside.read_bytes() if entry.source == "built-in" and beside.is_file() else None


def store_picture(path: Path, picture: bytes) -> None:
    """Put an example picture into a model file.

    Parameters
    ----------
    path : Path
        The model file.
    picture : bytes
        A JPEG.

    Raises
    ------
    InputError
        If the picture is too large, or the file cannot be read or written.
    """
    text = base64.b64encode(picture).decode()
    if len(text) > LONGEST:
        raise InputError("The picture is too large for a model file: take a smaller one.")
    copy_model(path, path, picture=text)


def jpeg_of(picture: NDArray[np.uint8]) -> bytes:
    """Return a picture as a small JPEG.

    Parameters
    ----------
    picture : array of uint8, shape (Y, X, 3)
        Red, green and blue; it is shrunk until no side exceeds 256 pixels.
    """
    from PIL import Image

    small = Image.fromarray(np.ascontiguousarray(picture[..., :3]))
    small.thumbnail((SIDE, SIDE))
    import imagecodecs

    encoded: bytes = bytes(imagecodecs.jpeg_encode(np.asarray(small), level=QUALITY))
    return encoded


def outlined(image: NDArray[Any], labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return an image with its objects coloured and outlined.

    Parameters
    ----------
    image : array, shape (Y, X)
        Raw intensities.
    labels : array of int, shape (Y, X)
        Object ids; 0 is background.

    Returns
    -------
    array of uint8, shape (Y, X, 3)
    """
    from skimage.color import label2rgb
    from skimage.segmentation import find_boundaries

    low, high = np.percentile(image, (1, 99.8))
    grey = np.clip((image - low) / max(high - low, 1e-12), 0, 1)
    filled: NDArray[np.uint8] = (255 * label2rgb(labels, grey, alpha=0.25, bg_label=0)).astype(
        np.uint8
    )
    filled[find_boundaries(labels, mode="inner")] = OUTLINE
    return filled
