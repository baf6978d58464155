"""Annotated images, and what is to be predicted for crops of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_pea.core.affinity import label_affinities, pair_slices
from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Neighborhood, Offset
from napari_pea.training.annotation import OUTSIDE, UNANNOTATED
from napari_pea.training.background import Background
from napari_pea.training.objectives import AffinityTarget
from napari_pea.training.settings import ObjectiveSettings
from napari_pea.training.widening import widened

if TYPE_CHECKING:
    from numpy.typing import NDArray


#: How far the ends of a random pair are apart at most, along each axis: what is further away
#: a network cannot tell apart by what it sees, nor has to.
DISTANT_REACH = 64


@dataclass(frozen=True)
class AnnotatedImage:
    """An image with its objects.

    Attributes
    ----------
    image : array of float32, shape (C, *spatial)
        Normalised image.
    labels : array of int32, shape (*spatial)
        Object ids; 0 is background, and negative where nothing is annotated: see
        `napari_pea.training.annotation.annotated_labels`.
    weight : float
        How often the image is drawn, relative to the others. An image that is annotated in
        part is drawn once for each of its objects, and once for its background.
    group : str
        The data set it belongs to; groups are scored apart.
    """

    image: NDArray[np.float32]
    labels: NDArray[np.int32]
    weight: float = 1.0
    group: str = ""

    @property
    def sparse(self) -> bool:
        """Whether anything is not annotated."""
        return bool((self.labels < 0).any())


@dataclass(frozen=True)
class Batch:
    """Crops and what should be predicted for them.

    Attributes
    ----------
    images : tensor of float32, shape (B, C, *spatial)
    foreground : tensor of int64, shape (B, *spatial)
        1 inside objects, -1 where nothing is annotated.
    target : AffinityTarget
        At full resolution.
    pyramid : tuple of AffinityTarget
        At 1/2, 1/4, 1/8 and 1/16.
    distant : tensor of int64, shape (P, 3), or None
        Random pairs in different objects: which crop, and the flat positions of two pixels.
    labels : tensor of int64, shape (B, *spatial), or None
        Object ids, negative where nothing is annotated, for objectives that need them.
    """

    images: torch.Tensor
    foreground: torch.Tensor
    target: AffinityTarget
    pyramid: tuple[AffinityTarget, ...]
    distant: torch.Tensor | None = None
    labels: torch.Tensor | None = None


def make_batch(
    crops: Sequence[tuple[NDArray[np.float32], NDArray[np.int32]]],
    settings: ObjectiveSettings,
    device: torch.device,
    rng: np.random.Generator | None = None,
    factors: Sequence[int] | None = None,
) -> Batch:
    """Return a batch of (image, labels) crops of one size, on `device`.

    Labels of coarser levels are those at the middle of each block of pixels. A pair of pixels
    counts where both are annotated. Without `rng` there are no distant pairs. `factors` says
    by how much each level of the pyramid is coarser than the one above along each axis; by
    default 2.
    """
    images = np.stack([image for image, _ in crops])
    labels = np.stack([ids for _, ids in crops])
    parted = np.stack([widened(ids) for ids in labels]) if settings.widened else labels
    if settings.background_pairs == "ignored":
        parted = without_background(parted)
    halves = (2,) * (labels.ndim - 1) if factors is None else factors

    def target(neighborhood: Neighborhood, level: int) -> AffinityTarget:
        steps = [factor**level for factor in halves]
        coarse = parted[(slice(None), *(slice(step // 2, None, step) for step in steps))]
        pairs = [
            known_affinities(ids, neighborhood.offset_list, settings.background_pairs)
            for ids in coarse
        ]
        return AffinityTarget.of(
            neighborhood.offset_list,
            torch.from_numpy(np.stack([affinities for affinities, _ in pairs])).to(device),
            torch.from_numpy(np.stack([valid for _, valid in pairs])).to(device),
            balance_classes=settings.balance_classes,
        )

    return Batch(
        images=torch.from_numpy(images).to(device, memory_format=memory_format(labels.ndim - 1)),
        foreground=torch.from_numpy(np.clip(labels, UNANNOTATED, 1).astype(np.int64)).to(device),
        target=target(settings.neighborhood, 0),
        pyramid=tuple(
            target(neighborhood, level)
            for level, neighborhood in enumerate(settings.pyramid_neighborhoods, start=1)
        ),
        distant=None
        if rng is None or not settings.distant_pairs
        else torch.from_numpy(distant_pairs(parted, settings.distant_pairs, rng)).to(device),
        labels=torch.from_numpy(labels.astype(np.int64)).to(device)
        if settings.kind == "discriminative"
        else None,
    )


def known_affinities(
    labels: NDArray[np.int32], offsets: Sequence[Offset], background: Background = "object"
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the target affinities of labels that are annotated in part.

    Parameters
    ----------
    labels : array of int32, shape (*spatial)
        Object ids; 0 is background, and negative where nothing is annotated.
    offsets : sequence of tuple of int
        Steps in pixels.
    background : {"object", "apart", "ignored"}
        What pairs of background are: see `ObjectiveSettings`.

    Returns
    -------
    affinities : array of float32, shape (N, *spatial)
        1 where both ends carry the same id.
    valid : array of bool, shape (N, *spatial)
        Where both ends are annotated, or one is in an object and the other outside of all.
    """
    if background == "ignored":
        labels = without_background(labels)
    affinities, valid = label_affinities(labels, offsets, ignore_label=UNANNOTATED)
    outside = labels == OUTSIDE
    if outside.any():
        for known, offset in zip(valid, offsets, strict=True):
            slices = pair_slices(labels.shape, offset)
            if slices is not None:
                here, there = slices
                known[here] &= ~(outside[here] & (labels[there] <= 0))
                known[here] &= ~(outside[there] & (labels[here] <= 0))
    if background != "object":
        # Where the ids are the same, one end tells what both are.
        affinities *= labels > 0
    return affinities, valid


