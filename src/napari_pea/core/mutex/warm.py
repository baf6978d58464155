"""Having all kernels compiled before they are needed."""

from __future__ import annotations

import numpy as np


def warm_up() -> None:
    """Compile, or load from the cache, every kernel of the Mutex Watershed.

    That takes about half a minute where nothing is cached yet, and a fraction of a second
    where it is. What comes after, in 2D or 3D, from affinities or an embedding, with or
    without constraints, waits for nothing.
    """
    from napari_pea.core.mutex import EmbeddingWatershed, embedding_mutex_watershed

    # Linked pixels leave pairs over for the whole image, so that all kernels have their turn.
    vectors = np.eye(2, dtype=np.float32)[:, :, None]
    direct = [(-1, 0), (0, -1)]
    embedding_mutex_watershed(vectors, direct, must_link=[(0, 0)])
    EmbeddingWatershed(vectors, direct, must_link=[(0, 0)]).partition(direct)
