"""How sure a segmentation is: of each object, one number to sort by, and of each pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.affinity import pair_slices
from napari_pea.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from napari_pea.core.evidence import Evidence
    from napari_pea.core.neighborhood import Offset

#: The share of the margin in the certainty; the rest is the mean foreground. Chosen on
#: validation images, of dsb2018 above all, with `napari-pea benchmark uncertainty`.
MARGIN_SHARE = 0.2
#: The variance of values between 0 and 1 is at most this; corrected for few masks it may be more.
LARGEST_VARIANCE = 0.25


def certainty(table: pd.DataFrame) -> NDArray[np.float64] | None:
    """Return how sure each object of a table is.

    It is a weighted mean of the mean foreground probability, which is low where an object
    may be none, and of the margin, which is low where it may be a part of its neighbour.
    Among the signs that were tried it tells wrong objects best.

    Parameters
    ----------
    table : pandas.DataFrame
        A table of `napari_pea.core.table.region_table`: the columns ``foreground`` and
        ``margin`` are used. An object without a margin touches no other and has the best.

    Returns
    -------
    array of float, shape (n_objects,), or None
        From 0 to 1; None if the table has neither column.
    """
    margin: NDArray[np.float64]
    if "margin" in table:
        margin = np.clip(np.nan_to_num(table["margin"].to_numpy(dtype=float), nan=1.0), 0, 1)
        if "foreground" not in table:
            return margin
    elif "foreground" not in table:
        return None
    else:
        margin = np.ones(len(table))
    foreground = table["foreground"].to_numpy(dtype=float)
    sure: NDArray[np.float64] = (1 - MARGIN_SHARE) * foreground + MARGIN_SHARE * margin
    return sure


def steadiness(table: pd.DataFrame) -> NDArray[np.float64] | None:
    """Return how much the averaged masks agree about the outline of each object.

    Parameters
    ----------
    table : pandas.DataFrame
        A table of `napari_pea.core.table.region_table`: the column ``variance`` is used. An
        object that fills the image has no outline and the best value.

    Returns
    -------
    array of float, shape (n_objects,), or None
        From 0 to 1; None if the table has no such column.
    """
    if "variance" not in table:
        return None
    variance = np.nan_to_num(table["variance"].to_numpy(dtype=float), nan=0.0)
    steady: NDArray[np.float64] = np.clip(1 - variance / LARGEST_VARIANCE, 0, 1)
    return steady


#: By what objects can be sorted from the least certain on.
SIGNS: dict[str, Callable[[pd.DataFrame], NDArray[np.float64] | None]] = {
    "certainty": certainty,
    "variance": steadiness,
}


def sureness(table: pd.DataFrame, sign: str = "certainty") -> NDArray[np.float64] | None:
    """Return how sure each object is by one of `SIGNS`, or by `certainty` if it is not told."""
    sure = SIGNS[sign](table)
    return certainty(table) if sure is None else sure


def pixel_variance(
    evidence: Evidence, offsets: Sequence[Offset], *, ends: bool = True
) -> NDArray[np.float32]:
    """Return how uncertain the affinities of each pixel are, shape (*spatial).

    Parameters
    ----------
    evidence : Evidence
        What a model says, with variances.
    offsets : sequence of offset
        Which pairs are looked at.
    ends : bool
        Whether a pair counts for the pixels at both ends, or only for the first.

    Returns
    -------
    array of float32
        The mean variance of the pairs of a pixel; 0 if it has none.

    Raises
    ------
    InputError
        If the model tells no variances, or does not know an offset.
    """
    total, count = np.zeros((2, *evidence.shape), dtype=np.float32)
    for offset in offsets:
        variances = evidence.uncertainties([offset])
        if variances is None:
            raise InputError("The model does not tell how uncertain its affinities are.")
        slices = pair_slices(evidence.shape, offset)
        if slices is None:
            continue
        for end in slices if ends else slices[:1]:
            total[end] += variances[0][slices[0]]
            count[end] += 1
    mean: NDArray[np.float32] = total / np.maximum(count, 1)
    return mean
