"""Scoring a network in training by what it is for: the objects it finds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.errors import InputError
from napari_pea.core.field import AffinityField
from napari_pea.core.masks.prediction import offsets_of, predict_masks
from napari_pea.core.metrics import evaluate, summarize
from napari_pea.core.neighborhood import Offset
from napari_pea.core.networks import MaskUNet
from napari_pea.core.networks.base import EmbeddingNetwork, Network
from napari_pea.core.predict import Embedding, predict
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.core.segmenter import Segmenter
from napari_pea.core.settings import SegmentationSettings
from napari_pea.training.data import AnnotatedImage

#: What is measured while training.
SCORES = ("aji", "dice", "pq", "ap50")
#: The one that the best version is chosen by, higher is better.
DECISIVE_SCORE = "aji"
#: Its standard error, where few objects make it uncertain.
SCORE_ERROR = "aji_error"

Scores = dict[str, dict[str, float]]


class Truth(Protocol):
    """What an image is scored against."""

    @property
    def labels(self) -> NDArray[np.integer]:
        """Its objects, shape (*spatial)."""

    @property
    def group(self) -> str:
        """The data set it belongs to."""


def group_scores(
    segmenters: Iterable[Segmenter],
    truths: Sequence[Truth],
    settings: SegmentationSettings,
    metrics: Sequence[str] | None = None,
    *,
    cancel: CancelToken | None = None,
) -> Scores:
    """Segment images and return the mean scores of each group.

    Parameters
    ----------
    segmenters : iterable of Segmenter
        One for each image.
    truths : sequence
        The objects of each image and its group; images without objects are left out of
        the means and counted.
    settings : SegmentationSettings
        How they are segmented.
    metrics : sequence of str, optional
        By default all of `napari_pea.core.metrics.METRICS`.
    cancel : CancelToken, optional
        Checked before each image and within it.

    Returns
    -------
    dict of dict
        For each group what `summarize` returns.

    Raises
    ------
    Cancelled
        If `cancel` was set.
    """
    by_group: dict[str, list[dict[str, float]]] = {}
    for segmenter, truth in zip(segmenters, truths, strict=True):
        check_cancel(cancel)
        labels = segmenter.segment(settings, cancel=cancel).labels
        by_group.setdefault(truth.group, []).append(evaluate(labels, truth.labels, metrics))
    return {group: summarize(scores) for group, scores in by_group.items()}


class SegmentationScorer:
    """Segments held-out images and compares the objects with the truth.

    Parameters
    ----------
    images : sequence of AnnotatedImage
        Held-out images; those without objects are left out of the means.
    settings : SegmentationSettings
        How they are segmented.
    metrics : sequence of str
        What is measured (see `napari_pea.core.metrics.METRICS`).
    """

    def __init__(
        self,
        images: Sequence[AnnotatedImage],
        settings: SegmentationSettings,
        metrics: Sequence[str] = SCORES,
    ) -> None:
        self._images = tuple(images)
        self._settings = settings
        self._metrics = tuple(metrics)

    def __call__(self, network: Network, cancel: CancelToken | None = None) -> dict[str, float]:
        """Return the mean of each metric.

        With images of several groups the mean of a metric is that of the groups, and each
        group has its own too, as "<group>/<metric>".

        Parameters
        ----------
        network : Network
            Trained.
        cancel : CancelToken, optional
            Checked before each image and within it.

        Raises
        ------
        Cancelled
            If `cancel` was set.
        """
        predictor = in_training(network, self._settings)
        segmenters = (Segmenter(predictor, item.image) for item in self._images)
        means = group_scores(segmenters, self._images, self._settings, self._metrics, cancel=cancel)
        result = {
            metric: float(np.mean([summary[metric] for summary in means.values()]))
            for metric in self._metrics
        }
        if len(means) > 1:
            for group, summary in means.items():
                result |= {f"{group}/{metric}": summary[metric] for metric in self._metrics}
        return result


def in_training(
    network: Network, settings: SegmentationSettings
) -> EmbedderInTraining | FieldInTraining:
    """Return a network as the segmenter sees it; its images are normalised already.

    Parameters
    ----------
    network : Network
        Of either kind.
    settings : SegmentationSettings
        How images are segmented.
    """
    kind = FieldInTraining if isinstance(network, MaskUNet) else EmbedderInTraining
    return kind(network, settings)


@dataclass(frozen=True)
class _InTraining:
    """What both kinds of networks tell about themselves."""

    network: Network
    recommended: SegmentationSettings
    name: str = "in training"

    @property
    def ndim(self) -> int:
        """The number of spatial axes of its images."""
        return self.network.ndim


class EmbedderInTraining(_InTraining):
    """A network that predicts embeddings."""

    def embed(
        self,
        image: NDArray[np.float32],
        *,
        tile: int | None = None,
        halo: int | None = None,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
        **_: Any,
    ) -> Embedding:
        """Predict the embedding of a normalised image."""
        network = cast("EmbeddingNetwork", self.network)
        return predict(network, image, tile=tile, halo=halo, progress=progress, cancel=cancel)


class FieldInTraining(_InTraining):
    """A network that predicts masks, of which only the affinities without masks are looked at."""

    can_average = False

    @property
    def offsets(self) -> tuple[Offset, ...]:
        """The pairs whose affinities it knows."""
        return offsets_of(cast("MaskUNet", self.network))

    def field(
        self,
        image: NDArray[np.float32],
        *,
        tile: int | None = None,
        halo: int | None = None,
        progress: Progress = ignore_progress,
        cancel: CancelToken | None = None,
        **_: Any,
    ) -> AffinityField:
        """Predict the affinities of a normalised image.

        Raises
        ------
        InputError
            If the network has neither an affinity head nor a sparse branch at full resolution.
        """
        network = cast("MaskUNet", self.network)
        found = predict_masks(
            network, image, tile=tile, halo=halo, progress=progress, cancel=cancel
        ).direct
        if found is None:
            raise InputError(
                "A network of masks alone cannot be scored while it is trained: give it offsets "
                "for an affinity head, or the sparse branch 1."
            )
        return found
