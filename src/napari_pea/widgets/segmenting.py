"""The jobs that the buttons of the Segment dock start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from napari_pea.core.corrections import Corrections
from napari_pea.core.errors import InputError
from napari_pea.widgets.jobs import Job, JobRunner
from napari_pea.widgets.layers import ResultWriter
from napari_pea.widgets.live import Live
from napari_pea.widgets.live_jobs import Target
from napari_pea.widgets.preferences import preferences
from napari_pea.widgets.results import LABELS
from napari_pea.widgets.sessions import LiveSession
from napari_pea.widgets.sources import level_zero
from napari_pea.widgets.state import SegmentState
from napari_pea.widgets.work import (
    Outcome,
    SegmentRequest,
    StackOutcome,
    origin_of,
    segment_part,
    segment_stack,
)

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer


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
    live : Live
        Takes over what was segmented.
    """

    def __init__(self, viewer: Viewer, state: SegmentState, runner: JobRunner, live: Live) -> None:
        self._layers = viewer.layers
        self._state = state
        self._runner = runner
        self._live = live

    def segment(self, target: Target) -> None:
        """Segment what the user has chosen."""
        layer, part = target.layer, target.part
        wanted = preferences()
        former = self._state.sessions.find(layer, target.key)
        waiting: dict[str, Any] = {}
        if former is None:
            # Of a result that was opened before its image was segmented.
            plane = [list(taken) for taken in part.plane]
            waiting = self._state.sessions.kept_corrections(layer.name, plane)
            constraints = Corrections.from_dict(waiting).constraints(part.shape)
        else:
            constraints = former.constraints
        request = SegmentRequest(
            part=part,
            model=target.model.path,
            device=self._state.device,
            tile=wanted.tile_size,
            halo=wanted.halo,
            settings=self._state.live.settings,
            constraints=constraints,
            former_labels=self._state.results.find(layer, part.key, LABELS),
            source=ref(layer),
        )
        source = request.source
        self._live.stop()
        self._runner.start(
            Job(
                f"Segmenting {layer.name}",
                lambda report, cancel: segment_part(request, report, cancel),
                lambda outcome: self._show(source, target.key, request, waiting, outcome),
                layer=source,
                subject=target.key,
            )
        )

    def apply_to_planes(self, session: LiveSession, axis: int) -> None:
        """Segment every plane of a stack with the present settings.

        Parameters
        ----------
        session : LiveSession
            One of the planes.
        axis : int
            The axis of the layer.
        """
        source = session.source
        if source is None:
            return
        settings = self._state.live.settings
        self._live.stop()
        self._runner.start(
            Job(
                f"Every plane of {source.name}",
                lambda report, cancel: segment_stack(session, axis, settings, report, cancel),
                lambda outcome: self._show_stack(session, axis, outcome),
                layer=ref(source),
            )
        )

    def _show(
        self,
        source: ref[Image],
        key: object,
        request: SegmentRequest,
        waiting: dict[str, Any],
        outcome: Outcome,
    ) -> str:
        """Show a first segmentation; return one sentence about it."""
        layer = source()
        if layer is None or layer not in self._layers:
            raise InputError("The image was removed, so there is nothing to show.")
        if level_zero(layer) is not request.part.data:
            raise InputError(
                f"The image {layer.name!r} was changed in the meantime: click Segment again."
            )
        segmenter = outcome.segmenter
        device = str(getattr(segmenter.model, "device", request.device))
        origin = origin_of(request, segmenter.model.name, device, layer.name, layer.source.path)
        book = self._state.results
        session = LiveSession(layer, request.part, segmenter, origin, self._layers, book)
        former = self._state.sessions.find(layer, key)
        session.constraints = outcome.constraints
        if former is None:
            session.corrections = waiting
            self._state.sessions.drop_corrections(layer.name, origin["plane"])
        else:
            session.constraints, session.corrections = former.constraints, former.corrections
        self._state.sessions.enter(layer, key, session, preferences().cache_bytes)
        is_stale = (
            outcome.segmentation.settings != self._state.live.settings
            or session.constraints is not outcome.constraints
        )
        if is_stale and self._live.session is session:
            # The user went on while the network was running.
            self._live.change(session)
            return f"Updating {layer.name} …"
        return self._live.show(session, outcome, goes_on=True)

    def _show_stack(self, session: LiveSession, axis: int, outcome: StackOutcome) -> str:
        """Show the labels of every plane in a new layer; return one sentence about them."""
        source = session.source
        if source is None or not session.is_current:
            raise InputError("The image was removed or changed, so there is nothing to show.")
        about = {**session.about(), "settings": self._state.live.settings.as_dict()}
        about["plane"] = [taken for taken in about["plane"] if taken[0] != axis]
        part = session.part.at(axis, 0)
        writer = ResultWriter(self._layers, self._state.results, source, part, about)
        active = self._layers.selection.active
        layer = writer.write_stack(outcome.labels, outcome.table)
        self._layers.selection.active = active
        n_planes = outcome.labels.shape[session.part.kept_axes.index(axis)]
        return f"{len(outcome.table)} objects in {n_planes} planes: {layer.name!r}."
