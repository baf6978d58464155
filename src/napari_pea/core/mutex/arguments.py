"""What the Mutex Watershed is given, made sure of."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from math import isfinite, nan, prod, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Offset

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: How much the square of a vector's length may exceed 1: by rounding in half precision, and by
#: rounding in single precision, which needs no scaling.
LENGTH_SLACK, ROUNDING = 1e-2, 1e-6


def checked_affinities(affinities: NDArray[Any]) -> NDArray[Any]:
    """Return affinities as they are, or say why they are none."""
    values = np.asarray(affinities)
    if values.dtype.kind not in "fb":
        raise InputError(
            f"Affinities must be floating-point numbers from 0 to 1 (or bool), not {values.dtype}."
        )
    if values.ndim not in (3, 4):
        raise InputError(
            "Affinities must have shape (channels, y, x) or (channels, z, y, x), "
            f"not {values.shape}."
        )
    return values


def count_of(offsets: Any) -> int:
    """Return how many offsets there are; 1 if they are no sequence, to be refused later."""
    try:
        return len(offsets)
    except TypeError:
        return 1


def checked_offsets(offsets: ArrayLike, shape: tuple[int, ...]) -> list[Offset]:
    """Return the offsets as tuples, one for each channel of affinities of this shape."""
    n_channels, ndim = shape[0], len(shape) - 1
    try:
        steps = np.asarray(offsets)
    except ValueError:  # rows of different lengths
        steps = np.empty(0)
    if n_channels == 0 and steps.size == 0:
        return []
    if steps.shape != (n_channels, ndim):
        raise InputError(
            f"{n_channels} channels of affinities in {ndim}D need one offset of {ndim} steps "
            f"each: shape ({n_channels}, {ndim}), not {steps.shape}."
        )
    if steps.dtype.kind not in "iu":
        raise InputError(f"Offsets must be whole numbers of pixels, not {steps.dtype}.")
    for step in steps.tolist():
        if not any(step):
            raise InputError(
                f"Offset {tuple(step)} pairs each pixel with itself: leave it and its channel out."
            )
    return [tuple(step) for step in steps.tolist()]


def checked_count(n_attractive: int | None, shape: tuple[int, ...]) -> int:
    """Return the number of attractive channels."""
    wanted = len(shape) - 1 if n_attractive is None else n_attractive
    try:
        count = operator.index(wanted)
    except TypeError:
        raise InputError(
            f"The number of attractive channels must be a whole number, not {wanted!r}."
        ) from None
    if not 0 <= count <= shape[0]:
        raise InputError(
            f"The number of attractive channels must lie between 0 and {shape[0]}, the number "
            f"of channels, not {count}: set n_attractive."
        )
    return count


def checked_channels(
    vectors: NDArray[np.floating],
    offsets: NDArray[np.integer] | Sequence[Sequence[int]],
    n_attractive: int | None,
) -> tuple[tuple[int, ...], Sequence[Offset], int]:
    """Return the shape of an image, its offsets and how many of them attract."""
    shape = np.shape(vectors)[1:]
    n_offsets = count_of(offsets)
    steps = checked_offsets(offsets, (n_offsets, *shape))
    return shape, steps, checked_count(n_attractive, (n_offsets, *shape))


def checked_strides(strides: int | Sequence[int] | None, ndim: int) -> tuple[int, ...] | None:
    """Return one stride for each axis; None for all ones."""
    if strides is None:
        return None
    try:
        listed = strides if isinstance(strides, Iterable) else (strides,) * ndim
        every = tuple(operator.index(step) for step in listed)
    except TypeError:
        every = ()
    if len(every) != ndim or min(every) < 1:
        raise InputError(
            f"Strides must be {ndim} whole numbers of at least 1, one for each axis, "
            f"not {strides!r}."
        )
    return every


def checked_mask(mask: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a mask of truth values."""
    given = np.asarray(mask)
    if given.shape != shape:
        raise InputError(
            f"The mask must have the shape of the image, {shape}, but has {given.shape}."
        )
    if given.dtype.kind == "b":
        return given
    if given.dtype.kind in "iu" and not np.any((given != 0) & (given != 1)):
        return given.astype(bool)
    raise InputError(
        f"The mask must be True inside and False outside, but holds {given.dtype} values: "
        "compare it with a threshold, for example `mask > 0`."
    )


def checked_embedding(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Return the vectors pixel by pixel, shape (pixels, D), without a copy if they lie so."""
    given = np.asarray(vectors)
    if given.dtype.kind != "f":
        raise InputError(f"Embedding vectors must be floating-point numbers, not {given.dtype}.")
    if given.ndim not in (3, 4):
        raise InputError(
            f"An embedding must have shape (D, y, x) or (D, z, y, x), not {given.shape}."
        )
    with np.errstate(over="ignore"):  # infinite in single precision: refused below
        rows = np.ascontiguousarray(np.moveaxis(given, 0, -1), dtype=np.float32)
        rows = rows.reshape(prod(given.shape[1:]), given.shape[0])
        squares = np.einsum("pd,pd->p", rows, rows)
    longest = squares.max(initial=0)
    if not np.isfinite(longest):
        raise InputError("The embedding has values that are infinite or not numbers.")
    if longest > 1 + LENGTH_SLACK:
        raise InputError(
            f"The embedding has vectors longer than 1 (up to {sqrt(longest):.3g}): scale them to "
            "unit length, for example by `napari_pea.core.affinity.unit_vectors`."
        )
    if longest > 1 + ROUNDING:
        rows = rows / np.sqrt(np.maximum(squares, 1))[:, None]
    return rows


def checked_bias(bias: float) -> float:
    """Return the bias of attractive pairs."""
    try:
        number = float(bias)
    except (TypeError, ValueError):
        number = nan
    if not isfinite(number):
        raise InputError(f"The bias must be a finite number, not {bias!r}.")
    return number


def checked_threads(threads: int) -> int:
    """Return the number of threads."""
    try:
        number = operator.index(threads)
    except TypeError:
        number = 0
    if number < 1:
        raise InputError(f"threads must be a whole number of at least 1, not {threads!r}.")
    return number


def all_finite(values: NDArray[np.float32]) -> bool:
    """Whether there is neither an infinite value nor one that is not a number."""
    # Minimum and maximum hand on what is not a number, and need no memory.
    return values.size == 0 or bool(np.isfinite(values.min()) and np.isfinite(values.max()))
