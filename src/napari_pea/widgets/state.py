"""What the docks of one viewer share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from psygnal import SignalGroupDescriptor

from napari_pea.widgets.results import ResultBook


@dataclass
class SegmentState:
    """The choices of a viewer's user and what is going on; its events drive the dock.

    Attributes
    ----------
    model : str
        Name of the chosen model; empty before the first choice.
    device : str
        "auto" or the name of a device; empty before the first choice.
    show_embedding : bool
        Whether a segmentation adds the embedding as colours.
    busy : bool
        Whether a job is running whose result is wanted.
    done, total : int
        Progress of its present step; a total of 0 or 1 means that there is none to show.
    status : str
        One sentence for the user.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    model: str = ""
    device: str = ""
    show_embedding: bool = True
    busy: bool = False
    done: int = 0
    total: int = 0
    status: str = ""

    def __post_init__(self) -> None:
        self.results = ResultBook()


_STATES: WeakKeyDictionary[Any, SegmentState] = WeakKeyDictionary()


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
