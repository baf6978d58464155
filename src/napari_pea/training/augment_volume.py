"""Random changes of the training crops of volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_pea.training.annotation import UNANNOTATED
from napari_pea.training.augment import (
    Rng,
    change_intensity,
    crop_centre,
    crop_coordinates,
    focused_centre,
)
from napari_pea.training.settings import AugmentationSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray


def augmented_block(
    image: NDArray[np.float32],
    labels: NDArray[np.int32],
    shape: Sequence[int],
    settings: AugmentationSettings,
    rng: Rng,
    *,
    isotropic: bool,
    focus: Sequence[int] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Cut a random crop out of a volume and change it (methods A7, B3).

    Sections are flipped, turned, scaled and bent like an image (`augmented_crop`), all alike,
    and their order may be reversed. Where all axes are alike, any of them may be that of the
    sections.

    Parameters
    ----------
    image : array of float32, shape (C, Z, Y, X)
        Normalised volume.
    labels : array of int32, shape (Z, Y, X)
        Object ids, and -1 where nothing is annotated.
    shape : sequence of int
        Of the crop; the last two are the same.
    settings : AugmentationSettings
        How much is changed.
    rng : numpy Generator
        Decides everything.
    isotropic : bool
        Whether all axes are alike.
    focus : sequence of int, optional
        A voxel that the crop shows, somewhere around its middle.

    Returns
    -------
    image : array of float32, shape (C, *shape)
    labels : array of int32, shape (*shape)
    """
    depth, side = shape[0], shape[-1]
    order = rng.permutation(3) if isotropic else np.arange(3)
    volume, ids = image.transpose(0, *(order + 1)), labels.transpose(order)
    at = None if focus is None else tuple(int(focus[axis]) for axis in order)
    sections, known = _sections(len(ids), depth, rng, None if at is None else at[0])
    plane = None if at is None else (at[1], at[2])
    coordinates = crop_coordinates(ids.shape[1:], side, settings, rng, plane)
    moved = _moved(depth, settings, rng)
    crop = np.empty((len(image), *shape), np.float32)
    crop_labels = np.full(tuple(shape), UNANNOTATED, np.int32)
    beyond = "mirror" if focus is None else "constant"
    for index, section in enumerate(sections):
        where = coordinates + moved[index][:, None, None]
        for channel, source in zip(crop, volume, strict=True):
            ndimage.map_coordinates(
                source[section], where, output=channel[index], order=1, mode="mirror"
            )
        if focus is None or known[index]:
            ndimage.map_coordinates(
                ids[section],
                where,
                output=crop_labels[index],
                order=0,
                mode=beyond,
                cval=UNANNOTATED,
            )
    if isotropic:
        crop = change_intensity(crop, settings, rng)
    else:
        sections_changed = [change_intensity(crop[:, z], settings, rng) for z in range(depth)]
        crop = np.stack(sections_changed, axis=1)
    if rng.random() < settings.missing_probability:
        crop[:, rng.integers(depth)] = 0
    return crop, crop_labels


def _sections(
    size: int, depth: int, rng: Rng, focus: int | None
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return which sections a crop shows, mirrored beyond the last, and which are inside."""
    middle = (
        crop_centre(size, depth, rng) if focus is None else focused_centre(focus, size, depth, rng)
    )
    wanted = np.floor(np.arange(depth) - (depth - 1) / 2 + middle).astype(np.intp)
    if rng.random() < 0.5:
        wanted = wanted[::-1]
    period = max(1, 2 * (size - 1))
    folded = np.abs(wanted) % period
    return np.minimum(folded, period - folded), (wanted >= 0) & (wanted < size)


def _moved(depth: int, settings: AugmentationSettings, rng: Rng) -> NDArray[np.float64]:
    """Return by how much each section is out of place, shape (depth, 2)."""
    moved = np.zeros((depth, 2))
    if depth > 1 and rng.random() < settings.shift_probability:
        moved[rng.integers(1, depth) :] = rng.integers(-settings.shift, settings.shift + 1, 2)
    return moved
