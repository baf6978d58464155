"""Annotated images, and the batches that are drawn from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_pea.core.affinity import label_affinities
from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.training.augment import augmented_crop
from napari_pea.training.objectives import AffinityTarget
from napari_pea.training.settings import ObjectiveSettings, TrainingSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class AnnotatedImage:
    """An image with its objects.

    Attributes
    ----------
    image : array of float32, shape (C, Y, X)
        Normalised image.
    labels : array of int32, shape (Y, X)
        Object ids; 0 is background.
    weight : float
        How often the image is drawn, relative to the others.
    group : str
        The data set it belongs to; groups are scored apart.
    """

    image: NDArray[np.float32]
    labels: NDArray[np.int32]
    weight: float = 1.0
    group: str = ""


@dataclass(frozen=True)
class Batch:
    """Crops and what should be predicted for them.

    Attributes
    ----------
    images : tensor of float32, shape (B, C, Y, X)
    foreground : tensor of int64, shape (B, Y, X)
        1 inside objects.
    target : AffinityTarget
        At full resolution.
    pyramid : tuple of AffinityTarget
        At 1/2, 1/4, 1/8 and 1/16.
    """

    images: torch.Tensor
    foreground: torch.Tensor
    target: AffinityTarget
    pyramid: tuple[AffinityTarget, ...]


def make_batch(
    crops: Sequence[tuple[NDArray[np.float32], NDArray[np.int32]]],
    settings: ObjectiveSettings,
    device: torch.device,
) -> Batch:
    """Return a batch of (image, labels) crops of one size, on `device`.

    Labels of coarser levels are those at the middle of each block of pixels.
    """
    images = np.stack([image for image, _ in crops])
    labels = np.stack([ids for _, ids in crops])

    def target(neighborhood: Neighborhood, step: int) -> AffinityTarget:
        coarse = labels[:, step // 2 :: step, step // 2 :: step]
        pairs = [label_affinities(ids, neighborhood.offsets) for ids in coarse]
        return AffinityTarget.of(
            neighborhood.offset_list,
            torch.from_numpy(np.stack([affinities for affinities, _ in pairs])).to(device),
            torch.from_numpy(np.stack([valid for _, valid in pairs])).to(device),
            balance_classes=settings.balance_classes,
        )

    return Batch(
        images=torch.from_numpy(images).to(device, memory_format=torch.channels_last),
        foreground=torch.from_numpy((labels > 0).astype(np.int64)).to(device),
        target=target(settings.neighborhood, 1),
        pyramid=tuple(
            target(neighborhood, 2**level)
            for level, neighborhood in enumerate(settings.pyramid_neighborhoods, start=1)
        ),
    )


def check_annotated(
    images: Sequence[AnnotatedImage], in_channels: int, what: str = "training"
) -> None:
    """Make sure that there is something to learn from.

    Parameters
    ----------
    images : sequence of AnnotatedImage
        The data.
    in_channels : int
        Number of channels that the network takes.
    what : str
        What the data is for, in messages.

    Raises
    ------
    InputError
        If there are no images, sizes or channels do not fit, or no object is labelled.
    """
    if not images:
        raise InputError(f"There are no {what} images: give at least one image with labels.")
    for index, item in enumerate(images):
        if item.image.shape[0] != in_channels:
            raise InputError(
                f"The network takes images with {in_channels} channels, but {what} image {index} "
                f"has {item.image.shape[0]}."
            )
        if item.image.shape[1:] != item.labels.shape:
            raise InputError(
                f"Image and labels of {what} image {index} differ in size: "
                f"{item.image.shape[1:]} and {item.labels.shape}."
            )
    if not any(item.labels.any() for item in images):
        raise InputError(
            f"No object is labelled in the {what} data: every label image is 0 throughout."
        )


def centre_crop(item: AnnotatedImage, side: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return the middle of an image and its labels, at most `side` wide, in multiples of 16.

    Sides below 16 are filled up by mirroring.
    """
    missing = [(0, max(0, 16 - size)) for size in item.labels.shape]
    image = np.pad(item.image, [(0, 0), *missing], mode="symmetric")
    labels = np.pad(item.labels, missing, mode="symmetric")
    where = []
    for size in labels.shape:
        length = min(side, size // 16 * 16)
        start = (size - length) // 2
        where.append(slice(start, start + length))
    rows, columns = where
    return image[:, rows, columns], labels[rows, columns]


class CropSampler:
    """Draws training crops; each draw depends only on the seed and its number.

    So a run that is resumed sees what the uninterrupted run would have seen.
    """

    def __init__(self, images: Sequence[AnnotatedImage], settings: TrainingSettings) -> None:
        self._images = tuple(images)
        self._settings = settings
        weights = np.array([item.weight for item in images], dtype=float)
        self._probabilities = weights / weights.sum()

    def crops(self, iteration: int) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int32]]]:
        """Yield the augmented crops of an iteration."""
        settings = self._settings
        for index in range(settings.batch_size):
            rng = np.random.default_rng((settings.seed, iteration, index))
            item = self._images[rng.choice(len(self._images), p=self._probabilities)]
            yield augmented_crop(item.image, item.labels, settings.crop, settings.augmentation, rng)
