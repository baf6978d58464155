"""From a pair of layers to what training reads: planes or volumes with what is painted there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon

from napari_pea.core.errors import InputError
from napari_pea.core.labels import checked_labels
from napari_pea.core.progress import CancelToken, check_cancel
from napari_pea.training.annotation import Zero, meant_by_zero
from napari_pea.widgets.places import plain_place
from napari_pea.widgets.sources import (
    NDIM,
    ChannelChoice,
    ImagePart,
    channel_choices,
    level_zero,
)
from napari_pea.widgets.training_state import LayerPair

if TYPE_CHECKING:
    from napari.layers import Image, Labels, Layer, Shapes

    from napari_pea.training.labelled import LabelledImage

#: Corners of an ellipse that is filled as a polygon.
ELLIPSE_POINTS = 64
#: How far labels may lie beside their image, in pixels.
TOLERANCE = 0.5
#: Shapes that enclose something.
AREAS = ("rectangle", "ellipse", "polygon")


@dataclass(frozen=True)
class PaintedPlane:
    """A plane, or a volume, on which something is painted.

    Attributes
    ----------
    index : tuple of int
        Where in the labels it lies, without the axes of the plane.
    part : ImagePart
        The same plane of the image.
    labels : array of int, shape (*spatial)
        A copy of what is painted.
    background : array of bool, shape (*spatial), or None
        What is painted as background.
    region : array of bool, shape (*spatial), or None
        What was looked at.
    """

    index: tuple[int, ...]
    part: ImagePart
    labels: NDArray[np.integer]
    background: NDArray[np.bool_] | None
    region: NDArray[np.bool_] | None

    def count(self) -> tuple[int, int]:
        """Return how many pixels are painted, and of how many."""
        painted = self.labels > 0
        if self.background is not None:
            painted |= self.background
        if self.region is not None and self.region.any():
            painted = painted[self.region]
        return int(painted.sum()), int(painted.size)


@dataclass(frozen=True)
class PaintedLayers:
    """A pair of layers that fit together. Holds their data and not the layers.

    Attributes
    ----------
    name : str
        Of the image.
    image, labels : array-like
        Data at full resolution.
    background : array-like or None
        Of the strokes, with the shape of the labels.
    outlines : tuple of (plane, corners), or None
        What was looked at, in pixels of the labels; a plane of None stands for all of them.
    choice : ChannelChoice
        The channel of the image.
    ndim, rgb
        Of the image layer.
    start : tuple of int
        Where in the image the labels begin, without the axes of the plane.
    zero : {"auto", "not-annotated", "background"}
        What label 0 means.
    spatial : int
        How many axes a plane has: 3 for volumes.
    place : dict
        Where the planes lie in the world, as plain values.
    """

    name: str
    image: Any
    labels: Any
    background: Any
    outlines: tuple[tuple[tuple[int, ...] | None, NDArray[np.float64]], ...] | None
    choice: ChannelChoice
    ndim: int
    rgb: bool
    start: tuple[int, ...]
    zero: Zero
    spatial: int = NDIM
    place: Mapping[str, Any] = field(default_factory=dict)

    @property
    def layout(self) -> dict[str, Any]:
        """How the layers lie in the viewer, as plain values that JSON can hold."""
        return {
            "place": dict(self.place),
            "outlines": [
                [None if plane is None else list(plane), corners.tolist()]
                for plane, corners in self.outlines or ()
            ],
        }

    def planes(self, cancel: CancelToken | None = None) -> Iterator[PaintedPlane]:
        """Return copies of all planes on which something is painted; slow, for any thread.

        Raises
        ------
        InputError
            If labels are negative.
        Cancelled
            If `cancel` was set.
        """
        shape = tuple(int(size) for size in self.labels.shape)
        for index in np.ndindex(*shape[: -self.spatial]):
            check_cancel(cancel)
            # The user goes on painting.
            labels = np.array(self.labels[index])
            try:
                checked_labels(labels)
            except InputError as error:
                raise InputError(f"{self.name}: {error}") from error
            strokes = None
            if self.background is not None:
                strokes = np.asarray(self.background[index]) != 0
            if labels.any() or (strokes is not None and strokes.any()):
                region = self._region(index, shape[-self.spatial :])
                yield PaintedPlane(index, self._part(index), labels, strokes, region)

    def read(
        self, *, whole_objects: bool, cancel: CancelToken | None = None
    ) -> list[LabelledImage]:
        """Return what training reads; slow, for any thread.

        Parameters
        ----------
        whole_objects : bool
            Whether painted objects are painted whole but for a rim.
        cancel : CancelToken, optional
            Checked for every plane.

        Raises
        ------
        InputError
            If nothing is painted, or labels are negative.
        Cancelled
            If `cancel` was set.
        """
        from napari_pea.training.labelled import LabelledImage

        planes = list(self.planes(cancel))
        zero = self.meaning(planes)
        items = []
        for plane in planes:
            check_cancel(cancel)
            pixels, part = plane.part.read(), plane.part
            if part.rgb:  # how transparent colours are never matters
                pixels = pixels[..., :3]
            place = plane_text(plane.index)
            items.append(
                LabelledImage(
                    pixels,
                    plane.labels,
                    f"{self.name}{place}",
                    channel=part.channel,
                    channel_axis=part.channel_axis,
                    zero=zero,
                    background=plane.background,
                    region=plane.region,
                    whole_objects=whole_objects,
                )
            )
        return items

    def meaning(self, planes: list[PaintedPlane]) -> Zero:
        """Return what label 0 means, guessed from how much is painted unless it was said."""
        if self.zero != "auto":
            return self.zero
        counts = [plane.count() for plane in planes]
        return meant_by_zero(
            sum(some for some, _ in counts) / max(1, sum(all_ for _, all_ in counts))
        )

    def _part(self, index: tuple[int, ...]) -> ImagePart:
        """Return the plane of the image that a plane of the labels belongs to."""
        axes = [axis for axis in range(self.ndim) if axis != self.choice.axis][: -self.spatial]
        plane = tuple(
            (axis, at + first) for axis, at, first in zip(axes, index, self.start, strict=True)
        )
        return ImagePart(
            self.image, plane, self.choice.channel, self.choice.axis, self.ndim, self.rgb
        )

    def _region(self, index: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
        """Return what was looked at of a plane; None for all of it."""
        if self.outlines is None:
            return None
        inside = np.zeros(shape, dtype=bool)
        for plane, corners in self.outlines:
            if plane is None or plane[: len(index)] == index:
                # In a volume, what is drawn on all sections goes through all of them.
                section = ... if plane is None else plane[len(index) :]
                within = polygon(corners[:, 0], corners[:, 1], shape[-NDIM:])
                inside[section][..., within[0], within[1]] = True
        return inside


def plane_text(index: Sequence[int]) -> str:
    """Return what is added to the name of a stack for one of its planes."""
    return f", plane {', '.join(map(str, index))}" if len(index) else ""


def painted_layers(pair: LayerPair, spatial: int = NDIM) -> PaintedLayers:
    """Return what training needs of a pair of layers, if they fit together.

    Parameters
    ----------
    pair : LayerPair
        What the user has chosen.
    spatial : int
        How many spatial axes the model sees.

    Raises
    ------
    InputError
        If a layer is missing or does not lie on the image.
    """
    image, labels = _alive(pair.image), _alive(pair.labels)
    if image is None:
        raise InputError("There is no image to learn from: open one, or choose another.")
    if labels is None:
        raise InputError(
            f"Nothing is painted for the image {image.name!r}: click Paint, or choose labels."
        )
    choices = channel_choices(image, spatial)
    choice = next((each for each in choices if each.text == pair.channel), choices[0])
    start = _place(image, choice, labels, spatial)
    background, region = _alive(pair.background), _alive(pair.region)
    data = level_zero(labels)
    strokes = None if background is None else level_zero(background)
    if strokes is not None and tuple(strokes.shape) != tuple(data.shape):
        raise InputError(
            f"The background {background.name!r} measures {tuple(strokes.shape)} pixels and the "
            f"labels {labels.name!r} {tuple(data.shape)}: choose strokes on the same image."
        )
    return PaintedLayers(
        name=image.name,
        image=level_zero(image),
        labels=data,
        background=strokes,
        outlines=None if region is None else _outlines(region, labels),
        choice=choice,
        ndim=image.ndim,
        rgb=bool(image.rgb),
        start=start,
        zero=pair.zero,
        spatial=spatial,
        place=plain_place(labels, spatial),
    )


def fits(image: Image, labels: Layer, choice: ChannelChoice) -> bool:
    """Whether labels have the size of a channel of an image."""
    kept = [axis for axis in range(image.ndim) if axis != choice.axis]
    shape = tuple(level_zero(image).shape[axis] for axis in kept)
    return tuple(level_zero(labels).shape) == shape


def _alive(layer: ref[Any] | None) -> Any:
    return None if layer is None else layer()


def _place(image: Image, choice: ChannelChoice, labels: Labels, spatial: int) -> tuple[int, ...]:
    """Return where in an image its labels begin, without the axes of the plane.

    Raises
    ------
    InputError
        If the pixels of the labels are not those of the image.
    """
    kept = [axis for axis in range(image.ndim) if axis != choice.axis]
    whole = np.array([int(level_zero(image).shape[axis]) for axis in kept])
    size = np.array([int(each) for each in level_zero(labels).shape])
    if len(size) < spatial:
        raise InputError(
            f"The model learns from volumes and {labels.name!r} is a single plane: start from "
            "another model, or paint on a stack."
        )
    if (
        len(size) != len(whole)
        or (size[-spatial:] != whole[-spatial:]).any()
        or (size > whole).any()
    ):
        raise InputError(
            f"The labels {labels.name!r} measure {tuple(size.tolist())} pixels and the image "
            f"{image.name!r} {tuple(whole.tolist())}: choose labels of the same image."
        )
    origin, matrix = _world(image, kept)
    first, last = (
        np.linalg.solve(matrix, np.asarray(labels.data_to_world(corner)) - origin)
        for corner in (np.zeros(len(size)), size - 1.0)
    )
    start = np.rint(first).astype(int)
    start[-spatial:] = 0
    is_inside = (start >= 0).all() and (start + size <= whole).all()
    beside = max(np.abs(first - start).max(), np.abs(last - (start + size - 1)).max())
    if beside > TOLERANCE or not is_inside:
        raise InputError(
            f"The labels {labels.name!r} lie beside the image {image.name!r} or have another "
            "scale: give both layers the same scale and translation."
        )
    return tuple(int(each) for each in start[:-spatial])


def _world(layer: Layer, axes: list[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where pixel 0 of a layer lies, and the steps along some of its axes."""
    origin = np.asarray(layer.data_to_world(np.zeros(layer.ndim)), dtype=float)
    steps = [np.asarray(layer.data_to_world(row)) - origin for row in np.eye(layer.ndim)[axes]]
    return origin[axes], np.stack(steps, axis=1)[axes]


