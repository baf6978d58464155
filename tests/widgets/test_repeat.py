"""Results as commands and as Python, shortcuts, the palette, and layers on request."""

from __future__ import annotations

import gc
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import ref

import numpy as np
import pytest
from napari._app_model import get_app_model
from napari.layers import Labels
from npe2 import PluginManifest
from npe2.manifest.utils import import_python_name
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QFileDialog, QMessageBox
from tifffile import imread, imwrite
from typer.testing import CliRunner

from napari_pea.cli import app
from napari_pea.core.errors import InputError
from napari_pea.core.settings import SegmentationSettings
from napari_pea.widgets.repeat import as_command, as_python, settings_from

OpenDock = Callable[..., Any]


@pytest.fixture
def hand(open_dock: OpenDock, bands: list[Any], tiles_image: np.ndarray) -> Any:
    """A dock whose image is segmented."""
    hand = open_dock(show=True)
    hand.viewer.add_image(tiles_image, name="tiles")
    hand.segment()
    return hand


def clipboard() -> str:
    found = QGuiApplication.clipboard()
    assert found is not None
    return found.text()


@pytest.fixture
def from_file(open_dock: OpenDock, image: np.ndarray, tmp_path: Path) -> Any:
    """A dock with a result, by the real network, of an image that was read from a file."""
    path = tmp_path / "my cells.tif"
    imwrite(path, image)
    hand = open_dock()
    hand.viewer.open(path, plugin="napari")
    hand.segment()
    hand.find("range_slider").setValue(3)
    hand.find("foreground_slider").setValue(0.47)
    hand.find("min_size_spin").setValue(2)
    hand.find("bias_slider").setValue(-0.1)
    hand.find("connectivity_combo").setCurrentIndex(1)
    hand.wait()
    return hand


def test_the_copied_command_makes_the_same_labels(from_file: Any, tmp_path: Path) -> None:
    from_file.click("copy_command_button")
    words = shlex.split(clipboard())
    assert words[:2] == ["napari-pea", "segment"]
    words[words.index("-o") + 1] = str(tmp_path / "labels")
    outcome = CliRunner().invoke(app, words[1:])
    assert outcome.exit_code == 0, outcome.output
    expected = from_file.viewer.layers["my cells labels"].data
    np.testing.assert_array_equal(imread(tmp_path / "labels" / "my cells.tif"), expected)


def test_the_copied_python_makes_the_same_labels(from_file: Any) -> None:
    from_file.click("copy_python_button")
    names: dict[str, Any] = {}
    exec(clipboard(), names)  # noqa: S102 - it is what we copied
    expected = from_file.viewer.layers["my cells labels"].data
    np.testing.assert_array_equal(names["labels"], expected)


def test_what_a_command_cannot_do_is_said() -> None:
    about: dict[str, Any] = {
        "model": "tiny",
        "image_path": "a b.tif",
        "settings": SegmentationSettings(strides=(2, 4)).as_dict(),
        "channel": 1,
        "channel_axis": 0,
    }
    assert "'a b.tif'" in as_command(about)
    assert "--strides 2,4" in as_command(about)
    assert "--channel=1 --channel-axis=0" in as_command(about)
    with pytest.raises(InputError, match="one plane of a stack"):
        as_command({**about, "plane": [[0, 2]]})
    assert "image[2]" in as_python({**about, "plane": [[0, 2]]})
    assert "image[:, 3]" in as_python({**about, "plane": [[1, 3]]})
    with pytest.raises(InputError, match="no corrections"):
        as_command({**about, "corrections": {"strokes": [1]}})
    with pytest.raises(InputError, match="does not say how it was made"):
        as_command({})


def test_the_command_of_labels_in_blocks_takes_their_volume_and_channel() -> None:
    about: dict[str, Any] = {
        "kind": "blocks",
        "path": "out.zarr",
        "model": "tiny",
        "image_path": "series.zarr",
        "settings": SegmentationSettings(fill_holes=False).as_dict(),
        "plane": [[0, 3]],
        "channel": 1,
        "channel_axis": 0,
        "pixel_size": [2.0, 0.25, 0.25],
        "block_shape": [16, 64, 64],
        "allow_missing": True,
    }
    words = shlex.split(as_command(about))
    assert words[:2] == ["napari-pea", "volume"]
    wanted = ["--merge-fragments", "--no-fill-holes", "--no-average-masks", "--index=3,1"]
    wanted += ["--pixel-size=2,0.25,0.25", "--block=16,64,64", "--allow-missing"]
    assert words[-7:] == wanted
    # Channels in front, and the volume after them.
    assert "--index=1,3" in as_command({**about, "plane": [[1, 3]]})
    plain = {**about, "plane": [], "channel": None, "channel_axis": None, "block_shape": None}
    assert "--index" not in as_command(plain)
    assert "--block" not in as_command(plain)
    for plane in ([[2, 3]], [[1, 3]]):
        with pytest.raises(InputError, match="of the first axes only"):
            as_command({**about, "plane": plane, "channel_axis": None})
    with pytest.raises(InputError, match="of the first axes only"):
        as_command({**about, "plane": [], "channel_axis": -1})


