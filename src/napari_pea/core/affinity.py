"""Affinities: the targets from labels, the predictions from embeddings.

The affinity of pixel p under offset o says whether p and p + o belong to one object: 1 if
they do. Pairs that leave the image have no affinity; they are 0 here and marked invalid.
Nothing wraps around.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Offset

if TYPE_CHECKING:
    from numpy.typing import NDArray

Slices = tuple[slice, ...]


def pair_slices(shape: Sequence[int], offset: Sequence[int]) -> tuple[Slices, Slices] | None:
    """Return where p and p + offset lie for all pairs inside an image.

    Parameters
    ----------
    shape : sequence of int
        The spatial shape.
    offset : sequence of int
        One step in pixels for each axis.

    Returns
    -------
    tuple of two tuples of slice, or None
        The pixels p and their partners p + offset; None if no pair fits into the image.
    """
    here, there = [], []
    for size, step in zip(shape, offset, strict=True):
        if abs(step) >= size:
            return None
        here.append(slice(max(0, -step), size - max(0, step)))
        there.append(slice(max(0, step), size - max(0, -step)))
    return tuple(here), tuple(there)


def label_affinities(
    labels: NDArray[np.integer],
    offsets: NDArray[np.int64] | Sequence[Offset],
    *,
    ignore_label: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the target affinities of a label image (methods A4).

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        Object ids in 2D or 3D. Id 0 is an object like any other unless it is ignored.
    offsets : array of int, shape (N, ndim)
        Steps in pixels, in NumPy axis order.
    ignore_label : int, optional
        Pairs with this id at either end are marked invalid.

    Returns
    -------
    affinities : array of float32, shape (N, *spatial)
        1 where both ends carry the same id.
    valid : array of bool, shape (N, *spatial)
        Where both ends lie in the image and neither is ignored.
    """
    from bioimage_cpp.affinities import compute_affinities

    affinities, valid = compute_affinities(
        np.ascontiguousarray(labels, dtype=np.int64),
        np.asarray(offsets, dtype=np.int64),
        ignore_label=ignore_label,
    )
    return affinities, valid.astype(bool)


def embedding_affinities(
    vectors: NDArray[np.floating],
    offsets: NDArray[np.int64] | Sequence[Offset],
    *,
    other: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:
    """Return the affinities of an embedding under any offsets (self-correlation).

    The affinity is the cosine between the two vectors, with negative values raised to 0
    (PEA, equation 1; methods A4).

    Parameters
    ----------
    vectors : array of float, shape (D, *spatial)
        Embedding vectors of unit length (see `unit_vectors`).
    offsets : array of int, shape (N, ndim)
        Steps in pixels, in NumPy axis order.
    other : array of float, shape (D, *spatial), optional
        A second embedding of the same image: p is then taken from `vectors` and p + o
        from `other` (cross-correlation).

    Returns
    -------
    array of float32, shape (N, *spatial)
        Between 0 and 1; 0 where p + o lies outside the image.

    Raises
    ------
    InputError
        If the offsets or the second embedding do not fit the vectors.
    """
    partners = vectors if other is None else other
    if partners.shape != vectors.shape:
        raise InputError(
            f"Both embeddings must have the same shape: got {vectors.shape} and {partners.shape}."
        )
    steps = np.asarray(offsets, dtype=np.int64)
    shape = vectors.shape[1:]
    if steps.ndim != 2 or steps.shape[1] != len(shape):
        raise InputError(
            f"The offsets must have shape (N, {len(shape)}) for this embedding, not {steps.shape}."
        )
    affinities = np.zeros((len(steps), *shape), dtype=np.float32)
    for channel, offset in zip(affinities, steps.tolist(), strict=True):
        slices = pair_slices(shape, offset)
        if slices is None:
            continue
        here, there = slices
        inner = channel[here]
        for first, second in zip(vectors, partners, strict=True):
            inner += first[here] * second[there]
        np.clip(inner, 0.0, 1.0, out=inner)
    return affinities


def pixel_major(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return an embedding whose vectors lie together in memory, one pixel after the other.

    The shape stays (D, *spatial). Nothing is copied if they lie so already.
    """
    rows = np.ascontiguousarray(np.moveaxis(vectors, 0, -1), dtype=np.float32)
    return np.moveaxis(rows, -1, 0)


def unit_vectors(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return embedding vectors scaled to unit length, shape (D, *spatial)."""
    unit = np.array(vectors, dtype=np.float32)
    unit /= np.maximum(np.sqrt(np.einsum("d...,d...->...", unit, unit)), np.float32(1e-12))
    return unit
