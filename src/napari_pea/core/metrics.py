"""Scores of a label image against the truth.

Every score is computed from one sparse table of the pixels that each truth object shares with
each label, counted once per image pair.

The table, VOI and ARAND come from scikit-image. The other scores are computed here: elf adds a
small constant to each denominator, so that a perfect Dice score is not exactly 1, and its AP
accepts an IoU equal to the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.labels import numbered_by_appearance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

AP_THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))
"""The IoU thresholds that ``ap`` averages over: 0.50, 0.55, ..., 0.95."""


@dataclass(frozen=True)
class _Overlap:
    """The pixels that truth objects and labels share.

    Both sides are numbered in the order of their first pixels: no score depends on the ids.

    Attributes
    ----------
    counts : sparse array, shape (n, m + 1)
        Pixels of each truth object (row) under each label (column); column 0 is the background
        of the labels. The background of the truth has no row.
    truth_size : array of int, shape (n,)
        Pixels of each truth object.
    label_size : array of int, shape (m,)
        Pixels of each label, those outside of all truth objects included.
    truth, label, shared : arrays of int, shape (k,)
        The k pairs of objects that overlap, numbered from 0, and the pixels they share.
    """

    counts: Any
    truth_size: NDArray[np.int64]
    label_size: NDArray[np.int64]
    truth: NDArray[np.int64]
    label: NDArray[np.int64]
    shared: NDArray[np.int64]

    @property
    def n_true(self) -> int:
        return self.truth_size.size

    @property
    def n_labels(self) -> int:
        return self.label_size.size

    @property
    def union(self) -> NDArray[np.int64]:
        return self.truth_size[self.truth] + self.label_size[self.label] - self.shared

    @property
    def iou(self) -> NDArray[np.float64]:
        return self.shared / self.union


def _overlap(labels: NDArray[Any], truth: NDArray[Any], min_truth_size: int) -> _Overlap:
    from skimage.metrics import contingency_table

    table = contingency_table(
        numbered_by_appearance(truth), numbered_by_appearance(labels), sparse_type="array"
    )
    label_size = table.sum(axis=0)[1:].astype(np.int64)
    truth_size = table.sum(axis=1)[1:].astype(np.int64)
    kept = np.flatnonzero(truth_size >= min_truth_size)
    counts = table[kept + 1]
    pairs = counts[:, 1:].tocoo()
    row, column = pairs.coords
    return _Overlap(
        counts=counts,
        truth_size=truth_size[kept],
        label_size=label_size,
        truth=row.astype(np.int64),
        label=column.astype(np.int64),
        shared=pairs.data.astype(np.int64),
    )


def _aji(overlap: _Overlap) -> float:
    """Return the AJI: Kumar et al. 2017, algorithm 1."""
    union = overlap.union
    order = np.lexsort((overlap.label, -overlap.shared, -overlap.iou, overlap.truth))
    matched, first = np.unique(overlap.truth[order], return_index=True)
    best = order[first]
    missed = np.delete(overlap.truth_size, matched)
    unused = np.delete(overlap.label_size, overlap.label[best])
    total = union[best].sum() + missed.sum() + unused.sum()
    return float(overlap.shared[best].sum() / total)


def _dice(overlap: _Overlap) -> float:
    return float(2 * overlap.shared.sum() / (overlap.truth_size.sum() + overlap.label_size.sum()))


def _true_positives(overlap: _Overlap, threshold: float) -> int:
    # Above 0.5 an object has one partner at most: there is nothing to assign.
    return int(np.count_nonzero(overlap.iou > threshold))


def _dq(overlap: _Overlap) -> float:
    return 2 * _true_positives(overlap, 0.5) / (overlap.n_true + overlap.n_labels)


def _sq(overlap: _Overlap) -> float:
    iou = overlap.iou
    hits = iou[iou > 0.5]
    return float(hits.mean()) if hits.size else 0.0


def _pq(overlap: _Overlap) -> float:
    return _sq(overlap) * _dq(overlap)


def _ap_at(overlap: _Overlap, threshold: float) -> float:
    hits = _true_positives(overlap, threshold)
    return hits / (overlap.n_true + overlap.n_labels - hits)


def _ap(overlap: _Overlap) -> float:
    return float(np.mean([_ap_at(overlap, threshold) for threshold in AP_THRESHOLDS]))


def _sbd(overlap: _Overlap) -> float:
    if not overlap.n_labels:
        return 0.0
    sizes = overlap.truth_size[overlap.truth] + overlap.label_size[overlap.label]
    dice = 2 * overlap.shared / sizes
    best_of_truth = np.zeros(overlap.n_true)
    best_of_label = np.zeros(overlap.n_labels)
    np.maximum.at(best_of_truth, overlap.truth, dice)
    np.maximum.at(best_of_label, overlap.label, dice)
    return float(min(best_of_truth.mean(), best_of_label.mean()))


def _dic(overlap: _Overlap) -> float:
    return float(abs(overlap.n_labels - overlap.n_true))


def _voi(overlap: _Overlap) -> tuple[float, float]:
    from skimage.metrics import variation_of_information

    joint = overlap.counts / overlap.counts.sum()
    # Given a table, scikit-image uses the images for nothing but a comparison of their shapes.
    split, merge = variation_of_information(joint, joint, table=joint)
    return max(0.0, float(split)), max(0.0, float(merge))


def _arand(overlap: _Overlap) -> float:
    from skimage.metrics import adapted_rand_error

    with np.errstate(invalid="ignore"):
        error, _, _ = adapted_rand_error(table=overlap.counts)
    # 0 / 0: no two pixels belong together on either side, so both sides agree.
    return 0.0 if np.isnan(error) else float(error)


def _cremi(overlap: _Overlap) -> float:
    return float(np.sqrt(sum(_voi(overlap)) * _arand(overlap)))


_SCORES: dict[str, Callable[[_Overlap], float]] = {
    "aji": _aji,
    "dice": _dice,
    "pq": _pq,
    "sq": _sq,
    "dq": _dq,
    "ap50": lambda overlap: _ap_at(overlap, 0.5),
    "ap75": lambda overlap: _ap_at(overlap, 0.75),
    "ap": _ap,
    "sbd": _sbd,
    "dic": _dic,
    "voi_split": lambda overlap: _voi(overlap)[0],
    "voi_merge": lambda overlap: _voi(overlap)[1],
    "arand": _arand,
    "cremi": _cremi,
    "n_true": lambda overlap: float(overlap.n_true),
    "n_labels": lambda overlap: float(overlap.n_labels),
}
_DEFINED_WITHOUT_TRUTH = frozenset({"dic", "n_true", "n_labels"})

METRICS: tuple[str, ...] = tuple(_SCORES)
"""The names of all metrics, in the order in which `evaluate` returns them."""


def _label_image(array: ArrayLike, name: str) -> NDArray[Any]:
    image = np.asarray(array)
    if image.dtype.kind not in "iub":
        raise InputError(
            f"The {name} must hold integer object ids, not {image.dtype} values; "
            "convert them with astype(int)."
        )
    if image.size == 0:
        raise InputError(f"The {name} have no pixels (shape {image.shape}); give a whole image.")
    if image.min() < 0:
        raise InputError(
            f"The {name} hold the negative id {image.min()}; "
            "use 0 for the background and positive ids for objects."
        )
    return image


def evaluate(
    labels: ArrayLike,
    truth: ArrayLike,
    metrics: Sequence[str] | None = None,
    *,
    min_truth_size: int = 0,
) -> dict[str, float]:
    r"""Score a label image against the truth.

    Parameters
    ----------
    labels : array of int or bool, shape (\*spatial)
        The labels to be scored. 0 is background; ids need not be consecutive.
    truth : array of int or bool, shape (\*spatial)
        The true labels, likewise.
    metrics : sequence of str, optional
        Names from `METRICS`; all by default.
    min_truth_size : int, default 0
        Truth objects with fewer pixels become background first.

    Returns
    -------
    dict of str to float
        One value for each name. Without a truth object, everything but ``dic``, ``n_true``
        and ``n_labels`` is NaN; with one, nothing is.

    Raises
    ------
    InputError
        If the shapes differ, an image is empty, not of integers or has negative ids, a metric is
        unknown, or `min_truth_size` is negative.

    Notes
    -----
    Truth objects are ``T_i`` (n of them), labelled objects ``L_j`` (m of them), both without the
    background 0; ``|A|`` counts pixels, ``&`` is what two objects share, ``+`` in ``|A + B|`` all
    of both, and ``IoU = |A & B| / |A + B|``.

    - ``aji``: the aggregated Jaccard index as published (Kumar et al. 2017, algorithm 1; methods
      A10), ``sum |T_i & L_j(i)| / (sum |T_i + L_j(i)| + sum |unused L|)``. Each truth object takes
      the label ``j(i)`` with the largest IoU; unused are labels that none took. A truth object that
      no label touches adds only its own size, below. As published, a label may be taken by several
      truth objects; it then counts with each. Of labels with the same IoU the one that shares more
      pixels is taken, then the one whose first pixel comes first.
    - ``dice``: of the foregrounds, ``2 |T & L| / (|T| + |L|)``.
    - ``dq``, ``sq``, ``pq``: panoptic quality (Kirillov et al. 2019). The pairs with IoU > 0.5 are
      the true positives, TP; ``FP = m - TP``, ``FN = n - TP``. ``dq = TP / (TP + FP/2 + FN/2)``,
      ``sq`` is the mean IoU of the true positives, 0 if there is none, and ``pq = sq dq``.
    - ``ap50``, ``ap75``, ``ap``: average precision as in the Data Science Bowl 2018,
      ``TP / (TP + FP + FN)`` with IoU > 0.5, > 0.75, and the mean over `AP_THRESHOLDS`.
    - ``sbd``: symmetric best Dice (methods A10), the smaller of ``BD(L, T)`` and ``BD(T, L)``,
      where ``BD(A, B)`` is the mean over ``A_i`` of its best Dice with any ``B_j``.
    - ``dic``: the difference in count, ``|m - n|``.
    - ``voi_split``, ``voi_merge``: variation of information in bits, over the pixels of truth
      objects only (methods A10); label 0 counts as one more label there. With the counts
      ``c_ij`` of these pixels, their row and column sums ``a_i``, ``b_j`` and their total N:
      ``split = H(L|T) = -sum c_ij/N log2 c_ij/a_i`` and
      ``merge = H(T|L) = -sum c_ij/N log2 c_ij/b_j``.
    - ``arand``: adapted Rand error from the same counts (methods A10),
      ``1 - 2 (sum c_ij^2 - N) / ((sum a_i^2 - N) + (sum b_j^2 - N))``.
    - ``cremi``: ``sqrt((split + merge) arand)`` (methods B7). The CREMI protocol takes the
      connected components of both images first (`skimage.measure.label`); this is left
      to the caller.
    - ``n_true``, ``n_labels``: the object counts, n and m.

    ``aji`` to ``sbd`` run from 0 to 1 (perfect); of ``dic`` to ``cremi``, 0 is perfect.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.array([[1, 1, 0, 2]])
    >>> labels = np.array([[5, 5, 0, 0]])
    >>> evaluate(labels, truth, ["aji", "ap50", "dic"])
    {'aji': 0.6666666666666666, 'ap50': 0.5, 'dic': 1.0}
    """
    if isinstance(metrics, str):
        metrics = (metrics,)
    names = METRICS if metrics is None else tuple(metrics)
    unknown = [name for name in names if name not in _SCORES]
    if unknown:
        raise InputError(
            f"Unknown metric {', '.join(map(repr, unknown))}; choose from {', '.join(METRICS)}."
        )
    if min_truth_size < 0:
        raise InputError(f"min_truth_size must be 0 or more pixels, not {min_truth_size}.")
    labels = _label_image(labels, "labels")
    truth = _label_image(truth, "truth labels")
    if labels.shape != truth.shape:
        raise InputError(
            f"The labels have shape {labels.shape} but the truth has shape {truth.shape}; "
            "give two label images of the same field of view."
        )
    overlap = _overlap(labels, truth, min_truth_size)
    return {
        name: _SCORES[name](overlap)
        if overlap.n_true or name in _DEFINED_WITHOUT_TRUTH
        else float("nan")
        for name in names
    }


def _has_truth(scores: Mapping[str, float]) -> bool:
    if "n_true" in scores:
        return scores["n_true"] > 0
    return not any(np.isnan(value) for value in scores.values())


def summarize(scores: Iterable[Mapping[str, float]], *, std: bool = False) -> dict[str, float]:
    """Average the scores of several images.

    Images without a truth object are counted and left out of every mean.

    Parameters
    ----------
    scores : iterable of dict
        What `evaluate` returned for each image. Empty truth shows in ``n_true``, or else in a
        score that is NaN; scores of nothing but ``dic`` or ``n_labels`` do not show it.
    std : bool, default False
        Add the population standard deviation of each metric as ``<name>_std``.

    Returns
    -------
    dict of str to float
        The mean of each metric (NaN if no image has a truth object), ``n_images``: how many
        images the means are over, and ``n_empty_truth``: how many were left out.

    Raises
    ------
    InputError
        If there are no scores or they are not of the same metrics.
    """
    scores = list(scores)
    if not scores:
        raise InputError("There are no scores to summarize; evaluate at least one image.")
    if any(entry.keys() != scores[0].keys() for entry in scores):
        raise InputError(
            "The images were scored with different metrics; evaluate all with the same ones."
        )
    counted = [entry for entry in scores if _has_truth(entry)]
    summary = {}
    for name in scores[0]:
        values = [entry[name] for entry in counted] or [float("nan")]
        summary[name] = float(np.mean(values))
        if std:
            summary[f"{name}_std"] = float(np.std(values))
    summary["n_images"] = len(counted)
    summary["n_empty_truth"] = len(scores) - len(counted)
    return summary
