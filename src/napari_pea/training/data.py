"""Annotated images, and the batches that are drawn from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_pea.core.affinity import label_affinities, pair_slices
from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Neighborhood, Offset
from napari_pea.training.annotation import OUTSIDE, UNANNOTATED
from napari_pea.training.augment import augmented_crop
from napari_pea.training.objectives import AffinityTarget
from napari_pea.training.settings import ObjectiveSettings, TrainingSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray


#: How far the ends of a random pair are apart at most, along each axis: what is further away
#: a network cannot tell apart by what it sees, nor has to.
DISTANT_REACH = 64
#: How often a crop of a partly annotated image is drawn around its background strokes.
BACKGROUND_SHARE = 0.2


@dataclass(frozen=True)
class AnnotatedImage:
    """An image with its objects.

    Attributes
    ----------
    image : array of float32, shape (C, Y, X)
        Normalised image.
    labels : array of int32, shape (Y, X)
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
    images : tensor of float32, shape (B, C, Y, X)
    foreground : tensor of int64, shape (B, Y, X)
        1 inside objects, -1 where nothing is annotated.
    target : AffinityTarget
        At full resolution.
    pyramid : tuple of AffinityTarget
        At 1/2, 1/4, 1/8 and 1/16.
    distant : tensor of int64, shape (P, 3), or None
        Random pairs in different objects: which crop, and the flat positions of two pixels.
    """

    images: torch.Tensor
    foreground: torch.Tensor
    target: AffinityTarget
    pyramid: tuple[AffinityTarget, ...]
    distant: torch.Tensor | None = None


def make_batch(
    crops: Sequence[tuple[NDArray[np.float32], NDArray[np.int32]]],
    settings: ObjectiveSettings,
    device: torch.device,
    rng: np.random.Generator | None = None,
) -> Batch:
    """Return a batch of (image, labels) crops of one size, on `device`.

    Labels of coarser levels are those at the middle of each block of pixels. A pair of pixels
    counts where both are annotated. Without `rng` there are no distant pairs.
    """
    images = np.stack([image for image, _ in crops])
    labels = np.stack([ids for _, ids in crops])

    def target(neighborhood: Neighborhood, step: int) -> AffinityTarget:
        coarse = labels[:, step // 2 :: step, step // 2 :: step]
        pairs = [known_affinities(ids, neighborhood.offset_list) for ids in coarse]
        return AffinityTarget.of(
            neighborhood.offset_list,
            torch.from_numpy(np.stack([affinities for affinities, _ in pairs])).to(device),
            torch.from_numpy(np.stack([valid for _, valid in pairs])).to(device),
            balance_classes=settings.balance_classes,
        )

    return Batch(
        images=torch.from_numpy(images).to(device, memory_format=torch.channels_last),
        foreground=torch.from_numpy(np.clip(labels, UNANNOTATED, 1).astype(np.int64)).to(device),
        target=target(settings.neighborhood, 1),
        pyramid=tuple(
            target(neighborhood, 2**level)
            for level, neighborhood in enumerate(settings.pyramid_neighborhoods, start=1)
        ),
        distant=None
        if rng is None or not settings.distant_pairs
        else torch.from_numpy(distant_pairs(labels, settings.distant_pairs, rng)).to(device),
    )


def known_affinities(
    labels: NDArray[np.int32], offsets: Sequence[Offset]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the target affinities of labels that are annotated in part.

    Parameters
    ----------
    labels : array of int32, shape (Y, X)
        Object ids; 0 is background, and negative where nothing is annotated.
    offsets : sequence of tuple of int
        Steps in pixels.

    Returns
    -------
    affinities : array of float32, shape (N, Y, X)
        1 where both ends carry the same id.
    valid : array of bool, shape (N, Y, X)
        Where both ends are annotated, or one is in an object and the other outside of all.
    """
    affinities, valid = label_affinities(labels, offsets, ignore_label=UNANNOTATED)
    outside = labels == OUTSIDE
    if outside.any():
        for known, offset in zip(valid, offsets, strict=True):
            slices = pair_slices(labels.shape, offset)
            if slices is not None:
                here, there = slices
                known[here] &= ~(outside[here] & (labels[there] <= 0))
                known[here] &= ~(outside[there] & (labels[here] <= 0))
    return affinities, valid


