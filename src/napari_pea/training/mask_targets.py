"""What single-instance masks and sparse branches should predict (methods B2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from scipy import ndimage

from napari_pea.core.masks.lattice import MaskLattice
from napari_pea.core.neighborhood import Offset, sparse_offsets
from napari_pea.core.networks.maskunet import MaskUNet, margin_of
from napari_pea.training.annotation import OUTSIDE, UNANNOTATED
from napari_pea.training.background import Background
from napari_pea.training.data import known_affinities
from napari_pea.training.mask_settings import MaskObjective

if TYPE_CHECKING:
    from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class MaskSamples:
    """Masks of some pixels of a batch.

    Attributes
    ----------
    images : tensor of int64, shape (R,)
        Which crop the pixel is in.
    places : tensor of int64, shape (R, ndim)
        The pixel, of the crop at the level of the branch.
    masks : tensor of float32, shape (R, *mask)
        Inverted: 1 where an entry lies in another object than the pixel.
    valid : tensor of float32, shape (R, *mask)
        0 where that is not known.
    """

    images: torch.Tensor
    places: torch.Tensor
    masks: torch.Tensor
    valid: torch.Tensor


@dataclass(frozen=True)
class ApartTarget:
    """Which pairs of pixels lie in different objects.

    Attributes
    ----------
    apart : tensor of float32, shape (B, N, *spatial)
        Inverted affinities.
    valid : tensor of float32, shape (B, N, *spatial)
        0 where a pair does not count.
    """

    apart: torch.Tensor
    valid: torch.Tensor


@dataclass(frozen=True)
class MaskBatch:
    """Crops and what should be predicted for them.

    Attributes
    ----------
    images : tensor of float32, shape (B, C, *spatial)
    foreground : tensor of int64, shape (B, *spatial)
        1 inside objects, -1 where nothing is annotated.
    dense : tuple of MaskSamples
        For each dense branch of the network.
    sparse : tuple of ApartTarget
        For each of its sparse branches.
    direct : ApartTarget or None
        For the offsets of its affinity head, if it has one.
    window : tuple of slice
        The part of the crops that `direct` is of.
    """

    images: torch.Tensor
    foreground: torch.Tensor
    dense: tuple[MaskSamples, ...]
    sparse: tuple[ApartTarget, ...]
    direct: ApartTarget | None
    window: tuple[slice, ...] = ()


def make_mask_batch(
    crops: Sequence[tuple[NDArray[np.float32], NDArray[np.int32]]],
    network: MaskUNet,
    settings: MaskObjective,
    device: torch.device,
    rng: np.random.Generator,
) -> MaskBatch:
    """Return a batch of (image, labels) crops of one size, on `device`.

    Parameters
    ----------
    crops : sequence of (array, array)
        Images of shape (C, *spatial), and object ids; 0 is background, and negative where
        nothing is annotated.
    network : MaskUNet
        Its branches tell what is needed.
    settings : MaskObjective
        How targets are made.
    device : torch.device
        Where they are put.
    rng : numpy Generator
        Decides which pixels' masks are trained.
    """
    images = np.stack([image for image, _ in crops])
    labels = np.stack([ids for _, ids in crops])
    borders = np.stack([near_others(ids, settings.border) for ids in labels])
    dense = []
    for number, level, lattice in zip(network.dense, network.levels, network.lattices, strict=True):
        samples = draw_masks(
            at_level(labels, level),
            at_level(borders, level),
            lattice_at(lattice, level),
            settings.samples[number - 1],
            rng,
            spacing=settings.spacing[-network.ndim :],
            margins=_margins(network, settings, level),
            background=settings.background,
        )
        dense.append(_moved(samples, device))

    def apart(level: int, offsets: Sequence[Offset]) -> ApartTarget:
        margins = _margins(network, settings, level, skipped=0)
        return apart_target(at_level(labels, level), offsets, settings.background, margins, device)

    window = _window(labels.shape[1:], _margins(network, settings, 0, skipped=0), rng)
    return MaskBatch(
        torch.from_numpy(images).to(device, memory_format=network.memory_format),
        torch.from_numpy(np.clip(labels, UNANNOTATED, 1).astype(np.int64)).to(device),
        tuple(dense),
        tuple(apart(level, sparse_offsets(level, network.ndim)) for level in network.sparse_levels),
        apart_target(
            labels[(slice(None), *window)],
            network.offsets,
            settings.background,
            (0,) * network.ndim,
            device,
        )
        if network.offsets
        else None,
        window,
    )


def at_level(labels: NDArray[Scalar], level: int) -> NDArray[Scalar]:
    """Return every 2^level-th pixel within sections, from the middle of the first on."""
    step = 2**level
    return labels[..., step // 2 :: step, step // 2 :: step]


def lattice_at(lattice: MaskLattice, level: int) -> MaskLattice:
    """Return a lattice of pixels of the image in pixels of a level."""
    *across, along_y, along_x = lattice.strides
    return MaskLattice((*across, along_y // 2**level, along_x // 2**level), lattice.shape)


def near_others(labels: NDArray[np.int32], width: int) -> NDArray[np.bool_]:
    """Return where another object, or background, is near in the same section.

    Parameters
    ----------
    labels : array of int32, shape (Y, X) or (Z, Y, X)
        Object ids; 0 is background, and negative where nothing is annotated.
    width : int
        How many pixels at each side of where labels change; 0 for none.
    """
    near = np.zeros(labels.shape, dtype=bool)
    if not width:
        return near
    for axis in (-2, -1):
        one, other = (
            np.swapaxes(labels, axis, 0)[part] for part in (slice(None, -1), slice(1, None))
        )
        # Next to what is not annotated nothing is known, unless it is known to be outside.
        changes = (one != other) & (one != UNANNOTATED) & (other != UNANNOTATED)
        changes &= (one > 0) | (other > 0)
        along = np.swapaxes(near, axis, 0)
        along[:-1] |= changes
        along[1:] |= changes
    side = 2 * width - 1
    window = (1,) * (labels.ndim - 2) + (side, side)
    widened: NDArray[np.bool_] = ndimage.maximum_filter(near, window)
    return widened


def draw_masks(
    labels: NDArray[np.int32],
    borders: NDArray[np.bool_],
    lattice: MaskLattice,
    count: int,
    rng: np.random.Generator,
    *,
    spacing: Sequence[int],
    margins: Sequence[int] = (),
    background: Background = "ignored",
) -> MaskSamples:
    """Draw pixels of each image, and return their masks.

    Parameters
    ----------
    labels : array of int, shape (B, *spatial)
        Object ids; 0 is background, and negative where nothing is annotated.
    borders : array of bool, shape (B, *spatial)
        Where masks are empty: all ones.
    lattice : MaskLattice
        Of the masks, in pixels of the labels.
    count : int
        Masks of each image; fewer if there are not as many pixels.
    rng : numpy Generator
        Decides everything.
    spacing : sequence of int
        Pixels are drawn from a lattice as wide, which begins at random.
    margins : sequence of int, optional
        Pixels at both ends of each axis whose masks are not drawn.
    background : {"object", "apart", "ignored"}
        See `MaskObjective`.
    """
    ndim = labels.ndim - 1
    margins = tuple(margins) or (0,) * ndim
    drawn = []
    for index, ids in enumerate(labels):
        starts = [
            margin + int(rng.integers(max(1, min(step, size - 2 * margin))))
            for step, size, margin in zip(spacing, ids.shape, margins, strict=True)
        ]
        where = tuple(
            slice(start, max(start, size - margin), step)
            for start, size, margin, step in zip(starts, ids.shape, margins, spacing, strict=True)
        )
        known = ids[where] > 0 if background == "ignored" else ids[where] >= 0
        places = np.argwhere(known) * spacing + starts
        if len(places) > count:
            places = places[np.sort(rng.choice(len(places), count, replace=False))]
        drawn.append(np.insert(places, 0, index, axis=1))
    centres = np.concatenate(drawn)
    masks, valid = masks_at(labels, borders, lattice, centres, background)
    return MaskSamples(
        torch.from_numpy(centres[:, 0].copy()),
        torch.from_numpy(centres[:, 1:].copy()),
        torch.from_numpy(masks),
        torch.from_numpy(valid),
    )


def masks_at(
    labels: NDArray[np.int32],
    borders: NDArray[np.bool_],
    lattice: MaskLattice,
    centres: NDArray[np.int64],
    background: Background = "ignored",
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the inverted masks of some pixels, and which entries count.

    Parameters
    ----------
    labels, borders, lattice, background
        See `draw_masks`.
    centres : array of int, shape (R, 1 + ndim)
        Which image, and the pixel in it.

    Returns
    -------
    masks : array of float32, shape (R, *mask)
        1 where an entry lies in another object than the pixel; all ones near borders, the
        pixel itself included, and in background that is no object.
    valid : array of float32, shape (R, *mask)
        0 where an entry lies outside of the image or its object is not known.
    """
    shape = np.array(labels.shape[1:])
    places = centres[:, None, 1:] + lattice.steps
    inside = ((places >= 0) & (places < shape)).all(axis=2)
    places = np.clip(places, 0, shape - 1)
    images = centres[:, :1]
    ids = labels[(images, *np.moveaxis(places, -1, 0))]
    own = labels[tuple(centres.T)][:, None]
    apart = ids != own
    apart |= borders[tuple(centres.T)][:, None]
    valid = inside & (ids != UNANNOTATED)
    if background == "ignored":
        valid &= ids != 0
    elif background == "apart":
        apart |= own == 0
    else:  # what lies outside of all painted objects may be background
        valid &= (ids != OUTSIDE) | (own > 0)
    folded = (len(centres), *lattice.shape)
    return apart.astype(np.float32).reshape(folded), valid.astype(np.float32).reshape(folded)


