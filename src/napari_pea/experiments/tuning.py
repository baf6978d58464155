"""Choosing the settings that a model recommends, on its validation data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_pea.core.progress import CancelToken, Progress, ignore_progress
from napari_pea.core.segmenter import Segmenter
from napari_pea.core.settings import SegmentationSettings
from napari_pea.models.model import Model
from napari_pea.training.labelled import LabelledImage
from napari_pea.training.validation import DECISIVE_SCORE, SCORES, Scores, group_scores

#: Metrics of which 0 is perfect.
ERRORS = frozenset({"voi_split", "voi_merge", "arand", "cremi"})

#: What is tried, one setting after the other, from the model's recommended values on.
CHOICES: dict[str, tuple[Any, ...]] = {
    "ranges": ((1, 3, 5, 9), (1, 3, 5, 9, 11), (1, 3, 5, 9, 15), (1, 3, 5, 9, 15, 27)),
    "connectivity": (None, 8),
    "strides": (3, 4, 5, 6),
    "foreground_threshold": (0.4, 0.45, 0.5, 0.55, 0.6),
    "min_size": (10, 25, 40),
}


@dataclass(frozen=True)
class Trial:
    """Settings and what they scored.

    Attributes
    ----------
    settings : SegmentationSettings
    scores : dict of dict
        Mean of each metric for each group of images, with the counts of `summarize`.
    metric : str
        What counts.
    """

    settings: SegmentationSettings
    scores: Scores
    metric: str = DECISIVE_SCORE

    @property
    def value(self) -> float:
        """What is maximised: the mean of the metric over the groups, or minus that of an error."""
        mean = float(np.mean([summary[self.metric] for summary in self.scores.values()]))
        return -mean if self.metric in ERRORS else mean


def score(
    model: Model,
    images: Sequence[LabelledImage],
    settings: SegmentationSettings,
    metrics: Sequence[str] | None = None,
    *,
    cancel: CancelToken | None = None,
) -> Scores:
    """Segment images and return the mean scores of each group.

    Parameters
    ----------
    model : Model
        Trained.
    images : sequence of LabelledImage
        With their truth; images without objects are left out of the means and counted.
    settings : SegmentationSettings
        How they are segmented.
    metrics : sequence of str, optional
        By default all of `napari_pea.core.metrics.METRICS`.
    cancel : CancelToken, optional
        Checked before each image.
    """
    segmenters = (Segmenter(model, item.image) for item in images)
    return group_scores(segmenters, images, settings, metrics, cancel=cancel)


def tune(
    model: Model,
    images: Sequence[LabelledImage],
    start: SegmentationSettings,
    choices: Mapping[str, Sequence[Any]] | None = None,
    metric: str = DECISIVE_SCORE,
    *,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> list[Trial]:
    """Try settings one after the other and keep the best value of each.

    Parameters
    ----------
    model : Model
        Trained.
    images : sequence of LabelledImage
        Validation data.
    start : SegmentationSettings
        Where the search starts.
    choices : mapping, optional
        The values to try for each setting, in the order in which settings are tried; by
        default `CHOICES`.
    metric : str
        By which settings are chosen.
    progress : callable
        Told the trials done and the trials in all.
    cancel : CancelToken, optional
        Checked before each image.

    Returns
    -------
    list of Trial
        Every trial, the one with the highest `value` first.
    """
    tried_values = CHOICES if choices is None else choices
    segmenters = [Segmenter(model, item.image) for item in images]
    metrics = tuple(dict.fromkeys((*SCORES, metric)))
    best = start
    done: dict[SegmentationSettings, Trial] = {}
    total = sum(len(values) for values in tried_values.values())
    tried = 0
    for name, values in tried_values.items():
        for value in values:
            settings = best.updated(**{name: value})
            if settings not in done:
                scores = group_scores(segmenters, images, settings, metrics, cancel=cancel)
                done[settings] = Trial(settings, scores, metric)
            tried += 1
            progress(tried, total)
        best = max(done.values(), key=lambda trial: trial.value).settings
    return sorted(done.values(), key=lambda trial: trial.value, reverse=True)
