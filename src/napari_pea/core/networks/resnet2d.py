"""U-Nets with a residual network of the ImageNet kind as encoder (methods A2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from napari_pea.core.networks.base import EmbeddingNetwork, NetworkOutput
from napari_pea.core.networks.resunet2d import ResidualBlock2D, heads
from napari_pea.core.tiling import DEFAULT_TILE

#: Bottlenecks of the stages at 1/4, 1/8 and 1/16 for each depth that the network is named by.
STAGES = {50: (3, 4, 6), 101: (3, 4, 23)}
#: How much wider a stage is than the 3x3 convolutions in it.
EXPANSION = 4


class Bottleneck2D(nn.Module):
    """Convolutions of 1x1, 3x3 and 1x1 pixels beside a shortcut, each with batch norm.

    A step of 2 is taken by the 3x3 convolution, as in the networks with trained weights that
    are in use today.
    """

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        out_channels = width * EXPANSION
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features of shape (B, 4 width, Y / stride, X / stride)."""
        return functional.relu(self.body(features) + self.shortcut(features))


class ResNetUNet2D(EmbeddingNetwork):
    """A ResNet up to 1/16 of the size, and a decoder of residual blocks.

    With three input channels and the default width the encoder has 8,543,296 parameters
    (depth 50) or 27,535,424 (depth 101), those of the known networks without their last stage.
    The paper tells no more than the totals, 15.3 and 34.3 million; the widths of the decoder
    are chosen so that the network has as many. It starts from random weights.

    Parameters
    ----------
    in_channels : int
        Number of image channels.
    embedding_dim : int
        Length D of the embedding vectors.
    depth : {50, 101}
        Which network the encoder is the beginning of.
    width : int
        Features of the stem at 1/2; the stages at 1/4, 1/8 and 1/16 have 4, 8 and 16 times as
        many.
    decoder_widths : sequence of four int
        Features of the decoder at 1/8, 1/4, 1/2 and 1/1.
    align_corners : bool
        See `ResUNet2D`.
    """

    ndim = 2
    divisor = (16, 16)

    def __init__(
        self,
        in_channels: int = 1,
        embedding_dim: int = 16,
        depth: int = 50,
        width: int = 64,
        decoder_widths: Sequence[int] = (256, 64, 64, 32),
        *,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        if depth not in STAGES:
            raise ValueError(f"the depth is one of {', '.join(map(str, STAGES))}, not {depth}")
        self.in_channels = in_channels
        self.embedding_dim = embedding_dim
        self.align_corners = align_corners
        # How far it sees grows by 16 pixels with each bottleneck of the last stage.
        reach = 193 + 16 * (STAGES[depth][-1] - STAGES[50][-1])
        self.receptive_radius = self.halo = (reach, reach)
        self.tile = (DEFAULT_TILE, DEFAULT_TILE)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.down = nn.ModuleList()
        skips = [width]
        for level, blocks in enumerate(STAGES[depth]):
            inner = width * 2**level
            self.down.append(
                nn.Sequential(
                    Bottleneck2D(skips[-1], inner, stride=1 if level == 0 else 2),
                    *(Bottleneck2D(EXPANSION * inner, inner) for _ in range(1, blocks)),
                )
            )
            skips.append(EXPANSION * inner)
        half, quarter, eighth, deepest = skips
        first, second, third, last = decoder_widths
        self.up = nn.ModuleList(
            [
                ResidualBlock2D(deepest, first),
                ResidualBlock2D(first + eighth, second),
                ResidualBlock2D(second + quarter, third),
                ResidualBlock2D(third + half, last),
            ]
        )
        self.embedding_head, self.pyramid_heads, self.foreground_head = heads(
            last, (third, second, first, deepest), embedding_dim
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is None:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def encoder_stages(self) -> tuple[nn.Module, ...]:
        """The stem at 1/2 and the stages at 1/4, 1/8 and 1/16."""
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
        features = self.stem(image)
        skips = [features]
        features = self.pool(features)
        for stage in self.down:
            features = stage(features)
            skips.append(features)
        levels = [skips.pop()]
        for block in self.up:
            features = block(
                functional.interpolate(
                    features, scale_factor=2, mode="bilinear", align_corners=self.align_corners
                )
            )
            levels.append(features)
            if skips:
                features = torch.cat([features, skips.pop()], dim=1)
        full = levels.pop()
        coarse = tuple(
            head(level)
            for head, level in zip(self.pyramid_heads, reversed(levels), strict=True)
            if pyramid
        )
        return NetworkOutput(self.embedding_head(full), self.foreground_head(full), coarse)
