"""The measurements of the dock themselves, as short as they can be."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_pea.core.affinity import unit_vectors
from napari_pea.core.errors import InputError
from napari_pea.core.partition import partition_evidence
from napari_pea.core.predict import Embedding
from napari_pea.core.settings import SegmentationSettings
from napari_pea.experiments import benchmark_live, live_session, live_windows
from napari_pea.experiments.benchmark_live import check_display, elf_partition, measure_live
from napari_pea.experiments.live_session import measure_session
from napari_pea.experiments.watch import StallWatch, own_place, running_threads


@pytest.fixture(autouse=True)
def models(tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_PEA_MODELS", str(tiny_model_path.parent))


@pytest.fixture(autouse=True)
def application(qapp: Any) -> Any:
    """The application goes on as it was."""
    before = qapp.quitOnLastWindowClosed()
    yield qapp
    qapp.setQuitOnLastWindowClosed(before)


def test_elf_and_our_partition_agree() -> None:
    random = np.random.default_rng(0)
    vectors = unit_vectors(random.normal(size=(4, 20, 30)).astype(np.float32))
    settings = SegmentationSettings(ranges=(1, 3), strides=1)
    foreground = (random.random((20, 30)) > 0.2).astype(np.float32)
    arguments = (Embedding(vectors, foreground), settings.neighborhood(2), settings)
    ours, theirs = partition_evidence(*arguments), elf_partition(*arguments)
    pairs = {(int(a), int(b)) for a, b in zip(ours.ravel(), theirs.ravel(), strict=True)}
    assert len(pairs) == len(set(ours.ravel().tolist())) == len(set(theirs.ravel().tolist()))


@pytest.mark.usefixtures("make_napari_viewer")
def test_figures_of_a_few_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_live, "PAUSE", 0.01)
    steps: list[tuple[int, int]] = []
    found = measure_live(
        "tiny",
        shapes=((64, 64),),
        changes=3,
        reference_changes=2,
        progress=lambda done, total: steps.append((done, total)),
    )
    (image,) = found["images"]
    assert image["shape"] == [64, 64]
    for name, n_changes in (("ours", 3), ("elf", 2), ("redraw", 3)):
        assert image[name]["changes"] == n_changes
        assert 0 < image[name]["median"] <= image[name]["p95"]
    assert steps[-1] == (8, 8)


@pytest.mark.usefixtures("make_napari_viewer")
def test_a_session_does_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_session, "SHAPE", (128, 160))
    monkeypatch.setattr(live_session, "_rehearsed", lambda *_: 0.0)
    for module in (live_session, live_windows):
        monkeypatch.setattr(module, "AFTER", 0.03)
    found = measure_session("tiny", actions=len(live_session.ACTIONS))
    assert found["errors"] == []
    assert found["leaked_threads"] == []
    assert set(found["stalls"]) == set(live_session.ACTIONS)
    assert found["longest_stall"] > 0
    assert found["longest_busy"] > 0
    assert len(found["stalls"]["drag"]) == 2


def test_without_a_display_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(InputError, match="needs a window"):
        check_display()


def test_waiting_is_a_stall_but_not_busy(qapp: Any) -> None:
    watch = StallWatch(qapp)
    time.sleep(0.05)
    stall = watch.take()
    watch.stop()
    assert stall.seconds >= 0.05
    assert stall.busy < stall.seconds


def test_a_thread_of_qt_counts_only_while_it_is_at_work(qtbot: Any) -> None:
    from qtpy.QtCore import QThread

    class Worker(QThread):
        def run(self) -> None:
            threading.current_thread()  # now Python knows it
            ready.set()
            leave.wait()

    ready, leave = threading.Event(), threading.Event()
    before = Counter(running_threads())
    worker = Worker()
    worker.start()
    ready.wait()
    during = Counter(running_threads())
    leave.set()
    worker.wait()
    assert (during - before).total() == 1
    assert not Counter(running_threads()) - before


def test_a_thread_that_goes_on_is_noticed() -> None:
    leave = threading.Event()
    before = Counter(running_threads())
    thread = threading.Thread(target=leave.wait, name="goes on")
    thread.start()
    assert list((Counter(running_threads()) - before).elements()) == ["goes on"]
    leave.set()
    thread.join()


def test_our_code_is_told_from_that_of_others() -> None:
    place: list[str | None] = []
    ready = threading.Event()

    def busy(_: int, __: int, /) -> None:
        ready.set()
        while not place:
            time.sleep(0.001)

    from napari_pea.core import metrics  # what is called by us is ours

    namespace = {"__name__": "napari_pea.core.imagined", "busy": busy}
    exec("def work():\n    busy(0, 0)\n", namespace)  # noqa: S102 - a module of ours
    assert metrics
    thread = threading.Thread(target=namespace["work"])
    thread.start()
    ready.wait()
    place.append(own_place(sys._current_frames()[thread.ident or 0]))
    thread.join()
    assert place == ["napari_pea.core.imagined:2"]
    assert own_place(None) is None
