"""Having all that the dock compiles compiled before it is needed."""

from __future__ import annotations

import subprocess
import sys
from time import sleep

import numpy as np

from napari_pea.core.progress import CancelToken, check_cancel

#: How often a job that waits for compiled code looks whether it is there, in seconds.
LOOK_EVERY = 0.05

_compiling: list[subprocess.Popen[bytes]] = []


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
    process = subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", f"from {__name__} import warm_up; warm_up()"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # of Windows
    )
    _compiling.append(process)
    return process


def is_ready() -> bool:
    """Whether segmenting has to wait for nothing to be compiled."""
    from napari_pea.core.kernels import is_filled
    from napari_pea.core.mutex.tiles import solve_tiles

    return bool(getattr(solve_tiles, "signatures", ())) or is_filled(solve_tiles)


def wait_for_compilation(cancel: CancelToken | None = None) -> None:
    """Wait until no other process compiles, so that nothing is compiled twice.

    Raises
    ------
    Cancelled
        If `cancel` was set.
    """
    while any(process.poll() is None for process in _compiling):
        check_cancel(cancel)
        sleep(LOOK_EVERY)
