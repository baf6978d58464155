"""From what a network of masks predicts to objects and their scores, in every way of the paper."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from skimage.measure import label

from napari_pea.core.errors import InputError
from napari_pea.core.masks.aggregation import aggregate
from napari_pea.core.masks.decoding import CodeReader
from napari_pea.core.masks.device import aggregate_on_device
from napari_pea.core.masks.entries import EntryRecorder
from napari_pea.core.masks.prediction import MaskPrediction
from napari_pea.core.metrics import evaluate, summarize
from napari_pea.core.neighborhood import Offset, graph_offsets
from napari_pea.core.partition import foreground_mask
from napari_pea.core.progress import CancelToken, check_cancel
from napari_pea.core.signed_graph import ROUTES
from napari_pea.models.mask_model import MaskModel
from napari_pea.training.labelled import LabelledImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What is measured in images and in volumes; the first decides.
METRICS: dict[int, tuple[str, ...]] = {
    2: ("aji", "pq", "ap50"),
    3: ("cremi", "voi_split", "voi_merge", "arand"),
}
#: Metrics of which 0 is perfect.
ERRORS = frozenset(METRICS[3])
#: Processor time of the network for an image, and of all its affinities.
NETWORK_SECONDS, SECONDS = "network_seconds", "affinity_seconds"


#: Where affinities come from: MaskAggr, the mask of each pixel alone, the head on codes (S7.3), or
#: the sparse branch at full resolution (SNB1).
SOURCES = ("averaged", "entries", "head", "sparse")


def score_masks(
    model: MaskModel,
    images: Sequence[LabelledImage],
    sources: Sequence[str],
    *,
    cancel: CancelToken | None = None,
) -> dict[str, float]:
    """Segment images by affinities of each source, in both ways, and return the mean scores.

    Parameters
    ----------
    model : MaskModel
        Trained.
    images : sequence of LabelledImage
        With their truth.
    sources : sequence of str
        Keys of `SOURCES`.
    cancel : CancelToken, optional
        Checked before each image and within it.

    Returns
    -------
    dict of str to float
        ``<source>/<route>/<metric>`` for the routes of `napari_pea.core.signed_graph` and the
        metrics of `METRICS`; `NETWORK_SECONDS` and `SECONDS`, processor time for an image.
    """
    scores: dict[str, list[dict[str, float]]] = {}
    seconds: dict[str, list[float]] = {}
    for item in images:
        check_cancel(cancel)
        started = time.process_time()
        found = model.predict(
            item.image,
            channel=item.channel,
            channel_axis=item.channel_axis,
            keep_sparse=True,
            cancel=cancel,
        )
        seconds.setdefault(NETWORK_SECONDS, []).append(time.process_time() - started)
        started = time.process_time()
        affinities = affinities_of(model, found, sources, cancel=cancel)
        seconds.setdefault(SECONDS, []).append(time.process_time() - started)
        for source in sources:
            for route in ROUTES:
                labels = objects_of(model, found, affinities[source], route, cancel=cancel)
                scores.setdefault(f"{source}/{route}", []).append(scored(labels, item.labels))
    means = {name: float(np.mean(values)) for name, values in seconds.items()}
    for way, listed in scores.items():
        means |= {f"{way}/{name}": value for name, value in summarize(listed).items()}
    return means


def affinities_of(
    model: MaskModel,
    found: MaskPrediction,
    sources: Sequence[str],
    *,
    cancel: CancelToken | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Return the affinities of the graph that LSIM partitions, by source.

    Parameters
    ----------
    model : MaskModel
        Trained.
    found : MaskPrediction
        What it predicts for an image.
    sources : sequence of str
        Some of `SOURCES`.
    cancel : CancelToken, optional
        Checked now and then.

    Returns
    -------
    dict of str to array of float32, shape (N, *spatial)

    Raises
    ------
    InputError
        If the model has no such source.
    Cancelled
        If `cancel` was set.
    """
    offsets = graph_offsets(model.ndim, preset=True)
    affinities = {}
    if {"averaged", "entries"} & set(sources):
        affinities = _by_masks(model, found, offsets, cancel)
    for source, field in (("head", found.direct), ("sparse", found.sparse)):
        if source in sources and field is None:
            raise InputError(
                f"The model {model.name!r} has no affinities of the kind {source!r}: train one "
                "with that branch."
            )
        if field is not None:
            affinities[source] = field.affinities(offsets)
    return {source: affinities[source] for source in sources}


def _by_masks(
    model: MaskModel, found: MaskPrediction, offsets: Sequence[Offset], cancel: CancelToken | None
) -> dict[str, NDArray[np.float32]]:
    """Return what all masks agree on, and what the mask of each pixel alone says."""
    if not found.codes:
        raise InputError(f"The model {model.name!r} has no masks: choose another source.")
    network = model.masks
    decoders = [
        decoder
        for decoder, level in zip(network.decoders, network.levels, strict=True)
        if level == 0
    ]
    shape = found.codes[0].shape[1:]
    codes = CodeReader(found.codes, decoders, device=model.device, cancel=cancel)
    read = EntryRecorder(codes, shape, network.fine_lattices, offsets)
    way = aggregate if model.device.type == "cpu" else aggregate_on_device
    averaged = way(shape, read, network.fine_lattices, offsets, cancel=cancel)
    return {"averaged": averaged.affinities, "entries": read.affinities()}


def objects_of(
    model: MaskModel,
    found: MaskPrediction,
    affinities: NDArray[np.float32],
    route: str,
    *,
    cancel: CancelToken | None = None,
) -> NDArray[np.uint32]:
    """Return the objects of an image by affinities of the graph and one of `ROUTES`.

    Parameters
    ----------
    model : MaskModel
        Its recommended settings tell the foreground and the smallest objects.
    found : MaskPrediction
        Its foreground is used, if it tells one.
    affinities, route, cancel
        See `affinities_of`.
    """
    settings = model.recommended
    return ROUTES[route](
        affinities,
        graph_offsets(model.ndim, preset=True),
        mask=foreground_mask(found.foreground, settings),
        min_size=settings.min_size,
        cancel=cancel,
    )


def scored(labels: NDArray[np.integer], truth: NDArray[np.integer]) -> dict[str, float]:
    """Return the scores of an image; those of volumes by connected components (methods B7)."""
    if labels.ndim == 3:
        labels, truth = (label(ids, background=0) for ids in (labels, truth))
    return evaluate(labels, truth, (*METRICS[labels.ndim], "n_true"))


def better(metric: str, one: float, other: float) -> float:
    """Return by how much one value of a metric is better than another."""
    return other - one if metric in ERRORS else one - other