def _outlines(
    region: Shapes, labels: Labels
) -> tuple[tuple[tuple[int, ...] | None, NDArray[np.float64]], ...]:
    """Return the corners of all areas of a shapes layer in pixels of labels.

    Raises
    ------
    InputError
        If the layer holds no area, or one does not lie in a plane of the labels.
    """
    outlines = []
    for kind, corners in zip(region.shape_type, region.data, strict=True):
        if kind not in AREAS:
            continue
        placed = np.array(
            [labels.world_to_data(region.data_to_world(corner)) for corner in corners]
        )
        hidden = labels.ndim - NDIM
        if hidden and np.ptp(placed[:, :hidden], axis=0).max() > TOLERANCE:
            raise InputError(
                f"A shape of {region.name!r} goes through several planes of {labels.name!r}: draw "
                "regions in the y–x view, without turning the stack."
            )
        is_flat = region.ndim <= NDIM or not hidden
        plane = None if is_flat else tuple(int(each) for each in np.rint(placed[0, :hidden]))
        flat = placed[:, -NDIM:]
        outlines.append((plane, _ellipse(flat) if kind == "ellipse" else flat))
    if not outlines:
        raise InputError(
            f"The regions {region.name!r} hold no rectangle, ellipse or polygon: draw one around "
            "what you have looked at, or choose all of the image."
        )
    return tuple(outlines)


def _ellipse(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points on the ellipse in a parallelogram, shape (N, 2)."""
    angles = np.linspace(0, 2 * np.pi, ELLIPSE_POINTS, endpoint=False)[:, None]
    middle = corners.mean(axis=0)
    one, other = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    points: NDArray[np.float64] = middle + np.cos(angles) * one + np.sin(angles) * other
    return points
