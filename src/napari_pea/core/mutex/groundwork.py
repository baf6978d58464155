"""What a Mutex Watershed owes to the attractive pairs alone.

Two clusters of an embedding whose vectors are all close to each other cannot repel each
other, whatever the repulsive offsets. So most merges are the same for all of them: they are
made once. A pair of clusters that are not that close is put off, which opens both clusters, as
in tiles. A change of the ranges then needs only the pairs that were put off, which lie between
objects.

If it is known which repulsive offsets may come, a pair is put off only where one of all these
forbids to merge it: what they all allow, each choice of them allows. For affinities that is
known from the start: there are no others than those of the stack.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_pea.core.mutex.problem import Problem, with_repulsion
from napari_pea.core.mutex.solver import (
    State,
    solve_rounds,
    sorted_pending,
    visit_pending,
)
from napari_pea.core.mutex.whole import by_component, number_objects
from napari_pea.core.progress import CancelToken, Progress, ignore_progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pea.core.neighborhood import Offset


class Rest(NamedTuple):
    """What is left to be decided.

    Attributes
    ----------
    labels : array of uint32, shape (pixels,)
        The clusters so far.
    state : State
        More about them.
    keys, ids : array of uint32
        The attractive pairs that are not decided, in order but for components.
    """

    labels: NDArray[np.uint32]
    state: State
    keys: NDArray[np.uint32]
    ids: NDArray[np.uint32]

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """All arrays."""
        return self.labels, *self.state, self.keys, self.ids


class Groundwork:
    """A Mutex Watershed for one set of repulsive offsets after another.

    Parameters
    ----------
    problem : Problem
        Without repulsive offsets; its labels are overwritten.
    every : (sequence of offset, sequence of int), optional
        All repulsive offsets that there are and their channels, needed for affinities.
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
        every: tuple[Sequence[Offset], Sequence[int]] = ((), ()),
        *,
        threads: int = 1,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> None:
        self._problem = problem
        repelled = with_repulsion(problem, every[0], None, every[1])
        provisional = repelled._replace(pairs=repelled.pairs._replace(provisional=True))
        state = solve_rounds(provisional, threads, progress, cancel)
        pending = sorted_pending(problem, state.pending)
        self._any = _what_is_left(repelled, state, *pending, cancel)
        self._few = self._any
        self._foreseen = frozenset(every[0])

    @property
    def nbytes(self) -> int:
        """How much memory is kept, in bytes, besides the embedding."""
        kept = {id(array): array for rest in (self._any, self._few) for array in rest.arrays}
        return sum(array.nbytes for array in kept.values())

    def foresee(self, repulsive: Sequence[Offset], cancel: CancelToken | None = None) -> None:
        """Do beforehand what is the same for every choice of some repulsive offsets.

        Parameters
        ----------
        repulsive : sequence of offset
            What `solve` may be asked for; it may still be asked for others.
        cancel : CancelToken, optional
            Checked now and then.

        Raises
        ------
        Cancelled
            If `cancel` was set.
        """
        if self._foreseen.issuperset(repulsive):
            return
        rest = self._any
        problem = with_repulsion(self._problem, repulsive, None)
        problem = problem._replace(labels=rest.labels.copy())
        self._few = _what_is_left(problem, rest.state.copy(), rest.keys, rest.ids, cancel)
        self._foreseen = frozenset(repulsive)

    def solve(
        self,
        repulsive: Sequence[Offset],
        strides: Sequence[int] | None,
        cancel: CancelToken | None = None,
        *,
        channels: Sequence[int] | None = None,
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
        channels : sequence of int, optional
            Which affinities are those of each offset; an embedding needs none.

        Returns
        -------
        array of uint32, shape (pixels,)

        Raises
        ------
        Cancelled
            If `cancel` was set.
        """
        rest = self._few if self._foreseen.issuperset(repulsive) else self._any
        problem = with_repulsion(self._problem, repulsive, strides, channels)
        problem = problem._replace(labels=rest.labels.copy())
        state = rest.state.copy()
        visit_pending(problem, state, rest.keys, rest.ids, cancel)
        number_objects(problem.labels, state.sizes)
        return problem.labels


def _what_is_left(
    problem: Problem,
    state: State,
    keys: NDArray[np.uint32],
    ids: NDArray[np.uint32],
    cancel: CancelToken | None,
) -> Rest:
    """Decide in the whole image what is the same for all repulsive offsets to come."""
    problem = problem._replace(pairs=problem.pairs._replace(provisional=True))
    state = state._replace(pending=np.zeros_like(state.pending))
    opened = np.full(problem.labels.size, -np.inf, dtype=np.float32)
    opened[problem.labels[problem.said.spoken]] = np.inf
    visit_pending(problem, state, keys, ids, cancel, opened)
    keys, ids = sorted_pending(problem, state.pending)
    order = by_component(problem.pairs, problem.labels, ids)
    return Rest(problem.labels, state, keys[order], ids[order])
