"""Measure how long the program takes to be there: make startup-times.

Each figure is from processes of its own. On a busy machine the smallest wall time and the processor
time say most.
"""

from __future__ import annotations

import subprocess
import sys
from statistics import median

#: How often each is measured.
REPEATS = 5

IMPORT = """
import time
wall, cpu = time.perf_counter(), time.process_time()
import napari_pea
print(time.perf_counter() - wall, time.process_time() - cpu)
"""

#: What others bring is loaded first: napari, with a window on the screen, and PyTorch.
OPEN = """
import time, torch, napari
from qtpy.QtWidgets import QApplication
viewer = napari.Viewer()
QApplication.processEvents()
steps = [(time.perf_counter(), time.process_time())]
import napari_pea.widgets.segment_dock
steps.append((time.perf_counter(), time.process_time()))
viewer.window.add_plugin_dock_widget("napari-pea", "Segment")
steps.append((time.perf_counter(), time.process_time()))
QApplication.processEvents()
steps.append((time.perf_counter(), time.process_time()))
for (wall, cpu), (later, more) in zip(steps, steps[1:]):
    print(later - wall, more - cpu)
viewer.close()
"""


def measured(code: str) -> list[list[tuple[float, float]]]:
    """Run code several times; each time it prints wall and processor time of its steps."""
    runs = []
    for _ in range(REPEATS):
        result = subprocess.run(  # noqa: S603 - the code above
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        lines = [line.split() for line in result.stdout.splitlines()]
        runs.append([(float(wall), float(cpu)) for wall, cpu in lines])
    return runs


def show(title: str, pairs: list[tuple[float, float]]) -> None:
    """Print one line."""
    walls, cpus = zip(*pairs, strict=True)
    print(  # noqa: T201
        f"{title:34} wall {1000 * min(walls):5.0f} ms (median {1000 * median(walls):5.0f}), "
        f"processor {1000 * min(cpus):5.0f} ms (median {1000 * median(cpus):5.0f})"
    )


def main() -> None:
    """Measure importing and opening the Segment dock."""
    show("import napari_pea", [run[0] for run in measured(IMPORT)])
    runs = measured(OPEN)
    for step, title in enumerate(
        ("  import of the dock", "  making and docking it", "  painting it")
    ):
        show(title, [run[step] for run in runs])
    totals = [(sum(wall for wall, _ in run), sum(cpu for _, cpu in run)) for run in runs]
    show("opening the Segment dock", totals)


if __name__ == "__main__":
    main()
