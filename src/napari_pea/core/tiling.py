"""Running a network over an image of any size, in tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.device import Precision, autocast
from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from napari_pea.core.networks.base import Network

#: Width of the seam across which two tiles are blended, in pixels and in sections that the
#: network never makes coarser.
BLEND, BLEND_SECTIONS = 16, 4
#: Side of a tile of an image, halo included.
DEFAULT_TILE = 1280


@dataclass(frozen=True)
class _Span:
    """One tile along one axis: where it lies, and the weights of its pixels."""

    start: int
    stop: int
    weights: NDArray[np.float32]


def stitched(
    network: Network,
    image: NDArray[np.float32],
    read: Callable[[Any], Sequence[torch.Tensor]],
    *,
    device: torch.device | None = None,
    precision: Precision = "auto",
    tile: int | Sequence[int] | None = None,
    halo: int | None = None,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> list[torch.Tensor]:
    """Return maps of an image that are put together from those of its tiles.

    The image is mirrored at its far edges up to the next multiple of the network's divisor
    and cut into tiles that start at such multiples. Each tile drops its outer pixels, which
    miss some of their surroundings (`halo`), and is blended with its neighbours over 16 more,
    so that the result is that of the whole image but for rounding where the halo is as wide as
    the network sees, and but for little elsewhere.

    Parameters
    ----------
    network : Network
        A trained network; it is put on the device and into evaluation mode.
    image : array of float32, shape (C, *spatial)
        Normalised image with the channels that the network expects.
    read : callable
        Given what the network returns for a batch of one tile, returns maps whose last axes are
        those of the tile.
    device : torch.device, optional
        Where to compute; by default where the network's weights are.
    precision : {"auto", "mixed", "full"}
        See `napari_pea.core.device.autocast`.
    tile : int or sequence of int, optional
        Side of a tile in pixels, margins included. An image that fits into one tile is
        computed in one piece. By default as the network says.
    halo : int, optional
        How many outer pixels each tile drops at most. Fewer than the network asks for are
        faster, and the tiles may then show.
    progress : callable
        Told the tiles done and the tiles in all.
    cancel : CancelToken, optional
        Checked before each tile.

    Returns
    -------
    list of tensor, shape (..., *spatial)
        In single precision, in the memory of the processor.

    Raises
    ------
    InputError
        If tiles are too small, or the halo is negative.
    Cancelled
        If `cancel` was set.
    """
    import torch

    if device is None:
        device = next(network.parameters()).device
    spatial = image.shape[1:]
    padded = pad_to_multiple(image, network.divisor)
    margins = network.halo
    if halo is not None:
        if halo < 0:
            raise InputError(f"The halo of a tile cannot be negative: {halo}.")
        margins = tuple(min(radius, halo) for radius in margins)
    sides = _tile_sides(network.tile if tile is None else tile, margins, network.divisor)
    axes = [
        _spans(size, side, margin, divisor)
        for size, side, margin, divisor in zip(
            padded.shape[1:], sides, margins, network.divisor, strict=True
        )
    ]
    total = int(np.prod([len(spans) for spans in axes]))
    whole: list[torch.Tensor] = []
    network.to(device).eval()
    progress(0, total)
    for done, spans in enumerate(product(*axes), start=1):
        check_cancel(cancel)
        where = tuple(slice(span.start, span.stop) for span in spans)
        batch = torch.from_numpy(np.ascontiguousarray(padded[(slice(None), *where)]))[None]
        inside = tuple(slice(0, size - s.start) for size, s in zip(spatial, where, strict=True))
        target: tuple[EllipsisType | slice, ...] = (..., *where)
        kept: tuple[EllipsisType | slice, ...] = (..., *inside)
        weights = torch.from_numpy(_outer([span.weights for span in spans])[inside])
        parts = _parts(network, batch.to(device), read, precision)
        with torch.inference_mode():
            # Laid out map by map before they grow to full precision: quicker.
            found = [part.contiguous().float().cpu()[kept] for part in parts]
            if not whole:
                whole = [_canvas(part, spatial, single=total == 1) for part in found]
            if total > 1:
                for canvas, part in zip(whole, found, strict=True):
                    canvas[target].addcmul_(part, weights)
        progress(done, total)
    return whole


def _parts(
    network: Network,
    batch: torch.Tensor,
    read: Callable[[Any], Sequence[torch.Tensor]],
    precision: Precision,
) -> Sequence[torch.Tensor]:
    """Run the network on a tile; once more in single precision where float16 does not do."""
    import torch

    # `contiguous` leaves images of one channel as they are, and then every layer is slower.
    batch = batch.to(memory_format=network.memory_format)
    with torch.inference_mode():
        with autocast(batch.device, precision):
            parts = read(network(batch))
        # Numbers in it end at 65504, and some GPUs, such as the GTX 1660, compute NaN.
        if any(part.dtype == torch.float16 for part in parts) and not all(
            bool(torch.isfinite(part).all()) for part in parts
        ):
            parts = read(network(batch))
    return parts


def _canvas(part: torch.Tensor, spatial: tuple[int, ...], *, single: bool) -> torch.Tensor:
    """Return what tiles are summed up in: nothing yet, or the only tile itself."""
    if single:
        return part.contiguous()
    return part.new_zeros((*part.shape[: part.ndim - len(spatial)], *spatial))


def _tile_sides(
    tile: int | Sequence[int], margins: Sequence[int], divisor: Sequence[int]
) -> tuple[int, ...]:
    """Return the side of a tile along each axis, a multiple of the divisor."""
    sides = tuple(tile) if isinstance(tile, Sequence) else (tile,) * len(divisor)
    if len(sides) != len(divisor):
        raise InputError(f"A tile needs {len(divisor)} sides, not {len(sides)}.")
    whole = []
    for side, margin, step in zip(sides, margins, divisor, strict=True):
        # So that the next tile starts at least one multiple further on.
        smallest = -(-(2 * margin + _blend(step) + step) // step) * step
        if side < smallest:
            raise InputError(f"A tile of {side} pixels is too small: use at least {smallest}.")
        whole.append(int(side) // step * step)
    return tuple(whole)


def pad_to_multiple(image: NDArray[np.float32], divisor: Sequence[int]) -> NDArray[np.float32]:
    """Mirror an image at its far edges until its sides are multiples of `divisor`.

    Parameters
    ----------
    image : array of float32, shape (C, *spatial)
        Any image.
    divisor : sequence of int
        One number for each spatial axis.

    Returns
    -------
    array of float32, shape (C, *spatial)
        The image itself if nothing is missing.
    """
    missing = [-size % step for size, step in zip(image.shape[1:], divisor, strict=True)]
    if not any(missing):
        return image
    return np.pad(image, [(0, 0), *((0, extra) for extra in missing)], mode="symmetric")


def _blend(divisor: int) -> int:
    """Return the width of the seams along an axis."""
    return BLEND if divisor > 1 else BLEND_SECTIONS


def _spans(size: int, side: int, margin: int, divisor: int) -> list[_Span]:
    """Return the tiles along an axis; their weights sum to 1 at every pixel."""
    if size <= side:
        return [_Span(0, size, np.ones(size, dtype=np.float32))]
    blend = _blend(divisor)
    ramp = ((np.arange(blend) + 0.5) / blend).astype(np.float32)
    step = (side - 2 * margin - blend) // divisor * divisor
    starts = list(range(0, size - side, step))
    starts.append(size - side)
    profiles = np.zeros((len(starts), size), dtype=np.float32)
    for index, start in enumerate(starts):
        profile = np.ones(side, dtype=np.float32)
        if index > 0:
            profile[:margin] = 0.0
            profile[margin : margin + blend] = ramp
        if index < len(starts) - 1:
            profile[side - margin :] = 0.0
            profile[side - margin - blend : side - margin] = ramp[::-1]
        profiles[index, start : start + side] = profile
    profiles /= profiles.sum(axis=0)
    return [
        _Span(start, start + side, profile[start : start + side])
        for start, profile in zip(starts, profiles, strict=True)
    ]


def _outer(factors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the product of one weight along each axis, shape (*spatial)."""
    weights = np.ones((), dtype=np.float32)
    for factor in factors:
        weights = np.multiply.outer(weights, factor)
    return weights
