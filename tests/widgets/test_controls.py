from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QLabel

from napari_pea.widgets.controls import Fold


def test_a_fold_shows_an_arrow_in_its_text_and_no_icon(qtbot: Any) -> None:
    fold = Fold("some_fold", "Objects", QLabel("inside"))
    qtbot.addWidget(fold)
    # An empty icon would be refused where Qt comes from PySide6.
    assert not fold.expandedIcon().isNull()
    assert not fold.collapsedIcon().isNull()
    assert fold.toggleButton().iconSize().isEmpty()
    assert fold.toggleButton().text().startswith("▾")
    fold.collapse(animate=False)
    assert fold.toggleButton().text().startswith("▸")
