"""What to learn from: layers that were painted on, or folders of files."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from qtpy.compat import isalive
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_pea.widgets.controls import ChannelCombo, LayerCombo, WideCombo, is_image
from napari_pea.widgets.forms import FolderEdit, form, row, silently
from napari_pea.widgets.sources import ChannelChoice, channel_choices
from napari_pea.widgets.state import state_of
from napari_pea.widgets.training_brush import (
    new_labels,
    new_regions,
    new_strokes,
    take_brush,
)
from napari_pea.widgets.training_layers import fits
from napari_pea.widgets.training_pairs import (
    PairList,
    is_annotation,
    is_background,
    is_opened_result,
    is_region,
)
from napari_pea.widgets.training_state import LayerPair, Source, TrainingState

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_pea.training.annotation import Zero

_SOURCES: dict[Source, str] = {"layers": "layers you paint on", "folders": "folders of files"}
_ZEROS: dict[Zero, str] = {"not-annotated": "not annotated", "background": "background"}


class TrainingSourcesGroup(QWidget):
    """Pairs of layers or folders, and what label 0 means in them.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer itself, not a proxy of it.
    state : TrainingState
        It holds what the controls say.
    """

    def __init__(self, viewer: Viewer, state: TrainingState) -> None:
        super().__init__()
        self._layers = viewer.layers
        self._state = state
        self._results = state_of(viewer).results
        self._row = 0
        self._make_controls()
        self._lay_out()
        self._connect()
        self._show()
        self._fill()

    def _make_controls(self) -> None:
        self.source_combo = WideCombo(
            "train_source_combo",
            "Where the images are with the objects you have painted.",
            self,
        )
        self.source_combo.set_items(_SOURCES.values())
        self.pair_list = PairList(self)
        self.image_combo = LayerCombo(
            "train_image_combo",
            "An image with painted objects.",
            self._layers,
            is_image,
            self,
            fall_back=False,
        )
        self.image_combo.setPlaceholderText("open an image first")
        self.channel_combo = ChannelCombo(self, name="train_channel_combo")
        self.labels_combo = LayerCombo(
            "train_labels_combo",
            "The layer with the painted objects of the image, each with a label of its own.",
            self._layers,
            lambda layer: is_annotation(layer) or is_opened_result(layer, self._results),
            self,
            fall_back=False,
        )
        self.labels_combo.setPlaceholderText("click Paint")
        self.zero_combo = WideCombo(
            "zero_means_combo",
            "What is not painted: not annotated, if there are objects left that you have not "
            "painted, or background, if you have painted all. Guessed until you choose.",
            self,
        )
        self.zero_combo.set_items(_ZEROS.values())
        self.background_combo = LayerCombo(
            "train_background_combo",
            "A layer of its own with strokes on the background.",
            self._layers,
            is_background,
            self,
            nothing="none",
        )
        self.region_combo = LayerCombo(
            "train_region_combo",
            "Shapes around what you have looked at: what lies outside is not annotated.",
            self._layers,
            is_region,
            self,
            nothing="all of the image",
        )
        self.paint_button = self._button(
            "paint_object_button",
            "Paint",
            "Take the brush with a new label: click again for every further object.",
        )
        self.background_button = self._button(
            "background_brush_button",
            "Paint",
            "Take the brush for background: a few strokes beside the objects are enough.",
        )
        self.region_button = self._button(
            "draw_region_button", "Draw", "Draw rectangles around what you have looked at."
        )
        self.add_button = self._button(
            "add_pair_button", "Add image", "Learn from a further image too."
        )
        self.remove_button = self._button(
            "remove_pair_button", "Remove", "Learn from the selected image no more."
        )
        self.image_folder = FolderEdit("train_image_folder", "Folder of the images.", self)
        self.labels_folder = FolderEdit(
            "train_labels_folder", "Folder of their labels, with the same file names.", self
        )
        self.whole_check = QCheckBox("Objects are painted whole", self)
        self.whole_check.setObjectName("whole_objects_check")
        self.whole_check.setToolTip(
            "Then what lies beyond their rim belongs to none of them, which teaches where they "
            "end. Take the tick away if you paint dabs only."
        )
        self._choices = (
            *(self.source_combo, self.pair_list, self.image_combo, self.channel_combo),
            *(self.labels_combo, self.background_combo, self.region_combo, self.zero_combo),
            *(self.image_folder, self.labels_folder, self.whole_check),
            *(self.add_button, self.remove_button),
        )

    def _button(self, name: str, text: str, tooltip: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setObjectName(name)
        button.setToolTip(tooltip)
        return button

    def _lay_out(self) -> None:
        self._from_layers = QWidget(self)
        layers = form(self._from_layers)
        layers.addRow(self.pair_list)
        layers.addRow("Image", self.image_combo)
        self._channel_label = QLabel("Channel", self)
        layers.addRow(self._channel_label, self.channel_combo)
        layers.addRow("Objects", row(self.labels_combo, self.paint_button))
        layers.addRow("Background", row(self.background_combo, self.background_button))
        layers.addRow("Looked at", row(self.region_combo, self.region_button))
        self._from_folders = QWidget(self)
        folders = form(self._from_folders)
        folders.addRow("Images", self.image_folder)
        folders.addRow("Labels", self.labels_folder)
        first, last = QWidget(self), QWidget(self)
        form(first).addRow("Learn from", self.source_combo)
        form(last).addRow("Label 0 means", self.zero_combo)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(4)
        for part in (first, self._from_layers, self._from_folders, last):
            layout.addWidget(part)
        layout.addWidget(self.whole_check, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addLayout(row(self.add_button, self.remove_button))

    def _connect(self) -> None:
        self.source_combo.currentIndexChanged.connect(self._on_source_chosen)
        self.pair_list.currentRowChanged.connect(self._on_pair_selected)
        self.image_combo.currentIndexChanged.connect(self._on_image_chosen)
        self.channel_combo.currentIndexChanged.connect(self._on_channel_chosen)
        for name in ("labels", "background", "region"):
            combo = getattr(self, f"{name}_combo")
            combo.currentIndexChanged.connect(partial(self._on_layer_chosen, name, combo))
        self.zero_combo.activated.connect(self._on_zero_chosen)
        self.zero_combo.currentIndexChanged.connect(self._on_zero_chosen)
        self.whole_check.toggled.connect(lambda on: setattr(self._state, "whole_objects", bool(on)))
        self.image_folder.changed.connect(lambda text: setattr(self._state, "image_folder", text))
        self.labels_folder.changed.connect(lambda text: setattr(self._state, "labels_folder", text))
        self.paint_button.clicked.connect(self._on_paint_clicked)
        self.background_button.clicked.connect(self._on_background_clicked)
        self.region_button.clicked.connect(self._on_region_clicked)
        self.add_button.clicked.connect(self._on_add_clicked)
        self.remove_button.clicked.connect(self._on_remove_clicked)
        self._layers.events.inserted.connect(self._fill)
        self._layers.events.removed.connect(self._on_layer_removed)
        self._layers.events.renamed.connect(self._show)
        for name in ("source", "pairs", "outlook", "folder_zero", "phase", "ndim"):
            getattr(self._state.events, name).connect(self._show)

    @property
    def _pair(self) -> LayerPair:
        """The pair that the controls show."""
        return self._state.pairs[min(self._row, len(self._state.pairs) - 1)]

    def _edit(self, **changes: Any) -> None:
        """Change the pair that the controls show."""
        pairs = list(self._state.pairs)
        index = min(self._row, len(pairs) - 1)
        pairs[index] = replace(pairs[index], **changes)
        self._state.pairs = tuple(pairs)

    def _on_source_chosen(self, index: int) -> None:
        self._state.source = list(_SOURCES)[index]

    def _on_pair_selected(self, index: int) -> None:
        self._row = max(index, 0)
        self._show()

    def _fill(self, _: object = None) -> None:
        """Choose an image and labels if there were none so far."""
        if not isalive(self) or self._state.phase.is_busy:
            return
        pair = self._pair
        if pair.image is None:
            images = [layer for layer in self._layers if is_image(layer)]
            self.image_combo.choose(images[0] if images else None)
        elif pair.labels is None:
            self._on_image_chosen()

    def _on_image_chosen(self, _: object = None) -> None:
        """Take the labels that fit the image, unless those chosen do."""
        image = self.image_combo.layer()
        if image is None:
            self._edit(image=None)
            return
        changes: dict[str, Any] = {"image": ref(image)}
        pair, choice = self._pair, self.channel_combo.choice()
        labels = None if pair.labels is None else pair.labels()
        if choice is None or pair.image is None or pair.image() is not image:
            choice = channel_choices(image, self._state.ndim)[0]
            changes["channel"] = ""
        if labels is None or not fits(image, labels, choice):
            changes |= self._other_labels(image, choice) | {"zero": "auto"}
        self._edit(**changes)

    def _other_labels(self, image: Image, choice: ChannelChoice) -> dict[str, Any]:
        """Return the choice of other labels for an image, if there are any that fit."""
        taken = [pair.labels() for pair in self._state.pairs if pair.labels is not None]
        fitting = [
            layer
            for layer in self._layers
            if is_annotation(layer) and layer not in taken and fits(image, layer, choice)
        ]
        return {"labels": ref(fitting[-1]) if fitting else None, "background": None}

    def _on_channel_chosen(self, _: object = None) -> None:
        """Take a channel; labels with more or fewer axes than it has make way for others."""
        choice, image = self.channel_combo.choice(), self.image_combo.layer()
        if choice is None or image is None:
            return
        changes: dict[str, Any] = {"channel": choice.text}
        labels = self.labels_combo.layer()
        if labels is None or labels.ndim != image.ndim - (choice.axis is not None):
            changes |= self._other_labels(image, choice)
        self._edit(**changes)

    def _on_layer_chosen(self, name: str, combo: LayerCombo, _: object = None) -> None:
        layer = combo.layer()
        self._edit(**{name: None if layer is None else ref(layer)})

    def _on_zero_chosen(self, index: int) -> None:
        zero = list(_ZEROS)[index]
        if self._state.source == "folders":
            self._state.folder_zero = zero
        else:
            self._edit(zero=zero)

    def _on_paint_clicked(self) -> None:
        """Paint a further object; the layer is made if there is none."""
        labels = self.labels_combo.layer()
        if labels is None:
            image, choice = self.image_combo.layer(), self.channel_combo.choice()
            if image is None or choice is None:
                return
            labels = new_labels(image, choice)
            self._layers.append(labels)
            self._edit(labels=ref(labels))
        take_brush(self._layers, labels)

    def _on_background_clicked(self) -> None:
        """Paint background on a layer of its own."""
        strokes, labels = self.background_combo.layer(), self.labels_combo.layer()
        if strokes is None:
            if labels is None:
                self._on_paint_clicked()
                labels = self.labels_combo.layer()
            if labels is None:
                return
            strokes = new_strokes(labels)
            self._layers.append(strokes)
            self._edit(background=ref(strokes))
        take_brush(self._layers, strokes, 1)

    def _on_region_clicked(self) -> None:
        """Draw around what was looked at."""
        region, image = self.region_combo.layer(), self.image_combo.layer()
        if region is None:
            if image is None:
                return
            region = new_regions(image)
            self._layers.append(region)
            self._edit(region=ref(region))
        self._layers.selection.active = region
        region.mode = "add_rectangle"

    def _on_add_clicked(self) -> None:
        """Add a pair with the next image that is not learned from yet."""
        taken = [pair.image() for pair in self._state.pairs if pair.image is not None]
        images = [layer for layer in self._layers if is_image(layer)]
        free = [layer for layer in images if layer not in taken] or images
        self._row = len(self._state.pairs)
        self._state.pairs = (*self._state.pairs, LayerPair())
        for layer in free[:1]:
            silently(self.image_combo, self.image_combo.choose, layer)
            self._on_image_chosen()

    def _on_remove_clicked(self) -> None:
        pairs = list(self._state.pairs)
        del pairs[min(self._row, len(pairs) - 1)]
        self._row = max(0, min(self._row, len(pairs) - 1))
        self._state.pairs = tuple(pairs) or (LayerPair(),)

    def _on_layer_removed(self, event: Any) -> None:
        """Forget a layer; a pair without its image goes with it."""
        if not isalive(self):
            return
        pairs = [pair.without(event.value) for pair in self._state.pairs]
        if len(pairs) > 1:
            pairs = [pair for pair in pairs if pair.image is not None] or [LayerPair()]
        self._row = min(self._row, len(pairs) - 1)
        self._state.pairs = tuple(pairs)

    def _show(self, _: object = None) -> None:
        """Let the controls say what the choices are."""
        if not isalive(self):
            return
        state, pair = self._state, self._pair
        layers = state.source == "layers"
        silently(
            self.source_combo, self.source_combo.setCurrentIndex, list(_SOURCES).index(state.source)
        )
        self._from_layers.setVisible(layers)
        self._from_folders.setVisible(not layers)
        for name in ("image", "labels", "background", "region"):
            combo, known = getattr(self, f"{name}_combo"), getattr(pair, name)
            layer = None if known is None else known()
            if combo.layer() is not layer:
                silently(combo, combo.choose, layer)
        image, ndim = self.image_combo.layer(), self._state.ndim
        silently(self.channel_combo, partial(self.channel_combo.set_image, ndim=ndim), image)
        silently(self.channel_combo, self.channel_combo.setCurrentText, pair.channel)
        for widget in (self.channel_combo, self._channel_label):
            widget.setVisible(self.channel_combo.count() > 1)
        silently(self.zero_combo, self.zero_combo.setCurrentText, _ZEROS[self._zero()])
        silently(self.whole_check, self.whole_check.setChecked, state.whole_objects)
        silently(self.image_folder, self.image_folder.set_text, state.image_folder)
        silently(self.labels_folder, self.labels_folder.set_text, state.labels_folder)
        self.pair_list.show_pairs(state.pairs, min(self._row, len(state.pairs) - 1))
        self.add_button.setVisible(layers)
        self.remove_button.setVisible(layers and len(state.pairs) > 1)
        for button in (self.paint_button, self.background_button, self.region_button):
            button.setEnabled(self.image_combo.layer() is not None)
        # Painting may go on while a run is under way: it learns from copies.
        for control in self._choices:
            control.setEnabled(not state.phase.is_busy)

    def _zero(self) -> Zero:
        """Return what label 0 means, guessed if the user has not said so."""
        state = self._state
        chosen = state.folder_zero if state.source == "folders" else self._pair.zero
        if chosen != "auto":
            return chosen
        zeros = () if state.outlook is None else state.outlook.zeros
        index = min(self._row, len(state.pairs) - 1)
        return zeros[index] if index < len(zeros) else "not-annotated"
