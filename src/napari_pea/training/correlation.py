"""The cosines of neighbours for training, with a gradient that is summed in place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from napari_pea.core.affinity import Slices, pair_slices
from napari_pea.core.neighborhood import Offset

#: Vectors that a processor goes over again and again take at most so much.
CACHED_BYTES = 4 * 2**20
#: Vectors shorter than this are not made as long as others.
SHORTEST = 1e-12


def correlate(first: torch.Tensor, second: torch.Tensor, offsets: Sequence[Offset]) -> torch.Tensor:
    """Return the cosine between two batches of embeddings under offsets, differentiably.

    The training counterpart of `embedding_affinities`: negative cosines are kept, because
    the loss must see them (methods A4).

    Parameters
    ----------
    first, second : tensor, shape (B, D, *spatial)
        Embedding vectors of unit length; p is taken from `first`, p + o from `second`.
    offsets : sequence of tuple of int
        Steps in pixels.

    Returns
    -------
    tensor, shape (B, N, *spatial)
        0 where p + o lies outside the image.
    """
    # Without the types of PyTorch its `apply` is anything.
    cosines: torch.Tensor = Correlation.apply(first, second, tuple(offsets))  # type: ignore[no-untyped-call]
    return cosines


class Correlation(torch.autograd.Function):
    """See `correlate`.

    PyTorch itself makes, for each offset, products and zero-filled gradients of the size of
    the embedding; that takes several times as long, more than a tenth of a training step.
    """

    @staticmethod
    def forward(
        ctx: Any, first: torch.Tensor, second: torch.Tensor, offsets: Sequence[Offset]
    ) -> torch.Tensor:
        """Return the cosines, shape (B, N, *spatial)."""
        ctx.save_for_backward(first, second)
        ctx.offsets, ctx.is_one = offsets, first is second
        shape = first.shape[2:]
        cosines = first.new_zeros((first.shape[0], len(offsets), *shape))
        for images in _portions(first):
            one, other = first[images], second[images]
            product = torch.empty_like(one)
            for channel, here, there in _pairs(shape, offsets):
                torch.mul(one[here], other[there], out=product[here])
                torch.sum(product[here], dim=1, out=cosines[images, channel][here])
        return cosines

    @staticmethod
    def backward(
        ctx: Any, gradient: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        """Return the gradients of both embeddings, or their sum if they are one."""
        first, second = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        to_first = torch.zeros_like(first) if wanted[0] else None
        to_second = to_first
        if not ctx.is_one:
            to_second = torch.zeros_like(second) if wanted[1] else None
        for images in _portions(first):
            for channel, here, there in _pairs(first.shape[2:], ctx.offsets):
                cosine = gradient[images, channel, None][here]
                if to_first is not None:
                    to_first[images][here].addcmul_(cosine, second[images][there])
                if to_second is not None:
                    to_second[images][there].addcmul_(cosine, first[images][here])
        return to_first, None if ctx.is_one else to_second, None


class UnitVectors(torch.autograd.Function):
    """Vectors of unit length; with half the passes over memory of PyTorch's own gradient."""

    @staticmethod
    def forward(ctx: Any, vectors: torch.Tensor) -> torch.Tensor:
        """Return vectors of length 1, shape (B, D, *spatial); those of length 0 stay so."""
        squared = vectors.square().sum(dim=1, keepdim=True)
        inverse = squared.sqrt_().clamp_(min=SHORTEST).reciprocal_()
        unit = vectors * inverse
        ctx.save_for_backward(unit, inverse)
        return unit

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        """Return the part of the gradient that turns the vectors."""
        unit, inverse = ctx.saved_tensors
        along = (gradient * unit).sum(dim=1, keepdim=True)
        return torch.addcmul(gradient, unit, along, value=-1).mul_(inverse)


def _portions(batch: torch.Tensor) -> list[slice]:
    """Return which images of a batch are computed together: what the cache may hold."""
    n_images = len(batch)
    at_once = n_images
    if batch.device.type == "cpu" and batch.numel():
        at_once = max(1, n_images * CACHED_BYTES // (batch.numel() * batch.element_size()))
    return [slice(start, start + at_once) for start in range(0, n_images, at_once)]


def _pairs(
    shape: Sequence[int], offsets: Sequence[Offset]
) -> Iterator[tuple[int, tuple[Any, ...], tuple[Any, ...]]]:
    """Yield each offset that fits, and where its pixels and their partners lie."""
    for channel, offset in enumerate(offsets):
        slices: tuple[Slices, Slices] | None = pair_slices(shape, offset)
        if slices is not None:
            here, there = slices
            yield channel, (..., *here), (..., *there)
