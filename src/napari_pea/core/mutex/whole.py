"""What tiles leave over, and the whole image: pending pairs, members, numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.kernels import compiled
from napari_pea.core.mutex.parts import OUTSIDE, Pairs
from napari_pea.core.mutex.priorities import flipped, priority_of


@compiled
def all_pending(pairs: Pairs, labels: NDArray[np.uint32], pending: NDArray[np.uint8]) -> None:
    """Note that no attractive pair is decided yet."""
    shape = pairs.shape
    n_pixels = shape[0] * shape[1] * shape[2]
    for offset in range(pairs.attractive.shape[0]):
        oz, oy, ox = pairs.attractive[offset]
        step = (oz * shape[1] + oy) * shape[2] + ox
        for z in range(max(0, -oz), min(shape[0], shape[0] - oz)):
            for y in range(max(0, -oy), min(shape[1], shape[1] - oy)):
                start = (z * shape[1] + y) * shape[2]
                for pixel in range(start + max(0, -ox), start + min(shape[2], shape[2] - ox)):
                    inside = labels[pixel] != OUTSIDE and labels[pixel + step] != OUTSIDE
                    pending[offset * n_pixels + pixel] = inside


@compiled
def gather_pending(
    pairs: Pairs,
    labels: NDArray[np.uint32],
    pending: NDArray[np.uint8],
    keys: NDArray[np.uint32],
    ids: NDArray[np.uint32],
) -> int:
    """Collect the pairs that no tile could decide; return how many there are."""
    shape = pairs.shape
    n_pixels = shape[0] * shape[1] * shape[2]
    affinities, vectors, depth = pairs.affinities, pairs.vectors, pairs.depth
    bias, numbers = pairs.bias, keys.view(np.float32)
    n = 0
    for offset in range(pairs.attractive.shape[0]):
        oz, oy, ox = pairs.attractive[offset]
        step = (oz * shape[1] + oy) * shape[2] + ox
        channel = pairs.attractive_channels[offset]
        for pixel in range(n_pixels):
            pair = offset * n_pixels + pixel
            if pending[pair] and labels[pixel] != labels[pixel + step]:
                if n < keys.size:
                    numbers[n] = priority_of(
                        affinities,
                        vectors,
                        depth,
                        bias,
                        channel * n_pixels + pixel,
                        pixel,
                        pixel + step,
                    )
                    keys[n] = flipped(keys[n])
                    ids[n] = pair
                n += 1
    return n


@compiled
def by_component(
    pairs: Pairs, labels: NDArray[np.uint32], ids: NDArray[np.uint32]
) -> NDArray[np.int64]:
    """Return an order of pairs in which those that can have to do with each other lie together.

    Clusters that no chain of pairs connects never meet, so their pairs may be visited in any
    order, and one after the other they stay in the processor's cache.

    Parameters
    ----------
    pairs : Pairs
        The pairs of the image.
    labels : array of uint32, shape (pixels,)
        The clusters.
    ids : array of uint32
        Pairs that are not decided, in order.

    Returns
    -------
    array of int64
        Positions in `ids`: component by component from the top of the image, each in order.
    """
    shape = pairs.shape
    n_pixels = shape[0] * shape[1] * shape[2]
    steps = np.empty(pairs.attractive.shape[0], np.int64)
    for offset in range(steps.size):
        oz, oy, ox = pairs.attractive[offset]
        steps[offset] = (oz * shape[1] + oy) * shape[2] + ox
    parent = np.arange(n_pixels).astype(np.uint32)
    ends = np.empty((2, ids.size), np.uint32)
    for i in range(ids.size):
        pixel = np.int64(ids[i]) % n_pixels
        ends[0, i] = labels[pixel]
        ends[1, i] = labels[pixel + steps[np.int64(ids[i]) // n_pixels]]
        for end in range(2):
            root = ends[end, i]
            while parent[root] != root:
                parent[root] = parent[parent[root]]
                root = parent[root]
            ends[end, i] = root
        low, high = min(ends[0, i], ends[1, i]), max(ends[0, i], ends[1, i])
        parent[high] = low
    for i in range(ids.size):
        root = ends[0, i]
        while parent[root] != root:
            root = parent[root]
        ends[0, i] = root
    return np.argsort(ends[0], kind="mergesort")


@compiled
def link_members(labels: NDArray[np.uint32], following: NDArray[np.uint32]) -> None:
    """Write the rings of members of all clusters."""
    for pixel in range(labels.size):
        following[pixel] = pixel
    for pixel in range(labels.size):
        label = labels[pixel]
        if label != OUTSIDE and label != pixel:
            following[pixel] = following[label]
            following[label] = pixel


@compiled
def number_objects(labels: NDArray[np.uint32], numbers: NDArray[np.uint32]) -> int:
    """Give the clusters numbers from 1 in the order of their first pixels; 0 is outside."""
    numbers[:] = 0
    found = 0
    for pixel in range(labels.size):
        label = labels[pixel]
        if label == OUTSIDE:
            labels[pixel] = 0
            continue
        if numbers[label] == 0:
            found += 1
            numbers[label] = found
        labels[pixel] = numbers[label]
    return found
