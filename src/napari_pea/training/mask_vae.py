"""Learning the space of masks beforehand, and how many numbers it needs (methods B2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.optim import Adam

from napari_pea.core.networks.groups import GroupBlock
from napari_pea.core.networks.maskunet import MaskDecoder
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.training.mask_objectives import dice_loss

#: Masks and which of their entries count, both of shape (n, *mask).
Drawn = tuple[torch.Tensor, torch.Tensor]


class MaskVAE(nn.Module):
    """A variational autoencoder of masks whose decoder is that of a branch.

    Parameters
    ----------
    shape : sequence of int
        Of a mask, 2D or 3D.
    code_dim : int
        Numbers of a code (Q).
    width : int
        Features of the layers.
    """

    def __init__(self, shape: Sequence[int], code_dim: int = 32, width: int = 16) -> None:
        super().__init__()
        size = int(torch.Size(shape).numel())
        self.features = nn.Sequential(
            GroupBlock(len(shape), 1, width, groups=1), nn.Flatten(), nn.Linear(width * size, 128)
        )
        self.mean = nn.Linear(128, code_dim)
        self.log_variance = nn.Linear(128, code_dim)
        self.decoder = MaskDecoder(shape, code_dim, width)

    def encode(self, masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and logarithm of the variance of the codes, shape (n, Q).

        Parameters
        ----------
        masks : tensor, shape (n, *shape)
            Inverted masks.
        """
        features = self.features(masks[:, None]).relu()
        return self.mean(features), self.log_variance(features)

    def forward(self, masks: torch.Tensor) -> torch.Tensor:
        """Return masks again, from their most likely codes."""
        restored: torch.Tensor = self.decoder(self.encode(masks)[0])
        return restored


class Reconstruction(NamedTuple):
    """How well masks come back from their codes.

    Attributes
    ----------
    dice : float
        Sørensen–Dice of the masks themselves, not inverted, where they count.
    right : float
        Share of the entries that count which are right at a threshold of 1/2.
    """

    dice: float
    right: float


def vae_loss(
    model: MaskVAE, masks: torch.Tensor, valid: torch.Tensor, divergence_weight: float = 1e-3
) -> torch.Tensor:
    """Return the loss of the autoencoder for some masks.

    Parameters
    ----------
    model : MaskVAE
        The model.
    masks, valid : tensor, shape (n, *shape)
        Inverted masks, and 0 where an entry does not count.
    divergence_weight : float
        How much the codes are drawn to the normal distribution.
    """
    mean, log_variance = model.encode(masks * valid)
    codes = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
    return dice_loss(model.decoder(codes), masks, valid) + divergence_weight * divergence


def pretrain(
    model: MaskVAE,
    draw: Callable[[int], Drawn],
    iterations: int,
    *,
    learning_rate: float = 1e-3,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> MaskVAE:
    """Train an autoencoder of masks.

    The weights of its decoder are what a branch may start from:
    ``network.decoders[n].load_state_dict(model.decoder.state_dict())``.

    Parameters
    ----------
    model : MaskVAE
        Trained in place.
    draw : callable
        Returns the masks of an iteration, for example from
        `napari_pea.training.mask_targets.draw_masks`.
    iterations : int
        Steps.
    learning_rate : float
        Of Adam.
    progress : callable
        Told the steps done and in all.
    cancel : CancelToken, optional
        Checked before each step.

    Returns
    -------
    MaskVAE
        The model.

    Raises
    ------
    Cancelled
        If `cancel` was set.
    """
    optimizer = Adam(model.parameters(), lr=learning_rate)
    model.train()
    for iteration in range(iterations):
        check_cancel(cancel)
        loss = vae_loss(model, *draw(iteration))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        progress(iteration + 1, iterations)
    return model.eval()


def reconstruction(model: MaskVAE, masks: torch.Tensor, valid: torch.Tensor) -> Reconstruction:
    """Return how well masks come back from codes of so many numbers.

    Parameters
    ----------
    model : MaskVAE
        A trained model.
    masks, valid : tensor, shape (n, *shape)
        Inverted masks that it was not trained on, and 0 where an entry does not count.
    """
    with torch.inference_mode():
        restored = model.eval()(masks * valid)
        dice = 1 - float(dice_loss(1 - restored, 1 - masks, valid))
        right = ((restored > 0.5) == (masks > 0.5)).float() * valid
        return Reconstruction(dice, float(right.sum() / valid.sum().clamp(min=1)))