def test_settings_of_later_versions_are_read_as_far_as_known() -> None:
    told = {**SegmentationSettings(min_size=3).as_dict(), "magic": 1}
    assert settings_from({"settings": told}) == SegmentationSettings(min_size=3)


def test_a_result_gives_its_settings_back(hand: Any) -> None:
    hand.find("min_size_spin").setValue(33)
    hand.wait()
    labels = hand.viewer.layers["tiles labels"]
    metadata, data = dict(labels.metadata), labels.data.copy()
    hand.find("reset_button").click()
    hand.wait()
    # As when it is opened again, or dragged over from another window.
    hand.viewer.add_layer(Labels(data, name="old", metadata=metadata))
    assert hand.find("min_size_spin").value() == 33
    assert "Took over the settings of 'old'" in hand.status
    hand.wait()
    hand.find("reset_button").click()
    hand.wait()
    hand.viewer.layers.selection.active = hand.viewer.layers["old"]
    hand.click("restore_button")
    hand.wait()
    assert hand.find("min_size_spin").value() == 33
    hand.viewer.layers.selection.active = hand.viewer.layers["tiles"]
    hand.click("restore_button")
    assert hand.status == "Select a result in the layer list first."


def test_a_saved_result_gives_its_settings_back(
    hand: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), ""))
    hand.viewer.layers["tiles"].scale = (2, 3)
    hand.find("min_size_spin").setValue(33)
    hand.wait()
    labels = hand.viewer.layers["tiles labels"]
    data, told = labels.data.copy(), dict(labels.metadata["napari_pea"])
    hand.click("save_button")
    assert "Saved" in hand.status
    hand.find("reset_button").click()
    hand.wait()
    (opened,) = hand.viewer.open(tmp_path / "mine.pea.tif", plugin="napari-pea")
    np.testing.assert_array_equal(opened.data, data)
    np.testing.assert_allclose(opened.scale, (2, 3))
    assert opened.metadata["napari_pea"] == told
    assert hand.find("min_size_spin").value() == 33
    hand.wait()

    hand.viewer.layers.clear()
    hand.click("save_button")
    assert "There is no result yet" in hand.status


def test_a_result_replaces_another_only_if_the_user_says_so(
    hand: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, there = tmp_path / "mine.tif", tmp_path / "mine.pea.tif"
    there.write_bytes(b"precious")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(given), ""))
    buttons, asked = QMessageBox.StandardButton, []
    for reply in (buttons.No, buttons.Yes):
        monkeypatch.setattr(
            QMessageBox, "question", lambda *told, reply=reply: asked.append(told[2]) or reply
        )
        hand.click("save_button")
        assert (there.read_bytes() == b"precious") == (reply == buttons.No)
    assert asked == ["Replace mine.pea.tif?"] * 2


def test_copying_needs_a_result(open_dock: OpenDock, tiles_image: np.ndarray) -> None:
    hand = open_dock()
    hand.viewer.add_image(tiles_image, name="tiles")
    hand.click("copy_command_button")
    assert "There is no result yet" in hand.status


def test_shortcuts_act_only_while_the_dock_is_open(hand: Any, qtbot: Any) -> None:
    viewer = hand.viewer
    canvas = viewer.window._qt_viewer.canvas.native
    slider = hand.find("range_slider")
    before = slider.value()
    qtbot.keyClick(canvas, Qt.Key.Key_Period, Qt.KeyboardModifier.AltModifier)
    assert slider.value() == before + 1
    hand.wait()
    keys = set(viewer.keymap)
    hand.frame.hide()
    assert not set(viewer.keymap)
    qtbot.keyClick(canvas, Qt.Key.Key_Period, Qt.KeyboardModifier.AltModifier)
    assert slider.value() == before + 1
    hand.frame.show()
    assert set(viewer.keymap) == keys


