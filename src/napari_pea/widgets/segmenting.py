"""What the Segment dock does, apart from how it looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Offset
from napari_pea.core.predict import Embedding
from napari_pea.widgets.jobs import Job, JobRunner
from napari_pea.widgets.layers import ResultWriter, offset_text
from napari_pea.widgets.preferences import preferences
from napari_pea.widgets.results import LABELS
from napari_pea.widgets.sources import ChannelChoice, ImagePart, choose_part, level_zero
from napari_pea.widgets.state import SegmentState
from napari_pea.widgets.work import (
    SegmentOutcome,
    SegmentRequest,
    about,
    affinity_of,
    segment_part,
)

if TYPE_CHECKING:
    from napari.layers import Image, Layer
    from napari.viewer import Viewer

    from napari_pea.models.catalogue import ModelEntry


class LastResult:
    """The embedding of the last segmentation, for affinities that are asked for later.

    Parameters
    ----------
    source : napari.layers.Image
        The image, not kept alive.
    part : ImagePart
        Which part of it.
    embedding : Embedding
        Its embedding.
    about : dict
        How it was made.
    """

    def __init__(
        self, source: Image, part: ImagePart, embedding: Embedding, about: dict[str, Any]
    ) -> None:
        self.source = ref(source)
        self.part = part
        self.embedding = embedding
        self.about = about


class Segmenting:
    """Starts the jobs of the Segment dock and shows what they bring.

    A result goes with the layer it was computed from, whatever is chosen when it arrives.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer itself, not a proxy of it.
    state : SegmentState
        The state of the viewer.
    runner : JobRunner
        Runs the jobs.
    """

    def __init__(self, viewer: Viewer, state: SegmentState, runner: JobRunner) -> None:
        self._layers = viewer.layers
        self._dims = viewer.dims
        self._state = state
        self._runner = runner
        self._source: ref[Image] | None = None
        self._last: LastResult | None = None

    @property
    def has_result(self) -> bool:
        """Whether there is a segmentation whose affinities can be shown."""
        return self._last is not None

    def segment(self, layer: Image, choice: ChannelChoice, model: ModelEntry) -> None:
        """Segment the chosen part of a layer.

        Raises
        ------
        InputError
            If the layer has nothing where the sliders are.
        """
        part = choose_part(layer, self._dims, choice)
        book = self._state.results
        request = SegmentRequest(
            part=part,
            model=model.path,
            device=self._state.device,
            tile=preferences().tile_size,
            with_embedding=self._state.show_embedding,
            offsets=book.offsets(layer, part.key, self._layers),
            former_labels=book.find(layer, part.key, LABELS),
        )
        source = ref(layer)
        self._source = source
        job = Job(
            f"Segmenting {layer.name}",
            lambda report, cancel: segment_part(request, report, cancel),
            lambda outcome: self._show(source, request, outcome),
        )
        self._runner.start(job)

    def add_affinity(self, offset: Offset) -> None:
        """Show the affinities of the last segmentation under one offset."""
        last = self._last
        if last is None:
            return
        self._source = last.source
        job = Job(
            f"Affinities {offset_text(offset)}",
            lambda report, cancel: affinity_of(last.embedding, offset, report, cancel),
            lambda affinity: self._show_affinity(last, offset, affinity),
        )
        self._runner.start(job)

    def layer_removed(self, layer: Layer) -> None:
        """Stop what was done for a layer, and forget what was kept of it."""
        name = layer.name
        if self._source is not None and self._source() is layer:
            self._runner.cancel(f"Cancelled: the image {name!r} was removed.")
        if self._last is not None and self._last.source() is layer:
            self._last = None

    def _show(self, source: ref[Image], request: SegmentRequest, outcome: SegmentOutcome) -> str:
        """Show a segmentation; return one sentence about it."""
        layer = self._present(source, request.part)
        told = about(outcome, request, layer.name, layer.source.path)
        writer = ResultWriter(self._layers, self._state.results, layer, request.part, told)
        active = self._layers.selection.active
        if outcome.colors is not None:
            writer.write_embedding(outcome.colors)
        for offset, affinity in outcome.affinities.items():
            writer.write_affinity(offset, affinity)
        segmentation = outcome.segmentation
        labels, is_new = writer.write_labels(
            segmentation.labels, segmentation.table, outcome.print_, replace=outcome.replace
        )
        self._layers.selection.active = labels if is_new else active
        self._last = LastResult(layer, request.part, outcome.embedding, told)
        return _sentence(len(segmentation.table), outcome.seconds)

    def _show_affinity(self, last: LastResult, offset: Offset, affinity: Any) -> str:
        layer = self._present(last.source, last.part)
        writer = ResultWriter(self._layers, self._state.results, layer, last.part, last.about)
        added = writer.write_affinity(offset, affinity)
        return f"Added the layer {added.name!r}."

    def _present(self, source: ref[Image], part: ImagePart) -> Image:
        """Return a layer, if it still is what the part was taken from."""
        layer = source()
        if layer is None or layer not in self._layers:
            raise InputError("The image was removed, so there is nothing to show.")
        if level_zero(layer) is not part.data:
            raise InputError(
                f"The image {layer.name!r} was changed in the meantime: click Segment again."
            )
        return layer


def _sentence(n_objects: int, seconds: float) -> str:
    """Return what came out of a segmentation."""
    if n_objects == 0:
        return (
            f"No objects found in {seconds:.1f} s: do model and channel fit the image, and is "
            "it as large as the model expects?"
        )
    return f"{n_objects} object{'s' if n_objects > 1 else ''} in {seconds:.1f} s"
