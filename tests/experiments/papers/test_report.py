from __future__ import annotations

import json
from pathlib import Path

from napari_pea.experiments.papers.report import Line, Report

REPORT = Report(
    "Title",
    ["First note.", "Second note."],
    ("sbd", "dic", "A2/sbd"),
    [
        Line("one", {"sbd": [0.8, 0.9], "dic": [1.0, 2.0]}, {"sbd": 0.877}, {"runs": "2"}),
        Line("two", {"sbd": [0.5], "A2/sbd": [0.25], "dic": [float("nan")]}),
    ],
)


def test_the_paper_stands_beside_mean_and_deviation() -> None:
    lines = REPORT.markdown().splitlines()
    assert lines[:5] == ["## Title", "", "First note.", "", "Second note."]
    assert lines[6] == "|  | paper: SBD | SBD | \\|DiC\\| | A2 SBD | runs |"
    assert lines[8] == "| one | 0.8770 | 0.8500 ± 0.0707 | 1.50 ± 0.71 |  | 2 |"
    # What is not known stays empty.
    assert lines[9] == "| two |  | 0.5000 |  | 0.2500 |  |"


def test_every_run_can_be_read_by_a_program(tmp_path: Path) -> None:
    REPORT.save(tmp_path, "table")
    assert (tmp_path / "table.md").read_text() == REPORT.markdown()
    stored = json.loads((tmp_path / "table.json").read_text())
    assert stored["lines"][0]["found"]["sbd"] == [0.8, 0.9]
    assert stored["lines"][0]["paper"] == {"sbd": 0.877}
