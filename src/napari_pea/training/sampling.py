"""Drawing the crops of a run from annotated images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.training.augment import augmented_crop
from napari_pea.training.augment_volume import augmented_block
from napari_pea.training.data import AnnotatedImage, centre_crop
from napari_pea.training.settings import TrainingSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: How often a crop of a partly annotated image is drawn around its background strokes.
BACKGROUND_SHARE = 0.2
#: The validation loss is measured on at most this many crops.
VALIDATION_CROPS = 24
#: How often networks make images coarser: `Network.divisor` is a factor to this power.
N_LEVELS = 4


def check_crop(settings: TrainingSettings, divisor: Sequence[int]) -> None:
    """Make sure that a network can work on the crops of a run.

    Parameters
    ----------
    settings : TrainingSettings
        The run.
    divisor : sequence of int
        See `Network`.

    Raises
    ------
    InputError
        If crops have other axes than its images, or sides that it cannot halve.
    """
    shape = settings.crop_shape
    if len(shape) != len(divisor):
        raise InputError(
            f"The network takes {len(divisor)}D images, but connectivity "
            f"{settings.objective.connectivity} is one of {len(shape)}D images."
        )
    if any(side % step for side, step in zip(shape, divisor, strict=True)):
        raise InputError(
            f"crop_depth must be a multiple of {divisor[0]} for this network, not "
            f"{settings.crop_depth}."
        )


def validation_crops(
    images: Sequence[AnnotatedImage], settings: TrainingSettings, divisor: Sequence[int]
) -> list[tuple[NDArray[np.float32], NDArray[np.int32]]]:
    """Return the middles of some images, evenly spread, for the validation loss.

    Parameters
    ----------
    images : sequence of AnnotatedImage
        Held-out data.
    settings : TrainingSettings
        The run.
    divisor : sequence of int
        Of the network.
    """
    every = -(-len(images) // VALIDATION_CROPS) or 1
    return [centre_crop(item, settings.crop_shape, divisor) for item in images[::every]]


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
    divisor : sequence of int, optional
        Of the network, by default 16 along all axes. If it is the same along all axes of a
        volume, these are alike.

    Attributes
    ----------
    factors : tuple of int
        By how much a level of the pyramid is coarser than the one above along each axis.
    """

    def __init__(
        self,
        images: Sequence[AnnotatedImage],
        settings: TrainingSettings,
        replay: Sequence[AnnotatedImage] = (),
        divisor: Sequence[int] | None = None,
    ) -> None:
        self._settings = settings
        divisor = divisor or (2**N_LEVELS,) * settings.objective.ndim
        check_crop(settings, divisor)
        self.factors = tuple(round(step ** (1 / N_LEVELS)) for step in divisor)
        self._isotropic = len(set(divisor)) == 1
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
            focus = None if foci is None else foci.draw(rng)
            if item.labels.ndim == 2:
                yield augmented_crop(
                    item.image,
                    item.labels,
                    settings.crop,
                    settings.augmentation,
                    rng,
                    focus=focus,
                )
            else:
                yield augmented_block(
                    item.image,
                    item.labels,
                    settings.crop_shape,
                    settings.augmentation,
                    rng,
                    isotropic=self._isotropic,
                    focus=focus,
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
    shape : tuple of int
        Of the image.
    """

    positions: NDArray[np.intp]
    starts: NDArray[np.intp]
    has_background: bool
    shape: tuple[int, ...]

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
            shape=labels.shape,
        )

    @property
    def n_ids(self) -> int:
        return len(self.starts) - 1

    def draw(self, rng: np.random.Generator) -> tuple[int, ...]:
        """Return a pixel of an object, each as likely as the others, or of the background."""
        n_objects = self.n_ids - self.has_background
        if self.has_background and (not n_objects or rng.random() < BACKGROUND_SHARE):
            chosen = 0
        else:
            chosen = int(self.has_background) + int(rng.integers(n_objects))
        where = rng.integers(self.starts[chosen], self.starts[chosen + 1])
        return tuple(int(at) for at in np.unravel_index(self.positions[where], self.shape))
