"""Embedding an image of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.affinity import embedding_affinities, pixel_major
from napari_pea.core.device import Precision
from napari_pea.core.evidence import PairValues
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.core.tiling import stitched

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from napari_pea.core.neighborhood import Offset
    from napari_pea.core.networks.base import EmbeddingNetwork, NetworkOutput


@dataclass(frozen=True)
class Embedding:
    """What a model says about every pixel of an image.

    Attributes
    ----------
    vectors : array of float32, shape (D, *spatial)
        Embedding vectors of unit length.
    foreground : array of float32, shape (*spatial), or None
        Probability of lying inside an object; None if the model does not tell.
    """

    vectors: NDArray[np.float32]
    foreground: NDArray[np.float32] | None

    @property
    def shape(self) -> tuple[int, ...]:
        """The spatial shape."""
        return self.vectors.shape[1:]

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """All that it holds in memory."""
        return tuple(array for array in (self.vectors, self.foreground) if array is not None)

    @property
    def offsets(self) -> None:
        """None: it has affinities of all offsets."""
        return None

    @property
    def codes(self) -> NDArray[np.float32]:
        """The vectors, to be looked at in colours."""
        return self.vectors

    def affinities(self, offsets: Sequence[Offset]) -> NDArray[np.float32]:
        """Return the affinities of some offsets.

        Parameters
        ----------
        offsets : sequence of tuple of int
            Steps in pixels, in NumPy axis order.

        Returns
        -------
        array of float32, shape (N, *spatial)
            Between 0 and 1; 0 where a pair leaves the image.
        """
        return embedding_affinities(self.vectors, offsets)

    def uncertainties(self, _: Sequence[Offset]) -> None:
        """Return None, whatever the offsets: an embedding does not tell how uncertain it is."""
        return None

    def pair_values(self, offsets: Sequence[Offset]) -> PairValues:
        """Return where kernels find the affinities of some `offsets`."""
        rows = np.moveaxis(pixel_major(self.vectors), 0, -1)
        return PairValues.of_vectors(rows.reshape(-1, rows.shape[-1]), len(offsets))

    def prepared(self) -> Embedding:
        """Return the same with the vectors pixel by pixel in memory."""
        return Embedding(pixel_major(self.vectors), self.foreground)

    def window(self, region: tuple[slice, ...]) -> Embedding:
        """Return the embedding of a part of the image.

        Parameters
        ----------
        region : tuple of slice
            One for each axis.
        """
        return Embedding(
            pixel_major(self.vectors[(slice(None), *region)]),
            None if self.foreground is None else self.foreground[region],
        )


def predict(
    network: EmbeddingNetwork,
    image: NDArray[np.float32],
    *,
    device: torch.device | None = None,
    precision: Precision = "auto",
    tile: int | Sequence[int] | None = None,
    halo: int | None = None,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> Embedding:
    """Embed a normalised image.

    Tiles are put together as `napari_pea.core.tiling.stitched` tells.

    Parameters
    ----------
    network : EmbeddingNetwork
        A trained network; it is put on the device and into evaluation mode.
    image : array of float32, shape (C, *spatial)
        Normalised image with the channels that the network expects.
    device, precision, tile, halo, progress, cancel
        See `napari_pea.core.tiling.stitched`.

    Returns
    -------
    Embedding

    Raises
    ------
    InputError
        If tiles are too small, or the halo is negative.
    Cancelled
        If `cancel` was set.
    """
    import torch

    def read(output: NetworkOutput) -> list[torch.Tensor]:
        found = [output.embedding[0]]
        if output.foreground is not None:
            found.append(output.foreground[0].float().softmax(dim=0)[1])
        return found

    vectors, *rest = stitched(
        network,
        image,
        read,
        device=device,
        precision=precision,
        tile=tile,
        halo=halo,
        progress=progress,
        cancel=cancel,
    )
    with torch.inference_mode():
        length = torch.zeros(vectors.shape[1:])
        for component in vectors:  # far quicker than a norm across the first axis
            length.addcmul_(component, component)
        vectors /= length.sqrt_().clamp_(min=1e-12)
    return Embedding(vectors.numpy(), rest[0].numpy() if rest else None)
