"""How well the uncertainty of an object tells that it is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.stats import rankdata

from napari_pea.core.certainty import certainty, pixel_variance, steadiness
from napari_pea.core.margins import margins_of
from napari_pea.core.predictors import AffinityPredictor, Embedder, predicts_affinities
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.core.quality import matched
from napari_pea.core.segmenter import Segmenter
from napari_pea.core.settings import SegmentationSettings

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from napari_pea.training.labelled import LabelledImage

#: What may tell that an object is wrong, and how it is called in texts. Low means unsure.
SIGNS: dict[str, str] = {
    "inside": "inside margin",
    "outside": "outside margin",
    "smaller": "the smaller of both margins",
    "foreground": "mean foreground",
    "margin": "mean affinity inside minus across the outline",
    "certainty": "certainty: mean foreground and the line above",
}
#: The same of models whose masks can be averaged.
VARIANCE_SIGNS: dict[str, str] = {
    "outline variance": "variance of the averaged masks across the outline",
    "object variance": "variance of the averaged masks at all pixels of the object",
}


@dataclass(frozen=True)
class Uncertainty:
    """How well each sign tells wrong objects from right ones.

    Attributes
    ----------
    n_objects, n_wrong : int
        How many objects there are, and how many of them are wrong.
    areas : dict of str to float
        The area under the curve of each of `SIGNS`, and of `VARIANCE_SIGNS` if the model can
        average masks: how often a wrong object has a lower
        value than a right one. 1 at best; 0.5 tells nothing.
    """

    n_objects: int
    n_wrong: int
    areas: dict[str, float]


def measure_uncertainty(
    model: Embedder | AffinityPredictor,
    images: Iterable[LabelledImage],
    settings: SegmentationSettings | None = None,
    *,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Uncertainty]:
    """Segment images and measure how well each sign tells wrong objects.

    An object is wrong if its IoU with every true object is at most 0.5: those that AP50
    counts as false.

    Parameters
    ----------
    model : Model
        Trained.
    images : iterable of LabelledImage
        With their truth.
    settings : SegmentationSettings, optional
        By default those that the model recommends; masks are averaged if it can.
    progress : callable
        Told the images done and the images in all.
    cancel : CancelToken, optional
        Checked before each image.

    Returns
    -------
    dict of str to Uncertainty
        For each group of images.
    """
    import pandas as pd

    used = settings or model.recommended
    if predicts_affinities(model) and model.can_average:
        used = used.updated(average_masks=True)
    listed = list(images)
    tables: dict[str, list[pd.DataFrame]] = {}
    for done, item in enumerate(listed):
        check_cancel(cancel)
        progress(done, len(listed))
        table = signs_of_objects(model, item, used)
        tables.setdefault(item.group, []).append(table)
    progress(len(listed), len(listed))
    return {group: _summary(pd.concat(parts)) for group, parts in tables.items()}


def middle_of(item: LabelledImage, side: int) -> LabelledImage:
    """Return the square in the middle of an image, for what takes long.

    Parameters
    ----------
    item : LabelledImage
        An image without channels, and its truth.
    side : int
        In pixels; a smaller image stays as it is along that axis.
    """
    where = tuple(
        slice(max(0, (size - side) // 2), max(0, (size - side) // 2) + side)
        for size in item.labels.shape
    )
    return replace(item, image=item.image[where], labels=item.labels[where])


def signs_of_objects(
    model: Embedder | AffinityPredictor, item: LabelledImage, settings: SegmentationSettings
) -> pd.DataFrame:
    """Return one row for each object of an image: all signs, and whether it is wrong.

    Parameters
    ----------
    model : Model
        Trained.
    item : LabelledImage
        An image with its truth.
    settings : SegmentationSettings
        How it is segmented.
    """
    segmenter = Segmenter(model, item.image)
    found = segmenter.segment(settings)
    evidence, neighborhood = segmenter.evidence(settings), settings.neighborhood(model.ndim)
    labels, table = found.labels, found.table.copy()
    pieces = labels if found.pieces is None else found.pieces
    margins = margins_of(
        pieces,
        evidence,
        neighborhood,
        strides=settings.strides_for(model.ndim),
        bias=settings.bias,
    )
    inside, outside = (values[table["label"]] for values in margins.refined(pieces, labels))
    table["inside"], table["outside"] = inside, outside
    table["smaller"] = np.fmin(inside, outside)
    table["certainty"] = certainty(table)
    if "variance" in table:
        ids = np.arange(int(labels.max(initial=0)) + 1)
        everywhere = pixel_variance(evidence, neighborhood.offset_list)
        table["outline variance"] = steadiness(table)
        table["object variance"] = -ndimage.mean(everywhere, labels, ids)[table["label"]]
    table["wrong"] = ~matched(labels, np.asarray(item.labels))[table["label"]]
    return table


def _summary(table: pd.DataFrame) -> Uncertainty:
    """Return how well the signs in a table of objects tell which are wrong."""
    wrong = table["wrong"].to_numpy(bool)
    areas = {
        name: area_under_curve(table[name], wrong)
        for name in (*SIGNS, *VARIANCE_SIGNS)
        if name in table
    }
    return Uncertainty(len(table), int(wrong.sum()), areas)


def area_under_curve(values: ArrayLike, wrong: NDArray[np.bool_]) -> float:
    """Return how often a wrong object has a lower value than a right one (ROC AUC).

    Parameters
    ----------
    values : array of float, shape (n,)
        One for each object; NaN, where there was nothing to compare, is the highest.
    wrong : array of bool, shape (n,)
        Which objects are wrong.

    Returns
    -------
    float
        Equal values count half; NaN if all objects are wrong, or none is.
    """
    given = np.asarray(values, dtype=float)
    ranks = rankdata(np.where(np.isnan(given), np.inf, given))
    n_wrong = int(wrong.sum())
    n_right = len(wrong) - n_wrong
    if not n_wrong or not n_right:
        return float("nan")
    higher = ranks[~wrong].sum() - n_right * (n_right + 1) / 2
    return float(higher / (n_wrong * n_right))
