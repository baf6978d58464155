"""The dock that turns an image into labels with one click, and every control live after it."""

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
from napari_pea.core.known import KnownOffsets
from napari_pea.core.settings import SegmentationSettings
from napari_pea.widgets.blocks_group import BlocksGroup
from napari_pea.widgets.controls import (
    AxisCombo,
    ChannelCombo,
    Fold,
    ImageCombo,
    ModelCombo,
    WideCombo,
)
from napari_pea.widgets.devices import DeviceFinder
from napari_pea.widgets.groups import make_groups
from napari_pea.widgets.jobs import Job, JobRunner
from napari_pea.widgets.live import Live
from napari_pea.widgets.live_jobs import Target
from napari_pea.widgets.places import spacing_notice
from napari_pea.widgets.preferences import preferences
from napari_pea.widgets.repeat_group import RepeatGroup
from napari_pea.widgets.segmenting import Segmenting
from napari_pea.widgets.session_group import SessionGroup
from napari_pea.widgets.settings_group import SettingsGroup
from napari_pea.widgets.shortcuts import Shortcuts
from napari_pea.widgets.show_group import ShowGroup
from napari_pea.widgets.sources import NDIM, ImagePart, choose_part
from napari_pea.widgets.state import state_of, unproxied
from napari_pea.widgets.whole import WholeControls

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image
    from qtpy.QtGui import QHideEvent, QShowEvent

_READY = "Choose an image and a model, then click Segment."


