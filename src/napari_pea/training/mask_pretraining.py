"""Decoders that know what masks look like before the network is trained (methods B2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_pea.core.networks.maskunet import MaskUNet
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.training.data import AnnotatedImage
from napari_pea.training.mask_targets import at_level, draw_masks, lattice_at, near_others
from napari_pea.training.mask_vae import Drawn, MaskVAE, pretrain
from napari_pea.training.sampling import CropSampler
from napari_pea.training.settings import TrainingSettings

if TYPE_CHECKING:
    import torch

#: Crops and masks of each that a step of the autoencoder takes.
CROPS, MASKS = 2, 200


class MaskDraws:
    """Draws the masks of a branch from crops of annotated images; every draw is numbered.

    Parameters
    ----------
    network : MaskUNet
        Has the branch.
    branch : int
        The position of the dense branch in the network.
    images : sequence of AnnotatedImage
        Where crops come from.
    settings : TrainingSettings
        How crops and masks are made.
    device : torch.device
        Where masks go.
    """

    def __init__(
        self,
        network: MaskUNet,
        branch: int,
        images: Sequence[AnnotatedImage],
        settings: TrainingSettings,
        device: torch.device,
    ) -> None:
        self._settings = replace(settings, batch_size=CROPS)
        self._sampler = CropSampler(images, self._settings, divisor=network.divisor)
        self._level = network.levels[branch]
        self._lattice = lattice_at(network.lattices[branch], self._level)
        self._device = device

    def __call__(self, number: int) -> Drawn:
        """Return inverted masks and which of their entries count, both of shape (n, *mask)."""
        chosen = self._settings.masks
        labels = np.stack([ids for _, ids in self._sampler.crops(number)])
        borders = np.stack([near_others(ids, chosen.border) for ids in labels])
        drawn = draw_masks(
            at_level(labels, self._level),
            at_level(borders, self._level),
            self._lattice,
            MASKS,
            np.random.default_rng((self._settings.seed, number)),
            spacing=chosen.spacing[1 - labels.ndim :],
            background=chosen.background,
        )
        return drawn.masks.to(self._device), drawn.valid.to(self._device)


def pretrain_decoders(
    network: MaskUNet,
    images: Sequence[AnnotatedImage],
    settings: TrainingSettings,
    device: torch.device,
    *,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> None:
    """Give the decoders the weights of autoencoders of masks.

    Parameters
    ----------
    network : MaskUNet
        Its decoders are changed.
    images : sequence of AnnotatedImage
        Where masks come from.
    settings : TrainingSettings
        `MaskObjective.pretraining` steps each.
    device : torch.device
        Where to train.
    progress : callable
        Told the steps done and in all, of all decoders together.
    cancel : CancelToken, optional
        Checked before each step.

    Raises
    ------
    Cancelled
        If `cancel` was set.
    """
    steps = settings.masks.pretraining
    for branch, decoder in enumerate(network.decoders):
        model = MaskVAE(network.lattices[branch].shape, network.code_dim).to(device)

        def advance(done: int, total: int, /, before: int = branch * steps) -> None:
            progress(before + done, len(network.decoders) * steps)

        draws = MaskDraws(network, branch, images, settings, device)
        pretrain(model, draws, steps, progress=advance, cancel=cancel)
        decoder.load_state_dict(model.decoder.state_dict())
