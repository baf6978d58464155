"""What a Mutex Watershed of an embedding owes to the attractive pairs alone.

Two clusters whose vectors are all close to each other cannot repel each other, whatever the
repulsive offsets. So most merges are the same for all of them: they are made once. A pair of
clusters that are not that close is put off, which opens both clusters, as in tiles. A change
of the ranges then needs only the pairs that were put off, which lie between objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.mutex.problem import Problem, with_repulsion
from napari_pea.core.mutex.solver import (
    State,
    solve_rounds,
    sorted_pending,
    visit_pending,
)
from napari_pea.core.mutex.whole import number_objects
from napari_pea.core.progress import CancelToken, Progress, ignore_progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pea.core.neighborhood import Offset


class Groundwork:
    """The Mutex Watershed of an embedding, for one set of repulsive offsets after another.

    Parameters
    ----------
    problem : Problem
        Of an embedding, without repulsive offsets; its labels are overwritten.
    threads : int
        How many tiles are solved at the same time.
    progress : callable
        Told the tasks done, and how many there are.
    cancel : CancelToken, optional
        Checked between them.

    Raises
    ------
    Cancelled
        If `cancel` was set.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        threads: int = 1,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> None:
        provisional = problem._replace(pairs=problem.pairs._replace(provisional=True))
        state = solve_rounds(provisional, threads, progress, cancel)
        opened = np.full(problem.labels.size, -np.inf, dtype=np.float32)
        opened[problem.labels[problem.said.spoken]] = np.inf
        keys, ids = sorted_pending(provisional, state.pending)
        state.pending[:] = 0
        visit_pending(provisional, state, keys, ids, cancel, opened)
        self._problem = problem
        self._state = state
        self._keys, self._ids = sorted_pending(problem, state.pending)

    @property
    def nbytes(self) -> int:
        """How much memory is kept, in bytes, besides the embedding."""
        kept = (self._problem.labels, *self._state, self._keys, self._ids)
        return sum(array.nbytes for array in kept)

    def solve(
        self,
        repulsive: Sequence[Offset],
        strides: Sequence[int] | None,
        cancel: CancelToken | None = None,
    ) -> NDArray[np.uint32]:
        """Return the objects, numbered from 1 in the order of their first pixels.

        Parameters
        ----------
        repulsive : sequence of offset
            The offsets that repel.
        strides : sequence of int, optional
            Repulsive pairs start at multiples only.
        cancel : CancelToken, optional
            Checked now and then.

        Returns
        -------
        array of uint32, shape (pixels,)

        Raises
        ------
        Cancelled
            If `cancel` was set.
        """
        problem = with_repulsion(self._problem, repulsive, strides)
        problem = problem._replace(labels=problem.labels.copy())
        sizes, radii, pending = self._state
        state = State(sizes.copy(), radii.copy(), pending)
        visit_pending(problem, state, self._keys, self._ids, cancel)
        number_objects(problem.labels, state.sizes)
        return problem.labels
