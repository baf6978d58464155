"""The Mutex Watershed: from affinities to objects without a threshold or seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.affinity import pair_slices
from napari_pea.core.errors import InputError
from napari_pea.core.labels import as_objects
from napari_pea.core.mutex.affinity import AffinityWatershed
from napari_pea.core.mutex.arguments import (
    all_finite,
    checked_affinities,
    checked_bias,
    checked_count,
    checked_mask,
    checked_offsets,
    checked_strides,
    checked_threads,
)
from napari_pea.core.mutex.backends import OWN, backend_named
from napari_pea.core.mutex.constraints import linked
from napari_pea.core.mutex.embedding import EmbeddingWatershed, embedding_mutex_watershed
from napari_pea.core.progress import CancelToken, Progress, ignore_progress

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_pea.core.neighborhood import Offset

__all__ = [
    "AffinityWatershed",
    "EmbeddingWatershed",
    "embedding_mutex_watershed",
    "mutex_watershed",
    "signed_mutex_watershed",
]


def mutex_watershed(
    affinities: NDArray[np.floating | np.bool_],
    offsets: NDArray[np.integer] | Sequence[Sequence[int]],
    n_attractive: int | None = None,
    *,
    strides: int | Sequence[int] | None = None,
    mask: NDArray[np.bool_] | None = None,
    must_link: ArrayLike | None = None,
    cannot_link: ArrayLike | None = None,
    bias: float = 0.0,
    backend: str = OWN,
    threads: int = 1,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> NDArray[np.uint32]:
    """Partition an image into objects (Mutex Watershed; methods A9).

    All pixel pairs are visited from the highest priority to the lowest. An attractive pair
    joins the clusters of its two pixels unless they exclude each other; a repulsive pair
    makes the two clusters exclude each other for good. What is left are the objects.

    Parameters
    ----------
    affinities : array of float or bool, shape (N, *spatial)
        For each offset, how surely p and p + offset lie in one object: 1 for the same
        object, 0 for two. 2D or 3D; computed in single precision and never changed.
    offsets : array of int, shape (N, ndim)
        Steps in pixels, in NumPy axis order. Only pairs inside the image count, so an
        offset longer than the image adds nothing. An offset may occur several times.
    n_attractive : int, optional
        The first `n_attractive` channels attract with priority a, the others repel with
        priority 1 - a. By default one for each axis: the direct neighbours.
    strides : int or sequence of int, optional
        Repulsive pairs are taken only at every n-th pixel along each axis. Attractive
        pairs are always taken.
    mask : array of bool, shape (*spatial), optional
        Where objects may be. Pairs with an end outside of it do not count.
    must_link : array of int, optional
        Pixels that are joined before anything else: pairs of shape (P, 2, ndim), or (P, 2)
        as flat indices, or a label image in which all pixels of a label are joined. What
        lies outside the mask says nothing. What could be pairs or labels is refused.
    cannot_link : array of int, optional
        Pixels that never lie in one object: pairs as above, or a label image whose labels
        exclude each other; 0 is no label.
    bias : float
        Added to the priority of attractive pairs: more merges above 0, fewer below.
    backend : str
        "numba", our own kernel, or another package that is installed, to compare with (see
        `napari_pea.core.mutex.backends`). Those know no constraints, bias, threads,
        progress and cancelling.
    threads : int
        How many tiles are solved at the same time.
    progress : callable
        Told the steps done and in all.
    cancel : CancelToken, optional
        Checked now and then.

    Returns
    -------
    array of uint32, shape (*spatial)
        Objects numbered from 1 without gaps, in the order of their first pixels; 0 outside
        the mask.

    Raises
    ------
    InputError
        If an argument does not fit the others, an offset is zero, an affinity is infinite
        or not a number, or constraints contradict each other.
    Cancelled
        If `cancel` was set.

    Notes
    -----
    Equal priorities are taken in the order of the channels, then of the pixels, so the
    result does not depend on the number of threads. The Python lock is released.

    Examples
    --------
    >>> row = np.array([[0.9, 0.8, 0.1, 0.9]], dtype=np.float32)
    >>> affinities = np.stack([row, row])
    >>> mutex_watershed(affinities, [(0, -1), (0, -2)], n_attractive=1).tolist()
    [[1, 1, 2, 2]]
    """
    given = checked_affinities(affinities)
    shape = given.shape[1:]
    steps = checked_offsets(offsets, given.shape)
    n_attract = checked_count(n_attractive, given.shape)
    every = checked_strides(strides, len(shape))
    inside = None if mask is None else checked_mask(mask, shape)
    said = linked(must_link, cannot_link, shape, inside)
    n_threads = checked_threads(threads)
    values = _single_precision(given, steps)
    if backend != OWN:
        if said or bias:
            raise InputError(
                f"The backend {backend!r} knows neither constraints nor a bias: use {OWN!r}."
            )
        return _by_backend(backend, values, steps, n_attract, every, inside)

    from napari_pea.core.mutex.problem import problem
    from napari_pea.core.mutex.solver import solve

    task = problem(
        shape,
        steps,
        n_attract,
        affinities=values,
        strides=every,
        inside=inside,
        said=said,
        bias=checked_bias(bias),
    )
    return solve(task, threads=n_threads, progress=progress, cancel=cancel).reshape(shape)


def signed_mutex_watershed(
    affinities: NDArray[np.floating],
    offsets: NDArray[np.integer] | Sequence[Sequence[int]],
    n_direct: int | None = None,
    *,
    fraction: float = 0.1,
    seed: int = 0,
    mask: NDArray[np.bool_] | None = None,
    threads: int = 1,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> NDArray[np.uint32]:
    """Partition an image by the signs of its pairs (LSIM; methods B6).

    Every pair with an affinity above 0.5 attracts and every pair below repels, whatever its
    offset; the priority is the distance from 0.5, and attraction goes first if it is equal.
    Of the pairs further apart only some are taken, at random.

    Parameters
    ----------
    affinities, offsets, mask, threads, progress, cancel
        See `mutex_watershed`.
    n_direct : int, optional
        The first `n_direct` channels are taken in full. By default one for each axis.
    fraction : float
        How many of the other pairs are taken, from 0 to 1.
    seed : int
        Decides which.

    Returns
    -------
    array of uint32, shape (*spatial)
        Objects numbered from 1 without gaps, in the order of their first pixels; 0 outside
        the mask. An object may consist of several pieces.

    Raises
    ------
    InputError
        If an argument does not fit the others, an offset is zero, or an affinity is
        infinite or not a number.
    Cancelled
        If `cancel` was set.
    """
    given = checked_affinities(affinities)
    shape = given.shape[1:]
    steps = checked_offsets(offsets, given.shape)
    direct = checked_count(n_direct, given.shape)
    inside = None if mask is None else checked_mask(mask, shape)
    n_threads = checked_threads(threads)
    if not 0 <= fraction <= 1:
        raise InputError(f"The fraction of pairs lies between 0 and 1, not {fraction}.")
    values = _single_precision(given, steps)

    from napari_pea.core.mutex.problem import signed_problem
    from napari_pea.core.mutex.solver import solve

    task = signed_problem(shape, steps, direct, values, fraction, seed, inside)
    return solve(task, threads=n_threads, progress=progress, cancel=cancel).reshape(shape)


def _single_precision(
    values: NDArray[np.floating | np.bool_], steps: Sequence[Offset]
) -> NDArray[np.float32]:
    """Return affinities as numbers of single precision, one channel after the other."""
    with np.errstate(over="ignore"):  # infinite in single precision: refused below
        single = np.ascontiguousarray(values, dtype=np.float32)
    for channel, step in enumerate(steps):
        if pair_slices(single.shape[1:], step) is not None and not all_finite(single[channel]):
            raise InputError(
                f"Channel {channel} of the affinities has values that are infinite or not "
                "numbers: replace them by numbers from 0 to 1."
            )
    return single


def _by_backend(
    name: str,
    values: NDArray[np.float32],
    steps: Sequence[Offset],
    n_attract: int,
    every: tuple[int, ...] | None,
    inside: NDArray[np.bool_] | None,
) -> NDArray[np.uint32]:
    """Return what another package finds, numbered as our own kernel does."""
    shape = values.shape[1:]
    run = backend_named(name)
    present = [n for n, step in enumerate(steps) if pair_slices(shape, step) is not None]
    if not present:  # no two pixels are compared: each is an object of its own
        labels = np.arange(1, 1 + np.prod(shape, dtype=int)).reshape(shape)
    else:
        labels = run(
            values[present],
            [steps[channel] for channel in present],
            sum(channel < n_attract for channel in present),
            every,
            inside,
        )
    if inside is not None:
        labels = np.where(inside, labels, 0)
    return as_objects(labels)
