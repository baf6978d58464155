"""How a large array is cut into blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, prod

from napari_pea.core.errors import InputError

Region = tuple[slice, ...]

#: Sides of a block by the number of axes.
BLOCKS = {2: (1024, 1024), 3: (64, 256, 256)}


@dataclass(frozen=True)
class Block:
    """A piece of a large array.

    Attributes
    ----------
    number : int
        Counted along the last axis first.
    core : tuple of slice
        What is its own; the cores of all blocks are the array.
    outer : tuple of slice
        The core with its surroundings, as far as the array reaches.
    """

    number: int
    core: Region
    outer: Region

    @property
    def inner(self) -> Region:
        """Where the core lies within what is around it."""
        return relative(self.core, self.outer)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the core."""
        return tuple(part.stop - part.start for part in self.core)


@dataclass(frozen=True)
class Grid:
    """Blocks of one shape, side by side; the last along an axis may be smaller.

    Parameters
    ----------
    shape : tuple of int
        Of the array.
    block_shape : tuple of int
        Of the cores.
    halo : tuple of int
        How far a block looks beyond its core, in pixels along each axis.
    steps : tuple of int, optional
        What a block sees begins at multiples of these, so that what is done at every so many
        pixels is done at the same ones as in the whole array.

    Raises
    ------
    InputError
        If they do not fit each other.
    """

    shape: tuple[int, ...]
    block_shape: tuple[int, ...]
    halo: tuple[int, ...]
    steps: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.shape) == len(self.block_shape) == len(self.halo):
            raise InputError(
                f"An array of shape {self.shape} needs {len(self.shape)} sides of a block and "
                f"widths of a halo, not {self.block_shape} and {self.halo}."
            )
        if min(self.shape, default=0) < 1:
            raise InputError(f"The array is empty: its shape is {self.shape}.")
        if min(self.block_shape) < 1 or min(self.halo) < 0:
            raise InputError(
                f"The sides of a block are at least 1 and its halo at least 0, not "
                f"{self.block_shape} and {self.halo}."
            )

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of blocks along each axis."""
        return tuple(
            ceil(size / side) for size, side in zip(self.shape, self.block_shape, strict=True)
        )

    def __len__(self) -> int:
        return prod(self.counts)

    def __iter__(self) -> Iterator[Block]:
        for number, index in enumerate(product(*map(range, self.counts))):
            yield self._block(number, index)

    def beyond(self, block: Block, axis: int) -> Block:
        """Return the next block along an axis."""
        index = [
            part.start // side for part, side in zip(block.core, self.block_shape, strict=True)
        ]
        index[axis] += 1
        return self._block(block.number + prod(self.counts[axis + 1 :]), index)

    def _block(self, number: int, index: Sequence[int]) -> Block:
        core = tuple(
            slice(at * side, min((at + 1) * side, size))
            for at, side, size in zip(index, self.block_shape, self.shape, strict=True)
        )
        seen = widened(core, self.halo, self.shape)
        outer = tuple(
            slice(part.start - part.start % step, part.stop)
            for part, step in zip(seen, self.steps or (1,) * len(seen), strict=True)
        )
        return Block(number, core, outer)


def widened(region: Region, margin: Sequence[int], shape: Sequence[int]) -> Region:
    """Return a region with a margin around it, as far as the array reaches."""
    return tuple(
        slice(max(0, part.start - extra), min(size, part.stop + extra))
        for part, extra, size in zip(region, margin, shape, strict=True)
    )


def relative(region: Region, frame: Region) -> Region:
    """Return where a region lies within another one."""
    return tuple(
        slice(part.start - whole.start, part.stop - whole.start)
        for part, whole in zip(region, frame, strict=True)
    )
