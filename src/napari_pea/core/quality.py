"""Which objects of a segmentation agree with the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.labels import checked_labels, compact

if TYPE_CHECKING:
    from numpy.typing import NDArray


def matched(labels: NDArray[Any], truth: NDArray[Any], threshold: float = 0.5) -> NDArray[np.bool_]:
    """Return which objects have an IoU above a threshold with a true object.

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        Object ids; 0 is background.
    truth : array of int, shape (*spatial)
        The ids of the true objects.
    threshold : float
        At least 0.5, so that each object has one partner at most: AP50 counts those at 0.5.

    Returns
    -------
    array of bool, shape (largest id + 1,)
        By id; False for ids that do not occur.

    Raises
    ------
    InputError
        If the two do not fit each other or are no labels, or the threshold is too low.
    """
    if threshold < 0.5:
        raise InputError(f"Objects are matched at an IoU of at least 0.5, not {threshold}.")
    return best_overlaps(labels, truth) > threshold


def best_overlaps(labels: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.float64]:
    """Return the highest IoU of each object with any true object.

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        Object ids; 0 is background.
    truth : array of int, shape (*spatial)
        The ids of the true objects.

    Returns
    -------
    array of float, shape (largest id + 1,)
        By id; 0 for ids that do not occur.

    Raises
    ------
    InputError
        If the two do not fit each other or are no labels.
    """
    if labels.shape != truth.shape:
        raise InputError(
            f"The labels have shape {labels.shape} but the truth has shape {truth.shape}; "
            "give two label images of the same field of view."
        )
    ours, our_ids = compact(checked_labels(labels))
    theirs, their_ids = compact(checked_labels(truth))
    ours, theirs = ours.reshape(-1), theirs.reshape(-1)
    codes, shared = np.unique(ours.astype(np.int64) * len(their_ids) + theirs, return_counts=True)
    first, second = codes // len(their_ids), codes % len(their_ids)
    union = (
        np.bincount(ours, minlength=len(our_ids))[first]
        + np.bincount(theirs, minlength=len(their_ids))[second]
        - shared
    )
    both = (first > 0) & (second > 0)
    result = np.zeros(int(our_ids.max()) + 1)
    np.maximum.at(result, our_ids[first[both]], (shared / union)[both])
    return result
