"""Leaving the first stages of a network as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_pea.core.errors import InputError
from napari_pea.core.networks.base import Network

if TYPE_CHECKING:
    from torch import nn


def freeze(network: Network, stages: int) -> tuple[nn.Module, ...]:
    """Exclude the first stages of the encoder from training.

    Parameters
    ----------
    network : Network
        Its weights are marked.
    stages : int
        How many stages, from the image on; 0 trains everything.

    Returns
    -------
    tuple of Module
        The frozen stages. They are to be kept in evaluation mode, so that the statistics of
        their batch norms stay too.

    Raises
    ------
    InputError
        If the encoder has fewer stages.
    """
    encoder = network.encoder_stages
    if stages > len(encoder):
        raise InputError(
            f"The encoder has {len(encoder)} stages, so {stages} cannot be frozen: choose at most "
            f"{len(encoder)}."
        )
    frozen = encoder[:stages]
    for stage in frozen:
        stage.requires_grad_(False)
    return frozen
