"""A real window with the Segment dock in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, current_thread
from typing import Any

import numpy as np
import pytest
import torch
from napari.qt.threading import WorkerBase
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QWidget

from napari_pea.core.affinity import unit_vectors
from napari_pea.core.image import prepare_image
from napari_pea.core.networks import build_network
from napari_pea.core.predict import Embedding
from napari_pea.core.progress import CancelToken
from napari_pea.core.segmenter import Segmenter
from napari_pea.core.settings import SegmentationSettings
from napari_pea.models.metadata import ModelMetadata
from napari_pea.models.model import Model
from napari_pea.models.package import save_model
from napari_pea.volumes.sources import ModelSource
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

    title = "Segment"

    def __init__(self, viewer: Any, qtbot: Any) -> None:
        self.viewer = viewer
        self._qtbot = qtbot
        self.frame, self.dock = viewer.window.add_plugin_dock_widget("napari-pea", self.title)

    def opened_again(self) -> Hand:
        return Hand(self.viewer, self._qtbot)

    def click(self, name: str) -> None:
        button = self.find(name)
        assert button.isEnabled()
        self._qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def wait(self) -> None:
        """Wait until the dock is idle."""
        self._qtbot.waitUntil(
            lambda: self.dock.live.idle and not self.dock.cancel_button.isEnabled(),
            timeout=PATIENCE,
        )

    def find(self, name: str) -> Any:
        """A control by its name."""
        found = self.dock.findChild(QWidget, name)
        assert found is not None
        return found

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


class TrainingHand(Hand):
    """The same for the Training dock."""

    title = "Train"

    def wait(self) -> None:
        """Wait until the annotation has been looked at."""
        self._qtbot.waitUntil(lambda: self.dock.outlook_group.idle, timeout=PATIENCE)

    def choose(self, name: str, text: str) -> None:
        """Choose an entry of a list, or the first one that begins so."""
        combo = self.find(name)
        texts = [combo.itemText(n) for n in range(combo.count())]
        combo.setCurrentIndex([each.startswith(text) for each in texts].index(True))

    def sees(self, name: str) -> bool:
        """Whether a control can be seen when the dock is shown."""
        return bool(self.find(name).isVisibleTo(self.dock))

    @property
    def outlook(self) -> str:
        """What is said about the annotation."""
        self.wait()
        return self.find("outlook_label").text()


@pytest.fixture
def open_training(
    make_napari_viewer: Callable[..., Any], qtbot: Any
) -> Iterator[Callable[..., TrainingHand]]:
    """Opens a window with the Training dock in it."""
    yield lambda **kwargs: TrainingHand(make_napari_viewer(**kwargs), qtbot)
    qtbot.waitUntil(lambda: not WorkerBase._worker_set, timeout=PATIENCE)


@pytest.fixture
def painted() -> np.ndarray:
    """Twelve painted squares of 10 pixels, shape (96, 128); less than half of the pixels."""
    labels = np.zeros((96, 128), dtype=np.uint16)
    for number in range(12):
        row, column = 6 + 32 * (number // 4), 6 + 32 * (number % 4)
        labels[row : row + 10, column : column + 10] = number + 1
    return labels


@pytest.fixture
def squares(painted: np.ndarray) -> np.ndarray:
    """An image of bright squares, shape (96, 128)."""
    noise = np.random.default_rng(1).normal(100, 5, painted.shape)
    return (noise + 400 * (painted > 0)).astype(np.uint16)


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


def _known(pixels: np.ndarray) -> Embedding:
    """What a network says that knows every pixel by its brightness in hundreds."""
    ids = np.clip(np.rint(pixels / 100), 0, 15).astype(int)
    codes = np.moveaxis(np.eye(16, dtype=np.float32)[ids], -1, 0)
    foreground = np.where(ids > 0, np.minimum(0.5 + 0.05 * ids, 1), 0.1)
    return Embedding(unit_vectors(codes), foreground.astype(np.float32))


@pytest.fixture
def bands(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The network knows what every pixel is: its brightness in hundreds, 0 for none.

    Returns the images, or blocks of images, that it was given.
    """
    seen: list[Any] = []

    def embed(
        model: Model, image: Any, channel: int | None, channel_axis: int | None, **__: Any
    ) -> Embedding:
        seen.append(image)
        (pixels,) = prepare_image(image, 1, model.ndim, channel=channel, channel_axis=channel_axis)
        return _known(pixels)

    def embed_region(source: ModelSource, region: Any, **_: Any) -> Embedding:
        seen.append(np.asarray(source._array[region]))
        return _known(seen[-1])

    monkeypatch.setattr(Model, "embed", embed)
    monkeypatch.setattr(ModelSource, "__call__", embed_region)
    return seen


