"""What is said about the annotation while it is painted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from qtpy.compat import isalive
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken
from napari_pea.widgets.jobs import Job, JobRunner
from napari_pea.widgets.state import SegmentState
from napari_pea.widgets.training_brush import HELD_OUT, one_color, placement
from napari_pea.widgets.training_outlook import Outlook, look_ahead
from napari_pea.widgets.training_request import annotation_of, scale_of, settings_of, start_of
from napari_pea.widgets.training_state import TrainingState
from napari_pea.widgets.work import Report

if TYPE_CHECKING:
    import numpy as np
    from napari.layers import Labels, Layer
    from napari.viewer import Viewer
    from numpy.typing import NDArray

#: Paint and choices count when they have been still for so long, in milliseconds.
STILL_MS = 400
#: Colour of the outlines of held-out objects.
HELD_OUT_COLOR = (1.0, 1.0, 1.0, 1.0)
#: Events of layers: what is painted, and where it lies.
PAINTED = ("paint", "set_data", "data")
PLACED = ("scale", "translate", "rotate", "shear", "affine")
#: What depends on none of these is not looked at again.
CHOICES = ("source", "pairs", "whole_objects", "start", "preset", "keep", "scale", "changes")


class TrainingOutlookGroup(QWidget):
    """What a run would learn from, what is missing, and what is held out.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer itself, not a proxy of it.
    state : TrainingState
        The choices of its user.
    """

    def __init__(self, viewer: Viewer, state: TrainingState) -> None:
        super().__init__()
        self._layers = viewer.layers
        self._state = state
        #: Its jobs are none of the segmentation's.
        self._runner = JobRunner(SegmentState(), self)
        self._followed: WeakSet[Layer] = WeakSet()
        self._shown: WeakKeyDictionary[Labels, Labels] = WeakKeyDictionary()
        self._still = QTimer(self)
        self._still.setSingleShot(True)
        self._still.setInterval(STILL_MS)
        self._still.timeout.connect(self._look)

        self.outlook_label = QLabel(self)
        self.outlook_label.setObjectName("outlook_label")
        self.outlook_label.setWordWrap(True)
        self.outlook_label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.held_out_check = QCheckBox("Show what is held out", self)
        self.held_out_check.setObjectName("held_out_check")
        self.held_out_check.setToolTip(
            "A layer with the painted objects that are never trained on: how well the model finds "
            "them is what the curves of the validation show."
        )
        self.rescale_button = QPushButton(self)
        self.rescale_button.setObjectName("rescale_button")
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.held_out_check)
        row.addStretch(1)
        row.addWidget(self.rescale_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.outlook_label)
        layout.addLayout(row)

        self.held_out_check.toggled.connect(self._show_held_out)
        self.rescale_button.clicked.connect(self._on_rescale_clicked)
        for name in CHOICES:
            getattr(state.events, name).connect(self._on_choice)
        state.events.phase.connect(self._on_choice)
        for name in ("outlook", "source"):
            getattr(state.events, name).connect(self._show)
        self._layers.events.removed.connect(self._on_removed)
        self._follow()
        self._show()
        self._still.start()

    @property
    def idle(self) -> bool:
        """Whether all that was painted has been looked at."""
        return not self._still.isActive() and self._runner.current is None

    def _on_choice(self, _: object = None) -> None:
        if isalive(self):
            self._follow()
            self._still.start()

    def _on_painted(self, _: object = None) -> None:
        if isalive(self):
            self._still.start()

    def _on_removed(self, event: Any) -> None:
        if isalive(self) and any(layer is event.value for layer in self._shown.values()):
            self._show_held_out()

    def _follow(self) -> None:
        """Listen to the layers of all pairs; layers are listened to once and forever."""
        for pair in self._state.pairs:
            for part in (pair.image, pair.labels, pair.background, pair.region):
                layer = None if part is None else part()
                if layer is None or layer in self._followed:
                    continue
                self._followed.add(layer)
                # What is painted on the image itself is no annotation.
                events = PLACED if part is pair.image else (*PAINTED, *PLACED)
                for event in events:
                    emitter = getattr(layer.events, event, None)
                    if emitter is not None:
                        emitter.connect(self._on_painted)

    def _look(self) -> None:
        """Look at the annotation, in the background."""
        state = self._state
        if state.phase.is_busy:  # the run needs the processor
            if state.outlook is not None and state.outlook.problem:
                state.outlook = None  # it may be mended by now
            return
        if state.source == "folders":
            self._runner.cancel()
            state.outlook = None
            return
        try:
            start = start_of(state)
            pairs, settings = annotation_of(state), settings_of(state, start)
        except InputError as error:
            self._runner.cancel()
            state.outlook = Outlook(problem=str(error))
            return
        if state.outlook is None or state.outlook.problem:
            # What was wrong may be mended by now.
            self.outlook_label.setText("Looking at what is painted …")
        scale, whole = scale_of(state, start), state.whole_objects
        parent = None if start is None else start.metadata

        def work(report: Report, cancel: CancelToken) -> Outlook:
            report("Looking at the annotation …")
            return look_ahead(
                pairs, settings, parent, scale=scale, whole_objects=whole, cancel=cancel
            )

        def deliver(outlook: Outlook) -> str:
            state.outlook = outlook
            return ""

        self._runner.start(Job("Looking at the annotation", work, deliver, quiet=True))

    def _on_rescale_clicked(self) -> None:
        outlook = self._state.outlook
        if outlook is not None and outlook.offer is not None:
            self._state.scale = outlook.offer

    def _show(self, _: object = None) -> None:
        """Show the outlook."""
        if not isalive(self):
            return
        outlook = self._state.outlook
        if self._state.source == "folders":
            self.outlook_label.setText("The files are looked at when you click Train.")
        else:
            self.outlook_label.setText("" if outlook is None else outlook.text)
        offer = None if outlook is None else outlook.offer
        self.rescale_button.setVisible(offer is not None)
        if offer is not None:
            self.rescale_button.setText(f"Rescale by {offer:g}")
            self.rescale_button.setToolTip(
                "Resize the images, so that objects are as large as the model knows them. It can "
                "be taken back under Expert."
            )
        self.held_out_check.setEnabled(outlook is not None and outlook.n_held_out > 0)
        self._show_held_out()

    def _show_held_out(self, _: object = None) -> None:
        """Bring the layers of held-out objects up to date."""
        removed = [key for key, layer in self._shown.items() if layer not in self._layers]
        if removed:
            # The user has had enough of them.
            for labels in removed:
                del self._shown[labels]
            self.held_out_check.setChecked(False)
        outlook, wanted = self._state.outlook, {}
        if outlook is not None and self.held_out_check.isChecked():
            for pair, ids in zip(self._state.pairs, outlook.held_out, strict=False):
                labels = None if pair.labels is None else pair.labels()
                if labels is not None and ids.any() and ids.shape == labels.data.shape:
                    wanted[labels] = ids
        for labels, layer in list(self._shown.items()):
            if labels not in wanted:
                del self._shown[labels]
                self._layers.remove(layer)
        for labels, ids in wanted.items():
            if labels in self._shown:
                self._shown[labels].data = ids
            else:
                self._add(labels, ids)

    def _add(self, labels: Labels, ids: NDArray[np.int32]) -> None:
        """Add a layer of held-out objects."""
        from napari.layers import Labels as LabelsLayer

        layer = LabelsLayer(
            ids,
            name=f"{labels.name} held out",
            # In their own colours they could not be told from the paint below.
            colormap=one_color(HELD_OUT_COLOR),
            opacity=1.0,
            metadata={"napari_pea": {"kind": HELD_OUT}},
            **placement(labels),
        )
        layer.contour = 2
        self._shown[labels] = layer
        active = self._layers.selection.active
        self._layers.append(layer)
        self._layers.selection.active = active
