"""The U-Net of LSIM, its branches and its mask decoders (methods B1)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from napari_pea.core.errors import InputError
from napari_pea.core.masks.lattice import MASK_SHAPES, MaskLattice
from napari_pea.core.neighborhood import sparse_offsets
from napari_pea.core.networks.base import Network
from napari_pea.core.networks.groups import GroupBlock, convolution, layer

#: The dense branches ENB1 to ENB4: their level, and the stride of their masks within a
#: section, in pixels of the image.
DENSE_BRANCHES: tuple[tuple[int, int], ...] = ((0, 1), (0, 4), (1, 4), (2, 8))
#: The level of the sparse branches SNB1 to SNB3.
SPARSE_LEVELS: tuple[int, ...] = (0, 1, 2)
#: Pixels within a section that the authors drop at each side of the features of each level.
CROPS: tuple[int, ...] = (8, 4, 2)


class MaskOutput(NamedTuple):
    """What a network predicts for a batch.

    Attributes
    ----------
    codes : tuple of tensor, shape (B, Q, *spatial / 2^level)
        The codes of the masks, for each dense branch; at least 0.
    sparse : tuple of tensor, shape (B, N, *spatial / 2^level)
        For each sparse branch the probability that pairs lie in different objects.
    foreground : tensor, shape (B, 2, *spatial), or None
        Logits of background and foreground.
    """

    codes: tuple[torch.Tensor, ...]
    sparse: tuple[torch.Tensor, ...]
    foreground: torch.Tensor | None


class MaskDecoder(nn.Module):
    """From codes to masks (methods B1): 143,732 parameters in 3D with 32 numbers to a code.

    Parameters
    ----------
    shape : sequence of int
        Of a mask, 2D or 3D.
    code_dim : int
        Numbers of a code.
    width : int
        Features of the layers in between.
    """

    def __init__(self, shape: Sequence[int], code_dim: int = 32, width: int = 16) -> None:
        super().__init__()
        self.shape = tuple(shape)
        size = int(torch.Size(self.shape).numel())
        self.unfold = nn.Linear(code_dim, size * width)
        self.block = GroupBlock(len(self.shape), width, 1, width, groups=1, final=False)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Return masks from codes of shape (n, Q).

        Returns
        -------
        tensor, shape (n, *shape)
            *Inverted* masks: how surely each entry lies in another object than the pixel
            that the code is of (methods B2).
        """
        features = self.unfold(codes).unflatten(1, (-1, *self.shape))
        masks: torch.Tensor = self.block(features)[:, 0].sigmoid()
        return masks


class AffinityHead(nn.Module):
    """Affinities straight from codes: three layers on frozen codes (LSIM, S7.3; methods B4).

    Parameters
    ----------
    in_channels : int
        Numbers of the codes of a pixel, those of all its masks together.
    n_offsets : int
        How many affinities are predicted for each pixel.
    ndim : int
        2 or 3.
    width : int
        Features of the layers.
    """

    def __init__(self, in_channels: int, n_offsets: int, ndim: int = 3, width: int = 32) -> None:
        super().__init__()
        kernel = (1,) * (ndim - 2) + (3, 3)
        self.layers = nn.Sequential(
            layer(ndim, in_channels, width, kernel),
            layer(ndim, width, width, kernel),
            layer(ndim, width, width, kernel),
            convolution(ndim, width, n_offsets, 1),
        )

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Return how surely pairs lie in *different* objects, shape (B, n_offsets, *spatial).

        Parameters
        ----------
        codes : tensor, shape (B, in_channels, *spatial)
            Codes of one level, one after the other.
        """
        apart: torch.Tensor = self.layers(codes).sigmoid()
        return apart


class Rise(nn.Module):
    """Features of the level below, at twice the size, plus those of this level."""

    def __init__(self, ndim: int, below: int, skip: int, channels: int) -> None:
        super().__init__()
        self.factors = [1.0] * (ndim - 2) + [2.0, 2.0]
        self.reduce = layer(ndim, below, channels, 1)
        self.adapt: nn.Module = (
            nn.Identity() if skip == channels else layer(ndim, skip, channels, 1)
        )
        self.block = GroupBlock(ndim, channels, channels)

    def forward(self, features: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Return features; of the skip only what the features cover."""
        risen = functional.interpolate(
            self.reduce(features), scale_factor=self.factors, mode="nearest"
        )
        joined: torch.Tensor = self.block(risen + centred(self.adapt(skip), risen.shape[2:]))
        return joined


