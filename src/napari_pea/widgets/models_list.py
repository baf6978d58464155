"""The list of all models, with a field to search it."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from napari_pea.models.card import matches
from napari_pea.models.catalogue import ModelEntry

#: What stands above the models of each source.
HEADINGS = {
    "built-in": "Built in",
    "user": "Yours",
    "imported": "Imported",
    "file": "Not in your folder",
}
#: How many lines of the list are seen at once.
LINES = 8
#: How wide the dock is at first, in pixels.
WIDTH = 290


class ModelsList(QWidget):
    """The models by where they come from; damaged ones are listed with the reason.

    Parameters
    ----------
    parent : QWidget
        The dock.
    """

    #: Another model is chosen, or the chosen one has changed.
    chosen = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._entries: list[ModelEntry] = []
        self._others: list[ModelEntry] = []
        self.search_edit = QLineEdit(self)
        self.search_edit.setObjectName("models_search")
        self.search_edit.setPlaceholderText("Search")
        self.search_edit.setClearButtonEnabled(True)
        self.search_edit.setToolTip(
            "Words that occur in the name or on the card of a model, such as “nuclei 3D”."
        )
        self.list = QListWidget(self)
        self.list.setObjectName("models_list")
        self.list.setMinimumWidth(WIDTH)
        self.list.setFixedHeight(LINES * (self.fontMetrics().lineSpacing() + 6))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.search_edit)
        layout.addWidget(self.list)
        self.search_edit.textChanged.connect(lambda: self._show())
        self.list.currentItemChanged.connect(self._on_current_changed)

    def set_entries(
        self, entries: list[ModelEntry], others: list[ModelEntry], wanted: str | None = None
    ) -> None:
        """Show the models there are.

        Parameters
        ----------
        entries : list of ModelEntry
            Those of the folders.
        others : list of ModelEntry
            Files that lie elsewhere.
        wanted : str, optional
            The name of the model to choose; by default the chosen one stays.
        """
        self._entries, self._others = entries, others
        self._show(wanted)

    def choose(self, path: Path) -> None:
        """Choose a model by its file."""
        for row in range(self.list.count()):
            entry = self._entry(self.list.item(row))
            if entry is not None and entry.path == path:
                self.list.setCurrentRow(row)

    def entry(self) -> ModelEntry | None:
        """Return the chosen model."""
        return self._entry(self.list.currentItem())

    def is_elsewhere(self, entry: ModelEntry) -> bool:
        """Whether a model lies in none of the folders."""
        return entry in self._others

    def _show(self, wanted: str | None = None) -> None:
        """List what fits the search, and choose a name, or the file that was chosen."""
        before = self.entry()
        search = self.search_edit.text()
        groups = {source: [e for e in self._entries if e.source == source] for source in HEADINGS}
        groups["file"] = self._others
        blocked = self.list.blockSignals(True)
        self.list.clear()
        for source, heading in HEADINGS.items():
            found = [entry for entry in groups[source] if matches(entry, search)]
            if not found:
                continue
            title = QListWidgetItem(heading, self.list)
            title.setFlags(Qt.ItemFlag.NoItemFlags)
            font = title.font()
            font.setBold(True)
            title.setFont(font)
            for entry in found:
                self._add(entry)
        listed = [(n, self._entry(self.list.item(n))) for n in range(self.list.count())]
        rows = [row for row, entry in listed if entry is not None]
        fits = [
            row
            for row, entry in listed
            if entry is not None
            if (entry.name == wanted if wanted else before and entry.path == before.path)
        ]
        if rows:
            self.list.setCurrentRow((fits or rows)[0])
        self.list.blockSignals(blocked)
        self.chosen.emit()

    def _add(self, entry: ModelEntry) -> None:
        damaged = entry.problem is not None
        item = QListWidgetItem(f"{entry.name}{' (damaged)' if damaged else ''}", self.list)
        item.setData(Qt.ItemDataRole.UserRole, entry)
        about = "" if entry.metadata is None else entry.metadata.description
        item.setToolTip(entry.problem or about)

    def _entry(self, item: QListWidgetItem | None) -> ModelEntry | None:
        entry = None if item is None else item.data(Qt.ItemDataRole.UserRole)
        return entry if isinstance(entry, ModelEntry) else None

    def _on_current_changed(self) -> None:
        self.chosen.emit()
