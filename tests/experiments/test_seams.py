"""Whether faces of blocks show in labels."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pea.experiments.seams import share_on_faces
from napari_pea.experiments.tissue import TissueSource


def test_labels_that_are_cut_at_faces_are_found_out():
    shape = (128, 128)
    cells = TissueSource((1, *shape)).truth((slice(0, 1), slice(0, 128), slice(0, 128)))[0]
    quiet = share_on_faces(cells, (16, 16))
    assert quiet["ratio"] == pytest.approx(1, abs=0.2)
    assert abs(quiet["deviations"]) < 2
    y, x = np.indices(shape)
    cut = cells * 100 + (y // 16) * 10 + x // 16
    shows = share_on_faces(cut, (16, 16))
    assert shows["faces"] == 1
    assert shows["elsewhere"] < 0.15
    assert shows["deviations"] > 10


def test_a_part_knows_where_it_begins():
    labels = np.repeat([[1], [2]], [6, 10], axis=0) * np.ones((1, 4), int)
    assert share_on_faces(labels, (10, 100), (4, 0))["faces"] == 1
    assert share_on_faces(labels, (10, 100))["faces"] == 0
    assert np.isnan(share_on_faces(labels, (100, 100))["faces"])
