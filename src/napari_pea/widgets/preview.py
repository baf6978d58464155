"""The visible piece of a large image, on which changes are carried out first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.constraints import Constraints
from napari_pea.widgets.sources import ImagePart, Region

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image

#: Planes and volumes of more pixels are previewed.
LARGE = {2: 1500 * 1500, 3: 1_000_000}
#: So many pixels around what is visible are computed too, so that objects at its rim are whole.
MARGIN = 32
#: If this share of a plane is visible, all of it is computed at once.
MOST = 0.8
#: Sides, in pixels, of what is segmented before all of a large image, and of what changes in
#: volumes are carried out on first.
BLOCK = {2: (1024, 1024), 3: (32, 160, 160)}


def is_large(part: ImagePart) -> bool:
    """Whether a plane or volume is so large that changes are previewed."""
    return int(np.prod(part.shape)) > LARGE[len(part.shape)]


def visible_region(layer: Image, part: ImagePart, dims: Dims) -> Region | None:
    """Return which piece of a large plane or volume is visible.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.
    part : ImagePart
        The plane or volume.
    dims : napari.components.Dims
        The sliders of the viewer.

    Returns
    -------
    tuple of slice, or None
        None if the part is small, (nearly) all of it is visible, or nothing of it is. Of
        volumes a block around what is visible, no larger than `BLOCK`.
    """
    if not is_large(part):
        return None
    region = block_around_view(layer, part, dims) if len(part.shape) == 3 else _seen(layer, part)
    if region is None:
        return None
    visible = np.prod([piece.stop - piece.start for piece in region])
    return None if visible > MOST * np.prod(part.shape) else region


def _seen(layer: Image, part: ImagePart) -> Region | None:
    """Return the visible piece of a plane with a margin; None if nothing is visible."""
    corners = _corners(layer)
    region = []
    for axis, size in zip(part.plane_axes, part.shape, strict=True):
        start = max(0, int(corners[0, axis]) - MARGIN)
        stop = min(size, int(np.ceil(corners[1, axis])) + 1 + MARGIN)
        if stop - start <= 2 * MARGIN:
            return None
        region.append(slice(start, stop))
    return tuple(region)


def block_around_view(layer: Image, part: ImagePart, dims: Dims) -> Region:
    """Return the block in the middle of what is visible, at the sections of the sliders.

    Parameters
    ----------
    layer, part, dims
        See `visible_region`.

    Returns
    -------
    tuple of slice
        One for each axis of the part, no larger than `BLOCK` and within the part.
    """
    corners = _corners(layer)
    at_sliders = np.asarray(layer.world_to_data(dims.point), dtype=float)
    hidden = dims.ndim - layer.ndim
    # In 3D all of the layer counts as visible, and the sliders tell where the user was.
    shown = {axis - hidden for axis in dims.displayed} if len(dims.displayed) == 2 else set()
    region = []
    for axis, size, side in zip(part.plane_axes, part.shape, BLOCK[len(part.shape)], strict=True):
        first = last = at_sliders[axis]
        if axis in shown:
            first, last = np.clip(corners[:, axis], 0, size - 1)
        length = min(size, side)
        start = int(np.clip(round((first + last) / 2) - length // 2, 0, size - length))
        region.append(slice(start, start + length))
    return tuple(region)


def _corners(layer: Image) -> NDArray[np.float64]:
    """Return the first and the last visible pixel along each axis of a layer."""
    corners = np.asarray(layer.corner_pixels, dtype=float)
    if layer.multiscale:
        corners = corners * layer.downsample_factors[layer.data_level]
    return corners


def constraints_within(
    constraints: Constraints, shape: tuple[int, ...], region: Region
) -> Constraints:
    """Return the constraints between pixels of a region, with the indices of the region.

    Parameters
    ----------
    constraints : Constraints
        Of the whole part.
    shape : tuple of int
        Of the whole part.
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
