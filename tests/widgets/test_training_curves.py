"""What is shown of a run."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtGui import QColor

from napari_pea.training.control import TrainingStatus
from napari_pea.widgets.sources import ImagePart
from napari_pea.widgets.training_curves import LOSS_COLOR, MOST_POINTS, TrainingCurves, _averaged
from napari_pea.widgets.training_preview import View
from napari_pea.widgets.training_run import pace_text, time_text


def test_the_curves_are_drawn(qtbot: Any) -> None:
    curves = TrainingCurves()
    qtbot.addWidget(curves)
    curves.resize(300, curves.height())
    before = curves.grab().toImage()
    curves.set_length(100)
    curves.add([(at, 4 / at) for at in range(1, 60)], [{"iteration": 50.0, "aji": 0.5}])
    after = curves.grab().toImage()
    assert before != after
    colors = [after.pixelColor(x, y) for x in range(300) for y in range(after.height())]
    for wanted in (QColor(LOSS_COLOR), QColor("#4daf4a")):
        # Lines are smoothed, so colours are not quite those of the pen.
        assert any(
            abs(color.red() - wanted.red()) < 40
            and abs(color.green() - wanted.green()) < 40
            and abs(color.blue() - wanted.blue()) < 40
            for color in colors
        )
    assert curves.scores["ap50"] == []
    curves.clear()
    assert curves.grab().toImage() == before


def test_a_run_that_goes_on_shows_the_rows_of_its_log(qtbot: Any) -> None:
    curves = TrainingCurves()
    qtbot.addWidget(curves)
    rows = [{"iteration": 50.0, "loss": 2.0}, {"iteration": 100.0, "loss": 1.0, "aji": 0.4}]
    curves.add([], rows)
    curves.add([(101, 0.9)], [])
    assert curves.losses == [(50.0, 2.0), (100.0, 1.0), (101.0, 0.9)]
    assert curves.scores["aji"] == [(100.0, 0.4)]


def test_long_runs_are_averaged_and_keep_their_mean() -> None:
    points = [(float(at), float(at % 7)) for at in range(1, 10 * MOST_POINTS + 3)]
    found = _averaged(points)
    assert len(found) <= MOST_POINTS
    assert (np.diff(found[:, 0]) > 0).all()
    assert found[:, 1].mean() == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (59, "59 s"), (125, "2 min"), (4000, "1 h 7 min")]
)
def test_time_left(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


def test_where_a_run_stands() -> None:
    status = TrainingStatus("training", 120, 1000, 0.5, 2.13, 413, 0.7, 100)
    assert pace_text(status) == ("120 of 1,000 · 2.1 iterations a second · 7 min left · kept: 100")
    assert pace_text(TrainingStatus("preparing", 0, 300)) == "0 of 300 · Getting ready …"


def test_the_preview_is_of_the_middle_of_the_view() -> None:
    layer = Image(np.zeros((400, 900)))
    part = ImagePart(layer.data, (), None, None, 2, False)
    view = View(ref(layer), part, np.array([[-20, 100], [250, 899]]))
    assert view.region(1000) == (slice(0, 251), slice(100, 900))
    assert view.region(200) == (slice(25, 225), slice(400, 600))
    away = View(ref(layer), part, np.array([[500, 1000], [600, 1200]]))
    assert away.region(1000) == (slice(0, 400), slice(0, 900)), "all of it, rather than nothing"
