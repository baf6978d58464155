"""Building blocks with group norm, in 2D and 3D (methods B1)."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import torch
from torch import nn

#: Groups of the norms; fewer where they do not divide the channels.
GROUPS = 16


def convolution(
    ndim: int,
    in_channels: int,
    out_channels: int,
    kernel: int | Sequence[int],
    stride: int | Sequence[int] = 1,
) -> nn.Module:
    """Return a convolution; unless it has a stride it keeps the shape.

    Parameters
    ----------
    ndim : int
        2 or 3.
    in_channels, out_channels : int
        Features before and after.
    kernel, stride : int or sequence of int
        One number for each axis, or one for all.
    """
    kind = {2: nn.Conv2d, 3: nn.Conv3d}[ndim]
    padding = "same" if stride == 1 else 0
    made: nn.Module = kind(in_channels, out_channels, kernel, stride, padding)  # type: ignore[arg-type]
    return made


def normalized(channels: int, groups: int = GROUPS) -> nn.GroupNorm:
    """Return a group norm of at most so many groups."""
    return nn.GroupNorm(gcd(groups, channels), channels)


def layer(
    ndim: int,
    in_channels: int,
    out_channels: int,
    kernel: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    *,
    groups: int = GROUPS,
) -> nn.Sequential:
    """Return a convolution, its norm and a ReLU; see `convolution`."""
    return nn.Sequential(
        convolution(ndim, in_channels, out_channels, kernel, stride),
        normalized(out_channels, groups),
        nn.ReLU(inplace=True),
    )


class GroupBlock(nn.Module):
    """Three convolutions beside a shortcut.

    Parameters
    ----------
    ndim : int
        2 or 3.
    in_channels, out_channels : int
        Features before and after.
    hidden : int, optional
        Features in between; by default those after.
    groups : int
        Of the norms.
    final : bool
        Whether the sum is normalised and rectified.
    """

    def __init__(
        self,
        ndim: int,
        in_channels: int,
        out_channels: int,
        hidden: int | None = None,
        *,
        groups: int = GROUPS,
        final: bool = True,
    ) -> None:
        super().__init__()
        between = out_channels if hidden is None else hidden
        self.body = nn.Sequential(
            layer(ndim, in_channels, between, 3, groups=groups),
            layer(ndim, between, between, 3, groups=groups),
            convolution(ndim, between, out_channels, 3),
        )
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.shortcut = layer(ndim, in_channels, out_channels, 1, groups=groups)
        self.finish: nn.Module = nn.Identity()
        if final:
            self.finish = nn.Sequential(normalized(out_channels, groups), nn.ReLU(inplace=True))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features of shape (B, out_channels, *spatial)."""
        summed: torch.Tensor = self.finish(self.body(features) + self.shortcut(features))
        return summed
