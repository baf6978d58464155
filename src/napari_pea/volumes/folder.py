"""What a blockwise job keeps on disk, so that it can go on after it was stopped anywhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import zarr

from napari_pea.core.errors import InputError
from napari_pea.core.files import atomic_write
from napari_pea.volumes.block import BlockResult
from napari_pea.volumes.contacts import Contacts
from napari_pea.volumes.grid import Block, Grid, Region
from napari_pea.volumes.holes import Background

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Raised when what is kept changes in a way that others cannot go on with.
VERSION = 3
MANIFEST, PIECES, LABELS = "job.json", "pieces.zarr", "labels.zarr"
#: Is there when the labels are complete.
FINISHED = "finished.json"


class JobFolder:
    """The intermediate results of a job.

    Parameters
    ----------
    path : Path
        A folder of its own.
    grid : Grid
        The blocks.
    """

    def __init__(self, path: Path, grid: Grid) -> None:
        self.path = path
        self.grid = grid

    def begin(self, plan: dict[str, Any], *, resume: bool) -> None:
        """Make the folder, or check that it is of the same job.

        Parameters
        ----------
        plan : dict
            What the results depend on, as plain values.
        resume : bool
            Whether to go on with what is there.

        Raises
        ------
        InputError
            If there is another job in the folder.
        """
        plan = json.loads(json.dumps({"version": VERSION, **plan}))
        if resume and (self.path / MANIFEST).exists():
            if self._plan() != plan:
                raise InputError(
                    f"{self.path} holds a job with another image, model, settings or blocks: "
                    "give the same ones, or begin anew with overwrite."
                )
            return
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True)
        zarr.create_array(
            self.path / PIECES,
            shape=self.grid.shape,
            chunks=tuple(map(min, self.grid.block_shape, self.grid.shape)),
            dtype=np.uint32,
        )
        with atomic_write(self.path / MANIFEST) as temporary:
            temporary.write_text(json.dumps(plan, indent=1))

    def _plan(self) -> Any:
        return _json(self.path / MANIFEST)

    @property
    def labels(self) -> Path:
        """Where the labels are written before they are complete."""
        return self.path / LABELS

    def finish(self, output: Path, n_objects: int) -> None:
        """Hand the labels over and remove everything else."""
        with atomic_write(self.path / FINISHED) as temporary:
            temporary.write_text(json.dumps(n_objects))
        if output.exists():
            shutil.rmtree(output)
        self.labels.rename(output)
        self.remove()

    def was_finished(self, output: Path) -> int | None:
        """Return the number of objects if all was done but removing this folder."""
        n_objects = _json(self.path / FINISHED)
        handed_over = output.exists() and not self.labels.exists()
        return n_objects if handed_over and isinstance(n_objects, int) else None

    def is_cut(self, block: Block) -> bool:
        """Whether a block was segmented already."""
        return self._file(block).exists()

    def keep(self, block: Block, result: BlockResult) -> None:
        """Keep the objects of a block; the block counts as done once all is written."""
        self._pieces("r+")[block.core] = result.labels
        with atomic_write(self._file(block)) as temporary, temporary.open("wb") as stream:
            seen: dict[str, Any] = {
                f"seen {axis} {end}": same for (axis, end), same in result.seen.items()
            }
            np.savez(
                stream,
                sizes=np.bincount(result.labels.reshape(-1)),
                objects=result.within.objects,
                evidence=result.within.evidence,
                crossing=result.crossing,
                **seen,
            )

    def sizes(self, block: Block) -> NDArray[np.int64]:
        """Return the pixels of each object of a block, those of the background first."""
        return self._kept(block, "sizes").astype(np.int64)

    def within(self, block: Block) -> Contacts:
        """Return what the pixel pairs between the objects of a block say."""
        return Contacts(self._kept(block, "objects"), self._kept(block, "evidence"))

    def crossing(self, block: Block) -> NDArray[np.float32]:
        """Return the affinities of the pairs that leave a block."""
        return self._kept(block, "crossing")

    def votes(self, block: Block) -> dict[int, NDArray[np.int8]]:
        """Return what both blocks see across the far faces of a block (see `contacts_across`)."""
        votes = {}
        for axis, (part, size) in enumerate(zip(block.core, self.grid.shape, strict=True)):
            if part.stop < size:
                beyond = self.grid.beyond(block, axis)
                votes[axis] = (
                    self._kept(block, f"seen {axis} 1").astype(np.int8)
                    + self._kept(beyond, f"seen {axis} 0")
                    - 1
                )
        return votes

    def keep_background(self, block: Block, background: Background) -> None:
        """Keep what is known about the background of a block."""
        with atomic_write(self._file(block, "holes")) as temporary, temporary.open("wb") as stream:
            known: dict[str, Any] = {
                "lowest": background.lowest,
                "highest": background.highest,
                "is_open": background.is_open,
            }
            np.savez(stream, **known, **dict[str, Any](background.faces))

    def background(self, block: Block) -> Background:
        """Return what is known about the background of a block."""
        with np.load(self._file(block, "holes")) as kept:
            found = dict(kept)
        return Background(found.pop("lowest"), found.pop("highest"), found.pop("is_open"), found)

    def pieces(self, region: Region) -> NDArray[np.uint32]:
        """Return the objects in a region, numbered block by block."""
        return np.asarray(self._pieces("r")[region])

    def unique_pieces(self, region: Region, firsts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the objects in a region with ids that are unique in the whole array.

        Parameters
        ----------
        region : tuple of slice
            One for each axis.
        firsts : array of int64, shape (blocks,)
            How many objects the blocks before each one have.
        """
        labels = self.pieces(region).astype(np.int64)
        number = np.zeros((1,) * labels.ndim, dtype=np.int64)
        for axis, (part, side, count) in enumerate(
            zip(region, self.grid.block_shape, self.grid.counts, strict=True)
        ):
            index = np.arange(part.start, part.stop) // side
            along = [1] * labels.ndim
            along[axis] = -1
            number = number * count + index.reshape(along)
        return np.where(labels > 0, labels + firsts[number], 0)

    def remove(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _pieces(self, mode: Literal["r", "r+"]) -> zarr.Array[Any]:
        return zarr.open_array(self.path / PIECES, mode=mode)

    def _file(self, block: Block, kind: str = "block") -> Path:
        return self.path / f"{kind}-{block.number:08d}.npz"

    def _kept(self, block: Block, name: str) -> NDArray[Any]:
        with np.load(self._file(block)) as kept:
            values: NDArray[Any] = kept[name]
        return values


def _json(path: Path) -> Any:
    """Return what a file holds, None if it cannot be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