class SegmentDock(QScrollArea):
    """Choose a model and an image, click Segment, get labels; then change what you like.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer that the dock belongs to.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = unproxied(napari_viewer)
        self._state = state_of(self._viewer)
        self._runner = JobRunner(self._state, self)
        self._finder: DeviceFinder | None = None
        self._model_problem = ""

        self.setObjectName("segment_dock")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._make_controls()
        self.live = Live(self._viewer, self._state, self._runner, self.target, self)
        self._segmenting = Segmenting(self._viewer, self._state, self._runner, self.live)
        self._make_groups()
        self._lay_out()
        self._connect()

        self.model_combo.refresh(self._state.model or "nuclei")
        self._on_image_chosen()
        self._on_state()

    def _make_controls(self) -> None:
        self.model_combo = ModelCombo(self)
        self.image_combo = ImageCombo(self._viewer.layers, self)
        self.channel_combo = ChannelCombo(self)
        self.axis_combo = AxisCombo(self)
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
        self.notice_label = QLabel(self)
        self.notice_label.setObjectName("notice_label")
        self.notice_label.setWordWrap(True)
        self.segment_button = QPushButton("Segment", self)
        self.segment_button.setObjectName("segment_button")
        self.cancel_button = QPushButton("Cancel", self)
        self.cancel_button.setObjectName("cancel_button")
        self.cancel_button.setToolTip("Stop looking for objects; nothing is changed.")
        self.progress_bar = QProgressBar(self)
        self.progress_bar.setObjectName("progress_bar")
        self.progress_bar.setMaximumHeight(self.fontMetrics().lineSpacing())
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

    def _make_groups(self) -> None:
        self.settings_group = SettingsGroup(self._state, self)
        self.blocks_group = BlocksGroup(self._viewer, self._state, self.live)
        self.whole_controls = WholeControls(self._state, self.live, self._segmenting, self)
        self.show_group = ShowGroup(self._state, self.live, self)
        self.repeat_group = RepeatGroup(self._viewer, self._state, self.live, self)
        # What the user reaches by name.
        self.embedding_check: QCheckBox = self.show_group.embedding_check
        self.affinity_combo = self.show_group.affinity_combo
        self.affinity_button = self.show_group.affinity_button
        self.session_group = SessionGroup(
            self._viewer, self._state, self._runner, self.live, self.choose, self._chosen
        )
        self.groups = [
            Fold("settings_fold", "Objects", self.settings_group),
            *make_groups(self._viewer, self._state, self.live, self.blocks_group),
            Fold("show_fold", "Show", self.show_group),
            Fold("repeat_fold", "Repeat", self.repeat_group),
            Fold("session_fold", "Session", self.session_group),
        ]
        self.shortcuts = Shortcuts(self._viewer)
        self.shortcuts.add("Alt-S", self.segment_button.click)
        self.shortcuts.add("Alt-.", partial(self.settings_group.step_range, 1))
        self.shortcuts.add("Alt-,", partial(self.settings_group.step_range, -1))
        for fold in self.groups:
            for key, call in getattr(fold.content(), "shortcuts", dict)().items():
                self.shortcuts.add(key, call)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.setVerticalSpacing(4)
        form.addRow("Model", self.model_combo)
        form.addRow("Image", self.image_combo)
        form.addRow("Channel", self.channel_combo)
        self._axis_label = QLabel("Planes", self)
        form.addRow(self._axis_label, self.axis_combo)
        form.addRow("Device", self.device_combo)
        buttons = QHBoxLayout()
        buttons.addWidget(self.segment_button, 2)
        buttons.addWidget(self.cancel_button, 1)
        content = QWidget(self)
        layout = QVBoxLayout(content)
        layout.setSpacing(4)
        layout.addLayout(form)
        layout.addWidget(self.notice_label)
        layout.addLayout(buttons)
        layout.addWidget(self.progress_bar)
        layout.addWidget(self.status_label)
        layout.addWidget(self.whole_controls)
        for fold in self.groups:
            layout.addWidget(fold)
        layout.addStretch(1)
        self.setWidget(content)

    def _connect(self) -> None:
        self.model_combo.currentIndexChanged.connect(self._on_model_chosen)
        self.image_combo.currentIndexChanged.connect(self._on_image_chosen)
        self.channel_combo.currentIndexChanged.connect(self._on_channel_chosen)
        self.axis_combo.currentIndexChanged.connect(self._on_plane_chosen)
        self.device_combo.currentTextChanged.connect(self._on_device_chosen)
        self.segment_button.clicked.connect(self._on_segment_clicked)
        self.cancel_button.clicked.connect(self._on_cancel_clicked)
        self._viewer.layers.events.inserted.connect(self._on_layer_inserted)
        self._viewer.layers.events.removed.connect(self._on_layer_removed)
        self._viewer.dims.events.current_step.connect(self._on_plane_chosen)
        self._viewer.dims.events.order.connect(self._on_plane_chosen)
        self._state.events.connect(self._on_state)
        self.live.session_changed.connect(self._enable)

    def choose(self, layer: Image, model: str, part: ImagePart, axis: int | None) -> Target | None:
        """Choose an image and a model, as the user does; return what is chosen then.

        Parameters
        ----------
        layer : napari.layers.Image
            The image.
        model : str
            The name of the model.
        part : ImagePart
            Its channel is chosen.
        axis : int or None
            Along which axis planes or volumes lie.
        """
        self.model_combo.refresh(model)
        self.image_combo.choose(layer)
        self.channel_combo.choose(part.channel, part.layer_channel_axis)
        self.axis_combo.choose(axis)
        return self.target()

    def _chosen(self) -> dict[str, Any]:
        return {"axis": self.axis_combo.axis()}

    def target(self) -> Target | None:
        """Return what the user has chosen, if it can be segmented."""
        try:
            return self._checked_target()
        except InputError:
            return None

    def _checked_target(self) -> Target | None:
        layer, choice = self.image_combo.layer(), self.channel_combo.choice()
        model = self.model_combo.entry()
        if layer is None or choice is None or model is None or self._model_problem:
            return None
        axis, ndim = self.axis_combo.axis(), self._state.live.ndim
        part = choose_part(layer, self._viewer.dims, choice, axis, ndim)
        return Target(layer, part, model)

    def _on_model_chosen(self) -> None:
        entry = self.model_combo.entry()
        settings, ndim, known, can_average = SegmentationSettings(), NDIM, KnownOffsets(), False
        name = ""
        if entry is not None:
            self._state.model = name = entry.name
            if entry.metadata is not None:
                settings, ndim = entry.metadata.recommended, entry.metadata.ndim
                known = KnownOffsets(entry.metadata.offsets)
                can_average = entry.metadata.can_average
        try:
            settings.strides_for(ndim)
            known.check(settings.neighborhood(ndim))
            self._model_problem = ""
            self._state.live.follow_model(name, settings, ndim, known, can_average=can_average)
        except InputError as error:
            self._model_problem = f"The settings that the model {name!r} recommends fail: {error}"
        self._on_image_chosen()
        self._on_state()

    def _on_image_chosen(self) -> None:
        self.channel_combo.set_image(self.image_combo.layer(), self._state.live.ndim)
        self._on_channel_chosen()
        if self.blocks_group.advises():
            fold = next(each for each in self.groups if each.content() is self.blocks_group)
            fold.expand(animate=False)

    def _on_channel_chosen(self) -> None:
        self.axis_combo.set_image(
            self.image_combo.layer(), self.channel_combo.choice(), self._state.live.ndim
        )
        for widget in (self.axis_combo, self._axis_label):
            widget.setVisible(self.axis_combo.count() > 1)
        self._on_plane_chosen()

    def _on_plane_chosen(self, _: object = None) -> None:
        if isalive(self):
            self.live.refresh()
            self.whole_controls.refresh()
            self.blocks_group.refresh()
            self._notice()
            self._enable()

    def _notice(self) -> None:
        """Say whether sections are as far apart as the model expects."""
        target = self.live.target
        said = ""
        if target is not None:
            said = spacing_notice(target.layer, target.part, target.model.metadata)
        self.notice_label.setText(said)
        self.notice_label.setVisible(bool(said))

    def _on_device_chosen(self, name: str) -> None:
        self._state.device = name

    def _on_devices_found(self, names: tuple[str, ...]) -> None:
        self.device_combo.set_items(["auto", *names])
        self._state.device = self.device_combo.currentText()

    def _on_layer_inserted(self, event: Any) -> None:
        if not self.live.is_closed:
            self.repeat_group.take_over_from(event.value)

    def _on_layer_removed(self, event: Any) -> None:
        if isalive(self):
            self.live.layer_removed(event.value)
            self._enable()

    def _on_segment_clicked(self) -> None:
        self._notice()
        # The data of the layer may have other axes by now.
        self.channel_combo.set_image(self.image_combo.layer(), self._state.live.ndim)
        try:
            target = self._checked_target()
            if target is not None:
                self._segmenting.segment(target)
        except InputError as error:
            self._state.status = str(error)
            show_warning(str(error))

    def _on_cancel_clicked(self) -> None:
        session = self.live.session
        if session is not None and session.part.block is not None:
            self._runner.cancel("Cancelled; the controls act on what you saw.")
        else:
            self._runner.cancel()

    def _on_state(self, _: object = None) -> None:
        """Show what is going on."""
        if not isalive(self):
            return
        state = self._state
        # What a running job says goes before what is wrong with another model.
        problem = "" if state.busy else self._model_problem
        self.status_label.setText(problem or state.status or _READY)
        # A range of 0 to 0 makes the bar move without an end in sight.
        self.progress_bar.setRange(0, state.total if state.total > 1 else 0)
        self.progress_bar.setValue(state.done)
        self.progress_bar.setVisible(state.busy and not state.quiet)
        self._enable()

    def _enable(self, _: object = None) -> None:
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
            reason or "Find the objects in the image and add them as labels (Alt+S)."
        )
        self.cancel_button.setEnabled(self._state.busy and not self._state.quiet)

    def _fit_width(self) -> None:
        """Be wide enough for the widest control beside the scroll bar."""
        content, bar = self.widget(), self.verticalScrollBar()
        if content is not None and bar is not None:
            self.setMinimumWidth(content.minimumSizeHint().width() + bar.sizeHint().width())

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Look for models and devices."""
        super().showEvent(event)
        self._fit_width()
        self.model_combo.refresh()
        self.shortcuts.bind()
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
        self.shortcuts.unbind()
        job = self._runner.current
        if job is not None and event is not None and not event.spontaneous():
            QTimer.singleShot(0, partial(_stop_if_hidden, ref(self), job))


def _stop_if_hidden(dock: ref[SegmentDock], job: Job) -> None:
    """Stop a job whose dock was closed."""
    alive = dock()
    if alive is None or not isalive(alive):
        job.stop()
    elif not alive.isVisible():
        alive.live.stop()
        alive._state.status = "Cancelled, because the dock was closed."
