"""The compiled loops of `napari_pea.core.margins`.

Images have three axes here, the first of length 1 in 2D. A pair is a pixel p and p + offset.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.kernels import compiled, inlined
from napari_pea.core.mutex.priorities import cosine


@inlined
def _affinity(
    affinities: NDArray[Any],
    vectors: NDArray[Any],
    depth: np.uint64,
    value: int,
    pixel: int,
    partner: int,
) -> np.float32:
    """Return the affinity of a pair: from the vectors if they have a length."""
    if depth:
        affinity = cosine(vectors, depth, np.uint64(pixel), np.uint64(partner))
    else:
        affinity = affinities[value]
    return affinity


@compiled
def _bounds(size: int, step: int) -> tuple[int, int]:
    """Return where the pixels with a partner inside the image start and stop."""
    return max(0, -step), size - max(0, step)


@compiled
def attractive_pairs(
    owner: NDArray[Any],
    affinities: NDArray[Any],
    vectors: NDArray[Any],
    depth: np.uint64,
    channel: int,
    step: NDArray[Any],
    bias: np.float32,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return priority and flat indices of the pairs with both ends in objects."""
    sections, height, width = owner.shape
    dz, dy, dx = step[0], step[1], step[2]
    away = (dz * height + dy) * width + dx
    z0, z1 = _bounds(sections, dz)
    y0, y1 = _bounds(height, dy)
    x0, x1 = _bounds(width, dx)
    n = 0
    for z in range(z0, z1):
        for y in range(y0, y1):
            for x in range(x0, x1):
                n += owner[z, y, x] > 0 and owner[z + dz, y + dy, x + dx] > 0
    priority = np.empty(n, np.float32)
    first = np.empty(n, np.int64)
    n = 0
    for z in range(z0, z1):
        for y in range(y0, y1):
            for x in range(x0, x1):
                if owner[z, y, x] > 0 and owner[z + dz, y + dy, x + dx] > 0:
                    p = (z * height + y) * width + x
                    value = channel * owner.size + p
                    affinity = _affinity(affinities, vectors, depth, value, p, p + away)
                    priority[n] = affinity + bias
                    first[n] = p
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
    priority: np.float32 = weight[last]
    return priority


@compiled
def repulsive_pairs(
    owner: NDArray[Any],
    affinities: NDArray[Any],
    vectors: NDArray[Any],
    depth: np.uint64,
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
    sections, height, width = owner.shape
    dz, dy, dx = step[0], step[1], step[2]
    away = (dz * height + dy) * width + dx
    z0, z1 = _bounds(sections, dz)
    y0, y1 = _bounds(height, dy)
    x0, x1 = _bounds(width, dx)
    z0 += -z0 % stride[0]
    y0 += -y0 % stride[1]
    x0 += -x0 % stride[2]
    for z in range(z0, z1, stride[0]):
        for y in range(y0, y1, stride[1]):
            for x in range(x0, x1, stride[2]):
                a, b = owner[z, y, x], owner[z + dz, y + dy, x + dx]
                # Margins are never below 0.
                if a == 0 or b == 0 or (a == b and inside[a] <= 0):
                    continue
                place = -1
                if a != b:
                    low, high = min(a, b), max(a, b)
                    for n in range(starts[low], starts[low + 1]):
                        if partners[n] == high:
                            place = n
                            break
                    if place < 0:
                        continue
                p = (z * height + y) * width + x
                value = channel * owner.size + p
                affinity = _affinity(affinities, vectors, depth, value, p, p + away)
                strength = np.float32(1) - affinity
                if a != b:
                    repulsion[place] = max(repulsion[place], strength)
                # No priority inside the object is below the weakest.
                elif weakest[a] - strength < inside[a]:
                    w = _merge_of(parent, time, weight, p, p + away)
                    inside[a] = min(inside[a], w - strength)
