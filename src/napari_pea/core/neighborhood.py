"""From ranges and connectivity to offsets: the one place where offsets are made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from napari_pea.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Offset: TypeAlias = tuple[int, ...]

DEFAULT_RANGES: tuple[int, ...] = (1, 3, 5, 9, 27)
#: Number of axes along which an offset of each connectivity may differ from zero.
CONNECTIVITIES: dict[int, dict[int, int]] = {2: {4: 1, 8: 2}, 3: {6: 1, 18: 2, 26: 3}}


@dataclass(frozen=True)
class Neighborhood:
    """The set of pixel pairs whose affinity is used (methods A4).

    Offsets come range by range. Within a range the steps along single axes come first
    (z, y, x, all negative), then the diagonals: two axes at a time, the last of them
    negative and then positive. Only the first `ndim` offsets, the direct neighbours,
    attract; all others repel.

    Parameters
    ----------
    ranges : iterable of int, optional
        Distances in pixels, each at least 1. They are kept sorted and unique, and range 1
        is always among them, because the direct neighbours are what objects grow along.
    connectivity : int, optional
        4 (the default) or 8 in 2D; 6 (the default), 18 or 26 in 3D.
    ndim : int, optional
        2 or 3.
    z_ranges : iterable of int, optional
        Distances in sections, one for each of `ranges`, for stacks whose sections are
        further apart than their pixels. By default the same as `ranges`.

    Raises
    ------
    InputError
        If a range is not a positive whole number, the connectivity does not exist for
        `ndim`, or `z_ranges` does not fit.

    Examples
    --------
    >>> Neighborhood((1, 3)).offsets.tolist()
    [[-1, 0], [0, -1], [-3, 0], [0, -3]]
    """

    ranges: tuple[int, ...] = DEFAULT_RANGES
    connectivity: int | None = None
    ndim: int = 2
    z_ranges: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.ndim not in CONNECTIVITIES:
            raise InputError(f"A neighborhood has 2 or 3 dimensions, not {self.ndim}.")
        ranges = whole_numbers(self.ranges, "range")
        z_ranges = None if self.z_ranges is None else whole_numbers(self.z_ranges, "z range")
        known = CONNECTIVITIES[self.ndim]
        connectivity = min(known) if self.connectivity is None else self.connectivity
        if connectivity not in known:
            choices = " or ".join(str(c) for c in known)
            raise InputError(
                f"Connectivity {connectivity} does not exist in {self.ndim}D: use {choices}."
            )
        if z_ranges is None:
            ranges = tuple(sorted({1, *ranges}))
        elif self.ndim == 2:
            raise InputError("z ranges need a 3D neighborhood: leave them out in 2D.")
        elif len(z_ranges) != len(ranges):
            raise InputError(
                f"Each range needs its z range: got {len(ranges)} ranges and "
                f"{len(z_ranges)} z ranges."
            )
        else:
            pairs = sorted({(1, 1), *zip(ranges, z_ranges, strict=True)})
            ranges, z_ranges = (tuple(column) for column in zip(*pairs, strict=True))
        object.__setattr__(self, "ranges", ranges)
        object.__setattr__(self, "z_ranges", z_ranges)
        object.__setattr__(self, "connectivity", int(connectivity))

    @property
    def n_attractive(self) -> int:
        """The number of leading offsets that attract: one for each axis."""
        return self.ndim

    @cached_property
    def offset_list(self) -> tuple[Offset, ...]:
        """The offsets as tuples of int, in NumPy axis order."""
        reach = CONNECTIVITIES[self.ndim][self.connectivity or min(CONNECTIVITIES[self.ndim])]
        offsets: list[Offset] = []
        for index, distance in enumerate(self.ranges):
            steps = [distance] * self.ndim
            if self.z_ranges is not None:
                steps[0] = self.z_ranges[index]
            for n_axes in range(1, reach + 1):
                for axes in combinations(range(self.ndim), n_axes):
                    for signs in product((-1, 1), repeat=n_axes - 1):
                        offset = [0] * self.ndim
                        for axis, sign in zip(axes, (-1, *signs), strict=True):
                            offset[axis] = sign * steps[axis]
                        offsets.append(tuple(offset))
        # Ranges that differ along one axis only share the steps along the others.
        return tuple(dict.fromkeys(offsets))

    @property
    def offsets(self) -> NDArray[np.int64]:
        """The offsets, shape (N, ndim), in NumPy axis order and in pixels."""
        return np.array(self.offset_list, dtype=np.int64)

    def first(self, n_ranges: int) -> Neighborhood:
        """Return the neighborhood of the `n_ranges` shortest ranges.

        The embedding pyramid trains its coarser levels on these (methods A4).
        """
        z_ranges = None if self.z_ranges is None else self.z_ranges[:n_ranges]
        return Neighborhood(self.ranges[:n_ranges], self.connectivity, self.ndim, z_ranges)


def graph_offsets(ndim: int = 3, *, preset: bool = False) -> tuple[Offset, ...]:
    """Return the pixel pairs that LSIM partitions with (methods B5): 16 in 3D, 10 in 2D.

    Parameters
    ----------
    ndim : int, optional
        2 or 3.
    preset : bool, optional
        Whether only those are returned that the authors validate with: 11 of the 16. Across
        sections these are the direct neighbours alone, so that in 2D nothing is missing.
    """
    graph = _along(_GRAPH, ndim)
    if not preset or ndim == 2:
        return graph
    return tuple(offset for offset in graph if not offset[0] or offset == graph[0])


def sparse_offsets(level: int, ndim: int = 3) -> tuple[Offset, ...]:
    """Return the pixel pairs that a sparse branch of LSIM predicts (methods B5).

    Parameters
    ----------
    level : int
        0, 1 or 2: the branch at 1/1, 1/2 or 1/4 of the size.
    ndim : int, optional
        2 or 3.

    Returns
    -------
    tuple of offset
        In pixels of that level: 18 at level 0 and 10 at the others; in 2D 10 and 6.
    """
    if level == 0:
        return _along((*_GRAPH, (-3, 0, 0), (-4, 0, 0)), ndim)
    near, far = {1: (2, 7), 2: (1, 3)}[level]
    across = tuple((-step, 0, 0) for step in range(1, 5))
    within = tuple(offset for step in (near, far) for offset in ((0, -step, 0), (0, 0, -step)))
    return _along((*across, *within, (0, -far, -far), (0, -far, far)), ndim)


#: Direct neighbours, diagonals and distances of 4, 8 and 12, as the table of LSIM has them.
_GRAPH: tuple[Offset, ...] = (
    *((-1, 0, 0), (0, -1, 0), (0, 0, -1)),
    *((0, -4, 0), (0, 0, -4), (0, -4, -4), (0, -4, 4)),
    *((-1, -4, 0), (-1, 0, -4), (-1, -4, -4), (-1, -4, 4)),
    *((-2, 0, 0), (0, -8, -8), (0, -8, 8), (0, -12, 0), (0, 0, -12)),
)


def _along(offsets: Iterable[Offset], ndim: int) -> tuple[Offset, ...]:
    """Return offsets in 3D; in 2D those within a section, without z."""
    if ndim == 3:
        return tuple(offsets)
    return tuple(offset[1:] for offset in offsets if not offset[0])


def whole_numbers(values: Iterable[int], what: str) -> tuple[int, ...]:
    """Return values as ints of at least 1.

    Parameters
    ----------
    values : iterable of int
        What the user gave.
    what : str
        What one of them is called in messages.

    Raises
    ------
    InputError
        If there are none, or one of them is not such a number.
    """
    try:
        listed = list(values)
    except TypeError:
        raise InputError(f"The {what}s must be a list of whole numbers, not {values!r}.") from None
    if not listed:
        raise InputError(f"At least one {what} is needed, for example 1.")
    for value in listed:
        is_number = isinstance(value, (int, float, np.integer, np.floating))
        if not is_number or isinstance(value, bool) or not float(value).is_integer() or value < 1:
            raise InputError(f"Every {what} is a whole number of at least 1, not {value!r}.")
    return tuple(int(value) for value in listed)
