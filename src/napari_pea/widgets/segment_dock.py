"""The dock that turns an image into labels with one click."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from napari.utils.notifications import show_warning
from qtpy.compat import isalive
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Offset
from napari_pea.core.settings import SegmentationSettings
from napari_pea.widgets.controls import ChannelCombo, Fold, ImageCombo, ModelCombo, WideCombo
from napari_pea.widgets.devices import DeviceFinder
from napari_pea.widgets.jobs import Job, JobRunner
from napari_pea.widgets.layers import offset_text
from napari_pea.widgets.preferences import preferences
from napari_pea.widgets.segmenting import Segmenting
from napari_pea.widgets.sources import NDIM
from napari_pea.widgets.state import state_of

if TYPE_CHECKING:
    import napari.viewer
    from qtpy.QtGui import QHideEvent, QShowEvent

_READY = "Choose an image and a model, then click Segment."


class SegmentDock(QScrollArea):
    """Choose a model and an image, click Segment, get labels.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer that the dock belongs to.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        # napari hands out a proxy, whose layers are proxies too and never identical.
        self._viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self._state = state_of(self._viewer)
        self._runner = JobRunner(self._state, self)
        self._segmenting = Segmenting(self._viewer, self._state, self._runner)
        self._finder: DeviceFinder | None = None
        self._offsets: list[Offset] = []
        self._model_problem = ""

        self.setObjectName("segment_dock")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._make_controls()
        self._lay_out()
        self._connect()

        self.model_combo.refresh(self._state.model or "nuclei")
        self._on_image_chosen()
        self._on_state()

    def _make_controls(self) -> None:
        self.model_combo = ModelCombo(self)
        self.image_combo = ImageCombo(self._viewer.layers, self)
        self.channel_combo = ChannelCombo(self)
        self.device_combo = WideCombo(
            "device_combo",
            "Where to compute: “auto” takes the fastest there is. The default stands in the "
            "Preferences.",
            self,
        )
        if not self._state.device:
            self._state.device = preferences().device
        self.device_combo.set_items(dict.fromkeys(["auto", self._state.device]))
        self.device_combo.setCurrentText(self._state.device)
        self.segment_button = QPushButton("Segment", self)
        self.segment_button.setObjectName("segment_button")
        self.cancel_button = QPushButton("Cancel", self)
        self.cancel_button.setObjectName("cancel_button")
        self.cancel_button.setToolTip("Stop looking for objects; nothing is changed.")
        self.progress_bar = QProgressBar(self)
        self.progress_bar.setObjectName("progress_bar")
        keeps_place = self.progress_bar.sizePolicy()
        keeps_place.setRetainSizeWhenHidden(True)
        self.progress_bar.setSizePolicy(keeps_place)
        self.status_label = QLabel(self)
        self.status_label.setObjectName("status_label")
        self.status_label.setWordWrap(True)
        self.status_label.setAlignment(Qt.AlignmentFlag.AlignTop)
        # Two lines, so that what is below stays in place.
        self.status_label.setMinimumHeight(2 * self.status_label.fontMetrics().lineSpacing())
        self.status_label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.embedding_check = QCheckBox("Embedding as colours", self)
        self.embedding_check.setObjectName("embedding_check")
        self.embedding_check.setToolTip(
            "Also add a layer in which pixels of one object have one colour, as the model "
            "sees it. It is hidden at first: click its eye in the layer list."
        )
        self.embedding_check.setChecked(self._state.show_embedding)
        self.affinity_combo = WideCombo(
            "affinity_combo",
            "A step in pixels, rows first. The affinity says for every pixel how surely the "
            "pixel one step away belongs to the same object.",
            self,
        )
        self.affinity_button = QPushButton("Add", self)
        self.affinity_button.setObjectName("affinity_button")
        self.affinity_button.setToolTip("Add the affinities of the last segmentation as a layer.")

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Model", self.model_combo)
        form.addRow("Image", self.image_combo)
        form.addRow("Channel", self.channel_combo)
        form.addRow("Device", self.device_combo)
        buttons = QHBoxLayout()
        buttons.addWidget(self.segment_button, 2)
        buttons.addWidget(self.cancel_button, 1)
        affinity = QHBoxLayout()
        affinity.addWidget(QLabel("Affinity", self))
        affinity.addWidget(self.affinity_combo, 1)
        affinity.addWidget(self.affinity_button)
        show = QWidget(self)
        show_layout = QVBoxLayout(show)
        show_layout.setContentsMargins(4, 0, 0, 0)
        show_layout.addWidget(self.embedding_check)
        show_layout.addLayout(affinity)

        content = QWidget(self)
        layout = QVBoxLayout(content)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self.progress_bar)
        layout.addWidget(self.status_label)
        layout.addWidget(Fold("show_fold", "Show", show))
        layout.addStretch(1)
        self.setWidget(content)

    def _connect(self) -> None:
        self.model_combo.currentIndexChanged.connect(self._on_model_chosen)
        self.image_combo.currentIndexChanged.connect(self._on_image_chosen)
        self.device_combo.currentTextChanged.connect(self._on_device_chosen)
        self.embedding_check.toggled.connect(self._on_embedding_toggled)
        self.segment_button.clicked.connect(self._on_segment_clicked)
        self.cancel_button.clicked.connect(self._on_cancel_clicked)
        self.affinity_button.clicked.connect(self._on_affinity_clicked)
        self._viewer.layers.events.removed.connect(self._on_layer_removed)
        self._state.events.connect(self._on_state)

    def _on_model_chosen(self) -> None:
        entry = self.model_combo.entry()
        settings = SegmentationSettings()
        if entry is not None:
            self._state.model = entry.name
            if entry.metadata is not None:
                settings = entry.metadata.recommended
        try:
            settings.strides_for(NDIM)
            self._offsets = list(settings.neighborhood(NDIM).offset_list)
            self._model_problem = ""
        except InputError as error:
            name = "" if entry is None else entry.name
            self._offsets = []
            self._model_problem = f"The settings that the model {name!r} recommends fail: {error}"
        self.affinity_combo.set_items([offset_text(offset) for offset in self._offsets])
        self._on_state()

    def _on_image_chosen(self) -> None:
        self.channel_combo.set_image(self.image_combo.layer())
        self._enable()

    def _on_device_chosen(self, name: str) -> None:
        self._state.device = name

    def _on_devices_found(self, names: tuple[str, ...]) -> None:
        self.device_combo.set_items(["auto", *names])
        self._state.device = self.device_combo.currentText()

    def _on_embedding_toggled(self, checked: bool) -> None:
        self._state.show_embedding = checked

    def _on_layer_removed(self, event: Any) -> None:
        self._segmenting.layer_removed(event.value)
        self._enable()

    def _on_segment_clicked(self) -> None:
        # The data of the layer may have other axes by now.
        self.channel_combo.set_image(self.image_combo.layer())
        layer, choice = self.image_combo.layer(), self.channel_combo.choice()
        model = self.model_combo.entry()
        if layer is None or choice is None or model is None:
            return
        try:
            self._segmenting.segment(layer, choice, model)
        except InputError as error:
            self._state.status = str(error)
            show_warning(str(error))

    def _on_cancel_clicked(self) -> None:
        self._runner.cancel()

    def _on_affinity_clicked(self) -> None:
        self._segmenting.add_affinity(self._offsets[self.affinity_combo.currentIndex()])

    def _on_state(self, _: object = None) -> None:
        """Show what is going on."""
        state = self._state
        # What a running job says goes before what is wrong with another model.
        problem = "" if state.busy else self._model_problem
        self.status_label.setText(problem or state.status or _READY)
        # A range of 0 to 0 makes the bar move without an end in sight.
        self.progress_bar.setRange(0, state.total if state.total > 1 else 0)
        self.progress_bar.setValue(state.done)
        self.progress_bar.setVisible(state.busy)
        self._enable()

    def _enable(self) -> None:
        """Let the user click what makes sense."""
        reason = ""
        if self.model_combo.entry() is None:
            reason = "Choose a model first."
        elif self._model_problem:
            reason = self._model_problem
        elif self.image_combo.layer() is None:
            reason = "Open an image first."
        self.segment_button.setEnabled(not reason)
        self.segment_button.setToolTip(
            reason or "Find the objects in the image and add them as labels."
        )
        self.cancel_button.setEnabled(self._state.busy)
        self.affinity_button.setEnabled(
            self._segmenting.has_result and bool(self._offsets) and not self._state.busy
        )

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Look for models and devices."""
        super().showEvent(event)
        self.model_combo.refresh()
        if self._finder is None:
            self._finder = DeviceFinder()
            self._finder.found.connect(self._on_devices_found)
            self._finder.start()

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802 - Qt's name
        """Cancel the job under way if the dock stays hidden.

        Docks are hidden for a moment when they are moved, so this looks again later; by
        then the dock may not exist any more.
        """
        super().hideEvent(event)
        job = self._runner.current
        if job is not None and event is not None and not event.spontaneous():
            QTimer.singleShot(0, partial(_stop_if_hidden, ref(self), job))


def _stop_if_hidden(dock: ref[SegmentDock], job: Job) -> None:
    """Stop a job whose dock was closed."""
    alive = dock()
    if alive is None or not isalive(alive):
        job.stop()
    elif not alive.isVisible():
        alive._runner.cancel("Cancelled, because the dock was closed.")
