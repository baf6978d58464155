from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import napari_pea
from napari_pea.io import write_labels

if TYPE_CHECKING:
    from typer.testing import Result

Run = Callable[..., "Result"]
Fails = Callable[..., str]

TRUTH = np.zeros((20, 20), dtype=int)
TRUTH[2:8, 2:8] = 1
TRUTH[10:18, 10:18] = 2
TRUTH[0, 0] = 3
LABELS = np.where(TRUTH == 1, 5, 0)
LABELS[10:18, 10:14] = 7


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three label images and their truth, one of them without objects."""
    labels, truth = tmp_path / "labels", tmp_path / "truth"
    write_labels(labels / "a.tif", LABELS)
    write_labels(truth / "a.png", TRUTH)
    write_labels(labels / "b.tif", TRUTH)
    write_labels(truth / "b.npy", TRUTH)
    write_labels(labels / "c.tif", LABELS)
    write_labels(truth / "c.tif", np.zeros_like(TRUTH))
    return labels, truth


def test_two_files_as_json(run: Run, folders: tuple[Path, Path]) -> None:
    labels, truth = folders
    result = run("evaluate", labels / "a.tif", truth / "a.png", "--json")
    told = json.loads(result.stdout)
    expected = napari_pea.evaluate(LABELS, TRUTH)
    assert {name: told[name] for name in expected} == pytest.approx(expected)
    assert told["n_images"] == 1
    (entry,) = told["images"]
    assert entry.pop("image") == "a.tif"
    assert entry == pytest.approx(expected)


def test_folders_are_matched_and_images_without_objects_left_out(
    run: Run, folders: tuple[Path, Path]
) -> None:
    result = run("evaluate", *folders, "--json", "--metrics", "aji,dic", "--min-truth-size", 2)
    told = json.loads(result.stdout)
    first, second = (
        napari_pea.evaluate(x, TRUTH, ["aji"], min_truth_size=2)["aji"] for x in (LABELS, TRUTH)
    )
    assert told["aji"] == pytest.approx((first + second) / 2)
    assert (told["n_images"], told["n_empty_truth"]) == (2, 1)
    assert [entry["image"] for entry in told["images"]] == ["a.tif", "b.tif", "c.tif"]
    assert told["images"][2] == {"image": "c.tif", "aji": None, "dic": 2.0}


def test_table_has_a_row_for_each_image_and_the_mean(run: Run, folders: tuple[Path, Path]) -> None:
    result = run("evaluate", *folders, "--metrics", "aji,pq")
    rows = {row[0]: row[1:] for line in result.stdout.splitlines() if (row := line.split())}
    first = napari_pea.evaluate(LABELS, TRUTH, ["aji", "pq"])
    assert rows["a.tif"] == [f"{value:.4f}" for value in first.values()]
    assert rows["b.tif"] == ["1.0000", "1.0000"]
    assert rows["c.tif"] == ["–", "–"]
    assert rows["mean"] == [f"{(value + 1) / 2:.4f}" for value in first.values()]
    assert "Mean over 2 images; 1 without a true object left out." in result.stdout


def test_truth_that_is_left_over_is_told(run: Run, folders: tuple[Path, Path]) -> None:
    labels, truth = folders
    (labels / "b.tif").unlink()
    result = run("evaluate", labels, truth)
    assert result.exit_code == 0
    assert "1 files in" in result.stderr


def test_what_cannot_be_scored_is_named(
    fails: Fails, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    labels, truth = folders
    a = labels / "a.tif"
    assert "two files or two folders" in fails("evaluate", a, truth)
    assert "There is no file or folder" in fails("evaluate", tmp_path / "no.tif", a)
    assert "Unknown metric 'best'" in fails("evaluate", a, a, "--metrics", "best")
    write_labels(tmp_path / "small.tif", LABELS[:5])
    assert "shape (5, 20)" in fails("evaluate", tmp_path / "small.tif", a)
    np.save(tmp_path / "float.npy", LABELS + 0.5)
    assert "holds float64 values" in fails("evaluate", tmp_path / "float.npy", a)
    write_labels(labels / "d.tif", LABELS)
    assert "as d.tif" in fails("evaluate", labels, truth)
