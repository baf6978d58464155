"""The staged cache: image, embedding or affinities, raw labels, labels and their table."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.constraints import Constraints
from napari_pea.core.errors import InputError
from napari_pea.core.evidence import Evidence
from napari_pea.core.joins import Joined, partition_joined
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.core.partition import LivePartition
from napari_pea.core.predict import Embedding
from napari_pea.core.predictors import (
    AffinityPredictor,
    Embedder,
    check_settings,
    keeps_masks,
    known_offsets,
    predicts_affinities,
)
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.core.refine import refine
from napari_pea.core.segmentation import Segmentation
from napari_pea.core.settings import SegmentationSettings
from napari_pea.core.table import region_table

if TYPE_CHECKING:
    import pandas as pd


class Partitioner(Protocol):
    """A way to partition an image into objects by what a model says."""

    def __call__(
        self,
        evidence: Evidence,
        neighborhood: Neighborhood,
        settings: SegmentationSettings,
        constraints: Constraints | None = None,
        *,
        cancel: CancelToken | None = None,
    ) -> NDArray[np.uint32]:
        """Return raw labels: see `napari_pea.core.partition.partition_evidence`."""


class Segmenter:
    """Segments one image, and again with other settings without running the network.

    Parameters
    ----------
    model : Embedder or AffinityPredictor
        See `napari_pea.core.predictors`.
    image : array-like, shape (*spatial) or with channels
        Raw intensities of any type.
    channel, channel_axis : int, optional
        Which channel to use and which axis holds the channels.
    tile, halo : int, optional
        Side of the tiles, and what they drop at each side, in pixels; by default what suits the
        network.
    partition : callable, optional
        How what the model says becomes raw labels; by default as the settings say.

    Examples
    --------
    >>> segmenter = Segmenter(load_model("nuclei"), image)  # doctest: +SKIP
    >>> segmenter.segment().labels.max()  # doctest: +SKIP
    >>> segmenter.segment(ranges=(1, 3, 5)).labels.max()  # doctest: +SKIP
    """

    def __init__(
        self,
        model: Embedder | AffinityPredictor,
        image: Any,
        *,
        channel: int | None = None,
        channel_axis: int | None = None,
        tile: int | None = None,
        halo: int | None = None,
        partition: Partitioner | None = None,
    ) -> None:
        self.model = model
        self._options: dict[str, Any] = {
            "channel": channel,
            "channel_axis": channel_axis,
            "tile": tile,
            "halo": halo,
        }
        self._image = image
        self._given_partition = partition
        self.partition = LivePartition() if partition is None else partition
        self._whole: tuple[Segmenter, tuple[slice, ...]] | None = None
        self._prediction: Any = None
        self._evidence: dict[bool, Evidence] = {}
        self._direct: tuple[Evidence, NDArray[np.float32]] | None = None
        self._raw: tuple[Hashable, Joined] | None = None
        self._refined: tuple[Hashable, NDArray[np.uint32]] | None = None
        self._table: tuple[Hashable, pd.DataFrame] | None = None

    @property
    def nbytes(self) -> int:
        """How much memory the cached stages hold, in bytes."""
        kept: list[NDArray[Any] | None] = []
        for holder in (*self._evidence.values(), self._prediction):
            kept += () if holder is None else holder.arrays
        if self._direct is not None:
            kept.append(self._direct[1])
        if self._raw is not None:
            kept += [self._raw[1].labels, self._raw[1].pieces]
        if self._refined is not None:
            kept.append(self._refined[1])
        # What two stages share counts once.
        memory = {array.ctypes.data: array.nbytes for array in kept if array is not None}
        return sum(memory.values()) + int(getattr(self.partition, "nbytes", 0))

    def window(self, region: tuple[slice, ...]) -> Segmenter:
        """Return a segmenter of a part of the image that shares what the network has said.

        Objects at the rim of the part may differ from those of the whole image.

        Parameters
        ----------
        region : tuple of slice
            One for each spatial axis.

        Raises
        ------
        InputError
            If the network has not seen the image yet.
        """
        if not self._evidence:
            raise InputError("A part can be segmented once the whole image was embedded.")
        part = Segmenter(self.model, None, partition=self._given_partition)
        part._whole = self, region
        return part

    def has_evidence(self, settings: SegmentationSettings) -> bool:
        """Return whether labels of these `settings` need the network no more."""
        if self._whole is not None:
            return self._whole[0].has_evidence(settings)
        return self._averages(settings) in self._evidence

    @property
    def kept_evidence(self) -> dict[bool, Evidence]:
        """What the network has said so far, by whether masks were averaged."""
        return dict(self._evidence)

    def restore(self, evidence: Mapping[bool, Evidence]) -> None:
        """Take over what the network has said of the image before, so that it need not run.

        Parameters
        ----------
        evidence : mapping of bool to Embedding or AffinityField
            As `kept_evidence` has returned it.
        """
        self._evidence = {average: found.prepared() for average, found in evidence.items()}

    def evidence(
        self,
        settings: SegmentationSettings | None = None,
        *,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> Evidence:
        """Return what the model says; the network runs on the first call only.

        Parameters
        ----------
        settings : SegmentationSettings, optional
            By default those that the model recommends. Only `average_masks` matters: with
            and without, a model of masks says something else, and both are kept.
        progress, cancel
            See `segment`.

        Returns
        -------
        Embedding or AffinityField
            By the kind of the model.
        """
        used = settings or self.model.recommended
        average = self._averages(used)
        if average not in self._evidence:
            if self._whole is not None:
                whole, region = self._whole
                found = whole.evidence(used, progress=progress, cancel=cancel).window(region)
            else:
                found = self._predicted(average, progress, cancel)
            self._evidence[average] = found.prepared()
        return self._evidence[average]

    def _predicted(self, average: bool, progress: Progress, cancel: CancelToken | None) -> Evidence:
        """Ask the model; what it keeps of the image saves running its network twice."""
        told: dict[str, Any] = {"progress": progress, "cancel": cancel}
        model = self.model
        if keeps_masks(model):
            if self._prediction is None:
                self._prediction = model.predict(self._image, **told, **self._options)
                check_cancel(cancel)
            return model.field_of(self._prediction, average=average, **told)
        if predicts_affinities(model):
            return model.field(self._image, average=average, **told, **self._options)
        return cast("Embedder", model).embed(self._image, **told, **self._options)

    def embedding(
        self, *, progress: Progress = ignore_progress, cancel: CancelToken | None = None
    ) -> Embedding:
        """Return the embedding of the image; the network runs on the first call only.

        Parameters
        ----------
        progress, cancel
            See `segment`.

        Raises
        ------
        InputError
            If the model predicts affinities instead.
        """
        found = self.evidence(progress=progress, cancel=cancel)
        if not isinstance(found, Embedding):
            raise InputError(
                f"The model {self.model.name!r} predicts affinities and no embedding: use "
                "`evidence` instead."
            )
        return found

    def affinities(
        self, neighborhood: Neighborhood, *, cancel: CancelToken | None = None
    ) -> NDArray[np.float32]:
        """Return the affinities of a neighborhood, which are not kept.

        Parameters
        ----------
        neighborhood : Neighborhood
            Which pixel pairs.
        cancel : CancelToken, optional
            Stops the job when set.

        Returns
        -------
        array of float32, shape (N, *spatial)
            One channel for each offset; 0 where a pair leaves the image.

        Raises
        ------
        InputError
            If the model does not know these pairs.
        """
        return self.evidence(cancel=cancel).affinities(neighborhood.offset_list)

    def _averages(self, settings: SegmentationSettings) -> bool:
        """Whether settings ask a model of masks to average them."""
        model = self.model
        return settings.average_masks and predicts_affinities(model) and model.can_average

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
        known = known_offsets(self.model)
        used = known.updated(settings or self.model.recommended, **changes)
        labels = self.labels(used, constraints, progress=progress, cancel=cancel)
        key = None if self._refined is None else self._refined[0]
        if self._table is None or self._table[0] != key:
            evidence, neighborhood = self.evidence(used), used.neighborhood(self.model.ndim)
            # The table compares direct neighbours only.
            direct = neighborhood.offset_list[: neighborhood.n_attractive]
            if self._direct is None or self._direct[0] is not evidence:
                self._direct = evidence, evidence.affinities(direct)
            check_cancel(cancel)
            table = region_table(
                labels,
                evidence.foreground,
                self._direct[1],
                direct,
                evidence.uncertainties(direct),
            )
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
        check_settings(self.model, settings)
        neighborhood = settings.neighborhood(self.model.ndim)
        evidence = self.evidence(settings, progress=progress, cancel=cancel)
        check_cancel(cancel)
        raw_key = (
            neighborhood,
            settings.strides_for(self.model.ndim),
            settings.foreground_threshold,
            settings.bias,
            settings.partitioner,
            self._averages(settings),
            None if constraints is None else constraints.key,
        )
        if self._raw is None or self._raw[0] != raw_key:
            joined = partition_joined(
                lambda pairs: self.partition(
                    evidence, neighborhood, settings, pairs, cancel=cancel
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
                evidence=evidence,
                constraints=constraints,
                cancel=cancel,
            )
            self._refined = refined_key, labels
        check_cancel(cancel)
        return self._refined[1]
