"""Small helpers for the controls of the docks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QMessageBox,
    QToolButton,
    QWidget,
)
from superqt import QLabeledDoubleSlider

#: Longer words may be broken by this invisible character: docks stay narrow.
LONGEST_WORD, BREAK = 16, "\u200b"


def silently(control: QWidget, call: Callable[[Any], object], value: Any) -> None:
    """Set a control without its signals."""
    blocker = QSignalBlocker(control)
    call(value)
    blocker.unblock()


def row(*widgets: QWidget) -> QHBoxLayout:
    """Return controls side by side."""
    layout = QHBoxLayout()
    layout.setSpacing(4)
    for widget in widgets:
        layout.addWidget(widget)
    return layout


def form(parent: QWidget | None = None) -> QFormLayout:
    """Return a layout for controls with their names before them."""
    layout = QFormLayout(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setVerticalSpacing(4)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
    return layout


def double_slider(name: str, limits: tuple[float, float], tooltip: str, parent: QWidget) -> Any:
    """Return a slider for numbers with two decimals."""
    slider: Any = QLabeledDoubleSlider(Qt.Orientation.Horizontal, parent)
    slider.setObjectName(name)
    slider.setRange(*limits)
    slider.setSingleStep(0.01)
    slider.setPageStep(0.1)
    slider.setDecimals(2)
    slider.setToolTip(tooltip)
    return slider


def ask_where(
    parent: QWidget, title: str, proposed: str, kind: str, whole: Callable[[str], Path]
) -> Path | None:
    """Ask where something is to be written, and whether it may replace what is there.

    The dialog would ask about the name as it is typed, and something else would be replaced once
    the suffix is added.

    Parameters
    ----------
    parent : QWidget
        The dock.
    title, proposed, kind : str
        Of the dialog: its title, the name it shows first, and its filter.
    whole : callable
        Returns the name with its suffix.

    Returns
    -------
    Path or None
        The whole name; None if the user has thought better of it.
    """
    given, _ = QFileDialog.getSaveFileName(
        parent, title, proposed, kind, options=QFileDialog.Option.DontConfirmOverwrite
    )
    if not given:
        return None
    path = whole(given)
    if path.exists():
        answer = QMessageBox.question(parent, title, f"Replace {path.name}?")
        if answer != QMessageBox.StandardButton.Yes:
            return None
    return path


class FolderEdit(QWidget):
    """A folder, typed or chosen.

    Parameters
    ----------
    name, tooltip : str
        Of the control.
    parent : QWidget
        The dock.
    """

    #: The user has given another folder.
    changed = Signal(str)

    def __init__(self, name: str, tooltip: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._edit = QLineEdit(self)
        self._edit.setObjectName(name)
        self._edit.setToolTip(tooltip)
        self._title = tooltip.rstrip(".")
        self._edit.setPlaceholderText(self._title)
        button = QToolButton(self)
        button.setText("…")
        button.setToolTip(tooltip)
        layout = row(self._edit, button)
        layout.setContentsMargins(0, 0, 0, 0)
        self.setLayout(layout)
        self._edit.textChanged.connect(self.changed)
        button.clicked.connect(self._on_clicked)

    def text(self) -> str:
        """Return what is typed."""
        return self._edit.text()

    def choose(self, text: str) -> None:
        """Enter a folder, as the user does."""
        self._edit.setText(text)

    def set_text(self, text: str) -> None:
        """Show a folder."""
        if self._edit.text() != text:
            silently(self._edit, self._edit.setText, text)

    def _on_clicked(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self._title, self._edit.text())
        if folder:
            self._edit.setText(folder)


def breakable(text: str) -> str:
    """Return a text that may be broken anywhere in its long words, such as paths."""
    words = (
        BREAK.join(word[n : n + LONGEST_WORD] for n in range(0, len(word), LONGEST_WORD))
        for word in text.split(" ")
    )
    return " ".join(words)
