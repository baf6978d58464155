from __future__ import annotations

import csv
import errno
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from napari_pea.training.history import History

ROWS = [
    {"iteration": 50.0, "loss": 3.25, "learning_rate": 1e-3},
    {"iteration": 100.0, "loss": 2.0, "learning_rate": 5e-4, "validation_loss": 2.5, "aji": 0.75},
    {"iteration": 150.0, "loss": 1.5, "learning_rate": 1e-4},
]


def test_columns_hold_what_was_measured() -> None:
    history = History()
    for row in ROWS:
        history.add(row)
    assert history.names == ["iteration", "loss", "learning_rate", "validation_loss", "aji"]
    assert history.column("loss") == ([50, 100, 150], [3.25, 2.0, 1.5])
    assert history.column("aji") == ([100], [0.75])
    assert history.column("nothing") == ([], [])


def test_the_csv_file_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    History(ROWS).save_csv(path)
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [{name: float(value) for name, value in row.items() if value} for row in rows] == ROWS
    assert rows[0]["aji"] == ""


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], [{"iteration": 1.0, "bsd/aji": 0.5}]])
def test_the_curves_are_a_picture(tmp_path: Path, rows: list[dict[str, float]]) -> None:
    path = tmp_path / "curves.png"
    History(rows).save_picture(path)
    picture = imread(path)
    assert picture.shape == (400, 1000, 4)
    assert picture[..., :3].min() < 0.2
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_keeps_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = tmp_path / "log.csv", tmp_path / "curves.png"
    for path in paths:
        path.write_text("old")

    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(csv.DictWriter, "writerow", full)
    monkeypatch.setattr(Figure, "savefig", full)
    history = History(ROWS)
    with pytest.raises(OSError, match="No space"):
        history.save_csv(paths[0])
    with pytest.raises(OSError, match="No space"):
        history.save_picture(paths[1])
    assert [path.read_text() for path in paths] == ["old", "old"]
    assert set(tmp_path.iterdir()) == set(paths)
