"""Solving a Mutex Watershed: tiles in two rounds, then what is left, in order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_pea.core.mutex.layout import frame_of, rounds_of, tile_extent, tile_strides
from napari_pea.core.mutex.marks import mark_repulsion
from napari_pea.core.mutex.parts import N_REMEMBERED, OUTSIDE, Apart, Clusters
from napari_pea.core.mutex.priorities import sort_keys
from napari_pea.core.mutex.problem import Problem
from napari_pea.core.mutex.tiles import solve_tiles
from napari_pea.core.mutex.visit import visit
from napari_pea.core.mutex.whole import all_pending, gather_pending, link_members, number_objects
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Extents of tiles by the number of axes that are longer than a pixel; powers of two.
TILES = {2: (1, 128, 128), 3: (16, 64, 64)}
#: Ends of the stretches that pairs are visited in, with few and with many repulsive offsets:
#: new marks for each stretch save lookups, but cost time for each offset.
STRETCHES = {16: (0.3, 0.5, 0.65, 0.8, 0.9, 0.96, 1.0), 1 << 30: (0.4, 0.65, 0.85, 1.0)}
#: The same for the pairs that the first tiles put off, by the number of axes.
LAST_STRETCHES = {2: (0.5, 0.85, 1.0), 3: (0.3, 0.6, 0.8, 0.93, 1.0)}
#: Tiles of a task, and pairs between two looks at the cancel token.
TILES_PER_TASK = 4
PAIRS_PER_TASK = 1 << 18


def solve(
    problem: Problem,
    *,
    threads: int = 1,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> NDArray[np.uint32]:
    """Return the objects, numbered from 1 in the order of their first pixels.

    Parameters
    ----------
    problem : Problem
        Its labels are overwritten.
    threads : int
        How many tiles are solved at the same time.
    progress : callable
        Told the tasks of tiles done, and how many there are.
    cancel : CancelToken, optional
        Checked between them.

    Returns
    -------
    array of uint32, shape (pixels,)

    Raises
    ------
    Cancelled
        If `cancel` was set.
    """
    if problem.labels.size == 0:
        return problem.labels
    state = solve_rounds(problem, threads, progress, cancel)
    keys, ids = sorted_pending(problem, state.pending)
    visit_pending(problem, state, keys, ids, cancel)
    number_objects(problem.labels, state.sizes)
    return problem.labels


class State(NamedTuple):
    """The clusters of an image while it is solved; their labels are those of the problem.

    Attributes
    ----------
    sizes : array of uint32, shape (pixels,)
        Number of pixels, at the label.
    radii : array of float32, shape (pixels,) or (0,)
        Angles around the vector at the label; of no length if there are affinities.
    pending : array of uint8, shape (A * pixels,)
        Attractive pairs that are not decided.
    """

    sizes: NDArray[np.uint32]
    radii: NDArray[np.float32]
    pending: NDArray[np.uint8]

    def copy(self) -> State:
        """Return a state of clusters that can be changed without changing these."""
        return self._replace(sizes=self.sizes.copy(), radii=self.radii.copy())


def solve_rounds(
    problem: Problem, threads: int, progress: Progress, cancel: CancelToken | None
) -> State:
    """Decide what tiles can decide.

    Parameters
    ----------
    problem, threads, progress, cancel
        See `solve`.
    """
    pairs, labels, said = problem
    n_pixels = labels.size
    sizes = np.ones(n_pixels, dtype=np.uint32)
    radii = np.zeros(n_pixels if pairs.depth else 0, dtype=np.float32)
    pending = np.zeros(len(pairs.attractive) * n_pixels, dtype=np.uint8)
    spoken, counts = _link(problem, sizes)
    if said:
        all_pending(pairs, labels, pending)
    shape = tuple(pairs.shape.tolist())
    n_axes = 2 if shape[0] == 1 else 3
    extent = tile_extent(shape, TILES[n_axes])
    rounds = rounds_of(shape, extent)
    steps = sum(ceil(len(origins) / TILES_PER_TASK) for origins in rounds)
    done = 0
    tile = frame_of(pairs, (0, 0, 0), extent, tile_strides(extent), extent)
    few = min(limit for limit in STRETCHES if len(pairs.repulsive) <= limit)
    stretches = np.array(STRETCHES[few]), np.array(LAST_STRETCHES[n_axes])
    if pairs.depth:  # all pairs are marked, once and for all
        stretches = (np.ones(1), np.ones(1))
    nothing = nothing_apart()
    for number, origins in enumerate(rounds):
        tasks = [origins[n : n + TILES_PER_TASK] for n in range(0, len(origins), TILES_PER_TASK)]

        def work(task: NDArray[np.int64], first: bool = number == 0 and not said) -> None:
            check_cancel(cancel)
            solve_tiles(
                pairs,
                tile,
                nothing,
                labels,
                sizes,
                radii,
                pending,
                task,
                stretches[1 - first],
                first,
            )

        if threads == 1 or len(tasks) == 1:
            for task in tasks:
                work(task)
                done += 1
                progress(done, steps)
        else:
            with ThreadPoolExecutor(threads) as pool:
                for _ in pool.map(work, tasks):
                    done += 1
                    progress(done, steps)
    sizes[spoken] = counts
    if pairs.depth:
        radii[said.pixels] = np.pi  # their vectors are not known to be close
    return State(sizes, radii, pending)


def sorted_pending(
    problem: Problem, pending: NDArray[np.uint8]
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the keys and ids of the pairs that are not decided, in order."""
    nothing = np.empty(0, dtype=np.uint32)
    n = gather_pending(problem.pairs, problem.labels, pending, nothing, nothing)
    keys, ids, sorted_keys, sorted_ids = (np.empty(n, dtype=np.uint32) for _ in range(4))
    gather_pending(problem.pairs, problem.labels, pending, keys, ids)
    sort_keys(keys, ids, sorted_keys, sorted_ids, n)
    return sorted_keys, sorted_ids


