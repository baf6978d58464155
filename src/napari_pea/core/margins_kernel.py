"""The compiled loops of `napari_pea.core.margins`.

Images have three axes here, the first of length 1 in 2D. A pair is a pixel p and p + offset.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.kernels import compiled


@compiled
def _affinity_row(
    values: NDArray[Any],
    is_embedding: bool,
    channel: int,
    z: int,
    y: int,
    start: int,
    stop: int,
    every: int,
    step: NDArray[Any],
    row: NDArray[Any],
) -> None:
    """Write the affinities of a row of pixels; the cosine is that of `embedding_affinities`."""
    dz, dy, dx = step[0], step[1], step[2]
    if not is_embedding:
        for x in range(start, stop, every):
            row[x] = values[channel, z, y, x]
        return
    for x in range(start, stop, every):
        row[x] = 0
    for d in range(values.shape[0]):
        for x in range(start, stop, every):
            row[x] += values[d, z, y, x] * values[d, z + dz, y + dy, x + dx]
    for x in range(start, stop, every):
        row[x] = min(max(row[x], np.float32(0)), np.float32(1))


@compiled
def _bounds(size: int, step: int) -> tuple[int, int]:
    """Return where the pixels with a partner inside the image start and stop."""
    return max(0, -step), size - max(0, step)


@compiled
def attractive_pairs(
    owner: NDArray[Any],
    values: NDArray[Any],
    is_embedding: bool,
    channel: int,
    step: NDArray[Any],
    bias: np.float32,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return priority and flat indices of the pairs with both ends in objects."""
    depth, height, width = owner.shape
    dz, dy, dx = step[0], step[1], step[2]
    away = (dz * height + dy) * width + dx
    z0, z1 = _bounds(depth, dz)
    y0, y1 = _bounds(height, dy)
    x0, x1 = _bounds(width, dx)
    n = 0
    for z in range(z0, z1):
        for y in range(y0, y1):
            for x in range(x0, x1):
                n += owner[z, y, x] > 0 and owner[z + dz, y + dy, x + dx] > 0
    priority = np.empty(n, np.float32)
    first = np.empty(n, np.int64)
    row = np.empty(width, np.float32)
    n = 0
    for z in range(z0, z1):
        for y in range(y0, y1):
            _affinity_row(values, is_embedding, channel, z, y, x0, x1, 1, step, row)
            for x in range(x0, x1):
                if owner[z, y, x] > 0 and owner[z + dz, y + dy, x + dx] > 0:
                    priority[n] = row[x] + bias
                    first[n] = (z * height + y) * width + x
                    n += 1
    return priority, first, first + away


@compiled
def _root(parent: NDArray[Any], node: int) -> int:
    while parent[node] != node:
        node = parent[node]
    return node


@compiled
def merge_forest(
    owner: NDArray[Any],
    priority: NDArray[Any],
    first: NDArray[Any],
    second: NDArray[Any],
    must_link: NDArray[Any],
    inside: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Replay the merges inside each object.

    Each pixel hangs below the root of the larger cluster of the merge that ended its own
    cluster, so that paths are short; must-links come first and have no priority.

    Returns
    -------
    parent : array of int32
        For each pixel; roots are their own.
    time : array of int32
        When it was hung there; later further up.
    weight : array of float32
        The priority of that merge.
    """
    parent = np.arange(owner.size).astype(np.int32)
    size = np.ones(owner.size, np.int32)
    time = np.full(owner.size, np.iinfo(np.int32).max, np.int32)
    weight = np.full(owner.size, np.float32(np.inf))
    n_links = must_link.shape[0]
    for n in range(n_links + priority.size):
        if n < n_links:
            p, q = must_link[n, 0], must_link[n, 1]
            if owner[p] == 0 or owner[p] != owner[q]:
                continue
        else:
            p, q = first[n - n_links], second[n - n_links]
        small, large = _root(parent, p), _root(parent, q)
        if small == large:
            continue
        if size[small] > size[large]:
            small, large = large, small
        parent[small] = large
        size[large] += size[small]
        time[small] = n
        if n >= n_links:
            w = priority[n - n_links]
            weight[small] = w
            # A negative bias lowers priorities below that of no repulsion.
            inside[owner[p]] = min(inside[owner[p]], max(w, np.float32(0)))
    return parent, time, weight


@compiled
def _merge_of(
    parent: NDArray[Any], time: NDArray[Any], weight: NDArray[Any], p: int, q: int
) -> np.float32:
    """Return the priority of the merge that brought two pixels together, else infinity."""
    last = p
    while p != q:
        if time[p] > time[q]:
            p, q = q, p
        last = p
        p = parent[p]
        if p == last:
            break
    return weight[last]


@compiled
def repulsive_pairs(
    owner: NDArray[Any],
    values: NDArray[Any],
    is_embedding: bool,
    channel: int,
    step: NDArray[Any],
    stride: NDArray[Any],
    parent: NDArray[Any],
    time: NDArray[Any],
    weight: NDArray[Any],
    weakest: NDArray[Any],
    inside: NDArray[Any],
    starts: NDArray[Any],
    partners: NDArray[Any],
    repulsion: NDArray[Any],
) -> None:
    """Lower the inside margins by the pairs of a channel, raise the repulsion of neighbours.

    The neighbours of object a with a larger id are ``partners[starts[a] : starts[a + 1]]``.
    """
    depth, height, width = owner.shape
    dz, dy, dx = step[0], step[1], step[2]
    away = (dz * height + dy) * width + dx
    z0, z1 = _bounds(depth, dz)
    y0, y1 = _bounds(height, dy)
    x0, x1 = _bounds(width, dx)
    z0 += -z0 % stride[0]
    y0 += -y0 % stride[1]
    x0 += -x0 % stride[2]
    row = np.empty(width, np.float32)
    for z in range(z0, z1, stride[0]):
        for y in range(y0, y1, stride[1]):
            _affinity_row(values, is_embedding, channel, z, y, x0, x1, stride[2], step, row)
            for x in range(x0, x1, stride[2]):
                a, b = owner[z, y, x], owner[z + dz, y + dy, x + dx]
                if a == 0 or b == 0:
                    continue
                strength = np.float32(1) - row[x]
                if a == b:
                    # Margins are never below 0, and priorities never below the weakest.
                    if inside[a] <= 0 or weakest[a] - strength >= inside[a]:
                        continue
                    p = (z * height + y) * width + x
                    w = _merge_of(parent, time, weight, p, p + away)
                    inside[a] = min(inside[a], w - strength)
                    continue
                low, high = min(a, b), max(a, b)
                for n in range(starts[low], starts[low + 1]):
                    if partners[n] == high:
                        repulsion[n] = max(repulsion[n], strength)
                        break
