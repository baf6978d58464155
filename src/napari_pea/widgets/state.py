"""What the docks of one viewer share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from psygnal import SignalGroupDescriptor

from napari_pea.core.known import KnownOffsets
from napari_pea.core.settings import SegmentationSettings
from napari_pea.widgets.results import ResultBook
from napari_pea.widgets.sessions import SessionBook
from napari_pea.widgets.sources import NDIM

DEFAULTS = SegmentationSettings()
EVERY_OFFSET = KnownOffsets()


@dataclass
class LiveSettings:
    """What the user's controls say; every change is carried out at once.

    Attributes
    ----------
    settings : SegmentationSettings
        The settings of the next result.
    recommended : SegmentationSettings
        Those of the chosen model.
    ndim : int
        How many spatial axes the chosen model sees.
    known : KnownOffsets
        The offsets that it knows affinities of.
    can_average : bool
        Whether it predicts masks that can be averaged.
    preview : bool
        Whether changes are first carried out on the visible part of large images.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    settings: SegmentationSettings = DEFAULTS
    recommended: SegmentationSettings = DEFAULTS
    ndim: int = NDIM
    known: KnownOffsets = EVERY_OFFSET
    can_average: bool = False
    preview: bool = True

    def __post_init__(self) -> None:
        self._model = ""

    def follow_model(
        self,
        model: str,
        recommended: SegmentationSettings,
        ndim: int = NDIM,
        known: KnownOffsets = EVERY_OFFSET,
        *,
        can_average: bool = False,
    ) -> None:
        """Start from what a model recommends, unless it is the model chosen before.

        Parameters
        ----------
        model : str
            Its name.
        recommended : SegmentationSettings
            The settings it works best with.
        ndim : int
            How many spatial axes it sees.
        known : KnownOffsets
            The offsets that it knows affinities of.
        can_average : bool
            Whether it predicts masks that can be averaged.
        """
        if model != self._model:
            self._model = model
            self.ndim = ndim
            self.known = known
            self.can_average = can_average
            self.recommended = recommended
            self.settings = recommended


@dataclass
class SegmentState:
    """The choices of a viewer's user and what is going on; its events drive the dock.

    Attributes
    ----------
    model : str
        Name of the chosen model; empty before the first choice.
    device : str
        "auto" or the name of a device; empty before the first choice.
    show_embedding, show_foreground : bool
        Whether results come with the embedding as colours and the foreground.
    sign : str
        By what objects are sorted: see `napari_pea.core.certainty.SIGNS`.
    busy : bool
        Whether a job is running whose result is wanted.
    quiet : bool
        Whether it is so short, so far, that its progress is not worth showing.
    done, total : int
        Progress of its present step; a total of 0 or 1 means that there is none to show.
    status : str
        One sentence for the user.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    model: str = ""
    device: str = ""
    show_embedding: bool = True
    show_foreground: bool = False
    sign: str = "certainty"
    busy: bool = False
    quiet: bool = False
    done: int = 0
    total: int = 0
    status: str = ""

    def __post_init__(self) -> None:
        self.live = LiveSettings()
        self.results = ResultBook()
        self.sessions = SessionBook()


_STATES: WeakKeyDictionary[Any, SegmentState] = WeakKeyDictionary()


def unproxied(viewer: Any) -> Any:
    """Return the viewer itself: napari hands out proxies, whose layers are never identical."""
    return getattr(viewer, "__wrapped__", viewer)


def state_of(viewer: Any) -> SegmentState:
    """Return the state of a viewer, made when it is first asked for.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer itself, not a proxy of it.
    """
    if viewer not in _STATES:
        _STATES[viewer] = SegmentState()
    return _STATES[viewer]
