"""A model ready to embed images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from napari_pea.core.device import Precision
from napari_pea.core.image import prepare_image
from napari_pea.core.predict import Embedding, predict
from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.core.scaling import check_scale, scaled_image, unscaled_embedding
from napari_pea.core.settings import SegmentationSettings
from napari_pea.models.metadata import ModelMetadata

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from napari_pea.core.networks.base import EmbeddingNetwork, Network


class Model:
    """A trained network with what it needs to know about its images.

    Parameters
    ----------
    network : Network
        The trained network; it is moved to the device.
    metadata : ModelMetadata
        How images are treated.
    device : torch.device
        Where it runs.
    """

    def __init__(self, network: Network, metadata: ModelMetadata, device: torch.device) -> None:
        self.metadata = metadata
        self.device = device
        self.network = network.to(device).eval()

    def __repr__(self) -> str:
        return f"Model({self.name!r}, {self.ndim}D, on {self.device})"

    @property
    def name(self) -> str:
        """The name of the model."""
        return self.metadata.name

    @property
    def ndim(self) -> int:
        """The number of spatial axes of its images."""
        return self.network.ndim

    @property
    def recommended(self) -> SegmentationSettings:
        """The settings that the model works best with."""
        return self.metadata.recommended

    def with_scale(self, scale: float) -> Model:
        """Return the model for images of another magnification; both share the weights.

        Parameters
        ----------
        scale : float
            Images are resized by this factor before the network sees them. The recommended
            settings stay as they are.

        Raises
        ------
        InputError
            If it is no number between 0.05 and 20.
        """
        update = {"scale": check_scale(scale)}
        return Model(self.network, self.metadata.model_copy(update=update), self.device)

    def embed(
        self,
        image: Any,
        *,
        channel: int | None = None,
        channel_axis: int | None = None,
        tile: int | None = None,
        halo: int | None = None,
        precision: Precision = "auto",
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> Embedding:
        """Predict the embedding and the foreground of an image.

        Parameters
        ----------
        image : array-like, shape (*spatial) or with channels
            Raw intensities of any type.
        channel, channel_axis : int, optional
            See `napari_pea.core.image.prepare_image`.
        tile, halo, precision, progress, cancel
            See `napari_pea.core.predict.predict`.

        Returns
        -------
        Embedding
            Vectors of unit length, shape (D, *spatial), and the foreground probability.

        Raises
        ------
        InputError
            If the image cannot be used.
        Cancelled
            If `cancel` was set.
        """
        return self.embed_normalized(
            self.normalized(image, channel=channel, channel_axis=channel_axis),
            tile=tile,
            halo=halo,
            precision=precision,
            progress=progress,
            cancel=cancel,
        )

    def normalized(
        self, image: Any, *, channel: int | None = None, channel_axis: int | None = None
    ) -> NDArray[np.float32]:
        """Return an image as the network takes it, shape (C, *spatial).

        Parameters
        ----------
        image, channel, channel_axis
            See `napari_pea.core.image.prepare_image`.

        Raises
        ------
        InputError
            If the image cannot be used.
        """
        channels = prepare_image(
            image,
            self.network.in_channels,
            self.ndim,
            channel=channel,
            channel_axis=channel_axis,
        )
        return self.metadata.normalization(channels)

    def embed_normalized(
        self,
        channels: NDArray[np.float32],
        *,
        tile: int | None = None,
        halo: int | None = None,
        precision: Precision = "auto",
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> Embedding:
        """Predict the embedding and the foreground of an image that is normalised already.

        Parameters
        ----------
        channels : array of float32, shape (C, *spatial)
            Normalised image, for example a piece of one.
        tile, halo, precision, progress, cancel
            See `embed`.
        """
        found = predict(
            cast("EmbeddingNetwork", self.network),
            scaled_image(channels, self.metadata.scale),
            device=self.device,
            precision=precision,
            tile=tile,
            halo=halo,
            progress=progress,
            cancel=cancel,
        )
        return unscaled_embedding(found, channels.shape[1:])
