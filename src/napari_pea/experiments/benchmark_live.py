"""How long it takes from a change of a control to new labels on the screen."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.partition import foreground_mask
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.experiments.benchmark_inference import sample_image
from napari_pea.experiments.watch import OwnTime, keep_running

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pea.core.constraints import Constraints
    from napari_pea.core.evidence import Evidence
    from napari_pea.core.neighborhood import Neighborhood
    from napari_pea.core.settings import SegmentationSettings

#: The images that are measured: a piece of the sample, and the sample repeated.
SHAPES = ((512, 512), (1024, 1024))
#: Positions of the slider that are visited, from ranges up to 5 to ranges up to 27.
RUNGS = (2, 3, 4, 5, 6, 7, 8)
#: How long the window is left alone between two changes, in seconds.
PAUSE = 0.08
#: Something is wrong if one change takes longer, in seconds.
PATIENCE = 600.0


def measure_live(
    model: str = "nuclei",
    *,
    shapes: Sequence[tuple[int, int]] = SHAPES,
    changes: int = 100,
    reference_changes: int = 100,
    seed: int = 0,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Move the slider of the ranges in a real window and time what follows.

    All edges are used, without strides. The same slider is moved with the partition replaced
    by elf's Mutex Watershed, in the same window. How long napari takes to draw other labels
    is measured apart and subtracted from both.

    Parameters
    ----------
    model : str
        A name from `list_models`.
    shapes : sequence of (int, int)
        Sizes of the images in pixels.
    changes, reference_changes : int
        How often the slider is moved, with our partition and with elf's.
    seed : int
        Of the order of the changes.
    progress : callable
        Told the changes done and in all.
    cancel : CancelToken, optional
        Checked before each change.

    Returns
    -------
    dict
        ``images``: for each shape ``ours``, ``elf`` and ``redraw``, each with ``median``
        and ``p95`` in seconds, ``factor`` of the medians less the redraw, and
        ``own_code``, the longest time that our code held the window.

    Raises
    ------
    InputError
        If no window can be opened.
    """
    check_display()
    keep_running()
    total = len(shapes) * (2 * changes + reference_changes)
    done = 0

    def step() -> None:
        nonlocal done
        check_cancel(cancel)
        done += 1
        progress(done, total)

    progress(0, total)
    images = []
    for shape in shapes:
        bench = Bench(model, sample_image(shape))
        try:
            images.append(
                {"shape": list(shape), **_measure(bench, changes, reference_changes, seed, step)}
            )
        finally:
            bench.close()
    return {"model": model, "images": images}


