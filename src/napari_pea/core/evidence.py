"""What a model says about an image, whatever kind of model it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pea.core.neighborhood import Offset


class PairValues(NamedTuple):
    """Where kernels find the affinities of some offsets; of two arrays one is empty.

    Attributes
    ----------
    affinities : array of float32, shape (channels * pixels,)
        Channel by channel.
    vectors : array of float32, shape (pixels * depth,)
        An embedding, pixel by pixel.
    depth : uint64
        The length of its vectors; 0 if there are affinities.
    channels : array of int64, shape (N,)
        Which affinities are those of each offset.
    far : array of bool, shape (N,)
        Whether they are noted at p + offset instead of p.
    """

    affinities: NDArray[np.float32]
    vectors: NDArray[np.float32]
    depth: np.uint64
    channels: NDArray[np.int64]
    far: NDArray[np.bool_]

    @classmethod
    def of_vectors(cls, vectors: NDArray[np.float32], n_offsets: int) -> PairValues:
        """Return where the affinities of an embedding are found.

        Parameters
        ----------
        vectors : array of float32, shape (pixels, D)
            Pixel by pixel in memory.
        n_offsets : int
            How many offsets are asked for.
        """
        rows = vectors.reshape(-1)
        return cls(
            np.zeros(0, dtype=np.float32),
            rows,
            np.uint64(vectors.shape[1]),
            np.zeros(n_offsets, dtype=np.int64),
            np.zeros(n_offsets, dtype=bool),
        )

    @classmethod
    def of_affinities(
        cls,
        affinities: NDArray[np.float32],
        channels: Sequence[int] | None = None,
        far: Sequence[bool] | None = None,
    ) -> PairValues:
        """Return where the affinities of a stack are found.

        Parameters
        ----------
        affinities : array of float32, shape (M, *spatial)
            In C order.
        channels : sequence of int, optional
            Which of them are those of each offset asked for; by default one after the other.
        far : sequence of bool, optional
            Which of them are noted at the other end; by default none.
        """
        owned = np.arange(len(affinities)) if channels is None else channels
        numbers = np.array(owned, dtype=np.int64)
        ends = np.zeros(len(numbers), dtype=bool) if far is None else np.array(far, dtype=bool)
        nothing = np.zeros(0, dtype=np.float32)
        return cls(affinities.reshape(-1), nothing, np.uint64(0), numbers, ends)


class Evidence(Protocol):
    """What a model says about every pixel, from which affinities follow.

    An `Embedding` has affinities under any offset, an `AffinityField` under some.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """The spatial shape."""

    @property
    def foreground(self) -> NDArray[np.float32] | None:
        """Probability of lying inside an object; None if the model does not tell."""

    @property
    def offsets(self) -> tuple[Offset, ...] | None:
        """The offsets it has affinities of; None for all."""

    @property
    def codes(self) -> NDArray[np.floating] | None:
        """Vectors, shape (D, *spatial), to be looked at in colours; None if there are none."""

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """All that it holds in memory."""

    def affinities(self, offsets: Sequence[Offset]) -> NDArray[np.float32]:
        """Return the affinities of some offsets, shape (N, *spatial)."""

    def uncertainties(self, offsets: Sequence[Offset]) -> NDArray[np.float32] | None:
        """Return their variances, shape (N, *spatial), if the model tells."""

    def pair_values(self, offsets: Sequence[Offset]) -> PairValues:
        """Return where kernels find the affinities of some offsets."""

    def prepared(self) -> Evidence:
        """Return the same as kernels read it fastest; its arrays if they lie so already."""

    def window(self, region: tuple[slice, ...]) -> Evidence:
        """Return what is said about a part of the image."""
