"""The objectives that PEA is compared with (methods A11).

- *AL-Gao*, and *SuperHuman* in 3D: the network predicts the affinities of a fixed neighborhood
  themselves.
- *ML-De*: the discriminative loss draws the vectors of an object together and the means of
  objects apart.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional

from napari_pea.training.annotation import UNANNOTATED
from napari_pea.training.objectives import AffinityTarget
from napari_pea.training.settings import AffinityLoss

#: Vectors may be this far from the mean of their object.
VARIANCE_MARGIN = 0.5
#: Means of two objects should be twice as far apart.
DISTANCE_MARGIN = 1.5
#: Weights of the three terms.
VARIANCE_WEIGHT, DISTANCE_WEIGHT, NORM_WEIGHT = 1.0, 1.0, 0.001


def direct_affinity_loss(
    logits: torch.Tensor, target: AffinityTarget, loss: AffinityLoss = "squared"
) -> torch.Tensor:
    """Return the weighted error of affinities, summed over channels.

    Weights and sum are those of `objectives.correlation_loss`, so that methods differ in what
    they predict, not in how it is counted.

    Parameters
    ----------
    logits : tensor, shape (B, N, *spatial)
        What the network predicts; affinities are its logistic function.
    target : AffinityTarget
        What they should be, for N offsets.
    loss : {"squared", "entropy"}
        The squared error, as AL-Gao has it, or the binary cross entropy, as SuperHuman has it.
    """
    if loss == "entropy":
        entropy = functional.binary_cross_entropy_with_logits(
            logits.float(), target.affinities, reduction="none"
        )
        return (target.weights * entropy).sum()
    predicted = torch.sigmoid(logits.float())
    return (target.weights * (predicted - target.affinities).square()).sum()


class DiscriminativeTerms(NamedTuple):
    """The terms of the discriminative loss, not yet weighted.

    Attributes
    ----------
    variance, distance, norm : tensor, shape ()
        How far vectors are from the mean of their object beyond the margin, how far two means
        fall short of twice theirs, and the mean length of the means.
    """

    variance: torch.Tensor
    distance: torch.Tensor
    norm: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """The loss."""
        return (
            VARIANCE_WEIGHT * self.variance
            + DISTANCE_WEIGHT * self.distance
            + NORM_WEIGHT * self.norm
        )


def discriminative_loss(
    embedding: torch.Tensor, labels: torch.Tensor, *, background: bool = True
) -> DiscriminativeTerms:
    """Return the discriminative loss, averaged over the images of a batch.

    Parameters
    ----------
    embedding : tensor, shape (B, D, *spatial)
        Vectors of any length.
    labels : tensor of int, shape (B, *spatial)
        Object ids; 0 is background, and negative where nothing is annotated.
    background : bool
        Whether the background is one more object, as in the authors' code for images; their
        code for volumes leaves it out.

    Notes
    -----
    As in the authors' code the distance term is a mean over ordered pairs, halved once more. An
    image without objects counts nothing.
    """
    images = [
        _terms(vectors.flatten(1), ids.flatten(), background=background)
        for vectors, ids in zip(embedding.float(), labels, strict=True)
    ]
    return DiscriminativeTerms(*(torch.stack(term).mean() for term in zip(*images, strict=True)))


def _terms(vectors: torch.Tensor, ids: torch.Tensor, *, background: bool) -> DiscriminativeTerms:
    """Return the terms of one image, from vectors (D, P) and ids (P,)."""
    counted = ids > UNANNOTATED if background else ids > 0
    vectors, ids = vectors[:, counted], ids[counted]
    nothing = vectors.sum() * 0.0
    if not ids.numel():
        return DiscriminativeTerms(nothing, nothing, nothing)
    known, members = torch.unique(ids, return_inverse=True)
    count = len(known)
    sizes = torch.bincount(members, minlength=count).to(vectors.dtype)
    means = vectors.new_zeros(len(vectors), count).index_add(1, members, vectors) / sizes
    away = _length(vectors - means[:, members], axis=0)
    beyond = functional.relu(away - VARIANCE_MARGIN).square()
    variance = (vectors.new_zeros(count).index_add(0, members, beyond) / sizes).mean()
    distance = nothing
    if count > 1:
        first, second = torch.triu_indices(count, count, 1, device=ids.device)
        apart = _length(means[:, first] - means[:, second], axis=0)
        # Each pair stands for both of its orders, and the mean over all is halved.
        distance = functional.relu(2 * DISTANCE_MARGIN - apart).square().mean() / 2
    return DiscriminativeTerms(variance, distance, _length(means, axis=0).mean())


def _length(vectors: torch.Tensor, axis: int) -> torch.Tensor:
    """Return lengths whose gradient is 0, not undefined, where a vector is 0."""
    squared = vectors.square().sum(dim=axis)
    is_zero = squared == 0
    return torch.where(is_zero, 0.0, torch.where(is_zero, 1.0, squared).sqrt())
