"""Scoring the methods of the papers: one network output, one or more ways to objects."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.clustering import mean_shift
from napari_pea.core.errors import InputError
from napari_pea.core.field import AffinityField
from napari_pea.core.metrics import evaluate, summarize
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.core.networks.base import EmbeddingNetwork, NetworkOutput
from napari_pea.core.partition import foreground_mask, partition_affinities, partition_embedding
from napari_pea.core.predict import Embedding
from napari_pea.core.progress import CancelToken, check_cancel
from napari_pea.core.refine import refine
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments.papers.metrics import authors_scores
from napari_pea.models.model import Model
from napari_pea.training.baselines import DISTANCE_MARGIN
from napari_pea.training.labelled import LabelledImage

if TYPE_CHECKING:
    import torch

#: Of images and of volumes.
SCORES = ("sbd", "dic", "aji", "dice", "pq", "ap50", "n_true")
VOLUME_SCORES = ("voi_split", "voi_merge", "arand", "cremi", "n_true", "n_labels")
#: What the authors' way of scoring is called in front of a metric.
AUTHORS = "authors' "
#: Processor time of the network for an image.
SECONDS = "network_seconds"


class _WithOne(EmbeddingNetwork):
    """A network whose vectors end with a 1, by which their length can be told later on."""

    def __init__(self, network: EmbeddingNetwork) -> None:
        super().__init__()
        self.network = network
        for name in ("ndim", "in_channels", "divisor", "receptive_radius", "halo", "tile"):
            setattr(self, name, getattr(network, name))
        self.embedding_dim = network.embedding_dim + 1

    def forward(self, image: torch.Tensor, *, pyramid: bool = False) -> NetworkOutput:
        """Predict from a batch of shape (B, C, *spatial)."""
        from torch.nn import functional

        output: NetworkOutput = self.network(image, pyramid=pyramid)
        channel = (*(0, 0) * self.ndim, 0, 1)
        longer = functional.pad(output.embedding, channel, value=1.0)
        return output._replace(embedding=longer)


def raw_output(
    model: Model, image: LabelledImage, *, cancel: CancelToken | None = None
) -> Embedding:
    """Return what a network predicts, with vectors of the length that it gave them.

    Parameters
    ----------
    model : Model
        Trained.
    image : LabelledImage
        Any.
    cancel : CancelToken, optional
        Checked before each tile.

    Notes
    -----
    Prediction brings vectors to unit length. A last component that was 1 before takes that back.
    """
    longer = Model(_WithOne(cast("EmbeddingNetwork", model.network)), model.metadata, model.device)
    found = longer.embed(
        image.image,
        channel=image.channel,
        channel_axis=image.channel_axis,
        precision="full",  # in half of it the 1 would be lost beside long vectors
        cancel=cancel,
    )
    return Embedding(found.vectors[:-1] / found.vectors[-1:], found.foreground)


def by_mutex(raw: Embedding, settings: SegmentationSettings, _: Neighborhood) -> NDArray[np.uint32]:
    """Return objects by the Mutex Watershed on the cosines of vectors."""
    length = np.linalg.norm(raw.vectors, axis=0).clip(min=1e-12)
    neighborhood = settings.neighborhood(raw.vectors.ndim - 1)
    return partition_embedding(raw.vectors / length, neighborhood, settings, raw.foreground)


def by_multicut(
    raw: Embedding, settings: SegmentationSettings, trained: Neighborhood
) -> NDArray[np.uint32]:
    """Return objects by the multicut on the cosines of direct neighbours (methods A9)."""
    return by_mutex(raw, settings.updated(partitioner="multicut"), trained)


def by_mean_shift(
    raw: Embedding, settings: SegmentationSettings, _: Neighborhood
) -> NDArray[np.uint32]:
    """Return objects by mean shift on vectors, with the margin of their means as bandwidth."""
    mask = foreground_mask(raw.foreground, settings)
    return mean_shift(raw.vectors, mask=mask, bandwidth=DISTANCE_MARGIN)


def by_affinities(
    raw: Embedding, settings: SegmentationSettings, trained: Neighborhood
) -> NDArray[np.uint32]:
    """Return objects by the partitioner of the settings on affinities that the network predicts.

    Raises
    ------
    InputError
        If the network predicts another number of them, or not those of the settings.
    """
    if len(raw.vectors) != len(trained.offset_list):
        raise InputError(
            f"The network predicts {len(raw.vectors)} affinities for the "
            f"{len(trained.offset_list)} offsets that it was trained on."
        )
    field = AffinityField(1 / (1 + np.exp(-raw.vectors)), trained.offset_list)
    neighborhood = settings.neighborhood(raw.vectors.ndim - 1)
    affinities = field.affinities(neighborhood.offset_list)
    return partition_affinities(affinities, neighborhood, settings, raw.foreground)


def by_multicut_of_affinities(
    raw: Embedding, settings: SegmentationSettings, trained: Neighborhood
) -> NDArray[np.uint32]:
    """Return objects by the multicut on affinities that the network itself predicts."""
    return by_affinities(raw, settings.updated(partitioner="multicut"), trained)


#: Every way from the output of a network to objects.
WAYS: dict[str, Callable[[Embedding, SegmentationSettings, Neighborhood], NDArray[np.uint32]]] = {
    "mutex": by_mutex,
    "multicut": by_multicut,
    "mean-shift": by_mean_shift,
    "affinities": by_affinities,
    "affinities-multicut": by_multicut_of_affinities,
}


def score_ways(
    model: Model,
    images: Sequence[LabelledImage],
    ways: Sequence[str],
    *,
    trained: Neighborhood,
    given_foreground: bool = False,
    cancel: CancelToken | None = None,
) -> dict[str, float]:
    """Segment images in one or more ways and return the mean scores.

    Small pieces are merged by the published rule in all of them.

    Parameters
    ----------
    model : Model
        Trained; its recommended settings are used.
    images : sequence of LabelledImage
        With their truth. The group of the first one is the main one.
    ways : sequence of str
        Keys of `WAYS`.
    trained : Neighborhood
        What the network was trained on.
    given_foreground : bool
        Whether the true foreground is given, as in the paper on CVPPP (methods A9).
    cancel : CancelToken, optional
        Checked before each image and within it.

    Returns
    -------
    dict of str to float
        ``<way>/<metric>``, with the group in front for other groups than the main one, and the
        authors' way of scoring as ``<way>/authors' <metric>``; and `SECONDS`.
    """
    settings = model.recommended
    scores: dict[tuple[str, str], list[dict[str, float]]] = {}
    seconds: list[float] = []
    for item in images:
        check_cancel(cancel)
        started = time.process_time()
        raw = raw_output(model, item, cancel=cancel)
        seconds.append(time.process_time() - started)
        if given_foreground:
            raw = Embedding(raw.vectors, (item.labels > 0).astype(np.float32))
        for way in ways:
            check_cancel(cancel)
            labels = refine(WAYS[way](raw, settings, trained), settings, cancel=cancel)
            scores.setdefault((item.group, way), []).append(_scores(labels, item))
    return {**_means(scores, images[0].group), SECONDS: float(np.mean(seconds))}


def score_pieces(
    images: Sequence[LabelledImage], settings: SegmentationSettings
) -> dict[str, float]:
    """Return the mean scores of the pieces of the true foreground, which need no network.

    Where the foreground is given, this is what a method has to be better than.

    Parameters
    ----------
    images : sequence of LabelledImage
        With their truth. The group of the first one is the main one.
    settings : SegmentationSettings
        How small pieces and holes are treated.

    Returns
    -------
    dict of str to float
        As from `score_ways`, the way being "pieces".
    """
    from skimage.measure import label

    scores: dict[tuple[str, str], list[dict[str, float]]] = {}
    for item in images:
        pieces = refine(label(item.labels > 0, connectivity=1), settings)
        scores.setdefault((item.group, "pieces"), []).append(_scores(pieces, item))
    return _means(scores, images[0].group)


def _scores(labels: NDArray[np.integer], item: LabelledImage) -> dict[str, float]:
    """Return the scores of one image, by the definitions and as the authors compute them.

    Those of volumes are the same in both.
    """
    if item.labels.ndim == 3:
        found = evaluate(labels, item.labels, VOLUME_SCORES)
        return found | {"voi": found["voi_split"] + found["voi_merge"]}
    theirs = authors_scores(labels, item.labels)
    return evaluate(labels, item.labels, SCORES) | {
        f"{AUTHORS}{name}": value for name, value in theirs.items()
    }


def _means(
    scores: Mapping[tuple[str, str], Sequence[Mapping[str, float]]], main: str
) -> dict[str, float]:
    """Return the means for each group and way in one dictionary."""
    means = {}
    for (group, way), entries in scores.items():
        prefix = "" if group == main else f"{group}/"
        for name, value in summarize(entries).items():
            means[f"{prefix}{way}/{name}"] = float(value)
    return means
