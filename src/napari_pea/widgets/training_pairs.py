"""Which layers can be learned from, and the list of those that are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QListWidget, QWidget

from napari_pea.widgets.forms import silently
from napari_pea.widgets.results import LABELS, ResultBook, is_result
from napari_pea.widgets.training_brush import is_strokes
from napari_pea.widgets.training_state import LayerPair

if TYPE_CHECKING:
    from napari.layers import Layer

#: So many pairs are listed without scrolling.
LISTED = 3


def is_annotation(layer: Layer) -> bool:
    """Whether a layer may hold painted objects."""
    from napari.layers import Labels

    return isinstance(layer, Labels) and not is_result(layer)


def is_opened_result(layer: Layer, book: ResultBook) -> bool:
    """Whether a layer holds the objects of a result that was opened from a file.

    Those that the Segment dock has added it also replaces, so they are no annotation.

    Parameters
    ----------
    layer : napari.layers.Layer
        The layer.
    book : ResultBook
        The results of the viewer.
    """
    from napari.layers import Labels

    if not isinstance(layer, Labels) or not is_result(layer) or book.is_adding(layer):
        return False
    made = any(result.layer is layer for result in book.of_kind(LABELS))
    return layer.metadata["napari_pea"]["kind"] == LABELS[0] and not made


def is_background(layer: Layer) -> bool:
    """Whether a layer may hold background strokes."""
    from napari.layers import Labels

    return isinstance(layer, Labels) and (is_strokes(layer) or not is_result(layer))


def is_region(layer: Layer) -> bool:
    """Whether a layer may tell what was looked at."""
    from napari.layers import Shapes

    return isinstance(layer, Shapes)


class PairList(QListWidget):
    """The pairs that are learned from, by the names of their layers; hidden if there is one.

    Parameters
    ----------
    parent : QWidget
        The group of the dock.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("train_pair_list")
        self.setToolTip("All of these are learned from; below is the selected one.")
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setMaximumHeight((LISTED + 1) * self.fontMetrics().lineSpacing())

    def show_pairs(self, pairs: Sequence[LayerPair], selected: int) -> None:
        """List pairs.

        Parameters
        ----------
        pairs : sequence of LayerPair
            All of them.
        selected : int
            Which of them the controls show.
        """
        self.setVisible(len(pairs) > 1)
        blocked = self.blockSignals(True)
        self.clear()
        for pair in pairs:
            parts = [None if part is None else part() for part in (pair.image, pair.labels)]
            self.addItem(" – ".join("nothing" if part is None else part.name for part in parts))
        self.blockSignals(blocked)
        silently(self, self.setCurrentRow, selected)