def _measure(
    bench: Bench, changes: int, reference_changes: int, seed: int, step: Callable[[], None]
) -> dict[str, Any]:
    """Return the figures of one image."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    order = [draw.choice(RUNGS)]
    while len(order) < max(changes, reference_changes) + 3:
        order.append(draw.choice([rung for rung in RUNGS if rung != order[-1]]))
    segmenter = bench.segmenter
    ours_partition = segmenter.partition
    for rung in order[:3]:  # what is compiled or loaded on first use
        bench.change(rung)
    with OwnTime() as own:
        ours = []
        for rung in order[3 : 3 + changes]:
            step()
            ours.append(bench.change(rung))
    shown = [bench.labels.data]
    bench.change(order[0] if order[0] != order[2 + changes] else RUNGS[0])
    shown.append(bench.labels.data)
    segmenter.partition = elf_partition
    elf = []
    for rung in order[3 : 3 + reference_changes]:
        step()
        elf.append(bench.change(rung))
    segmenter.partition = ours_partition
    redraw = []
    for number in range(changes):
        step()
        redraw.append(bench.redraw(shown[number % 2]))
    figures = {"ours": ours, "elf": elf, "redraw": redraw}
    subtracted = float(np.median(redraw))
    net = {name: float(np.median(figures[name])) - subtracted for name in ("ours", "elf")}
    return {
        **{
            name: {
                "median": float(np.median(times)),
                "p95": float(np.percentile(times, 95)),
                "changes": len(times),
            }
            for name, times in figures.items()
        },
        "ours_net": net["ours"],
        "elf_net": net["elf"],
        "factor": net["elf"] / max(net["ours"], 1e-9),
        "own_code": own.worst,
        "own_code_where": own.where,
        "objects": int(len(np.unique(bench.labels.data)) - 1),
    }


def elf_partition(
    evidence: Evidence,
    neighborhood: Neighborhood,
    settings: SegmentationSettings,
    constraints: Constraints | None = None,
    *,
    cancel: CancelToken | None = None,
) -> NDArray[np.uint32]:
    """Partition what a model says by elf's Mutex Watershed (engine: bioimage-cpp).

    See `napari_pea.core.partition.partition_evidence` for the parameters; constraints are
    not known to elf.
    """
    from elf.segmentation.mutex_watershed import mutex_watershed

    affinities = evidence.affinities(neighborhood.offset_list)
    check_cancel(cancel)
    mask = foreground_mask(evidence.foreground, settings)
    # elf merges where its affinities are low.
    labels = mutex_watershed(
        1 - affinities,
        [list(offset) for offset in neighborhood.offset_list],
        list(settings.strides_for(neighborhood.ndim)),
        mask=mask,
    ).astype(np.uint32)
    # Pixels outside of the mask have ids of their own.
    return labels if mask is None else np.where(mask, labels, np.uint32(0))


def check_display() -> None:
    """Check that a window can be opened.

    Raises
    ------
    InputError
        If there is no display.
    """
    if sys.platform == "linux" and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        raise InputError("This needs a window: run it with a display, or under xvfb-run.")


class Bench:
    """A window with an image that was segmented by the dock, without strides.

    Parameters
    ----------
    model : str
        Name of the model.
    image : array, shape (Y, X)
        The image.
    """

    def __init__(self, model: str, image: NDArray[Any]) -> None:
        import napari
        from qtpy.QtCore import QEventLoop

        self.viewer = napari.Viewer()
        self._loop = QEventLoop()
        self._awaits = ""
        self.viewer.add_image(image, name="sample")
        _, self.dock = self.viewer.window.add_plugin_dock_widget("napari-pea", "Segment")
        self.find("model_combo").setCurrentText(model)
        native = self.viewer.window._qt_viewer.canvas.native
        native.frameSwapped.connect(self._on_frame)
        self.find("strides_spin").setValue(1)
        self.find("segment_button").click()
        self.wait()
        self.labels = self.viewer.layers["sample labels"]
        self.labels.events.data.connect(self._on_data)
        self.viewer.layers.selection.active = self.labels

    @property
    def segmenter(self) -> Any:
        """The segmenter behind the labels."""
        return self.dock.live.session.segmenter

    def find(self, name: str) -> Any:
        """Return a control of the dock."""
        from qtpy.QtWidgets import QWidget

        return self.dock.findChild(QWidget, name)

    def turn(self, seconds: float) -> None:
        """Let the window live for some time."""
        from qtpy.QtCore import QTimer

        QTimer.singleShot(int(1000 * seconds), self._loop.quit)
        self._loop.exec()

    def wait(self) -> None:
        """Wait until the dock has nothing to do."""
        end = time.perf_counter() + PATIENCE
        while not self.dock.live.idle:
            if time.perf_counter() > end:
                raise InputError("The window did not answer for ten minutes.")
            self.turn(0.005)

    def change(self, rung: int) -> float:
        """Move the slider; return the time until the labels are on the screen."""
        self.wait()
        self.turn(PAUSE)
        self._awaits = "data"
        started = time.perf_counter()
        self.find("range_slider").setValue(rung)
        self._loop.exec()
        return time.perf_counter() - started

    def redraw(self, data: NDArray[Any]) -> float:
        """Give the layer other labels; return the time until they are on the screen."""
        self.turn(PAUSE)
        self._awaits = "data"
        started = time.perf_counter()
        self.labels.data = data
        self._loop.exec()
        return time.perf_counter() - started

    def close(self) -> None:
        """Close the window."""
        self.wait()
        self.viewer.close()
        self.turn(PAUSE)

    def _on_data(self, _: object) -> None:
        if self._awaits == "data":
            self._awaits = "frame"

    def _on_frame(self) -> None:
        if self._awaits == "frame":
            self._awaits = ""
            self._loop.quit()
