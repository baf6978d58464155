"""The 3D residual U-Net of PEA (methods A3)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from napari_pea.core.networks.base import EmbeddingNetwork, NetworkOutput

#: Of the authors' batch norm.
MOMENTUM = 0.001
#: For images of so many sections PyTorch 2.13 returns wrong gradients of the weights of a
#: convolution, if it computes in bfloat16 on a processor.
WRONG_DEPTH = 2


class ResidualBlock3D(nn.Module):
    """A convolution within sections, and beside its result two that also look across them."""

    def __init__(self, in_channels: int, out_channels: int, depth: int) -> None:
        super().__init__()
        self.entry = nn.Sequential(
            _convolution(in_channels, out_channels, (depth, 3, 3), bias=False),
            nn.BatchNorm3d(out_channels, momentum=MOMENTUM),
            nn.ELU(inplace=True),
        )
        self.body = nn.Sequential(
            _convolution(out_channels, out_channels, (3, 3, 3), bias=False),
            nn.BatchNorm3d(out_channels, momentum=MOMENTUM),
            nn.ELU(inplace=True),
            _convolution(out_channels, out_channels, (3, 3, 3), bias=False),
        )
        self.norm = nn.BatchNorm3d(out_channels, momentum=MOMENTUM)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features of shape (B, out_channels, Z, Y, X)."""
        if (
            features.shape[2] == WRONG_DEPTH
            and features.device.type == "cpu"
            and torch.is_autocast_enabled("cpu")
            and torch.is_grad_enabled()
        ):
            with torch.autocast("cpu", enabled=False):
                return self._computed(features.float())
        return self._computed(features)

    def _computed(self, features: torch.Tensor) -> torch.Tensor:
        entered = self.entry(features)
        return functional.elu(self.norm(entered + self.body(entered)))


class Rise3D(nn.Module):
    """Features of the level below, at twice the size, added to those of this level."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        factors: Sequence[int],
        depth: int,
        *,
        align_corners: bool,
    ) -> None:
        super().__init__()
        self.factors = [float(factor) for factor in factors]
        self.align_corners = align_corners
        self.reduce = nn.Conv3d(in_channels, out_channels, 1)
        self.norm = nn.BatchNorm3d(out_channels, momentum=MOMENTUM)
        self.block = ResidualBlock3D(out_channels, out_channels, depth)

    def forward(self, features: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Return features of the shape of `skip`."""
        # A convolution of single pixels and an interpolation can change places.
        risen = functional.interpolate(
            self.reduce(features),
            scale_factor=self.factors,
            mode="trilinear",
            align_corners=self.align_corners,
        )
        merged: torch.Tensor = self.block(functional.elu(self.norm(risen + skip)))
        return merged


class ResUNet3D(EmbeddingNetwork):
    """The residual U-Net for volumes, with an embedding pyramid.

    With one input channel, 16 dimensions, the default widths and no foreground head it has
    1,481,748 parameters, 1,478,036 without the pyramid, as measured from the authors' code.

    Parameters
    ----------
    in_channels : int
        Number of image channels.
    embedding_dim : int
        Length D of the embedding vectors.
    widths : sequence of five int
        Feature channels at 1/1, 1/2, 1/4, 1/8 and 1/16.
    isotropic : bool
        Whether sections are as close to each other as pixels are. Then z is treated as y and
        x; otherwise it is never made coarser, and half of the convolutions stay within
        sections, as in the paper.
    foreground : bool
        Whether there is a foreground head; the paper's network has none.
    pyramid : bool
        Whether there are heads at the coarser levels, which only training needs.
    align_corners : bool
        See `ResUNet2D`.
    """

    ndim = 3

    def __init__(
        self,
        in_channels: int = 1,
        embedding_dim: int = 16,
        widths: Sequence[int] = (28, 36, 48, 64, 80),
        *,
        isotropic: bool = False,
        foreground: bool = False,
        pyramid: bool = True,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.embedding_dim = embedding_dim
        self.factors = (2, 2, 2) if isotropic else (1, 2, 2)
        self.divisor = tuple(factor**4 for factor in self.factors)
        self.receptive_radius = (172, 172, 172) if isotropic else (18, 172, 172)
        # What lies further away changes cosines by less than 0.01 as a rule.
        self.halo = (16, 16, 16) if isotropic else (4, 32, 32)
        self.tile = (128, 128, 128) if isotropic else (32, 256, 256)
        depth, outer = (3, (3, 5, 5)) if isotropic else (1, (1, 5, 5))
        finest = widths[0]
        self.stem = nn.Sequential(
            _convolution(in_channels, finest, outer, bias=True), nn.ELU(inplace=True)
        )
        self.down = nn.ModuleList(
            [
                ResidualBlock3D(finest, finest, depth),
                *(ResidualBlock3D(before, after, depth) for before, after in pairwise(widths)),
            ]
        )
        self.up = nn.ModuleList(
            Rise3D(below, here, self.factors, depth, align_corners=align_corners)
            for here, below in reversed(list(pairwise(widths)))
        )
        self.tail = nn.Sequential(
            _convolution(finest, finest, outer, bias=True), nn.ELU(inplace=True)
        )
        self.embedding_head = nn.Conv3d(finest, embedding_dim, 1)
        self.pyramid_heads = nn.ModuleList(
            nn.Conv3d(channels, embedding_dim, 1) for channels in widths[1:] if pyramid
        )
        self.foreground_head = (
            nn.Sequential(
                nn.Conv3d(finest, finest, 1),
                nn.BatchNorm3d(finest, momentum=MOMENTUM),
                nn.ELU(inplace=True),
                nn.Conv3d(finest, 2, 1),
            )
            if foreground
            else None
        )
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    @property
    def encoder_stages(self) -> tuple[nn.Module, ...]:
        """The stem, and the stages at 1/1, 1/2, 1/4, 1/8 and 1/16."""
        return (self.stem, *self.down)

    def forward(self, image: torch.Tensor, *, pyramid: bool = False) -> NetworkOutput:
        """Predict embedding and foreground of a batch.

        Parameters
        ----------
        image : tensor, shape (B, C, Z, Y, X)
            Normalised volumes whose sides are multiples of `divisor`.
        pyramid : bool
            Whether to predict the embeddings at the coarser levels too.
        """
        features = self.stem(image)
        skips = []
        for level, block in enumerate(self.down):
            if level:
                features = functional.max_pool3d(features, self.factors)
            features = block(features)
            skips.append(features)
        levels = [skips.pop()]
        for rise in self.up:
            levels.append(rise(levels[-1], skips.pop()))
        coarse = tuple(
            head(level)
            for head, level in zip(self.pyramid_heads, reversed(levels[:-1]), strict=False)
            if pyramid
        )
        full = self.tail(levels[-1])
        inside = None if self.foreground_head is None else self.foreground_head(full)
        return NetworkOutput(self.embedding_head(full), inside, coarse)


def _convolution(
    in_channels: int, out_channels: int, kernel: tuple[int, int, int], *, bias: bool
) -> nn.Conv3d:
    """Return a convolution that keeps the shape."""
    return nn.Conv3d(in_channels, out_channels, kernel, padding="same", bias=bias)
