"""Giving small pieces to the neighbour that the model says they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from napari_pea.core.constraints import Constraints
from napari_pea.core.errors import InputError
from napari_pea.core.labels import checked_labels, compact
from napari_pea.core.neighborhood import Neighborhood, Offset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pea.core.evidence import Evidence

Integer = TypeVar("Integer", bound=np.integer)

EVIDENCE_RANGES = (1, 3, 5)
"""Distances of the pixel pairs that are asked, whatever ranges made the pieces."""

LEAST_AFFINITY = 0.025
"""A piece stays apart if its affinity to every neighbour is below this."""

PIECE_SHARE = 0.5
"""Largest piece, as a share of the typical object."""

CRUMB_SHARE = 0.03
"""Pieces below this share of the typical object never stay apart from a neighbour."""


def absorb_fragments(
    labels: NDArray[Integer],
    evidence: Evidence,
    constraints: Constraints | None = None,
    *,
    least_affinity: float = LEAST_AFFINITY,
) -> NDArray[Integer]:
    """Give pieces to the touching object that they have the highest affinity to.

    Pieces are looked at from the smallest to the largest, of equal sizes in the order of
    their ids. The affinity of a piece to another object is the sum of the affinities of the
    pixel pairs between the two, divided by all pairs that the pixels of the piece have: a
    high value needs affinity, a long contact and a small piece. The piece takes the id of
    the touching object with the highest one, if that reaches `least_affinity`; crumbs do so
    in any case. What has grown by a piece is looked at again.

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        Object ids in 2D or 3D; 0 is background. Not changed.
    evidence : Evidence
        What the model says about the pixels.
    constraints : Constraints, optional
        Objects with pixels that cannot be in one object are not merged.
    least_affinity : float
        From 0 (merge whatever touches) to 1 (merge crumbs only).

    Returns
    -------
    array of int, shape (*spatial)
        Labels of the same type; ids of merged pieces no longer occur.

    Raises
    ------
    InputError
        If the labels are not whole numbers of at least 0, or the evidence does not fit them.

    Notes
    -----
    A piece has up to `PIECE_SHARE` of the pixels of the typical object, in which the median
    object pixel lies; crumbs are smaller than `CRUMB_SHARE` of it. The pairs are those of
    `EVIDENCE_RANGES` in both directions of every axis, 12 for each pixel in 2D; they do not
    follow the ranges of the segmentation, so that another choice of these changes the
    pieces but not how they are judged. Where a model does not know these ranges, all are taken
    that it knows and that are no longer.
    """
    given = checked_labels(labels)
    positions, ids = compact(given)
    target, _ = absorbed_into(positions, evidence, constraints, least_affinity=least_affinity)
    merged: NDArray[Integer] = ids[target][positions]
    return merged


def absorbed_into(
    labels: NDArray[np.integer],
    evidence: Evidence,
    constraints: Constraints | None = None,
    *,
    kept: NDArray[np.integer] | None = None,
    least_affinity: float = LEAST_AFFINITY,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what `absorb_fragments` makes of each id.

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        Object ids, no larger than the number of pixels; 0 is background.
    evidence, constraints, least_affinity
        See `absorb_fragments`.
    kept : array of int, optional
        Ids that are no pieces, however small.

    Returns
    -------
    target : array of int64, shape (ids,)
        The id that each id takes.
    sizes : array of int64, shape (ids,)
        The pixels of each object afterwards; 0 for the background and for what was merged.

    Raises
    ------
    InputError
        If the evidence does not fit the labels.
    """
    if labels.ndim not in (2, 3) or evidence.shape != labels.shape:
        raise InputError(
            f"What is known about an image of shape {evidence.shape} does not fit labels of shape "
            f"{labels.shape}: give both of one image with two or three axes."
        )
    sizes = np.bincount(labels.reshape(-1), minlength=1)
    sizes[0] = 0
    typical = typical_size(sizes)
    largest = int(PIECE_SHARE * typical)
    if largest == 0:
        return np.arange(len(sizes)), sizes

    from napari_pea.core.fragments_kernel import merged_into  # numba takes its time

    missing = 3 - labels.ndim
    there = _asked(evidence, labels.ndim)
    back = [tuple(-step for step in offset) for offset in there]
    steps = np.pad(np.array([*there, *back], dtype=np.int64), ((0, 0), (missing, 0)))
    is_kept = np.zeros(len(sizes), dtype=bool)
    if kept is not None:
        is_kept[kept] = True
    barred = np.zeros((0, 2), np.int64) if constraints is None else constraints.cannot_link
    target = merged_into(
        np.ascontiguousarray(labels, dtype=np.uint32).reshape((1,) * missing + labels.shape),
        evidence.pair_values([*there, *back]),
        steps,
        sizes,
        largest,
        int(np.ceil(CRUMB_SHARE * typical)),
        float(least_affinity),
        np.unique(labels.reshape(-1)[barred].astype(np.int64), axis=0),
        is_kept,
    )
    sizes[target != np.arange(len(sizes))] = 0
    return target, sizes


def _asked(evidence: Evidence, ndim: int) -> list[Offset]:
    """Return the offsets whose affinities tell where a piece belongs."""
    if evidence.offsets is None:
        return list(Neighborhood(EVIDENCE_RANGES, ndim=ndim).offset_list)
    longest = max(EVIDENCE_RANGES)
    return [
        offset
        for offset in evidence.offsets
        if sum(map(bool, offset)) == 1 and max(map(abs, offset)) <= longest
    ]


def typical_size(sizes: NDArray[np.integer]) -> int:
    """Return the size of the object that the median object pixel lies in.

    Fragments hardly change it, however many there are.

    Parameters
    ----------
    sizes : array of int
        The pixels of each object.
    """
    ascending = np.sort(sizes)
    covered = np.cumsum(ascending)
    if not covered.size or covered[-1] == 0:
        return 0
    return int(ascending[np.searchsorted(covered, covered[-1] / 2)])
