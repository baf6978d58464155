"""Sessions that are saved and opened again, in a real window."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from napari.layers import Image
from qtpy.QtWidgets import QFileDialog, QMessageBox

from napari_pea.io.paths import OPENER
from napari_pea.io.session import KEY, read_session
from napari_pea.models.model import Model
from napari_pea.models.package import copy_model
from napari_pea.models.shelf import rename_model

OpenDock = Callable[..., Any]
Ask = Callable[[Path], None]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """What the user answers when asked where a session is."""

    def answer(path: Path) -> None:
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), ""))
        monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, **__: str(path))

    return answer


@pytest.fixture
def hand(open_dock: OpenDock, bands: list[Any], tiles_image: np.ndarray, tmp_path: Path) -> Any:
    """A dock whose image, read from a file, is segmented with settings of its own."""
    tifffile.imwrite(tmp_path / "tiles.tif", tiles_image)
    hand = open_dock(show=True)
    hand.viewer.open(tmp_path / "tiles.tif", plugin="napari")
    layer = hand.viewer.layers["tiles"]
    layer.scale, layer.units, layer.colormap = (0.5, 0.25), ("um", "um"), "magma"
    hand.segment()
    hand.find("min_size_spin").setValue(50)
    hand.wait()
    return hand


def draw_join(hand: Any, draw: Callable[..., None]) -> None:
    """Join the first two squares."""
    hand.click("join_button")
    draw(hand.viewer, [(5, 3), (5, 5)])
    hand.wait()


def forget(hand: Any) -> None:
    """Start anew, as after opening napari again."""
    hand.viewer.layers.clear()
    hand.click("reset_button")
    hand.wait()


def save(hand: Any, ask: Ask, path: Path) -> None:
    ask(path)
    hand.click("save_session_button")
    hand.wait()
    assert hand.status == f"Saved {path}."


def open_(hand: Any, ask: Ask, path: Path) -> None:
    ask(path)
    hand.click("open_session_button")
    hand.wait()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From when this is called, the network must not run."""

    def forbid() -> None:
        def run(*_: Any, **__: Any) -> None:
            raise AssertionError("the network ran")

        monkeypatch.setattr(Model, "embed", run)
        monkeypatch.setattr("napari_pea.models.model.predict", run)

    return forbid


def test_a_session_goes_on_where_it_was_left(
    hand: Any,
    ask: Ask,
    tmp_path: Path,
    draw: Callable[..., None],
    no_network: Callable[[], None],
) -> None:
    draw_join(hand, draw)
    labels = hand.viewer.layers["tiles labels"]
    data, features, told = labels.data.copy(), labels.features.copy(), labels.metadata["napari_pea"]
    assert data[8, 8] == data[8, 20] != data[8, 32]
    hand.viewer.scene.camera.zoom = 7.5
    path = tmp_path / "mine.pea.zarr"
    save(hand, ask, path)
    forget(hand)
    no_network()
    open_(hand, ask, path)

    layers = hand.viewer.layers
    assert {"tiles", "tiles labels", "tiles corrections", "tiles embedding"} <= set(hand.names)
    assert layers["tiles"].source.path == str(tmp_path / "tiles.tif")
    np.testing.assert_allclose(layers["tiles"].scale, (0.5, 0.25))
    assert layers["tiles"].colormap.name == "magma"
    opened = layers["tiles labels"]
    np.testing.assert_array_equal(opened.data, data)
    assert opened.metadata["napari_pea"] == told
    pd.testing.assert_frame_equal(opened.features[list(features)], features, check_dtype=False)
    assert hand.find("min_size_spin").value() == 50
    assert hand.find("corrections_label").text() == "1 stroke"
    assert hand.viewer.scene.camera.zoom == 7.5
    assert hand.status == "2 objects, as they were saved."

    # Everything is live: the stroke can be undone, and every control acts.
    hand.click("undo_correction_button")
    hand.wait()
    assert opened.data[8, 8] != opened.data[8, 20]
    hand.find("min_size_spin").setValue(300)
    hand.wait()
    assert not opened.data.any()
    hand.find("range_slider").setValue(1)
    hand.find("min_size_spin").setValue(1)
    hand.wait()
    assert len(np.unique(opened.data)) == 5


