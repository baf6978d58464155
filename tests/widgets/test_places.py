"""How large pixels are, and what is said about the distance of sections."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_pea.models.metadata import ModelMetadata
from napari_pea.widgets.places import pixel_size_of, plain_place, spacing_notice
from napari_pea.widgets.sources import ImagePart

#: A rotation by 30° within sections.
TURNED = np.array([[1, 0, 0], [0, 0.75**0.5, -0.5], [0, 0.5, 0.75**0.5]])


def volume(**arguments: Any) -> tuple[Image, ImagePart]:
    layer = Image(np.zeros((2, 4, 5, 6)), name="stack", **arguments)
    return layer, ImagePart(layer.data, ((0, 1),), None, None, 4, False)


def model(size: Any, **arguments: Any) -> ModelMetadata:
    return ModelMetadata(
        name="m", architecture="resunet3d", pixel_size_um=size, arguments=arguments
    )


def test_pixel_sizes_are_micrometres_where_units_are_known() -> None:
    layer, part = volume(scale=(1, 2000, 0.5, -0.5), units=("s", "nm", "um", "um"))
    assert pixel_size_of(layer, part) == pytest.approx((2, 0.5, 0.5))
    assert pixel_size_of(*volume(scale=(1, 3, 1, 1))) == (3, 1, 1)


@pytest.mark.parametrize(
    ("scale", "size", "said"),
    [
        ((1, 1, 1, 1), (2.0, 0.5, 0.5), "is not set: the model takes its sections to be 4 times"),
        ((1, 1, 1, 1), 0.5, "is not set: its voxels are taken to be as deep as wide"),
        ((1, 4, 1, 1), (2.0, 0.5, 0.5), ""),
        ((1, 5, 1, 1), (2.0, 0.5, 0.5), ""),
        ((1, 4, 1, 1), 0.5, "4 times as far apart as its pixels, and the model expects 1 times"),
        ((1, 1, 1, 1), None, "is not set: its voxels are taken to be as deep as wide"),
        ((1, 4, 1, 1), None, ""),
    ],
)
def test_sections_of_another_distance_are_told(scale: Any, size: Any, said: str) -> None:
    notice = spacing_notice(*volume(scale=scale), model(size))
    assert said in notice
    assert bool(said) == bool(notice)


def test_a_model_of_cubic_voxels_expects_them() -> None:
    cubic = model(None, isotropic=True)
    assert "the model expects 1 times" in spacing_notice(*volume(scale=(1, 4, 1, 1)), cubic)
    assert spacing_notice(*volume(scale=(1, 2, 2, 2)), cubic) == ""
    assert spacing_notice(*volume(), cubic) == ""


def test_a_layer_comes_back_to_its_place() -> None:
    layer = Labels(np.zeros((3, 4, 5), int), scale=(3, 2, 1), translate=(7, 8, 9), rotate=TURNED)
    again = Labels(layer.data, **plain_place(layer))
    np.testing.assert_allclose(again.data_to_world((1, 2, 3)), layer.data_to_world((1, 2, 3)))
    flat = Labels(layer.data[0], **plain_place(Labels(layer.data, scale=(3, 2, 1)), 2))
    np.testing.assert_allclose(flat.scale, (2, 1))
