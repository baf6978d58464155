"""What the user has chosen, and the work that a change of a control means."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING
from weakref import ref

from napari_pea.core.constraints import Constraints
from napari_pea.core.progress import CancelToken
from napari_pea.core.settings import SegmentationSettings
from napari_pea.widgets.preview import constraints_within
from napari_pea.widgets.results import ResultLayer
from napari_pea.widgets.sessions import LiveSession
from napari_pea.widgets.sources import ImagePart, Region
from napari_pea.widgets.work import Outcome, Report, looking, segment_again

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_pea.models.catalogue import ModelEntry


@dataclass(frozen=True)
class Target:
    """What the user has chosen to segment.

    Attributes
    ----------
    layer : napari.layers.Image
        The image.
    part : ImagePart
        Which part of it.
    model : ModelEntry
        The model.
    """

    layer: Image
    part: ImagePart
    model: ModelEntry

    @property
    def key(self) -> Hashable:
        """What tells its session from others of the layer."""
        return self.part.key, str(self.model.path)

    @property
    def block_key(self) -> Hashable:
        """The same for the session of the block that was segmented before the whole."""
        return "block", self.key


def segment_whole(
    session: LiveSession,
    settings: SegmentationSettings,
    constraints: Constraints,
    former: ResultLayer | None,
    source: ref[Image],
    report: Report,
    cancel: CancelToken,
) -> Outcome:
    """Segment all of a part again, in another thread."""
    return segment_again(
        session.segmenter,
        session.part,
        settings,
        constraints,
        former,
        source,
        cancel,
        hand_over=report.hand_over,
        progress=looking(report),
    )


def segment_region(
    session: LiveSession,
    settings: SegmentationSettings,
    constraints: Constraints,
    region: Region,
    source: ref[Image],
    report: Report,
    cancel: CancelToken,
) -> Outcome:
    """Segment a region of a part again, in another thread."""
    started = perf_counter()
    inside = constraints_within(constraints, session.part.shape, region)
    window = session.window(region)
    return segment_again(
        window,
        session.part,
        settings,
        inside,
        None,
        source,
        cancel,
        started,
        previous=session.shown_in(region),
        progress=looking(report),
    )


def count_text(n_objects: int) -> str:
    """Return a number of objects for the user."""
    return f"{n_objects} object{'' if n_objects == 1 else 's'}"


def sentence(n_objects: int, seconds: float) -> str:
    """Return what came out of a segmentation."""
    took = f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
    if n_objects == 0:
        return (
            f"No objects found in {took}: do model, channel and settings fit the image, and is "
            "it as large as the model expects?"
        )
    return f"{count_text(n_objects)} in {took}"
