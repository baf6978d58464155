"""Volumes in the Segment dock, in a real window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_pea.core.settings import PARTITIONERS
from napari_pea.widgets import blocks, preview


@pytest.fixture
def cubes() -> np.ndarray:
    """Two cubes that touch, and one that lies in later sections; shape (12, 32, 40)."""
    pixels = np.zeros((12, 32, 40), dtype=np.uint16)
    pixels[2:6, 6:16, 6:16] = 200
    pixels[2:6, 6:16, 16:26] = 300
    pixels[8:11, 20:30, 24:34] = 400
    return pixels


@pytest.fixture
def hand(open_dock: Callable[..., Any], bands: list[Any], volume_model: Any) -> Any:
    """A dock with the model for volumes chosen."""
    hand = open_dock(show=True)
    hand.find("model_combo").setCurrentText("solid")
    return hand


def test_a_volume_is_segmented_with_one_click(hand: Any, cubes: np.ndarray) -> None:
    source = hand.viewer.add_image(cubes, name="cubes", scale=(2, 0.5, 0.5), translate=(7, 1, 2))
    assert hand.find("notice_label").text() == ""
    hand.segment()
    labels = hand.viewer.layers["cubes labels"]
    assert hand.status.startswith("3 objects")
    assert labels.data.shape == cubes.shape
    assert len(np.unique(labels.data)) == 4
    np.testing.assert_array_equal(labels.data > 0, cubes > 0)
    assert labels.features["area"].tolist() == [200.0, 200.0, 150.0]
    np.testing.assert_allclose(labels.features["centroid-0"], [14, 14, 25])
    embedding = hand.viewer.layers["cubes embedding"]
    assert embedding.data.shape == (*cubes.shape, 3)
    for layer in (labels, embedding):
        np.testing.assert_allclose(layer.data_to_world((3, 8, 9)), source.data_to_world((3, 8, 9)))
    told = labels.metadata["napari_pea"]
    assert (told["ndim"], told["plane"], told["tile"]) == (3, [], None)

    assert hand.find("z_ranges_edit").text() == "1, 2, 3"
    hand.find("range_slider").setValue(0)
    hand.wait()
    assert hand.find("z_ranges_edit").text() == "1"
    assert len(np.unique(labels.data)) == 3  # those that touch are one
    hand.find("range_slider").setValue(6)
    hand.wait()
    assert labels.metadata["napari_pea"]["settings"]["z_ranges"] == [1, 2, 2, 3, 3, 4, 5]
    assert len(np.unique(labels.data)) == 4

    combo = hand.dock.affinity_combo
    combo.setCurrentText("(−2, 0, 0)")
    hand.click("affinity_button")
    hand.wait()
    affinity = hand.viewer.layers["affinity (−2, 0, 0)"]
    assert affinity.data.shape == cubes.shape
    np.testing.assert_allclose(affinity.data[2:], cubes[2:] == cubes[:-2], atol=1e-6)
    hand.viewer.dims.ndisplay = 3
    hand.find("reset_button").click()
    hand.wait()
    assert labels.metadata["napari_pea"]["settings"]["z_ranges"] == [1, 2, 3]


def test_objects_of_a_volume_are_reviewed_and_scored(hand: Any, cubes: np.ndarray) -> None:
    hand.viewer.add_image(cubes, name="cubes", scale=(2, 0.5, 0.5))
    hand.viewer.add_labels(cubes // 100, name="truth", scale=(2, 0.5, 0.5))
    hand.segment()
    sections = set()
    for _ in range(3):
        hand.click("next_uncertain_button")
        sections.add(hand.viewer.dims.current_step[0])
    assert sections == {4, 9}  # the middle of each object
    hand.find("truth_combo").setCurrentText("truth")
    hand.wait()
    assert hand.find("truth_label").text().startswith("AJI 1.000")
    hand.click("uncertainty_check")
    hand.wait()
    assert hand.viewer.layers["cubes uncertainty"].data.shape == cubes.shape


def test_every_method_works_on_volumes(hand: Any, cubes: np.ndarray) -> None:
    cubes = np.kron(cubes, np.ones((1, 2, 2), dtype=np.uint16))
    hand.viewer.add_image(cubes, name="cubes", scale=(2, 0.25, 0.25))
    hand.segment()
    labels = hand.viewer.layers["cubes labels"]
    combo = hand.find("partitioner_combo")
    for index in range(1, combo.count()):
        combo.setCurrentIndex(index)
        hand.wait()
        assert labels.metadata["napari_pea"]["settings"]["partitioner"] == PARTITIONERS[index]
        np.testing.assert_array_equal(labels.data > 0, cubes > 0)
        assert len(np.unique(labels.data)) == 4


def test_strokes_mend_volumes_in_the_section_that_is_shown(
    hand: Any, cubes: np.ndarray, draw: Callable[..., None], qtbot: Any
) -> None:
    hand.viewer.add_image(cubes, name="cubes")
    hand.segment()
    labels = hand.viewer.layers["cubes labels"]
    hand.viewer.dims.set_current_step(0, 4)
    hand.click("join_button")
    draw(hand.viewer, [(10, 10), (10, 14), (10, 18), (10, 22)])
    qtbot.waitUntil(lambda: not hand.dock.live.idle)
    hand.wait()
    assert len(np.unique(labels.data)) == 3
    assert labels.data[2, 10, 10] == labels.data[5, 10, 22] > 0
    (stroke,) = labels.metadata["napari_pea"]["corrections"]["strokes"]
    assert stroke["axes"] == [1, 2]
    assert {point[0] for point in stroke["points"]} == {4.0}
    hand.click("undo_correction_button")
    qtbot.waitUntil(lambda: not hand.dock.live.idle)
    hand.wait()
    assert len(np.unique(labels.data)) == 4
    # The same across sections, after the stack was turned.
    hand.viewer.dims.order = (1, 0, 2)
    hand.viewer.dims.set_current_step(1, 9)
    qtbot.wait(50)
    draw(hand.viewer, [(3, 10), (3, 14), (3, 18), (3, 22)])
    qtbot.waitUntil(lambda: not hand.dock.live.idle)
    hand.wait()
    (stroke,) = labels.metadata["napari_pea"]["corrections"]["strokes"]
    assert stroke["axes"] == [0, 2]
    assert {point[1] for point in stroke["points"]} == {9.0}
    assert len(np.unique(labels.data)) == 3


def test_volumes_of_a_time_series(hand: Any, cubes: np.ndarray) -> None:
    series = np.stack([cubes, np.roll(cubes, 2, axis=1)] * 3)
    hand.viewer.add_image(series, name="series", axis_labels=("t", "z", "y", "x"))
    assert hand.find("channel_combo").currentText() == "shown volume"
    hand.viewer.dims.set_current_step(0, 1)
    hand.segment()
    labels = hand.viewer.layers["series labels"]
    assert labels.data.shape == (1, *cubes.shape)
    np.testing.assert_array_equal(labels.data[0] > 0, series[1] > 0)
    assert hand.find("apply_button").text() == "Apply to every volume"
    hand.click("apply_button")
    hand.wait()
    every = hand.viewer.layers["series labels of all volumes"]
    np.testing.assert_array_equal(every.data > 0, series > 0)
    assert "18 objects in 6 volumes" in hand.status


def test_planes_and_the_distance_of_sections(hand: Any, cubes: np.ndarray) -> None:
    layer = hand.viewer.add_image(cubes, name="cubes")
    notice = hand.find("notice_label")
    assert "sections to be 4 times as far apart" in notice.text()
    layer.scale = (1, 1, 0.9)
    hand.viewer.dims.set_current_step(0, 5)
    assert "1.05 times as far apart" in notice.text()
    layer.scale = (2, 0.5, 0.5)
    hand.viewer.dims.set_current_step(0, 4)
    assert notice.text() == ""
    # A model for planes takes the one that is shown.
    hand.find("model_combo").setCurrentText("tiny")
    assert hand.find("z_ranges_edit").isHidden()
    assert hand.find("channel_combo").currentText() == "shown plane"
    hand.segment()
    assert hand.viewer.layers["cubes labels"].data.shape == (1, 32, 40)
    # One for volumes cannot do without sections.
    hand.find("model_combo").setCurrentText("solid")
    hand.viewer.add_image(cubes[4], name="plane")
    hand.segment()
    assert hand.status.endswith("choose another model, or an image with sections.")
    assert "plane labels" not in hand.names


@pytest.fixture
def large(hand: Any, cubes: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A volume that counts as large, shown at section 16; shape (24, 64, 80)."""
    monkeypatch.setitem(preview.LARGE, 3, 20_000)
    monkeypatch.setitem(preview.BLOCK, 3, (12, 32, 40))
    image = np.tile(cubes, (2, 2, 2))
    hand.viewer.add_image(image, name="large", scale=(2, 0.5, 0.5), translate=(1, 2, 3))
    hand.viewer.dims.set_current_step(0, 16)
    return image


