"""Images that are segmented in blocks, to disk, from the Segment dock in a real window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.layers import Image
from napari.qt.threading import WorkerBase
from tifffile import imwrite

from napari_pea.core.errors import InputError
from napari_pea.volumes.job import job_state
from napari_pea.volumes.sources import ModelSource
from napari_pea.widgets.blocks import PartArray
from napari_pea.widgets.repeat import as_command
from napari_pea.widgets.sources import ImagePart

PATIENCE = 60_000


@pytest.fixture
def rods() -> np.ndarray:
    """Three rods that run through all blocks along z, two of which touch; (40, 24, 64)."""
    pixels = np.zeros((40, 24, 64), dtype=np.uint16)
    pixels[:, 4:14, 4:16] = 200
    pixels[:, 4:14, 16:28] = 300
    pixels[3:37, 8:20, 40:60] = 400
    return pixels


@pytest.fixture
def hand(
    open_dock: Callable[..., Any],
    bands: list[Any],
    volume_model: Path,
    rods: np.ndarray,
    tmp_path: Path,
) -> Any:
    """A dock with a lazy image of two channels and all choices for a job in blocks."""
    hand = open_dock(show=True)
    hand.find("model_combo").setCurrentText("solid")
    assert not hand.find("blocks_fold").isExpanded()
    image = da.from_array(np.stack([rods // 2, rods]), chunks=(1, 16, 24, 32))
    hand.viewer.add_image(
        image, name="rods", scale=(1, 2, 0.5, 0.5), axis_labels=("c", "z", "y", "x")
    )
    # It is one for which blocks are made.
    assert hand.find("blocks_fold").isExpanded()
    hand.find("channel_combo").setCurrentText("1")
    hand.find("blocks_output_edit").setText(str(tmp_path / "out" / "found.zarr"))
    hand.find("block_edit").setText("16, 24, 32")
    return hand


def wait(hand: Any, qtbot: Any) -> str:
    """Wait for the job; return what is said about it."""
    qtbot.waitUntil(lambda: hand.dock.blocks_group.idle, timeout=PATIENCE)
    return hand.find("blocks_label").text()


def test_a_job_is_stopped_resumed_and_shown(
    hand: Any, rods: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    embed, seen, gate = ModelSource.__call__, [], Event()

    def slow(source: ModelSource, region: Any, cancel: Any = None) -> Any:
        seen.append(region)
        while len(seen) > 3 and not gate.wait(0.005):
            cancel.check()
        return embed(source, region)

    monkeypatch.setattr(ModelSource, "__call__", slow)
    qtbot.waitUntil(hand.dock.blocks_group.isVisible)
    hand.click("blocks_button")
    qtbot.waitUntil(lambda: len(seen) > 3, timeout=PATIENCE)
    assert hand.find("blocks_progress").isVisible()
    # The other controls go on meanwhile, and do not stop it.
    hand.find("range_slider").setValue(4)
    hand.wait()
    assert not hand.dock.blocks_group.idle
    hand.click("blocks_stop_button")
    assert "Resume goes on" in wait(hand, qtbot)
    hand.find("reset_button").click()
    assert hand.find("blocks_button").text() == "Resume"

    gate.set()
    hand.click("blocks_button")
    said = wait(hand, qtbot)
    assert said.startswith("3 objects in 6 blocks: 'rods labels in blocks'")
    assert len(seen) == 7  # the three that were done, the one that was not, and those left
    layer = hand.viewer.layers["rods labels in blocks"]
    assert isinstance(layer.data, da.Array)
    labels = np.asarray(layer.data)
    assert labels.shape == rods.shape
    assert len(np.unique(labels)) == 4
    assert len(np.unique(labels[rods == 300])) == 1
    np.testing.assert_array_equal(labels > 0, rods > 0)
    np.testing.assert_allclose(layer.scale, (2, 0.5, 0.5))
    assert layer.metadata["napari_pea"]["path"] == str(tmp_path / "out" / "found.zarr")

    # What is there is opened, but not for another image, and replaced only if that is wanted.
    hand.viewer.add_image(rods[5:], name="shorter")
    hand.click("blocks_button")
    assert "they are those of another image" in hand.find("blocks_label").text()
    hand.viewer.layers.remove("shorter")
    hand.find("channel_combo").setCurrentText("1")
    assert hand.find("blocks_button").text() == "Open"
    hand.click("blocks_button")
    assert hand.names[-1] == "rods labels in blocks [1]"
    hand.find("range_slider").setValue(0)
    hand.click("blocks_again_button")
    assert wait(hand, qtbot).startswith("2 objects")


def test_closing_the_dock_leaves_the_job(
    hand: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    begun = Event()

    def endless(source: ModelSource, region: Any, cancel: Any = None) -> Any:
        begun.set()
        while True:
            cancel.check()

    monkeypatch.setattr(ModelSource, "__call__", endless)
    hand.click("blocks_button")
    qtbot.waitUntil(begun.is_set, timeout=PATIENCE)
    hand.viewer.window.remove_dock_widget(hand.frame)
    qtbot.waitUntil(lambda: not WorkerBase._worker_set, timeout=PATIENCE)
    assert job_state(tmp_path / "out" / "found.zarr") == "unfinished"


def test_pixels_that_cannot_be_read_are_told(
    hand: Any, tmp_path: Path, rods: np.ndarray, qtbot: Any
) -> None:
    def broken(_: Any) -> Any:
        raise OSError("short read")

    image = da.from_array(rods, chunks=(16, 24, 32)).map_blocks(broken, dtype=rods.dtype)
    # napari wants to show a part that is whole.
    hand.viewer.layers["rods"].data = da.concatenate([da.from_array(rods[:20]), image[20:]])[None]
    hand.find("channel_combo").setCurrentText("0")
    hand.click("blocks_button")
    assert "cannot be read, because it is missing or damaged" in wait(hand, qtbot)
    hand.segment()
    assert "cannot be read, because it is missing or damaged" in hand.status
    store = zarr.create_array(
        tmp_path / "in.zarr", shape=rods.shape, chunks=(20, 24, 64), dtype="u2"
    )
    store[:20] = rods[:20]
    hand.viewer.add_image(store, name="copied")
    hand.click("blocks_button")
    assert "1 of 2 chunks of 'copied' are missing" in wait(hand, qtbot)
    hand.find("blocks_missing_check").setChecked(True)
    hand.click("blocks_button")
    assert wait(hand, qtbot).startswith("3 objects")
    store[20:] = rods[20:]
    (tmp_path / "file").touch()
    hand.find("blocks_output_edit").setText(str(tmp_path / "file" / "found.zarr"))
    hand.click("blocks_button")
    assert "found.zarr cannot be written to" in wait(hand, qtbot)


def test_bad_choices_get_one_sentence(hand: Any, tmp_path: Path) -> None:
    for control, text, said in (
        ("block_edit", "16, 24", "A block has 3 sides, one for each axis, and not 2"),
        ("block_edit", "16, x, 3", "Sides of a block are whole numbers"),
        ("blocks_output_edit", "found.tif", "call them found.tif.zarr"),
        ("blocks_output_edit", "", "Say where the labels are to be written"),
    ):
        hand.find(control).setText(text)
        if control == "blocks_output_edit":
            hand.find("block_edit").clear()
        hand.click("blocks_button")
        assert said in hand.find("blocks_label").text()
        assert hand.dock.blocks_group.idle
    # What somebody else has written is neither opened nor replaced.
    store = zarr.create_array(tmp_path / "theirs.zarr", shape=(4, 4), chunks=(4, 4), dtype="u2")
    store[:] = 7
    hand.find("blocks_output_edit").setText(str(tmp_path / "theirs.zarr"))
    for name in ("blocks_button", "blocks_again_button"):
        hand.click(name)
        assert "theirs.zarr holds no labels of napari-pea" in hand.find("blocks_label").text()
        assert hand.dock.blocks_group.idle
    assert (store[:] == 7).all()


def test_large_labels_have_coarser_levels(
    hand: Any, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    monkeypatch.setattr("napari_pea.volumes.output.COARSEST", 32)
    hand.click("blocks_button")
    assert wait(hand, qtbot).startswith("3 objects")
    layer = hand.viewer.layers["rods labels in blocks"]
    assert layer.multiscale
    # Sections are four times as far apart as pixels, so they are not left out.
    assert [level.shape for level in layer.data] == [(40, 24, 64), (40, 12, 32)]


def test_labels_of_another_volume_are_neither_opened_nor_replaced(
    hand: Any, rods: np.ndarray, qtbot: Any
) -> None:
    series = da.from_array(np.stack([rods, rods // 2]), chunks=(1, 16, 24, 32))
    hand.viewer.layers.clear()
    hand.viewer.add_image(series, name="series", axis_labels=("t", "z", "y", "x"))
    hand.viewer.dims.set_current_step(0, 0)
    hand.find("channel_combo").setCurrentText("shown volume")
    hand.click("blocks_button")
    assert wait(hand, qtbot).startswith("3 objects")
    made = hand.viewer.layers["series labels in blocks"].metadata["napari_pea"]
    assert as_command(made).endswith("--index=0 --pixel-size=1,1,1 --block=16,24,32")
    hand.viewer.dims.set_current_step(0, 1)
    for name in ("blocks_button", "blocks_again_button"):
        hand.click(name)
        assert hand.dock.blocks_group.idle
        assert (
            "holds the labels of 'series', axis 0 at 0, and not of 'series', axis 0 at 1: choose "
            "another name" in hand.find("blocks_label").text()
        )
    hand.viewer.dims.set_current_step(0, 0)
    hand.click("blocks_button")
    assert hand.names[-1] == "series labels in blocks [1]"


def test_the_suggested_name_tells_plane_and_channel(
    open_dock: Callable[..., Any], image: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "series.tif"
    imwrite(path, np.stack([image] * 8))
    hand = open_dock()
    hand.viewer.open(path, plugin="napari")
    hand.viewer.dims.set_current_step(0, 6)
    suggested = hand.find("blocks_output_edit").text()
    assert suggested == str(tmp_path / "series, axis 0 at 6 labels.zarr")


def test_pieces_are_read_of_the_chosen_plane_and_channel() -> None:
    pixels = np.random.default_rng(0).integers(0, 99, (5, 2, 8, 9)).astype(np.uint8)
    part = ImagePart(da.from_array(pixels), ((0, 3),), 1, 1, 4, False)
    array = PartArray(part)
    assert (array.shape, array.dtype) == ((8, 9), np.uint8)
    np.testing.assert_array_equal(array[2:5, ::3], pixels[3, 1, 2:5, ::3])
    np.testing.assert_array_equal(array[..., 4:], pixels[3, 1, :, 4:])
    np.testing.assert_array_equal(array[2], pixels[3, 1, 2])
    colors = Image(pixels[:, 0, :, :3], rgb=True)
    part = ImagePart(colors.data, (), 2, None, 2, True)
    np.testing.assert_array_equal(PartArray(part)[1:3], pixels[1:3, 0, :, 2])
    with pytest.raises(InputError, match="choose one in place of all"):
        PartArray(ImagePart(colors.data, (), None, None, 2, True))
