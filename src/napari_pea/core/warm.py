"""Having all that the dock compiles compiled before it is needed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np


def warm_up() -> None:
    """Compile, or load from the cache, everything between an embedding and its margins.

    That takes up to a minute where nothing is cached yet, and a fraction of a second where
    it is.
    """
    from napari_pea.core import margins
    from napari_pea.core.fragments import absorb_fragments
    from napari_pea.core.mutex import warm
    from napari_pea.core.predict import Embedding
    from napari_pea.core.tracking import tracked_ids

    warm.warm_up()
    margins.warm_up()
    labels = np.ones((8, 8), dtype=np.uint32)
    labels[3, 3] = 2
    absorb_fragments(labels, Embedding(np.ones((1, 8, 8), dtype=np.float32), None))
    tracked_ids(labels, labels)


def compile_elsewhere() -> subprocess.Popen[bytes] | None:
    """Have another process compile what is not in the cache yet.

    Compiling in a thread would make a window stutter, because it is Python that compiles.

    Returns
    -------
    Popen or None
        The process, which ends by itself; None if there is nothing to do for it, or no
        cache that both could use.
    """
    from napari_pea.core.kernels import is_cached, is_filled
    from napari_pea.core.mutex.tiles import solve_tiles

    if not is_cached(solve_tiles) or is_filled(solve_tiles):
        return None
    return subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", f"from {__name__} import warm_up; warm_up()"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # of Windows
    )
