"""Tissue that is made up where it is looked at."""

from __future__ import annotations

import numpy as np

from napari_pea.core.affinity import embedding_affinities
from napari_pea.experiments.tissue import SPACING, TissueSource

WHOLE = (slice(0, 50), slice(0, 60), slice(0, 70))
PART = (slice(13, 40), slice(5, 60), slice(30, 51))
SOURCE = TissueSource((50, 60, 70))


def test_a_part_is_what_it_is_in_the_whole():
    assert np.array_equal(SOURCE.truth(PART), SOURCE.truth(WHOLE)[PART])
    whole, part = SOURCE(WHOLE), SOURCE(PART)
    assert part.foreground is None
    assert np.array_equal(part.vectors, whole.vectors[(slice(None), *PART)])


def test_cells_have_about_the_size_asked_for():
    inner = SOURCE.truth((slice(0, 60), slice(0, 60), slice(0, 60)))
    assert 0.5 < len(np.unique(inner)) * SPACING**3 / inner.size / 2.4 < 1.5


def test_affinities_tell_cells_apart():
    truth, vectors = SOURCE.truth(WHOLE), SOURCE(WHOLE).vectors
    assert np.allclose(np.linalg.norm(vectors, axis=0), 1, atol=1e-5)
    (affinity,) = embedding_affinities(vectors, [(0, 0, -1)])
    same = truth[..., 1:] == truth[..., :-1]
    assert affinity[..., 1:][same].min() > 0.7
    assert np.quantile(affinity[..., 1:][~same], 0.95) < 0.4