def visit_pending(
    problem: Problem,
    state: State,
    keys: NDArray[np.uint32],
    ids: NDArray[np.uint32],
    cancel: CancelToken | None,
    opened: NDArray[np.float32] | None = None,
) -> None:
    """Visit pairs in the whole image.

    Parameters
    ----------
    problem, cancel
        See `solve`.
    state : State
        Changed as the labels are.
    keys, ids : array of uint32
        The pairs, in order.
    opened : array of float32, shape (pixels,), optional
        At a label: the priority below which the cluster is left alone; changed.
    """
    pairs, labels, said = problem
    n = len(keys)
    if n == 0:
        return
    check_cancel(cancel)
    shape = tuple(pairs.shape.tolist())
    image = frame_of(pairs, (0, 0, 0), shape, (shape[1] * shape[2], shape[2], 1), None)
    following = np.empty(labels.size, dtype=np.uint32)
    link_members(labels, following)
    clusters = Clusters(
        labels,
        following,
        state.sizes,
        np.empty(0, dtype=np.float32) if opened is None else opened,
        state.radii,
        np.empty(image.reach.shape[1] * labels.size, dtype=np.uint32),
        np.full((2, N_REMEMBERED), OUTSIDE, dtype=np.uint32),
    )
    if said.pixels.size:  # linked pixels may be any distance apart
        image.reach[:] = np.uint32(0xFFFFFFFF)
        image = image._replace(least=np.uint32(0))
    apart = _apart(problem)
    last = LAST_STRETCHES[2 if shape[0] == 1 else 3]
    ends = [n] if pairs.depth else [ceil(n * end) for end in last]
    start = 0
    for end in ends:
        if end <= start:
            continue
        mark_repulsion(pairs, image, clusters, _number_of(keys[end - 1]))
        for begin in range(start, end, PAIRS_PER_TASK):
            check_cancel(cancel)
            stop = min(begin + PAIRS_PER_TASK, end)
            visit(
                pairs,
                image,
                clusters,
                apart,
                keys,
                ids,
                begin,
                stop,
                np.uint64(0),
                state.pending,
            )
        start = end


def _number_of(key: np.uint32) -> np.float32:
    """Return the priority that a sort key stands for."""
    bits = key if key >> np.uint32(31) else ~key & np.uint32(0x7FFFFFFF)
    return np.float32(np.array([bits], dtype=np.uint32).view(np.float32)[0])


def _link(
    problem: Problem, sizes: NDArray[np.uint32]
) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Make clusters of linked pixels, and keep tiles off everything that was spoken about.

    A tile leaves a cluster alone that has not all the pixels that its size tells. So the
    sizes are set to 0 for now; they are returned with the pixels where they stand.
    """
    said, labels = problem.said, problem.labels
    labels[said.pixels] = said.first
    clusters = np.unique(labels[said.spoken]).astype(np.int64)
    counts = np.ones(len(clusters), dtype=np.uint32)
    firsts, members = np.unique(said.first, return_counts=True)
    counts[np.searchsorted(clusters, firsts)] = members
    sizes[clusters] = 0
    return clusters, counts


def _apart(problem: Problem) -> Apart:
    """Return what the user forbids, by the clusters at the start."""
    said, labels = problem.said, problem.labels
    concerned = np.zeros(labels.size if len(said.apart) else 0, dtype=np.uint8)
    concerned[labels[said.apart]] = 1
    groups = np.zeros(labels.size if said.groups.size else 0, dtype=np.uint32)
    members = np.flatnonzero(said.groups)
    groups[labels[members]] = said.groups[members]
    return Apart(said.apart.astype(np.uint32), concerned, groups)


def nothing_apart() -> Apart:
    """Return that the user forbids nothing."""
    return Apart(
        np.empty((0, 2), dtype=np.uint32),
        np.empty(0, dtype=np.uint8),
        np.empty(0, dtype=np.uint32),
    )
