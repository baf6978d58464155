"""The controls of the settings; each acts while it is used."""

from __future__ import annotations

import re
from typing import Any

from napari.utils.notifications import show_warning
from qtpy.compat import isalive
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSlider,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_pea.core.errors import InputError
from napari_pea.core.known import KnownOffsets
from napari_pea.core.neighborhood import CONNECTIVITIES, Neighborhood
from napari_pea.core.settings import AFFINITY_PARTITIONERS, PARTITIONERS, RANGE_LADDER
from napari_pea.widgets.controls import WideCombo
from napari_pea.widgets.forms import double_slider, row, silently
from napari_pea.widgets.ranges import (
    largest_stride,
    numbers_text,
    ranges_from,
    with_ranges,
    with_stride,
    z_ranges_from,
)
from napari_pea.widgets.state import SegmentState

#: How long the user must pause while typing, in milliseconds.
TYPING_MS = 350
#: The partitioners as the user reads them.
PARTITIONER_TITLES = {
    "mutex": "Mutex Watershed",
    "multicut": "Multicut of watershed pieces",
    "average": "Average linkage of watershed pieces",
    "mean-shift": "Mean shift on the embedding",
}
#: Which neighbours are compared, as the user reads it.
CONNECTIVITY_TITLES = {
    4: "rows and columns",
    8: "diagonals too",
    6: "along the axes",
    18: "diagonals of two axes too",
    26: "all diagonals too",
}
LARGEST_SIZE = 1_000_000
LARGEST_STRIDE = 32


