from __future__ import annotations

import pytest

from napari_pea.training.history import History


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than training here."""
    monkeypatch.setattr(History, "save_picture", lambda self, path: None)
