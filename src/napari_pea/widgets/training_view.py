"""The layers of a run: what its preview is of, the preview, and paint that comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import ref

from qtpy.QtCore import QObject, Signal

from napari_pea.core.errors import InputError
from napari_pea.training.runs import RunPlan
from napari_pea.widgets.layers import ResultWriter
from napari_pea.widgets.results import TRAINING
from napari_pea.widgets.sources import channel_choices, choose_part
from napari_pea.widgets.state import state_of
from napari_pea.widgets.training_brush import new_strokes
from napari_pea.widgets.training_preview import Preview, View, Viewpoint
from napari_pea.widgets.training_state import LayerPair, training_state_of

if TYPE_CHECKING:
    from napari.layers import Image, Labels, Layer
    from napari.viewer import Viewer

    from napari_pea.training.labelled import LabelledImage


class TrainingView(QObject):
    """Keeps the preview of a run in step with what the user looks at.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer itself, not a proxy of it.
    say : callable
        Called with a sentence for the user.

    Attributes
    ----------
    viewpoint : Viewpoint
        For the thread of the run.
    """

    #: The user has removed the preview.
    unwanted = Signal()

    def __init__(self, viewer: Viewer, say: Callable[[str], None]) -> None:
        super().__init__()
        self._viewer = viewer
        self._say = say
        self._source: ref[Image] | None = None
        self._preview: ref[Labels] | None = None
        self._channel = ""
        self._wanted = True
        self.viewpoint = Viewpoint()
        viewer.layers.events.removed.connect(self._on_removed)

    def look_at(self, layer: Image | None, channel: str) -> None:
        """Preview a layer.

        Parameters
        ----------
        layer : napari.layers.Image or None
            The image; None for no preview.
        channel : str
            The entry of `channel_choices`; empty for the first.
        """
        self._source = None if layer is None else ref(layer)
        self._channel = channel
        self.renew()

    def forget(self) -> None:
        """Preview nothing."""
        self.look_at(None, "")

    def set_wanted(self, wanted: bool) -> None:
        """Preview, or do not."""
        self._wanted = wanted
        self.renew()

    def renew(self) -> None:
        """Tell the run what the user looks at now."""
        layer = None if self._source is None else self._source()
        view = None
        if self._wanted and layer is not None and layer in self._viewer.layers:
            choices = channel_choices(layer)
            choice = next((each for each in choices if each.text == self._channel), choices[0])
            try:
                view = View.of(layer, choose_part(layer, self._viewer.dims, choice))
            except InputError:
                view = None  # nothing of the image is seen
        self.viewpoint.view = view

    def show(self, preview: Preview) -> None:
        """Show what the network has found, unless the image is gone."""
        source = preview.view.source()
        layers = self._viewer.layers
        if source is None or source not in layers or not self._wanted:
            return
        about: dict[str, Any] = {"iteration": preview.iteration, "image": source.name}
        book = state_of(self._viewer).results
        writer = ResultWriter(layers, book, source, preview.view.part, about)
        # The brush stays in the hand.
        active = layers.selection.active
        self._preview = ref(writer.write_preview(preview.labels, preview.start, TRAINING))
        layers.selection.active = active

    def restore(self, plan: RunPlan) -> None:
        """Bring back what was painted for a run, if its layers are gone, and preview it.

        Parameters
        ----------
        plan : RunPlan
            The run.
        """
        if self._source is not None:
            return
        layers = self._viewer.layers
        present = {layer.name for layer in layers}
        pairs: list[LayerPair] = []
        for item in plan.images:
            # Planes of a stack are called by it.
            stack = item.name.rpartition(", plane ")[0]
            if item.name in plan.layers and not present & {item.name, stack}:
                pairs.append(self._painted_again(item))
        state = training_state_of(self._viewer)
        if pairs and all(pair.image is None for pair in state.pairs):
            state.pairs = tuple(pairs)
        first = next((name for name in plan.layers if name in layers), None)
        if first is not None:
            self.look_at(layers[first], "")

    def _painted_again(self, item: LabelledImage) -> LayerPair:
        """Add the layers of an image that was painted on."""
        rgb = item.channel_axis == -1
        axis = None if rgb else item.channel_axis
        letters = None
        if axis is not None:
            letters = ["y", "x"]
            letters.insert(axis, "c")
        image = self._viewer.add_image(item.image, name=item.name, rgb=rgb, axis_labels=letters)
        labels = self._viewer.add_labels(item.labels, name=f"{item.name} annotation")
        strokes = None
        if item.background is not None:
            strokes = new_strokes(labels)
            strokes.data = (item.background != 0).astype(strokes.data.dtype)
            self._viewer.layers.append(strokes)
        return LayerPair(
            ref(image),
            ref(labels),
            None if strokes is None else ref(strokes),
            channel=next(
                (
                    choice.text
                    for choice in channel_choices(image)
                    if (choice.channel, choice.axis) == (item.channel, axis)
                ),
                "",
            ),
            zero=item.zero,
        )

    def _on_removed(self, event: Any) -> None:
        layer: Layer = event.value
        name = layer.name
        if self._preview is not None and layer is self._preview():
            self._preview = None
            self.unwanted.emit()
        elif self._source is not None and layer is self._source():
            self._source = None
            if self.viewpoint.view is not None:
                self._say(
                    f"The image {name!r} was removed: training goes on with a copy of it, "
                    "without showing what it finds."
                )
            self.viewpoint.view = None
