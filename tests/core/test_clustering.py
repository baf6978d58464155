"""Mean shift on embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pea.core.clustering import N_SAMPLED, mean_shift
from napari_pea.core.errors import Cancelled
from napari_pea.core.progress import CancelToken


def embedding(words, noise=0.05, depth=8):
    """Return noisy vectors of unit length, alike where the words are."""
    rng = np.random.default_rng(0)
    vectors = np.eye(depth, dtype=np.float32)[:, words]
    vectors += noise * rng.standard_normal(vectors.shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=0)


def test_clusters_become_objects_and_what_does_not_touch_is_apart():
    words = np.array([[0, 0, 1, 1, 0, 0]]).repeat(4, axis=0)
    labels = mean_shift(embedding(words))
    assert labels.dtype == np.uint32
    assert np.array_equal(labels, np.array([[1, 1, 2, 2, 3, 3]]).repeat(4, axis=0))


def test_it_works_in_3d_and_within_a_mask():
    words = np.kron([[[0, 1], [2, 3]]], np.ones((3, 5, 5), int))
    mask = np.ones(words.shape, bool)
    mask[:, :2] = False
    labels = mean_shift(embedding(words), mask=mask)
    assert not labels[~mask].any()
    for word in range(4):
        assert len(np.unique(labels[mask & (words == word)])) == 1
    assert labels.max() == 4


def test_pixels_beyond_the_sample_join_the_nearest_cluster():
    words = np.zeros((100, 100), int)
    words[:, 60:] = 1
    assert words.size > 2 * N_SAMPLED
    assert np.array_equal(mean_shift(embedding(words)), words + 1)


def test_a_wide_window_makes_one_object_of_all():
    words = np.array([[0, 1, 2]]).repeat(3, axis=0)
    assert mean_shift(embedding(words), bandwidth=3.0).max() == 1


def test_vectors_far_from_every_corner_of_a_grid_are_found():
    # Each of the 16 numbers is a quarter of the window away from the next corner.
    words = np.array([[0, 0, 1, 1]]).repeat(4, axis=0)
    vectors = np.where(words == 0, 0.4, 2.0)[None].repeat(16, axis=0).astype(np.float32)
    assert np.array_equal(mean_shift(vectors, bandwidth=1.0), words + 1)


def test_an_empty_mask_gives_no_objects():
    words = np.zeros((3, 4), int)
    assert not mean_shift(embedding(words), mask=words > 0).any()


def test_it_can_be_cancelled():
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        mean_shift(embedding(np.zeros((3, 4), int)), cancel=token)
