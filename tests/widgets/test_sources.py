from __future__ import annotations

from dataclasses import replace
from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_pea.core.errors import InputError
from napari_pea.widgets.sources import (
    ChannelChoice,
    axis_choices,
    channel_choices,
    choose_part,
)

#: A rotation by 30° within the plane of a stack.
TURNED = np.array([[1, 0, 0], [0, 0.75**0.5, -0.5], [0, 0.5, 0.75**0.5]])
RNG = np.random.default_rng(0)


def texts(layer: Image) -> list[str]:
    return [choice.text for choice in channel_choices(layer)]


def part_of(layer: Image, text: str, *steps: int) -> Any:
    """The part that a viewer with its sliders at `steps` shows."""
    viewer = ViewerModel()
    viewer.add_layer(layer)
    for axis, step in enumerate(steps):
        viewer.dims.set_current_step(axis, step)
    choice = next(choice for choice in channel_choices(layer) if choice.text == text)
    return choose_part(layer, viewer.dims, choice)


@pytest.mark.parametrize(
    ("shape", "kwargs", "expected"),
    [
        ((9, 8), {}, ["grey"]),
        ((9, 8, 3), {"rgb": True}, ["all", "red", "green", "blue"]),
        ((9, 8, 7), {}, ["shown plane"]),
        ((2, 8, 7), {}, ["shown plane", "0", "1", "all"]),
        ((2, 8, 7), {"axis_labels": ("c", "y", "x")}, ["0", "1", "all"]),
        ((9, 3, 8, 7), {"axis_labels": ("t", "Channel", "y", "x")}, ["0", "1", "2", "all"]),
        ((3, 9, 8, 7), {}, ["shown plane"]),
    ],
)
def test_channels_on_offer(shape: tuple, kwargs: dict, expected: list[str]) -> None:
    assert texts(Image(RNG.random(shape), **kwargs)) == expected


def test_the_plane_at_the_sliders_is_read() -> None:
    data = RNG.random((6, 5, 8, 7))
    part = part_of(Image(data, scale=(2, 3, 1, 1)), "shown plane", 4, 1)
    np.testing.assert_array_equal(part.read(), data[4, 1])
    assert part.as_result(np.zeros((8, 7))).shape == (1, 1, 8, 7)
    assert part.as_result(np.zeros((8, 7, 3))).shape == (1, 1, 8, 7, 3)


def test_one_channel_of_a_time_series() -> None:
    data = RNG.random((6, 3, 8, 7))
    part = part_of(Image(data, axis_labels=("t", "c", "y", "x")), "2", 4)
    assert (part.channel, part.channel_axis) == (2, 0)
    np.testing.assert_array_equal(part.read(), data[4])
    assert part.as_result(np.zeros((8, 7))).shape == (1, 8, 7)


def test_the_sideways_view_of_a_stack() -> None:
    data = RNG.random((6, 8, 7))
    viewer = ViewerModel()
    layer = viewer.add_image(data)
    viewer.dims.order = (1, 0, 2)
    viewer.dims.set_current_step(1, 5)
    part = choose_part(layer, viewer.dims, ChannelChoice("shown plane"))
    np.testing.assert_array_equal(part.read(), data[:, 5])


def test_lazy_images_are_read_for_the_plane_only() -> None:
    read = []

    def block(block_info: Any = None) -> np.ndarray:
        read.append(block_info[None]["chunk-location"][0])
        return np.ones((1, 8, 7))

    data = da.map_blocks(block, chunks=((1,) * 20, (8,), (7,)), dtype=float)
    layer = Image(data, contrast_limits=(0, 1))
    part = part_of(layer, "shown plane", 13)
    read.clear()
    assert part.read().shape == (8, 7)
    assert set(read) == {13}


def test_pyramids_are_read_at_full_resolution() -> None:
    data = RNG.random((64, 48))
    part = part_of(Image([data, data[::2, ::2]], multiscale=True), "grey")
    np.testing.assert_array_equal(part.read(), data)


