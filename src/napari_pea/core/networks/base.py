"""What networks have in common."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn


class NetworkOutput(NamedTuple):
    """What a network predicts for a batch.

    Attributes
    ----------
    embedding : tensor, shape (B, D, *spatial)
        Embedding vectors, not yet of unit length.
    foreground : tensor, shape (B, 2, *spatial), or None
        Logits of background and foreground; None for networks without that head.
    pyramid : tuple of tensor
        Embeddings at 1/2, 1/4, 1/8 and 1/16 of the size, finest first; empty unless asked
        for.
    """

    embedding: torch.Tensor
    foreground: torch.Tensor | None
    pyramid: tuple[torch.Tensor, ...]


class Network(nn.Module):
    """A network that says something about every pixel of an image.

    Attributes
    ----------
    ndim : int
        Number of spatial axes.
    in_channels : int
        Number of image channels.
    divisor : tuple of int
        Input sides must be multiples of these.
    halo : tuple of int
        How many outer pixels of a tile are dropped unless the user says otherwise: as many as
        matter.
    tile : tuple of int
        Sides of a tile, halo included, unless the user says otherwise: multiples of `divisor`.
    channels_last : bool
        Whether the network is fastest with the channels of a pixel side by side in memory.
    """

    ndim: int
    in_channels: int
    divisor: tuple[int, ...]
    halo: tuple[int, ...]
    tile: tuple[int, ...]
    channels_last = True

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout of batches in which the network is fastest."""
        if not self.channels_last:
            return torch.contiguous_format
        return torch.channels_last if self.ndim == 2 else torch.channels_last_3d

    @property
    def encoder_stages(self) -> tuple[nn.Module, ...]:
        """The parts of the encoder, from the image on."""
        raise NotImplementedError


class EmbeddingNetwork(Network):
    """A network from images to embeddings.

    Attributes
    ----------
    embedding_dim : int
        Length D of the embedding vectors.
    receptive_radius : tuple of int
        How far, in pixels, an input can influence the output along each axis: tiles whose
        halo is at least this wide give the result of the whole image.
    """

    embedding_dim: int
    receptive_radius: tuple[int, ...]

    def forward(self, image: torch.Tensor, *, pyramid: bool = False) -> NetworkOutput:
        """Predict from a batch of shape (B, C, *spatial)."""
        raise NotImplementedError


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters())
