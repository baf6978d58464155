"""The staged cache: image, embedding, raw labels, labels and their table."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.affinity import embedding_affinities, pixel_major
from napari_pea.core.constraints import Constraints
from napari_pea.core.errors import InputError
from napari_pea.core.joins import Joined, partition_joined
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.core.partition import LivePartition
from napari_pea.core.predict import Embedding
from napari_pea.core.predictors import Embedder
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.core.refine import refine
from napari_pea.core.settings import SegmentationSettings
from napari_pea.core.table import region_table

if TYPE_CHECKING:
    import pandas as pd


class EmbeddingPartitioner(Protocol):
    """A way to partition an image into objects by its embedding."""

    def __call__(
        self,
        vectors: NDArray[np.floating],
        neighborhood: Neighborhood,
        settings: SegmentationSettings,
        foreground: NDArray[np.floating] | None,
        constraints: Constraints | None = None,
        *,
        cancel: CancelToken | None = None,
    ) -> NDArray[np.uint32]:
        """Return raw labels: see `napari_pea.core.partition.partition_embedding`."""


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
    pieces : array of uint32, shape (*spatial), or None
        What the partition found, before the user's joins and before refining.
    """

    labels: NDArray[np.uint32]
    table: pd.DataFrame
    settings: SegmentationSettings
    model: str
    pieces: NDArray[np.uint32] | None = None

    def with_ids(self, ids: NDArray[np.uint32], labels: NDArray[np.uint32]) -> Segmentation:
        """Return the same objects with other ids.

        Parameters
        ----------
        ids : array of uint32
            The new id of each label.
        labels : array of uint32, shape (*spatial)
            ``ids[self.labels]``.
        """
        table = self.table.assign(label=ids[self.table["label"]])
        table = table.sort_values("label", ignore_index=True)
        return replace(self, labels=labels, table=table)


