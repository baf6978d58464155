"""Objects that stay keep their ids from one segmentation of an image to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.kernels import compiled
from napari_pea.core.labels import checked_labels, compact

if TYPE_CHECKING:
    from numpy.typing import NDArray


def tracked_ids(labels: NDArray[np.integer], previous: NDArray[np.integer]) -> NDArray[np.uint32]:
    """Return the ids that the objects of a segmentation get after a previous one.

    An object keeps the id of a previous one if each of the two shares more pixels with the
    other than with any third object; of equal overlaps the one with the lower id counts.
    All other objects are new, and get the lowest ids that no previous object has.

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        Objects numbered from 1, as `napari_pea.core.refine.refine` returns them; 0 is
        background.
    previous : array of int, shape (*spatial)
        Ids of the previous objects; 0 is background.

    Returns
    -------
    array of uint32, shape (largest label + 1,)
        The id of each label, so that ``ids[labels]`` are the labels with the new ids; 0 for
        the background and for numbers that do not occur.

    Raises
    ------
    InputError
        If the arrays differ in shape or are no labels.
    """
    present, known = checked_labels(labels), checked_labels(previous)
    if present.shape != known.shape:
        raise InputError(
            f"Labels of shape {present.shape} cannot follow those of shape {known.shape}: both "
            "must be of the same image."
        )
    positions, known_ids = compact(known)
    sizes, match, is_known = _mutual_best(
        np.ascontiguousarray(present, dtype=np.uint32).reshape(-1),
        np.ascontiguousarray(positions, dtype=np.uint32).reshape(-1),
        int(present.max(initial=0)) + 1,
        len(known_ids),
    )
    ids = known_ids[match].astype(np.uint32)
    is_new = (sizes > 0) & (match == 0)
    is_new[0] = False
    n_new = int(is_new.sum())
    taken = np.zeros(n_new + int(is_known.sum()) + 1, dtype=bool)
    taken[0] = True
    used = known_ids[is_known]
    taken[used[used < len(taken)]] = True
    ids[is_new] = np.flatnonzero(~taken)[:n_new]
    return ids


@compiled
def _mutual_best(
    labels: NDArray[np.uint32], previous: NDArray[np.uint32], n_labels: int, n_previous: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return which previous object each object shares most with, if that holds both ways.

    Parameters
    ----------
    labels, previous : array of uint32, shape (pixels,)
        Object ids; 0 is background.
    n_labels, n_previous : int
        One more than the largest id.

    Returns
    -------
    sizes : array of int64, shape (n_labels,)
        Pixels of each object.
    match : array of int64, shape (n_labels,)
        The previous object; 0 if there is none.
    is_known : array of bool, shape (n_previous,)
        Which previous objects there are.
    """
    starts = np.zeros(n_labels + 1, dtype=np.int64)
    is_known = np.zeros(n_previous, dtype=np.bool_)
    for pixel in range(labels.size):
        starts[labels[pixel] + 1] += 1
        is_known[previous[pixel]] = True
    is_known[0] = False
    sizes = starts[1:].copy()
    for label in range(n_labels):
        starts[label + 1] += starts[label]
    # The previous ids of all pixels, object by object.
    grouped = np.empty(labels.size, dtype=np.uint32)
    place = starts[:-1].copy()
    for pixel in range(labels.size):
        label = labels[pixel]
        grouped[place[label]] = previous[pixel]
        place[label] += 1

    match = np.zeros(n_labels, dtype=np.int64)
    best = np.zeros(n_previous, dtype=np.int64)
    most = np.zeros(n_previous, dtype=np.int64)
    shared = np.zeros(n_previous, dtype=np.int64)
    for label in range(1, n_labels):
        first, last, overlap = starts[label], starts[label + 1], 0
        for pixel in range(first, last):
            shared[grouped[pixel]] += 1
        shared[0] = 0
        for pixel in range(first, last):
            other = grouped[pixel]
            count = shared[other]
            if count == 0:
                continue
            shared[other] = 0
            if count > most[other]:
                most[other], best[other] = count, label
            if count > overlap or (count == overlap and other < match[label]):
                overlap, match[label] = count, other
    for label in range(1, n_labels):
        if best[match[label]] != label:
            match[label] = 0
    return sizes, match, is_known