class MaskUNet(Network):
    """The U-Net of LSIM, in 3D as in the paper and in 2D.

    In 3D, with one channel and the default widths, backbone and heads of four dense branches
    have 7,986,720 parameters, as measured from the authors' code.

    Parameters
    ----------
    in_channels : int
        Number of image channels.
    ndim : int
        2 or 3. In 3D sections are never made coarser.
    widths : sequence of four int
        Features of the encoder at 1/1, 1/2, 1/4 and 1/8. Multiples of 16 have the norms of
        the paper.
    decoder_widths : sequence of three int
        Features of the decoder at 1/1, 1/2 and 1/4.
    dense : sequence of int
        Which of the encoded-neighbourhood branches 1 to 4 there are. In 3D their masks have
        7 x 7 x 5 entries, in 2D 7 x 7.
    sparse : sequence of int
        Which of the sparse-neighbourhood branches 1 to 3 there are.
    code_dim : int
        Numbers of a code (Q).
    foreground : bool
        Whether there is a foreground head; the paper's network has none.
    offsets : sequence of offset, optional
        The pairs whose affinities a head of its own predicts from the codes: see
        `AffinityHead`.

    Attributes
    ----------
    lattices : tuple of MaskLattice
        Of the masks of each dense branch, in pixels of the image.
    levels : tuple of int
        Of each dense branch.

    Notes
    -----
    All convolutions pad with zeros, so that outputs are as large as the image: what tiles
    and images need whose borders matter. The authors instead drop the features next to the
    border (`crop`), and so do not train what padding has changed; then an image must be
    mirrored at its borders as wide as is dropped. Both are the same weights. Group norms see
    all of an input: tiles should be about as large as the crops that were trained.
    """

    # On processors the gradients of group norms take several times as long otherwise.
    channels_last = False

    def __init__(
        self,
        in_channels: int = 1,
        ndim: int = 3,
        widths: Sequence[int] = (32, 64, 128, 256),
        decoder_widths: Sequence[int] = (48, 64, 128),
        *,
        dense: Sequence[int] = (1, 2, 3, 4),
        sparse: Sequence[int] = (),
        code_dim: int = 32,
        foreground: bool = False,
        offsets: Sequence[Sequence[int]] = (),
    ) -> None:
        super().__init__()
        _check(dense, len(DENSE_BRANCHES), "encoded-neighbourhood")
        _check(sparse, len(SPARSE_LEVELS), "sparse-neighbourhood")
        self.ndim = ndim
        self.in_channels = in_channels
        self.code_dim = code_dim
        self.dense, self.sparse = tuple(dense), tuple(sparse)
        self.offsets = tuple(tuple(int(step) for step in offset) for offset in offsets)
        in_plane = (1,) * (ndim - 2)
        self.divisor = (*in_plane, 8, 8)
        # Across sections masks of the outermost ones are not trained.
        self.halo = (2, 32, 32)[-ndim:]
        self.tile = (16, 256, 256) if ndim == 3 else (512, 512)
        branches = [DENSE_BRANCHES[number - 1] for number in self.dense]
        self.levels = tuple(level for level, _ in branches)
        self.lattices = tuple(
            MaskLattice((*in_plane, stride, stride), MASK_SHAPES[ndim]) for _, stride in branches
        )
        finest = widths[0]
        kernel = (*in_plane, 5, 5)
        halve = (*in_plane, 2, 2)
        self.stem = layer(ndim, in_channels, finest, kernel)
        self.encoder = nn.ModuleList(
            GroupBlock(ndim, before, after) for before, after in pairwise((finest, *widths))
        )
        self.down = nn.ModuleList(layer(ndim, width, width, halve, halve) for width in widths[:-1])
        below = (*decoder_widths[1:], widths[-1])
        self.up = nn.ModuleList(
            Rise(ndim, under, skip, here)
            for under, skip, here in zip(below, widths[:-1], decoder_widths, strict=True)
        )
        self.tail = layer(ndim, decoder_widths[0], decoder_widths[0], kernel)
        self.code_heads = nn.ModuleList(
            layer(ndim, decoder_widths[level], code_dim, 1) for level in self.levels
        )
        self.sparse_heads = nn.ModuleList(
            convolution(ndim, decoder_widths[level], len(sparse_offsets(level, ndim)), 1)
            for level in self.sparse_levels
        )
        self.decoders = nn.ModuleList(
            MaskDecoder(lattice.shape, code_dim) for lattice in self.lattices
        )
        self.foreground_head = (
            nn.Sequential(
                layer(ndim, decoder_widths[0], decoder_widths[0], 1),
                convolution(ndim, decoder_widths[0], 2, 1),
            )
            if foreground
            else None
        )
        self.affinity_head = (
            AffinityHead(code_dim * self.levels.count(0), len(self.offsets), ndim)
            if self.offsets
            else None
        )

    @property
    def encoder_stages(self) -> tuple[nn.Module, ...]:
        """The parts of the encoder, from the image on."""
        coarser = zip(self.down, self.encoder[1:], strict=True)
        return (
            nn.ModuleList([self.stem, self.encoder[0]]),
            *(nn.ModuleList(pair) for pair in coarser),
        )

    @property
    def sparse_levels(self) -> tuple[int, ...]:
        """The level of each sparse branch."""
        return tuple(SPARSE_LEVELS[number - 1] for number in self.sparse)

    @property
    def fine_lattices(self) -> tuple[MaskLattice, ...]:
        """Those of the branches at full resolution, which affinities are taken from."""
        return tuple(
            lattice for level, lattice in zip(self.levels, self.lattices, strict=True) if level == 0
        )

    def features(self, image: torch.Tensor, *, crop: bool = False) -> tuple[torch.Tensor, ...]:
        """Return the features of the decoder at 1/1, 1/2 and 1/4.

        Parameters
        ----------
        image : tensor, shape (B, C, *spatial)
            Normalised images whose sides are multiples of `divisor`.
        crop : bool
            Whether what is near the border is dropped at every level, within sections.
        """
        current = self.stem(image)
        skips = []
        for block, down in zip(self.encoder, self.down, strict=False):
            skips.append(block(current))
            current = down(skips[-1])
        current = self.encoder[-1](current)
        found: list[torch.Tensor] = []
        for level in reversed(range(len(self.up))):
            current = self.up[level](current, skips[level])
            if level == 0:
                current = self.tail(current)
            if crop:
                margin = CROPS[level]
                current = current[..., margin:-margin, margin:-margin]
            found.insert(0, current)
        return tuple(found)

    def forward(self, image: torch.Tensor, *, crop: bool = False) -> MaskOutput:
        """Predict from a batch; see `features`."""
        levels = self.features(image, crop=crop)
        return MaskOutput(
            tuple(
                head(levels[level])
                for head, level in zip(self.code_heads, self.levels, strict=True)
            ),
            tuple(
                head(levels[level]).sigmoid()
                for head, level in zip(self.sparse_heads, self.sparse_levels, strict=True)
            ),
            None if self.foreground_head is None else self.foreground_head(levels[0]),
        )

    def fine_codes(self, output: MaskOutput) -> torch.Tensor:
        """Return the codes at full resolution, one after the other: what `AffinityHead` takes."""
        fine = [codes for codes, level in zip(output.codes, self.levels, strict=True) if level == 0]
        return torch.cat(fine, dim=1)


def margin_of(level: int) -> int:
    """Return how many pixels of a level are missing at each side if borders are dropped."""
    return CROPS[level] + (2 * margin_of(level + 1) if level + 1 < len(CROPS) else 0)


def centred(features: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Return the middle of features, of some spatial shape."""
    where = [
        slice((have - want) // 2, (have - want) // 2 + want)
        for have, want in zip(features.shape[2:], shape, strict=True)
    ]
    return features[(slice(None), slice(None), *where)]


def _check(numbers: Sequence[int], most: int, what: str) -> None:
    """Make sure that branches exist."""
    if not set(numbers) <= set(range(1, most + 1)) or len(set(numbers)) != len(numbers):
        raise InputError(
            f"The {what} branches are numbered from 1 to {most}, each once at most; there are no "
            f"{list(numbers)}."
        )
