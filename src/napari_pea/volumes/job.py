"""Segmenting an array block by block, from the first block to the written labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.files import locked
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.core.settings import SegmentationSettings
from napari_pea.volumes.block import contacts_across, cut_block, frame_of
from napari_pea.volumes.contacts import Contacts, reach_of
from napari_pea.volumes.folder import JobFolder
from napari_pea.volumes.grid import BLOCKS, Block, Grid
from napari_pea.volumes.holes import Background, filled, owners_of_holes
from napari_pea.volumes.output import LabelPyramid, check_is_ours, coarsening, open_levels, type_for
from napari_pea.volumes.sources import EmbeddingSource
from napari_pea.volumes.stitch import groups, of_one_group, stitched, without_small
from napari_pea.volumes.workers import mapping

if TYPE_CHECKING:
    import dask.array
    from distributed import Client
    from numpy.typing import NDArray

#: How far a block looks beyond its core at least: about the size of an object.
LEAST_HALO = {2: (48, 48), 3: (8, 32, 32)}


@dataclass(frozen=True)
class VolumeResult:
    """What a blockwise job has written.

    Attributes
    ----------
    path : Path
        An OME-Zarr with the labels.
    n_objects : int
        Objects found; the largest id.
    n_blocks : int
        Blocks that they were found in.
    """

    path: Path
    n_objects: int
    n_blocks: int

    def levels(self) -> list[dask.array.Array]:
        """Open the labels without reading them: all levels, the finest first."""
        return open_levels(self.path)


@dataclass(frozen=True)
class VolumeOptions:
    """How an array is cut and where it is worked on; the result does not depend on it much.

    Parameters
    ----------
    block_shape : tuple of int, optional
        Sides of the blocks in pixels; by default 1024 x 1024, or 64 x 256 x 256 in 3D.
    halo : tuple of int, optional
        How far a block looks beyond itself along each axis; at least the longest range.
    workers : int
        Blocks that are worked on at the same time, if there is no scheduler.
    scheduler : str or Client, optional
        The address of a dask scheduler, or a client of `dask.distributed`.
    """

    block_shape: tuple[int, ...] | None = None
    halo: tuple[int, ...] | None = None
    workers: int = 1
    scheduler: str | Client | None = None

    def grid(self, shape: tuple[int, ...], settings: SegmentationSettings) -> Grid:
        """Return the blocks of an array.

        Raises
        ------
        InputError
            If they do not fit the array.
        """
        ndim = len(shape)
        if ndim not in BLOCKS:
            raise InputError(f"Arrays of {ndim} axes cannot be segmented: choose 2 or 3 of them.")
        reach = reach_of(settings.neighborhood(ndim))
        wanted = self.halo or LEAST_HALO[ndim]
        if len(wanted) != ndim:
            raise InputError(f"A halo needs {ndim} widths, one for each axis, not {wanted}.")
        return Grid(
            shape,
            self.block_shape or BLOCKS[ndim],
            tuple(map(max, wanted, reach)),
            settings.strides_for(ndim),
        )


def segment_volume(
    source: EmbeddingSource,
    output: Path,
    settings: SegmentationSettings,
    options: VolumeOptions | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    axes: str | None = None,
    pixel_size: Sequence[float] | None = None,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> VolumeResult:
    """Segment an array that may be larger than memory.

    Each block is segmented with its surroundings. The pixel pairs across the faces of
    blocks then decide which objects are one, as they would in the whole array.

    Parameters
    ----------
    source : EmbeddingSource
        Embeds regions of the array.
    output : Path
        Receives the labels as OME-Zarr; its name ends with .zarr. Beside it is a folder with
        what was done so far, which goes when all is done.
    settings : SegmentationSettings
        How to segment.
    options : VolumeOptions, optional
        Blocks and workers.
    resume : bool
        Whether to go on with a job that was stopped.
    overwrite : bool
        Whether to replace what exists.
    axes : str, optional
        A letter for each axis; by default YX or ZYX.
    pixel_size : sequence of float, optional
        Micrometres along each axis.
    progress : callable
        Told the steps done and in all: three or four for each block, and its coarser levels.
    cancel : CancelToken, optional
        Checked between blocks; a job that was stopped can be resumed.

    Returns
    -------
    VolumeResult

    Raises
    ------
    InputError
        If the output exists and neither `resume` nor `overwrite` was asked for, another
        program writes it, or the array, settings and blocks do not fit each other.
    Cancelled
        If `cancel` was set.
    """
    options = options or VolumeOptions()
    output = Path(output)
    if output.suffix != ".zarr":
        raise InputError(f"Large labels are written as OME-Zarr: call it {output.stem}.zarr.")
    grid = options.grid(source.shape, settings)
    work = _parts_of(output)
    folder = JobFolder(work, grid)
    ended = folder.was_finished(output)
    if resume and ended is not None:
        folder.remove()
        return VolumeResult(output, ended, len(grid))
    # Labels that a job was to replace stay until it has ended.
    if output.exists() and not overwrite and not (resume and work.exists()):
        raise InputError(f"{output} exists already: choose another name, or overwrite it.")
    check_is_ours(output)
    if work.exists() and not (resume or overwrite):
        raise InputError(
            f"There is an unfinished job for {output}: resume it, or overwrite it to begin anew."
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        lock = output.with_name(f".{output.stem}.lock")
        if not stack.enter_context(locked(lock)):
            raise InputError(f"Another program is writing {output}: wait for it to end.")
        stack.callback(_remove, lock)
        plan = {
            "source": source.identity,
            "settings": settings.as_dict(),
            "blocks": grid.block_shape,
            "halo": grid.halo,
        }
        folder.begin(plan, resume=resume)
        each = stack.enter_context(mapping(options.workers, options.scheduler, cancel))
        # A token cannot be sent to other machines.
        here = cancel if options.scheduler is None else None
        job = _Job(source, folder, grid, settings, each, cancel, here)
        factors = coarsening(pixel_size or (1.0,) * len(grid.shape))
        pyramid = LabelPyramid(folder.labels, grid.shape, factors)
        coarse = [pyramid.grid(level, grid.block_shape) for level in range(1, len(pyramid.shapes))]
        total = (3 + settings.fill_holes) * len(grid) + sum(map(len, coarse))
        done = _counted(progress, total)
        progress(0, total)
        job.cut(done)
        owner, firsts = job.join(done)
        n_objects = int(owner.max(initial=0))
        about = {"model": source.identity.get("model"), "settings": settings.as_dict()}
        pyramid.create(
            grid.block_shape,
            type_for(n_objects),
            axes or "ZYX"[-len(grid.shape) :],
            pixel_size,
            about,
        )
        ids = partial(_ids, folder, owner, firsts)
        holes = None
        if settings.fill_holes:
            for _ in each(partial(_look_for_holes, folder, ids), list(grid)):
                done()
            holes = owners_of_holes(grid, folder.background)
        for _ in each(partial(_write, pyramid, ids, holes), list(grid)):
            done()
        for level, blocks in enumerate(coarse, start=1):
            for _ in each(partial(_coarsen, pyramid, level), list(blocks)):
                done()
        check_cancel(cancel)
        folder.finish(output, n_objects)
    return VolumeResult(output, n_objects, len(grid))


def job_state(output: Path) -> Literal["none", "unfinished", "finished"]:
    """Return whether there are labels under a name, or a job for them that can be resumed.

    Parameters
    ----------
    output : Path
        See `segment_volume`.
    """
    if _parts_of(output).exists():
        return "unfinished"
    return "finished" if output.exists() else "none"


def _parts_of(output: Path) -> Path:
    """Return the folder with what was done so far."""
    return output.with_name(f".{output.stem}.parts")


@dataclass(frozen=True)
class _Job:
    """What the stages of a job share."""

    source: EmbeddingSource
    folder: JobFolder
    grid: Grid
    settings: SegmentationSettings
    each: Callable[..., Iterator[Any]]
    cancel: CancelToken | None
    here: CancelToken | None

    def cut(self, done: Callable[[], None]) -> None:
        """Segment the blocks that were not segmented before."""
        open_blocks = []
        for block in self.grid:
            if self.folder.is_cut(block):
                done()
            else:
                open_blocks.append(block)
        work = partial(_cut, self.source, self.folder, self.grid, self.settings, self.here)
        for _ in self.each(work, open_blocks):
            done()

    def join(self, done: Callable[[], None]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return which object each object of a block belongs to, and where blocks begin."""
        sizes = [self.folder.sizes(block)[1:] for block in self.grid]
        counts = np.array([len(found) for found in sizes])
        firsts = np.cumsum(counts) - counts
        across = []
        for found in self.each(
            partial(_across, self.folder, self.grid, self.settings, firsts), list(self.grid)
        ):
            across.append(found)
            done()
        check_cancel(self.cancel)
        # Each pair of objects is looked at in one block only.
        contacts = Contacts.side_by_side(across)
        del across
        n_objects = int(counts.sum())
        # What is said within blocks is far more, and mostly about objects that nothing joins.
        group = groups(n_objects, contacts)
        within = [
            of_one_group(self.folder.within(block).held_apart().shifted(first), group)
            for block, first in zip(self.grid, firsts.tolist(), strict=True)
        ]
        owner = stitched(n_objects, Contacts.side_by_side([contacts, *within]))
        pixels = np.concatenate([np.zeros(1, dtype=np.int64), *sizes])
        return without_small(owner, pixels, self.settings.min_size), firsts


