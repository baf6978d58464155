"""What is common to everything that takes labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from napari_pea.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Integer = TypeVar("Integer", bound=np.integer)


def checked_labels(labels: NDArray[Integer]) -> NDArray[Integer]:
    """Return labels as an array, or say why they are none.

    Raises
    ------
    InputError
        If they are not whole numbers of at least 0.
    """
    given = np.asarray(labels)
    if given.dtype.kind not in "iu":
        raise InputError(f"Labels must be whole numbers, not {given.dtype}.")
    if given.dtype.kind == "i" and given.size and given.min() < 0:
        raise InputError(f"Labels cannot be negative: found {given.min()}; 0 is background.")
    return given


def compact(labels: NDArray[Integer]) -> tuple[NDArray[Any], NDArray[Integer]]:
    """Return labels as positions in a list of ids that is no longer than needed.

    Arrays with one entry for each id stay small even if the labels are few and far between.

    Returns
    -------
    positions : array of int, shape (*spatial)
        0 is background; the labels themselves unless their ids exceed the pixels.
    ids : array of int
        The id of each position: ``ids[positions]`` are the labels.
    """
    largest = int(labels.max(initial=0))
    if largest <= labels.size:
        return labels, np.arange(largest + 1).astype(labels.dtype)
    from skimage.segmentation import relabel_sequential

    positions, _, original = relabel_sequential(labels)
    return positions, np.asarray(original).astype(labels.dtype)


def as_objects(labels: NDArray[Any]) -> NDArray[np.uint32]:
    """Return labels as partitions do: numbered from 1 in the order of their first pixels.

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        Object ids of at least 0; 0 is background.
    """
    return numbered_by_appearance(labels).astype(np.uint32).reshape(labels.shape)


def numbered_by_appearance(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return labels numbered from 1 in the order of their first pixels, flat; 0 stays 0.

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        Object ids of at least 0; 0 is background.

    Returns
    -------
    array of int64, shape (pixels,)
    """
    flat = labels.reshape(-1)
    if flat.max(initial=0) > flat.size:  # a lookup table as long as the largest id could be huge
        ids, flat = np.unique(flat, return_inverse=True)
        flat = flat + int(ids[0] != 0)
    flat = flat.astype(np.int64, copy=False)
    first = np.full(int(flat.max(initial=0)) + 1, flat.size)
    first[flat[::-1]] = np.arange(flat.size)[::-1]  # the last write wins: the first pixel
    first[0] = -1
    number = np.empty(first.size, dtype=np.int64)
    number[np.argsort(first, kind="stable")] = np.arange(first.size)
    numbered: NDArray[np.int64] = number[flat]
    return numbered
