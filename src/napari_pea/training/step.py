"""One pass of a batch through the network and the objectives."""

from __future__ import annotations

import torch

from napari_pea.core.networks.base import EmbeddingNetwork, NetworkOutput
from napari_pea.training.augment import CrossTransform
from napari_pea.training.baselines import direct_affinity_loss, discriminative_loss
from napari_pea.training.data import Batch
from napari_pea.training.objectives import (
    correlation_loss,
    distant_loss,
    foreground_loss,
    unit_embedding,
)
from napari_pea.training.settings import ObjectiveSettings


def batch_losses(
    network: EmbeddingNetwork,
    batch: Batch,
    settings: ObjectiveSettings,
    transform: CrossTransform | None = None,
) -> dict[str, torch.Tensor]:
    """Return the weighted terms of the loss for a batch (methods A5).

    Parameters
    ----------
    network : EmbeddingNetwork
        In training or evaluation mode.
    batch : Batch
        Crops and targets.
    settings : ObjectiveSettings
        The weights of the terms.
    transform : CrossTransform, optional
        The transform of the cross branch; without one there is no cross term.

    Returns
    -------
    dict of str to tensor
        "self", "foreground" and, where they count, "pyramid", "distant" and "cross".
    """
    if settings.kind != "correlation":
        return _baseline_losses(network, batch, settings)
    use_pyramid = settings.pyramid_weight > 0
    output = network(batch.images, pyramid=use_pyramid)
    vectors = unit_embedding(output.embedding)
    plain = settings.plain_mean
    losses = {
        "self": settings.self_weight * correlation_loss(vectors, vectors, batch.target, mean=plain)
    }
    if use_pyramid:
        terms = []
        for level, (embedding, target) in enumerate(
            zip(output.pyramid, batch.pyramid, strict=True), start=1
        ):
            coarse = unit_embedding(embedding)
            # What the authors' normaliser comes to: see `objectives`.
            share = 1 / 2**level if network.ndim == 2 and not plain else 1.0
            terms.append(correlation_loss(coarse, coarse, target, mean=plain) * share)
        losses["pyramid"] = settings.pyramid_weight * torch.stack(terms).sum()
    if batch.distant is not None and settings.distant_weight > 0:
        losses["distant"] = settings.distant_weight * distant_loss(vectors, batch.distant)
    if transform is not None and settings.cross_weight > 0:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not settings.detach_cross):
            changed = transform.apply(batch.images, batch.foreground > 0)
            changed = changed.contiguous(memory_format=network.memory_format)
            other = transform.undo(unit_embedding(network(changed).embedding))
        cross = correlation_loss(vectors, other, batch.target, mean=plain)
        if settings.symmetric_cross:
            cross = (cross + correlation_loss(other, vectors, batch.target, mean=plain)) / 2
        losses["cross"] = settings.cross_weight * cross
    return losses | _foreground(output, batch, settings)


def _baseline_losses(
    network: EmbeddingNetwork, batch: Batch, settings: ObjectiveSettings
) -> dict[str, torch.Tensor]:
    """Return the terms of an objective that PEA is compared with (methods A11)."""
    output = network(batch.images)
    if batch.labels is not None:
        # In volumes the authors leave the background out.
        background = network.ndim == 2
        loss = discriminative_loss(output.embedding, batch.labels, background=background).total
    else:
        loss = direct_affinity_loss(output.embedding, batch.target, settings.affinity_loss)
    return {"self": settings.self_weight * loss} | _foreground(output, batch, settings)


def _foreground(
    output: NetworkOutput, batch: Batch, settings: ObjectiveSettings
) -> dict[str, torch.Tensor]:
    """Return the term of the foreground, if the network has one."""
    if output.foreground is None:
        return {}
    loss = foreground_loss(
        output.foreground.float(), batch.foreground, balance=settings.balance_foreground
    )
    return {"foreground": settings.foreground_weight * loss}
