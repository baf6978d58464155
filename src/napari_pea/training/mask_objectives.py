"""The objectives of LSIM: Sørensen–Dice of masks and of sparse affinities (methods B2).

All terms are 1 - Dice, from 0 to 1 for each branch or channel: the authors' losses plus 1.
"""

from __future__ import annotations

import torch

from napari_pea.core.networks.maskunet import MaskOutput, MaskUNet, centred
from napari_pea.training.mask_settings import MaskObjective
from napari_pea.training.mask_targets import MaskBatch, MaskSamples
from napari_pea.training.objectives import foreground_loss

#: Keeps quotients finite where there is nothing to compare.
TINY = 1e-6


def dice_loss(
    predicted: torch.Tensor, wanted: torch.Tensor, valid: torch.Tensor, *, per_channel: bool = False
) -> torch.Tensor:
    """Return 1 minus the Sørensen–Dice coefficient of two maps.

    Parameters
    ----------
    predicted, wanted : tensor
        Values from 0 to 1, of the same shape.
    valid : tensor
        0 where values do not count.
    per_channel : bool
        Whether each channel, the second axis, has a coefficient of its own; the losses are
        summed. Otherwise all values have one together.
    """
    one, other = predicted.float() * valid, wanted * valid
    axes = tuple(axis for axis in range(one.ndim) if axis != 1 or not per_channel)
    common = (one * other).sum(dim=axes)
    squares = (one.square() + other.square()).sum(dim=axes)
    # Where nothing is wanted and nothing predicted, both agree.
    return (1 - (2 * common + TINY) / (squares + TINY)).sum()


def decoded(
    network: MaskUNet, branch: int, codes: torch.Tensor, samples: MaskSamples, images: torch.Tensor
) -> torch.Tensor:
    """Return the predicted masks of samples, shape (R, *mask).

    Parameters
    ----------
    network : MaskUNet
        Its decoders.
    branch : int
        The position of the dense branch in the network.
    codes : tensor, shape (B, Q, *spatial)
        Of the branch; smaller than the crop where the network has dropped its border.
    samples : MaskSamples
        Which masks.
    images : tensor, shape (B, C, *spatial)
        The crops.
    """
    factor = 2 ** network.levels[branch]
    coarse = [
        size // (factor if axis >= network.ndim - 2 else 1)
        for axis, size in enumerate(images.shape[2:])
    ]
    dropped = [(have - left) // 2 for have, left in zip(coarse, codes.shape[2:], strict=True)]
    places = samples.places - samples.places.new_tensor(dropped)
    chosen = codes.movedim(1, -1)[(samples.images, *places.unbind(1))]
    masks: torch.Tensor = network.decoders[branch](chosen)
    return masks


def mask_losses(
    network: MaskUNet,
    batch: MaskBatch,
    settings: MaskObjective,
    foreground_weight: float = 1.0,
) -> dict[str, torch.Tensor]:
    """Return the weighted terms of the loss for a batch.

    Parameters
    ----------
    network : MaskUNet
        In training or evaluation mode.
    batch : MaskBatch
        Crops and targets, made for the same network and settings.
    settings : MaskObjective
        The weights of the terms.
    foreground_weight : float
        That of the foreground.

    Returns
    -------
    dict of str to tensor
        "dense", "sparse", "direct" and "foreground", as far as the network has such heads.
    """
    output = network(batch.images, crop=settings.drop_borders)
    losses = {}
    if output.codes:
        terms = [
            dice_loss(
                decoded(network, branch, codes, samples, batch.images), samples.masks, samples.valid
            )
            for branch, (codes, samples) in enumerate(zip(output.codes, batch.dense, strict=True))
        ]
        losses["dense"] = settings.dense_weight * torch.stack(terms).sum()
    if output.sparse:
        terms = [
            dice_loss(apart, target.apart, target.valid, per_channel=True)
            for apart, target in zip(output.sparse, batch.sparse, strict=True)
        ]
        losses["sparse"] = settings.sparse_weight * torch.stack(terms).sum()
    if batch.direct is not None:
        losses["direct"] = settings.direct_weight * direct_loss(network, output, batch)
    if output.foreground is not None:
        spatial = output.foreground.shape[2:]
        losses["foreground"] = foreground_weight * foreground_loss(
            output.foreground.float(), centred(batch.foreground[:, None], spatial)[:, 0]
        )
    return losses


def direct_loss(network: MaskUNet, output: MaskOutput, batch: MaskBatch) -> torch.Tensor:
    """Return the loss of the affinity head, which learns from codes as they are (S7.3).

    Parameters
    ----------
    network : MaskUNet
        With an affinity head; nothing else gets gradients.
    output : MaskOutput
        What the network predicts for the crops.
    batch : MaskBatch
        With a target for the network's offsets.

    Returns
    -------
    tensor
        The mean of 1 - Dice over the offsets, in the window of the batch.

    Notes
    -----
    The authors train the head when the network is done. Here both learn at once, which is the
    same to the network, and needs no second run; the head follows codes that change less and less.
    """
    target, head = batch.direct, network.affinity_head
    assert target is not None  # noqa: S101 - the head is there only for such targets
    assert head is not None  # noqa: S101
    codes = network.fine_codes(output).detach()
    dropped = [
        (whole - left) // 2
        for whole, left in zip(batch.images.shape[2:], codes.shape[2:], strict=True)
    ]
    inside = tuple(
        slice(part.start - cut, part.stop - cut)
        for part, cut in zip(batch.window, dropped, strict=True)
    )
    apart: torch.Tensor = head(codes[(slice(None), slice(None), *inside)])
    return dice_loss(apart, target.apart, target.valid, per_channel=True) / apart.shape[1]
