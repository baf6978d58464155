"""Random changes of training crops, and the transforms of the cross branch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage

from napari_pea.training.annotation import UNANNOTATED
from napari_pea.training.settings import AugmentationSettings, ObjectiveSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

Rng = np.random.Generator


def augmented_crop(
    image: NDArray[np.float32],
    labels: NDArray[np.int32],
    side: int,
    settings: AugmentationSettings,
    rng: Rng,
    *,
    focus: Sequence[int] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Cut a random crop and change it (methods A7).

    Geometry is applied while the crop is cut, so that only the pixels of the crop are
    computed and nothing has to be filled in: beyond its edges the image is mirrored, and so
    are its labels. With a focus the labels are not: there nothing is annotated beyond the edges.

    Parameters
    ----------
    image : array of float32, shape (C, Y, X)
        Normalised image.
    labels : array of int32, shape (Y, X)
        Object ids, and -1 where nothing is annotated.
    side : int
        Side of the crop in pixels.
    settings : AugmentationSettings
        How much is changed.
    rng : numpy Generator
        Decides everything.
    focus : (int, int), optional
        A pixel that the crop shows, somewhere around its middle; by default any crop of the
        image is as likely as any other.

    Returns
    -------
    image : array of float32, shape (C, side, side)
    labels : array of int32, shape (side, side)
    """
    coordinates = crop_coordinates(labels.shape, side, settings, rng, focus)
    crop = np.stack(
        [ndimage.map_coordinates(channel, coordinates, order=1, mode="mirror") for channel in image]
    )
    beyond = "mirror" if focus is None else "constant"
    crop_labels = ndimage.map_coordinates(
        labels, coordinates, order=0, mode=beyond, cval=UNANNOTATED
    )
    return change_intensity(crop, settings, rng), crop_labels


def crop_coordinates(
    shape: tuple[int, ...],
    side: int,
    settings: AugmentationSettings,
    rng: Rng,
    focus: Sequence[int] | None,
) -> NDArray[np.float64]:
    """Return where in an image the pixels of a crop lie, shape (2, side, side).

    See `augmented_crop`.
    """
    axis = np.arange(side) - (side - 1) / 2
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"))
    if rng.random() < 0.5:
        grid = grid[::-1]
    grid = grid * rng.choice([-1, 1], size=(2, 1, 1))
    if focus is None:
        centre = np.array([crop_centre(size, side, rng) for size in shape])
    else:
        centre = np.array(
            [focused_centre(at, size, side, rng) for at, size in zip(focus, shape, strict=True)]
        )
    if rng.random() < settings.geometric_probability:
        angle = rng.uniform(0, 2 * np.pi)
        low, high = np.log(settings.scale)
        scale = np.exp(rng.uniform(low, high))
        stretch = np.exp(rng.uniform(-0.1, 0.1, size=(2, 1)))
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        grid = np.tensordot(rotation * stretch / scale, grid, axes=1)
        grid = grid + _elastic_displacement(side, settings, rng)
        return np.asarray(grid + centre[:, None, None])
    # Where image and crop cannot be centred to the pixel, all pixels shift by half a pixel.
    return np.asarray(np.floor(grid + centre[:, None, None]))


def crop_centre(size: int, side: int, rng: Rng) -> float:
    """Return a random crop centre along an axis, inside the image if it is large enough."""
    if size <= side:
        return (size - 1) / 2
    return float(rng.integers(0, size - side + 1)) + (side - 1) / 2


