"""Carrying out every change of a control on the labels, while the user makes it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QWidget

from napari_pea.core.constraints import Constraints
from napari_pea.core.errors import InputError
from napari_pea.core.settings import SegmentationSettings
from napari_pea.widgets.debounce import Debouncer
from napari_pea.widgets.features import layer_features
from napari_pea.widgets.followers import Followers, FollowUp
from napari_pea.widgets.jobs import Job, JobRunner
from napari_pea.widgets.layers import ResultWriter
from napari_pea.widgets.live_jobs import (
    Target,
    count_text,
    segment_region,
    segment_whole,
    sentence,
)
from napari_pea.widgets.preview import visible_region
from napari_pea.widgets.results import LABELS, PREVIEW
from napari_pea.widgets.sessions import LiveSession
from napari_pea.widgets.sources import Region
from napari_pea.widgets.state import SegmentState
from napari_pea.widgets.views import View, Views
from napari_pea.widgets.work import Early, Outcome

if TYPE_CHECKING:
    import pandas as pd
    from napari.layers import Image, Layer
    from napari.viewer import Viewer

#: A preview follows the view when that has been still for so long, in milliseconds.
STILL_MS = 200


class Live(QObject):
    """Keeps the labels of a viewer in step with the controls.

    A change cancels what is under way, so a result that is shown always belongs to the
    present settings; it goes with the layer it was computed from.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer itself, not a proxy of it.
    state : SegmentState
        The state of the viewer.
    runner : JobRunner
        Runs the jobs.
    target : callable
        Returns what the user has chosen, or None.
    parent : QObject
        The dock.
    """

    #: The session that the controls act on, or None.
    session_changed = Signal(object)
    #: A session whose labels were renewed.
    result_shown = Signal(object)

    def __init__(
        self,
        viewer: Viewer,
        state: SegmentState,
        runner: JobRunner,
        target: Callable[[], Target | None],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._layers = viewer.layers
        self._dims = viewer.dims
        self._state = state
        self._runner = runner
        self._target = target
        self.views = Views(viewer.layers, state)
        self._followers = Followers(runner, self)
        self._followers.add(self.views.job)
        self._announced: ref[LiveSession] | None = None
        self._wanted: ref[LiveSession] | None = None
        self._debounced = Debouncer(self._update, self)
        self._still = QTimer(self)
        self._still.setSingleShot(True)
        self._still.setInterval(STILL_MS)
        self._still.timeout.connect(self._on_still)
        state.live.events.settings.connect(self._on_settings)
        state.live.events.preview.connect(self._on_settings)
        camera = viewer.scene.camera.events
        for event in (camera.center, camera.zoom, viewer.dims.events.current_step):
            event.connect(self._on_camera)

    @property
    def session(self) -> LiveSession | None:
        """What the controls act on, if that or a block of it was segmented."""
        target, book = self._target(), self._state.sessions
        if target is None:
            return None
        whole = book.find(target.layer, target.key)
        return book.find(target.layer, target.block_key) if whole is None else whole

    @property
    def target(self) -> Target | None:
        """What the user has chosen, if it can be segmented."""
        return self._target()

    @property
    def is_closed(self) -> bool:
        """Whether the dock was removed from its window; it may live on for a while."""
        if not isalive(self):
            return True
        dock = self.parent()
        return isinstance(dock, QWidget) and dock.parentWidget() is None and not dock.isVisible()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way or about to be."""
        return not (
            self._state.busy
            or self._runner.saying
            or self._debounced.waiting
            or self._followers.waiting
            or self._still.isActive()
        )

    def follow(self, make_job: FollowUp) -> None:
        """Let a quiet job follow every result: see `Followers.add`."""
        self._followers.add(make_job)

    def follow_now(self, session: LiveSession, *make_jobs: FollowUp) -> None:
        """Let quiet jobs follow the result that a session shows: see `Followers.add_now`."""
        self._followers.add_now(session, *make_jobs)

    def refresh(self) -> None:
        """Look which session the controls act on, after the user has chosen another one."""
        session = self.session
        before = None if self._announced is None else self._announced()
        if session is before and (session is not None or self._announced is None):
            return
        self._announced = None if session is None else ref(session)
        if session is not None and session.result is not None:
            self._state.live.settings = session.result.settings
        self.session_changed.emit(session)

    def set_constraints(
        self, session: LiveSession, constraints: Constraints, corrections: dict[str, Any]
    ) -> None:
        """Segment again with other corrections.

        Parameters
        ----------
        session : LiveSession
            What was corrected.
        constraints : Constraints
            What all corrections say about pairs of pixels.
        corrections : dict
            The corrections as plain values.
        """
        if self.is_closed:
            return
        session.constraints = constraints
        session.corrections = corrections
        self.change(session)

    def write_features(self, session: LiveSession, table: pd.DataFrame) -> None:
        """Replace the features of the labels of a session.

        Parameters
        ----------
        session : LiveSession
            Whose labels.
        table : pandas.DataFrame
            One row for each object, with a column ``label``.
        """
        source, layer = session.source, session.labels_layer
        if source is None or layer is None:
            return
        found = self._state.results.find(source, session.part.key, LABELS)
        layer.features = layer_features(table, source, session.part)
        if found is not None:
            found.table_was_replaced()

    def change(self, session: LiveSession) -> None:
        """Carry out the present settings and constraints on a session."""
        if self.is_closed:
            return
        self.stop()
        self._wanted = ref(session)
        self._debounced()

    def stop(self) -> None:
        """Cancel what is under way, and what was to follow, but for the first labels."""
        self._followers.clear()
        self._debounced.stop()
        if self._runner.current is not None:
            self._runner.cancel(self._state.status)

    def apply_to_whole(self, session: LiveSession) -> None:
        """Carry out the present settings on all of a large image."""
        self.stop()
        self._start(session, None, quiet=False)

    def show(
        self, session: LiveSession, outcome: Outcome, *, goes_on: bool = False, follow: bool = True
    ) -> str:
        """Show the labels of a session; return one sentence about them.

        Parameters
        ----------
        session : LiveSession
            What was segmented.
        outcome : Outcome
            Its segmentation.
        goes_on : bool
            Whether the user is waiting for what follows.
        follow : bool
            Whether something follows, in place of any job under way.

        Raises
        ------
        InputError
            If the image is gone or has other pixels by now.
        """
        source = self._present(session)
        segmentation = outcome.segmentation
        session.result = segmentation
        session.result_constraints = outcome.constraints
        session.is_ahead = False
        session.close_window()
        writer = self._writer(session, source)
        active = self._layers.selection.active
        reveal = session.is_new or self._has_preview(session)
        labels, is_new = writer.write_labels(
            outcome.data,
            outcome.features,
            outcome.print_,
            replace=outcome.replace,
            show=reveal,
        )
        writer.remove_preview()
        self._layers.selection.active = labels if is_new and session.is_new else active
        session.is_new = False
        self.refresh()
        self.result_shown.emit(session)
        if follow:
            self._followers.start(session, goes_on=goes_on)
        return sentence(len(segmentation.table), outcome.seconds)

    def add_view(self, session: LiveSession, view: View) -> None:
        """Add a picture of a session, even if the user has removed it before."""
        job = self.views.job(session, view)
        if job is not None:
            job.goes_on = True
            self._runner.start(job)

    def layer_removed(self, layer: Layer) -> None:
        """Stop what was done for a layer, and forget what was kept of it."""
        current = self._runner.current
        if current is not None and current.is_about(layer):
            self._followers.clear()
            self._runner.cancel(f"Cancelled: the image {layer.name!r} was removed.")
        self._state.sessions.forget(layer)
        self.refresh()

    def _on_settings(self, _: object = None) -> None:
        if self.is_closed:
            return
        session = self.session
        current = self._runner.current
        target = self._target()
        if (
            current is not None
            and target is not None
            and current.is_about(target.layer, target.key)
        ):
            return  # it looks at the settings when it is done
        if session is None:
            return
        is_busy = current is not None and current.is_about(session.source)
        if is_busy or self._has_preview(session) or not self._is_up_to_date(session):
            self.change(session)

    def _on_camera(self, _: object = None) -> None:
        if self._state.live.preview and not self.is_closed:
            session = self.session
            if session is not None and self._has_preview(session):
                self._still.start()

    def _on_still(self) -> None:
        session = self.session
        if session is not None and self._has_preview(session):
            self.change(session)

    def _update(self) -> None:
        """Start to carry out the last change."""
        session = None if self._wanted is None else self._wanted()
        if session is None or not session.is_current or session.source is None or self.is_closed:
            return
        if self._is_up_to_date(session):
            if self._has_preview(session):
                self._writer(session, session.source).remove_preview()
                session.close_window()
                layer = session.labels_layer
                if layer is not None:
                    layer.visible = True
            return
        region = None
        if self._state.live.preview:
            region = visible_region(session.source, session.part, self._dims)
        self._start(session, region, quiet=True)

    def _is_up_to_date(self, session: LiveSession) -> bool:
        """Whether the labels of a session are what the controls say."""
        return (
            session.result is not None
            and not session.is_ahead
            and session.result.settings == self._state.live.settings
            and session.result_constraints is session.constraints
            and session.labels_layer is not None
        )

    def _start(self, session: LiveSession, region: Region | None, *, quiet: bool) -> None:
        """Start a job that brings a session, or a region of it, up to date."""
        source = session.source
        if source is None:
            return
        settings, constraints = self._state.live.settings, session.constraints
        quiet = quiet and session.segmenter.has_evidence(settings)
        title = f"Updating {source.name}"
        if region is None:
            former = self._state.results.find(source, session.part.key, LABELS)
            work = partial(segment_whole, session, settings, constraints, former, ref(source))
            deliver = partial(self.show, session, goes_on=not quiet)
            job = Job(title, work, deliver, quiet=quiet, layer=ref(source))
            job.take = partial(self._show_early, session)
        else:
            work = partial(segment_region, session, settings, constraints, region, ref(source))
            deliver = partial(self._show_preview, session, region)
            job = Job(title, work, deliver, quiet=quiet, layer=ref(source))
        job.at_once = quiet
        self._runner.start(job)

    def _show_early(self, session: LiveSession, early: Early) -> None:
        """Show labels whose table is still on its way."""
        source = session.source
        if source is None or not session.is_current:
            return
        if session.is_new or self._has_preview(session):
            return
        writer = self._writer(session, source, early.settings)
        session.is_ahead = writer.renew_labels(early.data, early.print_)

    def _show_preview(self, session: LiveSession, region: Region, outcome: Outcome) -> str:
        """Show the labels of a region in a layer of their own."""
        source = self._present(session)
        writer = self._writer(session, source, outcome.segmentation.settings)
        active = self._layers.selection.active
        whole = session.labels_layer
        writer.write_preview(outcome.segmentation.labels, [piece.start for piece in region])
        session.preview = region, outcome.segmentation.labels
        if whole is not None:
            whole.visible = False
        self._layers.selection.active = active
        found = count_text(len(outcome.segmentation.table))
        return f"{found} in what you see; “Apply to whole image” does the rest."

    def _has_preview(self, session: LiveSession) -> bool:
        """Whether labels of a region are shown in place of those of the whole."""
        source = session.source
        if source is None:
            return False
        found = self._state.results.find(source, session.part.key, PREVIEW)
        return found is not None and found.layer is not None and found.layer in self._layers

    def _writer(
        self, session: LiveSession, source: Image, settings: SegmentationSettings | None = None
    ) -> ResultWriter:
        about = session.about()
        if settings is not None:
            about["settings"] = settings.as_dict()
        return ResultWriter(self._layers, self._state.results, source, session.part, about)

    def _present(self, session: LiveSession) -> Image:
        """Return the image of a session, if it still is what was segmented."""
        source = session.source
        if source is None:
            raise InputError("The image was removed, so there is nothing to show.")
        if not session.is_current:
            raise InputError(
                f"The image {source.name!r} was changed in the meantime: click Segment again."
            )
        return source