def test_opening_a_session_from_the_menu_of_napari(
    hand: Any, ask: Ask, tmp_path: Path, no_network: Callable[[], None]
) -> None:
    data = hand.viewer.layers["tiles labels"].data.copy()
    path = tmp_path / "mine.pea.zarr"
    save(hand, ask, path)
    forget(hand)
    no_network()
    assert hand.viewer.open(path / OPENER, plugin="napari-pea") == []
    hand.wait()
    np.testing.assert_array_equal(hand.viewer.layers["tiles labels"].data, data)


def test_an_image_without_a_file_is_copied(
    open_dock: OpenDock,
    bands: list[Any],
    tiles_image: np.ndarray,
    ask: Ask,
    tmp_path: Path,
    no_network: Callable[[], None],
) -> None:
    hand = open_dock(show=True)
    stack = np.stack(
        [tiles_image, np.zeros_like(tiles_image), np.where(tiles_image > 0, tiles_image + 100, 0)]
    )
    hand.viewer.add_image(stack, name="stack", scale=(2, 1, 1), contrast_limits=(0, 900))
    hand.viewer.dims.set_point(0, 4)
    hand.segment()
    labels = hand.viewer.layers["stack labels"]
    data, translate = labels.data.copy(), labels.translate.copy()
    path = tmp_path / "mine.pea.zarr"
    save(hand, ask, path)
    forget(hand)
    no_network()
    open_(hand, ask, path)
    image = hand.viewer.layers["stack"]
    np.testing.assert_array_equal(image.data, stack)
    assert tuple(image.contrast_limits) == (0, 900)
    opened = hand.viewer.layers["stack labels"]
    np.testing.assert_array_equal(opened.data, data)
    np.testing.assert_allclose(opened.translate, translate)
    assert hand.viewer.dims.point[0] == 4
    hand.find("min_size_spin").setValue(300)
    hand.wait()
    assert not opened.data.any()


def test_a_session_can_be_sent_with_its_image(hand: Any, ask: Ask, tmp_path: Path) -> None:
    hand.find("session_image_check").click()
    path = tmp_path / "mine.pea.zarr"
    save(hand, ask, path)
    forget(hand)
    (tmp_path / "tiles.tif").unlink()
    (tmp_path / "there").mkdir()
    sent = shutil.move(path, tmp_path / "there" / "yours.pea.zarr")
    open_(hand, ask, Path(sent))
    assert {"tiles", "tiles labels"} <= set(hand.names)
    assert hand.status == "3 objects, as they were saved."


def test_a_session_that_moved_with_its_image_finds_it(hand: Any, ask: Ask, tmp_path: Path) -> None:
    save(hand, ask, tmp_path / "mine.pea.zarr")
    forget(hand)
    there = tmp_path / "there"
    there.mkdir()
    for name in ("mine.pea.zarr", "tiles.tif"):
        shutil.move(tmp_path / name, there / name)
    open_(hand, ask, there / "mine.pea.zarr")
    assert hand.viewer.layers["tiles"].source.path == str(there / "tiles.tif")
    assert hand.status == "3 objects, as they were saved."


def test_without_its_image_a_session_opens_its_labels(
    hand: Any, ask: Ask, tmp_path: Path, tiles_image: np.ndarray, draw: Callable[..., None]
) -> None:
    draw_join(hand, draw)
    data = hand.viewer.layers["tiles labels"].data.copy()
    path = tmp_path / "mine.pea.zarr"
    save(hand, ask, path)
    forget(hand)
    (tmp_path / "tiles.tif").unlink()
    open_(hand, ask, path)
    assert hand.names == ["tiles labels"]
    np.testing.assert_array_equal(hand.viewer.layers["tiles labels"].data, data)
    assert hand.status == (
        f"The image 'tiles' cannot be opened from {tmp_path / 'tiles.tif'} any more, so only the "
        "labels are opened: open the image, then the session again."
    )
    # As the sentence says.
    hand.viewer.layers.clear()
    hand.viewer.add_image(tiles_image, name="found")
    open_(hand, ask, path)
    assert hand.status == "2 objects, as they were saved."
    np.testing.assert_array_equal(hand.viewer.layers["found labels"].data, data)