@pytest.mark.parametrize(
    ("shape", "kwargs", "text", "steps"),
    [
        (
            (9, 8),
            {"scale": (2, 3), "translate": (5, -4), "rotate": 30, "shear": (0.2,)},
            "grey",
            (),
        ),
        ((9, 8, 3), {"rgb": True, "scale": (2, 3)}, "all", ()),
        ((6, 9, 8), {"scale": (4, 2, 3), "translate": (1, 5, -4)}, "shown plane", (4,)),
        ((6, 9, 8), {"scale": (4, 2, 3), "rotate": TURNED}, "shown plane", (4,)),
        ((6, 9, 8), {"affine": np.diag([4, 2, 3, 1]) + np.eye(4, k=1)}, "shown plane", (4,)),
    ],
)
def test_results_lie_where_their_part_lies(
    shape: tuple, kwargs: dict, text: str, steps: tuple
) -> None:
    layer = Image(RNG.random(shape), **kwargs)
    part = part_of(layer, text, *steps)
    result = Image(part.as_result(np.zeros((9, 8))), **part.placement(layer))
    for pixel in ((0, 0), (7, 2), (3.5, 6)):
        offset = [position for _, position in part.plane]
        np.testing.assert_allclose(
            result.data_to_world((*[0] * len(offset), *pixel)),
            layer.data_to_world((*offset, *pixel)),
        )


def test_the_axis_of_the_channels_is_dropped() -> None:
    layer = Image(
        RNG.random((3, 9, 8)),
        scale=(1, 0.5, 0.25),
        translate=(0, 3, 4),
        units=("pixel", "um", "um"),
        axis_labels=("c", "y", "x"),
    )
    part = part_of(layer, "1")
    result = Image(part.as_result(np.zeros((9, 8))), **part.placement(layer))
    assert result.ndim == 2
    assert result.axis_labels == ("y", "x")
    assert result.units == layer.units[1:]
    np.testing.assert_allclose(result.data_to_world((2, 3)), layer.data_to_world((0, 2, 3))[1:])


def test_an_empty_place_gets_one_sentence() -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((12, 9, 8)), name="long")
    short = viewer.add_image(np.zeros((6, 9, 8)), name="short")
    viewer.dims.set_current_step(0, 10)
    with pytest.raises(InputError, match="'short' has no plane where the sliders are"):
        choose_part(short, viewer.dims, channel_choices(short)[0])


def test_the_volume_at_the_sliders_is_read() -> None:
    data = RNG.random((6, 5, 8, 7))
    layer = Image(data, scale=(2, 3, 1, 1))
    assert [c.text for c in channel_choices(layer, 3)] == ["shown volume"]
    viewer = ViewerModel()
    viewer.add_layer(layer)
    viewer.dims.set_current_step(0, 4)
    choice = channel_choices(layer, 3)[0]
    assert [each.text for each in axis_choices(layer, choice, 3)][:2] == [
        "as shown",
        "-4 (6 volumes)",
    ]
    part = choose_part(layer, viewer.dims, choice, ndim=3)
    np.testing.assert_array_equal(part.read(), data[4])
    assert part.as_result(np.zeros((5, 8, 7, 3))).shape == (1, 5, 8, 7, 3)
    viewer.dims.ndisplay = 3
    assert choose_part(layer, viewer.dims, choice, ndim=3).plane == ((0, 4),)
    stack = Image(data[0])
    assert [c.text for c in channel_choices(stack, 3)] == ["grey"]
    assert len(axis_choices(stack, channel_choices(stack, 3)[0], 3)) == 1


def test_a_block_lies_where_it_was_taken() -> None:
    data = RNG.random((6, 9, 8))
    layer = Image(data, scale=(4, 1, 2), translate=(1, 2, 3))
    viewer = ViewerModel()
    viewer.add_layer(layer)
    whole = choose_part(layer, viewer.dims, ChannelChoice("grey"), ndim=3)
    block = replace(whole, block=(slice(2, 5), slice(3, 9), slice(1, 4)))
    np.testing.assert_array_equal(block.read(), data[2:5, 3:9, 1:4])
    assert (block.shape, block.start, block.whole) == ((3, 6, 3), (2, 3, 1), whole)
    assert block.key != whole.key
    np.testing.assert_allclose(block.placement(layer)["translate"], layer.data_to_world((2, 3, 1)))
    np.testing.assert_allclose(
        block.placement(layer, (1, 1, 1))["translate"], layer.data_to_world((3, 4, 2))
    )