class Segmenter:
    """Segments one image, and again with other settings without running the network.

    Parameters
    ----------
    model : Model
        Anything with `embed`, `recommended`, `ndim` and `name`.
    image : array-like
        See `napari_pea.core.image.prepare_image` for `channel` and `channel_axis` too.
    tile, halo : int, optional
        See `napari_pea.core.predict.predict`.
    partition : callable
        How the embedding becomes raw labels; by default the Mutex Watershed.

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
        halo: int | None = None,
        partition: EmbeddingPartitioner | None = None,
    ) -> None:
        self.model = model
        self._image = image
        self._channel = channel
        self._channel_axis = channel_axis
        self._tile = tile
        self._halo = halo
        self._given_partition = partition
        self.partition = LivePartition() if partition is None else partition
        self._embedding: Embedding | None = None
        self._direct: NDArray[np.float32] | None = None
        self._raw: tuple[Hashable, Joined] | None = None
        self._refined: tuple[Hashable, NDArray[np.uint32]] | None = None
        self._table: tuple[Hashable, pd.DataFrame] | None = None

    @property
    def nbytes(self) -> int:
        """How much memory the cached stages hold, in bytes."""
        kept: list[NDArray[Any] | None] = [self._direct]
        if self._embedding is not None:
            kept += [self._embedding.vectors, self._embedding.foreground]
        if self._raw is not None:
            kept += [self._raw[1].labels, self._raw[1].pieces]
        if self._refined is not None:
            kept.append(self._refined[1])
        kept_by_partition = getattr(self.partition, "nbytes", 0)
        return kept_by_partition + sum(array.nbytes for array in kept if array is not None)

    def window(self, region: tuple[slice, ...]) -> Segmenter:
        """Return a segmenter of a part of the image that shares the embedding.

        Objects at the rim of the part may differ from those of the whole image.

        Parameters
        ----------
        region : tuple of slice
            One for each spatial axis.

        Raises
        ------
        InputError
            If the embedding is not there yet.
        """
        if self._embedding is None:
            raise InputError("A part can be segmented once the whole image was embedded.")
        whole = self._embedding
        part = Segmenter(self.model, None, partition=self._given_partition)
        foreground = None if whole.foreground is None else whole.foreground[region]
        part._embedding = Embedding(pixel_major(whole.vectors[(slice(None), *region)]), foreground)
        return part

    def embedding(
        self, *, progress: Progress = ignore_progress, cancel: CancelToken | None = None
    ) -> Embedding:
        """Return the embedding of the image; the network runs on the first call only."""
        if self._embedding is None:
            found = self.model.embed(
                self._image,
                channel=self._channel,
                channel_axis=self._channel_axis,
                tile=self._tile,
                halo=self._halo,
                progress=progress,
                cancel=cancel,
            )
            self._embedding = Embedding(pixel_major(found.vectors), found.foreground)
        return self._embedding

    def affinities(
        self, neighborhood: Neighborhood, *, cancel: CancelToken | None = None
    ) -> NDArray[np.float32]:
        """Return the affinities of a neighborhood, shape (N, *spatial); not kept."""
        vectors = self.embedding(cancel=cancel).vectors
        return embedding_affinities(vectors, neighborhood.offsets)

    def segment(
        self,
        settings: SegmentationSettings | None = None,
        constraints: Constraints | None = None,
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
        constraints : Constraints, optional
            Pairs of pixels that are, or cannot be, in one object.
        progress : callable
            Told the tiles done and the tiles in all while the network runs.
        cancel : CancelToken, optional
            Checked before each tile, and within and between the stages.
        **changes
            Single settings that differ from `settings`.

        Returns
        -------
        Segmentation

        Raises
        ------
        InputError
            If the image, a setting or the constraints cannot be used.
        Cancelled
            If `cancel` was set.
        """
        used = (settings or self.model.recommended).updated(**changes)
        labels = self.labels(used, constraints, progress=progress, cancel=cancel)
        key = None if self._refined is None else self._refined[0]
        if self._table is None or self._table[0] != key:
            embedding, neighborhood = self.embedding(), used.neighborhood(self.model.ndim)
            # The table compares direct neighbours only.
            direct = neighborhood.offsets[: neighborhood.n_attractive]
            if self._direct is None:
                self._direct = embedding_affinities(embedding.vectors, direct)
            check_cancel(cancel)
            table = region_table(labels, embedding.foreground, self._direct, direct)
            self._table = key, table
        pieces = labels if self._raw is None else self._raw[1].pieces
        return Segmentation(labels, self._table[1], used, self.model.name, pieces)

    def labels(
        self,
        settings: SegmentationSettings,
        constraints: Constraints | None = None,
        *,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> NDArray[np.uint32]:
        """Return the labels of `segment`, before the table is made.

        Parameters
        ----------
        settings : SegmentationSettings
            How to segment.
        constraints, progress, cancel
            See `segment`.

        Returns
        -------
        array of uint32, shape (*spatial)
            Object ids from 1; 0 is background.

        Raises
        ------
        InputError
            If the image, a setting or the constraints cannot be used.
        Cancelled
            If `cancel` was set.
        """
        neighborhood = settings.neighborhood(self.model.ndim)
        embedding = self.embedding(progress=progress, cancel=cancel)
        check_cancel(cancel)
        raw_key = (
            neighborhood,
            settings.strides_for(self.model.ndim),
            settings.foreground_threshold,
            settings.bias,
            settings.partitioner,
            None if constraints is None else constraints.key,
        )
        if self._raw is None or self._raw[0] != raw_key:
            joined = partition_joined(
                lambda pairs: self.partition(
                    embedding.vectors,
                    neighborhood,
                    settings,
                    embedding.foreground,
                    pairs,
                    cancel=cancel,
                ),
                constraints or Constraints.none(),
            )
            self._raw = raw_key, joined
        check_cancel(cancel)
        refined_key = (raw_key, settings.min_size, settings.merge_fragments, settings.fill_holes)
        if self._refined is None or self._refined[0] != refined_key:
            labels = refine(
                self._raw[1].labels,
                settings,
                vectors=embedding.vectors,
                constraints=constraints,
                cancel=cancel,
            )
            self._refined = refined_key, labels
        check_cancel(cancel)
        return self._refined[1]
