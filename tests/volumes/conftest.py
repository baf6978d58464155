"""Volumes whose embedding is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from napari_pea.core.predict import Embedding


class TruthSource:
    """Embeds the objects of a label image: a random vector for each, and noise.

    Noise belongs to the pixel, so that a region is embedded alike whatever it is part of.
    """

    def __init__(self, truth: np.ndarray, noise: float = 0.05, depth: int = 32) -> None:
        self.truth = truth
        rng = np.random.default_rng(0)
        self.words = rng.standard_normal((depth, int(truth.max()) + 1)).astype(np.float32)
        self.words /= np.linalg.norm(self.words, axis=0)
        self.noise = noise * rng.standard_normal((depth, *truth.shape)).astype(np.float32)
        self.regions: list[tuple[slice, ...]] = []

    @property
    def shape(self) -> tuple[int, ...]:
        return self.truth.shape

    @property
    def identity(self) -> dict:
        return {"image": "truth", "shape": list(self.shape)}

    def __call__(self, region, *, cancel=None) -> Embedding:
        self.regions.append(region)
        truth = self.truth[region]
        vectors = self.words[:, truth] + self.noise[(slice(None), *region)]
        vectors /= np.linalg.norm(vectors, axis=0)
        return Embedding(vectors, (truth > 0).astype(np.float32))


def cells(shape: tuple[int, ...], n_objects: int, seed: int = 0) -> np.ndarray:
    """Return cells nearest to random points, with thin gaps between some of them."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    points = np.ones(shape, bool)
    points.flat[rng.choice(points.size, n_objects, replace=False)] = False
    nearest = ndimage.distance_transform_edt(points, return_distances=False, return_indices=True)
    _, labels = np.unique(np.ravel_multi_index(tuple(nearest), shape), return_inverse=True)
    labels = labels.reshape(shape) + 1
    gap = ndimage.maximum_filter(labels, 2) != labels
    return np.where(gap & (labels % 2 == 0), 0, labels)


@pytest.fixture(scope="session")
def truth_source() -> Callable[..., TruthSource]:
    return TruthSource


@pytest.fixture(scope="session")
def tissue() -> Callable[..., np.ndarray]:
    return cells
