"""Images of another size than the network is used to: resized before it, and back after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.labels import Integer
from napari_pea.core.predict import Embedding
from napari_pea.core.settings import SegmentationSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Factors beyond these are taken for a mistake.
SCALES = (0.05, 20.0)


def check_scale(scale: float) -> float:
    """Return a scale that can be used.

    Raises
    ------
    InputError
        If it is no number between 0.05 and 20.
    """
    if not SCALES[0] <= scale <= SCALES[1]:
        raise InputError(f"The scale lies between {SCALES[0]} and {SCALES[1]:g}, not {scale}.")
    return float(scale)


def scaled_shape(shape: tuple[int, ...], scale: float) -> tuple[int, ...]:
    """Return the spatial shape of an image that is resized by `scale`."""
    return tuple(max(1, round(size * scale)) for size in shape)


def scaled_image(image: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """Return an image resized by `scale`, smoothed first where it shrinks.

    Parameters
    ----------
    image : array of float32, shape (C, *spatial)
        Normalised channels.
    scale : float
        1 returns the image itself.
    """
    if scale == 1:
        return image
    return _resized(image, scaled_shape(image.shape[1:], scale), smooth=scale < 1)


def scaled_labels(labels: NDArray[Integer], scale: float) -> NDArray[Integer]:
    """Return labels resized by `scale`: each pixel takes the id at its middle."""
    if scale == 1:
        return labels
    return labels[_nearest(labels.shape, scaled_shape(labels.shape, scale))]


def unscaled_embedding(embedding: Embedding, shape: tuple[int, ...]) -> Embedding:
    """Return the embedding of a resized image at the size of the image itself.

    Parameters
    ----------
    embedding : Embedding
        Of the resized image.
    shape : tuple of int
        The spatial shape of the image.

    Returns
    -------
    Embedding
        Vectors are repeated: between them there would be a slope from object to object, along
        which neighbours are alike. The foreground is interpolated, so that outlines are smooth.
    """
    if embedding.shape == shape:
        return embedding
    foreground = embedding.foreground
    index: tuple[Any, ...] = (slice(None), *_nearest(embedding.shape, shape))
    return Embedding(
        embedding.vectors[index],
        None if foreground is None else _resized(foreground[None], shape, smooth=False)[0],
    )


def scaled_settings(settings: SegmentationSettings, scale: float) -> SegmentationSettings:
    """Return settings for images that are resized by `scale`.

    Ranges, strides and smallest size change with the image; the range 1, the direct
    neighbours, stays.

    Parameters
    ----------
    settings : SegmentationSettings
        For the images as they are.
    scale : float
        Above 1 the images grow, and with them what is measured in pixels.
    """
    if scale == 1:
        return settings
    longer = {max(2, round(value * scale)) for value in settings.ranges if value > 1}
    nearest = {1} if 1 in settings.ranges else set()
    strides = settings.strides
    return settings.updated(
        ranges=tuple(sorted(nearest | longer)),
        strides=_scaled_stride(strides, scale)
        if isinstance(strides, int)
        else tuple(_scaled_stride(stride, scale) for stride in strides),
        min_size=round(settings.min_size * scale**2),
    )


def _nearest(old: tuple[int, ...], new: tuple[int, ...]) -> tuple[NDArray[np.intp], ...]:
    """Return which pixels of a shape those of another one lie in, as an index."""
    return np.ix_(
        *(
            np.minimum((np.arange(after) + 0.5) * before / after, before - 1).astype(np.intp)
            for before, after in zip(old, new, strict=True)
        )
    )


def _scaled_stride(stride: int, scale: float) -> int:
    """Return a stride for resized images; every pixel stays every pixel."""
    return 1 if stride == 1 else max(2, round(stride * scale))


def _resized(
    channels: NDArray[np.float32], shape: tuple[int, ...], *, smooth: bool
) -> NDArray[np.float32]:
    """Return channels of another spatial shape, interpolated linearly."""
    import torch
    from torch.nn import functional

    flat = len(shape) == 2
    resized = functional.interpolate(
        torch.from_numpy(np.ascontiguousarray(channels, dtype=np.float32))[None],
        size=shape,
        mode="bilinear" if flat else "trilinear",
        align_corners=False,
        antialias=smooth and flat,
    )
    result: NDArray[np.float32] = resized[0].numpy()
    return result
