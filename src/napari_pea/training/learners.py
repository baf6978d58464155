"""What a run learns by: how its batches are made, and what their loss is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.networks.base import EmbeddingNetwork, Network
from napari_pea.core.networks.maskunet import MaskUNet
from napari_pea.training.augment import CrossTransform
from napari_pea.training.data import Batch, make_batch
from napari_pea.training.mask_objectives import mask_losses
from napari_pea.training.mask_targets import MaskBatch, make_mask_batch
from napari_pea.training.settings import TrainingSettings
from napari_pea.training.step import batch_losses

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

AnyBatch = TypeVar("AnyBatch")


class Learner(Protocol[AnyBatch]):
    """How a network learns from crops."""

    def batch(
        self,
        crops: Sequence[tuple[NDArray[np.float32], NDArray[np.int32]]],
        rng: np.random.Generator | None = None,
    ) -> AnyBatch:
        """Return a batch of (image, labels) crops of one size.

        Parameters
        ----------
        crops : sequence of (array, array)
            Images of shape (C, *spatial), and object ids.
        rng : numpy Generator, optional
            Decides what is drawn at random. Without it the batch is one to measure by.
        """

    def losses(
        self, network: Network, batch: AnyBatch, rng: np.random.Generator | None = None
    ) -> dict[str, torch.Tensor]:
        """Return the weighted terms of the loss.

        Parameters
        ----------
        network : Network
            In training or evaluation mode.
        batch : batch
            As `batch` makes it.
        rng : numpy Generator, optional
            Decides what is changed at random. Without it the loss is one to measure by.
        """


class EmbeddingLearner:
    """Learns embeddings, or what PEA is compared with: see `napari_pea.training.step`.

    Parameters
    ----------
    settings : TrainingSettings
        The run.
    device : torch.device
        Where batches go.
    factors : sequence of int
        By how much a level of the pyramid is coarser than the one above along each axis.
    """

    def __init__(
        self, settings: TrainingSettings, device: torch.device, factors: Sequence[int]
    ) -> None:
        self._settings = settings
        self._device = device
        self._factors = factors

    def batch(
        self,
        crops: Sequence[tuple[NDArray[np.float32], NDArray[np.int32]]],
        rng: np.random.Generator | None = None,
    ) -> Batch:
        """Return a batch: see `Learner`."""
        return make_batch(crops, self._settings.objective, self._device, rng, self._factors)

    def losses(
        self, network: Network, batch: Batch, rng: np.random.Generator | None = None
    ) -> dict[str, torch.Tensor]:
        """Return the terms of the loss; without `rng` there is no cross term."""
        objective, transform = self._settings.objective, None
        if rng is not None and objective.cross_weight > 0:
            transform = CrossTransform.draw(self._settings.crop_shape, rng).limited(objective)
        return batch_losses(cast("EmbeddingNetwork", network), batch, objective, transform)


class MaskLearner:
    """Learns codes of single-instance masks (methods B2).

    Parameters
    ----------
    network : MaskUNet
        Its branches tell what is needed.
    settings : TrainingSettings
        The run.
    device : torch.device
        Where batches go.
    """

    def __init__(self, network: MaskUNet, settings: TrainingSettings, device: torch.device) -> None:
        self._network = network
        self._settings = settings
        self._device = device

    def batch(
        self,
        crops: Sequence[tuple[NDArray[np.float32], NDArray[np.int32]]],
        rng: np.random.Generator | None = None,
    ) -> MaskBatch:
        """Return a batch: see `Learner`. What is measured by is drawn too, always the same."""
        drawn = np.random.default_rng(0) if rng is None else rng
        return make_mask_batch(crops, self._network, self._settings.masks, self._device, drawn)

    def losses(
        self, network: Network, batch: MaskBatch, rng: np.random.Generator | None = None
    ) -> dict[str, torch.Tensor]:
        """Return the terms of the loss; nothing is changed at random."""
        weight = self._settings.objective.foreground_weight
        return mask_losses(cast("MaskUNet", network), batch, self._settings.masks, weight)


def learner_of(
    network: Network, settings: TrainingSettings, device: torch.device, factors: Sequence[int]
) -> Learner[Any]:
    """Return what a network learns by.

    Parameters
    ----------
    network : Network
        To be trained.
    settings : TrainingSettings
        The run.
    device : torch.device
        Where batches go.
    factors : sequence of int
        See `EmbeddingLearner`.

    Raises
    ------
    InputError
        If the network cannot learn what the settings ask for.
    """
    kind = settings.objective.kind
    if isinstance(network, MaskUNet) != (kind == "masks"):
        made_for = "masks" if isinstance(network, MaskUNet) else "embeddings"
        raise InputError(
            f"The network of this model learns {made_for}, but the objective is {kind!r}: choose "
            "another model, or another kind of objective."
        )
    if isinstance(network, MaskUNet):
        return MaskLearner(network, settings, device)
    return EmbeddingLearner(settings, device, factors)
