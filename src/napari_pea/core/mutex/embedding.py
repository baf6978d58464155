"""The Mutex Watershed straight from an embedding, without a stack of affinities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.mutex.arguments import (
    checked_bias,
    checked_channels,
    checked_embedding,
    checked_mask,
    checked_offsets,
    checked_strides,
    checked_threads,
    count_of,
)
from napari_pea.core.mutex.constraints import linked
from napari_pea.core.progress import CancelToken, Progress, ignore_progress

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_pea.core.neighborhood import Offset


def embedding_mutex_watershed(
    vectors: NDArray[np.floating],
    offsets: NDArray[np.integer] | Sequence[Sequence[int]],
    n_attractive: int | None = None,
    *,
    strides: int | Sequence[int] | None = None,
    mask: NDArray[np.bool_] | None = None,
    must_link: ArrayLike | None = None,
    cannot_link: ArrayLike | None = None,
    bias: float = 0.0,
    threads: int = 1,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> NDArray[np.uint32]:
    """Partition an image straight from its embedding, without a stack of affinities.

    The result is that of `mutex_watershed` with the affinities of the embedding (cosines
    with negative ones raised to 0), up to rounding. A cosine is computed when it is needed.
    Most repulsive ones never are: a cluster is known to lie within an angle of the vector of
    one of its pixels, and two clusters whose vectors are close cannot repel each other much.

    Parameters
    ----------
    vectors : array of float, shape (D, *spatial)
        Embedding vectors of unit length or shorter, in 2D or 3D. Taken as they are if D is the axis
        that varies fastest in memory (see `napari_pea.core.affinity.pixel_major`), copied
        otherwise.
    offsets, n_attractive, strides, mask, must_link, cannot_link, bias
        See `mutex_watershed`.
    threads, progress, cancel
        See `mutex_watershed`.

    Returns
    -------
    array of uint32, shape (*spatial)
        Objects numbered from 1 without gaps, in the order of their first pixels; 0 outside
        the mask.

    Raises
    ------
    InputError
        If an argument does not fit the others, an offset is zero, a vector is longer than 1
        or has values that are infinite or not numbers, or constraints contradict each other.
    Cancelled
        If `cancel` was set.
    """
    rows = checked_embedding(vectors)
    shape, steps, n_attract = checked_channels(vectors, offsets, n_attractive)
    every = checked_strides(strides, len(shape))
    n_threads = checked_threads(threads)

    from napari_pea.core.mutex.problem import problem
    from napari_pea.core.mutex.solver import solve

    inside = None if mask is None else checked_mask(mask, shape)
    task = problem(
        shape,
        steps,
        n_attract,
        vectors=rows,
        strides=every,
        inside=inside,
        said=linked(must_link, cannot_link, shape, inside),
        bias=checked_bias(bias),
    )
    return solve(task, threads=n_threads, progress=progress, cancel=cancel).reshape(shape)


class EmbeddingWatershed:
    """The Mutex Watershed of one embedding, again and again with other repulsive offsets.

    What does not depend on those is done once. The results are those of
    `embedding_mutex_watershed`.

    Parameters
    ----------
    vectors : array of float, shape (D, *spatial)
        See `embedding_mutex_watershed`.
    attractive : array of int, shape (A, ndim)
        The offsets that attract.
    mask, must_link, cannot_link, bias
        See `mutex_watershed`.
    threads, progress, cancel
        See `mutex_watershed`.

    Raises
    ------
    InputError
        See `embedding_mutex_watershed`.
    Cancelled
        If `cancel` was set.
    """

    def __init__(
        self,
        vectors: NDArray[np.floating],
        attractive: NDArray[np.integer] | Sequence[Sequence[int]],
        *,
        mask: NDArray[np.bool_] | None = None,
        must_link: ArrayLike | None = None,
        cannot_link: ArrayLike | None = None,
        bias: float = 0.0,
        threads: int = 1,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> None:
        rows = checked_embedding(vectors)
        shape, steps, _ = checked_channels(vectors, attractive, count_of(attractive))

        from napari_pea.core.mutex.groundwork import Groundwork
        from napari_pea.core.mutex.problem import problem

        inside = None if mask is None else checked_mask(mask, shape)
        task = problem(
            shape,
            steps,
            len(steps),
            vectors=rows,
            strides=None,
            inside=inside,
            said=linked(must_link, cannot_link, shape, inside),
            bias=checked_bias(bias),
        )
        self._shape = shape
        self._groundwork = Groundwork(
            task, threads=checked_threads(threads), progress=progress, cancel=cancel
        )

    @property
    def nbytes(self) -> int:
        """How much memory is kept, in bytes, besides the embedding."""
        return self._groundwork.nbytes

    def foresee(
        self,
        repulsive: NDArray[np.integer] | Sequence[Sequence[int]],
        *,
        cancel: CancelToken | None = None,
    ) -> None:
        """Do beforehand what is the same for every choice of some repulsive offsets.

        It takes about as long as one partition; those that follow take a part of that.

        Parameters
        ----------
        repulsive : array of int, shape (R, ndim)
            What `partition` may be asked for; it may still be asked for others.
        cancel : CancelToken, optional
            See `mutex_watershed`.

        Raises
        ------
        InputError
            If the offsets do not fit the image.
        Cancelled
            If `cancel` was set.
        """
        self._groundwork.foresee(self._checked(repulsive), cancel)

    def partition(
        self,
        repulsive: NDArray[np.integer] | Sequence[Sequence[int]],
        *,
        strides: int | Sequence[int] | None = None,
        cancel: CancelToken | None = None,
    ) -> NDArray[np.uint32]:
        """Partition the image.

        Parameters
        ----------
        repulsive : array of int, shape (R, ndim)
            The offsets that repel.
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
            If the offsets or the strides do not fit the image.
        Cancelled
            If `cancel` was set.
        """
        every = checked_strides(strides, len(self._shape))
        labels = self._groundwork.solve(self._checked(repulsive), every, cancel)
        return labels.reshape(self._shape)

    def _checked(self, repulsive: NDArray[np.integer] | Sequence[Sequence[int]]) -> list[Offset]:
        return checked_offsets(repulsive, (count_of(repulsive), *self._shape))
