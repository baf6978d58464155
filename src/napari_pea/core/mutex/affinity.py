"""The Mutex Watershed of a stack of affinities, of which channels are chosen again and again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.mutex.arguments import (
    all_finite,
    checked_affinities,
    checked_bias,
    checked_mask,
    checked_offsets,
    checked_strides,
    checked_threads,
)
from napari_pea.core.mutex.constraints import linked
from napari_pea.core.progress import CancelToken, Progress, ignore_progress

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_pea.core.neighborhood import Offset


class AffinityWatershed:
    """The Mutex Watershed of one stack of affinities, again and again with other channels.

    What all choices of repulsive channels have in common is done once. The results are those
    of `mutex_watershed` with the channels chosen; none is copied.

    Parameters
    ----------
    affinities : array of float, shape (N, *spatial)
        See `mutex_watershed`; taken as it is if it is in single precision and in C order.
    offsets : array of int, shape (N, ndim)
        Their offsets, each once.
    attractive : sequence of offset
        Those that attract.
    mask, must_link, cannot_link, bias
        See `mutex_watershed`.
    threads, progress, cancel
        See `mutex_watershed`.

    Raises
    ------
    InputError
        See `mutex_watershed`; or if there is no channel of an offset.
    Cancelled
        If `cancel` was set.
    """

    def __init__(
        self,
        affinities: NDArray[np.floating],
        offsets: NDArray[np.integer] | Sequence[Sequence[int]],
        attractive: Sequence[Offset],
        *,
        mask: NDArray[np.bool_] | None = None,
        must_link: ArrayLike | None = None,
        cannot_link: ArrayLike | None = None,
        bias: float = 0.0,
        threads: int = 1,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> None:
        given = checked_affinities(affinities)
        shape = given.shape[1:]
        steps = checked_offsets(offsets, given.shape)
        values = np.ascontiguousarray(given, dtype=np.float32)
        if not all_finite(values):
            raise InputError("The affinities have values that are infinite or not numbers.")

        from napari_pea.core.mutex.groundwork import Groundwork
        from napari_pea.core.mutex.problem import problem

        self._shape = shape
        channels = {offset: channel for channel, offset in enumerate(steps)}
        owned = _channels_of(attractive, channels)
        self._further = {at: n for at, n in channels.items() if n not in owned}
        inside = None if mask is None else checked_mask(mask, shape)
        task = problem(
            shape,
            attractive,
            len(attractive),
            affinities=values,
            channels=owned,
            strides=None,
            inside=inside,
            said=linked(must_link, cannot_link, shape, inside),
            bias=checked_bias(bias),
        )
        self._groundwork = Groundwork(
            task,
            (list(self._further), list(self._further.values())),
            threads=checked_threads(threads),
            progress=progress,
            cancel=cancel,
        )

    @property
    def nbytes(self) -> int:
        """How much memory is kept, in bytes, besides the affinities."""
        return self._groundwork.nbytes

    def partition(
        self,
        repulsive: Sequence[Offset],
        *,
        strides: int | Sequence[int] | None = None,
        cancel: CancelToken | None = None,
    ) -> NDArray[np.uint32]:
        """Partition the image.

        Parameters
        ----------
        repulsive : sequence of offset
            The offsets that repel; none that attracts.
        strides, cancel
            See `mutex_watershed`.

        Returns
        -------
        array of uint32, shape (*spatial)
            Objects numbered from 1 without gaps, in the order of their first pixels; 0
            outside the mask.

        Raises
        ------
        InputError
            If there is no channel of an offset, or the strides do not fit the image.
        Cancelled
            If `cancel` was set.
        """
        every = checked_strides(strides, len(self._shape))
        channels = _channels_of(repulsive, self._further)
        labels = self._groundwork.solve(repulsive, every, cancel, channels=channels)
        return labels.reshape(self._shape)


def _channels_of(offsets: Sequence[Offset], channels: dict[Offset, int]) -> list[int]:
    """Return the channels of some offsets."""
    for offset in offsets:
        if offset not in channels:
            raise InputError(f"There are no affinities of the offset {offset} to be had here.")
    return [channels[offset] for offset in offsets]
