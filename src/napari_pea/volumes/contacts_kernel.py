"""The compiled loops of `napari_pea.volumes.contacts`; arrays have three axes here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.kernels import compiled, inlined
from napari_pea.core.mutex.priorities import cosine


@compiled
def crossing_pairs(
    shape: NDArray[np.int64],
    start: NDArray[np.int64],
    core_start: NDArray[np.int64],
    core_stop: NDArray[np.int64],
    side: NDArray[np.int64],
    counts: NDArray[np.int64],
    offsets: NDArray[np.int64],
    n_attractive: int,
    strides: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    repels: NDArray[np.bool_],
) -> int:
    """List the pixel pairs that leave a block for one with a higher number.

    Parameters
    ----------
    shape, start : array of int, shape (3,)
        Of the frame: the core and all its partners.
    core_start, core_stop : array of int, shape (3,)
        The core in the whole array.
    side, counts : array of int, shape (3,)
        Of the blocks.
    offsets : array of int, shape (N, 3)
        Steps of the pairs.
    n_attractive : int
        The first of them attract.
    strides : array of int, shape (3,)
        Repulsive pairs begin at multiples only.
    first, second : array of int
        Receive the flat positions in the frame, as far as there is room: in the core and
        beyond.
    repels : array of bool
        Receives whether the pair repels.

    Returns
    -------
    int
        The number of pairs.
    """
    number = core_start // side
    own = (number[0] * counts[1] + number[1]) * counts[2] + number[2]
    size = core_stop - core_start
    n = 0
    for channel in range(offsets.shape[0]):
        repulsive = channel >= n_attractive
        for direction in (1, -1):
            dz, dy, dx = direction * offsets[channel]
            for z in range(core_start[0], core_stop[0]):
                z2 = z + dz
                if not start[0] <= z2 < start[0] + shape[0]:
                    continue
                for y in range(core_start[1], core_stop[1]):
                    y2 = y + dy
                    if not start[1] <= y2 < start[1] + shape[1]:
                        continue
                    left, right = core_start[2], core_stop[2]
                    if (
                        core_start[0] <= z2 < core_stop[0] and core_start[1] <= y2 < core_stop[1]
                    ):  # only the end of the row leaves the core
                        if dx > 0:
                            left += max(0, size[2] - dx)
                        else:
                            right = min(right, left - dx)
                    left = max(left, start[2] - dx)
                    right = min(right, start[2] + shape[2] - dx)
                    for x in range(left, right):
                        x2 = x + dx
                        other = (z2 // side[0] * counts[1] + y2 // side[1]) * counts[2]
                        if other + x2 // side[2] <= own:
                            continue
                        if repulsive:
                            if direction > 0:
                                bz, by, bx = z, y, x
                            else:
                                bz, by, bx = z2, y2, x2
                            if bz % strides[0] or by % strides[1] or bx % strides[2]:
                                continue
                        if n < first.size:
                            first[n] = (
                                ((z - start[0]) * shape[1] + y - start[1]) * shape[2] + x - start[2]
                            )
                            second[n] = (
                                ((z2 - start[0]) * shape[1] + y2 - start[1]) * shape[2]
                                + x2
                                - start[2]
                            )
                            repels[n] = repulsive
                        n += 1
    return n


@compiled
def pair_affinities(
    vectors: NDArray[np.float32],
    depth: int,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    affinities: NDArray[np.float32],
) -> None:
    """Write the affinities of pixel pairs; vectors lie pixel by pixel."""
    for n in range(first.size):
        affinities[n] = cosine(vectors, np.uint64(depth), np.uint64(first[n]), np.uint64(second[n]))


@inlined
def _slot(low: NDArray[np.int64], high: NDArray[np.int64], a: np.int64, b: np.int64) -> np.int64:
    """Return where a pair is in the table, or the free place where it belongs."""
    mixed = np.uint64(a) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ np.uint64(b)) * np.uint64(0xBF58476D1CE4E5B9)
    slot = np.int64((mixed >> np.uint64(20)) & np.uint64(low.size - 1))
    while low[slot] and (low[slot] != a or high[slot] != b):
        slot = (slot + 1) & (low.size - 1)
    return slot


@compiled
def _table(
    old_low: NDArray[np.int64], old_high: NDArray[np.int64], old_total: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return a table twice as large, with what the old one holds."""
    capacity = 2 * old_low.size
    low, high = np.zeros(capacity, np.int64), np.zeros(capacity, np.int64)
    total = np.zeros(capacity)
    for place in range(old_low.size):
        if old_low[place]:
            slot = _slot(low, high, old_low[place], old_high[place])
            low[slot], high[slot] = old_low[place], old_high[place]
            total[slot] = old_total[place]
    return low, high, total


