"""How sure a segmentation is of each object: one number to sort by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

#: The share of the margin in the certainty; the rest is the mean foreground. Chosen on
#: validation images, of dsb2018 above all, with `napari-pea benchmark uncertainty`.
MARGIN_SHARE = 0.2


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