def _cut(
    source: EmbeddingSource,
    folder: JobFolder,
    grid: Grid,
    settings: SegmentationSettings,
    cancel: CancelToken | None,
    block: Block,
) -> None:
    folder.keep(block, cut_block(source, block, grid, settings, cancel=cancel))


def _across(
    folder: JobFolder,
    grid: Grid,
    settings: SegmentationSettings,
    firsts: NDArray[np.int64],
    block: Block,
) -> Contacts:
    """Return what is said across the faces of a block."""
    labels = folder.unique_pieces(frame_of(block, grid, settings), firsts)
    return contacts_across(
        block, grid, settings, labels, folder.crossing(block), folder.votes(block)
    )


def _ids(
    folder: JobFolder, owner: NDArray[np.int64], firsts: NDArray[np.int64], block: Block
) -> NDArray[np.int64]:
    """Return the ids in a block."""
    ids: NDArray[np.int64] = owner[folder.unique_pieces(block.core, firsts)]
    return ids


def _look_for_holes(
    folder: JobFolder, ids: Callable[[Block], NDArray[np.int64]], block: Block
) -> None:
    folder.keep_background(block, Background.of(ids(block), block, folder.grid))


def _write(
    pyramid: LabelPyramid,
    ids: Callable[[Block], NDArray[np.int64]],
    holes: list[NDArray[np.int64]] | None,
    block: Block,
) -> None:
    labels = ids(block)
    pyramid.write(block.core, labels if holes is None else filled(labels, holes[block.number]))


def _coarsen(pyramid: LabelPyramid, level: int, block: Block) -> None:
    pyramid.coarsen(level, block.core)


def _remove(lock: Path) -> None:
    """Remove the file of a lock that is still held, where the system allows it."""
    with suppress(OSError):
        lock.unlink()


def _counted(progress: Progress, total: int) -> Callable[[], None]:
    """Return what is called after each step."""
    steps = 0

    def done() -> None:
        nonlocal steps
        steps += 1
        progress(steps, total)

    return done
