"""What the user has said about pairs of pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Constraints:
    """Pairs of pixels that are, or cannot be, in one object.

    Attributes
    ----------
    must_link : array of int64, shape (P, 2)
        Flat indices, in C order, of pixels of one object.
    cannot_link : array of int64, shape (P, 2)
        Flat indices of pixels that lie in two objects.
    """

    must_link: NDArray[np.int64]
    cannot_link: NDArray[np.int64]

    @classmethod
    def none(cls) -> Constraints:
        """Return constraints that constrain nothing."""
        empty = np.zeros((0, 2), dtype=np.int64)
        return cls(empty, empty)

    def __bool__(self) -> bool:
        """Whether there is any pair."""
        return len(self.must_link) + len(self.cannot_link) > 0

    @property
    def key(self) -> tuple[bytes, bytes] | None:
        """What changes when the constraints do; None if there are none."""
        return (self.must_link.tobytes(), self.cannot_link.tobytes()) if self else None


def linked_groups(must_link: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Return the pixels that links connect, and in which group each is.

    Parameters
    ----------
    must_link : array of int64, shape (P, 2)
        Flat indices of linked pixels.

    Returns
    -------
    pixels : array of int64, shape (n,)
        The pixels that occur, sorted.
    group : array of int, shape (n,)
        The group of each, counted from 0.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pixels, position = np.unique(must_link, return_inverse=True)
    first, second = position.reshape(must_link.shape).T
    links = coo_array((np.ones(len(first), dtype=bool), (first, second)), (len(pixels),) * 2)
    return pixels, connected_components(links, directed=False)[1]


def group_of(
    wanted: NDArray[np.int64], pixels: NDArray[np.int64], group: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Return the group of each wanted pixel, as `linked_groups` numbers them; else -1."""
    place = np.minimum(np.searchsorted(pixels, wanted), len(pixels) - 1)
    return np.where(pixels[place] == wanted, group[place], -1)
