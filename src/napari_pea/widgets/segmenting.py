"""The jobs that the buttons of the Segment dock start."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from napari_pea.core.constraints import Constraints
from napari_pea.core.corrections import Corrections
from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken
from napari_pea.widgets.blocks import bytes_needed, fits_memory, is_slow, segment_block
from napari_pea.widgets.jobs import Job, JobRunner
from napari_pea.widgets.layers import ResultWriter
from napari_pea.widgets.live import Live
from napari_pea.widgets.live_jobs import Target
from napari_pea.widgets.preferences import preferences
from napari_pea.widgets.preview import block_around_view
from napari_pea.widgets.results import LABELS
from napari_pea.widgets.sessions import LiveSession
from napari_pea.widgets.sources import NDIM, NOUNS, ImagePart, level_zero
from napari_pea.widgets.state import SegmentState
from napari_pea.widgets.work import (
    Outcome,
    Report,
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
        self._dims = viewer.dims
        self._state = state
        self._runner = runner
        self._live = live

    def segment(self, target: Target, *, at_once: bool = False) -> None:
        """Segment what the user has chosen.

        Of a large volume, what is visible is shown first; if the memory does not suffice for
        the whole, nothing else is done.

        Parameters
        ----------
        target : Target
            What was chosen.
        at_once : bool
            Whether to do without showing a part first.

        Raises
        ------
        InputError
            If that needs more memory than there is.
        """
        layer, part = target.layer, target.part
        former = self._state.sessions.find(layer, target.key)
        fits, too_large = fits_memory(part), _too_large(target)
        if at_once and not fits:
            raise InputError(too_large)
        waiting: dict[str, Any] = {}
        if former is None:
            # Of a result that was opened before its image was segmented.
            plane = [list(taken) for taken in part.plane]
            waiting = self._state.sessions.kept_corrections(layer.name, plane)
            constraints = Corrections.from_dict(waiting).constraints(part.shape)
        else:
            constraints = former.constraints
        whole = self._request(target, part, constraints)
        source = whole.source
        block = None
        if not fits or (former is None and not at_once and self._is_shown_first(target)):
            region = block_around_view(layer, part, self._dims)
            block = self._request(target, replace(part, block=region), Constraints.none())

        def work(report: Report, cancel: CancelToken) -> Outcome:
            if block is None:
                return segment_part(whole, report, cancel)
            found = segment_block(block, report, cancel)
            if not fits:
                return found
            report.hand_over(found)
            return segment_part(whole, report, cancel)

        deliver = partial(self._show, source, target.key, whole, waiting)
        if block is not None and not fits:
            deliver = partial(self._show_block, target.block_key, block, too_large)
        job = Job(f"Segmenting {layer.name}", work, deliver, layer=source, subject=target.key)
        if block is not None:
            job.take = partial(self._show_early, source, target.block_key, block)
        self._live.stop()
        self._runner.start(job)

    def _request(self, target: Target, part: ImagePart, constraints: Constraints) -> SegmentRequest:
        """Return what is asked for of a part."""
        wanted = preferences()
        return SegmentRequest(
            part=part,
            model=target.model.path,
            device=self._state.device,
            # A network for volumes knows what its tiles should be.
            tile=wanted.tile_size if len(part.shape) == NDIM else None,
            halo=wanted.halo,
            settings=self._state.live.settings,
            constraints=constraints,
            former_labels=self._state.results.find(target.layer, part.key, LABELS),
            source=ref(target.layer),
        )

    def _is_shown_first(self, target: Target) -> bool:
        """Whether a block is to be shown before all of an image."""
        metadata = target.model.metadata
        return (
            self._state.live.preview
            and is_slow(target.part)
            and not target.part.has_channels
            and metadata is not None
            and metadata.scale == 1
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
        session = self._enter(source, key, request, waiting, outcome)
        layer = session.source
        if layer is not None:
            self._drop_block(layer, request.part)
            self._state.sessions.drop(layer, ("block", key))
        return self._show_entered(session, outcome)

    def _show_entered(self, session: LiveSession, outcome: Outcome) -> str:
        """Show what was segmented, or bring it up to date; return one sentence about it."""
        is_stale = (
            outcome.segmentation.settings != self._state.live.settings
            or session.constraints is not outcome.constraints
        )
        if is_stale and self._live.session is session:
            # The user went on while the network was running.
            self._live.change(session)
            return f"Updating {session.origin['image']} …"
        return self._live.show(session, outcome, goes_on=True)

    def _show_early(
        self, source: ref[Image], key: object, request: SegmentRequest, outcome: Outcome
    ) -> None:
        """Show a block of an image that is being segmented."""
        if outcome.segmentation.settings != self._state.live.settings:
            return  # the user has gone on; the whole will be what the controls say
        with suppress(InputError):  # said when the job ends
            session = self._enter(source, key, request, {}, outcome)
            self._live.show(session, outcome, follow=False)

    def _show_block(
        self, key: Hashable, request: SegmentRequest, too_large: str, outcome: Outcome
    ) -> str:
        """Show a block of an image that is too large to be segmented at once."""
        session = self._enter(request.source, key, request, {}, outcome)
        found = self._show_entered(session, outcome)
        return f"{found}, around what you see. {too_large}"

    def _drop_block(self, layer: Image, part: ImagePart) -> None:
        """Remove the block of an image that was shown before all of it."""
        key = replace(part, block=()).key
        for found in self._state.results.of_part(layer, key):
            if found.layer is not None and found.may_be_replaced(self._layers):
                self._layers.remove(found.layer)

    def _enter(
        self,
        source: ref[Image],
        key: Hashable,
        request: SegmentRequest,
        waiting: dict[str, Any],
        outcome: Outcome,
    ) -> LiveSession:
        """Keep what was segmented for the controls."""
        layer = source()
        if layer is None or layer not in self._layers:
            raise InputError("The image was removed, so there is nothing to show.")
        if level_zero(layer) is not request.part.data:
            raise InputError(
                f"The image {layer.name!r} was changed in the meantime: click Segment again."
            )
        origin = origin_of(request, outcome, layer.name, layer.source.path)
        book = self._state.results
        session = LiveSession(layer, request.part, outcome.segmenter, origin, self._layers, book)
        former = self._state.sessions.find(layer, key)
        session.constraints = outcome.constraints
        if former is None:
            session.corrections = waiting
            if request.part.block is None:  # they are of the whole
                self._state.sessions.drop_corrections(layer.name, origin["plane"])
        else:
            session.constraints, session.corrections = former.constraints, former.corrections
        self._state.sessions.enter(layer, key, session, preferences().cache_bytes)
        return session

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
        noun = NOUNS[len(session.part.shape)]
        return f"{len(outcome.table)} objects in {n_planes} {noun}s: {layer.name!r}."


def _too_large(target: Target) -> str:
    """Say that an image does not fit into memory, and what helps."""
    needed = bytes_needed(target.part) / 1e9
    return (
        f"All of {target.layer.name!r} would take about {needed:,.0f} GB of memory: segment it "
        "under “In blocks”."
    )
