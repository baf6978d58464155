"""The staged cache: image, embedding, affinities, raw labels, labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.affinity import embedding_affinities
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.core.partition import mutex_partition
from napari_pea.core.predict import Embedding
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.core.refine import refine
from napari_pea.core.settings import SegmentationSettings
from napari_pea.core.table import region_table

if TYPE_CHECKING:
    import pandas as pd


class Embedder(Protocol):
    """What the segmenter needs of a model."""

    @property
    def name(self) -> str:
        """The name of the model."""

    @property
    def ndim(self) -> int:
        """The number of spatial axes of its images."""

    @property
    def recommended(self) -> SegmentationSettings:
        """The settings it works best with."""

    def embed(
        self,
        image: Any,
        *,
        channel: int | None = None,
        channel_axis: int | None = None,
        tile: int | None = None,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> Embedding:
        """Predict the embedding of an image."""


@dataclass(frozen=True)
class Segmentation:
    """Labels and what they were made with.

    Attributes
    ----------
    labels : array of uint32, shape (*spatial)
        Object ids from 1; 0 is background.
    table : pandas.DataFrame
        One row for each object.
    settings : SegmentationSettings
        The settings used.
    model : str
        The name of the model.
    """

    labels: NDArray[np.uint32]
    table: pd.DataFrame
    settings: SegmentationSettings
    model: str


class Segmenter:
    """Segments one image, and again with other settings without running the network.

    Parameters
    ----------
    model : Model
        Anything with `embed`, `recommended`, `ndim` and `name`.
    image : array-like
        See `napari_pea.core.image.prepare_image` for `channel` and `channel_axis` too.
    tile : int, optional
        See `napari_pea.core.predict.predict`.

    Examples
    --------
    >>> segmenter = Segmenter(load_model("nuclei"), image)  # doctest: +SKIP
    >>> segmenter.segment().labels.max()  # doctest: +SKIP
    >>> segmenter.segment(ranges=(1, 3, 5)).labels.max()  # doctest: +SKIP
    """

    def __init__(
        self,
        model: Embedder,
        image: Any,
        *,
        channel: int | None = None,
        channel_axis: int | None = None,
        tile: int | None = None,
    ) -> None:
        self.model = model
        self._image = image
        self._channel = channel
        self._channel_axis = channel_axis
        self._tile = tile
        self._embedding: Embedding | None = None
        self._affinities: tuple[Neighborhood, NDArray[np.float32]] | None = None
        self._raw: tuple[tuple[Any, ...], NDArray[np.uint32]] | None = None

    def embedding(
        self, *, progress: Progress = ignore_progress, cancel: CancelToken | None = None
    ) -> Embedding:
        """Return the embedding of the image; the network runs on the first call only."""
        if self._embedding is None:
            self._embedding = self.model.embed(
                self._image,
                channel=self._channel,
                channel_axis=self._channel_axis,
                tile=self._tile,
                progress=progress,
                cancel=cancel,
            )
        return self._embedding

    def affinities(
        self, neighborhood: Neighborhood, *, cancel: CancelToken | None = None
    ) -> NDArray[np.float32]:
        """Return the affinities of a neighborhood, shape (N, *spatial)."""
        if self._affinities is None or self._affinities[0] != neighborhood:
            vectors = self.embedding(cancel=cancel).vectors
            self._affinities = (neighborhood, embedding_affinities(vectors, neighborhood.offsets))
        return self._affinities[1]

    def segment(
        self,
        settings: SegmentationSettings | None = None,
        *,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
        **changes: Any,
    ) -> Segmentation:
        """Return the labels of the image.

        Only what depends on a changed setting is computed again.

        Parameters
        ----------
        settings : SegmentationSettings, optional
            By default those that the model recommends.
        progress : callable
            Told the tiles done and the tiles in all while the network runs.
        cancel : CancelToken, optional
            Checked before each tile and between the stages.
        **changes
            Single settings that differ from `settings`.

        Returns
        -------
        Segmentation

        Raises
        ------
        InputError
            If the image or a setting cannot be used.
        Cancelled
            If `cancel` was set.
        """
        used = (settings or self.model.recommended).updated(**changes)
        neighborhood = used.neighborhood(self.model.ndim)
        embedding = self.embedding(progress=progress, cancel=cancel)
        check_cancel(cancel)
        affinities = self.affinities(neighborhood, cancel=cancel)
        check_cancel(cancel)
        raw = self._partition(affinities, neighborhood, used, embedding.foreground)
        check_cancel(cancel)
        labels = refine(raw, used, cancel=cancel)
        table = region_table(labels, embedding.foreground, affinities, neighborhood.offsets)
        return Segmentation(labels, table, used, self.model.name)

    def _partition(
        self,
        affinities: NDArray[np.float32],
        neighborhood: Neighborhood,
        settings: SegmentationSettings,
        foreground: NDArray[np.float32] | None,
    ) -> NDArray[np.uint32]:
        """Return the raw labels, from the cache if nothing that matters has changed."""
        key = (
            neighborhood,
            settings.strides_for(self.model.ndim),
            settings.foreground_threshold,
        )
        if self._raw is None or self._raw[0] != key:
            self._raw = (key, mutex_partition(affinities, neighborhood, settings, foreground))
        return self._raw[1]
