"""Scoring a network in training by what it is for: the objects it finds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_pea.core.affinity import embedding_affinities
from napari_pea.core.metrics import evaluate, summarize
from napari_pea.core.networks.base import EmbeddingNetwork
from napari_pea.core.partition import mutex_partition
from napari_pea.core.predict import predict
from napari_pea.core.refine import refine
from napari_pea.core.settings import SegmentationSettings
from napari_pea.training.data import AnnotatedImage

#: What is measured while training.
SCORES = ("aji", "dice", "pq", "ap50")


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

    def __call__(self, network: EmbeddingNetwork) -> dict[str, float]:
        """Return the mean of each metric.

        With images of several groups the mean of a metric is that of the groups, and each
        group has its own too, as "<group>/<metric>".
        """
        by_group: dict[str, list[dict[str, float]]] = {}
        for item in self._images:
            scores = self._score(network, item)
            by_group.setdefault(item.group, []).append(scores)
        means = {group: summarize(scores) for group, scores in by_group.items()}
        result = {
            metric: float(np.mean([summary[metric] for summary in means.values()]))
            for metric in self._metrics
        }
        if len(means) > 1:
            for group, summary in means.items():
                result |= {f"{group}/{metric}": summary[metric] for metric in self._metrics}
        return result

    def _score(self, network: EmbeddingNetwork, item: AnnotatedImage) -> dict[str, float]:
        """Return the scores of one image."""
        neighborhood = self._settings.neighborhood(network.ndim)
        embedding = predict(network, item.image)
        affinities = embedding_affinities(embedding.vectors, neighborhood.offsets)
        raw = mutex_partition(affinities, neighborhood, self._settings, embedding.foreground)
        return evaluate(refine(raw, self._settings), item.labels, self._metrics)