def focused_centre(focus: int, size: int, side: int, rng: Rng) -> float:
    """Return a random crop centre along an axis, near enough to a pixel to show it.

    The crop stays inside the image as far as the pixel, turned by any angle, stays in the crop.
    """
    wanted = focus + int(rng.integers(-(side // 5), side // 5 + 1)) + (side % 2 - 1) / 2
    half = min(side, size) / 2 - 0.5
    inside = np.clip(wanted, half, size - 1 - half)
    return float(np.clip(inside, focus - side // 3, focus + side // 3))


def _elastic_displacement(
    side: int, settings: AugmentationSettings, rng: Rng
) -> NDArray[np.float64]:
    """Return smooth random displacements in pixels, shape (2, side, side)."""
    points = side // settings.elastic_spacing + 3
    amplitude = rng.uniform(0, settings.elastic_amplitude)
    coarse = rng.uniform(-amplitude, amplitude, size=(2, points, points))
    weights = _spline_weights(side, points)
    return np.asarray(weights @ coarse @ weights.T)


@lru_cache(maxsize=8)
def _spline_weights(side: int, points: int) -> NDArray[np.float64]:
    """Return what each of `points` values counts in a cubic spline at `side` positions.

    The spline is separable, so these weights do for both axes, and a product of small matrices
    takes the place of an interpolation at every pixel.
    """
    positions = np.linspace(0.5, points - 1.5, side)
    columns = [ndimage.map_coordinates(unit, [positions], order=3) for unit in np.eye(points)]
    weights = np.stack(columns, axis=1)
    weights.flags.writeable = False
    return weights


def change_intensity(
    image: NDArray[np.float32], settings: AugmentationSettings, rng: Rng
) -> NDArray[np.float32]:
    """Change contrast, brightness, gamma, sharpness and noise, each with its probability.

    Parameters
    ----------
    image : array of float32, shape (C, *spatial)
        Normalised image.
    settings : AugmentationSettings
        How much is changed.
    rng : numpy Generator
        Decides everything.
    """
    changed: NDArray[np.floating] = image
    if rng.random() < settings.intensity_probability:
        gamma = 2 ** rng.uniform(-settings.gamma, settings.gamma)
        changed = np.sign(changed) * np.abs(changed) ** gamma
        contrast = 1 + rng.uniform(-settings.contrast, settings.contrast)
        changed = changed * contrast + rng.uniform(-settings.brightness, settings.brightness)
    if rng.random() < settings.blur_probability:
        sigma = rng.uniform(0, settings.blur)
        changed = ndimage.gaussian_filter(changed, (0, *(sigma for _ in image.shape[1:])))
    if rng.random() < settings.noise_probability:
        scale = rng.uniform(0, settings.noise)
        changed = changed + rng.normal(0, scale, size=changed.shape)
    return np.ascontiguousarray(changed, dtype=np.float32)


@dataclass(frozen=True)
class CrossTransform:
    """The transform of the cross branch: intensity, cutout, then flips (methods A6).

    Volumes are cut out and flipped along all axes too; the authors change the gamma of their
    sections besides.

    Attributes
    ----------
    flips : tuple of int
        Spatial axes that are flipped, counted from the last, as negative numbers.
    transpose : bool
        Whether y and x are exchanged after the flips.
    contrast, brightness : float
        Factor and shift of the intensities.
    squares : tuple of (y, x) or (z, y, x)
        Corners of the cut-out squares or blocks.
    square_side : int
        Their common side in pixels; blocks have half as many sections.
    """

    flips: tuple[int, ...]
    transpose: bool
    contrast: float
    brightness: float
    squares: tuple[tuple[int, ...], ...]
    square_side: int

    @classmethod
    def draw(cls, shape: Sequence[int], rng: Rng) -> CrossTransform:
        """Draw a transform for crops of `shape` (Y, X) or (Z, Y, X)."""
        if len(shape) == 2:
            side, most = int(rng.integers(0, 21)), 20
        else:
            side, most = int(rng.integers(10, 21)), 60
        count = int(rng.integers(0, most + 1)) if side else 0
        corners = tuple(tuple(int(rng.integers(0, size)) for size in shape) for _ in range(count))
        return cls(
            flips=tuple(axis for axis in (-1, -2, -3)[: len(shape)] if rng.random() < 0.5),
            transpose=bool(rng.random() < 0.5),
            contrast=1 + rng.uniform(-0.05, 0.05),
            brightness=rng.uniform(-0.05, 0.05),
            squares=corners,
            square_side=side,
        )

    def limited(self, settings: ObjectiveSettings) -> CrossTransform:
        """Return the transform with those of its parts only that the settings want."""
        return replace(
            self,
            flips=self.flips if settings.cross_flips else (),
            transpose=self.transpose and settings.cross_flips,
            squares=self.squares if settings.cross_cutout else (),
            contrast=self.contrast if settings.cross_intensity else 1.0,
            brightness=self.brightness if settings.cross_intensity else 0.0,
        )

    def apply(self, image: torch.Tensor, foreground: torch.Tensor) -> torch.Tensor:
        """Transform images of shape (B, C, *spatial).

        Cut-out squares take the mean intensity of the foreground, shape (B, *spatial); blocks
        of volumes become 0.
        """
        changed = image * self.contrast + self.brightness
        if self.squares:
            fill = image.new_zeros(())
            if image.ndim == 4:
                inside = foreground[:, None].to(image.dtype)
                total = inside.sum(dim=(2, 3), keepdim=True).clamp(min=1.0)
                fill = (changed * inside).sum(dim=(2, 3), keepdim=True) / total
            mask = torch.zeros(image.shape[2:], dtype=torch.bool, device=image.device)
            sides = (self.square_side // 2, self.square_side, self.square_side)[-mask.ndim :]
            for corner in self.squares:
                mask[tuple(slice(at, at + n) for at, n in zip(corner, sides, strict=True))] = True
            changed = torch.where(mask, fill, changed)
        changed = changed.flip(self.flips)
        return changed.transpose(-1, -2) if self.transpose else changed

    def undo(self, embedding: torch.Tensor) -> torch.Tensor:
        """Bring an embedding of the transformed image back, shape (B, D, *spatial)."""
        turned = embedding.transpose(-1, -2) if self.transpose else embedding
        return turned.flip(self.flips)
