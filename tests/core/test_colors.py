from __future__ import annotations

import numpy as np
import pytest

from napari_pea.core.colors import embedding_colors
from napari_pea.core.errors import Cancelled
from napari_pea.core.progress import CancelToken


def test_pixels_of_one_vector_have_one_colour() -> None:
    rng = np.random.default_rng(0)
    objects = rng.integers(0, 6, (30, 40))
    vectors = rng.normal(size=(6, 16)).astype(np.float32)
    colors = embedding_colors(np.moveaxis(vectors[objects], -1, 0))
    assert colors.shape == (30, 40, 3)
    assert colors.dtype == np.float32
    assert (colors.min(), colors.max()) == (0, 1)
    means = np.array([colors[objects == index].mean(axis=0) for index in range(6)])
    np.testing.assert_allclose(colors, means[objects], atol=1e-3)
    distances = np.linalg.norm(means[:, None] - means[None], axis=-1)
    assert distances[~np.eye(6, dtype=bool)].min() > 0.05


def test_strongest_component_is_red() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(5, 40, 50)) * np.array([0.1, 0.1, 3, 0.1, 0.5])[:, None, None]
    colors = embedding_colors(vectors)
    assert np.corrcoef(colors[..., 0].ravel(), vectors[2].ravel())[0, 1] > 0.95
    assert np.corrcoef(colors[..., 1].ravel(), vectors[4].ravel())[0, 1] > 0.95


def test_only_the_mask_decides_about_the_colours() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(16, 30, 40)).astype(np.float32)
    mask = np.zeros((30, 40), dtype=bool)
    mask[5:20, 10:30] = True
    colors = embedding_colors(vectors, mask)
    assert not colors[~mask].any()
    np.testing.assert_allclose(
        colors[5:20, 10:30], embedding_colors(vectors[:, 5:20, 10:30]), atol=1e-5
    )
    changed = np.where(mask, vectors, np.float32(100))
    np.testing.assert_array_equal(embedding_colors(changed, mask), colors)


def test_an_empty_mask_is_no_mask() -> None:
    vectors = np.random.default_rng(0).normal(size=(16, 8, 9))
    empty = np.zeros((8, 9), dtype=bool)
    np.testing.assert_array_equal(embedding_colors(vectors, empty), embedding_colors(vectors))


def test_cancelling() -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        embedding_colors(np.ones((16, 4, 4)), cancel=token)


def test_constant_embedding_and_volumes() -> None:
    assert np.isfinite(embedding_colors(np.ones((16, 4, 5, 6), np.float32))).all()
    assert embedding_colors(np.ones((16, 4, 5, 6), np.float32)).shape == (4, 5, 6, 3)