class SettingsGroup(QWidget):
    """Affinities, merging and splitting, foreground, and sizes.

    Parameters
    ----------
    state : SegmentState
        Of the viewer; it holds what the controls say.
    parent : QWidget
        The dock.
    """

    def __init__(self, state: SegmentState, parent: QWidget) -> None:
        super().__init__(parent)
        self._state = state
        self._ladder: tuple[int, ...] = RANGE_LADDER
        self._connectivities: list[int] = []
        self._partitioners: tuple[str, ...] = ()
        self._fitted: tuple[object, ...] = ()
        self._make_controls()
        self._lay_out()
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING_MS)
        self._connect()
        self._show_settings()

    def _make_controls(self) -> None:
        self.range_slider = QSlider(Qt.Orientation.Horizontal, self)
        self.range_slider.setObjectName("range_slider")
        self.range_slider.setPageStep(1)
        self.range_slider.setToolTip(
            "How far apart pixels are compared. Farther holds large objects apart more surely; "
            "much farther than the objects are wide cuts them into pieces."
        )
        self.range_label = QLabel(self)
        self.range_label.setMinimumWidth(self.fontMetrics().horizontalAdvance("000"))
        self.ranges_edit = QLineEdit(self)
        self.ranges_edit.setObjectName("ranges_edit")
        self.ranges_edit.setPlaceholderText("such as 1, 3, 9 (1 is always added)")
        self.ranges_edit.setToolTip(
            "The distances in pixels at which pixels are compared, if you want others than the "
            "slider takes. 1 is always added first, because objects grow from pixel to pixel."
        )
        self.z_ranges_edit = QLineEdit(self)
        self.z_ranges_edit.setObjectName("z_ranges_edit")
        self.z_ranges_edit.setPlaceholderText("the same as the ranges")
        self.z_ranges_edit.setToolTip(
            "The distances in sections, one for each of the ranges, for stacks whose sections are "
            "further apart than their pixels; empty for the same distances."
        )
        self.recommended_button = QToolButton(self)
        self.recommended_button.setObjectName("recommended_button")
        self.recommended_button.setText("Model's")
        self.recommended_button.setToolTip("Take the distances that the model works best with.")
        self.known_label = QLabel(self)
        self.known_label.setObjectName("known_label")
        self.known_label.setToolTip(
            "The model predicts affinities of fixed pixel pairs, so that there are no others to "
            "choose from."
        )
        self.average_check = QCheckBox("Average masks", self)
        self.average_check.setObjectName("average_check")
        self.average_check.setToolTip(
            "Let all masks that hold two pixels say whether they are one object: slower than what "
            "the model says at once, and it tells how uncertain that is."
        )
        self.connectivity_combo = WideCombo(
            "connectivity_combo",
            "Whether pixels are compared along the axes only, or diagonally too: slower, and "
            "surer where objects are few pixels wide.",
            self,
        )
        self.strides_spin = QSpinBox(self)
        self.strides_spin.setObjectName("strides_spin")
        self.strides_spin.setRange(1, LARGEST_STRIDE)
        self.strides_spin.setToolTip(
            "1 looks for borders at every pixel; larger numbers look at every n-th one, which "
            "splits objects less."
        )
        self.partitioner_combo = WideCombo(
            "partitioner_combo",
            "What makes objects. The Mutex Watershed is the quickest, and the only one that "
            "keeps cuts; the others may do better on dense tissue.",
            self,
        )
        self.bias_slider = double_slider(
            "bias_slider",
            (-1.0, 1.0),
            "To the right, objects that touch are merged more readily; to the left, they are "
            "split more readily.",
            self,
        )
        self.foreground_slider = double_slider(
            "foreground_slider",
            (0.0, 1.0),
            "How sure the model must be that a pixel lies in an object. Higher makes objects "
            "smaller and drops faint ones.",
            self,
        )
        self.min_size_spin = QSpinBox(self)
        self.min_size_spin.setObjectName("min_size_spin")
        self.min_size_spin.setRange(0, LARGEST_SIZE)
        self.min_size_spin.setSingleStep(5)
        self.min_size_spin.setToolTip("Objects with fewer pixels are removed.")
        self.merge_check = QCheckBox("Merge fragments", self)
        self.merge_check.setObjectName("merge_check")
        self.merge_check.setToolTip(
            "Give pieces much smaller than the typical object to the object they touch."
        )
        self.holes_check = QCheckBox("Fill holes", self)
        self.holes_check.setObjectName("holes_check")
        self.holes_check.setToolTip("Fill the holes inside of objects.")
        self.reset_button = QPushButton("Reset to the model's settings", self)
        self.reset_button.setObjectName("reset_button")
        self.reset_button.setToolTip("Take back all changes above: what the model recommends.")

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.setVerticalSpacing(4)
        form.addRow("Range", row(self.range_slider, self.range_label))
        form.addRow("Ranges", row(self.ranges_edit, self.recommended_button))
        self._z_label = QLabel("Z ranges", self)
        form.addRow(self._z_label, self.z_ranges_edit)
        form.addRow(self.known_label)
        form.addRow("Neighbours", self.connectivity_combo)
        form.addRow("Every n-th", self.strides_spin)
        form.addRow("Method", self.partitioner_combo)
        form.addRow("Split ⟷ merge", self.bias_slider)
        form.addRow("Foreground", self.foreground_slider)
        form.addRow("Least size", self.min_size_spin)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(form)
        layout.addLayout(row(self.merge_check, self.holes_check))
        layout.addWidget(self.average_check)
        layout.addWidget(self.reset_button)

    def _connect(self) -> None:
        self.range_slider.valueChanged.connect(
            lambda index: self._on_range_chosen(self._ladder[: index + 1])
        )
        self.ranges_edit.textEdited.connect(lambda _: self._typing.start())
        self.ranges_edit.editingFinished.connect(self._on_ranges_typed)
        self.z_ranges_edit.editingFinished.connect(self._on_z_ranges_typed)
        self._typing.timeout.connect(self._on_typing_paused)
        self.recommended_button.clicked.connect(
            lambda: self._set(
                ranges=self._state.live.recommended.ranges,
                z_ranges=self._state.live.recommended.z_ranges,
            )
        )
        self.connectivity_combo.currentIndexChanged.connect(
            lambda index: self._set(connectivity=self._connectivities[index])
        )
        self.strides_spin.valueChanged.connect(self._on_stride_changed)
        self.partitioner_combo.currentIndexChanged.connect(
            lambda index: self._set(partitioner=self._partitioners[index])
        )
        self.bias_slider.valueChanged.connect(lambda value: self._set(bias=round(value, 2)))
        self.foreground_slider.valueChanged.connect(
            lambda value: self._set(foreground_threshold=round(value, 2))
        )
        self.min_size_spin.valueChanged.connect(lambda value: self._set(min_size=value))
        self.merge_check.toggled.connect(lambda checked: self._set(merge_fragments=checked))
        self.holes_check.toggled.connect(lambda checked: self._set(fill_holes=checked))
        self.average_check.toggled.connect(lambda checked: self._set(average_masks=checked))
        self.reset_button.clicked.connect(self.reset)
        events = self._state.live.events
        for event in (events.settings, events.ndim, events.known, events.can_average):
            event.connect(self._show_settings)

    def reset(self) -> None:
        """Take what the model recommends."""
        self._state.live.settings = self._state.live.recommended
        self._show_settings()

    def step_range(self, steps: int) -> None:
        """Move the slider of the ranges by some steps."""
        self.range_slider.setValue(self.range_slider.value() + steps)

    def _set(self, **changes: Any) -> None:
        self._state.live.settings = self._state.live.settings.updated(**changes)

    def _set_ranges(self, ranges: tuple[int, ...]) -> None:
        """Take other ranges; those across sections follow."""
        live = self._state.live
        if ranges != tuple(sorted({1, *live.settings.ranges})):
            changed = with_ranges(live.settings, ranges, live.recommended, live.known)
            live.known.check(changed.neighborhood(live.ndim))
            live.settings = changed

    def _on_range_chosen(self, ranges: tuple[int, ...]) -> None:
        try:
            self._set_ranges(ranges)
        except InputError as error:  # of settings that were another model's
            self._refuse(error)

    def _on_stride_changed(self, stride: int) -> None:
        self._state.live.settings = with_stride(self._state.live.settings, stride)

    def _on_typing_paused(self) -> None:
        """Take what was typed if it is a list already."""
        try:
            self._set_ranges(ranges_from(self.ranges_edit.text()))
        except InputError:
            return

    def _on_ranges_typed(self) -> None:
        self._typing.stop()
        text = self.ranges_edit.text()
        try:
            self._set_ranges(ranges_from(text))
        except InputError as error:
            self._refuse(error)
        else:
            if self.ranges_edit.isModified() and "1" not in re.split(r"\D+", text):
                self._state.status = "Range 1 was added: objects grow from pixel to pixel."
        self.ranges_edit.setModified(False)
        self.ranges_edit.setText(numbers_text(self._state.live.settings.ranges))

    def _on_z_ranges_typed(self) -> None:
        live = self._state.live
        if self.z_ranges_edit.isModified():
            self.z_ranges_edit.setModified(False)
            try:
                ranges = live.settings.neighborhood(live.ndim).ranges
                z_ranges = z_ranges_from(self.z_ranges_edit.text(), ranges)
                live.known.check(Neighborhood(ranges, None, live.ndim, z_ranges))
                self._set(ranges=ranges, z_ranges=z_ranges)
            except InputError as error:
                self._refuse(error)
        self._show_settings()

    def _refuse(self, error: InputError) -> None:
        self._state.status = str(error)
        show_warning(str(error))

    def _show_settings(self, _: object = None) -> None:
        """Let the controls say what the settings are."""
        if not isalive(self):
            return
        settings, ndim = self._state.live.settings, self._state.live.ndim
        self._fit_model()
        longest = max(settings.ranges)
        index = max((i for i, rung in enumerate(self._ladder) if rung <= longest), default=0)
        connectivity = settings.connectivity or min(self._connectivities)
        self.range_label.setText(str(longest))
        ranges, z_ranges = tuple(sorted({1, *settings.ranges})), settings.z_ranges
        if ndim == 3 and z_ranges is not None:
            neighborhood = settings.neighborhood(ndim)
            ranges, z_ranges = neighborhood.ranges, neighborhood.z_ranges
        # While the user is typing, the text is theirs.
        if not self.ranges_edit.isModified():
            silently(self.ranges_edit, self.ranges_edit.setText, numbers_text(ranges))
        if not self.z_ranges_edit.isModified():
            text = "" if z_ranges is None else numbers_text(z_ranges)
            silently(self.z_ranges_edit, self.z_ranges_edit.setText, text)
        silently(self.range_slider, self.range_slider.setValue, index)
        if connectivity in self._connectivities:
            row = self._connectivities.index(connectivity)
            silently(self.connectivity_combo, self.connectivity_combo.setCurrentIndex, row)
        silently(self.strides_spin, self.strides_spin.setValue, largest_stride(settings))
        if settings.partitioner in self._partitioners:
            method = self._partitioners.index(settings.partitioner)
            silently(self.partitioner_combo, self.partitioner_combo.setCurrentIndex, method)
        for slider, value in (
            (self.bias_slider, settings.bias),
            (self.foreground_slider, settings.foreground_threshold),
        ):
            if abs(slider.value() - value) > 1e-6:
                silently(slider, slider.setValue, value)
        silently(self.min_size_spin, self.min_size_spin.setValue, settings.min_size)
        silently(self.merge_check, self.merge_check.setChecked, settings.merge_fragments)
        silently(self.holes_check, self.holes_check.setChecked, settings.fill_holes)
        silently(self.average_check, self.average_check.setChecked, settings.average_masks)

    def _fit_model(self) -> None:
        """Let the controls offer what the model knows."""
        live = self._state.live
        fits = (live.ndim, live.known, live.can_average)
        if fits == self._fitted:
            return
        self._fitted = fits
        known = live.known
        self._ladder = known.ranges or RANGE_LADDER
        silently(self.range_slider, self.range_slider.setMaximum, len(self._ladder) - 1)
        self._connectivities = sorted(known.connectivities or CONNECTIVITIES[live.ndim])
        titles = [f"{number} ({CONNECTIVITY_TITLES[number]})" for number in self._connectivities]
        silently(self.connectivity_combo, self.connectivity_combo.set_items, titles)
        self._partitioners = AFFINITY_PARTITIONERS if known.is_limited else PARTITIONERS
        names = [PARTITIONER_TITLES[name] for name in self._partitioners]
        silently(self.partitioner_combo, self.partitioner_combo.set_items, names)
        self.min_size_spin.setSuffix(" pixels" if live.ndim == 2 else " voxels")
        for widget in (self.z_ranges_edit, self._z_label):
            widget.setVisible(live.ndim == 3)
        self.average_check.setVisible(live.can_average)
        self.average_check.setEnabled(live.can_average)
        self.known_label.setText(known_text(known))
        self.known_label.setVisible(known.is_limited)


def known_text(known: KnownOffsets) -> str:
    """Say what there is to choose from."""
    # Broken by hand: a row of a form does not grow with text that is broken by Qt.
    z_ranges = f",\nz ranges {numbers_text(known.z_ranges)}" if known.z_ranges else ""
    return f"The model knows ranges {numbers_text(known.ranges)}{z_ranges}."
