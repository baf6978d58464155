"""The picture of a package: an image, and what the model makes of it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Height of a cover; it is twice as wide. More bytes the zoo does not take.
HEIGHT, MAX_BYTES = 400, 500_000


def cover_picture(image: NDArray[Any], labels: NDArray[np.integer]) -> bytes:
    """Return a PNG: an image, and over its other half the objects found.

    Parameters
    ----------
    image : array, shape (C, *spatial)
        Intensities; of a volume the middle section is shown.
    labels : array of int, shape (*spatial)
        Object ids.
    """
    grey = image[0].astype(np.float64)
    if grey.ndim == 3:
        middle = len(grey) // 2
        grey, labels = grey[middle], labels[middle]
    low, high = np.percentile(grey, (1, 99.8))
    grey = np.clip((grey - low) / max(high - low, 1e-12), 0, 1)
    shown = np.repeat(grey[..., None], 3, axis=2)
    hues = np.random.default_rng(1).random((int(labels.max()) + 1, 3)) * 0.8 + 0.2
    found = 0.45 * shown + 0.55 * hues[labels]
    found[labels == 0] = shown[labels == 0]
    edges = np.zeros(labels.shape, dtype=bool)
    edges[:-1] |= labels[:-1] != labels[1:]
    edges[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    found[edges] = 1.0
    return _png(np.concatenate([_square(shown), _square(found)], axis=1))


def fitting_picture(data: bytes) -> bytes:
    """Return any picture as a PNG of the size of a cover.

    Parameters
    ----------
    data : bytes
        A file that Pillow can read.

    Raises
    ------
    OSError
        If it is none.
    """
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(data)) as picture:
        fitted = ImageOps.pad(picture.convert("RGB"), (2 * HEIGHT, HEIGHT))
    return _png(np.asarray(fitted, dtype=np.float64) / 255)


def _square(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the middle square of a picture at the height of a cover."""
    from PIL import Image

    side = min(picture.shape[:2])
    top, left = ((size - side) // 2 for size in picture.shape[:2])
    middle = picture[top : top + side, left : left + side]
    image = Image.fromarray((255 * middle).round().astype(np.uint8))
    return np.asarray(image.resize((HEIGHT, HEIGHT)), dtype=np.float64) / 255


def _png(picture: NDArray[np.float64]) -> bytes:
    """Return a PNG that is not too large, with fewer colours if need be."""
    from PIL import Image

    image = Image.fromarray((255 * picture).round().astype(np.uint8))
    for colors in (0, 256, 64, 16):
        stream = io.BytesIO()
        (image.quantize(colors) if colors else image).save(stream, "PNG", optimize=True)
        if stream.tell() <= MAX_BYTES:
            break
    return stream.getvalue()
