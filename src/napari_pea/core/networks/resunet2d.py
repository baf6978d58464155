"""The 2D residual U-Net of PEA (methods A1)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from napari_pea.core.networks.base import EmbeddingNetwork, NetworkOutput
from napari_pea.core.tiling import DEFAULT_TILE


class ResidualBlock2D(nn.Module):
    """Two 3x3 convolutions beside a 3x3 convolved shortcut, each followed by batch norm."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features of shape (B, out_channels, Y, X)."""
        return functional.relu(self.body(features) + self.shortcut(features))


def heads(
    finest: int, coarser: Sequence[int], embedding_dim: int
) -> tuple[nn.Conv2d, nn.ModuleList, nn.Sequential]:
    """Return what predicts the embedding, those of the pyramid and the foreground.

    Parameters
    ----------
    finest : int
        Feature channels at 1/1.
    coarser : sequence of int
        Feature channels at 1/2, 1/4, 1/8 and 1/16.
    embedding_dim : int
        Length of the embedding vectors.
    """
    return (
        nn.Conv2d(finest, embedding_dim, 1),
        nn.ModuleList(nn.Conv2d(channels, embedding_dim, 1) for channels in coarser),
        nn.Sequential(
            nn.Conv2d(finest, finest, 1),
            nn.BatchNorm2d(finest),
            nn.ReLU(inplace=True),
            nn.Conv2d(finest, 2, 1),
        ),
    )


class ResUNet2D(EmbeddingNetwork):
    """The residual U-Net with an embedding pyramid and a foreground head.

    With three input channels, 16 dimensions and the default widths it has 4,715,938
    parameters, as in the paper.

    Parameters
    ----------
    in_channels : int
        Number of image channels.
    embedding_dim : int
        Length D of the embedding vectors.
    widths : sequence of five int
        Feature channels at 1/1 (stem), 1/2, 1/4, 1/8 and 1/16.
    align_corners : bool
        How features are upsampled. True is what the authors' code does, but then the
        result at a pixel depends on the size of the image or tile; False does not.
    full_resolution_skip : bool
        Whether the last block also sees the stem's features. The paper's network has no
        skip at full resolution; with it, outlines come out sharper.
    """

    ndim = 2
    divisor = (16, 16)
    receptive_radius = (92, 92)
    halo = receptive_radius
    tile = (DEFAULT_TILE, DEFAULT_TILE)

    def __init__(
        self,
        in_channels: int = 1,
        embedding_dim: int = 16,
        widths: Sequence[int] = (16, 32, 64, 128, 256),
        *,
        align_corners: bool = False,
        full_resolution_skip: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.embedding_dim = embedding_dim
        self.align_corners = align_corners
        self.full_resolution_skip = full_resolution_skip
        stem, half, quarter, eighth, deepest = widths
        self.stem = ResidualBlock2D(in_channels, stem)
        self.down = nn.ModuleList(
            ResidualBlock2D(before, after) for before, after in pairwise(widths)
        )
        self.up = nn.ModuleList(
            [
                ResidualBlock2D(deepest, deepest),
                ResidualBlock2D(deepest + eighth, eighth),
                ResidualBlock2D(eighth + quarter, quarter),
                ResidualBlock2D(quarter + half + (stem if full_resolution_skip else 0), half),
            ]
        )
        self.embedding_head, self.pyramid_heads, self.foreground_head = heads(
            half, (quarter, eighth, deepest, deepest), embedding_dim
        )

    @property
    def encoder_stages(self) -> tuple[nn.Module, ...]:
        """The stem at 1/1 and the stages that end at 1/2, 1/4, 1/8 and 1/16."""
        return (self.stem, *self.down)

    def forward(self, image: torch.Tensor, *, pyramid: bool = False) -> NetworkOutput:
        """Predict embedding and foreground of a batch.

        Parameters
        ----------
        image : tensor, shape (B, C, Y, X)
            Normalised images whose sides are multiples of 16.
        pyramid : bool
            Whether to predict the embeddings at the coarser levels too.
        """
        finest = self.stem(image)
        features = finest
        skips = []
        for block in self.down:
            features = functional.max_pool2d(block(features), 2)
            skips.append(features)
        levels = [skips.pop()]
        for index, block in enumerate(self.up):
            features = functional.interpolate(
                features, scale_factor=2, mode="bilinear", align_corners=self.align_corners
            )
            if index == 3 and self.full_resolution_skip:
                features = torch.cat([features, finest], dim=1)
            features = block(features)
            levels.append(features)
            if skips:
                features = torch.cat([features, skips.pop()], dim=1)
        full = levels.pop()
        coarse = (
            tuple(
                head(level)
                for head, level in zip(self.pyramid_heads, reversed(levels), strict=True)
            )
            if pyramid
            else ()
        )
        return NetworkOutput(self.embedding_head(full), self.foreground_head(full), coarse)