def distant_pairs(
    labels: NDArray[np.int32], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw pairs of pixels and return those that are known not to belong together.

    Parameters
    ----------
    labels : array of int32, shape (B, Y, X)
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
    width = labels.shape[2]
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
        steps = np.abs(np.stack(np.divmod(first, width)) - np.stack(np.divmod(second, width)))
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

    Parameters
    ----------
    images : sequence of AnnotatedImage
        Crops of partly annotated ones are drawn around what is annotated.
    settings : TrainingSettings
        The run.
    replay : sequence of AnnotatedImage, optional
        Images from which a share of every batch comes: see `napari_pea.training.replay`.
    """

    def __init__(
        self,
        images: Sequence[AnnotatedImage],
        settings: TrainingSettings,
        replay: Sequence[AnnotatedImage] = (),
    ) -> None:
        self._settings = settings
        self._pool = _Pool.of(images)
        self._replayed = _Pool.of(replay) if replay else None
        # The same number in every batch keeps the statistics of batch norm steady.
        self._n_replayed = round(settings.replay * settings.batch_size) if replay else 0

    def crops(self, iteration: int) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int32]]]:
        """Yield the augmented crops of an iteration."""
        settings = self._settings
        for index in range(settings.batch_size):
            rng = np.random.default_rng((settings.seed, iteration, index))
            pool = self._pool
            if self._replayed is not None and index < self._n_replayed:
                pool = self._replayed
            item, foci = pool.draw(rng)
            yield augmented_crop(
                item.image,
                item.labels,
                settings.crop,
                settings.augmentation,
                rng,
                focus=None if foci is None else foci.draw(rng),
            )


@dataclass(frozen=True)
class _Pool:
    """Images, and how often each is drawn."""

    images: tuple[AnnotatedImage, ...]
    foci: tuple[_Foci | None, ...]
    probabilities: NDArray[np.float64]

    @classmethod
    def of(cls, images: Sequence[AnnotatedImage]) -> _Pool:
        foci = tuple(_Foci.of(item.labels) if item.sparse else None for item in images)
        weights = np.array(
            [
                item.weight * (1 if known is None else known.n_ids)
                for item, known in zip(images, foci, strict=True)
            ],
            dtype=float,
        )
        return cls(tuple(images), foci, weights / weights.sum())

    def draw(self, rng: np.random.Generator) -> tuple[AnnotatedImage, _Foci | None]:
        number = rng.choice(len(self.images), p=self.probabilities)
        return self.images[number], self.foci[number]


@dataclass(frozen=True)
class _Foci:
    """The annotated pixels of an image, from which crops are drawn.

    Attributes
    ----------
    positions : array of int
        Flat positions of the annotated pixels, sorted by id.
    starts : array of int
        Where in `positions` each id begins, and their end.
    has_background : bool
        Whether the first id is the background.
    width : int
        Of the image.
    """

    positions: NDArray[np.intp]
    starts: NDArray[np.intp]
    has_background: bool
    width: int

    @classmethod
    def of(cls, labels: NDArray[np.int32]) -> _Foci:
        flat = labels.ravel()
        known = np.flatnonzero(flat >= 0)
        positions = known[np.argsort(flat[known], kind="stable")]
        ids, starts = np.unique(flat[positions], return_index=True)
        return cls(
            positions=positions,
            starts=np.append(starts, positions.size),
            has_background=bool(ids.size and ids[0] == 0),
            width=labels.shape[1],
        )

    @property
    def n_ids(self) -> int:
        return len(self.starts) - 1

    def draw(self, rng: np.random.Generator) -> tuple[int, int]:
        """Return a pixel of an object, each as likely as the others, or of the background."""
        n_objects = self.n_ids - self.has_background
        if self.has_background and (not n_objects or rng.random() < BACKGROUND_SHARE):
            chosen = 0
        else:
            chosen = int(self.has_background) + int(rng.integers(n_objects))
        where = rng.integers(self.starts[chosen], self.starts[chosen + 1])
        y, x = divmod(int(self.positions[where]), self.width)
        return y, x
