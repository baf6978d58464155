"""Every choice of a run that has a default which works."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.compat import isalive
from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_pea.core.errors import InputError
from napari_pea.core.scaling import SCALES
from napari_pea.widgets.forms import form, silently
from napari_pea.widgets.ranges import numbers_text, ranges_from
from napari_pea.widgets.training_request import scale_of, settings_of, start_of
from napari_pea.widgets.training_state import TrainingState

#: Whole numbers: name, title, smallest, largest, step, tooltip.
_WHOLE = (
    ("iterations", "Steps", 1, 1_000_000, 50, "Steps of the optimiser."),
    ("batch_size", "Crops a step", 1, 64, 1, "How many pieces of the images each step sees."),
    ("crop", "Crop side", 32, 1024, 16, "Side of the pieces in pixels, a multiple of 16."),
    (
        "frozen_stages",
        "Frozen stages",
        0,
        5,
        1,
        "How many stages of the network, from the image on, keep their weights.",
    ),
)
#: Other numbers: name, title, largest, step, decimals, tooltip.
_NUMBERS = (
    ("learning_rate", "Learning rate", 1.0, 1e-4, 5, "The highest one of the run."),
    ("self_weight", "Weight SCM", 100.0, 0.1, 2, "Of the self-correlation term of the loss."),
    (
        "cross_weight",
        "Weight CCM",
        100.0,
        0.1,
        2,
        "Of the cross-correlation term of the loss; above 0 a step takes longer.",
    ),
    ("pyramid_weight", "Weight EPM", 100.0, 0.1, 2, "Of the embedding pyramid in the loss."),
    ("foreground_weight", "Foreground", 100.0, 0.5, 2, "Weight of the foreground in the loss."),
    ("hold_out", "Held out", 0.9, 0.05, 2, "Share of the painted objects kept for validation."),
    ("geometric_probability", "Rotate, bend", 1.0, 0.1, 2, "How often crops are changed so."),
    ("intensity_probability", "Contrast", 1.0, 0.1, 2, "How often brightness and contrast change."),
    ("blur_probability", "Blur", 1.0, 0.05, 2, "How often crops are blurred."),
    ("noise_probability", "Noise", 1.0, 0.05, 2, "How often noise is added."),
)


class TrainingExpertGroup(QWidget):
    """Ranges, loss, crops, augmentation, image scale.

    Parameters
    ----------
    state : TrainingState
        It holds what the controls say.
    """

    def __init__(self, state: TrainingState) -> None:
        super().__init__()
        self._state = state
        self._spins: dict[str, Any] = {}
        controls = form()
        self.ranges_edit = QLineEdit(self)
        self.ranges_edit.setObjectName("training_ranges_edit")
        self.ranges_edit.setToolTip(
            "The distances in pixels of the pairs that are trained; 1 is always among them."
        )
        controls.addRow("Ranges", self.ranges_edit)
        self.scale_spin = _number("image_scale_spin", SCALES[1], 0.05, 2, "")
        self.scale_spin.setMinimum(SCALES[0])
        self.scale_spin.setToolTip(
            "Images are resized by this factor before the network sees them."
        )
        controls.addRow("Image scale", self.scale_spin)
        for name, title, smallest, largest, step, tooltip in _WHOLE:
            spin = QSpinBox(self)
            spin.setObjectName(f"{name}_spin")
            spin.setRange(smallest, largest)
            spin.setSingleStep(step)
            spin.setToolTip(tooltip)
            self._add(controls, name, title, spin)
        for name, title, most, fine, decimals, tooltip in _NUMBERS:
            self._add(controls, name, title, _number(f"{name}_spin", most, fine, decimals, tooltip))
        self.problem_label = QLabel(self)
        self.problem_label.setObjectName("expert_problem_label")
        self.problem_label.setWordWrap(True)
        self.reset_button = QPushButton("Reset", self)
        self.reset_button.setObjectName("training_reset_button")
        self.reset_button.setToolTip("Take back all changes made here.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(controls)
        layout.addWidget(self.problem_label)
        layout.addWidget(self.reset_button)

        self.ranges_edit.editingFinished.connect(self._on_ranges_typed)
        self.scale_spin.valueChanged.connect(lambda value: setattr(state, "scale", float(value)))
        self.reset_button.clicked.connect(self._on_reset_clicked)
        for name in ("start", "preset", "keep", "changes", "scale"):
            getattr(state.events, name).connect(self._show)
        self._show()

    def _add(self, controls: Any, name: str, title: str, spin: Any) -> None:
        """Add the control of a setting."""
        controls.addRow(title, spin)
        self._spins[name] = spin
        spin.valueChanged.connect(partial(self._change, name))

    def _change(self, name: str, value: Any) -> None:
        self._state.changes = {**self._state.changes, name: value}

    def _on_ranges_typed(self) -> None:
        if not self.ranges_edit.isModified():
            return
        self.ranges_edit.setModified(False)
        try:
            self._change("ranges", ranges_from(self.ranges_edit.text()))
        except InputError as error:
            self._tell(str(error))
        else:
            self._show()

    def _tell(self, problem: str) -> None:
        """Say what is wrong with a value."""
        self.problem_label.setText(problem)
        self.problem_label.setVisible(bool(problem))

    def _on_reset_clicked(self) -> None:
        self._state.scale = None
        self._state.changes = {}
        self._show()

    def _show(self, _: object = None) -> None:
        """Show the settings of the run."""
        if not isalive(self):
            return
        state = self._state
        try:
            start = start_of(state)
            settings = settings_of(state, start)
        except InputError as error:
            self._tell(str(error))
            return
        self._tell("")
        values = vars(settings) | vars(settings.objective) | vars(settings.augmentation)
        for name, spin in self._spins.items():
            silently(spin, spin.setValue, values[name])
        if not self.ranges_edit.isModified():
            self.ranges_edit.setText(numbers_text(settings.objective.ranges))
        silently(self.scale_spin, self.scale_spin.setValue, scale_of(state, start))


def _number(name: str, largest: float, step: float, decimals: int, tooltip: str) -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    spin.setObjectName(name)
    spin.setDecimals(decimals)
    spin.setRange(0.0, largest)
    spin.setSingleStep(step)
    spin.setToolTip(tooltip)
    return spin
