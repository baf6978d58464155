"""Which pixels a mask tells about, and which pairs of pixels masks reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Neighborhood, Offset, whole_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Entries of a mask along each axis (methods B1).
MASK_SHAPES: dict[int, tuple[int, ...]] = {2: (7, 7), 3: (5, 7, 7)}


@dataclass(frozen=True)
class MaskLattice:
    """The entries of a mask around the pixel that it belongs to.

    Parameters
    ----------
    strides : tuple of int
        Pixels between two entries along each axis, in NumPy axis order.
    shape : tuple of int, optional
        Entries along each axis, odd numbers. By default 7 x 7, and 5 x 7 x 7 in 3D.

    Raises
    ------
    InputError
        If there is no such mask.
    """

    strides: tuple[int, ...]
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        strides = whole_numbers(self.strides, "stride of a mask")
        if len(strides) not in MASK_SHAPES:
            raise InputError(f"A mask needs 2 or 3 strides, one for each axis, not {strides}.")
        shape = whole_numbers(self.shape or MASK_SHAPES[len(strides)], "side of a mask")
        if len(shape) != len(strides) or not all(side % 2 for side in shape):
            raise InputError(
                f"A mask needs {len(strides)} odd sides, so that it has a middle, not {shape}."
            )
        object.__setattr__(self, "strides", strides)
        object.__setattr__(self, "shape", shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of entries."""
        return prod(self.shape)

    @property
    def centre(self) -> int:
        """The flat index of the entry of the pixel itself."""
        return self.size // 2

    @property
    def reach(self) -> Offset:
        """How many pixels the outermost entries are away along each axis."""
        return tuple(
            side // 2 * stride for side, stride in zip(self.shape, self.strides, strict=True)
        )

    @cached_property
    def steps(self) -> NDArray[np.int64]:
        """From the pixel to each entry, shape (size, ndim), in pixels and in C order."""
        places = np.indices(self.shape).reshape(self.ndim, -1).T
        steps: NDArray[np.int64] = (places - np.array(self.shape) // 2) * np.array(self.strides)
        return steps

    def reaches(self, offset: Sequence[int]) -> bool:
        """Whether an offset leads from the pixel of a mask to another of its entries."""
        return any(offset) and all(
            step % stride == 0 and abs(step) <= furthest
            for step, stride, furthest in zip(offset, self.strides, self.reach, strict=True)
        )

    def entry(self, offset: Sequence[int]) -> int:
        """Return the flat index of the entry that an offset leads to from the pixel of a mask.

        Parameters
        ----------
        offset : sequence of int
            In pixels; one that the mask reaches.
        """
        places = [
            side // 2 + step // stride
            for side, step, stride in zip(self.shape, offset, self.strides, strict=True)
        ]
        return int(np.ravel_multi_index(tuple(places), self.shape))

    def pairs(
        self, offset: Sequence[int], trim: Sequence[int] = ()
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the entries of a mask that are an offset apart.

        Parameters
        ----------
        offset : sequence of int
            In pixels.
        trim : sequence of int, optional
            Outermost entries along each axis, at both ends, that are left out.

        Returns
        -------
        first, second : array of int64, shape (P,)
            Flat indices; the second entry is `offset` away from the first. In C order.
        """
        kept = [
            range(cut, side - cut)
            for cut, side in zip(trim or (0,) * self.ndim, self.shape, strict=True)
        ]
        apart = [divmod(step, stride) for step, stride in zip(offset, self.strides, strict=True)]
        found = []
        if not any(rest for _, rest in apart):
            for place in product(*kept):
                other = tuple(at + step for at, (step, _) in zip(place, apart, strict=True))
                if all(at in inside for at, inside in zip(other, kept, strict=True)):
                    found.append((place, other))
        places = np.array(found, dtype=np.int64).reshape(-1, 2, self.ndim)
        first, second = (
            np.ravel_multi_index(tuple(end.T), self.shape) for end in places.swapaxes(0, 1)
        )
        return first, second


class Source(NamedTuple):
    """Entries of masks that tell about the pairs of an offset.

    Attributes
    ----------
    branch : int
        Which kind of masks.
    first, second : array of int64, shape (P,)
        See `MaskLattice.pairs`.
    """

    branch: int
    first: NDArray[np.int64]
    second: NDArray[np.int64]


def sources_of(offset: Offset, lattices: Sequence[MaskLattice]) -> tuple[Source, ...]:
    """Return which masks tell about an offset (methods B4).

    Pairs straight across sections are told by all masks that reach them, without their
    outermost sections; all others by the coarsest masks that reach them.

    Parameters
    ----------
    offset : tuple of int
        In pixels.
    lattices : sequence of MaskLattice
        Of the kinds of masks there are.

    Raises
    ------
    InputError
        If no mask reaches that far.
    """
    reaching = [n for n, lattice in enumerate(lattices) if lattice.reaches(offset)]
    if not reaching:
        raise InputError(
            f"The masks of this model do not reach the offset {tuple(offset)}: take ranges out "
            f"of {', '.join(map(str, reached_ranges(lattices)))}."
        )
    if len(offset) == 3 and not any(offset[1:]):
        trims: list[tuple[int, ...]] = [(int(lattices[n].shape[0] > 3), 0, 0) for n in reaching]
    else:
        reaching = [max(reaching, key=lambda n: lattices[n].strides[-1])]
        trims = [()]
    return tuple(
        Source(n, *lattices[n].pairs(offset, trim)) for n, trim in zip(reaching, trims, strict=True)
    )


def reached_ranges(lattices: Sequence[MaskLattice]) -> tuple[int, ...]:
    """Return the ranges within sections that masks reach, in pixels, ascending.

    Masks of stride 1 and 4 and of 7 x 7 entries reach 1, 2, 3, 4, 8 and 12.
    """
    return _multiples(lattices, lattices[0].ndim - 1)


def reached_z_ranges(lattices: Sequence[MaskLattice]) -> tuple[int, ...]:
    """Return the ranges across sections that masks reach, ascending; none in 2D."""
    return _multiples(lattices, 0) if lattices[0].ndim == 3 else ()


def reached_neighborhood(
    lattices: Sequence[MaskLattice], connectivity: int | None = None
) -> Neighborhood:
    """Return the neighborhood of all ranges that masks reach.

    Parameters
    ----------
    lattices : sequence of MaskLattice
        Of the kinds of masks there are.
    connectivity : int, optional
        See `Neighborhood`.

    Notes
    -----
    In 3D each range is paired with the z range of the same place, the last one for those
    that are left, as far as one kind of masks reaches both.
    """
    ranges, z_ranges = reached_ranges(lattices), reached_z_ranges(lattices)
    if not z_ranges:
        return Neighborhood(ranges, connectivity, 2)
    paired = [min(place, len(z_ranges) - 1) for place in range(len(ranges))]
    return Neighborhood(ranges, connectivity, 3, tuple(z_ranges[place] for place in paired))


def _multiples(lattices: Sequence[MaskLattice], axis: int) -> tuple[int, ...]:
    """Return the distances of entries from the pixel along an axis."""
    found = {
        stride * n
        for lattice in lattices
        for stride in [lattice.strides[axis]]
        for n in range(1, lattice.shape[axis] // 2 + 1)
    }
    return tuple(sorted(found))
