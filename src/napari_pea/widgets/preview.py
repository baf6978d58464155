"""The visible piece of a large image, on which changes are carried out first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.constraints import Constraints
from napari_pea.widgets.sessions import Region
from napari_pea.widgets.sources import ImagePart

if TYPE_CHECKING:
    from napari.layers import Image

#: Planes of more pixels are previewed.
LARGE = 1500 * 1500
#: So many pixels around what is visible are computed too, so that objects at its rim are whole.
MARGIN = 32
#: If this share of a plane is visible, all of it is computed at once.
MOST = 0.8


def is_large(part: ImagePart) -> bool:
    """Whether a plane is so large that changes are previewed."""
    return int(np.prod(part.shape)) > LARGE


def visible_region(layer: Image, part: ImagePart) -> Region | None:
    """Return which piece of a large plane is visible.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.
    part : ImagePart
        The plane.

    Returns
    -------
    tuple of slice, or None
        None if the plane is small, (nearly) all of it is visible, or nothing of it is.
    """
    if not is_large(part):
        return None
    corners = np.asarray(layer.corner_pixels, dtype=float)
    if layer.multiscale:
        corners = corners * layer.downsample_factors[layer.data_level]
    region = []
    for axis, size in zip(part.plane_axes, part.shape, strict=True):
        start = max(0, int(corners[0, axis]) - MARGIN)
        stop = min(size, int(np.ceil(corners[1, axis])) + 1 + MARGIN)
        if stop - start <= 2 * MARGIN:
            return None
        region.append(slice(start, stop))
    visible = np.prod([piece.stop - piece.start for piece in region])
    return None if visible > MOST * np.prod(part.shape) else tuple(region)


def constraints_within(
    constraints: Constraints, shape: tuple[int, ...], region: Region
) -> Constraints:
    """Return the constraints between pixels of a region, with the indices of the region.

    Parameters
    ----------
    constraints : Constraints
        Of the whole plane.
    shape : tuple of int
        Of the whole plane.
    region : tuple of slice
        One for each axis.
    """
    if not constraints:
        return constraints

    def moved(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
        positions = np.unravel_index(pairs, shape)
        inside = np.ones(len(pairs), dtype=bool)
        for position, piece in zip(positions, region, strict=True):
            inside &= ((position >= piece.start) & (position < piece.stop)).all(axis=1)
        local = [
            position[inside] - piece.start
            for position, piece in zip(positions, region, strict=True)
        ]
        sizes = tuple(piece.stop - piece.start for piece in region)
        flat: NDArray[np.int64] = np.ravel_multi_index(tuple(local), sizes).astype(np.int64)
        return flat

    return Constraints(moved(constraints.must_link), moved(constraints.cannot_link))
