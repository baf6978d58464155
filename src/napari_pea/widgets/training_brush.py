"""Layers to paint annotation on, and results that become annotation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from napari.qt.threading import create_worker

from napari_pea.widgets.sources import NDIM, ChannelChoice, ImagePart, level_zero
from napari_pea.widgets.training_state import LayerPair, TrainingState

if TYPE_CHECKING:
    from napari.components import LayerList
    from napari.layers import Image, Labels, Layer, Shapes
    from napari.utils.colormaps import CyclicLabelColormap

#: What the metadata call a layer of background strokes, and one of held-out objects.
STROKES, HELD_OUT = "background strokes", "held out"
#: The labels of so many pixels are looked through at once, in less than 10 ms.
LOOKED_THROUGH = 10_000_000
#: Colour of background strokes.
STROKE_COLOR = (0.2, 0.5, 1.0, 1.0)


def new_labels(image: Image, choice: ChannelChoice) -> Labels:
    """Return an empty layer for the objects of an image, with the planes of a channel."""
    from napari.layers import Labels

    # All planes.
    part = ImagePart(
        level_zero(image), (), choice.channel, choice.axis, image.ndim, bool(image.rgb)
    )
    return Labels(
        np.zeros(part.shape, dtype=np.uint16),
        name=f"{image.name} annotation",
        **part.placement(image),
    )


def new_strokes(labels: Labels) -> Labels:
    """Return an empty layer for the background beside painted objects."""
    from napari.layers import Labels

    layer = Labels(
        np.zeros(level_zero(labels).shape, dtype=np.uint8),
        name=f"{labels.name} background",
        colormap=one_color(STROKE_COLOR),
        opacity=0.5,
        metadata={"napari_pea": {"kind": STROKES}},
        **placement(labels),
    )
    layer.brush_size = max(layer.brush_size, labels.brush_size)
    return layer


def one_color(color: tuple[float, float, float, float]) -> CyclicLabelColormap:
    """Return colours in which all labels look alike."""
    from napari.utils.colormaps import CyclicLabelColormap

    # That of single labels is compiled when it is first used, which takes a second.
    colors = np.array([(0.0, 0.0, 0.0, 0.0), color], dtype=np.float32)
    return CyclicLabelColormap(colors=colors)


def new_regions(image: Image, ndim: int = NDIM, place: Mapping[str, Any] | None = None) -> Shapes:
    """Return an empty layer for shapes around what was looked at.

    Parameters
    ----------
    image : napari.layers.Image
        What was looked at.
    ndim : int
        Number of axes of the shapes: with 2 they go through all planes.
    place : mapping, optional
        Where they lie, as arguments of a layer; by default as the image does.
    """
    from napari.layers import Shapes

    usual = {"scale": image.scale[-ndim:], "translate": image.translate[-ndim:]}
    return Shapes(
        name=f"{image.name} regions",
        ndim=ndim,
        edge_color="yellow",
        face_color="transparent",
        edge_width=2,
        **(usual if place is None else place),
    )


def is_strokes(layer: Layer) -> bool:
    """Whether a layer was made for background strokes."""
    told = layer.metadata.get("napari_pea")
    return isinstance(told, dict) and told.get("kind") == STROKES


def take_brush(layers: LayerList, labels: Labels, label: int | None = None) -> None:
    """Put the brush into the user's hand.

    Parameters
    ----------
    layers : napari.components.LayerList
        Of the viewer.
    labels : napari.layers.Labels
        What to paint on.
    label : int, optional
        What to paint with; by default an id that no object has. If it takes long to find one,
        the brush comes when it is found.
    """
    if label is not None:
        _put_into_hand(layers, labels, label)
        return
    data = level_zero(labels)
    if isinstance(data, np.ndarray) and data.size <= LOOKED_THROUGH:
        _put_into_hand(layers, labels, _free_id(data))
        return

    def take(found: int) -> None:
        if labels in layers:
            _put_into_hand(layers, labels, found)

    create_worker(_free_id, data, _connect={"returned": take})


def _free_id(data: Any) -> int:
    """Return an id that no object has; slow for large layers, any thread."""
    return int(data.max()) + 1 if data.size else 1


def _put_into_hand(layers: LayerList, labels: Labels, label: int) -> None:
    labels.visible = True
    labels.selected_label = label
    layers.selection.active = labels
    labels.mode = "paint"


def annotate_with(layers: LayerList, state: TrainingState, image: Image, result: Labels) -> Labels:
    """Take a corrected result over as annotation: a copy, which is the user's own.

    Parameters
    ----------
    layers : napari.components.LayerList
        Of the viewer.
    state : TrainingState
        Of the viewer; it receives the pair.
    image : napari.layers.Image
        What the result is of.
    result : napari.layers.Labels
        The objects; every other pixel is background.
    """
    from napari.layers import Labels

    layer = Labels(
        np.array(result.data),
        name=f"{image.name} annotation",
        visible=False,
        **placement(result),
    )
    active = layers.selection.active
    layers.append(layer)
    layers.selection.active = active
    # All of it was corrected, so what is no object is background.
    pair = LayerPair(ref(image), ref(layer), zero="background")
    pairs = list(state.pairs)
    for number, former in enumerate(pairs):
        labels = None if former.labels is None else former.labels()
        if former.image is None or (
            former.image() is image and (labels is None or _same_place(labels, layer))
        ):
            pairs[number] = replace(pair, region=former.region, channel=former.channel)
            break
    else:
        pairs.append(pair)
    state.source = "layers"
    state.pairs = tuple(pairs)
    return layer


def _same_place(one: Labels, other: Labels) -> bool:
    return one.data.shape == other.data.shape and np.allclose(one.translate, other.translate)


def placement(layer: Labels) -> dict[str, Any]:
    """Return where a layer lies, as arguments of another one."""
    names = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
    return {name: getattr(layer, name) for name in names}
