"""What of an image is annotated, and what is to be said about it before training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.labels import checked_labels, compact
from napari_pea.core.scaling import SCALES
from napari_pea.models.metadata import ModelMetadata

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The id of pixels that nothing is known about, and of those that are known to belong to none
#: of the painted objects, but not to what else.
UNANNOTATED, OUTSIDE = -1, -2
#: A hurried user leaves a rim of whole objects unpainted, as part of their diameter.
RIM_SHARE, SMALLEST_RIM = 0.1, 2.0
#: What label 0 means; "auto" decides by how much is painted.
Zero = Literal["auto", "background", "not-annotated"]
#: With "auto" label 0 is background if at least this share of the pixels is painted.
DENSE_SHARE = 0.5
#: Objects whose diameter differs from the model's by more than this factor are told of.
SIZE_FACTOR = 1.5
#: A painted object with fewer pixels is a slip of the mouse, be it the largest one.
FEWEST_PIXELS = 9
#: A notice about size is left out for fewer objects, because a few may be odd ones.
SIZED_OBJECTS = 3


@dataclass(frozen=True)
class Notice:
    """Something the user should know; nothing is wrong enough to stop.

    Attributes
    ----------
    code : str
        For programs: "no-differing-pairs", "no-background", "object-size", "no-validation".
    text : str
        One sentence that says what it is and what helps.
    """

    code: str
    text: str


@dataclass(frozen=True)
class Survey:
    """What an annotation holds.

    Attributes
    ----------
    n_objects : int
        Painted objects.
    n_background : int
        Pixels known to be background.
    share : float
        Annotated part of all pixels.
    differing : bool
        Whether any image holds two pixels known not to belong together.
    diameter : float, optional
        Median diameter of the objects, as circles or spheres of their size, in pixels.
    largest : int
        Pixels of the largest object.
    """

    n_objects: int
    n_background: int
    share: float
    differing: bool
    diameter: float | None
    largest: int = 0

    @property
    def sparse(self) -> bool:
        """Whether anything is not annotated."""
        return self.share < 1


def annotated_labels(
    labels: NDArray[Any],
    zero: Zero = "background",
    *,
    background: NDArray[Any] | None = None,
    region: NDArray[Any] | None = None,
    whole_objects: bool = True,
) -> NDArray[np.int32]:
    """Return labels that say of every pixel what is known about it.

    Parameters
    ----------
    labels : array of int or bool, shape (*spatial)
        Painted object ids.
    zero : {"auto", "background", "not-annotated"}
        What id 0 means. With "auto" it is background if at least half of the pixels (of the
        region, if there is one) are painted.
    background : array, shape (*spatial), optional
        Pixels other than 0 are painted as background; objects win where both are painted.
    region : array, shape (*spatial), optional
        Pixels that are 0 here are not annotated, whatever is painted there.
    whole_objects : bool
        Whether painted objects are painted whole but for a rim. Then pixels beyond the rim
        belong to none of them, which teaches where they end even if nothing else is painted.

    Returns
    -------
    array of int32, shape (*spatial)
        Object ids from 1, 0 for background, -1 for pixels that are not annotated, and -2 for
        those of them that belong to none of the painted objects; ids that do not fit are
        numbered anew.

    Raises
    ------
    InputError
        If labels are negative or no whole numbers, or a mask has another shape.
    """
    given = np.asarray(labels)
    if given.dtype.kind == "b":
        given = given.astype(np.uint8)
    # A copy: what the user painted is not to be changed.
    ids = compact(checked_labels(given))[0].astype(np.int32)
    strokes = _mask(background, ids.shape, "background strokes")
    inside = _mask(region, ids.shape, "region")
    painted = ids > 0
    if strokes is not None:
        painted |= strokes
    if zero == "auto":
        # An empty region has nothing to decide by.
        considered = painted if inside is None or not inside.any() else painted[inside]
        zero = meant_by_zero(float(considered.mean()))
    if zero == "not-annotated":
        ids[~painted] = UNANNOTATED
        if whole_objects:
            ids[_outside(ids) & ~painted] = OUTSIDE
    if inside is not None:
        ids[~inside] = UNANNOTATED
    return ids


def meant_by_zero(share: float) -> Zero:
    """Return what label 0 means if nobody says so.

    Parameters
    ----------
    share : float
        Painted part of all pixels that were looked at.
    """
    return "background" if share >= DENSE_SHARE else "not-annotated"


def _outside(ids: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which pixels are further away from every object than its rim may be wide."""
    from scipy.ndimage import distance_transform_edt

    areas = np.bincount(np.maximum(ids, 0).ravel())[1:]
    diameter = median_diameter(areas[areas > 0], ids.ndim)
    if diameter is None:
        return np.zeros(ids.shape, bool)
    beyond: NDArray[np.bool_] = distance_transform_edt(ids <= 0) > max(
        SMALLEST_RIM, RIM_SHARE * diameter
    )
    return beyond


