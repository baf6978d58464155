from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.axes import Axes
from skimage.io import imread

from napari_pea.experiments.papers.figure import Panel, draw
from napari_pea.experiments.papers.report import Line, Report

REPORT = Report(
    "Title",
    [],
    ("sbd", "dic", "aji"),
    [
        Line("few", {"sbd": [0.4, 0.6], "dic": [1.0, 3.0]}),
        Line("many", {"sbd": [0.9], "dic": [2.0]}),
        Line("not yet"),
    ],
)
PANEL = Panel("dimensions", (("4", "few"), ("8", "not yet"), ("16", "many")))


def test_points_are_means_with_their_spread_and_what_is_missing_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[list[int], list[float], list[float]]] = []
    original = Axes.errorbar

    def errorbar(axes: Axes, places, means, spread, **style):  # type: ignore[no-untyped-def]
        drawn.append((list(places), list(means), list(spread)))
        return original(axes, places, means, spread, **style)

    monkeypatch.setattr(Axes, "errorbar", errorbar)
    path = tmp_path / "figure.png"
    draw(REPORT, [PANEL], path)
    assert imread(path).shape[:2] == (600, 500)
    (places, means, spread), second = drawn  # the third metric is not drawn
    assert places == [0, 2]
    assert means == pytest.approx([0.5, 0.9])
    assert spread == pytest.approx([0.1414, 0], abs=1e-4)
    assert second[1] == pytest.approx([2, 2])
