"""What can be said about each object, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.affinity import pair_slices
from napari_pea.core.errors import InputError
from napari_pea.core.labels import checked_labels, compact

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


def region_table(
    labels: NDArray[np.integer],
    foreground: NDArray[np.floating] | None = None,
    affinities: NDArray[np.floating] | None = None,
    offsets: NDArray[np.integer] | Sequence[Sequence[int]] | None = None,
    variances: NDArray[np.floating] | None = None,
) -> pd.DataFrame:
    """Return one row for each object.

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        Object ids in 2D or 3D; 0 is background.
    foreground : array of float, shape (*spatial), optional
        Probability of lying inside an object.
    affinities : array of float, shape (N, *spatial), optional
        Affinities between pixels; only those of direct neighbours are used.
    offsets : array of int, shape (N, ndim), optional
        The offsets of the affinities, in pixels.
    variances : array of float, shape (N, *spatial), optional
        How uncertain the affinities are.

    Returns
    -------
    pandas.DataFrame
        Sorted by label, with the columns

        - ``label``: the id,
        - ``area``: its pixels,
        - ``centroid-0``, ``centroid-1`` (and ``centroid-2`` in 3D): the mean position in
          pixels, in NumPy axis order,
        - ``equivalent_diameter``: of the disk or ball of the same area, in pixels,
        - ``foreground``: the mean probability; only if `foreground` is given,
        - ``margin``: how clearly the object stands out from its neighbours; only if
          `affinities` are given. It is the mean affinity of the direct neighbours that
          both lie in the object, minus that of the direct neighbours of which one lies in
          the object and one in another object: 1 at best, 0 or less if the outline to the
          other objects is a guess. NaN if the object touches no other or is one pixel,
        - ``variance``: how uncertain its outline is; only if `variances` are given. It is the
          mean variance of the pairs of direct neighbours of which one lies in the object; NaN
          if there are none.

    Raises
    ------
    InputError
        If the arrays do not fit each other.
    """
    import pandas as pd

    given = checked_labels(labels)
    if given.ndim not in (2, 3):
        raise InputError(f"A table needs labels in 2D or 3D, not {given.ndim}D.")
    positions, ids = compact(given)
    pixels = np.flatnonzero(positions)
    owner = positions.reshape(-1)[pixels]
    area = np.bincount(owner, minlength=len(ids))
    rows = np.flatnonzero(area)
    columns: dict[str, NDArray[Any]] = {
        "label": ids[rows],
        "area": area[rows],
    }
    for axis, coordinate in enumerate(np.unravel_index(pixels, given.shape)):
        total = np.bincount(owner, weights=coordinate, minlength=len(ids))
        columns[f"centroid-{axis}"] = total[rows] / area[rows]
    # The disk has π/4 d² pixels, the ball π/6 d³.
    columns["equivalent_diameter"] = (2 * given.ndim * area[rows] / np.pi) ** (1 / given.ndim)
    if foreground is not None:
        if foreground.shape != given.shape:
            raise InputError(
                f"The foreground has shape {foreground.shape}, but the labels {given.shape}."
            )
        total = np.bincount(owner, weights=foreground.reshape(-1)[pixels], minlength=len(ids))
        columns["foreground"] = total[rows] / area[rows]
    if affinities is not None:
        columns["margin"] = _margin(positions, len(ids), affinities, offsets)[rows]
    if variances is not None:
        columns["variance"] = _outline_variance(positions, len(ids), variances, offsets)[rows]
    return pd.DataFrame(columns)


def _margin(
    labels: NDArray[Any],
    n_ids: int,
    affinities: NDArray[np.floating],
    offsets: NDArray[np.integer] | Sequence[Sequence[int]] | None,
) -> NDArray[np.float64]:
    """Return the mean affinity inside minus that across the outline, for each id."""
    inside, across = np.zeros((2, n_ids)), np.zeros((2, n_ids))  # number of pairs, affinity
    for first, second, affinity in _direct_pairs(labels, affinities, offsets):
        same = (first == second) & (first > 0)
        _count(inside, first[same], affinity[same])
        border = (first != second) & (first > 0) & (second > 0)
        _count(across, first[border], affinity[border])
        _count(across, second[border], affinity[border])
    with np.errstate(invalid="ignore"):  # no pairs: not a number
        margin: NDArray[np.float64] = inside[1] / inside[0] - across[1] / across[0]
    return margin


def _outline_variance(
    labels: NDArray[Any],
    n_ids: int,
    variances: NDArray[np.floating],
    offsets: NDArray[np.integer] | Sequence[Sequence[int]] | None,
) -> NDArray[np.float64]:
    """Return the mean variance of the pairs across the outline, for each id."""
    across = np.zeros((2, n_ids))
    for first, second, variance in _direct_pairs(labels, variances, offsets):
        for one, other in ((first, second), (second, first)):
            border = (one != other) & (one > 0)
            _count(across, one[border], variance[border])
    with np.errstate(invalid="ignore"):  # no pairs: not a number
        mean: NDArray[np.float64] = across[1] / across[0]
    return mean


def _direct_pairs(
    labels: NDArray[Any],
    values: NDArray[np.floating],
    offsets: NDArray[np.integer] | Sequence[Sequence[int]] | None,
) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[np.floating]]]:
    """Yield the ids of both ends and the values of the direct neighbours of each channel."""
    steps = np.asarray([] if offsets is None else offsets)
    if values.shape[1:] != labels.shape or steps.shape != (len(values), labels.ndim):
        raise InputError(
            f"Affinities of shape {values.shape} and offsets of shape {steps.shape} do not "
            f"fit labels of shape {labels.shape}: one channel and one offset for each other."
        )
    for channel, step in zip(values, steps.tolist(), strict=True):
        slices = pair_slices(labels.shape, step) if np.abs(step).sum() == 1 else None
        if slices is not None:
            here, there = slices
            yield labels[here], labels[there], channel[here]


def _count(totals: NDArray[np.float64], owner: NDArray[Any], affinity: NDArray[Any]) -> None:
    """Add pairs and their affinities to the totals of their objects."""
    totals[0] += np.bincount(owner, minlength=totals.shape[1])
    totals[1] += np.bincount(owner, weights=affinity, minlength=totals.shape[1])
