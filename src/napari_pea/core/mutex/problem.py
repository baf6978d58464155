"""A Mutex Watershed as its solver sees it: in 3D, flat, and in unsigned numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.mutex.constraints import Linked
from napari_pea.core.mutex.parts import OUTSIDE, Pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pea.core.neighborhood import Offset

#: Pixels, and attractive pairs, are counted in 32 bits; one number is kept for "outside".
MOST = 2**32 - 1
#: The rate of channels whose pairs are all taken.
ALL = 1 << 32


class Problem(NamedTuple):
    """What is to be solved.

    Attributes
    ----------
    pairs : Pairs
    labels : array of uint32, shape (pixels,)
        Each pixel its own index, or `OUTSIDE`; the solver overwrites it.
    said : Linked
        What the user has said about pixels.
    """

    pairs: Pairs
    labels: NDArray[np.uint32]
    said: Linked


def problem(
    shape: tuple[int, ...],
    steps: Sequence[Offset],
    n_attractive: int,
    *,
    affinities: NDArray[np.float32] | None = None,
    vectors: NDArray[np.float32] | None = None,
    channels: Sequence[int] | None = None,
    strides: Sequence[int] | None,
    inside: NDArray[np.bool_] | None,
    said: Linked,
    bias: float,
) -> Problem:
    """Return the problem of attractive and repulsive channels (methods A9).

    Parameters
    ----------
    shape : tuple of int
        Of the image, in 2D or 3D.
    steps : sequence of offset
        The pairs.
    n_attractive : int
        The first of them attract.
    affinities : array of float32, shape (M, *spatial)
        None if there are vectors.
    vectors : array of float32, shape (pixels, D)
        The embedding, pixel by pixel; None if there are affinities.
    channels : sequence of int, optional
        Which affinities are those of each step; by default one channel after the other.
    strides : sequence of int, optional
        Repulsive pairs start at multiples only.
    inside : array of bool, shape (*spatial), optional
        Where objects may be.
    said : Linked
        What the user has said about pixels.
    bias : float
        Added to the priority of attractive pairs.

    Raises
    ------
    InputError
        If the image has too many pixels.
    """
    extent = _shape(shape, n_attractive)
    offsets, places = _fitting(steps, extent)
    attract = places < n_attractive
    owned = _of_steps(channels, places)
    n_channels = 1 + max(range(len(steps)) if channels is None else channels, default=-1)
    pairs = Pairs(
        extent,
        _only_read(affinities),
        _only_read(vectors),
        np.uint64(0 if vectors is None else vectors.shape[1]),
        offsets[attract],
        offsets[~attract],
        owned[attract],
        owned[~attract],
        _in_3d([strides or (1,) * len(shape)], 1)[0],
        np.float32(bias),
        np.float32(1),
        False,
        np.full(n_channels, ALL, dtype=np.uint64),
        np.uint64(0),
        inside is not None,
        False,
    )
    return Problem(pairs, _labels(shape, inside), said)


def with_repulsion(
    given: Problem,
    repulsive: Sequence[Offset],
    strides: Sequence[int] | None,
    channels: Sequence[int] | None = None,
) -> Problem:
    """Return a problem with other repulsive offsets.

    Parameters
    ----------
    given : Problem
        Its labels are shared.
    repulsive : sequence of offset
        The offsets that repel.
    strides : sequence of int, optional
        Repulsive pairs start at multiples only.
    channels : sequence of int, optional
        Which affinities are those of each offset; an embedding needs none.
    """
    offsets, places = _fitting(repulsive, given.pairs.shape)
    pairs = given.pairs._replace(
        repulsive=offsets,
        repulsive_channels=_of_steps(channels, places),
        strides=_in_3d([strides or (1, 1, 1)], 1)[0],
    )
    return given._replace(pairs=pairs)


def signed_problem(
    shape: tuple[int, ...],
    steps: Sequence[Offset],
    n_direct: int,
    affinities: NDArray[np.float32],
    fraction: float,
    seed: int,
    inside: NDArray[np.bool_] | None,
) -> Problem:
    """Return the problem whose pairs attract or repel by their sign (methods B6).

    Parameters
    ----------
    shape, steps, affinities, inside
        See `problem`.
    n_direct : int
        The first channels, all of whose pairs are taken.
    fraction : float
        How many of the other pairs are taken.
    seed : int
        Decides which.
    """
    extent = _shape(shape, len(steps))
    offsets, channels = _fitting(steps, extent)
    direct = np.arange(len(steps)) < n_direct
    rates = np.where(direct, ALL, round(fraction * ALL)).astype(np.uint64)
    pairs = Pairs(
        extent,
        _only_read(affinities),
        _only_read(None),
        np.uint64(0),
        offsets,
        offsets,
        channels,
        channels,
        np.ones(3, dtype=np.int64),
        np.float32(-0.5),
        np.float32(0.5),
        True,
        rates,
        np.uint64(seed % 2**64),
        inside is not None,
        False,
    )
    none = np.empty(0, dtype=np.int64)
    said = Linked(none, none, none.reshape(0, 2), np.empty(0, dtype=np.uint32))
    return Problem(pairs, _labels(shape, inside), said)


def _shape(shape: tuple[int, ...], n_attractive: int) -> NDArray[np.int64]:
    """Return a shape in 3D, or say that there is too much of it."""
    if prod(shape) * max(1, n_attractive) >= MOST:
        raise InputError(
            f"An image of shape {shape} is too large to be partitioned at once: take parts."
        )
    extent: NDArray[np.int64] = _in_3d([shape], 1)[0]
    return extent


def _fitting(
    steps: Sequence[Offset], extent: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the offsets that fit into the image, shape (n, 3), and their channels."""
    fits = [
        all(abs(step) < size for step, size in zip(offset, extent[-len(offset) :], strict=True))
        for offset in steps
    ]
    kept = [offset for offset, fit in zip(steps, fits, strict=True) if fit]
    return _in_3d(kept, 0), np.flatnonzero(fits)


def _of_steps(channels: Sequence[int] | None, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the channels of the steps at some places."""
    if channels is None:
        return places
    return np.array(channels, dtype=np.int64)[places]


def _in_3d(rows: Sequence[Sequence[int]], missing: int) -> NDArray[np.int64]:
    """Return rows of numbers, one for each axis, with a first axis where it is missing."""
    padded = [(missing,) * (3 - len(row)) + tuple(row) for row in rows]
    rows_in_3d: NDArray[np.int64] = np.array(padded, dtype=np.int64).reshape(-1, 3)
    return rows_in_3d


def _only_read(values: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Return values in one row, or none, that cannot be written.

    Kernels are compiled anew for arrays that can be. So that is one kind less.
    """
    row = np.empty(0, dtype=np.float32) if values is None else values.reshape(-1)[:]
    row.flags.writeable = False
    return row


def _labels(shape: tuple[int, ...], inside: NDArray[np.bool_] | None) -> NDArray[np.uint32]:
    labels = np.arange(prod(shape), dtype=np.uint32)
    if inside is not None:
        labels[~inside.reshape(-1)] = OUTSIDE
    return labels