def without_background(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return labels whose background counts as not annotated."""
    return np.where(labels == 0, np.int32(UNANNOTATED), labels)


def distant_pairs(
    labels: NDArray[np.int32], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw pairs of pixels and return those that are known not to belong together.

    Parameters
    ----------
    labels : array of int32, shape (B, *spatial)
        Object ids; 0 is background, and negative where nothing is annotated.
    count : int
        Pairs to draw in each image. Both ends are annotated in half of them; in the others
        one may be outside of all objects.
    rng : numpy Generator
        Decides everything.

    Returns
    -------
    array of int64, shape (P, 3)
        Which image, and the flat positions of two pixels that are at most `DISTANT_REACH`
        apart along each axis.
    """
    shape = labels.shape[1:]
    found = [np.zeros((0, 3), np.int64)]
    for index, ids in enumerate(labels):
        flat = ids.ravel()
        known = np.flatnonzero(flat >= 0)
        if not known.size:
            continue
        half = count // 2
        first = rng.choice(known, size=count)
        partners = np.flatnonzero(flat != UNANNOTATED)
        second = np.concatenate([rng.choice(known, half), rng.choice(partners, count - half)])
        ends = [np.stack(np.unravel_index(end, shape)) for end in (first, second)]
        steps = np.abs(ends[0] - ends[1])
        kept = (flat[first] != flat[second]) & (steps <= DISTANT_REACH).all(axis=0)
        kept &= (flat[first] > 0) | (flat[second] != OUTSIDE)
        pairs = np.stack([np.full(count, index), first, second], axis=1)
        found.append(pairs[kept].astype(np.int64))
    return np.concatenate(found)


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
    if not any((item.labels > 0).any() for item in images):
        raise InputError(
            f"No object is labelled in the {what} data: every label image is 0 throughout."
        )


def memory_format(ndim: int) -> torch.memory_format:
    """Return the layout in which networks of `ndim` axes are fastest."""
    return torch.channels_last if ndim == 2 else torch.channels_last_3d


def centre_crop(
    item: AnnotatedImage, shape: Sequence[int], divisor: Sequence[int]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return the middle of an image and its labels, in multiples of `divisor`.

    Sides are at most those of `shape`; what is smaller than the divisor is filled up by
    mirroring.
    """
    missing = [
        (0, max(0, step - size)) for size, step in zip(item.labels.shape, divisor, strict=True)
    ]
    image = np.pad(item.image, [(0, 0), *missing], mode="symmetric")
    labels = np.pad(item.labels, missing, mode="symmetric")
    where = []
    for size, side, step in zip(labels.shape, shape, divisor, strict=True):
        length = min(side, size // step * step)
        start = (size - length) // 2
        where.append(slice(start, start + length))
    return image[(slice(None), *where)], labels[tuple(where)]
