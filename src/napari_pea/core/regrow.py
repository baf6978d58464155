"""Giving the pixels of crumbs to the objects around them, section by section."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.measure import label
from skimage.segmentation import watershed

from napari_pea.core.errors import InputError
from napari_pea.core.labels import checked_labels, compact
from napari_pea.core.progress import CancelToken, check_cancel

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Of the authors, in voxels.
SMALLEST = 200


def connected(labels: NDArray[np.integer]) -> NDArray[np.uint32]:
    """Return labels whose every object is connected along the axes.

    A partition in which distant pixels attract, such as
    `napari_pea.core.mutex.signed_mutex_watershed`, leaves objects of several pieces.

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        Object ids; 0 is background.

    Returns
    -------
    array of uint32, shape (*spatial)
        Each piece an object, numbered from 1 in the order of their first pixels.
    """
    if not labels.size:
        return labels.astype(np.uint32)
    pieces: NDArray[np.uint32] = label(labels, background=0, connectivity=1).astype(np.uint32)
    return pieces


def regrown(
    labels: NDArray[np.integer],
    boundary: NDArray[np.floating],
    *,
    min_size: int = SMALLEST,
    cancel: CancelToken | None = None,
) -> NDArray[np.uint32]:
    """Return labels whose crumbs have gone to their neighbours (methods B6).

    Objects with fewer pixels than `min_size` are removed; the others grow over their pixels,
    by a watershed of the boundary within each section.

    Parameters
    ----------
    labels : array of int, shape (Y, X) or (Z, Y, X)
        Object ids; 0 is background, which stays as it is. Not changed.
    boundary : array of float, shape of the labels
        Where objects are parted: see `napari_pea.core.agglomeration.boundary_map`.
    min_size : int
        The fewest pixels of an object that is kept, over all sections.
    cancel : CancelToken, optional
        Checked before each section.

    Returns
    -------
    array of uint32, shape of the labels
        Connected objects, numbered from 1 in the order of their first pixels. What no object
        of its section reaches is background.

    Raises
    ------
    InputError
        If the labels are not whole numbers of at least 0, or the boundary does not fit them.
    Cancelled
        If `cancel` was set.
    """
    if boundary.shape != labels.shape:
        raise InputError(
            "Labels and boundary must have the same shape: got "
            f"{labels.shape} and {boundary.shape}."
        )
    positions, _ = compact(checked_labels(labels))
    sizes = np.bincount(positions.reshape(-1))
    kept: NDArray[Any] = np.where(sizes[positions] >= min_size, positions, 0).astype(np.int64)
    grown = kept if kept.ndim == 3 else kept[None]
    sections = zip(
        grown, boundary.reshape(grown.shape), positions.reshape(grown.shape) > 0, strict=True
    )
    for section, height, inside in sections:
        check_cancel(cancel)
        if section.any() and (inside & (section == 0)).any():
            section[:] = watershed(height, section, mask=inside)
    return connected(grown.reshape(labels.shape))
