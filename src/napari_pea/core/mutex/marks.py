"""Marks: one bit for each repulsive pair that may matter in a stretch of attractive ones."""

from __future__ import annotations

import numpy as np

from napari_pea.core.kernels import compiled
from napari_pea.core.mutex.parts import OFFSETS_PER_WORD, OUTSIDE, Clusters, Frame, Pairs
from napari_pea.core.mutex.priorities import sampled

_ZERO = np.uint32(0)


@compiled
def mark_repulsion(pairs: Pairs, frame: Frame, clusters: Clusters, threshold: np.float32) -> None:
    """Mark the repulsive pairs inside a frame that are stronger than a threshold.

    With vectors instead of affinities all pairs are marked, for a cosine costs too much.
    """
    marks, labels, affinities = clusters.marks, clusters.labels, pairs.affinities
    shape, origin, extent = pairs.shape, frame.origin, frame.extent
    n_pixels = shape[0] * shape[1] * shape[2]
    top, signed, rates, seed = pairs.top, pairs.signed, pairs.rates, pairs.seed
    every_z, every_y, every = pairs.strides
    marks[:] = _ZERO
    for n in range(pairs.repulsive.shape[0]):
        oz, oy, ox = pairs.repulsive[n]
        channel = pairs.repulsive_channels[n]
        left = max(0, -ox)
        left += -(origin[2] + left) % every
        count = min(extent[2], extent[2] - ox) - left
        if count <= 0:
            continue
        forward = np.uint32(1 << (2 * (n % OFFSETS_PER_WORD)))
        backward = np.uint32(2 << (2 * (n % OFFSETS_PER_WORD)))
        word = (n // OFFSETS_PER_WORD) * labels.size
        step = oz * frame.strides[0] + oy * frame.strides[1] + ox
        for z in range(max(0, -oz), min(extent[0], extent[0] - oz)):
            if every_z > 1 and (origin[0] + z) % every_z:
                continue
            for y in range(max(0, -oy), min(extent[1], extent[1] - oy)):
                if every_y > 1 and (origin[1] + y) % every_y:
                    continue
                start = z * frame.strides[0] + y * frame.strides[1] + left
                pixel = ((origin[0] + z) * shape[1] + origin[1] + y) * shape[2]
                pixel += origin[2] + left
                here, there = np.uint64(start), np.uint64(start + step)
                ahead, behind = np.uint64(word + start), np.uint64(word + start + step)
                value = np.uint64(channel * n_pixels + pixel)
                if pairs.depth and every > 1:
                    for i in range(0, count, every):
                        x = np.uint64(i)
                        marks[ahead + x] |= forward
                        marks[behind + x] |= backward
                elif pairs.depth:
                    for i in range(count):
                        marks[ahead + np.uint64(i)] |= forward
                    for i in range(count):
                        marks[behind + np.uint64(i)] |= backward
                elif every > 1 or signed:
                    for i in range(0, count, every):
                        x = np.uint64(i)
                        if top - affinities[value + x] > threshold and (
                            not signed or sampled(rates[channel], seed, channel, pixel + i)
                        ):
                            marks[ahead + x] |= forward
                            marks[behind + x] |= backward
                elif pairs.masked:
                    for i in range(count):
                        x = np.uint64(i)
                        inside = (labels[here + x] != OUTSIDE) & (labels[there + x] != OUTSIDE)
                        strong = (top - affinities[value + x] > threshold) & inside
                        marks[ahead + x] |= forward if strong else _ZERO
                    for i in range(count):
                        x = np.uint64(i)
                        inside = (labels[here + x] != OUTSIDE) & (labels[there + x] != OUTSIDE)
                        strong = (top - affinities[value + x] > threshold) & inside
                        marks[behind + x] |= backward if strong else _ZERO
                else:
                    for i in range(count):
                        x = np.uint64(i)
                        strong = top - affinities[value + x] > threshold
                        marks[ahead + x] |= forward if strong else _ZERO
                    for i in range(count):
                        x = np.uint64(i)
                        strong = top - affinities[value + x] > threshold
                        marks[behind + x] |= backward if strong else _ZERO
