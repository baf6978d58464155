"""The Batch dock in a real window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.qt.threading import WorkerBase
from qtpy.QtWidgets import QFileDialog, QMessageBox
from tifffile import imwrite

from napari_pea import segment
from napari_pea.io import read_about, read_labels
from napari_pea.models.model import Model
from tests.widgets.conftest import PATIENCE, Hand


class BatchHand(Hand):
    """Does with the Batch dock what a user does."""

    title = "Batch"

    def wait(self) -> None:
        """Wait until the dock is idle."""
        self._qtbot.waitUntil(lambda: self.dock.idle, timeout=PATIENCE)

    def enter(self, inputs: object) -> None:
        self.find("batch_input_edit").setText(str(inputs))
        self.wait()

    def run(self) -> None:
        self.click("batch_run_button")
        self.wait()

    def rows(self) -> list[list[str]]:
        """What the table says of each file, but for the time."""
        table = self.find("batch_table")
        return [
            [table.item(row, column).text() for column in range(3)]
            for row in range(table.rowCount())
        ]

    @property
    def status(self) -> str:
        return self.find("batch_status").text()


@pytest.fixture
def folder(tmp_path: Path, tiles_image: np.ndarray) -> Path:
    """Three images, one of them damaged."""
    home = tmp_path / "plate"
    home.mkdir()
    imwrite(home / "a.tif", tiles_image)
    (home / "b.tif").write_bytes(b"II*\0damaged")
    imwrite(home / "c.tif", tiles_image[:, ::-1])
    return home


@pytest.fixture
def hand(
    make_napari_viewer: Callable[..., Any], qtbot: Any, bands: list[Any]
) -> Iterator[BatchHand]:
    yield BatchHand(make_napari_viewer(show=True), qtbot)
    qtbot.waitUntil(lambda: not WorkerBase._worker_set, timeout=PATIENCE)


def test_a_folder_is_segmented_and_errors_stop_nothing(
    hand: BatchHand, folder: Path, tmp_path: Path, tiny_model_path: Path, tiles_image: np.ndarray
) -> None:
    assert not hand.find("batch_run_button").isEnabled()
    hand.enter(folder)
    assert hand.find("batch_output_edit").text() == str(folder / "labels")
    assert hand.status == "3 images."
    assert [row[:2] for row in hand.rows()] == [[f"{n}.tif", "waiting"] for n in "abc"]
    hand.find("batch_tables_check").click()
    hand.run()
    out = folder / "labels"
    expected = segment(tiles_image, tiny_model_path)
    np.testing.assert_array_equal(read_labels(out / "a.tif"), expected.labels)
    count = str(len(expected.table))
    assert hand.rows() == [
        ["a.tif", "done", count],
        ["b.tif", "failed", ""],
        ["c.tif", "done", "4"],
    ]
    assert "is damaged" in hand.find("batch_table").item(1, 1).toolTip()
    assert hand.status == f"2 done, 1 failed: 8 objects, all in {out / 'summary.csv'}."
    summary = pd.read_csv(out / "summary.csv")
    assert summary["image"].value_counts().to_dict() == {"a.tif": 4, "c.tif": 4}
    assert sorted(path.name for path in out.iterdir()) == [
        "a.csv",
        "a.tif",
        "c.csv",
        "c.tif",
        "summary.csv",
    ]

    # Mended, it goes on with what is missing.
    imwrite(folder / "b.tif", tiles_image)
    hand.run()
    assert [row[1] for row in hand.rows()] == ["done before", "done", "done before"]
    assert hand.status.startswith("1 done, 2 done before: 12 objects")
    hand.find("batch_table").selectRow(1)
    hand.click("batch_open_button")
    assert hand.names == ["b", "b labels"]
    np.testing.assert_array_equal(hand.viewer.layers["b labels"].data, read_labels(out / "b.tif"))


def test_settings_of_the_segment_dock_and_replacing(
    hand: BatchHand, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "b.tif").unlink()
    _, dock = hand.viewer.window.add_plugin_dock_widget("napari-pea", "Segment")
    dock.settings_group.findChild(object, "min_size_spin").setValue(100)
    hand.find("batch_settings_combo").setCurrentIndex(1)
    hand.enter(f"{folder / 'a.tif'}; {folder}/c*.tif")
    hand.run()
    assert [row[1:] for row in hand.rows()] == [["done", "3"], ["done", "3"]]
    about = read_about(folder / "labels" / "a.tif") or {}
    assert about["settings"]["min_size"] == 100

    hand.find("batch_resume_check").click()
    asked: list[str] = []
    buttons = QMessageBox.StandardButton
    answers = [buttons.No, buttons.Yes]
    monkeypatch.setattr(
        QMessageBox, "question", lambda *given: asked.append(given[2]) or answers[len(asked) - 1]
    )
    before = (folder / "labels" / "a.tif").stat().st_mtime_ns
    # What the run itself has left is asked about too.
    hand.run()
    assert hand.status == "2 images; 2 have labels there already."
    assert asked == [f"Replace 2 label images in {folder / 'labels'}?"]
    assert (folder / "labels" / "a.tif").stat().st_mtime_ns == before
    hand.run()
    assert (folder / "labels" / "a.tif").stat().st_mtime_ns > before
    assert [row[1] for row in hand.rows()] == ["done", "done"]


def test_a_batch_can_be_cancelled_and_gone_on_with(
    hand: BatchHand, folder: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    embed, entered, free = Model.embed, Event(), Event()

    def slow(self: Model, image: Any, **options: Any) -> Any:
        if image[0].any() or (not free.is_set() and entered.is_set()):
            raise AssertionError("two at once")
        entered.set()
        while not free.wait(0.005):
            options["cancel"].check()
        return embed(self, image, **options)

    monkeypatch.setattr(Model, "embed", slow)
    hand.enter(folder)
    hand.click("batch_run_button")
    qtbot.waitUntil(entered.is_set, timeout=PATIENCE)
    qtbot.waitUntil(lambda: hand.rows()[0][1] == "running …", timeout=PATIENCE)
    assert not hand.find("batch_input_edit").isEnabled()
    hand.click("batch_cancel_button")
    hand.wait()
    assert hand.status == "Cancelled; what is done is kept, and Run goes on."
    assert [row[1] for row in hand.rows()] == ["waiting"] * 3
    free.set()
    qtbot.waitUntil(lambda: hand.find("batch_run_button").isEnabled(), timeout=PATIENCE)
    hand.run()
    assert [row[1] for row in hand.rows()] == ["done", "failed", "done"]


def test_what_cannot_be_run_is_said(
    hand: BatchHand, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand.enter(folder / "nothing")
    assert "There is no file or folder" in hand.status
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(folder / "a.tif")], ""))
    hand.click("batch_files_button")
    hand.wait()
    assert hand.rows() == [["a.tif", "waiting", ""]]
    mine = folder / "labels" / "a.tif"
    mine.parent.mkdir()
    imwrite(mine, np.ones((40, 56), np.uint8))
    hand.run()
    assert f"{mine} does not say that a batch made it" in hand.status
    assert read_labels(mine).all()
    assert hand.rows() == [["a.tif", "waiting", ""]]