def test_what_is_visible_of_a_large_volume_comes_first(
    hand: Any, large: np.ndarray, gate: Any, bands: list[Any], qtbot: Any
) -> None:
    hand.click("segment_button")
    qtbot.waitUntil(lambda: "large preview" in hand.names, timeout=60_000)
    block = hand.viewer.layers["large preview"]
    assert block.data.shape == (12, 32, 40)
    source = hand.viewer.layers["large"]
    first = np.rint(source.world_to_data(block.data_to_world((0, 0, 0)))).astype(int)
    assert first.tolist() == [10, 16, 20]
    piece = large[10:22, 16:48, 20:60]
    np.testing.assert_array_equal(block.data > 0, piece > 0)
    assert len(bands) == 1  # the whole is still waiting
    assert hand.find("cancel_button").isEnabled()
    # It may be cancelled; then the controls act on the block.
    hand.click("cancel_button")
    hand.wait()
    before = len(np.unique(block.data))
    hand.find("range_slider").setValue(0)
    hand.wait()
    assert len(np.unique(block.data)) < before
    assert not hand.find("join_button").isEnabled()
    gate.open.set()
    hand.click("apply_button")
    hand.wait()
    assert "large preview" not in hand.names
    labels = hand.viewer.layers["large labels"]
    np.testing.assert_array_equal(labels.data > 0, large > 0)


