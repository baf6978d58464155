"""How fast affinities come from masks, and how much memory that takes."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.masks.aggregation import MaskAffinities, aggregate, aggregate_masks
from napari_pea.core.masks.blocks import Region
from napari_pea.core.masks.lattice import MaskLattice, sources_of
from napari_pea.core.neighborhood import Offset, graph_offsets
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The masks that affinities are taken from (methods B4).
LATTICES = (MaskLattice((1, 1, 1)), MaskLattice((1, 4, 4)))
#: Volumes for what is fast, and for plain loops.
SHAPE, SMALL = (8, 96, 96), (4, 10, 10)
#: Offsets that plain loops are timed with: one of each kind.
FEW: tuple[Offset, ...] = ((-1, 0, 0), (0, 0, -1), (0, -4, 0))
#: Depths and memory, in bytes, to see whether memory grows.
DEPTHS, MEMORY = (16, 64), 2**26


def plain_loops(
    masks: Sequence[NDArray[np.float32]],
    lattices: Sequence[MaskLattice],
    offsets: Sequence[Offset],
) -> MaskAffinities:
    """Return what `aggregate_masks` does, by Algorithm 1 as it stands: one pair at a time.

    Parameters
    ----------
    masks, lattices, offsets
        See `napari_pea.core.masks.aggregation.aggregate_masks`.
    """
    shape = masks[0].shape[1:]
    single = np.float32
    means = np.zeros((len(offsets), *shape), dtype=single)
    variances = np.zeros_like(means)
    for channel, offset in enumerate(offsets):
        sources = sources_of(offset, lattices)
        for pixel in np.ndindex(*shape):
            partner = np.add(pixel, offset)
            if ((partner < 0) | (partner >= shape)).any():
                continue
            total = mean = spread = squared = single(0)
            for branch, first, second in sources:
                lattice = lattices[branch]
                for ends in zip(first, second, strict=True):
                    owner = np.subtract(pixel, lattice.steps[ends[0]])
                    if ((owner < 0) | (owner >= shape)).any():
                        continue
                    values = [
                        single(1) if end == lattice.centre else masks[branch][(end, *owner)]
                        for end in ends
                    ]
                    affinity, weight = min(values), max(values)
                    total += weight
                    before = affinity - mean
                    mean += before * (weight / (total + single(1e-30)))
                    spread += weight * before * (affinity - mean)
                    squared += weight * weight
            means[channel][pixel] = mean
            independent = total - squared / (total + single(1e-30))
            if independent > single(1e-6) * total:
                variances[channel][pixel] = spread / independent
    return MaskAffinities(means, variances)


def direct_pytorch(
    masks: Sequence[NDArray[np.float32]],
    lattices: Sequence[MaskLattice],
    offsets: Sequence[Offset],
) -> MaskAffinities:
    """Return the same by PyTorch: whole volumes at a time, one pair of entries at a time.

    Parameters
    ----------
    masks, lattices, offsets
        See `napari_pea.core.masks.aggregation.aggregate_masks`.
    """
    import torch

    from napari_pea.core.affinity import pair_slices
    from napari_pea.core.masks.aggregation import only_inside

    shape = masks[0].shape[1:]
    tensors = [torch.from_numpy(values).clone() for values in masks]
    for tensor, lattice in zip(tensors, lattices, strict=True):
        tensor[lattice.centre] = 1
    affinities = np.zeros((len(offsets), *shape), dtype=np.float32)
    variances = np.zeros_like(affinities)
    for channel, offset in enumerate(offsets):
        total, mean, spread, squared = (torch.zeros(shape) for _ in range(4))
        for branch, first, second in sources_of(offset, lattices):
            for i, j in zip(first.tolist(), second.tolist(), strict=True):
                slices = pair_slices(shape, lattices[branch].steps[i].tolist())
                if slices is None:
                    continue
                owner, pixel = slices
                some, other = tensors[branch][i][owner], tensors[branch][j][owner]
                affinity, weight = torch.minimum(some, other), torch.maximum(some, other)
                total[pixel] += weight
                before = affinity - mean[pixel]
                mean[pixel] += before * weight / (total[pixel] + 1e-30)
                spread[pixel] += weight * before * (affinity - mean[pixel])
                squared[pixel] += weight.square()
        independent = total - squared / (total + 1e-30)
        variance = torch.where(independent > 1e-6 * total, spread / independent, 0.0)
        affinities[channel], variances[channel] = mean.numpy(), variance.numpy()
    only_inside(affinities, offsets)
    only_inside(variances, offsets)
    return MaskAffinities(affinities, variances)


def measure(
    shape: tuple[int, ...] = SHAPE,
    small: tuple[int, ...] = SMALL,
    *,
    repeats: int = 3,
    threads: int = 1,
    depths: Sequence[int] = DEPTHS,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Time the aggregation of masks in all ways there are.

    Parameters
    ----------
    shape, small : tuple of int
        Volumes for what is fast, and for plain loops.
    repeats : int
        How often the fast ones are timed; the quickest counts.
    threads : int
        Of our own and of PyTorch.
    depths : sequence of int
        Sections of volumes whose memory is measured.
    progress : callable
        Told the steps done and in all.
    cancel : CancelToken, optional
        Checked between the steps.

    Returns
    -------
    dict
        ``seconds`` of each way, ``faster_than_loops`` and ``faster_than_pytorch`` (the
        quicker of two ways), ``difference`` of the affinities from those of plain loops, and
        ``memory``: megabytes besides the result, by depth.
    """
    import torch

    from napari_pea.core.masks.device import aggregate_on_device

    steps = 4 + len(depths)
    rng = np.random.default_rng(0)
    graph = graph_offsets(3)

    def drawn(sides: Sequence[int]) -> list[NDArray[np.float32]]:
        return [rng.random((lattice.size, *sides), dtype=np.float32) for lattice in LATTICES]

    few, many = drawn(small), drawn(shape)
    # Other programs change processor time little, but several threads add theirs up.
    clock = time.process_time if threads == 1 else time.perf_counter
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        progress(0, steps)
        aggregate_masks(few, LATTICES, FEW)  # compiles
        own_small = _seconds(lambda: aggregate_masks(few, LATTICES, FEW), repeats)
        wanted: list[MaskAffinities] = []
        loops = _seconds(lambda: wanted.append(plain_loops(few, LATTICES, FEW)), 1)
        found = aggregate_masks(few, LATTICES, FEW)
        check_cancel(cancel)
        progress(1, steps)
        own = _seconds(
            lambda: aggregate_masks(many, LATTICES, graph, threads=threads), repeats, clock
        )
        check_cancel(cancel)
        progress(2, steps)
        direct = _seconds(lambda: direct_pytorch(many, LATTICES, graph), repeats, clock)
        check_cancel(cancel)
        progress(3, steps)
        tensors = [torch.from_numpy(values) for values in many]

        def read(branch: int, region: Region) -> torch.Tensor:
            return tensors[branch][(slice(None), *region)]

        strided = _seconds(
            lambda: aggregate_on_device(shape, read, LATTICES, graph), repeats, clock
        )
        memory = {}
        for done, depth in enumerate(depths, start=4):
            check_cancel(cancel)
            progress(done, steps)
            memory[str(depth)] = _megabytes((depth, *shape[1:]), graph)
    finally:
        torch.set_num_threads(before)
    progress(steps, steps)
    return {
        "shape": list(shape),
        "offsets": len(graph),
        "threads": threads,
        "seconds": {"own": own, "direct_pytorch": direct, "strided_pytorch": strided},
        "faster_than_loops": loops / own_small,
        "faster_than_pytorch": min(direct, strided) / own,
        "difference": float(np.abs(found.affinities - wanted[0].affinities).max()),
        "memory": memory,
    }


def _seconds(
    run: Callable[[], object], repeats: int, clock: Callable[[], float] = time.process_time
) -> float:
    """Return the shortest time that something takes."""
    times = []
    for _ in range(repeats):
        started = clock()
        run()
        times.append(clock() - started)
    return min(times)


def _megabytes(shape: Sequence[int], offsets: Sequence[Offset]) -> float:
    """Return the most memory at a time besides the result, with masks made when asked for."""

    def read(branch: int, region: Region) -> NDArray[np.float32]:
        sides = [part.stop - part.start for part in region]
        return np.full((LATTICES[branch].size, *sides), 0.5, dtype=np.float32)

    tracemalloc.start()
    try:
        result = aggregate(shape, read, LATTICES, offsets, most_bytes=MEMORY)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return (peak - result.affinities.nbytes - result.variances.nbytes) / 1e6
