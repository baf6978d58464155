"""The objectives of PEA: self-correlation, cross-correlation and the pyramid (methods A5).

Terms are sums over the channels of a neighborhood of the mean squared error over all valid
pairs; a pyramid level at 1/k of the size counts 1/k, which is the relative weight that the
authors' normaliser gives it. Their common factor, the height of the crop, is left out: Adam
is blind to it but for its eps, which is scaled instead (see `optimization`). Pairs that leave
the crop count nowhere, neither in the mean nor in the class ratio.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from napari_pea.core.affinity import correlate
from napari_pea.core.neighborhood import Offset

#: Bounds of the class ratio from which the weights are made.
RATIO_BOUNDS = (0.05, 0.99)


@dataclass(frozen=True)
class AffinityTarget:
    """What one level of the pyramid should predict.

    Attributes
    ----------
    offsets : tuple of offset
        The neighborhood.
    affinities : tensor of float, shape (B, N, *spatial)
        1 where a pair belongs together.
    weights : tensor of float, shape (B, N, *spatial)
        Weight of each pair; sums to 1 over the valid pairs of a channel of the batch, up
        to class balancing.
    """

    offsets: tuple[Offset, ...]
    affinities: torch.Tensor
    weights: torch.Tensor

    @classmethod
    def of(
        cls,
        offsets: tuple[Offset, ...],
        affinities: torch.Tensor,
        valid: torch.Tensor,
        *,
        balance_classes: bool,
    ) -> AffinityTarget:
        """Make a target from affinities and the mask of valid pairs."""
        counted = valid.float()
        spatial = tuple(range(2, affinities.ndim))
        pairs = counted.sum(dim=(0, *spatial), keepdim=True).clamp(min=1.0)
        weights = counted / pairs
        if balance_classes:
            weights = weights * class_weights(affinities, counted)
        return cls(offsets, affinities, weights)


def class_weights(affinities: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Return weights that let the rarer class count as much as the other.

    With r the fraction of pairs that belong together, kept within 0.05 and 0.99, the
    rarer class weighs (1 - r) / r or r / (1 - r), the other 1. Taken per image and channel;
    where only one class occurs all weights are 1.

    Parameters
    ----------
    affinities, valid : tensor, shape (B, N, *spatial)
        Target affinities, and 1 where a pair counts.
    """
    spatial = tuple(range(2, affinities.ndim))
    together = (affinities * valid).sum(dim=spatial, keepdim=True)
    pairs = valid.sum(dim=spatial, keepdim=True)
    ratio = (together / pairs.clamp(min=1.0)).clamp(*RATIO_BOUNDS)
    mixed = (together > 0) & (together < pairs)
    one = torch.ones_like(ratio)
    weight_same = torch.where(mixed & (ratio <= 0.5), (1 - ratio) / ratio, one)
    weight_different = torch.where(mixed & (ratio > 0.5), ratio / (1 - ratio), one)
    return torch.where(affinities > 0.5, weight_same, weight_different)


def correlation_loss(
    first: torch.Tensor, second: torch.Tensor, target: AffinityTarget
) -> torch.Tensor:
    """Return the weighted squared error of the cosines, summed over channels.

    With `first` is `second` this is self-correlation (PEA, equation 2), otherwise
    cross-correlation in one direction (equation 4).

    Parameters
    ----------
    first, second : tensor, shape (B, D, *spatial)
        Embedding vectors of unit length.
    target : AffinityTarget
        What the cosines should be.
    """
    cosines = correlate(first, second, target.offsets)
    return (target.weights * (cosines - target.affinities).square()).sum()


def foreground_loss(logits: torch.Tensor, foreground: torch.Tensor) -> torch.Tensor:
    """Return the cross entropy of the foreground head.

    Parameters
    ----------
    logits : tensor, shape (B, 2, *spatial)
        Logits of background and foreground.
    foreground : tensor of int64, shape (B, *spatial)
        1 inside objects.
    """
    return functional.cross_entropy(logits, foreground)


def unit_embedding(embedding: torch.Tensor) -> torch.Tensor:
    """Return embedding vectors of unit length in single precision, shape (B, D, *spatial)."""
    return functional.normalize(embedding.float(), dim=1)
