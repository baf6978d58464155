"""How large the pixels of a layer are, and whether a model expects them so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import Affine

from napari_pea.io.units import in_micrometres

if TYPE_CHECKING:
    from napari.layers import Image, Layer

    from napari_pea.models.metadata import ModelMetadata
    from napari_pea.widgets.sources import ImagePart

#: Sections may be further apart than a model expects, or closer, by this factor.
TOLERANCE = 1.5


def pixel_size_of(layer: Image, part: ImagePart) -> tuple[float, ...]:
    """Return the size of a pixel along each axis of a part, in micrometres if that is known.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.
    part : ImagePart
        Of the layer.
    """
    scale = [abs(float(layer.scale[axis])) for axis in part.plane_axes]
    units = [str(layer.units[axis]) for axis in part.plane_axes]
    known = [in_micrometres(size, unit) for size, unit in zip(scale, units, strict=True)]
    return tuple(
        size if length is None else length for size, length in zip(scale, known, strict=True)
    )


def spacing_notice(layer: Image, part: ImagePart, metadata: ModelMetadata | None) -> str:
    """Return what should be known about the distance of sections, in one sentence.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.
    part : ImagePart
        A volume of it.
    metadata : ModelMetadata or None
        What is known about the model.

    Returns
    -------
    str
        "" if there is nothing to say.
    """
    if metadata is None or len(part.plane_axes) != 3:
        return ""
    known = metadata.pixel_size_um
    is_known = known is not None
    # A network that treats all axes alike has learned from voxels of equal sides.
    is_isotropic = bool(metadata.arguments.get("isotropic"))
    expected = anisotropy(known) if isinstance(known, tuple) else 1.0
    size = pixel_size_of(layer, part)
    found = anisotropy(size)
    is_unset = all(each == 1 for each in size)
    if max(found / expected, expected / found) <= TOLERANCE:
        if is_unset and (is_known or not is_isotropic):
            return (
                f"The scale of {layer.name!r} is not set: its voxels are taken to be as deep as "
                "wide."
            )
        return ""
    if not (is_known or is_isotropic):
        return ""
    if is_unset:
        return (
            f"The scale of {layer.name!r} is not set: the model takes its sections to be "
            f"{expected:.3g} times as far apart as its pixels."
        )
    return (
        f"The sections of {layer.name!r} are {found:.3g} times as far apart as its pixels, and the "
        f"model expects {expected:.3g} times: resample the image, or choose another model."
    )


def anisotropy(size: Sequence[float]) -> float:
    """Return how much further apart sections are than pixels, given the sides of a voxel."""
    sections, *pixels = size
    return sections * len(pixels) / sum(pixels)


def plain_place(layer: Layer, last: int | None = None) -> dict[str, Any]:
    """Return where a layer lies, as arguments of a layer that JSON can hold.

    Parameters
    ----------
    layer : napari.layers.Layer
        Any layer.
    last : int, optional
        Only that many axes, from the end; by default all.
    """
    first = 0 if last is None else layer.ndim - last
    axes = list(range(first, layer.ndim))
    inner = np.ix_(axes, axes)
    shear = Affine(shear=layer.shear, ndim=layer.ndim).linear_matrix[inner]
    return {
        "scale": layer.scale[axes].tolist(),
        "translate": layer.translate[axes].tolist(),
        "rotate": layer.rotate[inner].tolist(),
        "shear": shear.tolist(),
        "affine": layer.affine.set_slice(axes).affine_matrix.tolist(),
        "units": [str(layer.units[axis]) for axis in axes],
        "axis_labels": [str(layer.axis_labels[axis]) for axis in axes],
    }