def change_scene(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Let a session say something else."""
    attributes = json.loads((path / ".zattrs").read_text())
    change(attributes[KEY])
    (path / ".zattrs").write_text(json.dumps(attributes))


def test_a_session_of_a_stranger_runs_no_code(hand: Any, ask: Ask, tmp_path: Path) -> None:
    path, mark = tmp_path / "mine.pea.zarr", tmp_path / "mark"
    save(hand, ask, path)
    forget(hand)
    (tmp_path / "evil.py").write_text(f"open({str(mark)!r}, 'w')\n")

    def lead_astray(scene: dict[str, Any]) -> None:
        scene["image"] |= {"path": str(tmp_path / "evil.py"), "beside": "evil.py"}
        scene["image"]["display"]["events"] = 1
        scene["labels"]["place"]["metadata"] = {"napari_pea": 1}

    change_scene(path, lead_astray)
    open_(hand, ask, path)
    assert not mark.exists()
    assert hand.names == ["tiles labels"]
    assert "cannot be opened from" in hand.status


def test_a_damaged_session_is_told(hand: Any, ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "mine.pea.zarr"
    save(hand, ask, path)
    forget(hand)
    change_scene(path, lambda scene: scene.pop("image"))
    open_(hand, ask, path)
    assert hand.status == f"The session {path} is damaged: image is wrong."


def test_of_a_session_that_lacks_a_file_the_labels_are_opened(
    hand: Any, ask: Ask, tmp_path: Path
) -> None:
    path = tmp_path / "mine.pea.zarr"
    data = hand.viewer.layers["tiles labels"].data.copy()
    save(hand, ask, path)
    forget(hand)
    (path / "table.csv").write_text("label,area\n1,2")
    open_(hand, ask, path)
    assert hand.names == ["tiles", "tiles labels"]
    np.testing.assert_array_equal(hand.viewer.layers["tiles labels"].data, data)
    assert "A part of the session is damaged (table.csv)" in hand.status


def test_a_session_is_saved_though_its_model_was_renamed_or_deleted(
    hand: Any, ask: Ask, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "models"
    own.mkdir()
    copy_model(models / "tiny.pea.safetensors", own / "mine.pea.safetensors", name="mine")
    monkeypatch.setenv("NAPARI_PEA_MODELS", str(own))
    hand.dock.model_combo.refresh()
    hand.find("model_combo").setCurrentText("mine")
    hand.segment()
    rename_model("mine", "yours", folder=own)
    # A damaged one must not keep the others from being found.
    (own / "aaa.pea.safetensors").write_bytes((own / "yours.pea.safetensors").read_bytes()[:-8])
    save(hand, ask, tmp_path / "mine.pea.zarr")
    forget(hand)
    hand.dock.model_combo.refresh()
    open_(hand, ask, tmp_path / "mine.pea.zarr")
    assert hand.find("model_combo").currentText() == "yours"
    assert "as they were saved" in hand.status


def test_an_image_with_other_pixels_is_told(
    hand: Any, ask: Ask, tmp_path: Path, tiles_image: np.ndarray
) -> None:
    save(hand, ask, tmp_path / "mine.pea.zarr")
    forget(hand)
    tifffile.imwrite(tmp_path / "tiles.tif", tiles_image + 1)
    open_(hand, ask, tmp_path / "mine.pea.zarr")
    assert hand.names == ["tiles", "tiles labels"]
    assert "The pixels of 'tiles' are others than when the session was saved" in hand.status
    hand.segment()
    assert "3 objects in" in hand.status


def test_a_model_that_is_gone_or_renamed(
    hand: Any, ask: Ask, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "models"
    own.mkdir()
    copy_model(models / "tiny.pea.safetensors", own / "tiny.pea.safetensors")
    save(hand, ask, tmp_path / "mine.pea.zarr")
    monkeypatch.setenv("NAPARI_PEA_MODELS", str(own))
    rename_model("tiny", "small", folder=own)
    copy_model(own / "small.pea.safetensors", own / "tiny.pea.safetensors", name="tiny", scale=0.5)
    hand.dock.model_combo.refresh()
    forget(hand)
    open_(hand, ask, tmp_path / "mine.pea.zarr")
    assert hand.status == "3 objects, as they were saved."
    assert hand.find("model_combo").currentText() == "small"

    (own / "small.pea.safetensors").unlink()
    forget(hand)
    open_(hand, ask, tmp_path / "mine.pea.zarr")
    assert hand.names == ["tiles", "tiles labels"]
    assert "The model 'tiny' of this session is not among your models" in hand.status


def test_labels_that_were_painted_on_stay_the_users(
    hand: Any, ask: Ask, tmp_path: Path, no_network: Callable[[], None]
) -> None:
    labels = hand.viewer.layers["tiles labels"]
    labels.data_setitem((np.array([35]), np.array([50])), np.array([77]))
    labels.name = "mine"
    save(hand, ask, tmp_path / "mine.pea.zarr")
    forget(hand)
    no_network()
    open_(hand, ask, tmp_path / "mine.pea.zarr")
    assert hand.viewer.layers["mine"].data[35, 50] == 77
    assert "tiles labels" not in hand.names
    hand.find("min_size_spin").setValue(300)
    hand.wait()
    assert hand.viewer.layers["mine"].data[35, 50] == 77
    assert not hand.viewer.layers["tiles labels"].data.any()


def test_accepted_objects_stay_accepted(hand: Any, ask: Ask, tmp_path: Path) -> None:
    hand.click("next_uncertain_button")
    hand.click("accept_button")
    hand.wait()
    before = hand.viewer.layers["tiles labels"].features["accepted"].tolist()
    assert sum(before) == 1
    save(hand, ask, tmp_path / "mine.pea.zarr")
    forget(hand)
    open_(hand, ask, tmp_path / "mine.pea.zarr")
    assert hand.viewer.layers["tiles labels"].features["accepted"].tolist() == before


def test_a_session_replaces_another_only_if_the_user_says_so(
    hand: Any, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, asked = tmp_path / "mine.pea.zarr", []
    save(hand, ask, path)
    mark = path / "mark"
    mark.touch()
    no = QMessageBox.StandardButton.No
    monkeypatch.setattr(QMessageBox, "question", lambda *told: asked.append(told[2]) or no)
    for given in ("mine", "mine.zarr", "mine.pea.zarr"):
        ask(tmp_path / given)
        hand.click("save_session_button")
        hand.wait()
    assert asked == ["Replace mine.pea.zarr?"] * 3
    assert mark.exists()


def test_what_cannot_be_saved_or_opened_is_said(
    hand: Any, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.pea.zarr"
    other.mkdir()
    (other / "precious.txt").touch()
    yes = QMessageBox.StandardButton.Yes
    monkeypatch.setattr(QMessageBox, "question", lambda *_: yes)
    ask(other)
    hand.click("save_session_button")
    hand.wait()
    assert "is no session and is not replaced" in hand.status
    assert (other / "precious.txt").exists()
    open_(hand, ask, other)
    assert hand.status == f"{other} is no session of napari-pea."

    path = tmp_path / "mine.pea.zarr"
    save(hand, ask, path)
    save(hand, ask, path)  # replaced, as the user has said
    attributes = json.loads((path / ".zattrs").read_text())
    attributes["napari_pea_session"]["version"] = 99
    (path / ".zattrs").write_text(json.dumps(attributes))
    open_(hand, ask, path)
    assert "comes from a later version" in hand.status
    attributes["napari_pea_session"]["version"] = 1
    (path / ".zattrs").write_text(json.dumps(attributes))
    shutil.rmtree(path / "evidence" / "vectors")
    open_(hand, ask, path)
    assert "is damaged" in hand.status


def test_a_session_is_an_ome_zarr_of_labels(hand: Any, ask: Ask, tmp_path: Path) -> None:
    from napari_pea.io import read_about, read_image, read_labels

    path = tmp_path / "mine"
    ask(path)
    hand.click("save_session_button")
    hand.wait()
    path = tmp_path / "mine.pea.zarr"
    np.testing.assert_array_equal(read_labels(path), hand.viewer.layers["tiles labels"].data)
    assert read_image(path).pixel_size == (0.5, 0.25)
    assert (read_about(path) or {})["settings"]["min_size"] == 50
    kept = read_session(path)
    embedding = kept.evidence[False]
    session = hand.dock.live.session
    exact = session.segmenter.embedding()
    np.testing.assert_allclose(embedding.vectors, exact.vectors, atol=1e-3)
    np.testing.assert_allclose(embedding.foreground, exact.foreground, atol=1e-3)
    layers = [layer for layer in hand.viewer.layers if isinstance(layer, Image)]
    assert layers
