"""Where the embedding of a region of a large array comes from."""

from __future__ import annotations

import hashlib
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.predict import Embedding
from napari_pea.core.predictors import predicts_affinities
from napari_pea.core.progress import CancelToken
from napari_pea.volumes.grid import Region, relative, widened

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pea.models.model import Model

#: Intensities are taken from about this many pixels, in boxes at so many places of the array.
N_SAMPLED = 4_000_000
N_PLACES = 128


class EmbeddingSource(Protocol):
    """Embeds any region of an array; can be sent to other machines."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The spatial shape of the array."""

    @property
    def identity(self) -> dict[str, Any]:
        """What makes its embeddings what they are, as plain values."""

    def __call__(self, region: Region, *, cancel: CancelToken | None = None) -> Embedding:
        """Return the embedding of a region."""


class ModelSource:
    """Runs a model on the regions of an array that may be read piece by piece.

    Parameters
    ----------
    model : Model
        Runs on one channel.
    array : array-like
        With a shape, and returns regions when it is indexed: NumPy, Zarr, HDF5 or dask.
    name : str
        What the array is called in what is kept about the result.

    Raises
    ------
    InputError
        If the array has other axes than the images of the model, or the model resizes its
        images.
    """

    def __init__(self, model: Model, array: Any, name: str = "") -> None:
        shape = tuple(int(size) for size in array.shape)
        if predicts_affinities(model):
            raise InputError(
                f"The model {model.name!r} predicts affinities, which cannot be joined block by "
                "block yet: segment the image as a whole, or take a model that embeds."
            )
        if len(shape) != model.ndim:
            raise InputError(
                f"The model {model.name!r} segments {model.ndim}D images and this one has "
                f"{len(shape)} axes {shape}: choose one channel or time point."
            )
        if model.metadata.scale != 1:
            raise InputError(
                f"The model {model.name!r} resizes its images, which is not possible block by "
                "block: resize the image, and train the model on that size."
            )
        self.model = model
        self.name = name
        self._array = array
        self._shape = shape
        sample = _sampled(array)
        if sample.size == prod(shape) and sample.min() == sample.max():
            raise InputError("The image is constant: choose another one, or another channel.")
        self._limits = _limits(model, sample)
        self._digest = _digest(model)
        self._pixels = hashlib.sha256(sample.tobytes()).hexdigest()[:16]

    @property
    def shape(self) -> tuple[int, ...]:
        """The spatial shape of the array."""
        return self._shape

    @property
    def identity(self) -> dict[str, Any]:
        """Model, weights and image."""
        return {
            "model": self.model.name,
            "weights": self._digest,
            "image": self.name,
            "pixels": self._pixels,
            "shape": list(self._shape),
        }

    def __call__(self, region: Region, *, cancel: CancelToken | None = None) -> Embedding:
        """Return the embedding of a region.

        The model sees its surroundings too, so that it is that of the whole array.

        Parameters
        ----------
        region : tuple of slice
            One for each axis.
        cancel : CancelToken, optional
            Checked before each tile.
        """
        network = self.model.network
        # Tiles begin at multiples of the divisor, as those of the whole array do.
        seen = tuple(
            slice(part.start - part.start % step, part.stop)
            for part, step in zip(
                widened(region, network.halo, self._shape), network.divisor, strict=True
            )
        )
        pixels = np.asarray(self._array[seen])
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
            raise InputError(
                f"The image has NaN or infinite pixels in {_where(seen)}: replace them first."
            )
        channels = self.model.metadata.normalization.between(pixels[None], self._limits)
        if network.in_channels > 1:
            channels = np.repeat(channels, network.in_channels, axis=0)
        found = self.model.embed_normalized(channels, cancel=cancel)
        inner = relative(region, seen)
        foreground = None if found.foreground is None else found.foreground[inner]
        return Embedding(found.vectors[(slice(None), *inner)], foreground)


class Taken:
    """An array of which some axes in front are taken at one place.

    Parameters
    ----------
    array : array-like
        See `ModelSource`.
    taken : tuple of int
        Where, for the first axes.

    Raises
    ------
    InputError
        If there is no such place.
    """

    def __init__(self, array: Any, taken: tuple[int, ...]) -> None:
        for axis, at in enumerate(taken):
            if axis >= len(array.shape) or not 0 <= at < array.shape[axis]:
                raise InputError(
                    f"The image has the shape {tuple(array.shape)}, so number {at} cannot be "
                    f"taken of axis {axis}."
                )
        self._array = array
        self._taken = taken
        self.shape = tuple(int(size) for size in array.shape[len(taken) :])

    def __getitem__(self, index: Any) -> Any:
        """Read a region."""
        given = index if isinstance(index, tuple) else (index,)
        return self._array[(*self._taken, *given)]


def _sampled(array: Any) -> NDArray[Any]:
    """Return pixels that stand for all: every one of a small array, boxes of a large one.

    Boxes lie in few chunks, slabs in all along two axes, and each chunk is read as a whole. So
    they are not deeper than a chunk; an array that does not tell is taken for a pile of pages.
    """
    shape = tuple(int(size) for size in array.shape)
    if prod(shape) <= N_SAMPLED:
        return np.asarray(array[...])
    most = (min(shape[0], _chunk_depth(array)), *shape[1:]) if len(shape) > 2 else shape
    sides, left = [0] * len(shape), N_SAMPLED / N_PLACES
    for done, axis in enumerate(np.argsort(most).tolist()):  # thin axes are taken as a whole
        sides[axis] = max(1, min(most[axis], round(left ** (1 / (len(shape) - done)))))
        left /= sides[axis]
    boxes = []
    for place in _places(len(shape)):
        starts = (place * (np.array(shape) - sides + 1)).astype(int).tolist()
        box = tuple(slice(at, at + side) for at, side in zip(starts, sides, strict=True))
        boxes.append(np.asarray(array[box]).reshape(-1))
    return np.concatenate(boxes)


def _chunk_depth(array: Any) -> int:
    """Return how many sections the chunks of an array have, as it tells; 1 if it does not."""
    chunks = getattr(array, "chunks", None)
    first = chunks[0] if chunks else 1
    return int(first[0] if isinstance(first, tuple) else first)


def _places(ndim: int) -> NDArray[np.float64]:
    """Return points between 0 and 1 that lie evenly, shape (N_PLACES, ndim).

    Multiples of the powers of one number, without their whole parts (the R sequence); it
    solves x^(ndim + 1) = x + 1.
    """
    base = 2.0
    for _ in range(40):
        base = (1 + base) ** (1 / (ndim + 1))
    steps = base ** -np.arange(1, ndim + 1)
    places: NDArray[np.float64] = (0.5 + np.arange(N_PLACES)[:, None] * steps) % 1
    return places


def _limits(model: Model, sample: NDArray[Any]) -> tuple[float, float]:
    """Return the intensities that become 0 and 1, the same in all regions."""
    finite = sample[np.isfinite(sample)] if sample.dtype.kind == "f" else sample
    if finite.size == 0:
        raise InputError("The image has no finite pixel: replace NaN and infinity first.")
    return model.metadata.normalization.limits(finite)


def _where(region: Region) -> str:
    return ", ".join(f"{part.start}:{part.stop}" for part in region)


def _digest(model: Model) -> str:
    """Return what changes with the weights of a model."""
    digest = hashlib.sha256()
    for name, values in sorted(model.network.state_dict().items()):
        digest.update(name.encode())
        digest.update(values.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
