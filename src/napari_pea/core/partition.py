"""From what a model says to raw labels, by the partitioner of the settings."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_pea.core.affinity import embedding_affinities
from napari_pea.core.agglomeration import average_linkage, multicut
from napari_pea.core.clustering import BANDWIDTH, mean_shift
from napari_pea.core.constraints import Constraints
from napari_pea.core.errors import InputError
from napari_pea.core.evidence import Evidence
from napari_pea.core.mutex import (
    AffinityWatershed,
    EmbeddingWatershed,
    embedding_mutex_watershed,
    mutex_watershed,
)
from napari_pea.core.neighborhood import Neighborhood, Offset
from napari_pea.core.predict import Embedding
from napari_pea.core.processors import allowed_threads
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.core.settings import RANGE_LADDER, SegmentationSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Longer ranges are prepared for only once they are chosen.
LIKELY_RANGE = 35
#: More bring little: what tiles leave over is solved by one.
N_THREADS = min(4, allowed_threads())


class Agglomeration(Protocol):
    """A way to partition an image into objects by a stack of affinities."""

    def __call__(
        self,
        affinities: NDArray[np.floating],
        offsets: Sequence[Offset],
        n_attractive: int,
        *,
        mask: NDArray[np.bool_] | None = None,
        bias: float = 0.0,
        cancel: CancelToken | None = None,
    ) -> NDArray[np.uint32]:
        """Return raw labels: see `napari_pea.core.agglomeration`."""


def foreground_mask(
    foreground: NDArray[np.floating] | None, settings: SegmentationSettings
) -> NDArray[np.bool_] | None:
    """Return where objects may be: at the foreground threshold or above it.

    Parameters
    ----------
    foreground : array of float, shape (*spatial), or None
        Probability of lying inside an object; None if the model does not tell.
    settings : SegmentationSettings
        `foreground_threshold` is used.

    Returns
    -------
    array of bool, shape (*spatial), or None
        None if the model does not tell.
    """
    if foreground is None:
        return None
    return foreground >= settings.foreground_threshold


def partition_affinities(
    affinities: NDArray[np.floating],
    neighborhood: Neighborhood,
    settings: SegmentationSettings,
    foreground: NDArray[np.floating] | None,
    constraints: Constraints | None = None,
    *,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> NDArray[np.uint32]:
    """Partition by affinities, in the way that the settings say.

    Objects of the Mutex Watershed are connected through direct neighbours if there are no
    constraints, because only those attract.

    Parameters
    ----------
    affinities : array of float, shape (N, *spatial)
        One channel for each offset of `neighborhood`.
    neighborhood : Neighborhood
        The direct neighbours attract, all other pairs repel.
    settings : SegmentationSettings
        `partitioner`, `strides`, `bias` and `foreground_threshold` are used.
    foreground : array of float, shape (*spatial), or None
        Probability of lying inside an object; None for objects everywhere.
    constraints : Constraints, optional
        Pairs of pixels that are, or cannot be, in one object.
    progress : callable
        Told the steps done and in all.
    cancel : CancelToken, optional
        Checked now and then.

    Returns
    -------
    array of uint32, shape (*spatial)
        Objects numbered from 1 without gaps; 0 where the foreground is below its threshold.

    Raises
    ------
    InputError
        If the affinities do not fit the neighborhood, the strides or the foreground,
        constraints contradict each other, or the partitioner knows none or needs an embedding.
    Cancelled
        If `cancel` was set.
    """
    if settings.partitioner != "mutex":
        _no_constraints(settings, constraints)
        if settings.partitioner not in AGGLOMERATIONS:
            raise InputError(
                f"The partitioner {settings.partitioner!r} needs an embedding, and there are "
                "only affinities: choose another one."
            )
        return AGGLOMERATIONS[settings.partitioner](
            affinities,
            neighborhood.offset_list,
            neighborhood.n_attractive,
            mask=foreground_mask(foreground, settings),
            bias=settings.bias,
            cancel=cancel,
        )
    return mutex_watershed(
        affinities,
        neighborhood.offset_list,
        neighborhood.n_attractive,
        **_choices(neighborhood, settings, foreground, constraints),
        progress=progress,
        cancel=cancel,
    )


def partition_embedding(
    vectors: NDArray[np.floating],
    neighborhood: Neighborhood,
    settings: SegmentationSettings,
    foreground: NDArray[np.floating] | None,
    constraints: Constraints | None = None,
    *,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> NDArray[np.uint32]:
    """Partition an embedding, in the way that the settings say.

    Parameters
    ----------
    vectors : array of float, shape (D, *spatial)
        Embedding vectors of unit length, best as `napari_pea.core.affinity.pixel_major`
        returns them.
    neighborhood, settings, foreground, constraints, progress, cancel
        See `partition_affinities`.

    Returns
    -------
    array of uint32, shape (*spatial)
        As `partition_affinities` finds from the affinities of the embedding.

    Raises
    ------
    InputError
        See `partition_affinities`.
    Cancelled
        If `cancel` was set.
    """
    if settings.partitioner == "mean-shift":
        _no_constraints(settings, constraints)
        return mean_shift(
            vectors,
            mask=foreground_mask(foreground, settings),
            bandwidth=BANDWIDTH * (1 + settings.bias / 2),
            cancel=cancel,
        )
    if settings.partitioner != "mutex":
        if settings.partitioner == "multicut":
            neighborhood = neighborhood.first(1)  # it looks at direct neighbours only
        affinities = embedding_affinities(vectors, neighborhood.offset_list)
        check_cancel(cancel)
        return partition_affinities(
            affinities, neighborhood, settings, foreground, constraints, cancel=cancel
        )
    return embedding_mutex_watershed(
        vectors,
        neighborhood.offset_list,
        neighborhood.n_attractive,
        **_choices(neighborhood, settings, foreground, constraints),
        progress=progress,
        cancel=cancel,
    )


def partition_evidence(
    evidence: Evidence,
    neighborhood: Neighborhood,
    settings: SegmentationSettings,
    constraints: Constraints | None = None,
    *,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> NDArray[np.uint32]:
    """Partition by what a model says, in the way that the settings say.

    Parameters
    ----------
    evidence : Evidence
        An embedding or an affinity field, best as its `prepared` returns it.
    neighborhood, settings, constraints, progress, cancel
        See `partition_affinities`.

    Returns
    -------
    array of uint32, shape (*spatial)
        As `partition_affinities` finds from the affinities of the neighborhood.

    Raises
    ------
    InputError
        See `partition_affinities`; or if the model does not know an offset.
    Cancelled
        If `cancel` was set.
    """
    if isinstance(evidence, Embedding):
        return partition_embedding(
            evidence.vectors,
            neighborhood,
            settings,
            evidence.foreground,
            constraints,
            progress=progress,
            cancel=cancel,
        )
    if settings.partitioner == "multicut":
        neighborhood = neighborhood.first(1)  # it looks at direct neighbours only
    return partition_affinities(
        evidence.affinities(neighborhood.offset_list),
        neighborhood,
        settings,
        evidence.foreground,
        constraints,
        progress=progress,
        cancel=cancel,
    )


class LivePartition:
    """Partitions one image, and quickly again with other ranges by the Mutex Watershed.

    The result is always that of `partition_evidence`. What depends on neither ranges,
    connectivity nor strides is kept until something else changes.
    """

    def __init__(self) -> None:
        self._made_from: tuple[Evidence, Hashable] | None = None
        self._watershed: EmbeddingWatershed | AffinityWatershed | None = None

    @property
    def nbytes(self) -> int:
        """How much memory is kept, in bytes."""
        return 0 if self._watershed is None else self._watershed.nbytes

    def __call__(
        self,
        evidence: Evidence,
        neighborhood: Neighborhood,
        settings: SegmentationSettings,
        constraints: Constraints | None = None,
        *,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> NDArray[np.uint32]:
        """Return raw labels: see `partition_evidence`."""
        if settings.partitioner != "mutex":
            return partition_evidence(
                evidence, neighborhood, settings, constraints, progress=progress, cancel=cancel
            )
        n_attractive = neighborhood.n_attractive
        attractive = neighborhood.offset_list[:n_attractive]
        said = None if constraints is None else constraints.key
        settled = (attractive, settings.foreground_threshold, settings.bias, said)
        made_from = self._made_from
        same = made_from is not None and made_from[0] is evidence and made_from[1] == settled
        if self._watershed is None or not same:
            choices = _choices(neighborhood, settings, evidence.foreground, constraints)
            del choices["strides"]
            self._watershed = _watershed(evidence, attractive, choices, progress, cancel)
            self._made_from = evidence, settled
        elif isinstance(self._watershed, EmbeddingWatershed) and neighborhood.z_ranges is None:
            # After a second choice a third one is likely.
            likely = _likely(neighborhood)
            self._watershed.foresee(likely.offset_list[n_attractive:], cancel=cancel)
        return self._watershed.partition(
            neighborhood.offset_list[n_attractive:],
            strides=settings.strides_for(neighborhood.ndim),
            cancel=cancel,
        )


def _watershed(
    evidence: Evidence,
    attractive: Sequence[Offset],
    choices: dict[str, Any],
    progress: Progress,
    cancel: CancelToken | None,
) -> EmbeddingWatershed | AffinityWatershed:
    """Return what can be asked for one choice of repulsive offsets after another."""
    if isinstance(evidence, Embedding):
        return EmbeddingWatershed(
            evidence.vectors, attractive, **choices, progress=progress, cancel=cancel
        )
    known = evidence.prepared()
    offsets = known.offsets or ()
    stack = known.pair_values(offsets).affinities.reshape(-1, *known.shape)
    return AffinityWatershed(
        stack, offsets, attractive, **choices, progress=progress, cancel=cancel
    )


def _likely(neighborhood: Neighborhood) -> Neighborhood:
    """Return the pairs of all ranges that a user comes by from here."""
    ladder = (step for step in RANGE_LADDER if step <= LIKELY_RANGE)
    return replace(neighborhood, ranges=(*neighborhood.ranges, *ladder))


def _choices(
    neighborhood: Neighborhood,
    settings: SegmentationSettings,
    foreground: NDArray[np.floating] | None,
    constraints: Constraints | None,
) -> dict[str, Any]:
    """Return what both ways to partition are told alike."""
    must_link = cannot_link = None
    if constraints:
        must_link, cannot_link = constraints.must_link, constraints.cannot_link
        if foreground is not None and foreground.ndim == 2:
            # Two columns of flat indices might as well be an image.
            must_link = np.stack(np.unravel_index(must_link, foreground.shape), axis=-1)
            cannot_link = np.stack(np.unravel_index(cannot_link, foreground.shape), axis=-1)
    return {
        "strides": settings.strides_for(neighborhood.ndim),
        "mask": foreground_mask(foreground, settings),
        "must_link": must_link,
        "cannot_link": cannot_link,
        "bias": settings.bias,
        "threads": N_THREADS,
    }


def _no_constraints(settings: SegmentationSettings, constraints: Constraints | None) -> None:
    """Say that constraints on pixels are for the Mutex Watershed."""
    if constraints:
        raise InputError(
            f"The partitioner {settings.partitioner!r} cannot keep cuts: choose the partitioner "
            "'mutex', or undo the cuts."
        )


AGGLOMERATIONS: dict[str, Agglomeration] = {
    "multicut": multicut,
    "average": average_linkage,
}
"""What partitions affinities besides the Mutex Watershed, by the name it is chosen by."""
