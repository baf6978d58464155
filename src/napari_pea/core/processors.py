"""How many processors this program may use."""

from __future__ import annotations

import os


def allowed_threads() -> int:
    """Return how many threads may compute at the same time.

    That is OMP_NUM_THREADS where it is set, as clusters do for each of their workers, and
    the processors that this program may run on otherwise.
    """
    said = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if said.isdigit() and int(said) > 0:
        return int(said)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
