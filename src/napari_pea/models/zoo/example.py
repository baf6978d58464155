"""Images to try a model on when the user gives none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: Pixels across if a model does not know how large its objects are.
DIAMETER = 20.0


def example_image(
    shape: Sequence[int], diameter: float | None, *, tissue: bool, seed: int = 0
) -> NDArray[np.uint16]:
    """Return a made-up image of round objects.

    Parameters
    ----------
    shape : sequence of int
        Its spatial shape, 2D or 3D.
    diameter : float, optional
        About how wide objects are in pixels.
    tissue : bool
        Whether objects fill the image and have dark borders, as in electron microscopy;
        otherwise they are bright on dark ground.
    seed : int
        Of all that is random.
    """
    rng = np.random.default_rng(seed)
    across = float(np.clip(diameter or DIAMETER, 6, max(shape) / 3))
    spots = rng.random(shape) < 0.7 / across ** len(shape)
    spots.flat[rng.integers(spots.size)] = True
    away, nearest = ndimage.distance_transform_edt(~spots, return_indices=True)
    ids = np.arange(spots.size).reshape(shape)[tuple(nearest)]
    reach = [slice(None, -1)] * len(shape)
    border = np.zeros(shape, dtype=bool)
    for axis in range(len(shape)):
        here = tuple(reach[axis] if other == axis else slice(None) for other in range(len(shape)))
        border[here] |= np.diff(ids, axis=axis) != 0
    if tissue:
        clean = np.where(border, 0.2, 0.8)
    else:
        clean = np.where(border | (away > across / 2), 0.1, 0.8)
    noisy = ndimage.gaussian_filter(clean, 1.0) + rng.normal(0, 0.03, shape)
    return np.asarray(np.clip(4000 * noisy, 0, 65535), dtype=np.uint16)


def fitted(image: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    """Return the middle of an image, mirrored at its edges where it is too small.

    Parameters
    ----------
    image : array, shape (C, *spatial)
        Any image.
    shape : sequence of int
        The spatial shape wanted.
    """
    for axis, size in enumerate(shape, start=1):
        have = image.shape[axis]
        if have < size:
            before = (size - have) // 2
            widths = [(0, 0)] * image.ndim
            widths[axis] = (before, size - have - before)
            image = np.pad(image, widths, mode="symmetric")
        else:
            start = (have - size) // 2
            image = np.take(image, range(start, start + size), axis=axis)
    return image
