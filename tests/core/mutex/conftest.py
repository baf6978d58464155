from __future__ import annotations

from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import ndimage

from napari_pea.core.affinity import embedding_affinities, unit_vectors
from napari_pea.core.mutex import solver


def pair_by_pair(
    affinities,
    offsets,
    n_attractive,
    *,
    strides=None,
    mask=None,
    must_link=(),
    cannot_link=(),
    bias=0.0,
    signed=False,
    taken=lambda channel, pixel: True,
):
    """Partition as the definition says: all pairs sorted, sets of what excludes each other.

    Links are pairs of flat indices. Returns the objects numbered by their first pixels.
    """
    shape = affinities.shape[1:]
    inside = np.ones(shape, bool) if mask is None else mask
    index = np.arange(inside.size).reshape(shape)
    queue = []
    for channel, offset in enumerate(offsets):
        for here in np.argwhere(inside).tolist():
            there = [a + b for a, b in zip(here, offset, strict=True)]
            if any(not 0 <= x < size for x, size in zip(there, shape, strict=True)):
                continue
            here, there = tuple(here), tuple(there)
            if not inside[there] or not taken(channel, index[here]):
                continue
            value = np.float32(affinities[(channel, *here)])
            attracts = channel < n_attractive
            if signed:
                priority = abs(value - np.float32(0.5))
                attracts = value > 0.5
                if priority == 0:
                    continue
            elif attracts:
                priority = value + np.float32(bias)
            else:
                priority = np.float32(1) - value
                if strides is not None and any(x % n for x, n in zip(here, strides, strict=True)):
                    continue
            order = (-priority, not attracts, channel, index[here])
            queue.append((order, index[here], index[there], attracts))
    cluster = {int(pixel): {int(pixel)} for pixel in index[inside]}
    excluded = {pixel: set() for pixel in cluster}  # pixels that a pixel repels

    def apart(one, other):
        return any(excluded[pixel] & cluster[other] for pixel in cluster[one])

    def join(one, other):
        both = cluster[one] | cluster[other]
        for pixel in both:
            cluster[pixel] = both

    for one, other in must_link:
        join(int(one), int(other))
    for one, other in cannot_link:
        excluded[int(one)].add(int(other))
        excluded[int(other)].add(int(one))
    for _, one, other, attracts in sorted(queue, key=lambda item: item[0]):
        if cluster[one] is cluster[other]:
            continue
        if not attracts:
            excluded[one].add(other)
            excluded[other].add(one)
        elif not apart(one, other):
            join(one, other)
    labels = np.zeros(inside.size, np.uint32)
    number = 0
    for pixel in sorted(cluster):
        if labels[pixel] == 0:
            number += 1
            labels[list(cluster[pixel])] = number
    return labels.reshape(shape)


@contextmanager
def small_pieces(tile=4, per_task=3, pairs=20):
    """Solve in tiles of a few pixels, so that small images have many of them."""
    tiles = {2: (1, tile, tile), 3: (2, tile, tile)}
    with patch.multiple(solver, TILES=tiles, TILES_PER_TASK=per_task, PAIRS_PER_TASK=pairs):
        yield


def embedding(rng, shape, kind, depth):
    """Return vectors of unit length: white noise, smooth, smooth and noisy, or objects."""
    vectors = rng.normal(size=(depth, *shape))
    if kind == "objects":
        cells = tuple(np.arange(size) // 3 for size in shape)
        lookup = rng.normal(size=(depth, *(size // 3 + 1 for size in shape)))
        vectors = lookup[(slice(None), *np.ix_(*cells))] + 0.3 * vectors
    elif kind != "noise":
        smooth = np.stack([ndimage.gaussian_filter(part, 1.5) for part in vectors])
        vectors = smooth + (0.05 if kind == "rough" else 0) * vectors
    return unit_vectors(vectors)


@st.composite
def pea_problems(draw, max_offsets=8):
    """Embedding, affinities, offsets and the other arguments of a partition, in 2D or 3D."""
    ndim = draw(st.sampled_from([2, 3]))
    shape = tuple(draw(st.integers(1, 17 if ndim == 2 else 6)) for _ in range(ndim))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["noise", "smooth", "rough", "objects"]))
    step = st.integers(-5, 5)
    further = draw(st.lists(st.tuples(*[step] * ndim).filter(any), max_size=max_offsets))
    direct = [tuple(step) for step in (-np.eye(ndim, dtype=int)).tolist()]
    if draw(st.booleans()):
        direct = [tuple(-n for n in step) for step in direct]
    offsets = direct + further
    vectors = embedding(rng, shape, kind, draw(st.sampled_from([2, 16, 19])))
    affinities = embedding_affinities(vectors, offsets)
    arguments = {
        "strides": draw(st.none() | st.tuples(*[st.integers(1, 4)] * ndim)),
        "mask": draw(st.none() | st.just(rng.random(shape) < rng.uniform(0.3, 1))),
    }
    return vectors, affinities, offsets, arguments


@pytest.fixture(scope="session")
def reference():
    return pair_by_pair


@pytest.fixture(scope="session")
def small_tiles():
    return small_pieces


@pytest.fixture(scope="session")
def drawn():
    return pea_problems
