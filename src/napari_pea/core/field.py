"""Affinities of fixed offsets, from which those of a neighborhood are taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.affinity import pair_slices
from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Offset

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class AffinityField:
    """What a model that predicts affinities says about every pixel of an image.

    Attributes
    ----------
    values : array of float, shape (M, *spatial)
        How surely p and p + offset lie in one object, from 0 to 1.
    offsets : tuple of offset
        One for each channel, in pixels.
    foreground : array of float32, shape (*spatial), or None
        Probability of lying inside an object; None if the model does not tell.
    variances : array of float, shape (M, *spatial), or None
        How uncertain the affinities are; None if the model does not tell.
    """

    values: NDArray[np.floating]
    offsets: tuple[Offset, ...]
    foreground: NDArray[np.float32] | None = None
    variances: NDArray[np.floating] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The spatial shape."""
        return self.values.shape[1:]

    @property
    def nbytes(self) -> int:
        """How much memory it takes, in bytes."""
        kept = (self.values, self.foreground, self.variances)
        return sum(array.nbytes for array in kept if array is not None)

    @property
    def ranges(self) -> tuple[int, ...]:
        """The ranges that a neighborhood may have: those known along each axis of a section."""
        return ranges_of(self.offsets)

    @cached_property
    def _channels(self) -> dict[Offset, int]:
        return {offset: channel for channel, offset in enumerate(self.offsets)}

    def affinities(self, offsets: Sequence[Offset]) -> NDArray[np.float32]:
        """Return the affinities of some of the offsets, shape (N, *spatial).

        An offset and its opposite are the same pairs, noted at their other end.

        Raises
        ------
        InputError
            If the model does not know an offset.
        """
        return self._taken(self.values, offsets)

    def uncertainties(self, offsets: Sequence[Offset]) -> NDArray[np.float32] | None:
        """Return the variances of some of the affinities, if the model tells.

        Raises
        ------
        InputError
            If the model does not know an offset.
        """
        return None if self.variances is None else self._taken(self.variances, offsets)

    def window(self, region: tuple[slice, ...]) -> AffinityField:
        """Return the field of a part of the image.

        Parameters
        ----------
        region : tuple of slice
            One for each axis.
        """
        where = (slice(None), *region)
        return AffinityField(
            self.values[where],
            self.offsets,
            None if self.foreground is None else self.foreground[region],
            None if self.variances is None else self.variances[where],
        )

    def _taken(
        self, values: NDArray[np.floating], offsets: Sequence[Offset]
    ) -> NDArray[np.float32]:
        taken = np.zeros((len(offsets), *self.shape), dtype=np.float32)
        for channel, offset in zip(taken, offsets, strict=True):
            same, opposite = (
                self._channels.get(tuple(sign * step for step in offset)) for sign in (1, -1)
            )
            slices = pair_slices(self.shape, offset)
            if same is None and opposite is None:
                known = ", ".join(map(str, self.ranges))
                raise InputError(
                    f"The model knows no affinities under the offset {tuple(offset)}: take ranges "
                    f"out of {known}, and the smallest connectivity."
                )
            if slices is None:
                continue
            here, there = slices
            if same is not None:
                channel[here] = values[same][here]
            elif opposite is not None:
                channel[here] = values[opposite][there]
        return taken


def ranges_of(offsets: Sequence[Offset]) -> tuple[int, ...]:
    """Return the distances that offsets have along both axes of a section, ascending."""
    straight: list[set[int]] = [set(), set()]
    for offset in offsets:
        *across, along_y, along_x = offset
        if not any(across) and bool(along_y) != bool(along_x):
            straight[int(bool(along_x))].add(abs(along_y or along_x))
    return tuple(sorted(straight[0] & straight[1]))
