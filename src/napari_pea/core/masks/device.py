"""Affinities from masks in PyTorch, for graphics cards (MaskAggr)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.masks.aggregation import MaskAffinities, only_inside
from napari_pea.core.masks.blocks import (
    MOST_BYTES,
    MaskReader,
    Region,
    blocks_of,
    surroundings,
)
from napari_pea.core.masks.kernel import ALONE, TINY
from napari_pea.core.masks.lattice import MaskLattice, Source, sources_of
from napari_pea.core.neighborhood import Offset
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress

if TYPE_CHECKING:
    import torch

#: Besides the masks there is what they say about an offset, several times over.
COPIES = 6


def aggregate_on_device(
    shape: Sequence[int],
    read: MaskReader,
    lattices: Sequence[MaskLattice],
    offsets: Sequence[Offset],
    *,
    most_bytes: int = MOST_BYTES,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> MaskAffinities:
    """Return the affinities of masks, computed where the masks are.

    Up to rounding the same as `napari_pea.core.masks.aggregation.aggregate`. There is no
    loop over entries: masks are laid out such that those which hold a pair are a strided
    view of memory.

    Parameters
    ----------
    shape : sequence of int
        Of the image.
    read : callable
        Returns tensors of float32.
    lattices, offsets, most_bytes, progress, cancel
        See `napari_pea.core.masks.aggregation.aggregate`.

    Returns
    -------
    MaskAffinities

    Raises
    ------
    InputError
        If masks do not reach an offset.
    Cancelled
        If `cancel` was set.
    """
    sources = [sources_of(offset, lattices) for offset in offsets]
    used = sorted({source.branch for listed in sources for source in listed})
    affinities = np.zeros((len(offsets), *shape), dtype=np.float32)
    variances = np.zeros_like(affinities)
    share = max(1, most_bytes // COPIES)
    blocks = list(blocks_of(shape, [lattices[n] for n in used] or lattices, share))
    for done, block in enumerate(blocks):
        progress(done, len(blocks))
        padded = {n: _padded(read, n, block, lattices[n], shape) for n in used}
        for channel, (offset, listed) in enumerate(zip(offsets, sources, strict=True)):
            check_cancel(cancel)
            mean, variance = _aggregated(padded, listed, lattices, offset, block)
            affinities[channel][block] = mean.cpu().numpy()
            variances[channel][block] = variance.cpu().numpy()
    only_inside(affinities, offsets)
    only_inside(variances, offsets)
    progress(len(blocks), len(blocks))
    return MaskAffinities(affinities, variances)


def _padded(
    read: MaskReader, branch: int, block: Region, lattice: MaskLattice, shape: Sequence[int]
) -> torch.Tensor:
    """Return the masks around a block, with zeros where the image ends."""
    around = surroundings(block, lattice, shape)
    masks: torch.Tensor = read(branch, around)
    sides = [
        part.stop - part.start + 2 * reach for part, reach in zip(block, lattice.reach, strict=True)
    ]
    padded = masks.new_zeros((lattice.size, *sides))
    inner = tuple(
        slice(seen.start - part.start + reach, seen.stop - part.start + reach)
        for seen, part, reach in zip(around, block, lattice.reach, strict=True)
    )
    padded[(slice(None), *inner)] = masks
    padded[lattice.centre][inner] = 1  # a pixel is in its own object
    return padded


def _aggregated(
    padded: dict[int, torch.Tensor],
    sources: Sequence[Source],
    lattices: Sequence[MaskLattice],
    offset: Offset,
    block: Region,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weighted mean and variance of what is said about one offset."""
    import torch

    said = [
        _said(padded[source.branch], lattices[source.branch], source, block) for source in sources
    ]
    total = torch.stack([weight.sum(dim=0) for _, weight in said]).sum(dim=0)
    weighted = torch.stack([(a * w).sum(dim=0) for a, w in said]).sum(dim=0)
    mean = weighted / (total + float(TINY))
    spread, squared = torch.zeros_like(total), torch.zeros_like(total)
    for affinity, weight in said:
        spread += (affinity - mean).square_().mul_(weight).sum(dim=0)
        squared += weight.square().sum(dim=0)
    independent = total - squared / (total + float(TINY))
    variance = torch.where(independent > float(ALONE) * total, spread / independent, 0.0)
    return mean, variance


def _said(
    padded: torch.Tensor, lattice: MaskLattice, source: Source, block: Region
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return affinity and weight that each mask says, shape (P, *block)."""
    import torch

    places = np.stack(np.unravel_index(source.first, lattice.shape))
    lowest = places.min(axis=1)
    counts = places.max(axis=1) - lowest + 1
    entry, *spatial = padded.stride()
    # One entry further on, the pixel of the mask that holds a pair lies a stride before.
    entries = [entry * int(np.prod(lattice.shape[axis + 1 :])) for axis in range(lattice.ndim)]
    steps = [
        along - every * pixel
        for along, every, pixel in zip(entries, lattice.strides, spatial, strict=True)
    ]
    sides = [part.stop - part.start for part in block]
    begin = padded.storage_offset() + sum(
        place * along + (reach - (place - side // 2) * every) * pixel
        for place, along, reach, side, every, pixel in zip(
            lowest.tolist(),
            entries,
            lattice.reach,
            lattice.shape,
            lattice.strides,
            spatial,
            strict=True,
        )
    )
    apart = int(source.second[0] - source.first[0]) * entry
    some, other = (
        padded.as_strided([*counts.tolist(), *sides], [*steps, *spatial], start)
        for start in (begin, begin + apart)
    )
    affinity, weight = torch.minimum(some, other), torch.maximum(some, other)
    return affinity.flatten(0, lattice.ndim - 1), weight.flatten(0, lattice.ndim - 1)
