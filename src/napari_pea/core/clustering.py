"""Mean shift on embeddings: objects as the clusters of their vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.labels import as_objects
from napari_pea.core.progress import CancelToken, check_cancel

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Half the distance of two vectors of unit length at right angles, as those of neighbouring
#: objects are.
BANDWIDTH = 0.7
#: Clusters are looked for among so many pixels; the others join the nearest one.
N_SAMPLED = 4000
#: Pixels that are assigned at once.
PIXELS_AT_ONCE = 1 << 18


def mean_shift(
    vectors: NDArray[np.floating],
    *,
    mask: NDArray[np.bool_] | None = None,
    bandwidth: float = BANDWIDTH,
    seed: int = 0,
    cancel: CancelToken | None = None,
) -> NDArray[np.uint32]:
    """Partition by mean shift on the embedding; what does not touch is not one object.

    Parameters
    ----------
    vectors : array of float, shape (D, *spatial)
        Embedding vectors.
    mask : array of bool, shape (*spatial), optional
        Where objects may be.
    bandwidth : float
        Radius of the window that moves to the mean of the vectors in it.
    seed : int
        Decides which pixels clusters are looked for among.
    cancel : CancelToken, optional
        Checked between the steps.

    Returns
    -------
    array of uint32, shape (*spatial)
        Objects numbered from 1 in the order of their first pixels; 0 outside the mask.

    Raises
    ------
    Cancelled
        If `cancel` was set.
    """
    from skimage.measure import label
    from sklearn.cluster import MeanShift

    shape = vectors.shape[1:]
    inside = np.ones(shape, dtype=bool) if mask is None else mask
    pixels = np.flatnonzero(inside)
    clusters = np.zeros(inside.size, dtype=np.int64)
    if pixels.size:
        rows = vectors.reshape(len(vectors), -1)
        drawn = pixels
        if pixels.size > N_SAMPLED:
            drawn = np.random.default_rng(seed).choice(pixels, N_SAMPLED, replace=False)
        sample = np.ascontiguousarray(rows[:, drawn], dtype=np.float32)
        windows = MeanShift(bandwidth=bandwidth, seeds=_seeds(sample, bandwidth))
        members = windows.fit_predict(sample.T)
        check_cancel(cancel)
        found = np.unique(members)
        centers = np.stack([sample[:, members == one].mean(axis=1) for one in found])
        squared = np.square(centers).sum(axis=1)
        for start in range(0, pixels.size, PIXELS_AT_ONCE):
            check_cancel(cancel)
            some = pixels[start : start + PIXELS_AT_ONCE]
            # The nearest centre, without the square of the vector itself.
            distances = squared[:, None] - 2 * centers @ rows[:, some]
            clusters[some] = 1 + distances.argmin(axis=0)
    objects = label(clusters.reshape(shape), background=0, connectivity=1)
    return as_objects(objects)


def _seeds(sample: NDArray[np.float32], bandwidth: float) -> NDArray[np.float32]:
    """Return where windows start: one of the vectors in every occupied cube of a grid.

    scikit-learn would start from the corners of the grid, and in many dimensions most of those
    are further from every vector than a window reaches.

    Parameters
    ----------
    sample : array of float32, shape (D, N)
        The vectors.
    bandwidth : float
        Side of a cube.

    Returns
    -------
    array of float32, shape (at most N, D)
    """
    _, first = np.unique(np.round(sample / bandwidth), axis=1, return_index=True)
    return np.ascontiguousarray(sample[:, np.sort(first)].T)
