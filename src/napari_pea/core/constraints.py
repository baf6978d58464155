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