def apart_target(
    labels: NDArray[np.int32],
    offsets: Sequence[Offset],
    background: Background,
    margins: Sequence[int],
    device: torch.device,
) -> ApartTarget:
    """Return the inverted affinities of a batch of labels, without some margins.

    Parameters
    ----------
    labels, background, margins
        See `draw_masks`. If background is ignored, pairs with one end in it do not count.
    offsets : sequence of offset
        In pixels of the labels.
    device : torch.device
        Where the target is put.
    """
    inner = tuple(
        slice(margin, size - margin) for margin, size in zip(margins, labels.shape[1:], strict=True)
    )
    known = np.where(labels == 0, UNANNOTATED, labels) if background == "ignored" else labels
    pairs = [known_affinities(ids, offsets, background) for ids in known]
    apart = np.stack([1 - affinities[(slice(None), *inner)] for affinities, _ in pairs])
    valid = np.stack([counts[(slice(None), *inner)] for _, counts in pairs])
    return ApartTarget(
        torch.from_numpy(apart).to(device), torch.from_numpy(valid).to(device).float()
    )


def _window(
    shape: Sequence[int], margins: Sequence[int], rng: np.random.Generator
) -> tuple[slice, ...]:
    """Return where the affinity head is trained: half of each side of a section, by chance.

    The head has more work at each pixel than the whole network, and little to learn.
    """
    window = []
    for axis, (size, margin) in enumerate(zip(shape, margins, strict=True)):
        free = size - 2 * margin
        side = free if axis < len(shape) - 2 else -(-free // 2)
        start = margin + int(rng.integers(free - side + 1))
        window.append(slice(start, start + side))
    return tuple(window)


def _margins(
    network: MaskUNet, settings: MaskObjective, level: int, skipped: int | None = None
) -> tuple[int, ...]:
    """Return how many pixels of a level are not trained at both ends of each axis."""
    within = margin_of(level) if settings.drop_borders else 0
    across = settings.skipped_sections if skipped is None else skipped
    return (across, within, within)[-network.ndim :]


def _moved(samples: MaskSamples, device: torch.device) -> MaskSamples:
    return MaskSamples(
        samples.images.to(device),
        samples.places.to(device),
        samples.masks.to(device),
        samples.valid.to(device),
    )
