"""Embeddings as colours that can be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.progress import CancelToken, check_cancel

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The principal axes are found from about this many pixels; more change nothing.
SAMPLED_PIXELS = 100_000
#: The percentiles of each colour that become 0 and 1.
DARKEST, BRIGHTEST = 1.0, 99.0


def embedding_colors(
    vectors: NDArray[np.floating],
    mask: NDArray[np.bool_] | None = None,
    *,
    cancel: CancelToken | None = None,
) -> NDArray[np.float32]:
    """Return the three principal components of an embedding as red, green and blue.

    The same embedding always gets the same colours.

    Parameters
    ----------
    vectors : array of float, shape (D, *spatial)
        Embedding vectors, D of at least 3.
    mask : array of bool, shape (*spatial), optional
        Only these pixels get colours, and only they decide about them; the others are
        black. By default, and if there are none, all pixels.
    cancel : CancelToken, optional
        Checked before each colour.

    Returns
    -------
    array of float32, shape (*spatial, 3)
        Values between 0 and 1.

    Raises
    ------
    Cancelled
        If `cancel` was set.
    """
    flat = vectors.reshape(len(vectors), -1)
    if mask is None or not mask.any():
        mask = np.ones(vectors.shape[1:], dtype=bool)
    chosen = np.flatnonzero(mask)
    sample = flat[:, chosen[:: max(1, len(chosen) // SAMPLED_PIXELS)]].astype(np.float64)
    mean = sample.mean(axis=1, keepdims=True)
    centred = sample - mean
    _, axes = np.linalg.eigh(centred @ centred.T)
    # Eigenvectors come in ascending order and with any sign: fix both, so that colours stay.
    strongest = axes[:, ::-1][:, :3].T
    largest = np.abs(strongest).argmax(axis=1, keepdims=True)
    strongest = strongest * np.sign(np.take_along_axis(strongest, largest, axis=1))
    colors = np.empty((flat.shape[1], 3), dtype=np.float32)
    for index, axis in enumerate(strongest):
        check_cancel(cancel)
        darkest, brightest = np.percentile(axis @ centred, (DARKEST, BRIGHTEST))
        component = axis.astype(np.float32) @ flat - np.float32(axis @ mean[:, 0] + darkest)
        component /= np.float32(max(brightest - darkest, 1e-12))
        np.clip(component, 0.0, 1.0, out=colors[:, index])
    colors[~mask.reshape(-1)] = 0.0
    return colors.reshape(*vectors.shape[1:], 3)
