from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.layers import Image, Labels

from napari_pea.core.table import region_table
from napari_pea.widgets.features import layer_features
from napari_pea.widgets.sources import ImagePart

LABELS = np.zeros((8, 10), dtype=np.uint32)
LABELS[1:4, 2:6] = 3
LABELS[5:7, 2:8] = 7


def part_of(data: np.ndarray, plane: tuple[tuple[int, int], ...] = ()) -> ImagePart:
    return ImagePart(data, plane, None, None, data.ndim, False)


def test_figures_are_in_world_units() -> None:
    image = Image(LABELS, scale=(0.5, 0.25), translate=(10, 20), units=("um", "um"))
    features = layer_features(region_table(LABELS), image, part_of(LABELS))
    assert features["index"].tolist() == [3, 7]
    assert features["area"].tolist() == [12 * 0.125, 12 * 0.125]
    assert features["centroid-0"].tolist() == [10 + 2 * 0.5, 10 + 5.5 * 0.5]
    assert features["centroid-1"].tolist() == [20 + 3.5 * 0.25, 20 + 4.5 * 0.25]
    # The disk of this area.
    assert features["area"].to_numpy() == pytest.approx(
        np.pi / 4 * features["equivalent_diameter"].to_numpy() ** 2
    )
    assert set(features["unit"]) == {"micrometer"}
    assert "label" not in features


def test_without_units_they_are_in_pixels() -> None:
    features = layer_features(region_table(LABELS), Image(LABELS), part_of(LABELS))
    assert features["area"].tolist() == [12, 12]
    assert set(features["unit"]) == {"pixel"}


def test_centroids_are_where_napari_shows_the_object() -> None:
    place = {
        "scale": (3, 0.5, 0.25),
        "translate": (1, 2, 3),
        "rotate": [[1, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]],
        "affine": [[1, 0, 0, 5], [0, 2, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1]],
    }
    stack = np.stack([LABELS] * 4)
    image = Image(stack, **place)
    part = part_of(stack, ((0, 2),))
    table = region_table(LABELS)
    features = layer_features(table, image, part)
    labels = Labels(part.as_result(LABELS), **part.placement(image))
    for row, (y, x) in enumerate(table[["centroid-0", "centroid-1"]].to_numpy()):
        world = [features[f"centroid-{axis}"][row] for axis in range(3)]
        assert world == pytest.approx(image.data_to_world((2, y, x)))
        assert world == pytest.approx(labels.data_to_world((0, y, x)))
    # A rotation keeps areas; the affine doubles them.
    assert features["area"].to_numpy() == pytest.approx(12 * 0.125 * 2)


def test_objects_of_all_planes_lie_in_theirs() -> None:
    stack = np.stack([LABELS] * 4)
    table = region_table(LABELS)
    table.insert(1, "plane", [0, 3])
    features = layer_features(table, Image(stack, scale=(5, 1, 1)), part_of(stack, ((0, 0),)))
    assert features["centroid-0"].tolist() == [0, 15]
    assert features["plane"].tolist() == [0, 3]


def test_the_axis_of_channels_is_left_out() -> None:
    data = np.stack([LABELS] * 3)
    part = ImagePart(data, (), 1, 0, 3, False)
    image = Image(data, scale=(9, 2, 3), translate=(100, 1, 1))
    features = layer_features(region_table(LABELS), image, part)
    assert features["centroid-0"].tolist() == [1 + 2 * 2, 1 + 5.5 * 2]
    assert features["area"].tolist() == [12 * 6] * 2
    assert "centroid-2" not in features


def test_further_columns_stay_and_certainty_is_added() -> None:
    table = region_table(LABELS, np.full(LABELS.shape, 0.5, np.float32)).assign(mine=["a", "b"])
    features = layer_features(table, Image(LABELS), part_of(LABELS))
    assert features["mine"].tolist() == ["a", "b"]
    assert features["foreground"].tolist() == [0.5, 0.5]
    assert features["certainty"].tolist() == pytest.approx([0.6, 0.6])


def test_no_objects_have_no_rows() -> None:
    nothing = np.zeros_like(LABELS)
    features = layer_features(region_table(nothing), Image(LABELS), part_of(LABELS))
    assert len(features) == 0
    assert {"index", "area", "centroid-0"} <= set(features.columns)


def test_naparis_own_table_shows_and_saves_them(
    open_dock: Callable[..., Any],
    bands: list[Any],
    tiles_image: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hand = open_dock()
    hand.viewer.add_image(tiles_image, name="tiles", scale=(2, 2), units=("um", "um"))
    hand.segment()
    _, table = hand.viewer.window.add_plugin_dock_widget("napari", "Features table widget")
    labels = hand.viewer.layers["tiles labels"]
    hand.viewer.layers.selection = {labels}
    path = tmp_path / "objects.csv"
    monkeypatch.setattr(
        "napari_builtins._qt.features_table.QFileDialog.getSaveFileName",
        lambda *_, **__: (str(path), ""),
    )
    table.save.click()
    saved = pd.read_csv(path)
    assert saved["index"].tolist() == [1, 2, 3, 4]
    assert saved["area"].tolist() == [576, 576, 576, 160]
    assert saved["unit"].tolist() == ["micrometer"] * 4
    wanted = {"certainty", "foreground", "margin", "inside_margin", "outside_margin", "accepted"}
    assert wanted <= set(saved.columns)
