"""The Mutex Watershed tile by tile: what can be decided from a part of the image alone.

In sorted order the pairs of an image jump all over it, and memory is slow. Tiles are small
enough to be solved in a processor's cache, and independent of each other. Within a tile, a
cluster is *open* below the highest priority of its attractive pairs that leave the tile or
were put off: down to that priority it is what it is in the whole image, so what the tile
decides is final. A pair that meets an open cluster is put off, which opens both clusters. A
second round with tiles shifted by half their size decides most of what the first put off.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.kernels import compiled
from napari_pea.core.mutex.marks import mark_repulsion
from napari_pea.core.mutex.parts import N_REMEMBERED, OUTSIDE, Apart, Clusters, Frame, Pairs
from napari_pea.core.mutex.priorities import flipped, priority_of, sampled, sort_keys
from napari_pea.core.mutex.visit import visit


@compiled
def load(
    pairs: Pairs,
    frame: Frame,
    clusters: Clusters,
    labels: NDArray[np.uint32],
    sizes: NDArray[np.uint32],
    radii: NDArray[np.float32],
    first: bool,
) -> None:
    """Take the clusters of a tile from the image; those that reach beyond it are open."""
    here, following, counts = clusters.labels, clusters.following, clusters.sizes
    opened = clusters.opened
    shape, origin, extent = pairs.shape, frame.origin, frame.extent
    for n in range(here.size):
        here[n] = n
        following[n] = n
        counts[n] = 1
        opened[n] = -np.inf
    clusters.blocked[:] = OUTSIDE
    clusters.radii[:] = 0
    if first and not pairs.masked:
        return
    known = OUTSIDE
    known_here = np.int64(-1)
    for z in range(extent[0]):
        for y in range(extent[1]):
            start = z * frame.strides[0] + y * frame.strides[1]
            pixel = ((origin[0] + z) * shape[1] + origin[1] + y) * shape[2] + origin[2]
            for x in range(extent[2]):
                label = labels[pixel + x]
                n = start + x
                if label == OUTSIDE:
                    here[n] = OUTSIDE
                    continue
                if first:
                    continue
                if label != known:  # where in the tile is the pixel that is the label?
                    known = label
                    row = np.int64(label) // shape[2]
                    at_x = np.int64(label) - row * shape[2] - origin[2]
                    section = row // shape[1]
                    at_y = row - section * shape[1] - origin[1]
                    at_z = section - origin[0]
                    known_here = np.int64(-1)
                    if 0 <= at_x < extent[2] and 0 <= at_y < extent[1] and 0 <= at_z < extent[0]:
                        known_here = at_z * frame.strides[0] + at_y * frame.strides[1] + at_x
                if known_here < 0:
                    opened[n] = np.inf
                elif known_here != n:
                    here[n] = known_here
                    counts[known_here] += 1
                    following[n] = following[known_here]
                    following[known_here] = n
    if first:
        return
    for z in range(extent[0]):
        for y in range(extent[1]):
            start = z * frame.strides[0] + y * frame.strides[1]
            pixel = ((origin[0] + z) * shape[1] + origin[1] + y) * shape[2] + origin[2]
            for x in range(extent[2]):
                if here[start + x] != start + x:
                    continue
                if counts[start + x] != sizes[pixel + x]:
                    opened[start + x] = np.inf
                if pairs.depth:
                    clusters.radii[start + x] = radii[pixel + x]


@compiled
def gather(
    pairs: Pairs,
    frame: Frame,
    clusters: Clusters,
    labels: NDArray[np.uint32],
    pending: NDArray[np.uint8],
    first: bool,
    id_bits: int,
    keys: NDArray[np.uint32],
    ids: NDArray[np.uint32],
) -> int:
    """Collect the attractive pairs inside a tile; those that leave it open their clusters.

    Returns
    -------
    int
        How many keys and ids were written, in the order of offset and pixel.
    """
    here, opened = clusters.labels, clusters.opened
    shape, origin, extent = pairs.shape, frame.origin, frame.extent
    n_pixels = shape[0] * shape[1] * shape[2]
    affinities, vectors, depth = pairs.affinities, pairs.vectors, pairs.depth
    bias, numbers = pairs.bias, keys.view(np.float32)
    signed, rates, seed = pairs.signed, pairs.rates, pairs.seed
    n = 0
    for offset in range(pairs.attractive.shape[0]):
        oz, oy, ox = pairs.attractive[offset]
        channel = pairs.attractive_channels[offset]
        rate = rates[channel]
        local_step = oz * frame.strides[0] + oy * frame.strides[1] + ox
        step = (oz * shape[1] + oy) * shape[2] + ox
        for z in range(extent[0]):
            for y in range(extent[1]):
                start = z * frame.strides[0] + y * frame.strides[1]
                pixel = ((origin[0] + z) * shape[1] + origin[1] + y) * shape[2] + origin[2]
                pair = offset * n_pixels + pixel
                value = channel * n_pixels + pixel
                # Pairs that begin here.
                within = 0 <= z + oz < extent[0] and 0 <= y + oy < extent[1]
                left = max(0, -ox) if within else extent[2]
                right = max(left, min(extent[2], extent[2] - ox)) if within else extent[2]
                identity = (offset << id_bits) + start
                if first and not pairs.masked and not pairs.signed and not pairs.depth:
                    count = right - left
                    from_left = np.uint64(value + left)
                    at = np.uint64(n)
                    for x in range(count):
                        priority = affinities[from_left + np.uint64(x)] + bias
                        numbers[at + np.uint64(x)] = priority + np.float32(0)
                    for x in range(count):
                        keys[at + np.uint64(x)] = flipped(keys[at + np.uint64(x)])
                    for x in range(count):
                        ids[at + np.uint64(x)] = identity + left + x
                    n += count
                elif first:
                    for x in range(left, right):
                        priority = priority_of(
                            affinities, vectors, depth, bias, value + x, pixel + x, pixel + x + step
                        )
                        numbers[n] = priority
                        keys[n] = flipped(keys[n])
                        ids[n] = identity + x
                        n += int(
                            (here[start + x] != OUTSIDE)
                            & (here[start + x + local_step] != OUTSIDE)
                            & (
                                not signed
                                or (priority > 0 and sampled(rate, seed, channel, pixel + x))
                            )
                        )
                else:
                    for x in range(left, right):
                        if not pairs.depth or pending[pair + x]:
                            numbers[n] = priority_of(
                                affinities,
                                vectors,
                                depth,
                                bias,
                                value + x,
                                pixel + x,
                                pixel + x + step,
                            )
                        keys[n] = flipped(keys[n])
                        ids[n] = identity + x
                        joins = here[start + x] != here[start + x + local_step]
                        n += int(pending[pair + x] & joins)
                        pending[pair + x] = 0
                if 0 <= origin[0] + z + oz < shape[0] and 0 <= origin[1] + y + oy < shape[1]:
                    for x in range(extent[2]):
                        if left <= x < right or not 0 <= origin[2] + x + ox < shape[2]:
                            continue
                        if first:
                            if here[start + x] == OUTSIDE or labels[pixel + x + step] == OUTSIDE:
                                continue
                        elif not pending[pair + x]:
                            continue
                        priority = priority_of(
                            affinities, vectors, depth, bias, value + x, pixel + x, pixel + x + step
                        )
                        if signed and not (
                            priority > 0 and sampled(rate, seed, channel, pixel + x)
                        ):
                            continue
                        pending[pair + x] = 1
                        label = here[start + x]
                        opened[label] = max(opened[label], priority)
                # Pairs that end here and begin outside.
                if not (0 <= origin[0] + z - oz < shape[0] and 0 <= origin[1] + y - oy < shape[1]):
                    continue
                within = 0 <= z - oz < extent[0] and 0 <= y - oy < extent[1]
                if within and ox == 0:
                    continue
                for x in range(extent[2]):
                    if within and 0 <= x - ox < extent[2]:
                        continue
                    if not 0 <= origin[2] + x - ox < shape[2]:
                        continue
                    if first:
                        if here[start + x] == OUTSIDE or labels[pixel + x - step] == OUTSIDE:
                            continue
                    elif not pending[pair + x - step]:
                        continue
                    priority = priority_of(
                        affinities,
                        vectors,
                        depth,
                        bias,
                        value + x - step,
                        pixel + x - step,
                        pixel + x,
                    )
                    if signed and not (
                        priority > 0 and sampled(rate, seed, channel, pixel + x - step)
                    ):
                        continue
                    label = here[start + x]
                    opened[label] = max(opened[label], priority)
    return n


@compiled
def store(
    pairs: Pairs,
    frame: Frame,
    clusters: Clusters,
    labels: NDArray[np.uint32],
    sizes: NDArray[np.uint32],
    radii: NDArray[np.float32],
) -> None:
    """Hand the clusters of a tile over to the image, but for those that reach beyond it."""
    here, counts, opened = clusters.labels, clusters.sizes, clusters.opened
    shape, origin, extent = pairs.shape, frame.origin, frame.extent
    rows = (np.int64(1) << np.int64(frame.section - frame.row)) - 1
    columns = (np.int64(1) << np.int64(frame.row)) - 1
    row_bits, section_bits = np.int64(frame.row), np.int64(frame.section)
    for z in range(extent[0]):
        for y in range(extent[1]):
            start = z * frame.strides[0] + y * frame.strides[1]
            pixel = ((origin[0] + z) * shape[1] + origin[1] + y) * shape[2] + origin[2]
            for x in range(extent[2]):
                label = np.int64(here[start + x])
                if label == np.int64(OUTSIDE) or opened[label] == np.inf:
                    continue
                at_z = origin[0] + (label >> section_bits)
                at_y = origin[1] + ((label >> row_bits) & rows)
                labels[pixel + x] = (
                    (at_z * shape[1] + at_y) * shape[2] + origin[2] + (label & columns)
                )
                if label == start + x:
                    sizes[pixel + x] = counts[label]
                    if pairs.depth:
                        radii[pixel + x] = clusters.radii[label]


@compiled
def solve_tiles(
    pairs: Pairs,
    frame: Frame,
    apart: Apart,
    labels: NDArray[np.uint32],
    sizes: NDArray[np.uint32],
    radii: NDArray[np.float32],
    pending: NDArray[np.uint8],
    origins: NDArray[np.int64],
    stretches: NDArray[np.float64],
    first: bool,
) -> None:
    """Decide what some tiles can decide.

    Parameters
    ----------
    pairs : Pairs
        The pairs of the image.
    frame : Frame
        The layout of a tile; its origin and extent are overwritten.
    apart : Apart
        Nothing: what the user forbids is for clusters that are open here.
    labels, sizes : array of uint32, shape (pixels,)
        The clusters of the image; sizes stand at the pixel that is the label.
    radii : array of float32, shape (pixels,) or (0,)
        At the label; of no length if there are affinities.
    pending : array of uint8, shape (A * pixels,)
        Pairs that are not decided yet; all of them in a first round.
    origins : array of int64, shape (T, 3)
        First corners of the tiles; they may lie outside of the image.
    stretches : array of float64
        Ends of the stretches that pairs are visited in, as fractions of their number.
    first : bool
        Whether every pixel is a cluster of its own and all pairs are pending.
    """
    shape = pairs.shape
    full = frame.extent.copy()
    n_local = full[0] * full[1] * full[2]
    capacity = n_local * pairs.attractive.shape[0]
    origin, extent = np.empty(3, np.int64), np.empty(3, np.int64)
    tile = Frame(
        origin,
        extent,
        frame.strides,
        frame.steps,
        frame.ways,
        frame.values,
        frame.partners,
        frame.reach,
        frame.least,
        frame.toward,
        frame.row,
        frame.section,
    )
    clusters = Clusters(
        np.empty(n_local, np.uint32),
        np.empty(n_local, np.uint32),
        np.empty(n_local, np.uint32),
        np.empty(n_local, np.float32),
        np.empty(n_local if pairs.depth else 0, np.float32),
        np.empty(frame.reach.shape[1] * n_local, np.uint32),
        np.empty((2, N_REMEMBERED), np.uint32),
    )
    keys, ids = np.empty(capacity + 1, np.uint32), np.empty(capacity + 1, np.uint32)
    sorted_keys, sorted_ids = np.empty(capacity, np.uint32), np.empty(capacity, np.uint32)
    bits = np.empty(1, np.uint32)
    number = bits.view(np.float32)
    id_bits = np.uint64(1)
    while (1 << id_bits) < n_local:
        id_bits += np.uint64(1)
    for t in range(origins.shape[0]):
        for axis in range(3):
            origin[axis] = max(0, origins[t, axis])
            extent[axis] = min(origins[t, axis] + full[axis], shape[axis]) - origin[axis]
        if extent.min() <= 0:
            continue
        load(pairs, tile, clusters, labels, sizes, radii, first)
        n = gather(pairs, tile, clusters, labels, pending, first, int(id_bits), keys, ids)
        sort_keys(keys, ids, sorted_keys, sorted_ids, n)
        start = 0
        for end in stretches:
            stop = min(n, int(np.ceil(end * n)))
            if stop <= start:
                continue
            bits[0] = flipped(sorted_keys[stop - 1])
            mark_repulsion(pairs, tile, clusters, number[0])
            visit(
                pairs, tile, clusters, apart, sorted_keys, sorted_ids, start, stop, id_bits, pending
            )
            start = stop
        if n or first:
            store(pairs, tile, clusters, labels, sizes, radii)
