"""The compiled loop of `napari_pea.core.masks.aggregation`.

Images have three axes here, the first of length 1 in 2D.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.kernels import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Pairs along x whose sums lie together: few enough for the fastest cache. A constant, so
#: that the compiler sees that the four sums do not overlap.
STRIP = 128
MEAN, SPREAD, SQUARED = STRIP, 2 * STRIP, 3 * STRIP
#: Rows are computed in multiples of so many pairs: processors take several at once.
LANES = 16
#: Added to sums of weights, so that there is always something to divide by.
TINY = np.float32(1e-30)
#: Below this share of the weights, all evidence is as good as from one mask.
ALONE = np.float32(1e-6)


@compiled
def aggregate_rows(
    masks: tuple[NDArray[np.float32], ...],
    branches: NDArray[np.int64],
    channels: NDArray[np.int64],
    bounds: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    shifts: NDArray[np.int64],
    means: NDArray[np.float32],
    variances: NDArray[np.float32],
    begin: int,
    end: int,
) -> None:
    """Average what masks tell about the pairs of some rows (LSIM, Algorithm 1).

    Each mask that holds both pixels of a pair tells their affinity, the smaller of its two
    values, with a weight, the larger. Mean and spread are updated as Welford does; the
    variance is corrected for reliability weights.

    Parameters
    ----------
    masks : tuple of arrays of float32, shape (Z, Y, size, X)
        Of each kind of masks: 1 where an entry belongs to the object of the pixel. Along x
        there are zeros beyond both ends, as far as shifts reach.
    branches, channels : array of int, shape (S,)
        Of each source: which masks, and about which offset.
    bounds : array of int, shape (S + 1,)
        Where its entries begin in the next three arrays.
    first, second : array of int, shape (P,)
        Entries that are the offset apart.
    shifts : array of int, shape (P, 3)
        Where in `masks` the pixel is whose mask has its first entry at the first pixel of
        the part of the image that is asked for.
    means, variances : array of float32, shape (N, Z, Y, X)
        Filled for the part of the image.
    begin, end : int
        Which rows of it, counted over all sections.
    """
    n_channels, _, height, width = means.shape
    sums = np.empty((n_channels, 4 * STRIP), np.float32)
    for row in range(begin, end):
        z, y = divmod(row, height)
        for start in range(0, width, STRIP):
            stop = min(width, start + STRIP)
            length = -(-(stop - start) // LANES) * LANES
            sums[:] = 0
            for source in range(len(branches)):
                seen = masks[branches[source]]
                state = sums[channels[source]]
                for p in range(bounds[source], bounds[source + 1]):
                    at_z, at_y = z + shifts[p, 0], y + shifts[p, 1]
                    if not (0 <= at_z < seen.shape[0] and 0 <= at_y < seen.shape[1]):
                        continue
                    at_x = start + shifts[p, 2]
                    some = seen[at_z, at_y, first[p], at_x : at_x + length]
                    other = seen[at_z, at_y, second[p], at_x : at_x + length]
                    for x in range(length):
                        affinity = min(some[x], other[x])
                        weight = max(some[x], other[x])
                        total = state[x] + weight
                        before = affinity - state[MEAN + x]
                        mean = state[MEAN + x] + before * np.divide(weight, total + TINY)
                        state[x] = total
                        state[MEAN + x] = mean
                        state[SPREAD + x] += weight * before * (affinity - mean)
                        state[SQUARED + x] += weight * weight
            for channel in range(n_channels):
                state = sums[channel]
                for x in range(stop - start):
                    total = state[x]
                    independent = total - np.divide(state[SQUARED + x], total + TINY)
                    variance = np.float32(0)
                    if independent > ALONE * total:
                        variance = np.divide(state[SPREAD + x], independent)
                    means[channel, z, y, start + x] = state[MEAN + x]
                    variances[channel, z, y, start + x] = variance
