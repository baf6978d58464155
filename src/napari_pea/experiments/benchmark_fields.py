"""How quickly labels follow the ranges with a model of fixed offsets, beside one that embeds."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.field import AffinityField
from napari_pea.core.neighborhood import Neighborhood, Offset
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.core.segmenter import Segmenter
from napari_pea.experiments.benchmark_inference import sample_image
from napari_pea.models.catalogue import load_model

if TYPE_CHECKING:
    from napari_pea.core.settings import SegmentationSettings

#: The ranges that masks of LSIM reach; the slider takes the first so and so many of them.
RANGES = (1, 2, 3, 4, 8, 12)
#: Changes that are not counted, because something is compiled or prepared.
WARMING = 3


class KnownAffinities:
    """A model of fixed offsets that says what an embedding says.

    Parameters
    ----------
    segmenter : Segmenter
        With the embedding.
    offsets : tuple of offset
        What the model is to know.
    """

    can_average = False

    def __init__(self, segmenter: Segmenter, offsets: tuple[Offset, ...]) -> None:
        self._evidence = segmenter.evidence()
        self.name = f"affinities of {segmenter.model.name}"
        self.ndim = segmenter.model.ndim
        self.recommended = segmenter.model.recommended
        self.offsets = offsets

    def field(self, image: Any, **_: Any) -> AffinityField:
        """Return the affinities of the embedding, whatever the image."""
        affinities = self._evidence.affinities(self.offsets)
        return AffinityField(affinities, self.offsets, self._evidence.foreground)


def measure_fields(
    model: str = "nuclei",
    *,
    shape: tuple[int, int] = (512, 512),
    changes: int = 100,
    seed: int = 0,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Change the ranges at random and time `Segmenter.labels`, without a window.

    Both kinds of models say the same: the affinities are those of the embedding, at the
    offsets that masks of LSIM reach. So what differs is what is done with them.

    Parameters
    ----------
    model : str
        A name from `list_models`; it embeds.
    shape : (int, int)
        Of the image.
    changes : int
        How often the ranges are changed, for each kind and connectivity in turn.
    seed : int
        Of the order of the changes.
    progress : callable
        Told the changes done and in all.
    cancel : CancelToken, optional
        Checked before each change.

    Returns
    -------
    dict
        ``shape``, and ``cases``: for each connectivity ``channels``, ``embedding`` and
        ``affinities``, the medians in seconds, and ``factor``, the second by the first.
    """
    image = sample_image(shape)
    embeds = Segmenter(load_model(model, "cpu"), image)
    embeds.evidence(cancel=cancel)
    total, done = 2 * changes, 0
    cases = []
    for connectivity in (4, 8):
        known = Neighborhood(RANGES, connectivity).offset_list
        knows = Segmenter(KnownAffinities(embeds, known), image)
        settings = embeds.model.recommended.updated(connectivity=connectivity, strides=1)
        times: dict[str, list[float]] = {"embedding": [], "affinities": []}
        for turn, ranges in enumerate(_choices(changes + WARMING, seed)):
            check_cancel(cancel)
            for name, segmenter in zip(times, (embeds, knows), strict=True):
                seconds = _seconds(segmenter, settings.updated(ranges=ranges))
                if turn >= WARMING:
                    times[name].append(seconds)
            if turn >= WARMING:
                done += 1
                progress(done, total)
        medians = {name: float(np.median(each)) for name, each in times.items()}
        factor = medians["affinities"] / max(medians["embedding"], 1e-9)
        cases.append({"channels": len(known), **medians, "factor": factor})
    return {"model": model, "shape": list(shape), "changes": changes, "cases": cases}


def _choices(count: int, seed: int) -> Sequence[tuple[int, ...]]:
    """Return ranges at random, each other than the one before."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    lengths = [draw.randint(2, len(RANGES))]
    while len(lengths) < count:
        lengths.append(draw.choice([n for n in range(2, len(RANGES) + 1) if n != lengths[-1]]))
    return [RANGES[:length] for length in lengths]


def _seconds(segmenter: Segmenter, settings: SegmentationSettings) -> float:
    started = time.perf_counter()
    segmenter.labels(settings)
    return time.perf_counter() - started
