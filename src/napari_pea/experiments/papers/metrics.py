"""The scores as the authors of PEA compute them, edge cases included (methods A10).

`napari_pea.core.metrics` has the published definitions. These here differ from them where the
authors' code does; they are for standing beside the figures of the paper, for nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Added to the true positives in the authors' segmentation quality.
EPSILON = 1e-6


def authors_scores(labels: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
    """Score a label image as the authors' code does.

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        Object ids of the result; 0 is background.
    truth : array of int, shape (*spatial)
        True ids; ids that are left out between others matter here.

    Returns
    -------
    dict of str to float
        ``aji``, ``pq``, ``sbd`` and ``dic``.

    Notes
    -----
    ``aji``
        True ids are visited from 1 to the largest. Each takes the result's object with the
        highest IoU among those not yet taken, the first one where all are 0. A true object that
        nothing overlaps, and an id that does not occur, therefore also take an object, which
        then is not there for the one it fits: one missed object before a perfect match gives 0
        instead of a half. Without any object in the result this is 0.
    ``pq``
        The sum of IoUs is divided by the true positives + 1e-6. NaN if both images are empty.
    ``sbd``
        The lowest id of an image is taken for its background, and the means are over all ids
        up to the largest, those that do not occur included; 0 if an image has one id only.
    ``dic``
        The difference of the largest ids, each counted from the lowest one.
    """
    shared = _shared(labels, truth)
    return {
        "aji": _aji(shared),
        "pq": _pq(shared),
        "sbd": _sbd(shared, int(labels.min()), int(truth.min())),
        "dic": float(abs((labels.max() - labels.min()) - (truth.max() - truth.min()))),
    }


def _shared(labels: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.float64]:
    """Return the pixels that each true id (row) shares with each label (column), from id 0."""
    rows, columns = int(truth.max()) + 1, int(labels.max()) + 1
    codes = truth.ravel().astype(np.int64) * columns + labels.ravel().astype(np.int64)
    return np.bincount(codes, minlength=rows * columns).reshape(rows, columns).astype(float)


def _aji(shared: NDArray[np.float64]) -> float:
    truth_size, label_size = shared.sum(axis=1), shared.sum(axis=0)[1:]
    if not label_size.size:
        return 0.0
    free = np.ones(label_size.size, dtype=bool)
    common = total = 0.0
    for size, overlap in zip(truth_size[1:], shared[1:, 1:], strict=True):
        inter = np.where(free, overlap, 0)
        union = np.where(free, size + label_size - overlap, size)
        best = int(np.argmax(np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)))
        common += inter[best]
        total += union[best]
        free[best] = False
    total += label_size[free].sum()
    return float(common / total) if total else 0.0


def _pq(shared: NDArray[np.float64]) -> float:
    truth_size, label_size = shared.sum(axis=1)[1:], shared.sum(axis=0)[1:]
    union = truth_size[:, None] + label_size - shared[1:, 1:]
    iou = np.divide(shared[1:, 1:], union, out=np.zeros_like(union), where=union > 0)
    hits = iou[iou > 0.5]
    objects = np.count_nonzero(truth_size) + np.count_nonzero(label_size)
    if not objects:
        return float("nan")
    return float(2 * hits.size / objects * hits.sum() / (hits.size + EPSILON))


def _sbd(shared: NDArray[np.float64], lowest_label: int, lowest_truth: int) -> float:
    if shared.shape[0] - 1 == lowest_truth or shared.shape[1] - 1 == lowest_label:
        return 0.0
    sizes = shared.sum(axis=1)[:, None] + shared.sum(axis=0)
    dice = np.divide(2 * shared, sizes, out=np.zeros_like(shared), where=sizes > 0)
    dice = dice[lowest_truth + 1 :, lowest_label + 1 :]
    return float(min(dice.max(axis=1).mean(), dice.max(axis=0).mean()))
