"""Windows that a script can act in: with the Segment dock, and napari alone."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: How long the window is left to itself after an action, in seconds.
AFTER = 0.12


class PlainWindow:
    """napari with an image, labels that a script changes, and a dock that does nothing.

    Parameters
    ----------
    image : array, shape (Y, X)
        The image.
    model : str
        Not used.
    """

    def __init__(self, image: NDArray[Any], model: str) -> None:
        self.image = image
        self.model = model
        self._labels = [_grid(image.shape, side) for side in (24, 32)]

    def open(self) -> None:
        """Open the window."""
        import napari
        from qtpy.QtCore import QEventLoop

        self.viewer = napari.Viewer()
        self._loop = QEventLoop()
        self.viewer.add_image(self.image, name="sample")
        self.mine = self.viewer.add_labels(np.zeros(self.image.shape, np.uint8), name="mine")
        self._open_dock()

    def turn(self, seconds: float) -> None:
        """Let the window live for some time."""
        from qtpy.QtCore import QTimer

        QTimer.singleShot(int(1000 * seconds), self._loop.quit)
        self._loop.exec()

    def settle(self) -> None:
        """Wait until nothing is under way."""
        self.turn(AFTER)

    def close(self) -> None:
        """Close the window."""
        self.viewer.close()
        self.turn(AFTER)

    def segment(self, _: random.Random | None = None) -> None:
        """Give the labels other values, or add them."""
        if "sample" not in self.viewer.layers:
            self.viewer.add_image(self.image, name="sample")
        if "sample labels" in self.viewer.layers:
            self._renew()
            return
        colors = np.zeros((*self.image.shape, 3), np.uint8)
        self.viewer.add_image(colors, name="sample embedding", rgb=True, visible=False)
        self.viewer.add_labels(self._labels[0], name="sample labels")

    def drag(self, draw: random.Random) -> None:
        """Move a slider in several steps."""
        for _ in range(draw.randint(2, 6)):
            self.slider.setValue(draw.randint(0, 8))
            self.turn(0.03)
            self._renew()

    def type(self, draw: random.Random) -> None:
        """Type a list of ranges."""
        self._type_into(self.edit, draw)
        self._renew()

    def paint(self, draw: random.Random) -> None:
        """Paint a stroke into a layer of one's own."""
        if self.mine not in self.viewer.layers:
            self.mine = self.viewer.add_labels(np.zeros(self.image.shape, np.uint8), name="mine")
        row, column = draw.randint(20, 480), draw.randint(20, 400)
        with self.mine.block_history():
            for way in range(0, 60, 6):
                self.mine.paint((row, column + way), draw.randint(1, 9))
                self.turn(0.008)

    def undo(self, _: random.Random) -> None:
        """Undo the last stroke."""
        self.mine.undo()

    def switch(self, draw: random.Random) -> None:
        """Select another layer."""
        self.viewer.layers.selection.active = draw.choice(list(self.viewer.layers))

    def rename(self, draw: random.Random) -> None:
        """Rename one's own layer, and the image back and forth."""
        self.mine.name = f"mine {draw.randint(0, 99)}"

    def delete_image(self, draw: random.Random) -> None:
        """Delete the image while something is running, and start again."""
        self._begin(draw)
        if "sample" in self.viewer.layers:
            self.viewer.layers.remove("sample")
        self.turn(AFTER)
        for name in [each.name for each in self.viewer.layers if each is not self.mine]:
            self.viewer.layers.remove(name)
        self.segment()

    def close_dock(self, draw: random.Random) -> None:
        """Close the dock while something is running, and open it again."""
        self._begin(draw)
        self.frame.title.close_button.click()
        self.turn(AFTER)
        self._open_dock()

    def close_viewer(self, draw: random.Random) -> None:
        """Close the viewer while something is running, and open another one."""
        self._begin(draw)
        self.close()
        self.open()
        self.segment()

    def _begin(self, draw: random.Random) -> None:
        """Start something that takes some time."""
        self.slider.setValue((self.slider.value() + draw.randint(1, 4)) % 9)
        self.turn(0.004)

    def _renew(self) -> None:
        labels = self.viewer.layers["sample labels"]
        self._labels.reverse()
        labels.data = self._labels[0]

    def _open_dock(self) -> None:
        from qtpy.QtCore import Qt
        from qtpy.QtWidgets import QLineEdit, QSlider, QVBoxLayout, QWidget

        dock = QWidget()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 8)
        self.edit = QLineEdit()
        layout = QVBoxLayout(dock)
        layout.addWidget(self.slider)
        layout.addWidget(self.edit)
        self.frame = self.viewer.window.add_dock_widget(dock, name="plain")

    def _type_into(self, edit: Any, draw: random.Random) -> None:
        from qtpy import QtTest
        from qtpy.QtCore import Qt

        keyboard: Any = QtTest.QTest
        text = ", ".join(str(draw.randint(1, 30)) for _ in range(draw.randint(1, 5)))
        edit.selectAll()
        keyboard.keyClicks(edit, draw.choice([text, text, "one, two"]))
        keyboard.keyClick(edit, Qt.Key.Key_Return)


class PeaWindow(PlainWindow):
    """napari with the Segment dock.

    Parameters
    ----------
    image : array, shape (Y, X)
        The image.
    model : str
        Name of the model.
    """

    def find(self, name: str) -> Any:
        """Return a control of the dock."""
        from qtpy.QtWidgets import QWidget

        return self.dock.findChild(QWidget, name)

    def settle(self) -> None:
        """Wait until the dock has nothing to do."""
        end = time.perf_counter() + 60
        while not self.dock.live.idle and time.perf_counter() < end:
            self.turn(0.01)
        self.turn(AFTER)

    def close(self) -> None:
        """Close the window; what runs in it must end by itself."""
        from napari.qt.threading import WorkerBase

        super().close()
        end = time.perf_counter() + 60
        while WorkerBase._worker_set and time.perf_counter() < end:
            self.turn(0.01)

    def segment(self, draw: random.Random | None = None) -> None:
        """Segment the image; the first time, wait for the result."""
        if "sample" not in self.viewer.layers:
            self.viewer.add_image(self.image, name="sample")
        self.find("segment_button").click()
        if draw is None:
            self.settle()

    def drag(self, draw: random.Random) -> None:
        """Move one of the sliders in several steps."""
        name = draw.choice(["range_slider", "bias_slider", "foreground_slider", "min_size_spin"])
        control = self.find(name)
        low, high = control.minimum(), control.maximum()
        for _ in range(draw.randint(2, 6)):
            share = draw.random() * (0.0001 if name == "min_size_spin" else 1)
            value = low + share * (high - low)
            control.setValue(value if name in ("bias_slider", "foreground_slider") else int(value))
            self.turn(0.03)

    def type(self, draw: random.Random) -> None:
        """Type a list of ranges."""
        self._type_into(self.edit, draw)

    def _open_dock(self) -> None:
        self.frame, self.dock = self.viewer.window.add_plugin_dock_widget("napari-pea", "Segment")
        self.find("model_combo").setCurrentText(self.model)
        self.slider, self.edit = self.find("range_slider"), self.find("ranges_edit")


def _grid(shape: tuple[int, ...], side: int) -> NDArray[np.uint32]:
    """Return labels of squares."""
    rows, columns = np.indices(shape) // side
    labels: NDArray[np.uint32] = (1 + rows * 64 + columns).astype(np.uint32)
    return labels
