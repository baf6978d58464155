"""A real window with the Segment dock in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from napari.qt.threading import WorkerBase
from qtpy.QtCore import Qt

from napari_pea.core.progress import CancelToken
from napari_pea.widgets import segmenting, work

PATIENCE = 60_000


@pytest.fixture(autouse=True)
def models(tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's models, with the tiny model in it."""
    monkeypatch.setenv("NAPARI_PEA_MODELS", str(tiny_model_path.parent))
    monkeypatch.setattr("napari_pea.models.catalogue.BUILT_IN_FOLDER", tiny_model_path.parent / "0")
    return tiny_model_path.parent


@pytest.fixture
def image() -> np.ndarray:
    """A few bright blobs, shape (40, 56)."""
    rows, columns = np.mgrid[:40, :56]
    blobs = sum(
        np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 30)
        for row, column in ((10, 12), (12, 40), (30, 25))
    )
    return (1000 * blobs + np.random.default_rng(0).normal(100, 5, blobs.shape)).astype(np.uint16)


class Hand:
    """Does with a dock what a user does, opening it from napari's menu included."""

    def __init__(self, viewer: Any, qtbot: Any) -> None:
        self.viewer = viewer
        self._qtbot = qtbot
        self.frame, self.dock = viewer.window.add_plugin_dock_widget("napari-pea", "Segment")

    def opened_again(self) -> Hand:
        return Hand(self.viewer, self._qtbot)

    def click(self, name: str) -> None:
        button = getattr(self.dock, name)
        assert button.isEnabled()
        self._qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def wait(self) -> None:
        """Wait until the dock is idle."""
        self._qtbot.waitUntil(lambda: not self.dock.cancel_button.isEnabled(), timeout=PATIENCE)

    def segment(self) -> None:
        self.click("segment_button")
        self.wait()

    @property
    def status(self) -> str:
        return self.dock.status_label.text()

    @property
    def names(self) -> list[str]:
        return [layer.name for layer in self.viewer.layers]


@pytest.fixture
def open_dock(make_napari_viewer: Callable[..., Any], qtbot: Any) -> Iterator[Callable[..., Hand]]:
    """Opens a window with the dock in it."""
    yield lambda **kwargs: Hand(make_napari_viewer(**kwargs), qtbot)
    qtbot.waitUntil(lambda: not WorkerBase._worker_set, timeout=PATIENCE)


class Gate:
    """Holds up the work of a segmentation until it is opened."""

    def __init__(self) -> None:
        self.entered = Event()
        self.open = Event()
        self.requests: list[Any] = []

    def __call__(self, request: Any, report: Any, cancel: CancelToken) -> Any:
        self.requests.append(request)
        self.entered.set()
        report("Looking at the image …", 1, 4)
        while not self.open.wait(0.005):
            cancel.check()
        return work.segment_part(request, report, cancel)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Work that lasts until the test says so."""
    gate = Gate()
    monkeypatch.setattr(segmenting, "segment_part", gate)
    yield gate
    gate.open.set()
