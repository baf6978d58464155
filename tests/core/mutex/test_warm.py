"""After warming up, nothing is left to be compiled."""

from __future__ import annotations

import sys

import numpy as np

from napari_pea.core.mutex import (
    EmbeddingWatershed,
    embedding_mutex_watershed,
    mutex_watershed,
    signed_mutex_watershed,
    warm,
)

FOUR = [(-1, 0), (0, -1), (-3, 0), (0, -3)]


def signatures():
    return {
        (name, found)
        for module in list(sys.modules)
        if module.startswith("napari_pea.core.mutex")
        for name, kernel in vars(sys.modules[module]).items()
        if hasattr(kernel, "signatures")
        for found in kernel.signatures
    }


def test_every_kernel_is_compiled(small_tiles):
    warm.warm_up()
    before = signatures()
    assert {name for name, _ in before} > {"solve_tiles", "visit", "number_objects"}
    rng = np.random.default_rng(0)
    for shape in ((20, 21), (5, 9, 8)):
        ndim = len(shape)
        direct = -np.eye(ndim, dtype=int)
        offsets = np.concatenate([direct, 2 * direct, 3 * direct])
        affinities = rng.random((len(offsets), *shape), dtype=np.float32)
        vectors = affinities[:4] / np.linalg.norm(affinities[:4], axis=0)
        affinities.flags.writeable = vectors.flags.writeable = False
        more = {
            "mask": affinities[0] > 0.1,
            "strides": 2,
            "bias": 0.1,
            "must_link": [(0, 1)],
            "cannot_link": np.eye(*shape[-2:], dtype=int) if ndim == 2 else [(3, 9)],
        }
        for threads in (1, 2):
            mutex_watershed(affinities, offsets, threads=threads)
            mutex_watershed(affinities, offsets, **more)
            embedding_mutex_watershed(vectors, offsets, threads=threads)
            embedding_mutex_watershed(vectors, offsets, **more)
            signed_mutex_watershed(affinities, offsets)
            EmbeddingWatershed(vectors, direct, threads=threads).partition(offsets[ndim:])
            with small_tiles():
                mutex_watershed(affinities, offsets)
                embedding_mutex_watershed(vectors, offsets)
    assert signatures() == before
