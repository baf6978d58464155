"""Keeping whole painted objects back, to see how well a network finds what it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.metrics import evaluate
from napari_pea.core.networks.base import Network
from napari_pea.core.progress import CancelToken, check_cancel
from napari_pea.core.quality import best_overlaps
from napari_pea.core.segmenter import Segmenter
from napari_pea.core.settings import SegmentationSettings
from napari_pea.training.annotation import UNANNOTATED, Notice
from napari_pea.training.data import AnnotatedImage
from napari_pea.training.validation import SCORE_ERROR, in_training

#: With fewer painted objects none is held out: each is needed to learn from.
FEWEST_OBJECTS = 5
#: At most this many are held out; more would cost time and say little more.
MOST_HELD_OUT = 40
#: What is seen of the image around held-out objects, in pixels.
MARGIN = 64
#: What is measured on held-out objects.
OBJECT_SCORES = ("aji", "ap50")
#: One object tells nothing about how much the score depends on the choice of objects.
UNKNOWN_ERROR = 1.0


@dataclass(frozen=True)
class HeldOut:
    """Objects that are kept back, in the part of an image around them.

    Attributes
    ----------
    image : array of float32, shape (C, *spatial)
        The part of the normalised image.
    truth : array of int32, shape (*spatial)
        The objects that are held out; 0 elsewhere.
    others : array of int32, shape (*spatial)
        The other painted objects; 0 elsewhere.
    region : tuple of slice
        Where the part lies in the image.
    index : int
        Which image it is.
    """

    image: NDArray[np.float32]
    truth: NDArray[np.int32]
    others: NDArray[np.int32]
    region: tuple[slice, ...]
    index: int


def hold_out(
    images: Sequence[AnnotatedImage], share: float, seed: int
) -> tuple[list[AnnotatedImage], list[HeldOut], list[Notice]]:
    """Take some whole objects out of the annotation.

    Parameters
    ----------
    images : sequence of AnnotatedImage
        All the annotation.
    share : float
        Part of the painted objects, between 0 and 1; 0 takes none. At least one object and
        at most 40 are taken.
    seed : int
        Decides which.

    Returns
    -------
    training : list of AnnotatedImage
        The images, with the pixels of held-out objects not annotated.
    held_out : list of HeldOut
        What was taken, one entry for each image with held-out objects.
    notices : list of Notice
        Whether there is too little to hold out any.
    """
    if share <= 0:
        return list(images), [], []
    objects = [
        (index, int(number))
        for index, item in enumerate(images)
        for number in np.unique(item.labels)
        if number > 0
    ]
    if len(objects) < FEWEST_OBJECTS:
        text = (
            f"With {len(objects)} painted object{'s' if len(objects) != 1 else ''} none can be "
            f"held out, so the scores of a validation are missing: paint {FEWEST_OBJECTS} or more."
        )
        return list(images), [], [Notice("no-validation", text)]
    count = min(MOST_HELD_OUT, max(1, round(share * len(objects))))
    rng = np.random.default_rng(seed)
    chosen: dict[int, list[int]] = {}
    for position in sorted(rng.choice(len(objects), count, replace=False)):
        index, number = objects[position]
        chosen.setdefault(index, []).append(number)
    training, held_out = [], []
    for index, item in enumerate(images):
        if index not in chosen:
            training.append(item)
            continue
        taken = np.isin(item.labels, chosen[index])
        training.append(
            replace(item, labels=np.where(taken, UNANNOTATED, item.labels).astype(np.int32))
        )
        held_out.append(_around(item, taken, index))
    return training, held_out, []


def all_held_out(images: Sequence[AnnotatedImage]) -> list[HeldOut]:
    """Return the painted objects of images that are held out as a whole.

    Parameters
    ----------
    images : sequence of AnnotatedImage
        Each with at least one object.
    """
    return [_around(item, item.labels > 0, index) for index, item in enumerate(images)]


def _around(item: AnnotatedImage, taken: NDArray[np.bool_], index: int) -> HeldOut:
    """Return the part of an image around the objects that are taken."""
    limits = []
    for axis in range(taken.ndim):
        others = tuple(other for other in range(taken.ndim) if other != axis)
        where = np.flatnonzero(taken.any(axis=others))
        limits.append(
            slice(max(0, int(where[0]) - MARGIN), min(taken.shape[axis], int(where[-1]) + MARGIN))
        )
    region = tuple(limits)
    ids, inside = item.labels[region], taken[region]
    return HeldOut(
        image=item.image[(slice(None), *region)],
        truth=np.where(inside, ids, 0).astype(np.int32),
        others=np.where(inside, 0, np.maximum(ids, 0)).astype(np.int32),
        region=region,
        index=index,
    )


class HeldOutScorer:
    """Segments the surroundings of held-out objects and compares what lies on them.

    A found object counts if it lies on a held-out object more than on any other painted one
    (see `on_held_out`). So nothing is said about objects that nobody painted.

    Parameters
    ----------
    held_out : sequence of HeldOut
        At least one.
    settings : SegmentationSettings
        How they are segmented.
    """

    def __init__(self, held_out: Sequence[HeldOut], settings: SegmentationSettings) -> None:
        self._held_out = tuple(held_out)
        self._settings = settings

    def __call__(self, network: Network, cancel: CancelToken | None = None) -> dict[str, float]:
        """Return AJI, its standard error, and AP50 over all held-out objects together.

        The error is that of the mean of the best overlaps with each object.

        Parameters
        ----------
        network : Network
            Trained.
        cancel : CancelToken, optional
            Checked before each part and within it.

        Raises
        ------
        Cancelled
            If `cancel` was set.
        """
        embedder = in_training(network, self._settings)
        found, true = [], []
        labels_so_far = truth_so_far = 0
        for item in self._held_out:
            check_cancel(cancel)
            labels = Segmenter(embedder, item.image).segment(cancel=cancel).labels
            kept = on_held_out(labels, item.truth, item.others)
            found.append(np.where(kept > 0, kept + labels_so_far, 0).ravel())
            true.append(np.where(item.truth > 0, item.truth + truth_so_far, 0).ravel())
            labels_so_far = max(labels_so_far, int(found[-1].max()))
            truth_so_far = max(truth_so_far, int(true[-1].max()))
        labels, truth = np.concatenate(found), np.concatenate(true)
        overlaps = best_overlaps(truth, labels)[np.unique(truth[truth > 0])]
        error = UNKNOWN_ERROR
        if overlaps.size > 1:
            error = float(overlaps.std(ddof=1) / np.sqrt(overlaps.size))
        return {**evaluate(labels, truth, OBJECT_SCORES), SCORE_ERROR: error}


def on_held_out(
    labels: NDArray[np.integer], truth: NDArray[np.integer], others: NDArray[np.integer]
) -> NDArray[np.int64]:
    """Return the labels that lie on held-out objects; the rest becomes background.

    Labels lie on an object if they cover half of it, or half of them is in it. Others are its
    neighbours, which nobody painted: that they reach a few pixels into it is no mistake of theirs.

    Parameters
    ----------
    labels : array of int, shape (*spatial)
        What was found.
    truth, others : array of int, shape (*spatial)
        Held-out objects, and the other painted ones.
    """
    areas = np.bincount(labels.ravel())

    def most_shared(objects: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return for each label how many pixels it shares with the object it lies on most."""
        painted = objects > 0
        pairs, shared = np.unique(
            np.stack([labels[painted], objects[painted]]).astype(np.int64),
            axis=1,
            return_counts=True,
        )
        smaller = np.minimum(areas[pairs[0]], np.bincount(objects.ravel())[pairs[1]])
        most = np.zeros(len(areas), np.int64)
        np.maximum.at(most, pairs[0], np.where(2 * shared >= smaller, shared, 0))
        return most

    kept = most_shared(truth) > most_shared(others)
    kept[0] = False
    return np.where(kept[labels], labels, 0).astype(np.int64)
