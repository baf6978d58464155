"""The files of a batch and how far each one is."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_pea.batch.queue import Item, State

COLUMNS = ("Image", "State", "Objects", "Time")
#: What the states are called.
TEXTS = {
    State.WAITING: "waiting",
    State.RUNNING: "running …",
    State.DONE: "done",
    State.SKIPPED: "done before",
    State.FAILED: "failed",
}
#: How many rows are seen at least.
LINES = 8


class BatchTable(QTableWidget):
    """One row for each file; the reason of an error is its tooltip.

    Parameters
    ----------
    parent : QWidget
        The dock.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(0, len(COLUMNS), parent)
        self.setObjectName("batch_table")
        self.setHorizontalHeaderLabels(COLUMNS)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setMinimumHeight(LINES * (self.fontMetrics().lineSpacing() + 8))
        rows, header = self.verticalHeader(), self.horizontalHeader()
        if rows is not None:
            rows.setVisible(False)
        if header is not None:
            header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self._items: list[Item] = []

    def show_items(self, items: Sequence[Item]) -> None:
        """Show another queue."""
        self._items = list(items)
        self.setRowCount(len(items))
        for row, item in enumerate(items):
            self.show_item(row, item)

    def show_item(self, row: int, item: Item) -> None:
        """Show what became of a file.

        Parameters
        ----------
        row : int
            Its place in the queue.
        item : Item
            The file.
        """
        self._items[row] = item
        made = item.state in (State.DONE, State.SKIPPED)
        texts = (
            item.image.name,
            TEXTS[item.state],
            str(item.objects) if made else "",
            f"{item.seconds:.1f} s" if item.state is State.DONE else "",
        )
        for column, text in enumerate(texts):
            cell = QTableWidgetItem(text)
            cell.setToolTip(item.message or str(item.image))
            if column > 1:
                cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.setItem(row, column, cell)
        if item.state is State.RUNNING:
            self.scrollToItem(self.item(row, 0))

    def nothing_runs(self) -> None:
        """Show that a file on which work was stopped waits again."""
        for row, item in enumerate(self._items):
            if item.state is State.RUNNING:
                item.state = State.WAITING
                self.show_item(row, item)

    def selected(self) -> Item | None:
        """Return the selected file."""
        rows = {index.row() for index in self.selectedIndexes()}
        return self._items[rows.pop()] if len(rows) == 1 else None
