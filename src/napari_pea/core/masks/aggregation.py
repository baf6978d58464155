"""Affinities, and how uncertain they are, from the masks of all pixels (MaskAggr)."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_pea.core.affinity import pair_slices
from napari_pea.core.errors import InputError
from napari_pea.core.masks.blocks import (
    MOST_BYTES,
    MaskReader,
    MaskWindow,
    Region,
    blocks_of,
    surroundings,
)
from napari_pea.core.masks.kernel import aggregate_rows
from napari_pea.core.masks.lattice import MaskLattice, Source, sources_of
from napari_pea.core.neighborhood import Offset
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows between two looks at the cancel token.
ROWS_PER_TASK = 32


@dataclass(frozen=True, eq=False)
class MaskAffinities:
    """What masks say about pixel pairs.

    Attributes
    ----------
    affinities : array of float32, shape (N, *spatial)
        From 0 to 1; 0 where the partner lies outside the image, or no mask says anything.
    variances : array of float32, shape (N, *spatial)
        How much masks disagree: from 0 to 1/2, and 0 where only one says anything.
    """

    affinities: NDArray[np.float32]
    variances: NDArray[np.float32]


def aggregate_masks(
    masks: Sequence[NDArray[np.floating]],
    lattices: Sequence[MaskLattice],
    offsets: Sequence[Offset],
    *,
    threads: int = 1,
    cancel: CancelToken | None = None,
) -> MaskAffinities:
    """Return the affinities that masks agree on (LSIM, Algorithm 1; methods B4).

    Every mask that holds both pixels of a pair says how surely they lie in one object: the
    smaller of its two values, which counts as much as the larger of them. The affinity is
    the weighted mean. Which masks are asked about an offset: see
    `napari_pea.core.masks.lattice.sources_of`.

    Parameters
    ----------
    masks : sequence of arrays of float, shape (size, *spatial)
        For each kind of masks that of every pixel: 1 where an entry belongs to the object
        of the pixel. A pixel's own entry counts as 1, whatever it is.
    lattices : sequence of MaskLattice
        Where their entries lie.
    offsets : sequence of offset
        The pairs, in pixels.
    threads : int
        How many parts are computed at the same time.
    cancel : CancelToken, optional
        Checked now and then.

    Returns
    -------
    MaskAffinities

    Raises
    ------
    InputError
        If arrays do not fit, or masks do not reach an offset.
    Cancelled
        If `cancel` was set.
    """
    shape = masks[0].shape[1:] if masks else ()
    for given, lattice in zip(masks, lattices, strict=True):
        if given.shape != (lattice.size, *shape) or len(shape) != lattice.ndim:
            raise InputError(
                f"Masks of {lattice.size} entries in {lattice.ndim}D must have the shape "
                f"(entries, *image), and the same image each, not {given.shape}."
            )

    def read(branch: int, region: Region) -> NDArray[np.floating]:
        return masks[branch][(slice(None), *region)]

    return aggregate(shape, read, lattices, offsets, threads=threads, cancel=cancel)


def aggregate(
    shape: Sequence[int],
    read: MaskReader,
    lattices: Sequence[MaskLattice],
    offsets: Sequence[Offset],
    *,
    most_bytes: int = MOST_BYTES,
    threads: int = 1,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> MaskAffinities:
    """Return the affinities of masks that are made when they are needed.

    Parameters
    ----------
    shape : sequence of int
        Of the image.
    read : callable
        Where masks come from. Those of a pixel are asked for once, unless a section alone
        is too large.
    lattices, offsets, threads, cancel
        See `aggregate_masks`.
    most_bytes : int
        Masks take about so much memory.
    progress : callable
        Told the blocks done and in all.

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
    plan = _plan(offsets, lattices)
    used = sorted(set(plan.branches.tolist()))
    windows = [MaskWindow(lattice, shape[-1]) for lattice in lattices]
    affinities = np.zeros((len(offsets), *shape), dtype=np.float32)
    variances = np.zeros_like(affinities)
    blocks = list(blocks_of(shape, [lattices[n] for n in used] or lattices, most_bytes))
    for done, block in enumerate(blocks):
        progress(done, len(blocks))
        check_cancel(cancel)
        for branch in used:
            region = surroundings(block, lattices[branch], shape)
            whole_rows = (*region[:-1], block[-1])
            windows[branch].move(whole_rows, branch, read)
        sides = [part.stop - part.start for part in block]
        extent = ((1,) * (3 - len(sides))) + tuple(sides)
        means = np.empty((len(offsets), *extent), dtype=np.float32)
        spreads = np.empty_like(means)
        masks = tuple(window.masks for window in windows)
        shifts = _shifts(plan, block, windows, lattices)
        n_rows = extent[0] * extent[1]

        def task(begin: int) -> None:
            check_cancel(cancel)
            aggregate_rows(
                masks,  # noqa: B023 - done before the next block
                plan.branches,
                plan.channels,
                plan.bounds,
                plan.first,
                plan.second,
                shifts,  # noqa: B023
                means,  # noqa: B023
                spreads,  # noqa: B023
                begin,
                min(begin + ROWS_PER_TASK, n_rows),  # noqa: B023
            )

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(task, range(0, n_rows, ROWS_PER_TASK)))
        affinities[(slice(None), *block)] = means.reshape(len(offsets), *sides)
        variances[(slice(None), *block)] = spreads.reshape(len(offsets), *sides)
    only_inside(affinities, offsets)
    only_inside(variances, offsets)
    progress(len(blocks), len(blocks))
    return MaskAffinities(affinities, variances)


