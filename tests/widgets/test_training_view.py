"""The layers of a run that come back."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Shapes

from napari_pea.models.metadata import ModelMetadata
from napari_pea.training.runs import RunPlan
from napari_pea.training.settings import TrainingSettings
from napari_pea.widgets.training_layers import painted_layers
from napari_pea.widgets.training_state import LayerPair, training_state_of
from napari_pea.widgets.training_view import TrainingView


@pytest.mark.parametrize("spatial", [2, 3])
def test_every_plane_or_volume_gets_its_own_regions_back(spatial: int, qtbot: Any) -> None:
    series = Image(np.random.default_rng(0).random((2, 3, 20, 30)), name="series")
    labels = Labels(np.ones(series.data.shape, np.uint8))
    drawn = Shapes(ndim=4)
    for time, section, end in ((0, 2, 8), (1, 0, 12)):
        corners = ((2, 2), (2, end), (9, end), (9, 2))
        drawn.add_polygons([[(time, section, *corner) for corner in corners]])
    layers = painted_layers(LayerPair(ref(series), ref(labels), region=ref(drawn)), spatial)
    items = layers.read(whole_objects=True)
    plan = RunPlan(
        tuple(items),
        ModelMetadata(name="m", architecture=f"resunet{spatial}d"),
        TrainingSettings(),
        layers=tuple(item.name for item in items),
        layouts={"series": layers.layout},
    )
    viewer = ViewerModel()
    TrainingView(viewer, lambda _: None).restore(plan)
    pairs = training_state_of(viewer).pairs
    assert len(pairs) == len(items) == {2: 6, 3: 2}[spatial]
    for pair, item in zip(pairs, items, strict=True):
        assert pair.region is not None
        # Where nothing was looked at, that is so again.
        assert bool(pair.region().data) == item.region.any()
        if item.region.any():
            (again,) = painted_layers(pair, spatial).read(whole_objects=True)
            np.testing.assert_array_equal(again.region, item.region)
