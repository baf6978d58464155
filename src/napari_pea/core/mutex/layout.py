"""How the image and its tiles are laid out."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod
from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.mutex.parts import OFFSETS_PER_WORD, Frame, Pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray


def tile_extent(shape: tuple[int, ...], largest: tuple[int, ...]) -> tuple[int, ...]:
    """Return the extent of tiles, no larger than the image needs."""
    return tuple(
        min(most, 1 << max(0, size - 1).bit_length())
        for size, most in zip(shape, largest, strict=True)
    )


def rounds_of(shape: tuple[int, ...], extent: tuple[int, ...]) -> list[NDArray[np.int64]]:
    """Return the first corners of the tiles of each round."""
    counts = [ceil(size / step) for size, step in zip(shape, extent, strict=True)]
    grids = [[np.arange(count) * step for count, step in zip(counts, extent, strict=True)]]
    if prod(counts) > 1:
        grids.append(
            [
                np.arange(-(step // 2), size, step) if count > 1 else np.zeros(1, dtype=np.int64)
                for size, step, count in zip(shape, extent, counts, strict=True)
            ]
        )
    return [
        np.stack(np.meshgrid(*grid, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.int64)
        for grid in grids
    ]


def tile_strides(extent: Sequence[int]) -> tuple[int, int, int]:
    """Return the steps between the pixels of a tile along each axis."""
    return extent[1] * extent[2], extent[2], 1


def frame_of(
    pairs: Pairs,
    origin: Sequence[int],
    extent: Sequence[int],
    strides: Sequence[int],
    tile: Sequence[int] | None,
) -> Frame:
    """Return the layout of a part of the image.

    Parameters
    ----------
    pairs : Pairs
        The pairs of the image.
    origin, extent : sequence of int
        Where the part lies.
    strides : sequence of int
        Steps between its pixels along each axis.
    tile : sequence of int, optional
        The extent whose powers of two are the strides; None for the image itself.
    """
    shape = pairs.shape
    image_strides = np.array([shape[1] * shape[2], shape[2], 1])
    n_pixels = int(shape.prod())
    n_repulsive = len(pairs.repulsive)
    n_words = max(1, ceil(n_repulsive / OFFSETS_PER_WORD))
    forward = pairs.repulsive @ np.array(strides)
    ways = np.stack([forward, -forward], axis=-1).reshape(-1)
    first = pairs.repulsive_channels * n_pixels
    partner = pairs.repulsive @ image_strides
    partners = np.stack([partner, -partner], axis=-1).reshape(-1)
    values = np.stack([first, first - partner], axis=-1).reshape(-1)
    reach = _reach(pairs, n_words)
    row = section = 63
    if tile is not None:
        row = tile[2].bit_length() - 1
        section = row + tile[1].bit_length() - 1
    return Frame(
        np.array(origin, dtype=np.int64),
        np.array(extent, dtype=np.int64),
        np.array(strides, dtype=np.int64),
        (pairs.attractive @ np.array(strides)).astype(np.uint64),
        ways.astype(np.uint64),
        values.astype(np.uint64),
        partners.astype(np.uint64),
        reach,
        np.uint32(reach.any(axis=1).argmax() if reach.any() else len(reach)),
        _toward(pairs, n_words),
        np.uint64(row),
        np.uint64(section),
    )


def _reach(pairs: Pairs, n_words: int) -> NDArray[np.uint32]:
    """Return which offsets can join two clusters, by the number of their pixels.

    Clusters hold together through attractive pairs: with n pixels in all, two of them are at
    most n - 1 such steps apart.
    """
    lengths = np.abs(pairs.repulsive).sum(axis=1)
    step = max(1, int(np.abs(pairs.attractive).sum(axis=1).max(initial=1)))
    most = int(lengths.max(initial=0)) // step + 2
    reach = np.zeros((most + 1, n_words), dtype=np.uint32)
    for n, length in enumerate(lengths.tolist()):
        within = np.arange(most + 1) > length / step
        within |= np.arange(most + 1) == most
        bits = np.uint32(3) << np.uint32(2 * (n % OFFSETS_PER_WORD))
        reach[within, n // OFFSETS_PER_WORD] |= bits
    return reach


def _toward(pairs: Pairs, n_words: int) -> NDArray[np.uint32]:
    """Return which repulsive offsets point along the attractive ones, either way."""
    toward = np.zeros((2 * len(pairs.attractive) + 1, n_words), dtype=np.uint32)
    toward[-1] = np.uint32(0xFFFFFFFF)
    for n, along in enumerate((pairs.repulsive @ pairs.attractive.T).tolist()):
        place = 2 * (n % OFFSETS_PER_WORD)
        for offset, product in enumerate(along):
            for backward in (0, 1):
                if product:
                    bit = np.uint32(1) << np.uint32(place + (backward ^ (product < 0)))
                    toward[2 * offset + backward, n // OFFSETS_PER_WORD] |= bit
    return toward
