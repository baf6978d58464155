"""From whatever the user has to the channels a network expects."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.errors import InputError

#: Weights of red, green and blue in the grey of a colour image (ITU-R BT.601).
LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def as_array(values: Any) -> NDArray[Any]:
    """Return an array of what may be nested lists.

    Raises
    ------
    InputError
        If rows differ in length.
    """
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError("An image needs rows of the same length.") from error


def prepare_image(
    image: Any,
    in_channels: int,
    ndim: int,
    *,
    channel: int | None = None,
    channel_axis: int | None = None,
) -> NDArray[np.generic]:
    """Return an image as the channels that a network expects, not yet normalised.

    Colour images (last axis of 3 or 4, taken as RGB or RGBA) become grey for networks with
    one channel; grey images are repeated for networks with several; alpha is dropped.

    Parameters
    ----------
    image : array-like
        Any real type, boolean included.
    in_channels : int
        Number of channels that the network expects.
    ndim : int
        Number of spatial axes that the network expects.
    channel : int, optional
        Use this channel only.
    channel_axis : int, optional
        Which axis holds the channels; by default the last if the image looks like RGB(A),
        else there is none.

    Returns
    -------
    array, shape (in_channels, *spatial)

    Raises
    ------
    InputError
        If the image is empty, constant, not finite, too thin, or has other axes or
        channels than the network can use.
    """
    array = as_array(image)
    if array.dtype.kind not in "buif":
        raise InputError(f"Images hold numbers or booleans; this one holds {array.dtype}.")
    if array.size == 0:
        raise InputError(f"The image is empty: its shape is {array.shape}.")
    channels = _as_channels(array, ndim, channel, channel_axis)
    if channel is None:
        channels = _match_channels(channels, in_channels)
    elif in_channels > 1:
        channels = np.repeat(channels, in_channels, axis=0)
    thinnest = min(channels.shape[1:])
    if thinnest < 2:
        raise InputError(
            f"The image is {thinnest} pixel wide along one axis {channels.shape[1:]}: "
            "choose an image that is at least 2 pixels wide."
        )
    if channels.dtype.kind == "f" and not np.isfinite(channels).all():
        raise InputError(
            "The image has NaN or infinite pixels: replace them, for example with "
            "numpy.nan_to_num, and try again."
        )
    if channels.min() == channels.max():
        raise InputError(
            f"The image is constant, every pixel is {channels.min()}: choose another layer, "
            "plane or channel."
        )
    return channels


def _as_channels(
    array: NDArray[np.generic], ndim: int, channel: int | None, channel_axis: int | None
) -> NDArray[np.generic]:
    """Return the array with its channels in front, shape (C, *spatial)."""
    if channel_axis is None and array.ndim == ndim + 1 and array.shape[-1] in (3, 4):
        channel_axis = -1
    if channel_axis is None:
        if array.ndim != ndim:
            raise InputError(
                f"The model segments {ndim}D images and this one has {array.ndim} axes "
                f"{array.shape}: choose a single plane, or say which axis holds the channels."
            )
        if channel not in (None, 0):
            raise InputError(f"The image has one channel, so there is no channel {channel}.")
        return array[None]
    if array.ndim != ndim + 1:
        raise InputError(
            f"An image with channels for this model has {ndim + 1} axes, not {array.ndim} "
            f"{array.shape}."
        )
    if not -array.ndim <= channel_axis < array.ndim:
        raise InputError(
            f"The image has {array.ndim} axes {array.shape}, so there is no axis {channel_axis}."
        )
    channels = np.moveaxis(array, channel_axis, 0)
    if channel is None:
        return channels
    if not 0 <= channel < len(channels):
        raise InputError(
            f"The image has {len(channels)} channels, counted from 0, so there is no "
            f"channel {channel}."
        )
    return channels[channel : channel + 1]


def _match_channels(channels: NDArray[np.generic], wanted: int) -> NDArray[np.generic]:
    """Return as many channels as the network expects."""
    present = len(channels)
    if present == wanted:
        return channels
    if present == 1:
        return np.repeat(channels, wanted, axis=0)
    if present in (3, 4) and wanted == 1:
        return np.tensordot(LUMINANCE, channels[:3].astype(np.float32), axes=1)[None]
    if present == 4 and wanted == 3:
        return channels[:3]
    raise InputError(
        f"The image has {present} channels and the model expects {wanted}: choose one channel."
    )