def only_inside(values: NDArray[np.float32], offsets: Sequence[Offset]) -> None:
    """Set what belongs to pairs that leave the image to 0, in place.

    Parameters
    ----------
    values : array of float32, shape (N, *spatial)
        Changed.
    offsets : sequence of offset
        One for each channel.
    """
    for channel, offset in zip(values, offsets, strict=True):
        slices = pair_slices(channel.shape, offset)
        if slices is None:
            channel[:] = 0
            continue
        for axis, part in enumerate(slices[0]):
            before = (slice(None),) * axis
            channel[(*before, slice(0, part.start))] = 0
            channel[(*before, slice(part.stop, None))] = 0


class _Plan(NamedTuple):
    """All sources of all offsets, as the kernel takes them."""

    branches: NDArray[np.int64]
    channels: NDArray[np.int64]
    bounds: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]


def _plan(offsets: Sequence[Offset], lattices: Sequence[MaskLattice]) -> _Plan:
    listed: list[tuple[int, Source]] = [
        (channel, source)
        for channel, offset in enumerate(offsets)
        for source in sources_of(offset, lattices)
    ]
    none = np.empty(0, dtype=np.int64)
    return _Plan(
        np.array([source.branch for _, source in listed], dtype=np.int64),
        np.array([channel for channel, _ in listed], dtype=np.int64),
        np.cumsum([0, *(len(source.first) for _, source in listed)], dtype=np.int64),
        np.concatenate([none, *(source.first for _, source in listed)]),
        np.concatenate([none, *(source.second for _, source in listed)]),
    )


def _shifts(
    plan: _Plan, block: Region, windows: Sequence[MaskWindow], lattices: Sequence[MaskLattice]
) -> NDArray[np.int64]:
    """Return, for each pair of entries, where in a window its pixel is."""
    shifts = np.zeros((len(plan.first), 3), dtype=np.int64)
    ndim = len(block)
    for source, branch in enumerate(plan.branches.tolist()):
        where = slice(plan.bounds[source], plan.bounds[source + 1])
        corner = [part.start for part in windows[branch].region]
        corner[-1] -= lattices[branch].reach[-1]  # the zeros before each row
        start = np.array([part.start for part in block]) - np.array(corner)
        shifts[where, 3 - ndim :] = start - lattices[branch].steps[plan.first[where]]
    return shifts