@pytest.fixture
def volume_model(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models with one that sees volumes, and the tiny one for planes."""
    torch.manual_seed(0)
    arguments = {"widths": (4, 4, 4, 4, 4), "foreground": True}
    metadata = ModelMetadata(
        name="solid",
        architecture="resunet3d",
        arguments=arguments,
        pixel_size_um=(2.0, 0.5, 0.5),
        recommended=SegmentationSettings(ranges=(1, 3, 9), z_ranges=(1, 2, 3), min_size=5),
    )
    folder = tmp_path / "models of volumes"
    save_model(folder / "solid", build_network("resunet3d", arguments), metadata)
    for path in models.glob("*.safetensors"):
        shutil.copy(path, folder)
    monkeypatch.setenv("NAPARI_PEA_MODELS", str(folder))
    return folder


@pytest.fixture
def tiles_image() -> np.ndarray:
    """Three squares that touch in a row, the last one alone below; shape (40, 56)."""
    pixels = np.zeros((40, 56), dtype=np.uint16)
    pixels[4:16, 4:16] = 200
    pixels[4:16, 16:28] = 300
    pixels[4:16, 28:40] = 400
    pixels[26:30, 30:40] = 500
    return pixels


class Sluice:
    """Holds up every segmentation after the network until it is opened."""

    def __init__(self, segment: Any) -> None:
        self._segment = segment
        self.open = Event()
        self.open.set()
        self.entered = Event()
        self.settings: list[Any] = []
        self.threads: set[Any] = set()

    def close(self) -> None:
        self.open.clear()
        self.entered.clear()
        self.settings.clear()

    def __call__(self, segmenter: Any, settings: Any, constraints: Any, **options: Any) -> Any:
        if not self.settings or self.settings[-1] is not settings:
            self.settings.append(settings)
        self.threads.add(current_thread())
        self.entered.set()
        while not self.open.wait(0.002):
            options["cancel"].check()
        return self._segment(segmenter, settings, constraints, **options)


@pytest.fixture
def sluice(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sluice]:
    """Segmentations that last until the test says so."""
    sluice = Sluice(Segmenter.labels)
    monkeypatch.setattr(
        Segmenter,
        "labels",
        lambda self, settings, constraints=None, **options: sluice(
            self, settings, constraints, **options
        ),
    )
    yield sluice
    sluice.open.set()


@pytest.fixture
def draw(qtbot: Any) -> Callable[..., None]:
    """Draws on the canvas of a viewer with the left button of the mouse.

    The points are places in the world, rows first.
    """

    def draw(viewer: Any, points: Any) -> None:
        canvas = viewer.window._qt_viewer.canvas.native

        def send(kind: QEvent.Type, point: Any, button: Any, buttons: Any) -> None:
            camera = viewer.scene.camera
            away = (np.asarray(point) - np.asarray(camera.center)[-2:]) * camera.zoom
            place = QPointF(canvas.width() / 2 + away[1], canvas.height() / 2 + away[0])
            QApplication.sendEvent(
                canvas,
                QMouseEvent(
                    kind,
                    place,
                    QPointF(canvas.mapToGlobal(place.toPoint())),
                    button,
                    buttons,
                    Qt.KeyboardModifier.NoModifier,
                ),
            )

        none, left = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton
        first, *others = points
        send(QEvent.Type.MouseMove, first, none, none)
        send(QEvent.Type.MouseButtonPress, first, left, left)
        for point in others:
            qtbot.wait(20)  # moves that follow each other too fast are left out
            send(QEvent.Type.MouseMove, point, none, left)
        send(QEvent.Type.MouseButtonRelease, points[-1], left, none)

    return draw
