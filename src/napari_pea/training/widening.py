"""Parting objects that touch, so that their border is learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray


def widened(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return labels with the pixels at which objects touch as background (methods A4).

    Parameters
    ----------
    labels : array of int32, shape (Y, X) or (Z, Y, X)
        Object ids; 0 is background, and negative where nothing is annotated.

    Returns
    -------
    array of int32
        0 in objects wherever the 3 x 3 pixels around, in the same section, are of more than
        one object.
    """
    window = (1,) * (labels.ndim - 2) + (3, 3)
    largest = ndimage.maximum_filter(labels, window)
    none = np.iinfo(labels.dtype).max
    smallest = ndimage.minimum_filter(np.where(labels > 0, labels, none), window)
    return np.where((labels > 0) & (smallest < largest), 0, labels).astype(np.int32)
