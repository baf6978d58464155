"""What the groups of the Training dock of one viewer share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from weakref import WeakKeyDictionary, ref

from psygnal import SignalGroupDescriptor

from napari_pea.core.progress import CancelToken, Progress
from napari_pea.models.metadata import ModelMetadata
from napari_pea.training.settings import TrainingSettings
from napari_pea.widgets.sources import NDIM

if TYPE_CHECKING:
    from napari.layers import Image, Labels, Layer, Shapes

    from napari_pea.training.annotation import Zero
    from napari_pea.training.labelled import LabelledImage
    from napari_pea.widgets.training_outlook import Outlook

#: Where the annotation is.
Source = Literal["layers", "folders"]


class TrainingPhase(Enum):
    """What the training of a viewer is doing."""

    IDLE = "idle"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    DONE = "done"

    @property
    def is_busy(self) -> bool:
        """Whether a run is under way, so that its choices must not change."""
        return self in (TrainingPhase.RUNNING, TrainingPhase.PAUSED, TrainingPhase.STOPPING)


@dataclass(frozen=True)
class LayerPair:
    """An image layer with what is painted for it; layers are not kept alive.

    Attributes
    ----------
    image, labels : weak reference, optional
        The layers; None before one is chosen.
    background : weak reference, optional
        Labels whose paint is known to be background.
    region : weak reference, optional
        Shapes that tell what was looked at.
    channel : str
        The chosen entry of `napari_pea.widgets.sources.channel_choices`; empty for the first.
    zero : {"auto", "not-annotated", "background"}
        What label 0 means; "auto" until the user says so.
    """

    image: ref[Image] | None = None
    labels: ref[Labels] | None = None
    background: ref[Labels] | None = None
    region: ref[Shapes] | None = None
    channel: str = ""
    zero: Zero = "auto"

    def without(self, layer: Layer) -> LayerPair:
        """Return the pair without a layer that was removed."""

        def kept(part: ref[Any] | None) -> ref[Any] | None:
            return None if part is None or part() is layer else part

        return replace(
            self,
            image=kept(self.image),
            labels=kept(self.labels),
            background=kept(self.background),
            region=kept(self.region),
        )


@dataclass
class TrainingState:
    """The choices of a viewer's user about training, and what is going on.

    Attributes
    ----------
    source : {"layers", "folders"}
        Where the annotation is.
    pairs : tuple of LayerPair
        What is learned from, if it is in layers.
    image_folder, labels_folder : str
        What is learned from, if it is in folders.
    folder_zero : {"auto", "not-annotated", "background"}
        What label 0 means there.
    whole_objects : bool
        Whether painted objects are painted whole but for a rim.
    start : str or None
        Name of the model to go on from; None for nothing.
    start_chosen : bool
        Whether that was chosen already.
    ndim : int
        How many spatial axes it sees; 2 for nothing.
    preset : str
        Length and learning rate of the run.
    keep : bool
        Whether the new model must still do what the start does.
    keep_folder : str
        Images of the kind the start knows; empty for those that come with the program.
    scale : float or None
        By which images are resized before the network sees them; None for as the start does.
    changes : dict
        Settings of the run that differ from those of the preset, by their names.
    outlook : Outlook or None
        What a run would learn from; None before it is known.
    phase : TrainingPhase
        What the run is doing.
    message : str
        The last notice for the user.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    source: Source = "layers"
    pairs: tuple[LayerPair, ...] = (LayerPair(),)
    image_folder: str = ""
    labels_folder: str = ""
    folder_zero: Zero = "auto"
    whole_objects: bool = True
    start: str | None = None
    start_chosen: bool = False
    ndim: int = NDIM
    preset: str = "standard"
    keep: bool = False
    keep_folder: str = ""
    scale: float | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    outlook: Outlook | None = None
    phase: TrainingPhase = TrainingPhase.IDLE
    message: str = ""


@dataclass(frozen=True)
class TrainingRequest:
    """What to train, on copies of what was painted when it was made.

    Attributes
    ----------
    read : callable
        Returns the annotated images; to be called in the thread of the run, because it reads
        files and imports PyTorch. Takes a `Progress` and a `CancelToken`; raises `InputError`
        and `Cancelled`.
    start : Path or None
        The model file to go on from; None for nothing.
    metadata : ModelMetadata
        Of the model to be trained; its name is provisional.
    settings : TrainingSettings
        The run.
    keep : Path or None
        Folder of images of the kind the start knows: `train_model(keep=pictures(...))`, see
        `napari_pea.training.files.pictures`. None unless the user gave one.
    device : str
        "auto" or the name of a device.
    preview_layer : napari.layers.Image or None
        What the live preview shows; None for files.
    preview_channel : str
        The entry of `napari_pea.widgets.sources.channel_choices` that is trained on; empty for
        the first.
    description : str
        One sentence for people: what it is trained on.
    layouts : mapping
        How the layers lie in the viewer, as plain values by the names of the images.
    ndim : int
        How many spatial axes the model sees.
    """

    read: Callable[[Progress, CancelToken], tuple[LabelledImage, ...]]
    start: Path | None
    metadata: ModelMetadata
    settings: TrainingSettings
    keep: Path | None = None
    device: str = "auto"
    preview_layer: Image | None = None
    preview_channel: str = ""
    description: str = ""
    layouts: Mapping[str, Any] = field(default_factory=dict)
    ndim: int = NDIM


_STATES: WeakKeyDictionary[Any, TrainingState] = WeakKeyDictionary()


def training_state_of(viewer: Any) -> TrainingState:
    """Return the training state of a viewer, made when it is first asked for.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer itself, not a proxy of it.
    """
    if viewer not in _STATES:
        _STATES[viewer] = TrainingState()
    return _STATES[viewer]
