from __future__ import annotations

import numpy as np
import pytest

from napari_pea.core.masks.aggregation import aggregate_masks
from napari_pea.core.neighborhood import graph_offsets
from napari_pea.experiments.benchmark_masks import FEW, LATTICES, direct_pytorch, measure


def test_figures_are_those_of_the_same_result() -> None:
    told = []
    figures = measure(
        (3, 24, 24), (2, 4, 4), repeats=1, depths=(4, 8), progress=lambda *step: told.append(step)
    )
    assert figures["difference"] == 0
    assert figures["offsets"] == 16
    assert figures["faster_than_loops"] > 0
    assert set(figures["seconds"]) == {"own", "direct_pytorch", "strided_pytorch"}
    assert set(figures["memory"]) == {"4", "8"}
    assert told[0] == (0, 6)
    assert told[-1] == (6, 6)


@pytest.mark.parametrize("offsets", [FEW, graph_offsets()[7:12]])
def test_what_is_compared_with_finds_the_same(offsets) -> None:
    rng = np.random.default_rng(0)
    masks = [rng.random((lattice.size, 3, 9, 10), dtype=np.float32) for lattice in LATTICES]
    found, wanted = (way(masks, LATTICES, offsets) for way in (direct_pytorch, aggregate_masks))
    np.testing.assert_allclose(found.affinities, wanted.affinities, atol=1e-6)
    np.testing.assert_allclose(found.variances, wanted.variances, atol=1e-6)
