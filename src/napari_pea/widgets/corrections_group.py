"""The brushes that mend a segmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.utils.notifications import show_info
from qtpy.compat import isalive
from qtpy.QtWidgets import (
    QGridLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QWidget,
)

from napari_pea.core.constraints import Constraints
from napari_pea.core.corrections import Corrections
from napari_pea.core.errors import InputError
from napari_pea.core.strokes import Kind
from napari_pea.widgets.commands import open_training_dock
from napari_pea.widgets.live import Live
from napari_pea.widgets.results import LABELS
from napari_pea.widgets.scribbles import Scribbles, forget_layer
from napari_pea.widgets.sessions import LiveSession
from napari_pea.widgets.state import SegmentState

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari.layers import Image
    from napari.viewer import Viewer


class CorrectionsGroup(QWidget):
    """Join and cut objects by strokes.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer itself, not a proxy of it.
    state : SegmentState
        The state of the viewer.
    live : Live
        Carries the corrections out.
    """

    def __init__(self, viewer: Viewer, state: SegmentState, live: Live) -> None:
        super().__init__()
        self._viewer = viewer
        self._layers = viewer.layers
        self._state = state
        self._live = live
        self._scribbles: WeakKeyDictionary[Image, dict[Hashable, Scribbles]] = WeakKeyDictionary()

        self.join_button = self._brush_button(
            "join_button", "Join", "Draw over objects: all that one stroke touches become one."
        )
        self.cut_button = self._brush_button(
            "cut_button",
            "Cut",
            "Draw along a border that is missing: what lies left and right of the stroke "
            "becomes two objects.",
        )
        self.undo_correction_button = QPushButton("Undo", self)
        self.undo_correction_button.setObjectName("undo_correction_button")
        self.undo_correction_button.setToolTip(
            "Take the newest stroke away. Ctrl+Z on the layer of the strokes works too."
        )
        self.brush_spin = QSpinBox(self)
        self.brush_spin.setObjectName("brush_spin")
        self.brush_spin.setRange(1, 100)
        self.brush_spin.setValue(5)
        self.brush_spin.setSuffix(" px")
        self.brush_spin.setToolTip("Width of the brush in pixels.")
        self.annotate_button = QPushButton("Use for training", self)
        self.annotate_button.setObjectName("annotate_button")
        self.annotate_button.setToolTip(
            "Copy the objects as they are now to a layer of their own, from which the Training "
            "dock can teach a model. What is no object counts as background."
        )
        self.corrections_label = QLabel(self)
        self.corrections_label.setObjectName("corrections_label")
        layout = QGridLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(4)
        for column, button in enumerate(
            (self.join_button, self.cut_button, self.undo_correction_button)
        ):
            layout.addWidget(button, 0, column)
        layout.addWidget(QLabel("Brush", self), 1, 0)
        layout.addWidget(self.brush_spin, 1, 1)
        layout.addWidget(self.corrections_label, 1, 2)
        layout.addWidget(self.annotate_button, 2, 0, 1, 3)

        self.join_button.clicked.connect(lambda on: self._on_brush_clicked("join", on))
        self.cut_button.clicked.connect(lambda on: self._on_brush_clicked("cut", on))
        self.undo_correction_button.clicked.connect(self._on_undo_clicked)
        self.brush_spin.valueChanged.connect(self._on_width_changed)
        self.annotate_button.clicked.connect(self._on_annotate_clicked)
        live.session_changed.connect(self._on_session_changed)
        live.result_shown.connect(self._on_result_shown)
        self._layers.events.removed.connect(self._on_layer_removed)
        self._layers.selection.events.active.connect(self._show)
        self._show()

    def _brush_button(self, name: str, text: str, tooltip: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setObjectName(name)
        button.setToolTip(tooltip)
        button.setCheckable(True)
        return button

    def scribbles_of(self, session: LiveSession | None) -> Scribbles | None:
        """Return the strokes on what a session shows, if there are any."""
        source = None if session is None else session.source
        if session is None or source is None:
            return None
        return self._scribbles.get(source, {}).get(session.part.key)

    def _on_brush_clicked(self, kind: Kind, on: bool) -> None:
        session = self._live.session
        if session is None:
            self._show()
            return
        scribbles = self.scribbles_of(session) if not on else self._scribbles_for(session)
        if scribbles is None:
            return
        if on:
            scribbles.layer.brush_size = self.brush_spin.value()
            scribbles.take(kind)
            self._layers.selection.active = scribbles.layer
        else:
            scribbles.put_down()
        self._show()

    def _on_undo_clicked(self) -> None:
        scribbles = self.scribbles_of(self._live.session)
        if scribbles is not None:
            scribbles.undo()

    def _on_annotate_clicked(self) -> None:
        """Take the corrected objects over as annotation, and show the Training dock."""
        session = self._live.session
        source = None if session is None else session.source
        if session is None or source is None:
            return
        found = self._state.results.find(source, session.part.key, LABELS)
        # Labels that were painted on by hand are the better ones.
        result = None if found is None else found.layer
        if result is None or result not in self._layers:
            show_info("The labels were removed: click Segment first.")
            return
        from napari_pea.widgets.training_brush import annotate_with
        from napari_pea.widgets.training_state import training_state_of

        layer = annotate_with(self._layers, training_state_of(self._viewer), source, result)
        open_training_dock(self._viewer)
        show_info(f"The objects are annotation now, in the layer {layer.name!r}.")

    def _on_width_changed(self, width: int) -> None:
        scribbles = self.scribbles_of(self._live.session)
        if scribbles is not None and scribbles.layer.brush_size != width:
            scribbles.layer.brush_size = width

    def _on_session_changed(self, session: LiveSession | None) -> None:
        """Let the brush follow the plane that the user looks at."""
        if not isalive(self):
            return
        brush = None
        for other in self._all():
            if other is not self.scribbles_of(session) and other.kind is not None:
                brush = other.kind
                other.put_down()
        if session is not None:
            self._take_over(session)
            if brush is not None and session.result is not None:
                self._on_brush_clicked(brush, True)
        self._show()

    def _on_result_shown(self, session: LiveSession) -> None:
        if isalive(self):
            self._take_over(session)
            self._show()

    def _take_over(self, session: LiveSession) -> None:
        """Bring the strokes on the layer and those of a session together."""
        if session.part.block is not None:
            return  # strokes are of the whole
        scribbles = self.scribbles_of(session)
        if scribbles is not None:
            if scribbles.corrections.as_dict()["strokes"] != session.corrections.get("strokes", []):
                self._apply(session, scribbles)
        elif session.corrections.get("strokes"):
            try:
                corrections = Corrections.from_dict(session.corrections)
            except InputError as error:
                self._state.status = str(error)
                return
            self._scribbles_for(session).restore(corrections)
        elif session is self._live.session and session.source is not None:
            # Of a result that was opened while the controls acted on something else.
            book, place = self._state.sessions, (session.source.name, session.origin.get("plane"))
            kept = book.kept_corrections(*place)
            book.drop_corrections(*place)
            if kept:
                self._scribbles_for(session).restore(Corrections.from_dict(kept))

    def _scribbles_for(self, session: LiveSession) -> Scribbles:
        """Return the strokes on what a session shows; their layer is made if need be."""
        found = self.scribbles_of(session)
        if found is not None:
            return found
        source = session.source
        if source is None:
            raise InputError("The image was removed, so there is nothing to correct.")
        made = Scribbles(source, session.part, self)
        made.layer.brush_size = self.brush_spin.value()
        made.changed.connect(self._on_strokes_changed)
        made.replaced.connect(self._on_strokes_replaced)
        made.misdrawn.connect(self._on_misdrawn)
        made.layer.events.mode.connect(self._show)
        made.layer.events.selected_label.connect(self._show)
        made.layer.events.brush_size.connect(self._show)
        self._scribbles.setdefault(source, {})[session.part.key] = made
        if made.layer not in self._layers:
            active = self._layers.selection.active
            self._layers.append(made.layer)
            self._layers.selection.active = active
        return made

    def _on_strokes_changed(self) -> None:
        session = self._live.session
        scribbles = self.scribbles_of(session)
        if session is not None and scribbles is not None and scribbles is self.sender():
            self._apply(session, scribbles)
        self._show()

    def _apply(self, session: LiveSession, scribbles: Scribbles) -> None:
        corrections = scribbles.corrections
        told = {key: value for key, value in session.corrections.items() if key != "strokes"}
        if corrections:
            told |= corrections.as_dict()
        constraints = corrections.constraints(session.part.shape)
        if told == session.corrections and constraints.key == session.constraints.key:
            return  # they were there already, and only drawn now
        self._live.set_constraints(session, constraints, told)

    def _on_strokes_replaced(self, n_strokes: int) -> None:
        many = "An earlier stroke" if n_strokes == 1 else f"{n_strokes} earlier strokes"
        show_info(f"{many} said the opposite and was replaced; undo brings it back.")

    def _on_misdrawn(self) -> None:
        show_info("Corrections are strokes of the brush in 2D: this paint changes nothing.")

    def _on_layer_removed(self, event: Any) -> None:
        """Forget strokes whose layer was removed; they are no corrections any more."""
        if not isalive(self):
            return
        for source, by_part in list(self._scribbles.items()):
            for key, scribbles in list(by_part.items()):
                if scribbles.layer is not event.value and source is not event.value:
                    continue
                scribbles.close()
                forget_layer(scribbles.layer)
                del by_part[key]
                session = self._live.session
                if (
                    session is not None
                    and session.source is source
                    and session.part.key == key
                    and session.corrections
                ):
                    told = {k: v for k, v in session.corrections.items() if k != "strokes"}
                    self._live.set_constraints(session, Constraints.none(), told)
        self._show()

    def _all(self) -> list[Scribbles]:
        return [one for by_part in self._scribbles.values() for one in by_part.values()]

    def _show(self, _: object = None) -> None:
        """Show which brush is in the hand and what was drawn."""
        if not isalive(self):
            return
        session = self._live.session
        scribbles = self.scribbles_of(session)
        can = session is not None and session.result is not None and session.part.block is None
        in_hand = None
        if scribbles is not None and self._layers.selection.active is scribbles.layer:
            in_hand = scribbles.kind
            if scribbles.layer.brush_size != self.brush_spin.value():
                self.brush_spin.setValue(int(scribbles.layer.brush_size))
        for button, kind in ((self.join_button, "join"), (self.cut_button, "cut")):
            button.setEnabled(can)
            button.setChecked(in_hand == kind)
        self.annotate_button.setEnabled(can)
        n_strokes = 0 if scribbles is None else len(scribbles.corrections)
        self.undo_correction_button.setEnabled(n_strokes > 0)
        self.corrections_label.setText(f"{n_strokes} stroke{'' if n_strokes == 1 else 's'}")


def restore_corrections(live: Live, state: SegmentState, told: dict[str, Any]) -> str:
    """Take over the strokes of a result.

    They are carried out at once if the result is of what the controls act on, unless that
    has strokes of its own. Otherwise they wait until its image is segmented.

    Parameters
    ----------
    live : Live
        Carries them out.
    state : SegmentState
        The state of the viewer.
    told : dict
        ``metadata["napari_pea"]`` of the layer of the result.

    Returns
    -------
    str
        One sentence if they wait, else "".

    Raises
    ------
    InputError
        If a stroke cannot be read.
    """
    saved = told.get("corrections")
    if not isinstance(saved, dict) or not saved.get("strokes"):
        return ""
    corrections = Corrections.from_dict(saved)
    session = live.session
    source = None if session is None else session.source
    is_same = (
        session is not None
        and source is not None
        and told.get("image") == source.name
        and told.get("plane") == session.origin.get("plane")
    )
    if session is None or not is_same:
        state.sessions.keep_corrections(told.get("image"), told.get("plane"), dict(saved))
        return f"Its strokes follow when the image {told.get('image')!r} is segmented."
    if not session.corrections.get("strokes"):
        live.set_constraints(session, corrections.constraints(session.part.shape), dict(saved))
    return ""
