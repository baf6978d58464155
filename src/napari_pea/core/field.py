"""Affinities of fixed offsets, from which those of a neighborhood are taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.affinity import pair_slices
from napari_pea.core.errors import InputError
from napari_pea.core.evidence import PairValues
from napari_pea.core.known import KnownOffsets
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
    codes : array of float, shape (Q, *spatial), or None
        What the affinities were computed from, to look at; None if the model does not tell.
    """

    values: NDArray[np.floating]
    offsets: tuple[Offset, ...]
    foreground: NDArray[np.float32] | None = None
    variances: NDArray[np.floating] | None = None
    codes: NDArray[np.floating] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The spatial shape."""
        return self.values.shape[1:]

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """All that it holds in memory."""
        kept = (self.values, self.foreground, self.variances, self.codes)
        return tuple(array for array in kept if array is not None)

    @cached_property
    def known(self) -> KnownOffsets:
        """Which neighborhoods it can be asked for."""
        return KnownOffsets(self.offsets)

    @property
    def ranges(self) -> tuple[int, ...]:
        """The ranges that a neighborhood may have: those known along each axis of a section."""
        return self.known.ranges

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

    def pair_values(self, offsets: Sequence[Offset]) -> PairValues:
        """Return where kernels find the affinities of some of the offsets.

        Raises
        ------
        InputError
            If the model does not know an offset.
        """
        found = [self._channel_of(offset) for offset in offsets]
        return PairValues.of_affinities(
            _in_place(self.values), [channel for channel, _ in found], [far for _, far in found]
        )

    def prepared(self) -> AffinityField:
        """Return the same in single precision, each pair noted where neighborhoods do.

        Neighborhoods begin with negative steps. Offsets that occur twice are kept once.
        """
        offsets = tuple(dict.fromkeys(map(_as_neighborhoods_do, self.offsets)))
        if offsets == self.offsets:
            return replace(self, values=_in_place(self.values))
        return replace(
            self,
            values=self._taken(self.values, offsets),
            offsets=offsets,
            variances=self.uncertainties(offsets),
        )

    def window(self, region: tuple[slice, ...]) -> AffinityField:
        """Return the field of a part of the image.

        Parameters
        ----------
        region : tuple of slice
            One for each axis.
        """
        where = (slice(None), *region)
        return AffinityField(
            _in_place(self.values[where]),
            self.offsets,
            None if self.foreground is None else self.foreground[region],
            None if self.variances is None else self.variances[where],
            None if self.codes is None else self.codes[where],
        )

    def _channel_of(self, offset: Offset) -> tuple[int, bool]:
        """Return the channel of an offset, and whether it is noted at the other end."""
        for sign in (1, -1):
            channel = self._channels.get(tuple(sign * step for step in offset))
            if channel is not None:
                return channel, sign < 0
        known = ", ".join(map(str, self.ranges))
        raise InputError(
            f"The model knows no affinities under the offset {tuple(offset)}: take ranges "
            f"out of {known}, and the smallest connectivity."
        )

    def _taken(
        self, values: NDArray[np.floating], offsets: Sequence[Offset]
    ) -> NDArray[np.float32]:
        taken = np.zeros((len(offsets), *self.shape), dtype=np.float32)
        for channel, offset in zip(taken, offsets, strict=True):
            known, is_far = self._channel_of(offset)
            slices = pair_slices(self.shape, offset)
            if slices is not None:
                here, there = slices
                channel[here] = values[known][there if is_far else here]
        return taken


def _as_neighborhoods_do(offset: Offset) -> Offset:
    """Return an offset or its opposite, whichever begins with a negative step."""
    first = next((step for step in offset if step), 0)
    return tuple(-step for step in offset) if first > 0 else offset


def _in_place(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return values in single precision and in C order, copied only if they are not."""
    return np.ascontiguousarray(values, dtype=np.float32)
