"""The objectives of PEA: self-correlation, cross-correlation and the pyramid (methods A5).

Terms are sums over the channels of a neighborhood of the mean squared error over all valid
pairs; in images a pyramid level at 1/k of the size counts 1/k, which is the relative weight that
the authors' normaliser gives it, while in volumes all levels count the same. The common factor
of images, the height of the crop, is left out: Adam is blind to it but for its eps, which is
scaled instead (see `optimization`). As an option, terms are means over the channels and all levels
count the same, as in the paper. Pairs that leave the crop count nowhere, neither in the mean nor in
the class ratio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from napari_pea.core.neighborhood import Offset
from napari_pea.training.annotation import UNANNOTATED
from napari_pea.training.correlation import UnitVectors, correlate

#: An image in which a smaller share of the pixels or pairs is annotated counts less.
FEWEST = 0.002
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
        to class balancing. Each image counts the same, however much of it is annotated, but
        those with next to no pairs count less.
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
        weights = counted / (_annotated(counted, spatial) * len(counted))
        if balance_classes:
            weights = weights * class_weights(affinities, counted)
        return cls(offsets, affinities, weights)


def _annotated(counted: torch.Tensor, spatial: tuple[int, ...]) -> torch.Tensor:
    """Return how much is annotated along some axes, or the least by which is divided."""
    total = math.prod(counted.shape[axis] for axis in spatial)
    return counted.sum(dim=spatial, keepdim=True).clamp(min=max(1.0, FEWEST * total))


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
    first: torch.Tensor, second: torch.Tensor, target: AffinityTarget, *, mean: bool = False
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
    mean : bool
        Whether to divide by the number of channels.
    """
    cosines = correlate(first, second, target.offsets)
    loss = (target.weights * (cosines - target.affinities).square()).sum()
    return loss / len(target.offsets) if mean else loss


def distant_loss(vectors: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
    """Return the mean squared cosine of pairs in different objects, where it is above 0.

    Affinities below 0 count as 0 afterwards (methods A4), so there is nothing to be gained
    there; pairs of the neighborhood are drawn to 0 from below too, as in the authors' code.

    Parameters
    ----------
    vectors : tensor, shape (B, D, *spatial)
        Embedding vectors of unit length.
    pairs : tensor of int64, shape (P, 3)
        Which image, and the flat positions of two pixels in it.
    """
    if not len(pairs):
        return vectors.new_zeros(())
    flat = vectors.flatten(2)
    image, first, second = pairs.unbind(1)
    cosines = (flat[image, :, first] * flat[image, :, second]).sum(dim=1)
    return cosines.clamp(min=0).square().mean()


def foreground_loss(
    logits: torch.Tensor, foreground: torch.Tensor, *, balance: bool = False
) -> torch.Tensor:
    """Return the cross entropy of the foreground head.

    Parameters
    ----------
    logits : tensor, shape (B, 2, *spatial)
        Logits of background and foreground.
    foreground : tensor of int64, shape (B, *spatial)
        1 inside objects, -1 where nothing is annotated: these count nowhere.
    balance : bool
        Whether each class is weighted by the pixels of the other in the batch, so that both
        count the same (methods A5); where only one occurs this changes nothing.

    Notes
    -----
    Each image counts the same, however much of it is annotated.
    """
    spatial = tuple(range(1, foreground.ndim))
    known = (foreground != UNANNOTATED).float()
    weights = known / (_annotated(known, spatial) * len(known))
    inside = (weights * (foreground > 0)).sum() / weights.sum().clamp(min=1e-12)
    if balance and inside not in (0, 1):
        weights = weights * torch.where(foreground > 0, 1 - inside, inside)
        weights = weights / weights.sum()
    entropy = functional.cross_entropy(
        logits, foreground, ignore_index=UNANNOTATED, reduction="none"
    )
    return (weights * entropy).sum()


def unit_embedding(embedding: torch.Tensor) -> torch.Tensor:
    """Return embedding vectors of unit length in single precision, shape (B, D, *spatial)."""
    unit: torch.Tensor = UnitVectors.apply(embedding.float())  # type: ignore[no-untyped-call]
    return unit
