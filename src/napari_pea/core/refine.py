"""From raw labels to the objects that are handed over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from napari_pea.core.constraints import Constraints
from napari_pea.core.errors import InputError
from napari_pea.core.fragments import absorbed_into, typical_size
from napari_pea.core.labels import checked_labels, compact
from napari_pea.core.progress import CancelToken, check_cancel
from napari_pea.core.settings import SegmentationSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pea.core.evidence import Evidence

Integer = TypeVar("Integer", bound=np.integer)

DEFAULT_PASSES: tuple[tuple[int, int], ...] = ((5, 5), (25, 11), (50, 11), (100, 21))
"""Largest fragment and side of the window, in pixels, of each merging pass (BBBC039)."""

FRAGMENT_SHARE = 0.25
"""Largest fragment that `refine` merges without evidence, as a share of the typical object."""


def refine(
    labels: NDArray[np.integer],
    settings: SegmentationSettings,
    *,
    evidence: Evidence | None = None,
    constraints: Constraints | None = None,
    cut_sides: Sequence[tuple[bool, bool]] | None = None,
    cancel: CancelToken | None = None,
) -> NDArray[np.uint32]:
    """Return labels without fragments, small objects and holes.

    Fragments are merged before small objects are removed, so that a piece of an object is
    not lost; holes come last, because a removed speck inside an object leaves one.

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        Object ids; 0 is background. Not changed.
    settings : SegmentationSettings
        `merge_fragments`, `min_size` and `fill_holes` are used.
    evidence : Evidence, optional
        What the labels come from, an embedding or affinities. It tells which fragments to
        merge with what (see `napari_pea.core.fragments`); without it only their sizes and
        places do.
    constraints : Constraints, optional
        What cannot be one object is not merged (along with `evidence`), nor by filling holes.
    cut_sides : sequence of (bool, bool), optional
        For each axis, whether the image goes on before and beyond. What touches such a side
        is part of something larger, and no fragment (along with `evidence`).
    cancel : CancelToken, optional
        Checked between the steps.

    Returns
    -------
    array of uint32, shape (*spatial)
        Objects numbered from 1 without gaps, in the order of their ids.

    Raises
    ------
    InputError
        If the labels are not whole numbers of at least 0, or the evidence does not fit them.
    Cancelled
        If `cancel` was set.

    Notes
    -----
    Without evidence, fragments are merged by the published rule (`merge_fragments`), with two
    differences. Its passes suit objects of several hundred pixels; where objects are
    smaller, they would merge whole objects, so a pass is left out if its fragments could
    have more than a quarter of the pixels of the typical object. For the same reason
    fragments go only to objects that they touch.
    """
    positions, ids = compact(checked_labels(labels))
    if positions.size == 0:
        return positions.astype(np.uint32)
    if settings.merge_fragments and evidence is not None:
        kept = None if cut_sides is None else _at_sides(positions, cut_sides)
        target, sizes = absorbed_into(positions, evidence, constraints, kept=kept)
    else:
        if settings.merge_fragments:
            positions, ids = compact(_without_fragments(positions, cancel))
        sizes = np.bincount(positions.reshape(-1), minlength=len(ids))
        sizes[0] = 0
        target = np.arange(len(ids))
    check_cancel(cancel)
    stays = sizes >= max(1, settings.min_size)
    number = np.where(stays, np.cumsum(stays), 0).astype(np.uint32)
    refined: NDArray[np.uint32] = number[target][positions]
    if settings.fill_holes:
        filled = fill_holes(refined)
        if constraints is not None:
            _keep_apart(filled, refined, constraints)
        refined = filled
    return refined


def _without_fragments(labels: NDArray[Integer], cancel: CancelToken | None) -> NDArray[Integer]:
    """Return labels without fragments, by the published rule where the objects allow it."""
    sizes = np.bincount(labels.reshape(-1))[1:]
    largest = FRAGMENT_SHARE * typical_size(sizes)
    passes = [(size, window) for size, window in DEFAULT_PASSES if size <= largest]
    return merge_fragments(labels, passes, touching=True, cancel=cancel)


def _at_sides(labels: NDArray[Any], sides: Sequence[tuple[bool, bool]]) -> NDArray[Any]:
    """Return the ids at some sides of an image."""
    found = [np.zeros(0, dtype=labels.dtype)]
    for axis, ends in enumerate(sides):
        for end, wanted in zip((0, -1), ends, strict=True):
            if wanted:
                found.append(np.unique(labels.take(end, axis=axis)))
    return np.unique(np.concatenate(found))


def _keep_apart(filled: NDArray[Any], before: NDArray[Any], constraints: Constraints) -> None:
    """Empty pixels again that would make one object of two that cannot be one."""
    pairs = constraints.cannot_link
    first, second = filled.reshape(-1)[pairs].T
    broken = pairs[(first == second) & (first > 0)].reshape(-1)
    filled.reshape(-1)[broken[before.reshape(-1)[broken] == 0]] = 0


def merge_fragments(
    labels: NDArray[Integer],
    passes: Sequence[tuple[int, int]] = DEFAULT_PASSES,
    *,
    touching: bool = False,
    cancel: CancelToken | None = None,
) -> NDArray[Integer]:
    """Give small fragments to the object around them (methods A9, "Merge small").

    In each pass, every object that is small at its start is looked at in the order of the
    ids, through a window around its centre. It is left alone if the window shows no more
    than two ids, background included, or if it fills most of the window itself. Else it
    takes the id of the object that fills most of the window, and is part of that object
    when the next one is looked at. Nothing is deleted.

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        Object ids; 0 is background. Not changed.
    passes : sequence of (int, int), optional
        For each pass, the most pixels of a fragment and the side of the window in pixels,
        an odd number. By default those that the authors use for BBBC039.
    touching : bool
        Whether a fragment is left alone if it does not touch that object. The published
        rule, the default, also merges across background.
    cancel : CancelToken, optional
        Checked before each fragment.

    Returns
    -------
    array of int, shape (*spatial)
        Labels of the same type; ids of merged fragments no longer occur.

    Raises
    ------
    InputError
        If the labels are not whole numbers of at least 0, or a pass makes no sense.
    Cancelled
        If `cancel` was set.

    Notes
    -----
    The window is cut off at the border of the image. The authors' code instead leaves
    fragments alone whose window reaches over the upper or left border. Of ids that are
    equally frequent the lowest counts as the more frequent.
    """
    for size, window in passes:
        if size < 1 or window < 1 or window % 2 == 0:
            raise InputError(
                "A merging pass needs a size of at least 1 pixel and a window with an odd "
                f"side, not {(size, window)}."
            )
    positions, ids = compact(checked_labels(labels))
    merged = positions.copy()
    sizes = np.bincount(merged.ravel(), minlength=len(ids))
    fragments = _pixels_of(merged, sizes, max((size for size, _ in passes), default=0))
    for size, window in passes:
        for label in [n for n, pixels in sorted(fragments.items()) if len(pixels) <= size]:
            check_cancel(cancel)
            pixels = fragments[label]
            target = _surrounding_label(merged, label, pixels, window // 2)
            if target is None or (touching and not _touches(merged, pixels, target)):
                continue
            del fragments[label]
            merged[tuple(pixels.T)] = target
            if target in fragments:
                fragments[target] = np.concatenate((fragments[target], pixels))
    return _ids_at(ids, merged)


def remove_small(labels: NDArray[Integer], min_size: int) -> NDArray[Integer]:
    """Make objects with fewer than `min_size` pixels background.

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        Object ids; 0 is background. Not changed.
    min_size : int
        The fewest pixels of an object that is kept.

    Returns
    -------
    array of int, shape (*spatial)
        Labels of the same type; objects that are kept keep their ids.

    Raises
    ------
    InputError
        If the labels are not whole numbers of at least 0.
    """
    positions, ids = compact(checked_labels(labels))
    sizes = np.bincount(positions.ravel(), minlength=len(ids))
    return _ids_at(np.where(sizes >= min_size, ids, 0).astype(ids.dtype), positions)


def fill_holes(labels: NDArray[Integer]) -> NDArray[Integer]:
    """Fill the holes inside objects.

    A hole is a piece of background, connected along the axes, that does not reach the
    border of the image and touches exactly one object. Background between two objects
    stays.

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        Object ids; 0 is background. Not changed.

    Returns
    -------
    array of int, shape (*spatial)
        Labels of the same type.

    Raises
    ------
    InputError
        If the labels are not whole numbers of at least 0.
    """
    from scipy import ndimage

    filled = np.array(checked_labels(labels), order="C")
    pieces, n_pieces = ndimage.label(filled == 0)
    enclosed = np.ones(n_pieces + 1, dtype=bool)
    enclosed[0] = False
    for axis in range(pieces.ndim):
        for end in pieces.swapaxes(0, axis)[[0, -1]] if pieces.size else ():
            enclosed[end] = False
    flat = filled.reshape(-1)
    where = np.flatnonzero(enclosed[pieces])
    piece = pieces.reshape(-1)[where]
    lowest = np.full(n_pieces + 1, np.iinfo(filled.dtype).max, dtype=filled.dtype)
    highest = np.zeros(n_pieces + 1, dtype=filled.dtype)
    for stride in filled.strides:
        step = stride // filled.itemsize
        for neighbor in (flat[where - step], flat[where + step]):
            touching = neighbor > 0
            np.minimum.at(lowest, piece[touching], neighbor[touching])
            np.maximum.at(highest, piece[touching], neighbor[touching])
    owner = np.where(lowest == highest, highest, 0)
    flat[where] = owner[piece]
    return filled


def _ids_at(ids: NDArray[Integer], positions: NDArray[Any]) -> NDArray[Integer]:
    """Return the labels again, after `compact`."""
    labels: NDArray[Integer] = ids[positions]
    return labels


def _pixels_of(
    labels: NDArray[Any], sizes: NDArray[np.intp], largest: int
) -> dict[int, NDArray[np.intp]]:
    """Return the coordinates, shape (n, ndim), of all objects of up to `largest` pixels."""
    wanted = (sizes > 0) & (sizes <= largest)
    wanted[0] = False
    pixels = np.argwhere(wanted[labels])
    owner = labels[tuple(pixels.T)]
    order = np.argsort(owner, kind="stable")
    listed = np.flatnonzero(wanted)
    ends = np.cumsum(sizes[listed])
    return dict(zip(listed.tolist(), np.split(pixels[order], ends)[:-1], strict=True))


def _surrounding_label(
    labels: NDArray[Any], label: int, pixels: NDArray[np.intp], reach: int
) -> int | None:
    """Return the object that a fragment belongs to, or None if it is to stay as it is."""
    center = (pixels.sum(axis=0) // len(pixels)).tolist()
    window = labels[tuple(slice(max(0, c - reach), c + reach + 1) for c in center)]
    present, counts = np.unique(window, return_counts=True)
    if len(present) <= 2:
        return None
    by_frequency = present[np.argsort(-counts, kind="stable")].tolist()
    if by_frequency[0] == label:
        return None
    return int(next(n for n in by_frequency if n not in (0, label)))


def _touches(labels: NDArray[Any], pixels: NDArray[np.intp], target: int) -> bool:
    """Whether one of the pixels is a direct neighbour of the object `target`."""
    last = np.array(labels.shape) - 1
    for step in np.eye(labels.ndim, dtype=np.intp):
        for neighbors in (np.maximum(pixels - step, 0), np.minimum(pixels + step, last)):
            if (labels[tuple(neighbors.T)] == target).any():
                return True
    return False
