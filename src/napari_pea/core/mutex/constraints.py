"""What the user has said about pixels, as the Mutex Watershed needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.constraints import linked_groups
from napari_pea.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Linked:
    """Pixels that are one from the start, and those that stay apart.

    Attributes
    ----------
    pixels, first : array of int64, shape (M,)
        Pixels that are linked to others, and for each the first pixel of its set.
    apart : array of int64, shape (P, 2)
        Pairs of pixels that cannot be in one object.
    groups : array of uint32, shape (pixels,) or (0,)
        Pixels of different groups cannot be in one object; 0 is no group.
    """

    pixels: NDArray[np.int64]
    first: NDArray[np.int64]
    apart: NDArray[np.int64]
    groups: NDArray[np.uint32]

    @property
    def spoken(self) -> NDArray[np.int64]:
        """One pixel at least of every set that something is said about."""
        return np.concatenate((self.first, self.apart.reshape(-1), np.flatnonzero(self.groups)))

    def __bool__(self) -> bool:
        """Whether anything is said."""
        return bool(self.pixels.size or self.apart.size or self.groups.size)


def linked(
    must_link: ArrayLike | None,
    cannot_link: ArrayLike | None,
    shape: tuple[int, ...],
    inside: NDArray[np.bool_] | None,
) -> Linked:
    """Return constraints as sets of pixels.

    Parameters
    ----------
    must_link, cannot_link : array-like, optional
        Pairs of pixels or a label image; see `mutex_watershed`.
    shape : tuple of int
        Of the image.
    inside : array of bool, shape (*spatial), optional
        Where objects may be; constraints elsewhere say nothing.

    Raises
    ------
    InputError
        If a constraint is malformed, or two contradict each other.
    """
    must, must_groups = _pairs_or_groups(must_link, shape, "must_link")
    apart, groups = _pairs_or_groups(cannot_link, shape, "cannot_link")
    if must_groups.size:
        pixels = np.flatnonzero(must_groups)
        order = np.argsort(must_groups[pixels], kind="stable")
        pixels = pixels[order]
        same = must_groups[pixels[1:]] == must_groups[pixels[:-1]]
        must = np.stack([pixels[:-1], pixels[1:]], axis=-1)[same]
    if inside is not None:
        flat = inside.reshape(-1)
        must = must[flat[must].all(axis=1)]
        apart = apart[flat[apart].all(axis=1)]
        groups = np.where(flat, groups, np.uint32(0)) if groups.size else groups
    pixels, component = linked_groups(must)
    _, first = np.unique(component, return_index=True)
    result = Linked(pixels, pixels[first[component]] if pixels.size else pixels, apart, groups)
    _check(result, shape)
    return result


def _check(given: Linked, shape: tuple[int, ...]) -> None:
    """Make sure that no constraint contradicts another."""

    def set_of(pixels: NDArray[np.int64]) -> NDArray[np.int64]:
        if not given.pixels.size:
            return pixels
        place = np.minimum(np.searchsorted(given.pixels, pixels), given.pixels.size - 1)
        return np.where(given.pixels[place] == pixels, given.first[place], pixels)

    pair = None
    clash = np.flatnonzero(set_of(given.apart[:, 0]) == set_of(given.apart[:, 1]))
    if clash.size:
        pair = given.apart[clash[0]].tolist()
    elif given.groups.size:
        members = np.flatnonzero(given.groups)
        owner = set_of(members)
        order = np.argsort(owner, kind="stable")
        owner, members = owner[order], members[order]
        group = given.groups[members]
        clash = np.flatnonzero((owner[1:] == owner[:-1]) & (group[1:] != group[:-1]))
        if clash.size:
            pair = members[clash[0] : clash[0] + 2].tolist()
    if pair is not None:
        ends = [tuple(int(c) for c in np.unravel_index(pixel, shape)) for pixel in pair]
        raise InputError(
            f"Pixels {ends[0]} and {ends[1]} must be in one object (must_link) and cannot be "
            "(cannot_link): take one of the two constraints away."
        )


def _pairs_or_groups(
    given: ArrayLike | None, shape: tuple[int, ...], name: str
) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Return pairs of flat indices, shape (P, 2), and groups; one of them is of no length."""
    no_pairs, no_groups = np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=np.uint32)
    if given is None:
        return no_pairs, no_groups
    try:
        array: NDArray[Any] = np.asarray(given)
    except ValueError:  # rows of different lengths
        array = np.ones(1)
    if array.size == 0:
        return no_pairs, no_groups
    ndim = len(shape)
    fits = array.shape == shape or array.shape[1:] in ((2,), (2, ndim))
    if array.dtype.kind not in "iu" or not fits:
        raise InputError(
            f"{name} must be a label image of shape {shape}, or pairs of pixels of shape "
            f"(P, 2, {ndim}) or, as flat indices, (P, 2), all of whole numbers; not "
            f"{array.dtype} of shape {array.shape}."
        )
    if array.shape == shape and shape[1:] in ((2,), (2, ndim)) and array.any():
        other = "coordinates" if ndim == 2 else "flat indices"
        raise InputError(
            f"{name} of shape {shape} could be pairs of pixels or a label image: give pairs, "
            f"as {other}."
        )
    if array.shape == shape:
        if array.min() < 0:
            raise InputError(f"The label image {name} cannot be negative: 0 is no label.")
        _, numbers = np.unique(array.reshape(-1), return_inverse=True)
        return no_pairs, (numbers + int(array.min() > 0)).astype(np.uint32)
    limits = np.array(shape) if array.ndim == 3 else np.array(int(np.prod(shape)))
    if (array < 0).any() or (array >= limits).any():
        raise InputError(f"A pixel of {name} lies outside of the image, whose shape is {shape}.")
    if array.ndim == 3:
        array = np.ravel_multi_index(tuple(np.moveaxis(array, -1, 0)), shape)
    return array.astype(np.int64), no_groups
