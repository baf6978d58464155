"""The layers of a run: what its preview is of, the preview, and paint that comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_pea.core.errors import InputError
from napari_pea.models.package import read_metadata
from napari_pea.training.runs import RunPlan
from napari_pea.widgets.layers import ResultWriter
from napari_pea.widgets.places import plain_place
from napari_pea.widgets.results import TRAINING
from napari_pea.widgets.sources import NDIM, channel_choices, choose_part
from napari_pea.widgets.state import state_of
from napari_pea.widgets.training_brush import new_regions, new_strokes
from napari_pea.widgets.training_layers import plane_text
from napari_pea.widgets.training_preview import Preview, View, Viewpoint
from napari_pea.widgets.training_state import LayerPair, training_state_of

if TYPE_CHECKING:
    from napari.layers import Image, Labels, Layer, Shapes
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
        self._ndim = NDIM
        self._wanted = True
        self.viewpoint = Viewpoint()
        viewer.layers.events.removed.connect(self._on_removed)

    def look_at(self, layer: Image | None, channel: str, ndim: int = NDIM) -> None:
        """Preview a layer.

        Parameters
        ----------
        layer : napari.layers.Image or None
            The image; None for no preview.
        channel : str
            The entry of `channel_choices`; empty for the first.
        ndim : int
            How many spatial axes the model sees.
        """
        self._ndim = ndim
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
            dims, ndim = self._viewer.dims, self._ndim
            choices = channel_choices(layer, ndim)
            choice = next((each for each in choices if each.text == self._channel), choices[0])
            try:
                view = View.of(layer, choose_part(layer, dims, choice, ndim=ndim), dims)
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
                layout = plan.layouts.get(item.name, plan.layouts.get(stack, {}))
                pairs.append(self._painted_again(item, layout))
        state = training_state_of(self._viewer)
        if pairs and all(pair.image is None for pair in state.pairs):
            state.pairs = tuple(pairs)
        first = next((name for name in plan.layers if name in layers), None)
        if first is not None:
            ndim = NDIM if plan.start is None else read_metadata(plan.start).ndim
            self.look_at(layers[first], "", ndim)

    def _painted_again(self, item: LabelledImage, layout: Mapping[str, Any]) -> LayerPair:
        """Add the layers of an image that was painted on, where they lay."""
        rgb = item.channel_axis == -1
        axis = None if rgb else item.channel_axis
        place = layout.get("place", {})
        around = place
        if axis is not None:
            letters = list("zyx"[-item.labels.ndim :])
            letters.insert(axis, "c")
            around = {"axis_labels": letters}
            for name, value in (("scale", 1.0), ("translate", 0.0)):
                if name in place:
                    around[name] = np.insert(place[name], axis, value)
        image = self._viewer.add_image(item.image, name=item.name, rgb=rgb, **around)
        labels = self._viewer.add_labels(item.labels, name=f"{item.name} annotation", **place)
        strokes = None
        if item.background is not None:
            strokes = new_strokes(labels)
            strokes.data = (item.background != 0).astype(strokes.data.dtype)
            self._viewer.layers.append(strokes)
        regions = self._drawn_again(item, layout.get("outlines", ()), image, labels)
        return LayerPair(
            ref(image),
            ref(labels),
            None if strokes is None else ref(strokes),
            None if regions is None else ref(regions),
            channel=next(
                (
                    choice.text
                    for choice in channel_choices(image, item.labels.ndim)
                    if (choice.channel, choice.axis) == (item.channel, axis)
                ),
                "",
            ),
            zero=item.zero,
        )

    def _drawn_again(
        self, item: LabelledImage, outlines: Sequence[Any], image: Image, labels: Labels
    ) -> Shapes | None:
        """Add a layer with the outlines of what was looked at; None if all of it was."""
        is_volume = item.labels.ndim > NDIM
        corners = [
            np.insert(points, 0, plane[-1], axis=1) if plane and is_volume else np.array(points)
            for plane, points in outlines
            # The last of a volume is the section.
            if plane is None or item.name.endswith(plane_text(plane[:-1] if is_volume else plane))
        ]
        if item.region is None:
            return None
        ndim = corners[0].shape[1] if corners else item.labels.ndim
        regions = new_regions(image, ndim, plain_place(labels, ndim))
        if corners:  # else nothing of it was looked at, and not all of it
            regions.add_polygons(corners)
        self._viewer.layers.append(regions)
        return regions

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
