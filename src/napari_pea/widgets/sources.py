"""What of a layer is segmented: which plane or volume, which channel, and where it lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.errors import InputError

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image

Region: TypeAlias = tuple[slice, ...]
#: The number of spatial axes of what is painted on, and of most models.
NDIM = 2
#: What a part of an image is called, by the number of its spatial axes.
NOUNS = {2: "plane", 3: "volume"}
#: A first axis of at most this length, without a name, may hold channels.
MOST_CHANNELS = 5
#: Axes with these labels hold channels.
CHANNEL_LABELS = frozenset({"c", "ch", "channel", "channels"})


@dataclass(frozen=True)
class ChannelChoice:
    """One entry of the list of channels.

    Attributes
    ----------
    text : str
        For the user.
    channel : int or None
        The channel to use; None for all there are.
    axis : int or None
        The axis of the layer that holds the channels; None if none does, and for colour
        images, whose channels are no axis of the layer.
    """

    text: str
    channel: int | None = None
    axis: int | None = None


@dataclass(frozen=True)
class AxisChoice:
    """One entry of the list of axes.

    Attributes
    ----------
    text : str
        For the user.
    axis : int or None
        The axis of the layer that planes are taken along; None for what is shown.
    """

    text: str
    axis: int | None = None


def channel_choices(layer: Image, ndim: int = NDIM) -> list[ChannelChoice]:
    """Return the channels that a layer offers, the default first.

    - Colour images: all (made grey if the model wants that), red, green, blue.
    - Stacks with an axis that is labelled as channels: each of them, or all. If the axis
      is only short enough to hold channels, the plane or volume at the sliders comes first.
    - Other stacks: the plane or volume at the sliders.
    - Single planes, and volumes for models that see them in 3D: the one they have.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.
    ndim : int
        How many spatial axes the model sees.
    """
    if layer.rgb:
        colors = [ChannelChoice(name, i) for i, name in enumerate(("red", "green", "blue"))]
        return [ChannelChoice("all"), *colors]
    if layer.ndim == NDIM:
        return [ChannelChoice("grey")]
    shown = ChannelChoice("grey" if layer.ndim == ndim else f"shown {NOUNS[ndim]}")
    labels = [str(label).lower() for label in layer.axis_labels]
    labelled = [axis for axis, label in enumerate(labels) if label in CHANNEL_LABELS]
    shape = level_zero(layer).shape
    if labelled:
        return _each_channel(labelled[0], shape)
    if layer.ndim == ndim + 1 and shape[0] <= MOST_CHANNELS:
        return [shown, *_each_channel(0, shape)]
    return [shown]


def _each_channel(axis: int, shape: Sequence[int]) -> list[ChannelChoice]:
    """Return every channel of an axis, and all of them together."""
    single = [ChannelChoice(str(i), i, axis) for i in range(shape[axis])]
    return [*single, ChannelChoice("all", None, axis)]


def level_zero(layer: Image) -> Any:
    """Return the data of a layer at full resolution."""
    return layer.data[0] if layer.multiscale else layer.data


def read_pixels(data: Any, index: tuple[Any, ...]) -> NDArray[Any]:
    """Return some pixels of an array.

    Parameters
    ----------
    data : array-like
        Lazy ones are read here.
    index : tuple
        One slice or number for each axis.

    Raises
    ------
    InputError
        If they cannot be read.
    """
    try:
        pixels: NDArray[Any] = np.asarray(data[index])
        return pixels
    except (InputError, MemoryError):
        raise
    except Exception as error:  # decoders raise all sorts of errors on damaged bytes
        raise InputError(
            "A part of the image cannot be read, because it is missing or damaged: "
            f"{type(error).__name__}: {error}"
        ) from error


@dataclass(frozen=True)
class ImagePart:
    """The part of a layer that is segmented: a plane, a volume, or a block of one.

    Attributes
    ----------
    data : array-like
        All data of the layer at full resolution; lazy data are read for the part only.
    plane : tuple of (axis, position)
        The axes of the layer along which one plane (or volume) was taken.
    channel : int or None
        See `napari_pea.core.image.prepare_image`.
    layer_channel_axis : int or None
        The axis of the layer that holds the channels.
    ndim : int
        Number of axes of the layer.
    rgb : bool
        Whether `data` has a last axis of colours, which is no axis of the layer.
    block : tuple of slice, or None
        A piece of the plane or volume; None for all of it.
    """

    data: Any
    plane: tuple[tuple[int, int], ...]
    channel: int | None
    layer_channel_axis: int | None
    ndim: int
    rgb: bool
    block: Region | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells this part from other parts of the same layer."""
        return self.plane, self.channel, self.layer_channel_axis, self.block is not None

    @property
    def kept_axes(self) -> tuple[int, ...]:
        """The axes of the layer that its result has too: all but that of the channels."""
        return tuple(axis for axis in range(self.ndim) if axis != self.layer_channel_axis)

    @property
    def has_channels(self) -> bool:
        """Whether several channels are taken together."""
        return self.channel is None and (self.rgb or self.layer_channel_axis is not None)

    @property
    def channel_axis(self) -> int | None:
        """The axis that holds the channels in what `read` returns."""
        if self.rgb:
            return -1
        if self.layer_channel_axis is None:
            return None
        return self.layer_channel_axis - sum(
            axis < self.layer_channel_axis for axis, _ in self.plane
        )

    def read(self) -> NDArray[Any]:
        """Return the pixels of the part."""
        index: list[int | slice] = [slice(None)] * self.ndim
        for axis, position in self.plane:
            index[axis] = position
        if self.block is not None:
            for axis, piece in zip(self.plane_axes, self.block, strict=True):
                index[axis] = piece
        return read_pixels(self.data, tuple(index))

    def as_result(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a result with an axis of length 1 wherever a plane was taken.

        Parameters
        ----------
        array : array, shape (*spatial) or (*spatial, 3)
            The result of the part.
        """
        taken = dict(self.plane)
        return array[tuple(None if axis in taken else slice(None) for axis in self.kept_axes)]

    @property
    def plane_axes(self) -> tuple[int, ...]:
        """The axes of the layer that the plane or volume lies in."""
        taken = dict(self.plane)
        return tuple(axis for axis in self.kept_axes if axis not in taken)

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of pixels along each of the axes of the plane or volume, or of its block."""
        if self.block is not None:
            return tuple(piece.stop - piece.start for piece in self.block)
        return tuple(int(self.data.shape[axis]) for axis in self.plane_axes)

    @property
    def start(self) -> tuple[int, ...]:
        """Where a block begins in its plane or volume; zeros for all of it."""
        if self.block is not None:
            return tuple(int(piece.start) for piece in self.block)
        return (0,) * len(self.plane_axes)

    @property
    def whole(self) -> ImagePart:
        """The plane or volume that a block was taken of."""
        return replace(self, block=None)

    def at(self, axis: int, position: int) -> ImagePart:
        """Return the part at another position along an axis that a plane was taken of."""
        plane = tuple((which, position if which == axis else at) for which, at in self.plane)
        return replace(self, plane=plane)

    def described(self, image: str, path: str | None) -> dict[str, Any]:
        """Return what is segmented, as plain values, given the layer's name and file."""
        from importlib.metadata import version

        return {
            "version": version("napari-pea"),
            "image": image,
            "image_path": path,
            "ndim": len(self.shape),
            "plane": [list(taken) for taken in self.plane],
            "block": None if self.block is None else [[p.start, p.stop] for p in self.block],
            "channel": self.channel,
            "channel_axis": self.channel_axis,
        }

    def placement(self, layer: Image, start: Sequence[int] | None = None) -> dict[str, Any]:
        """Return what puts a result where the part lies.

        The axis of the channels is dropped, and the result of one plane is shifted to it.

        Parameters
        ----------
        layer : napari.layers.Image
            The layer that the part was taken from.
        start : sequence of int, optional
            Where in the part a result begins that shows a piece of it only, in pixels.

        Returns
        -------
        dict
            Arguments of a layer: scale, translate, rotate, shear, affine, units and
            axis_labels.
        """
        from napari.utils.transforms import Affine

        shift = np.zeros(self.ndim)
        for axis, position in self.plane:
            shift[axis] = position
        inside = (0,) * len(self.plane_axes) if start is None else start
        for axis, first, position in zip(self.plane_axes, self.start, inside, strict=True):
            shift[axis] = first + position
        to_physical = Affine(scale=layer.scale, rotate=layer.rotate, shear=layer.shear)
        translate = layer.translate + to_physical.linear_matrix @ shift
        kept = list(self.kept_axes)
        inner = np.ix_(kept, kept)
        shear = Affine(shear=layer.shear, ndim=self.ndim).linear_matrix[inner]
        if layer.shear.ndim == 1:  # napari's short form: what stands above the diagonal
            shear = shear[np.triu_indices(len(kept), 1)]
        return {
            "scale": layer.scale[kept],
            "translate": translate[kept],
            "rotate": layer.rotate[inner],
            "shear": shear,
            "affine": layer.affine.set_slice(kept),
            "units": tuple(layer.units[axis] for axis in kept),
            "axis_labels": tuple(layer.axis_labels[axis] for axis in kept),
        }


def axis_choices(layer: Image, choice: ChannelChoice, ndim: int = NDIM) -> list[AxisChoice]:
    """Return the axes that planes or volumes can be taken along, the default first.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.
    choice : ChannelChoice
        One of `channel_choices`.
    ndim : int
        How many spatial axes the model sees.
    """
    free = [axis for axis in range(layer.ndim) if axis != choice.axis]
    if len(free) <= ndim:
        return [AxisChoice(f"none: one {NOUNS[ndim]}")]
    shape = level_zero(layer).shape
    named = [
        AxisChoice(f"{layer.axis_labels[axis]} ({shape[axis]} {NOUNS[ndim]}s)", axis)
        for axis in free
    ]
    return [AxisChoice("as shown"), *named]


def choose_part(
    layer: Image,
    dims: Dims,
    choice: ChannelChoice,
    axis: int | None = None,
    ndim: int = NDIM,
) -> ImagePart:
    """Return the part of a layer that the user sees and has chosen.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.
    dims : napari.components.Dims
        The sliders of the viewer.
    choice : ChannelChoice
        One of `channel_choices`.
    axis : int, optional
        The axis that the plane or volume stands across; by default as the viewer shows it.
    ndim : int
        How many spatial axes the model sees.

    Raises
    ------
    InputError
        If the layer has too few axes, or nothing where the sliders are.
    """
    data = level_zero(layer)
    free = [each for each in range(layer.ndim) if each != choice.axis]
    if len(free) < ndim:
        raise InputError(
            f"The model segments {ndim}D images and {layer.name!r} is a single plane: choose "
            "another model, or an image with sections."
        )
    plane_axes = _displayed_axes(layer, dims, [each for each in free if each != axis], ndim)
    position = np.rint(layer.world_to_data(dims.point)).astype(int)
    plane = []
    for each in free:
        if each in plane_axes:
            continue
        if not 0 <= position[each] < data.shape[each]:
            raise InputError(
                f"The image {layer.name!r} has no plane where the sliders are: move them "
                "until you see it."
            )
        plane.append((each, int(position[each])))
    return ImagePart(data, tuple(plane), choice.channel, choice.axis, layer.ndim, layer.rgb)


def _displayed_axes(layer: Image, dims: Dims, free: list[int], ndim: int) -> list[int]:
    """Return the axes of a layer that make its plane or volume."""
    hidden = dims.ndim - layer.ndim
    displayed = sorted(axis - hidden for axis in dims.displayed)
    if len(displayed) == ndim and set(displayed) <= set(free):
        return displayed
    return free[-ndim:]
