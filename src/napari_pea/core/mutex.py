"""The Mutex Watershed: from affinities to objects without a threshold or seeds."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.segmentation import relabel_sequential

from napari_pea.core.affinity import pair_slices
from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Offset

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def mutex_watershed(
    affinities: NDArray[np.floating | np.bool_],
    offsets: NDArray[np.integer] | Sequence[Sequence[int]],
    n_attractive: int | None = None,
    *,
    strides: int | Sequence[int] | None = None,
    mask: NDArray[np.bool_] | None = None,
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

    Returns
    -------
    array of uint32, shape (*spatial)
        Objects numbered from 1 without gaps, in the order of their first pixels; 0 outside
        the mask.

    Raises
    ------
    InputError
        If an argument does not fit the others, an offset is zero, or an affinity is
        infinite or not a number.

    Notes
    -----
    Equal priorities are taken in the order of the channels, then of the pixels.

    Examples
    --------
    >>> row = np.array([[0.9, 0.8, 0.1, 0.9]], dtype=np.float32)
    >>> affinities = np.stack([row, row])
    >>> mutex_watershed(affinities, [(0, -1), (0, -2)], n_attractive=1).tolist()
    [[1, 1, 2, 2]]
    """
    from bioimage_cpp import segmentation

    values = _checked_affinities(affinities)
    shape = values.shape[1:]
    steps = _checked_offsets(offsets, values.shape)
    n_attract = _checked_count(n_attractive, values.shape)
    every = _checked_strides(strides, len(shape))
    inside = None if mask is None else _checked_mask(mask, shape)

    present = [n for n, step in enumerate(steps) if pair_slices(shape, step) is not None]
    priorities = np.empty((len(present), *shape), dtype=np.float32)
    for target, channel in zip(priorities, present, strict=True):
        _fill_priority(target, values[channel], repulsive=channel >= n_attract)
        if not np.isfinite(target).all():
            raise InputError(
                f"Channel {channel} of the affinities has values that are infinite or not "
                "numbers: replace them by numbers from 0 to 1."
            )
    if not present:  # no two pixels are compared: each is an object of its own
        labels = np.arange(1, 1 + np.prod(shape), dtype=np.uint64).reshape(shape)
    else:
        labels = segmentation.mutex_watershed(
            priorities,
            [steps[channel] for channel in present],
            sum(channel < n_attract for channel in present),
            strides=every,
            mask=inside,
        )
    if inside is not None and inside.size:  # pixels outside are numbered too
        labels, _, _ = relabel_sequential(np.where(inside, labels, 0))
    return labels.astype(np.uint32)


def _fill_priority(target: NDArray[np.float32], channel: NDArray[Any], *, repulsive: bool) -> None:
    """Write the priority of each pair of a channel: a, or 1 - a in single precision."""
    with np.errstate(over="ignore"):  # infinite in single precision: refused afterwards
        if repulsive:
            np.subtract(1.0, channel, out=target, dtype=np.float32, casting="unsafe")
        else:
            target[...] = channel


def _checked_affinities(affinities: NDArray[Any]) -> NDArray[Any]:
    values = np.asarray(affinities)
    if values.dtype.kind not in "fb":
        raise InputError(
            f"Affinities must be floating-point numbers from 0 to 1 (or bool), not {values.dtype}."
        )
    if values.ndim not in (3, 4):
        raise InputError(
            "Affinities must have shape (channels, y, x) or (channels, z, y, x), "
            f"not {values.shape}."
        )
    return values


def _checked_offsets(offsets: ArrayLike, shape: tuple[int, ...]) -> list[Offset]:
    """Return the offsets as tuples, one for each channel of affinities of this shape."""
    n_channels, ndim = shape[0], len(shape) - 1
    try:
        steps = np.asarray(offsets)
    except ValueError:  # rows of different lengths
        steps = np.empty(0)
    if n_channels == 0 and steps.size == 0:
        return []
    if steps.shape != (n_channels, ndim):
        raise InputError(
            f"{n_channels} channels of affinities in {ndim}D need one offset of {ndim} steps "
            f"each: shape ({n_channels}, {ndim}), not {steps.shape}."
        )
    if steps.dtype.kind not in "iu":
        raise InputError(f"Offsets must be whole numbers of pixels, not {steps.dtype}.")
    for step in steps.tolist():
        if not any(step):
            raise InputError(
                f"Offset {tuple(step)} pairs each pixel with itself: leave it and its channel out."
            )
    return [tuple(step) for step in steps.tolist()]


def _checked_count(n_attractive: int | None, shape: tuple[int, ...]) -> int:
    wanted = len(shape) - 1 if n_attractive is None else n_attractive
    try:
        count = operator.index(wanted)
    except TypeError:
        raise InputError(
            f"The number of attractive channels must be a whole number, not {wanted!r}."
        ) from None
    if not 0 <= count <= shape[0]:
        raise InputError(
            f"The number of attractive channels must lie between 0 and {shape[0]}, the number "
            f"of channels, not {count}: set n_attractive."
        )
    return count


def _checked_strides(strides: int | Sequence[int] | None, ndim: int) -> tuple[int, ...] | None:
    if strides is None:
        return None
    try:
        listed = strides if isinstance(strides, Iterable) else (strides,) * ndim
        every = tuple(operator.index(step) for step in listed)
    except TypeError:
        every = ()
    if len(every) != ndim or min(every) < 1:
        raise InputError(
            f"Strides must be {ndim} whole numbers of at least 1, one for each axis, "
            f"not {strides!r}."
        )
    return every


def _checked_mask(mask: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    given = np.asarray(mask)
    if given.shape != shape:
        raise InputError(
            f"The mask must have the shape of the image, {shape}, but has {given.shape}."
        )
    if given.dtype.kind == "b":
        return given
    if given.dtype.kind in "iu" and not np.any((given != 0) & (given != 1)):
        return given.astype(bool)
    raise InputError(
        f"The mask must be True inside and False outside, but holds {given.dtype} values: "
        "compare it with a threshold, for example `mask > 0`."
    )