def test_shortcuts_take_no_key_from_anyone(open_dock: OpenDock, tiles_image: np.ndarray) -> None:
    hand = open_dock(show=True)
    hand.frame.hide()
    pressed: list[str] = []
    hand.viewer.bind_key("Alt-S", lambda _: pressed.append("mine"))
    mine = dict(hand.viewer.keymap)
    hand.frame.show()
    assert {key: hand.viewer.keymap[key] for key in mine} == mine
    assert len(hand.viewer.keymap) > 1
    hand.frame.hide()
    assert dict(hand.viewer.keymap) == mine
    napari_keys = {str(key) for kind in (Labels, type(hand.viewer)) for key in kind.class_keymap}
    hand.frame.show()
    assert not napari_keys & {str(key) for key in set(hand.viewer.keymap) - set(mine)}


def test_commands_of_the_palette(hand: Any) -> None:
    commands = get_app_model().commands
    assert "napari-pea.cancel" in commands

    def run(name: str) -> None:
        commands.execute_command(f"napari-pea.{name}").result()
        hand.wait()

    slider = hand.find("range_slider")
    before = slider.value()
    run("shorter_range")
    assert slider.value() == before - 1
    run("longer_range")
    run("reset")
    run("toggle_embedding")
    assert "tiles embedding" not in hand.names
    run("toggle_foreground")
    assert "tiles foreground" in hand.names
    run("add_affinity")
    assert "affinity (−1, 0)" in hand.names
    run("copy_command")
    assert clipboard().startswith("napari-pea segment")
    hand.viewer.layers.remove("tiles labels")
    run("segment_now")
    assert "tiles labels" in hand.names


def test_every_command_names_something_that_exists() -> None:
    manifest = PluginManifest.from_distribution("napari-pea")
    for command in manifest.contributions.commands or []:
        assert callable(import_python_name(command.python_name)), command.id
        assert re.match(r"napari-pea\.\w+$", command.id)


def test_layers_on_request_come_and_go(hand: Any) -> None:
    layers = hand.viewer.layers
    hand.find("foreground_check").click()
    hand.wait()
    shown = layers["tiles foreground"]
    assert shown.data.max() > 0.5
    colors = layers["tiles embedding"]
    hand.find("affinity_combo").setCurrentText("(0, −3)")
    hand.click("affinity_button")
    hand.wait()
    hand.click("affinity_button")
    hand.wait()
    names = hand.names
    assert len(names) == 5
    before = colors.data
    hand.find("foreground_slider").setValue(0.72)
    hand.wait()
    # What depends on the setting is renewed, and nothing is there twice.
    assert hand.names == names
    assert colors.data is not before
    assert not colors.data[layers["tiles labels"].data == 0].any()
    kept = colors.data
    hand.find("min_size_spin").setValue(1)
    hand.wait()
    assert colors.data is kept

    layers.remove("affinity (0, −3)")
    gone = ref(shown), ref(colors)
    del shown, colors, before, kept
    hand.find("foreground_check").click()
    hand.find("embedding_check").click()
    assert hand.names == ["tiles", "tiles labels"]
    hand.find("min_size_spin").setValue(2)
    hand.wait()
    assert hand.names == ["tiles", "tiles labels"]
    gc.collect()
    assert [each() for each in gone] == [None, None]


def test_a_picture_that_was_removed_stays_away(hand: Any) -> None:
    hand.viewer.layers.remove("tiles embedding")
    hand.find("foreground_slider").setValue(0.72)
    hand.wait()
    assert "tiles embedding" not in hand.names
    hand.segment()
    assert "tiles embedding" in hand.names


def test_volumes_as_command() -> None:
    settings = SegmentationSettings(ranges=(1, 3), z_ranges=(1, 2)).as_dict()
    about = {"kind": "labels", "settings": settings, "model": "solid", "plane": []}
    assert "--ranges 1,3 --z-ranges 1,2 " in as_command(about)
    blocks = about | {"kind": "blocks", "path": "out/found.zarr", "image_path": "stack.zarr"}
    assert as_command(blocks).startswith("napari-pea volume stack.zarr -o out/found.zarr --model")
    assert "--fill-holes" in as_command(blocks)
    with pytest.raises(InputError, match="as a command"):
        as_python(blocks)
    for convert in (as_command, as_python):
        with pytest.raises(InputError, match="Apply to whole image"):
            convert(about | {"block": [[0, 3], [4, 9], [5, 8]]})
