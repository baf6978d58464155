"""The parts that the kernels of the Mutex Watershed hand each other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Label of pixels that belong to no object.
OUTSIDE = np.uint32(0xFFFFFFFF)
#: Repulsive offsets per word of marks: a bit for each direction.
OFFSETS_PER_WORD = 16
#: Entries of the memory of cluster pairs that cannot be merged.
N_REMEMBERED = 256


class Pairs(NamedTuple):
    """The pixel pairs of an image and their affinities; 2D images have one section.

    Attributes
    ----------
    shape : array of int64, shape (3,)
    affinities : array of float32, shape (N * pixels,)
        Channel by channel; of no length if there are vectors.
    vectors : array of float32, shape (pixels * depth,)
        The embedding, pixel by pixel, of unit length.
    depth : uint64
        Length of its vectors; 0 if there are affinities.
    attractive, repulsive : array of int64, shape (A, 3) and (R, 3)
        Offsets.
    attractive_channels, repulsive_channels : array of int64, shape (A,) and (R,)
        Which affinities are theirs.
    strides : array of int64, shape (3,)
        Repulsive pairs start at multiples only.
    bias : float32
        An attractive pair has priority affinity + bias.
    top : float32
        A repulsive pair has priority top - affinity.
    signed : bool
        Whether each pair attracts or repels by the sign of its priority.
    rates : array of uint64, shape (N,)
        How many of 2**32 pairs of a channel are taken, if signed.
    seed : uint64
        Decides which.
    masked : bool
        Whether some pixels lie outside.
    provisional : bool
        Whether a pair is put off where it depends on the repulsive offsets what becomes of it.
    """

    shape: NDArray[np.int64]
    affinities: NDArray[np.float32]
    vectors: NDArray[np.float32]
    depth: np.uint64
    attractive: NDArray[np.int64]
    repulsive: NDArray[np.int64]
    attractive_channels: NDArray[np.int64]
    repulsive_channels: NDArray[np.int64]
    strides: NDArray[np.int64]
    bias: np.float32
    top: np.float32
    signed: bool
    rates: NDArray[np.uint64]
    seed: np.uint64
    masked: bool
    provisional: bool


class Frame(NamedTuple):
    """How a part of the image is laid out in memory.

    Attributes
    ----------
    origin, extent : array of int64, shape (3,)
        Where it lies.
    strides : array of int64, shape (3,)
        Steps between its pixels along each axis.
    steps : array of uint64, shape (A,)
        What the attractive offsets are in such steps, modulo 2**64.
    ways : array of uint64, shape (2 R,)
        What the repulsive offsets are, forwards and backwards in turn.
    values, partners : array of uint64, shape (2 R,)
        What to add to a pixel of the image for the index of that affinity and for the pixel
        at the other end.
    reach : array of uint32, shape (S, words)
        Marks that can join two clusters of so many pixels in all.
    least : uint32
        Fewest pixels that some mark can join.
    toward : array of uint32, shape (2 A + 1, words)
        Marks that point along an attractive offset, forwards and backwards in turn; then all.
    row, section : uint64
        Base 2 logarithms of the strides of y and z; 63 for the image itself.
    """

    origin: NDArray[np.int64]
    extent: NDArray[np.int64]
    strides: NDArray[np.int64]
    steps: NDArray[np.uint64]
    ways: NDArray[np.uint64]
    values: NDArray[np.uint64]
    partners: NDArray[np.uint64]
    reach: NDArray[np.uint32]
    least: np.uint32
    toward: NDArray[np.uint32]
    row: np.uint64
    section: np.uint64


class Clusters(NamedTuple):
    """The clusters of a part of the image.

    Attributes
    ----------
    labels : array of uint32, shape (pixels,)
        One pixel of the cluster, the same for all of them; `OUTSIDE` for none.
    following : array of uint32, shape (pixels,)
        The next pixel of the same cluster, round and round.
    sizes : array of uint32, shape (pixels,)
        Number of pixels, at the pixel that is the label.
    opened : array of float32, shape (pixels,)
        At the pixel that is the label: the highest priority of a pair that is not decided
        here and could change the cluster. Of no length where everything is decided.
    radii : array of float32, shape (pixels,)
        At the label: no vector of the cluster is further than this angle, in radians, from
        that of the label. Of no length if there are affinities.
    marks : array of uint32, shape (words * pixels,)
        Bits of repulsive pairs, 16 offsets to a word.
    blocked : array of uint32, shape (2, N_REMEMBERED)
        Cluster pairs that are known not to merge.
    """

    labels: NDArray[np.uint32]
    following: NDArray[np.uint32]
    sizes: NDArray[np.uint32]
    opened: NDArray[np.float32]
    radii: NDArray[np.float32]
    marks: NDArray[np.uint32]
    blocked: NDArray[np.uint32]


class Apart(NamedTuple):
    """What the user forbids; arrays of no length forbid nothing.

    Attributes
    ----------
    pairs : array of uint32, shape (P, 2)
        Pixels that cannot be in one object.
    concerned : array of uint8, shape (pixels,)
        At a label: whether the cluster has a pixel of a pair.
    groups : array of uint32, shape (pixels,)
        At a label: which group the cluster belongs to, 0 for none. Groups stay apart.
    """

    pairs: NDArray[np.uint32]
    concerned: NDArray[np.uint8]
    groups: NDArray[np.uint32]
