"""Having all kernels compiled before they are needed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from napari_pea.core.kernels import is_cached
from napari_pea.core.mutex.tiles import solve_tiles


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


def warm_up_elsewhere() -> subprocess.Popen[bytes] | None:
    """Have another process compile the kernels into the cache, so that none has to wait here.

    Compiling in a thread would make a window stutter, because it is Python that compiles.

    Returns
    -------
    Popen or None
        The process, which ends by itself; None if there is no cache that both could use.
    """
    if not is_cached(solve_tiles):
        return None
    return subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", f"from {__name__} import warm_up; warm_up()"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # of Windows
    )