@compiled
def _listed(
    low: NDArray[np.int64], high: NDArray[np.int64], total: NDArray[np.float64], used: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the pairs in a table and their sums."""
    pairs = np.empty((used, 2), np.int64)
    sums = np.empty(used)
    n = 0
    for place in range(low.size):
        if low[place]:
            pairs[n, 0], pairs[n, 1] = low[place], high[place]
            sums[n] = total[place]
            n += 1
    return pairs, sums


@compiled
def _same_contact(
    flat: NDArray[np.uint32],
    row: int,
    away: int,
    vectors: NDArray[np.float32],
    depth: int,
    ahead: int,
    step: int,
    left: int,
    right: int,
    every: int,
) -> tuple[int, np.int64, np.int64, np.float64]:
    """Sum up the next pixel pairs of a row that are between the same two objects.

    Parameters
    ----------
    flat, row, away
        Labels, where the row begins in them, and how far away partners are.
    vectors, depth, ahead, step
        The same of the embedding.
    left, right, every : int
        From where on, up to where, and which pixels of the row.

    Returns
    -------
    left : int
        Where to go on.
    a, b : int
        The objects; 0 if there are no more.
    said : float
        The sum of affinity - 1/2.
    """
    a = b = np.int64(0)
    said = np.float64(0)
    for x in range(left, right, every):
        p = row + x
        here, there = np.int64(flat[p]), np.int64(flat[p + away])
        if a and (here != a or there != b):
            return x, a, b, said
        if here == there or here == 0 or there == 0:
            continue
        a, b = here, there
        at = ahead + x
        said += cosine(vectors, np.uint64(depth), np.uint64(at), np.uint64(at + step)) - 0.5
    return right, a, b, said


@compiled
def inner_contacts(
    labels: NDArray[np.uint32],
    origin: NDArray[np.int64],
    vectors: NDArray[np.float32],
    depth: int,
    shape: NDArray[np.int64],
    start: NDArray[np.int64],
    offsets: NDArray[np.int64],
    n_attractive: int,
    strides: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each pair of objects of a block, and the sum of affinity - 1/2 over its pixel pairs.

    Parameters
    ----------
    labels : array of uint32, shape (Z, Y, X)
        The objects.
    origin : array of int, shape (3,)
        Where the block begins in the whole array.
    vectors : array of float32, shape (pixels * D,)
        The embedding of the block and what is around it, pixel by pixel.
    depth : int
        Its dimension D.
    shape, start : array of int, shape (3,)
        Of what is embedded, and where in it the block begins.
    offsets, n_attractive, strides
        See `crossing_pairs`.

    Returns
    -------
    pairs : array of int64, shape (P, 2)
        As `summed_by_pair` returns them.
    sums : array of float64, shape (P,)
        What they say.
    """
    sections, height, width = labels.shape
    flat = labels.reshape(labels.size)
    low, high = np.zeros(1024, np.int64), np.zeros(1024, np.int64)
    total = np.zeros(1024)
    used = 0
    for channel in range(offsets.shape[0]):
        dz, dy, dx = offsets[channel]
        away = (dz * height + dy) * width + dx
        step = (dz * shape[1] + dy) * shape[2] + dx
        every_z, every_y, every_x = strides
        if channel < n_attractive:
            every_z = every_y = every_x = 1
        for z in range(max(0, -dz), min(sections, sections - dz)):
            if (origin[0] + z) % every_z:
                continue
            for y in range(max(0, -dy), min(height, height - dy)):
                if (origin[1] + y) % every_y:
                    continue
                row = (z * height + y) * width
                ahead = ((start[0] + z) * shape[1] + start[1] + y) * shape[2] + start[2]
                left, right = max(0, -dx), min(width, width - dx)
                left += -(origin[2] + left) % every_x
                while left < right:
                    left, a, b, said = _same_contact(
                        flat, row, away, vectors, depth, ahead, step, left, right, every_x
                    )
                    if a == 0:
                        continue
                    if 2 * used >= low.size:
                        low, high, total = _table(low, high, total)
                    slot = _slot(low, high, min(a, b), max(a, b))
                    if low[slot] == 0:
                        low[slot], high[slot] = min(a, b), max(a, b)
                        used += 1
                    total[slot] += said
    return _listed(low, high, total, used)


@compiled
def summed_by_pair(
    first: NDArray[np.int64], second: NDArray[np.int64], evidence: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each pair of different objects once, the smaller id first, and its sum.

    Pairs with the background, 0, do not count. The order is that of a hash table.

    Parameters
    ----------
    first, second : array of int64, shape (M,)
        The objects.
    evidence : array of float64, shape (M,)
        What is summed.
    """
    low, high = np.zeros(1024, np.int64), np.zeros(1024, np.int64)
    total = np.zeros(1024)
    used = 0
    for n in range(first.size):
        a, b = min(first[n], second[n]), max(first[n], second[n])
        if a == 0 or a == b:
            continue
        if 2 * used >= low.size:
            low, high, total = _table(low, high, total)
        slot = _slot(low, high, a, b)
        if low[slot] == 0:
            low[slot], high[slot] = a, b
            used += 1
        total[slot] += evidence[n]
    return _listed(low, high, total, used)
