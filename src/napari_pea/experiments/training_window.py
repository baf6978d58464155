"""How long our own code holds the window while a model is trained in it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, check_cancel
from napari_pea.experiments.benchmark_live import check_display
from napari_pea.experiments.watch import OwnTime, StallWatch, keep_running
from napari_pea.models.catalogue import FOLDER_VARIABLE
from napari_pea.sample_data import load_sample

if TYPE_CHECKING:
    from collections.abc import Callable

#: One object in so many is painted.
PAINTED = 3
#: Something is wrong if an answer takes longer, in seconds.
PATIENCE = 600.0


def measure_window(
    model: str = "nuclei", *, seconds: float = 60.0, cancel: CancelToken | None = None
) -> dict[str, Any]:
    """Train in a real window as the dock does, with previews and painting, and watch it.

    Parameters
    ----------
    model : str
        A name from `list_models` to start from.
    seconds : float
        How long to train before it is stopped, and its model saved.
    cancel : CancelToken, optional
        Checked all the time.

    Returns
    -------
    dict
        ``own_code``, the longest time in seconds that our own code held the thread of the
        window, and ``own_code_where``; ``longest_stall``, with what napari and Python did;
        ``iterations`` and ``previews``.

    Raises
    ------
    InputError
        If no window can be opened, or the training fails.
    """
    check_display()
    keep_running()
    with _models_elsewhere():
        window = _Window(model, cancel)
        try:
            return window.measure(seconds)
        finally:
            window.close()


@contextmanager
def _models_elsewhere() -> Iterator[None]:
    """Keep the runs and models of the measurement out of the user's folder."""
    before = os.environ.get(FOLDER_VARIABLE)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[FOLDER_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER_VARIABLE]
            if before is not None:
                os.environ[FOLDER_VARIABLE] = before


class _Window:
    """A window with the sample, some painted objects and the Training dock."""

    def __init__(self, model: str, cancel: CancelToken | None) -> None:
        import napari
        from qtpy.QtCore import QEventLoop

        self._loop = QEventLoop()
        self._cancel = cancel
        sample = load_sample("nuclei")
        painted = np.where(sample.truth % PAINTED == 0, sample.truth, 0)
        self.viewer = napari.Viewer()
        self.viewer.add_image(sample.image, name="cells")
        self.paint = self.viewer.add_labels(painted, name="paint")
        _, self.dock = self.viewer.window.add_plugin_dock_widget("napari-pea", "Train")
        self.state = self.dock.state
        self.find("start_model_combo").setCurrentText(model)
        self.turn(5.0)  # PyTorch is loaded, and the annotation looked at

    def find(self, name: str) -> Any:
        """Return a control of the dock."""
        from qtpy.QtWidgets import QWidget

        return self.dock.findChild(QWidget, name)

    def turn(self, seconds: float) -> None:
        """Let the window live for some time."""
        from qtpy.QtCore import QTimer

        check_cancel(self._cancel)
        QTimer.singleShot(int(1000 * seconds), self._loop.quit)
        self._loop.exec()

    def until(self, condition: Callable[[], bool]) -> None:
        """Let the window live until something is so."""
        end = time.perf_counter() + PATIENCE
        while not condition():
            if time.perf_counter() > end:
                raise InputError("The window did not answer for ten minutes.")
            self.turn(0.05)

    def measure(self, seconds: float) -> dict[str, Any]:
        """Train, go on painting meanwhile, stop, and save."""
        previews: set[int] = set()
        curves = self.find("training_curves")
        watch = StallWatch(self.viewer.window._qt_window)
        watch.take()
        with OwnTime() as own:
            self.find("train_button").click()
            self.until(lambda: bool(curves.losses) or not self.state.phase.is_busy)
            end = time.perf_counter() + seconds
            step = 0
            while time.perf_counter() < end and self.state.phase.is_busy:
                step += 1
                self.paint.paint((20 + step % 400, 30), 0)
                self.viewer.scene.camera.zoom *= 1.01 if step % 2 else 1 / 1.01
                self.turn(0.2)
                if "cells training" in self.viewer.layers:
                    layer = self.viewer.layers["cells training"]
                    previews.add(layer.metadata["napari_pea"]["iteration"])
            done = int(curves.losses[-1][0]) if curves.losses else 0
            if self.state.phase.is_busy:
                self.find("stop_button").click()
            self.until(lambda: not self.state.phase.is_busy)
            if self.state.phase.value != "done":
                raise InputError(f"The training failed: {self.state.message}")
            self.find("model_name_edit").setText("measured")
            self.find("save_model_button").click()
            self.until(lambda: self.state.phase.value == "idle")
            self.turn(0.5)
        stall = watch.take().seconds
        watch.stop()
        return {
            "own_code": own.worst,
            "own_code_where": own.where,
            "longest_stall": stall,
            "iterations": done,
            "previews": len(previews),
        }

    def close(self) -> None:
        """Close the window."""
        self.viewer.close()
        self.turn(0.5)
