"""What is to be said about the annotation before it is learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, check_cancel
from napari_pea.core.scaling import scaled_labels
from napari_pea.models.metadata import ModelMetadata
from napari_pea.training.annotation import (
    Notice,
    Zero,
    annotated_labels,
    check_painted,
    notices,
    scale_offer,
    survey,
)
from napari_pea.widgets.training_layers import PaintedLayers

if TYPE_CHECKING:
    from napari_pea.training.settings import TrainingSettings


#: What is said if whole objects of a volume are asked for and single sections are painted.
FLAT = (
    "The objects are painted in one section each: paint them through all of their sections, or "
    "take the tick at “Objects are painted whole” away."
)


@dataclass(frozen=True, eq=False)
class Outlook:
    """What a run would learn from.

    Attributes
    ----------
    problem : str
        Why nothing can be learned, in one sentence; empty if it can.
    zeros : tuple of {"not-annotated", "background"}
        What label 0 means in each pair.
    n_objects : int
        Painted objects.
    notices : tuple of Notice
        What the user should know.
    scale : float
        By which images are resized before the network sees them.
    offer : float or None
        The scale that gives objects the size that the start is used to.
    n_held_out : int
        Objects that are kept back for validation.
    held_out : tuple of array of int32
        Those objects, one array for each pair, with the shape of its labels.
    """

    problem: str = ""
    zeros: tuple[Zero, ...] = ()
    n_objects: int = 0
    notices: tuple[Notice, ...] = ()
    scale: float = 1.0
    offer: float | None = None
    n_held_out: int = 0
    held_out: tuple[NDArray[np.int32], ...] = ()

    @property
    def text(self) -> str:
        """All of it, for the user."""
        if self.problem:
            return self.problem
        many = f"{self.n_objects} painted object{'' if self.n_objects == 1 else 's'}"
        held = ""
        if self.n_held_out:
            held = f", {self.n_held_out} of them held out for validation"
        resized = [] if self.scale == 1 else [f"Images are resized by {self.scale:g}."]
        return " ".join([f"{many}{held}.", *resized, *(notice.text for notice in self.notices)])


def look_ahead(
    pairs: Sequence[PaintedLayers],
    settings: TrainingSettings,
    parent: ModelMetadata | None,
    *,
    scale: float,
    whole_objects: bool,
    cancel: CancelToken | None = None,
) -> Outlook:
    """Return what a run would learn from; slow, for any thread.

    Parameters
    ----------
    pairs : sequence of PaintedLayers
        The annotation.
    settings : TrainingSettings
        The run; its share of held-out objects and its seed decide which these are.
    parent : ModelMetadata or None
        Of the model that training starts from.
    scale : float
        By which images are resized before the network sees them.
    whole_objects : bool
        Whether painted objects are painted whole but for a rim.
    cancel : CancelToken, optional
        Checked for every plane.

    Raises
    ------
    Cancelled
        If `cancel` was set.
    """
    # Imports PyTorch.
    from napari_pea.training.data import AnnotatedImage
    from napari_pea.training.holdout import hold_out

    zeros: list[Zero] = []
    places: list[tuple[int, tuple[int, ...]]] = []
    planes: list[NDArray[np.int32]] = []
    try:
        for number, pair in enumerate(pairs):
            painted = list(pair.planes(cancel))
            zeros.append(pair.meaning(painted))
            for plane in painted:
                check_cancel(cancel)
                places.append((number, plane.index))
                planes.append(
                    annotated_labels(
                        plane.labels,
                        zeros[-1],
                        background=plane.background,
                        region=plane.region,
                        whole_objects=whole_objects,
                    )
                )
        scaled = [scaled_labels(ids, scale) for ids in planes]
        found = survey(scaled)
        check_painted(found)
    except InputError as error:
        return Outlook(problem=str(error), zeros=tuple(zeros))
    diameter = found.diameter and round(found.diameter / scale, 1)
    model = ModelMetadata(name="", architecture="resunet2d", scale=scale, object_diameter=diameter)
    said = notices(found, model, parent)
    if whole_objects and are_flat(planes):
        said.append(Notice("flat-objects", FLAT))
    odd_sized = any(notice.code == "object-size" for notice in said)
    # Models of fixed pixel pairs see images as they are.
    can_rescale = odd_sized and parent is not None and not parent.offsets
    # Only the labels matter for which objects are held out.
    items = [AnnotatedImage(np.broadcast_to(np.float32(0), (1, *ids.shape)), ids) for ids in scaled]
    _, held, more = hold_out(items, settings.hold_out, settings.seed)
    pictures = [np.zeros(tuple(pair.labels.shape), np.int32) for pair in pairs]
    for one in held:
        number, index = places[one.index]
        ids = planes[one.index]
        kept_back = np.isin(ids, np.unique(one.truth[one.truth > 0]))
        pictures[number][index] = np.where(kept_back, ids, 0)
    return Outlook(
        zeros=tuple(zeros),
        n_objects=found.n_objects,
        notices=tuple(said + more),
        scale=scale,
        offer=scale_offer(diameter, scale, parent) if can_rescale and parent is not None else None,
        n_held_out=sum(len(np.unique(one.truth[one.truth > 0])) for one in held),
        held_out=tuple(pictures),
    )


def are_flat(volumes: Sequence[NDArray[np.int32]]) -> bool:
    """Whether most painted objects of volumes lie in one section only.

    Parameters
    ----------
    volumes : sequence of array of int32, shape (Z, Y, X)
        Object ids; 0 and below are none. Planes hold no such objects.
    """
    from scipy.ndimage import find_objects

    thick = [
        found[0].stop - found[0].start
        for ids in volumes
        if ids.ndim == 3 and len(ids) > 1
        for found in find_objects(np.maximum(ids, 0))
        if found is not None
    ]
    return bool(thick) and float(np.median(thick)) == 1
