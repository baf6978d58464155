"""Ways from one and the same affinities to objects, side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.core.segmenter import Segmenter
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments import neurons_em, nuclei_3d
from napari_pea.experiments.recipes import Recipe
from napari_pea.experiments.tuning import Trial
from napari_pea.models.model import Model
from napari_pea.training.validation import Scores, group_scores

#: Those that compare pairs of voxels; each has its own place for the bias.
COMPARED = ("mutex", "multicut", "average")
BIASES = (-0.2, -0.1, 0.0, 0.1, 0.2, 0.4)
METRICS = ("voi_split", "voi_merge", "arand", "cremi", "aji", "ap50", "sbd", "n_labels")
RECIPES = {"nuclei-3d": nuclei_3d.recipe, "neurons-em": neurons_em.recipe}


@dataclass(frozen=True)
class Outcome:
    """What a partitioner reaches.

    Attributes
    ----------
    settings : SegmentationSettings
        Those recommended, with the partitioner and the bias that suits it best.
    scores : dict of dict
        Mean of each of `METRICS` for each group of images.
    seconds : float
        For all images with these settings, the network left out.
    """

    settings: SegmentationSettings
    scores: Scores
    seconds: float


def recipe_of(name: str, data: Path) -> Recipe:
    """Return the recipe of a model for volumes with its data.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in RECIPES:
        raise InputError(f"There is no recipe {name!r} for volumes: use {', '.join(RECIPES)}.")
    return RECIPES[name](data)


def compare_partitioners(
    model: Model,
    recipe: Recipe,
    *,
    partitioners: Sequence[str] = COMPARED,
    biases: Sequence[float] = BIASES,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> list[Outcome]:
    """Segment the validation images of a recipe by several partitioners.

    Every partitioner sees the same and gets the bias with which it scores best by the
    metric of the recipe; all else is as the model recommends.

    Parameters
    ----------
    model : Model
        Trained.
    recipe : Recipe
        Tells the images and the metric.
    partitioners : sequence of str
        See `SegmentationSettings`.
    biases : sequence of float
        What is tried.
    progress : callable
        Told the trials done and the trials in all.
    cancel : CancelToken, optional
        Checked before each image and within it.

    Returns
    -------
    list of Outcome
        One for each partitioner.
    """
    images = recipe.validation
    segmenters = [Segmenter(model, item.image) for item in images]
    for segmenter in segmenters:
        segmenter.evidence(cancel=cancel)
    total, done = len(partitioners) * len(biases), 0
    outcomes = []
    for name in partitioners:
        tried = []
        for bias in biases:
            check_cancel(cancel)
            settings = model.recommended.updated(partitioner=name, bias=bias)
            started = time.perf_counter()
            scores = group_scores(segmenters, images, settings, METRICS, cancel=cancel)
            tried.append((Trial(settings, scores, recipe.metric), time.perf_counter() - started))
            done += 1
            progress(done, total)
        best, seconds = max(tried, key=lambda pair: pair[0].value)
        outcomes.append(Outcome(best.settings, best.scores, seconds))
    return outcomes
