"""Networks as packages hold them: an image in, unit vectors or affinities and a foreground out."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from napari_pea.core.networks.base import EmbeddingNetwork
from napari_pea.core.networks.maskunet import MaskUNet


class StandaloneEmbedding(nn.Module):
    """A network of embeddings with all that follows it.

    Parameters
    ----------
    network : EmbeddingNetwork
        From normalised images to embeddings of any length.
    scale : float
        Images are resized by this factor before the network sees them, and its output back.
    """

    def __init__(self, network: EmbeddingNetwork, scale: float = 1.0) -> None:
        super().__init__()
        self.network = network
        self.scale = scale

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Predict embedding and foreground of a batch.

        Parameters
        ----------
        image : tensor, shape (B, C, *spatial)
            Normalised images.

        Returns
        -------
        embedding : tensor, shape (B, D, *spatial)
            Vectors of unit length.
        foreground : tensor, shape (B, 1, *spatial)
            Probabilities; only of networks that tell a foreground.
        """
        flat = image.dim() == 4
        seen = image
        if self.scale != 1:
            seen = functional.interpolate(
                image,
                scale_factor=self.scale,
                recompute_scale_factor=True,
                mode="bilinear" if flat else "trilinear",
                align_corners=False,
                antialias=flat and self.scale < 1,
            )
        output = self.network(seen)
        embedding = functional.normalize(output.embedding, dim=1)
        inside = None if output.foreground is None else output.foreground.softmax(dim=1)[:, 1:]
        if self.scale != 1:
            # Between repeated vectors there is no slope from object to object.
            embedding = functional.interpolate(embedding, image.shape[2:], mode="nearest-exact")
            if inside is not None:
                inside = functional.interpolate(
                    inside,
                    image.shape[2:],
                    mode="bilinear" if flat else "trilinear",
                    align_corners=False,
                )
        return (embedding,) if inside is None else (embedding, inside)


class StandaloneMasks(nn.Module):
    """A network of single-instance masks with what makes affinities of its codes.

    Parameters
    ----------
    network : MaskUNet
        With a head of affinities or a sparse branch at full resolution; else its codes are all
        that it tells.
    scale : float
        Always 1: offsets are pixels of the image.
    """

    def __init__(self, network: MaskUNet, scale: float = 1.0) -> None:
        super().__init__()
        self.network = network
        self.scale = scale

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Predict affinities and foreground of a batch.

        Parameters
        ----------
        image : tensor, shape (B, C, *spatial)
            Normalised images.

        Returns
        -------
        affinities : tensor, shape (B, N, *spatial)
            How surely pairs lie in one object; the codes of networks that tell no affinities.
        foreground : tensor, shape (B, 1, *spatial)
            Probabilities; only of networks that tell a foreground.
        """
        output = self.network(image)
        if self.network.affinity_head is not None:
            found = 1 - self.network.affinity_head(self.network.fine_codes(output))
        elif 0 in self.network.sparse_levels:
            found = 1 - output.sparse[self.network.sparse_levels.index(0)]
        else:
            found = self.network.fine_codes(output)
        if output.foreground is None:
            return (found,)
        return found, output.foreground.softmax(dim=1)[:, 1:]