def survey(labels: Sequence[NDArray[np.int32]]) -> Survey:
    """Return what the annotation of some images holds.

    Parameters
    ----------
    labels : sequence of array of int32, shape (*spatial)
        See `annotated_labels`.
    """
    sizes = [np.bincount(ids[ids >= 0]) for ids in labels]
    objects = [counts[1:][counts[1:] > 0] for counts in sizes]
    background = [int(counts[:1].sum()) for counts in sizes]
    areas = np.concatenate(objects) if objects else np.zeros(0)
    known = sum(int(counts.sum()) for counts in sizes)
    return Survey(
        n_objects=int(areas.size),
        n_background=sum(background),
        share=known / max(1, sum(ids.size for ids in labels)),
        differing=any(
            len(areas) + (pixels > 0) + bool((ids == OUTSIDE).any()) > 1
            for areas, pixels, ids in zip(objects, background, labels, strict=True)
        ),
        diameter=median_diameter(areas, labels[0].ndim if labels else 2),
        largest=int(areas.max(initial=0)),
    )


def check_painted(found: Survey) -> None:
    """Make sure that an annotation holds something to learn from.

    Raises
    ------
    InputError
        If nothing is painted, or only dots are.
    """
    if not found.n_objects:
        raise InputError("No object is painted: paint some, each with a label of its own.")
    if found.largest < FEWEST_PIXELS:
        many = "1 pixel" if found.largest == 1 else f"{found.largest} pixels"
        raise InputError(
            f"The largest painted object has {many}, too few to learn from: paint at least one "
            "object whole."
        )


def median_diameter(areas: NDArray[Any], ndim: int = 2) -> float | None:
    """Return the median diameter of circles of some areas, rounded; None without any.

    In 3D they are spheres of some volumes.
    """
    if not areas.size:
        return None
    diameters = 2 * np.sqrt(areas / np.pi) if ndim == 2 else np.cbrt(6 * areas / np.pi)
    return round(float(np.median(diameters)), 1)


def scale_offer(diameter: float | None, scale: float, parent: ModelMetadata) -> float | None:
    """Return the scale that gives objects the size that a model is used to.

    Parameters
    ----------
    diameter : float, optional
        Of the annotated objects, in pixels of the images as they are.
    scale : float
        By which the images are to be resized so far.
    parent : ModelMetadata
        Of the model.

    Returns
    -------
    float or None
        None if a diameter is not known, or objects are nearly of that size already.
    """
    if not diameter or not parent.object_diameter:
        return None
    wanted = parent.object_diameter * parent.scale / diameter
    if max(wanted / scale, scale / wanted) <= SIZE_FACTOR:
        return None
    return float(np.clip(round(wanted, 2), *SCALES))


def notices(
    found: Survey, model: ModelMetadata, parent: ModelMetadata | None = None
) -> list[Notice]:
    """Return what is to be said about an annotation before training.

    Parameters
    ----------
    found : Survey
        Of the training images.
    model : ModelMetadata
        What is to be trained, with the diameter of its objects.
    parent : ModelMetadata, optional
        Of the model that training starts from.
    """
    said = []
    if not found.differing:
        said.append(
            Notice(
                "no-differing-pairs",
                "Nothing says where one object ends and another thing begins: paint at least "
                "two objects in an image, or some background.",
            )
        )
    if found.sparse and found.n_objects and not found.n_background:
        said.append(
            Notice(
                "no-background",
                "No background is painted: a few strokes of it beside the objects teach what "
                "is no object.",
            )
        )
    offer = None
    if parent is not None and found.n_objects >= SIZED_OBJECTS:
        offer = scale_offer(model.object_diameter, model.scale, parent)
    if parent is not None and offer is not None:
        # Models of fixed pixel pairs see images as they are.
        way = "resizing the images by" if parent.offsets else "an image scale of"
        said.append(
            Notice(
                "object-size",
                f"The objects measure about {model.object_diameter:g} pixels across, those of "
                f"the model {parent.name!r} {parent.object_diameter:g}: {way} "
                f"{offer:g} makes them alike.",
            )
        )
    return said


def _mask(mask: NDArray[Any] | None, shape: tuple[int, ...], what: str) -> NDArray[np.bool_] | None:
    """Return a mask as booleans, or say that it does not fit."""
    if mask is None:
        return None
    given = np.asarray(mask)
    if given.shape != shape:
        raise InputError(
            f"The {what} measure {given.shape} pixels and the labels {shape}; they must be the "
            "same."
        )
    inside: NDArray[np.bool_] = given != 0
    return inside
