"""From pairs of layers to what training reads."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np
import pytest
from napari.layers import Image, Labels, Shapes

from napari_pea.core.errors import InputError
from napari_pea.widgets.training_layers import painted_layers
from napari_pea.widgets.training_state import LayerPair


def pair(image: Any, labels: Any = None, **more: Any) -> LayerPair:
    weak = {name: ref(layer) for name, layer in more.items() if name in ("background", "region")}
    plain = {name: value for name, value in more.items() if name not in weak}
    return LayerPair(ref(image), None if labels is None else ref(labels), **weak, **plain)


def test_paint_is_copied_and_label_0_is_guessed(squares: np.ndarray, painted: np.ndarray) -> None:
    image, labels = Image(squares, name="cells", scale=(2, 2)), Labels(painted, scale=(2, 2))
    found = painted_layers(pair(image, labels))
    (item,) = found.read(whole_objects=True)
    labels.data[:] = 1
    assert item.labels.max() == 12
    assert item.zero == "not-annotated"
    assert item.name == "cells"
    np.testing.assert_array_equal(item.image, squares)
    (item,) = found.read(whole_objects=True)
    assert item.zero == "background"  # all of it is painted by now
    (item,) = painted_layers(pair(image, labels, zero="not-annotated")).read(whole_objects=True)
    assert item.zero == "not-annotated"


def test_of_a_stack_only_painted_planes_are_read(squares: np.ndarray, painted: np.ndarray) -> None:
    image = Image(np.stack([squares, squares + 1, squares + 2, squares + 3]), name="stack")
    paint = np.zeros(image.data.shape, np.uint8)
    paint[2] = painted
    strokes = np.zeros(image.data.shape, np.uint8)
    strokes[3, :5] = 1
    labels, background = Labels(paint), Labels(strokes)
    items = painted_layers(pair(image, labels, background=background)).read(whole_objects=False)
    assert [item.name for item in items] == ["stack, plane 2", "stack, plane 3"]
    np.testing.assert_array_equal(items[0].image, squares + 2)
    assert not items[0].background.any()
    assert items[1].background.sum() == 5 * 128
    assert not items[1].whole_objects


def test_the_result_of_one_plane_lies_on_that_plane(
    squares: np.ndarray, painted: np.ndarray
) -> None:
    image = Image(np.stack([squares, squares + 1, squares + 2]), scale=(3, 0.5, 0.5))
    labels = Labels(painted[None], scale=(3, 0.5, 0.5), translate=(6, 0, 0))
    (item,) = painted_layers(pair(image, labels)).read(whole_objects=True)
    np.testing.assert_array_equal(item.image, squares + 2)


def test_channels(squares: np.ndarray, painted: np.ndarray) -> None:
    labels = Labels(painted)
    stack = Image(np.stack([squares, squares + 1]), axis_labels=("c", "y", "x"))
    (item,) = painted_layers(pair(stack, labels, channel="1")).read(whole_objects=True)
    assert (item.channel, item.channel_axis) == (1, 0)
    colours = Image(np.stack([squares] * 4, axis=-1).astype(np.uint8), rgb=True)
    (item,) = painted_layers(pair(colours, labels)).read(whole_objects=True)
    assert (item.image.shape, item.channel_axis) == ((96, 128, 3), -1)


def test_regions_follow_their_place_in_the_window(squares: np.ndarray, painted: np.ndarray) -> None:
    image, labels = Image(squares, scale=(2, 2)), Labels(painted, scale=(2, 2))
    region = Shapes(ndim=2)
    region.add_rectangles([[20, 40], [20, 80], [60, 80], [60, 40]])
    region.add_lines([[0, 0], [50, 50]])
    (item,) = painted_layers(pair(image, labels, region=region)).read(whole_objects=True)
    rows, columns = np.nonzero(item.region)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 30, 20, 40)
    round_ = Shapes(ndim=2)
    round_.add_ellipses([[20, 40], [20, 80], [60, 80], [60, 40]])
    (item,) = painted_layers(pair(image, labels, region=round_)).read(whole_objects=True)
    assert item.region[20, 30]
    assert not item.region[11, 21]
    assert item.region.sum() == pytest.approx(np.pi * 100, rel=0.1)


def test_volumes_are_read_whole(squares: np.ndarray, painted: np.ndarray) -> None:
    image = Image(np.stack([squares] * 6).reshape(2, 3, 96, 128), name="series")
    paint = np.zeros(image.data.shape, np.uint16)
    paint[1, 2] = painted
    region = Shapes(ndim=4)
    region.add_rectangles([[[1, 2, y, x] for y, x in ((5, 5), (5, 20), (20, 20), (20, 5))]])
    layers = painted_layers(pair(image, Labels(paint), region=region), 3)
    (item,) = layers.read(whole_objects=True)
    assert item.name == "series, plane 1"
    assert item.image.shape == item.labels.shape == (3, 96, 128)
    assert item.region.any(axis=(1, 2)).tolist() == [False, False, True]
    through = Shapes(ndim=2)
    through.add_rectangles([[5, 5], [5, 20], [20, 20], [20, 5]])
    (item,) = painted_layers(pair(image, Labels(paint), region=through), 3).read(whole_objects=True)
    assert item.region.any(axis=(1, 2)).all()
    turned = Shapes(ndim=4, name="looked at")
    turned.add_rectangles([[[1, z, 5, x] for z, x in ((0, 5), (0, 20), (2, 20), (2, 5))]])
    with pytest.raises(InputError, match=r"'looked at' goes through several planes .* y–x view"):
        painted_layers(pair(image, Labels(paint), region=turned), 3)
    with pytest.raises(InputError, match="learns from volumes and 'dabs' is a single plane"):
        painted_layers(pair(Image(squares), Labels(painted, name="dabs")), 3)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda ids: Labels(ids[:50]), r"measure \(50, 128\) pixels and the image 'cells'"),
        (lambda ids: Labels(ids, scale=(3, 3)), "have another scale: give both layers the same"),
        (lambda ids: Labels(ids, translate=(9, 0)), "lie beside the image"),
        (lambda ids: Labels(np.stack([ids, ids])), "choose labels of the same image"),
    ],
)
def test_labels_that_do_not_fit(
    make: Any, sentence: str, squares: np.ndarray, painted: np.ndarray
) -> None:
    image, labels = Image(squares, name="cells"), make(painted)
    with pytest.raises(InputError, match=sentence):
        painted_layers(pair(image, labels))


def test_what_is_missing(squares: np.ndarray, painted: np.ndarray) -> None:
    image, labels = Image(squares, name="cells"), Labels(painted)
    with pytest.raises(InputError, match="no image to learn from"):
        painted_layers(LayerPair())
    with pytest.raises(InputError, match="Nothing is painted for the image 'cells'"):
        painted_layers(pair(image))
    region = Shapes(ndim=2, name="mine")
    with pytest.raises(InputError, match="'mine' hold no rectangle"):
        painted_layers(pair(image, labels, region=region))
    small = Labels(painted[:9])
    with pytest.raises(InputError, match="choose strokes on the same image"):
        painted_layers(pair(image, labels, background=small))


def test_negative_and_huge_ids(squares: np.ndarray, painted: np.ndarray) -> None:
    image = Image(squares, name="cells")
    labels = Labels(painted.astype(np.int32) - 1)
    with pytest.raises(InputError, match="cells: Labels cannot be negative: found -1"):
        painted_layers(pair(image, labels)).read(whole_objects=True)
    labels = Labels(painted.astype(np.int64) * 10**12)
    (item,) = painted_layers(pair(image, labels)).read(whole_objects=True)
    assert item.labels.max() == 12 * 10**12