def test_changes_show_first_in_the_block_around_the_view(
    hand: Any, large: np.ndarray, qtbot: Any
) -> None:
    hand.click("preview_check")
    hand.segment()
    hand.click("preview_check")
    whole = hand.viewer.layers["large labels"]
    before = whole.data
    assert len(np.unique(before)) - 1 == 8 * 3
    hand.find("range_slider").setValue(0)
    hand.wait()
    assert whole.data is before
    shown = hand.viewer.layers["large preview"]
    assert shown.data.shape == (12, 32, 40)
    place = shown.translate.copy()
    hand.viewer.dims.set_current_step(0, 6)
    qtbot.waitUntil(lambda: bool(shown.translate[0] < place[0]), timeout=60_000)
    hand.wait()
    hand.click("apply_button")
    hand.wait()
    assert "large preview" not in hand.names
    assert len(np.unique(whole.data)) - 1 == 8 * 2


def test_what_does_not_fit_into_memory_is_shown_in_part(
    hand: Any, large: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "SHARE", 0.0)
    hand.segment()
    assert "large preview" in hand.names
    assert "GB of memory: segment it under “In blocks”" in hand.status
    hand.click("apply_button")
    hand.wait()
    assert "large labels" not in hand.names
    assert hand.status.startswith("All of 'large' would take about")
