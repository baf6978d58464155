"""Labels saved by napari's own menu, and read again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.plugins._npe2 import get_readers
from typer.testing import CliRunner

from napari_pea.cli import app
from napari_pea.io import read_about, read_image, read_labels
from napari_pea.io.paths import OPENER
from napari_pea.widgets.result_files import get_reader

OpenDock = Callable[..., Any]


@pytest.fixture
def hand(open_dock: OpenDock, bands: list[Any], tiles_image: np.ndarray) -> Any:
    """A dock whose image is segmented with settings of its own."""
    hand = open_dock(show=True)
    hand.viewer.add_image(tiles_image, name="tiles", scale=(0.5, 0.25), units="um")
    hand.segment()
    hand.find("min_size_spin").setValue(33)
    hand.wait()
    return hand


@pytest.mark.parametrize("name", ["mine.pea.tif", "mine.ome.zarr"])
def test_saved_labels_bring_their_settings_back(hand: Any, tmp_path: Path, name: str) -> None:
    labels = hand.viewer.layers["tiles labels"]
    path = tmp_path / name
    hand.viewer.layers.selection = {labels}
    assert hand.viewer.layers.save(str(path), selected=True) == [str(path)]
    np.testing.assert_array_equal(read_labels(path), labels.data)
    assert read_image(path).pixel_size == (0.5, 0.25)
    told = dict(labels.metadata["napari_pea"])
    hand.find("reset_button").click()
    hand.wait()
    (opened,) = hand.viewer.open(path / OPENER if path.is_dir() else path, plugin="napari-pea")
    assert opened.metadata["napari_pea"] == told
    assert hand.find("min_size_spin").value() == 33
    np.testing.assert_array_equal(opened.data, labels.data)
    np.testing.assert_allclose(opened.scale, (0.5, 0.25))
    assert [str(unit) for unit in opened.units] == ["micrometer", "micrometer"]
    hand.wait()


def test_labels_of_others_are_saved_too(hand: Any, tmp_path: Path) -> None:
    painted = hand.viewer.add_labels(np.eye(6, dtype=int)[None, None], name="painted")
    hand.viewer.layers.selection = {painted}
    path = tmp_path / "own.pea.tif"
    hand.viewer.layers.save(str(path), selected=True)
    (opened,) = hand.viewer.open(path, plugin="napari-pea")
    np.testing.assert_array_equal(opened.data, painted.data)
    assert "napari_pea" not in opened.metadata


def test_folders_of_others_are_not_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("images", "images.zarr"):
        (tmp_path / name).mkdir()
        assert get_reader(str(tmp_path / name)) is None
        opener = tmp_path / name / OPENER
        opener.touch()
        # A file of ours without what it stood for is told in one sentence.
        read = get_reader(str(opener))
        assert read is not None
        assert read(str(opener)) == [(None,)]
        assert "holds neither a session nor labels" in capsys.readouterr().out
    assert get_reader(str(tmp_path / "image.tif")) is None


def test_napari_does_not_ask_which_reader_to_take_for_folders(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    assert "napari-pea" not in get_readers(str(tmp_path / "images"))
    (tmp_path / OPENER).touch()
    assert list(get_readers(str(tmp_path / OPENER))) == ["napari-pea"]


def test_settings_come_back_from_files_of_the_command_line(
    hand: Any, tmp_path: Path, tiny_model_path: Path, tiles_image: np.ndarray
) -> None:
    np.save(tmp_path / "image.npy", tiles_image)
    arguments = ["segment", str(tmp_path / "image.npy"), "-o", str(tmp_path / "out")]
    arguments += ["--model", str(tiny_model_path), "--min-size", "17"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    path = tmp_path / "out" / "image.tif"
    assert (read_about(path) or {})["settings"]["min_size"] == 17
    (opened,) = hand.viewer.open(path, plugin="napari", layer_type="labels")
    hand.viewer.layers.selection.active = opened
    hand.click("restore_button")
    assert hand.find("min_size_spin").value() == 17
    hand.wait()
