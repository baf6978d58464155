"""The drop-down lists of the docks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from qtpy.compat import isalive
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QIcon, QPixmap, QStandardItemModel
from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget
from superqt import QCollapsible

from napari_pea.models.catalogue import ModelEntry, list_models, user_folder
from napari_pea.widgets.preferences import preferences
from napari_pea.widgets.results import is_result
from napari_pea.widgets.sources import (
    NDIM,
    AxisChoice,
    ChannelChoice,
    axis_choices,
    channel_choices,
)

if TYPE_CHECKING:
    from napari.components import LayerList
    from napari.layers import Image, Layer

#: A list is at least this many characters wide, and no wider because of a long name.
CHARACTERS = 14
#: When unfolding is over, in milliseconds; Qt's word for any height.
GROW_MS, UNLIMITED = 400, 16_777_215


class Fold(QCollapsible):
    """A part of a dock that can be folded away."""

    def __init__(self, name: str, title: str, content: QWidget) -> None:
        super().__init__(title, expandedIcon=_unseen_icon(), collapsedIcon=_unseen_icon())
        self.setObjectName(name)
        self._title = title
        button = self.toggleButton()
        button.setIconSize(QSize(0, 0))
        # Lined up with the other controls, in the colours of plain text.
        button.setStyleSheet(
            "text-align: left; border: none; outline: none; background: transparent; padding: 4px;"
        )
        margins = self.layout()
        if margins is not None:
            margins.setContentsMargins(0, 0, 0, 0)
        # A dock that is too long scrolls; its rows are not squeezed.
        content.setSizePolicy(content.sizePolicy().horizontalPolicy(), QSizePolicy.Policy.Minimum)
        self.setContent(content)
        self.toggled.connect(self._show_arrow)
        self.expand(animate=False)
        self._show_arrow()

    def expand(self, animate: bool = True) -> None:
        """Show the content, which may grow and shrink from then on."""
        super().expand(animate)
        if animate:
            QTimer.singleShot(GROW_MS, self._let_grow)
        else:
            self._let_grow()

    def _let_grow(self) -> None:
        if isalive(self) and self.isExpanded():
            self.content().setMaximumHeight(UNLIMITED)

    def _show_arrow(self) -> None:
        self.setText(f"{'▾' if self.isExpanded() else '▸'}  {self._title}")


def _unseen_icon() -> QIcon:
    """Return an icon of one clear pixel."""
    # An empty icon is False in PySide6, and superqt takes it for none at all.
    pixmap = QPixmap(1, 1)
    pixmap.fill(Qt.GlobalColor.transparent)
    return QIcon(pixmap)


class WideCombo(QComboBox):
    """A drop-down list that takes the width it is given."""

    def __init__(self, name: str, tooltip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setToolTip(tooltip)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(CHARACTERS)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_items(self, texts: Iterable[str], current: str | None = None) -> None:
        """Replace the entries and choose one by its text; by default none changes.

        Signals are sent only if the chosen text changes.
        """
        before = self.currentText()
        wanted = before if current is None else current
        blocked = self.blockSignals(True)
        self.clear()
        self.addItems(list(texts))
        index = self.findText(wanted, Qt.MatchFlag.MatchExactly)
        self.setCurrentIndex(max(index, 0) if self.count() else -1)
        self.blockSignals(blocked)
        if self.currentText() != before:
            self.currentIndexChanged.emit(self.currentIndex())


class ModelCombo(WideCombo):
    """The models found; the list is read again whenever it is opened.

    Parameters
    ----------
    parent : QWidget, optional
        The dock.
    name : str
        Of the control.
    nothing : str
        Text of a last entry that stands for no model; without it there is none.
    """

    def __init__(
        self, parent: QWidget | None = None, *, name: str = "model_combo", nothing: str = ""
    ) -> None:
        super().__init__(name, "", parent)
        self.setPlaceholderText("no model found")
        self._entries: list[ModelEntry] = []
        self._nothing = nothing
        self.currentIndexChanged.connect(self._describe)
        follow_models(self)

    def showPopup(self) -> None:  # noqa: N802 - Qt's name
        """Read the list again and open it."""
        self.refresh()
        super().showPopup()

    def refresh(self, wanted: str | None = None) -> None:
        """Read the models again; models that cannot be used are listed, but not to choose.

        Parameters
        ----------
        wanted : str, optional
            The model to choose if there is one of this name.
        """
        self._entries = list_models(preferences().model_folder)
        usable = [entry.name for entry in self._entries if entry.problem is None]
        usable += [self._nothing] if self._nothing else []
        target = wanted or self.currentText()
        if target not in usable:
            target = usable[0] if usable else ""
        names = [entry.name for entry in self._entries]
        self.set_items([*names, self._nothing] if self._nothing else names, target)
        if not usable:
            self.setCurrentIndex(-1)
        items = self.model()
        for row, entry in enumerate(self._entries):
            item = items.item(row) if isinstance(items, QStandardItemModel) else None
            if item is not None:
                item.setToolTip(entry.problem or _description(entry))
                item.setEnabled(entry.problem is None)
        self._describe()

    def entry(self) -> ModelEntry | None:
        """Return the chosen model, if it can be used."""
        index = self.currentIndex()
        if not 0 <= index < len(self._entries) or self._entries[index].problem is not None:
            return None
        return self._entries[index]

    def _describe(self) -> None:
        entry = self.entry()
        folder = preferences().model_folder or user_folder()
        if self._nothing and self.currentText() == self._nothing:
            self.setToolTip("A new network that knows nothing yet: it needs more paint and time.")
        elif entry is None:
            self.setToolTip(f"There is no model yet: put model files into {folder}.")
        else:
            self.setToolTip(f"{_description(entry)} Copy your own model files to {folder}.")


class ShowsModels(Protocol):
    """A control that lists models."""

    def refresh(self) -> None:
        """Read the models again."""


#: Every list of models of every window.
_MODEL_LISTS: WeakSet[ShowsModels] = WeakSet()


def follow_models(control: ShowsModels) -> None:
    """Let a control hear of every change of the models, from whatever dock."""
    _MODEL_LISTS.add(control)


def refresh_model_lists() -> None:
    """Let every list of models show the models that there are by now."""
    for control in list(_MODEL_LISTS):
        if isalive(control):
            control.refresh()


def _description(entry: ModelEntry) -> str:
    """Return what a model says about itself."""
    metadata = entry.metadata
    sentences = ["The kind of objects to look for."]
    if metadata is not None:
        sentences = [metadata.description or f"The model {entry.name}."]
        if metadata.ndim == 3:
            sentences.append("It sees volumes, with all their sections at once.")
        if metadata.object_diameter:
            sentences.append(
                f"It was trained on objects about {metadata.object_diameter:.0f} pixels wide."
            )
    return " ".join(sentences)


class LayerCombo(WideCombo):
    """Some of the layers of a viewer.

    Parameters
    ----------
    name, tooltip : str
        Of the control.
    layers : napari.components.LayerList
        The layers of the viewer.
    accepts : callable
        Whether a layer is listed.
    parent : QWidget, optional
        The dock.
    nothing : str
        Text of a first entry that stands for no layer; without it there is none.
    fall_back : bool
        Whether the first layer is chosen if the chosen one is removed, or there was none.
    """

    def __init__(
        self,
        name: str,
        tooltip: str,
        layers: LayerList,
        accepts: Callable[[Layer], bool],
        parent: QWidget | None = None,
        *,
        nothing: str = "",
        fall_back: bool = True,
    ) -> None:
        super().__init__(name, tooltip, parent)
        self._fall_back = fall_back or bool(nothing)
        self._layers = layers
        self._accepts = accepts
        self._nothing = nothing
        self._listed: list[Layer | None] = []
        for event in ("inserted", "removed", "renamed"):
            getattr(layers.events, event).connect(self.refresh)
        self.refresh()

    def layer(self) -> Any:
        """Return the chosen layer; None if there is none."""
        index = self.currentIndex()
        return self._listed[index] if 0 <= index < len(self._listed) else None

    def choose(self, layer: Layer | None) -> None:
        """Choose a layer, or none if it is not listed."""
        self.setCurrentIndex(
            next((index for index, listed in enumerate(self._listed) if listed is layer), -1)
        )

    def refresh(self, _: object = None) -> None:
        """List the layers again; the choice stays if it is still there."""
        if not isalive(self):
            return
        before = self.layer()
        self._listed = [layer for layer in self._layers if self._accepts(layer)]
        if self._nothing:
            self._listed.insert(0, None)
        blocked = self.blockSignals(True)
        self.clear()
        self.addItems([self._nothing if layer is None else layer.name for layer in self._listed])
        otherwise = 0 if self._fall_back and self._listed else -1
        self.setCurrentIndex(
            next((i for i, layer in enumerate(self._listed) if layer is before), otherwise)
        )
        self.blockSignals(blocked)
        if self.layer() is not before:
            self.currentIndexChanged.emit(self.currentIndex())


def is_image(layer: Layer) -> bool:
    """Whether a layer is an image of the user."""
    from napari.layers import Image

    return isinstance(layer, Image) and not is_result(layer)


class ImageCombo(LayerCombo):
    """The image layers of a viewer, without those that are results."""

    def __init__(self, layers: LayerList, parent: QWidget | None = None) -> None:
        super().__init__(
            "image_combo",
            "The image with your objects. Selecting an image in the layer list chooses it "
            "here too.",
            layers,
            is_image,
            parent,
        )
        self.setPlaceholderText("open an image first")
        layers.selection.events.active.connect(self._follow)
        self._follow()

    def _follow(self, _: object = None) -> None:
        active = self._layers.selection.active
        if isalive(self) and active in self._listed:
            self.choose(active)


class ChannelCombo(WideCombo):
    """The channels of an image."""

    def __init__(self, parent: QWidget | None = None, *, name: str = "channel_combo") -> None:
        super().__init__(
            name,
            "Which channel shows your objects. Of stacks, “shown plane” takes the plane you see, "
            "and “shown volume” the volume: move the sliders to another one and click Segment "
            "again.",
            parent,
        )
        self._choices: list[ChannelChoice] = []

    def set_image(self, layer: Image | None, ndim: int = NDIM) -> None:
        """Offer the channels of an image for a model that sees so many axes."""
        self._choices = [] if layer is None else channel_choices(layer, ndim)
        self.set_items([choice.text for choice in self._choices])
        self.setEnabled(len(self._choices) > 1)

    def choose(self, channel: int | None, axis: int | None) -> None:
        """Choose a channel by its number and its axis, if there is such an entry."""
        for index, choice in enumerate(self._choices):
            if (choice.channel, choice.axis) == (channel, axis):
                self.setCurrentIndex(index)

    def choice(self) -> ChannelChoice | None:
        """Return the chosen channel."""
        index = self.currentIndex()
        return self._choices[index] if 0 <= index < len(self._choices) else None


class AxisCombo(WideCombo):
    """The axes that planes of a stack can be taken along."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(
            "axis_combo",
            "Along which axis the planes or volumes of a stack or time series lie that are "
            "segmented one by one.",
            parent,
        )
        self._choices: list[AxisChoice] = []

    def set_image(
        self, layer: Image | None, choice: ChannelChoice | None, ndim: int = NDIM
    ) -> None:
        """Offer the axes of an image for a model that sees so many of them."""
        self._choices = []
        if layer is not None and choice is not None:
            self._choices = axis_choices(layer, choice, ndim)
        self.set_items([each.text for each in self._choices])
        self.setEnabled(len(self._choices) > 1)

    def choose(self, axis: int | None) -> None:
        """Choose an axis, if it is listed."""
        for index, choice in enumerate(self._choices):
            if choice.axis == axis:
                self.setCurrentIndex(index)

    def axis(self) -> int | None:
        """Return the chosen axis; None for planes as they are shown."""
        index = self.currentIndex()
        return self._choices[index].axis if 0 <= index < len(self._choices) else None
