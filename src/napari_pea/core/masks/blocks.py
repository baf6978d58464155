"""Cutting an image into blocks whose masks fit into memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from napari_pea.core.masks.kernel import LANES
from napari_pea.core.masks.lattice import MaskLattice

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: One slice for each axis.
Region: TypeAlias = tuple[slice, ...]
#: The most memory for masks at a time, in bytes.
MOST_BYTES = 2**29


class MaskReader(Protocol):
    """Where masks come from."""

    def __call__(self, branch: int, region: Region, /) -> Any:
        """Return the masks of some pixels, shape (size, *region), of one kind.

        1 where an entry belongs to the object of the pixel. NumPy arrays, or tensors for
        `napari_pea.core.masks.device`.
        """


def blocks_of(
    shape: Sequence[int], lattices: Sequence[MaskLattice], most_bytes: int = MOST_BYTES
) -> Iterator[Region]:
    """Yield the blocks of an image, each beside the one before as far as possible.

    Parameters
    ----------
    shape : sequence of int
        Of the image.
    lattices : sequence of MaskLattice
        Of the kinds of masks.
    most_bytes : int
        Masks of a block and of what they reach around it take about so much in single
        precision. Blocks are whole rows, though.
    """
    reach = widest_reach(lattices)
    row = 4 * sum(lattice.size for lattice in lattices) * (shape[-1] + 2 * reach[-1] + LANES)
    rows = max(1, most_bytes // row)
    sides: list[int] = []
    for axis in range(len(shape) - 2, -1, -1):
        # The axes before need as much at least as a single section.
        needed = math.prod(
            min(2 * far + 1, size) for far, size in zip(reach[:axis], shape[:axis], strict=True)
        )
        available = rows // needed
        side = shape[axis] if available >= shape[axis] else max(1, available - 2 * reach[axis])
        rows = max(1, rows // min(shape[axis], side + 2 * reach[axis]))
        sides.insert(0, side)
    # The first axis runs fastest: of blocks that follow each other most masks are the same.
    starts = [range(0, size, side) for size, side in zip(shape, sides, strict=False)]
    order = [(first, *rest) for rest in product(*starts[1:]) for first in starts[0]]
    for place in order:
        yield (
            *(
                slice(start, min(start + side, size))
                for start, side, size in zip(place, sides, shape, strict=False)
            ),
            slice(0, shape[-1]),
        )


def widest_reach(lattices: Sequence[MaskLattice]) -> tuple[int, ...]:
    """Return how far the masks reach along each axis, in pixels."""
    return tuple(max(sides) for sides in zip(*(lattice.reach for lattice in lattices), strict=True))


def surroundings(region: Region, lattice: MaskLattice, shape: Sequence[int]) -> Region:
    """Return the pixels whose masks may reach into a region."""
    return tuple(
        slice(max(0, part.start - reach), min(size, part.stop + reach))
        for part, reach, size in zip(region, lattice.reach, shape, strict=True)
    )


class MaskWindow:
    """The masks of one kind around a block, as the kernel reads them.

    Parameters
    ----------
    lattice : MaskLattice
        Of the masks.
    width : int
        The length of the image's last axis.

    Attributes
    ----------
    masks : array of float32, shape (Z, Y, size, X)
        With zeros beyond both ends of the rows.
    region : tuple of slice
        What it holds, zeros apart.
    """

    def __init__(self, lattice: MaskLattice, width: int) -> None:
        self._lattice = lattice
        self._padded = width + 2 * lattice.reach[-1] + LANES
        self.masks: NDArray[np.float32] = np.zeros((0, 0, lattice.size, 0), dtype=np.float32)
        self.region: Region = ()

    def move(self, region: Region, branch: int, read: MaskReader) -> None:
        """Hold another region; masks that are there already are not read again.

        Parameters
        ----------
        region : tuple of slice
            Whole rows.
        branch : int
            Which kind of masks it is.
        read : MaskReader
            Where they come from.
        """
        if region == self.region:
            return
        axis = self._sliding(region)
        if axis is None:
            self.masks = self._read(region, branch, read)
        else:
            old, new = self.region[axis], region[axis]
            missing = (*region[:axis], slice(old.stop, new.stop), *region[axis + 1 :])
            place = axis + 3 - len(region)
            kept = self.masks[(slice(None),) * place + (slice(new.start - old.start, None),)]
            added = [self._read(missing, branch, read)] if new.stop > old.stop else []
            self.masks = np.concatenate([kept, *added], axis=place)
        self.region = region

    def _sliding(self, region: Region) -> int | None:
        """Return the axis along which the window only slides, if there is one."""
        if not self.region:
            return None
        moved = [
            axis
            for axis, (old, new) in enumerate(zip(self.region, region, strict=True))
            if old != new
        ]
        if len(moved) != 1:
            return None
        old, new = self.region[moved[0]], region[moved[0]]
        return moved[0] if old.start <= new.start < old.stop <= new.stop else None

    def _read(self, region: Region, branch: int, read: MaskReader) -> NDArray[np.float32]:
        lattice = self._lattice
        found = np.asarray(read(branch, region))
        flat = found if found.ndim == 4 else found[:, None]
        size, depth, height, width = flat.shape
        masks = np.zeros((depth, height, size, self._padded), dtype=np.float32)
        inner = masks[..., lattice.reach[-1] : lattice.reach[-1] + width]
        inner[:] = np.moveaxis(flat, 0, 2)
        inner[:, :, lattice.centre] = 1  # a pixel is in its own object
        return masks
