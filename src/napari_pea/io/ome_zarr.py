"""OME-Zarr (version 0.4 and 0.5): pixels of the finest level, axes and pixel size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_pea.core.errors import InputError
from napari_pea.io.paths import OPENER
from napari_pea.io.units import SPATIAL, complete, in_micrometres

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Side of the chunks that labels are stored in.
CHUNK = 1024
#: The attribute in which our own labels say how they were made.
NOTE = "napari_pea"
#: The axes of images from before version 0.3.
EARLY_AXES = "tczyx"


def read_ome_zarr(
    path: Path,
) -> tuple[NDArray[Any], str | None, tuple[float, ...] | None]:
    """Read the finest level of an OME-Zarr, or a bare Zarr array.

    Returns
    -------
    array, axes, pixel_size
        See `napari_pea.io.reading.ImageData`.
    """
    array, axes, pixel_size = open_ome_zarr(path)
    return np.asarray(array[...]), axes, pixel_size


def open_ome_zarr(
    path: Path,
) -> tuple[zarr.Array[Any], str | None, tuple[float, ...] | None]:
    """Open the finest level of an OME-Zarr, or a bare Zarr array, without reading it.

    Returns
    -------
    array, axes, pixel_size
        See `read_ome_zarr`.
    """
    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array):
        names = getattr(node.metadata, "dimension_names", None)
        return node, _letters(names or (), node.ndim), None
    node, multiscale = _multiscale(node, path)
    finest = multiscale["datasets"][0]
    array = _level(node, finest, path)
    axes = [
        axis if isinstance(axis, Mapping) else {"name": axis}
        for axis in multiscale.get("axes", EARLY_AXES[-array.ndim :])
    ]
    scale = _scale(finest, len(axes)) * _scale(multiscale, len(axes))
    letters = _letters([axis.get("name") for axis in axes], array.ndim)
    sizes = [
        in_micrometres(size, axis.get("unit"))
        for letter, axis, size in zip(letters or "", axes, scale, strict=False)
        if letter in SPATIAL
    ]
    return array, letters, complete(sizes)


def open_multiscale(path: Path) -> list[zarr.Array[Any]]:
    """Open all levels of an OME-Zarr without reading them, the finest first.

    Raises
    ------
    InputError
        If there is none.
    """
    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array):
        return [node]
    node, multiscale = _multiscale(node, path)
    return [_level(node, described, path) for described in multiscale["datasets"]]


def write_ome_zarr(
    path: Path,
    labels: NDArray[Any],
    axes: str,
    pixel_size: tuple[float, ...] | None,
    about: Mapping[str, Any] | None = None,
) -> zarr.Group:
    """Write labels as an OME-Zarr image of version 0.4 with one level; return its group."""
    group = zarr.open_group(path, mode="w", zarr_format=2)
    chunks = tuple(min(CHUNK, size) for size in labels.shape)
    array = group.create_array(
        "0",
        shape=labels.shape,
        chunks=chunks,
        dtype=labels.dtype,
        chunk_key_encoding={"name": "v2", "separator": "/"},
    )
    array[...] = labels
    describe_labels(group, path.stem, axes, pixel_size, [(1,) * labels.ndim])
    if about is not None:
        group.attrs.update({NOTE: dict(about)})
        opener = path / OPENER
        opener.write_text("Drop this file on napari to open its folder.\n", encoding="utf-8")
    return group


def read_zarr_note(path: Path) -> dict[str, Any] | None:
    """Return how the labels in an OME-Zarr were made, None if it does not say."""
    node = zarr.open(path, mode="r")
    told = None if isinstance(node, zarr.Array) else node.attrs.get(NOTE)
    return told if isinstance(told, dict) else None


def describe_labels(
    group: zarr.Group,
    name: str,
    axes: str,
    pixel_size: Sequence[float] | None,
    factors: Sequence[Sequence[int]],
) -> None:
    """Write what an OME-Zarr of version 0.4 says about labels.

    Parameters
    ----------
    group : Group
        Holds the levels as arrays "0", "1" and so on.
    name : str
        Of the image.
    axes : str
        A letter for each axis.
    pixel_size : sequence of float, optional
        Micrometres along each axis, at the finest level.
    factors : sequence of sequence of int
        For each level, by how much it is coarser than the finest along each axis.
    """
    unit = {} if pixel_size is None else {"unit": "micrometer"}
    described: Any = [{"name": axis.lower(), "type": "space"} | unit for axis in axes]
    size = pixel_size or (1.0,) * len(axes)
    levels: Any = []
    for number, coarser in enumerate(factors):
        scale = [float(one * factor) for one, factor in zip(size, coarser, strict=True)]
        transformation = {"type": "scale", "scale": scale}
        levels.append({"path": str(number), "coordinateTransformations": [transformation]})
    group.attrs.update(
        {
            "multiscales": [
                {"version": "0.4", "name": name, "axes": described, "datasets": levels}
            ],
            "image-label": {"version": "0.4"},
        }
    )


def _multiscale(node: zarr.Group, path: Path) -> tuple[zarr.Group, Mapping[str, Any]]:
    """Return the group of an image and what it says about its levels."""
    attributes = _ome_attributes(node)
    if "multiscales" not in attributes and "0" in node:
        # The layout of bioformats2raw: one image after the other.
        child = node["0"]
        if isinstance(child, zarr.Group):
            node, attributes = child, _ome_attributes(child)
    if "multiscales" not in attributes:
        raise InputError(f"{path} holds no OME-Zarr image: it has no multiscales metadata.")
    try:
        described: Mapping[str, Any] = attributes["multiscales"][0]
        if not isinstance(described["datasets"][0]["path"], str):
            raise TypeError("the path of a level is text")
    except (LookupError, TypeError) as error:
        raise InputError(f"{path} is damaged: its multiscales metadata is wrong.") from error
    return node, described


def _level(node: zarr.Group, described: Mapping[str, Any], path: Path) -> zarr.Array[Any]:
    array = node[described["path"]]
    if not isinstance(array, zarr.Array):
        raise InputError(f"{path} is damaged: its level {described['path']!r} is no array.")
    return array


def _ome_attributes(group: zarr.Group) -> Mapping[str, Any]:
    """Return what the group says about its image; version 0.5 has it one step deeper."""
    attributes: dict[str, Any] = group.attrs.asdict()
    ome = attributes.get("ome", attributes)
    return ome if isinstance(ome, Mapping) else attributes


def _scale(described: Mapping[str, Any], ndim: int) -> NDArray[np.float64]:
    """Return the scale among the coordinate transformations."""
    scale = np.ones(ndim)
    for step in described.get("coordinateTransformations", ()):
        if isinstance(step, Mapping) and step.get("type") == "scale":
            scale = scale * np.asarray(step["scale"], dtype=float)
    return scale


def _letters(names: Any, ndim: int) -> str | None:
    """Return one letter for each axis, or None if the names do not fit."""
    if len(names) != ndim:
        return None
    known = {name: name.upper() for name in EARLY_AXES} | {"channel": "C", "time": "T"}
    return "".join(known.get(str(name).lower(), "Q") for name in names)
