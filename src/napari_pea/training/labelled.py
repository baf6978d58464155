"""Images as the user has them, and as the training needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.errors import InputError
from napari_pea.core.image import as_array, prepare_image
from napari_pea.core.networks.base import Network
from napari_pea.core.scaling import scaled_image, scaled_labels
from napari_pea.models.metadata import ModelMetadata
from napari_pea.training.annotation import Zero, annotated_labels
from napari_pea.training.data import AnnotatedImage


@dataclass(frozen=True)
class LabelledImage:
    """An image as the user has it, with its objects.

    Attributes
    ----------
    image : array, shape (*spatial) or with channels
        Raw intensities.
    labels : array of int, shape (*spatial)
        Object ids.
    name : str
        For messages.
    weight : float
        How often crops come from it, relative to the others.
    group : str
        The data set it belongs to; groups are scored apart.
    channel : int, optional
        Use this channel only.
    channel_axis : int, optional
        Which axis holds the channels; without it colour images are taken as grey.
    zero : {"background", "not-annotated", "auto"}
        What id 0 means: see `napari_pea.training.annotation.annotated_labels`.
    background : array, shape (*spatial), optional
        Pixels other than 0 are known to be background.
    region : array, shape (*spatial), optional
        Pixels that are 0 here are not annotated.
    whole_objects : bool
        Whether painted objects are painted whole but for a rim.
    """

    image: NDArray[np.generic]
    labels: NDArray[np.integer]
    name: str = ""
    weight: float = 1.0
    group: str = ""
    channel: int | None = None
    channel_axis: int | None = None
    zero: Zero = "background"
    background: NDArray[Any] | None = None
    region: NDArray[Any] | None = None
    whole_objects: bool = True


def channels_of(images: Sequence[LabelledImage]) -> int:
    """Return how many channels a new network needs for the images.

    The first one decides. What cannot be used is told when the images are prepared.
    """
    if not images or images[0].channel is not None or images[0].channel_axis is None:
        return 1
    shape = as_array(images[0].image).shape
    axis = images[0].channel_axis
    return max(1, shape[axis]) if -len(shape) <= axis < len(shape) else 1


def annotated(
    images: Sequence[LabelledImage], metadata: ModelMetadata, network: Network
) -> list[AnnotatedImage]:
    """Return the images normalised, with the channels the network expects."""
    items = []
    for number, item in enumerate(images, start=1):
        what = item.name or f"image {number}"
        try:
            channels = prepare_image(
                as_array(item.image),
                network.in_channels,
                network.ndim,
                channel=item.channel,
                channel_axis=item.channel_axis,
            )
            labels = annotated_labels(
                as_array(item.labels),
                item.zero,
                background=item.background,
                region=item.region,
                whole_objects=item.whole_objects,
            )
        except InputError as error:
            raise InputError(f"{what}: {error}") from error
        if channels.shape[1:] != labels.shape:
            raise InputError(
                f"{what}: the image measures {channels.shape[1:]} pixels and its labels "
                f"{labels.shape}; they must be the same."
            )
        items.append(
            AnnotatedImage(
                scaled_image(metadata.normalization(channels), metadata.scale),
                scaled_labels(labels, metadata.scale),
                item.weight,
                item.group,
            )
        )
    return items
