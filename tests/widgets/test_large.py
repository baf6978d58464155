"""Images too large, or too deep, to be segmented at every change, in a real window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_pea.core.constraints import Constraints
from napari_pea.widgets import blocks, preview
from napari_pea.widgets.preview import constraints_within


@pytest.fixture
def hand(
    open_dock: Callable[..., Any],
    bands: list[Any],
    tiles_image: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: Any,
) -> Any:
    """A dock whose image counts as large; the upper left corner of it is visible."""
    monkeypatch.setitem(preview.LARGE, 2, 1000)
    monkeypatch.setattr(preview, "MARGIN", 1)
    hand = open_dock(show=True)
    image = np.tile(tiles_image, (6, 6))
    hand.viewer.add_image(image, name="large", scale=(2, 2), translate=(3, 4))
    hand.segment()
    look_at(hand, qtbot, (20, 25))
    return hand


def look_at(hand: Any, qtbot: Any, center: tuple[int, int]) -> None:
    """Zoom to a piece of about 40 × 50 pixels, as a user does."""
    source = hand.viewer.layers[0]
    camera = hand.viewer.scene.camera
    size = hand.viewer.window._qt_viewer.canvas.size
    camera.zoom = min(size[0] / 80, size[1] / 100)
    camera.center = source.data_to_world(center)
    qtbot.waitUntil(lambda: source.corner_pixels[1, 0] - source.corner_pixels[0, 0] < 120)
    qtbot.wait(50)
    hand.wait()


def test_changes_show_first_where_the_user_looks(hand: Any, qtbot: Any) -> None:
    whole = hand.viewer.layers["large labels"]
    before = whole.data
    hand.find("range_slider").setValue(0)
    hand.wait()
    assert whole.data is before
    assert not whole.visible
    shown = hand.viewer.layers["large preview"]
    assert shown.data.size < before.size / 4
    # Without repulsion, objects that touch are one.
    assert len(np.unique(shown.data)) < len(np.unique(before[: shown.data.shape[0], :80]))
    np.testing.assert_allclose(shown.scale, whole.scale)
    assert "Apply to whole image" in hand.status
    start = np.rint(whole.world_to_data(shown.data_to_world((0, 0)))).astype(int)
    piece = before[tuple(slice(s, s + n) for s, n in zip(start, shown.data.shape, strict=True))]
    np.testing.assert_array_equal(shown.data > 0, piece > 0)

    assert hand.find("apply_button").isVisible()
    hand.click("apply_button")
    hand.wait()
    assert "large preview" not in hand.names
    assert whole.visible
    assert len(np.unique(whole.data)) - 1 == 36 * 2
    assert whole.metadata["napari_pea"]["settings"]["ranges"] == [1]


def test_objects_of_the_preview_have_the_ids_of_the_whole(hand: Any, qtbot: Any) -> None:
    whole = hand.viewer.layers["large labels"]
    hand.find("min_size_spin").setValue(60)
    hand.wait()
    shown = hand.viewer.layers["large preview"]

    def at(layer: Any, place: tuple[int, int]) -> int:
        world = hand.viewer.layers["large"].data_to_world(place)
        return int(layer.data[tuple(np.rint(layer.world_to_data(world)).astype(int))])

    places = [(10, 10), (10, 22), (10, 34)]
    ids = [at(whole, place) for place in places]
    assert len(set(ids)) == 3
    assert [at(shown, place) for place in places] == ids
    look_at(hand, qtbot, (22, 30))
    assert [at(shown, place) for place in places] == ids
    hand.click("apply_button")
    hand.wait()
    assert [at(whole, place) for place in places] == ids
    assert len(whole.features) == 36 * 3


def test_the_preview_follows_the_view(hand: Any, qtbot: Any) -> None:
    hand.find("min_size_spin").setValue(30)
    hand.wait()
    place = hand.viewer.layers["large preview"].translate.copy()
    look_at(hand, qtbot, (150, 200))
    qtbot.waitUntil(
        lambda: bool((hand.viewer.layers["large preview"].translate > place + 50).all()),
        timeout=60_000,
    )
    hand.wait()
    assert hand.names.count("large preview") == 1


def test_going_back_shows_the_whole_again(hand: Any) -> None:
    whole = hand.viewer.layers["large labels"]
    before = whole.data
    hand.find("min_size_spin").setValue(30)
    hand.wait()
    hand.find("reset_button").click()
    hand.wait()
    assert "large preview" not in hand.names
    assert whole.visible
    assert whole.data is before


def test_without_preview_everything_is_done_at_once(hand: Any) -> None:
    whole = hand.viewer.layers["large labels"]
    before = whole.data
    assert hand.find("preview_check").isVisible()
    hand.click("preview_check")
    hand.find("range_slider").setValue(0)
    hand.wait()
    assert whole.data is not before
    assert "large preview" not in hand.names


def test_of_a_slide_that_does_not_fit_the_middle_of_the_view_is_segmented(
    hand: Any, monkeypatch: pytest.MonkeyPatch, bands: list[Any], qtbot: Any
) -> None:
    monkeypatch.setattr(blocks, "SHARE", 0.0)
    monkeypatch.setitem(preview.BLOCK, 2, (30, 40))
    slide = np.tile(hand.viewer.layers["large"].data, (1, 2))
    hand.viewer.add_image(slide, name="slide", scale=(2, 2), translate=(3, 4))
    look_at(hand, qtbot, (120, 150))
    del bands[:]
    hand.segment()
    assert [each.shape for each in bands] == [(30, 40)]
    shown = hand.viewer.layers["slide preview"]
    start = hand.viewer.layers["slide"].world_to_data(shown.data_to_world((0, 0)))
    assert start == pytest.approx((120 - 15, 150 - 20), abs=2)
    assert "GB of memory: segment it under “In blocks”" in hand.status


def test_small_images_need_no_preview(
    open_dock: Callable[..., Any], bands: list[Any], tiles_image: np.ndarray
) -> None:
    hand = open_dock(show=True)
    hand.viewer.add_image(tiles_image, name="small")
    hand.segment()
    assert not hand.find("preview_check").isVisible()
    assert not hand.find("apply_button").isVisible()


def test_constraints_of_a_region_have_its_indices() -> None:
    pairs = [[(2, 3), (2, 5)], [(0, 0), (2, 3)], [(3, 4), (4, 4)]]
    flat = np.array([[np.ravel_multi_index(pixel, (6, 8)) for pixel in pair] for pair in pairs])
    inside = constraints_within(Constraints(flat[:2], flat[2:]), (6, 8), (slice(2, 6), slice(3, 8)))
    assert inside.must_link.tolist() == [[0, 2]]
    assert inside.cannot_link.tolist() == [[6, 11]]


@pytest.fixture
def stack(tiles_image: np.ndarray) -> np.ndarray:
    """Seven planes with the four objects, of which the fourth plane has lost one."""
    planes = np.stack([tiles_image] * 7)
    planes[3, 20:] = 0
    return planes


def test_every_plane_of_a_stack(
    open_dock: Callable[..., Any], bands: list[Any], stack: np.ndarray
) -> None:
    hand = open_dock(show=True)
    hand.viewer.add_image(stack, name="stack", scale=(4, 1, 1))
    hand.viewer.dims.set_current_step(0, 2)
    hand.segment()
    shown = hand.viewer.layers["stack labels"]
    hand.find("range_slider").setValue(0)
    hand.wait()
    assert shown.data.shape == (1, 40, 56)
    assert len(shown.features) == 2
    assert hand.find("apply_button").text() == "Apply to every plane"
    hand.click("apply_button")
    hand.wait()
    every = hand.viewer.layers["stack labels of all planes"]
    assert every.data.shape == stack.shape
    np.testing.assert_allclose(every.scale, (4, 1, 1))
    np.testing.assert_array_equal(every.data[2] > 0, shown.data[0] > 0)
    assert every.data.max() == len(every.features) == 6 * 2 + 1
    assert "13 objects in 7 planes" in hand.status


def test_planes_along_another_axis(
    open_dock: Callable[..., Any], bands: list[Any], stack: np.ndarray
) -> None:
    hand = open_dock(show=True)
    hand.viewer.add_image(np.moveaxis(stack, 0, 1), name="stack", axis_labels=("y", "t", "x"))
    combo = hand.find("axis_combo")
    assert not combo.isHidden()
    assert [combo.itemText(i) for i in range(combo.count())] == [
        "as shown",
        "y (40 planes)",
        "t (7 planes)",
        "x (56 planes)",
    ]
    hand.viewer.dims.set_current_step(1, 3)
    combo.setCurrentIndex(2)
    hand.segment()
    labels = hand.viewer.layers["stack labels"]
    assert labels.data.shape == (40, 1, 56)
    assert labels.data.max() == 3
    assert labels.translate[1] == 3


def test_a_plane_that_was_not_segmented_has_no_live_controls(
    open_dock: Callable[..., Any], bands: list[Any], stack: np.ndarray
) -> None:
    hand = open_dock(show=True)
    hand.viewer.add_image(stack, name="stack")
    hand.viewer.dims.set_current_step(0, 2)
    hand.segment()
    hand.viewer.dims.set_current_step(0, 3)
    assert hand.dock.live.session is None
    before = hand.viewer.layers["stack labels"].data
    hand.find("range_slider").setValue(0)
    hand.wait()
    assert hand.viewer.layers["stack labels"].data is before
    hand.segment()
    assert hand.viewer.layers["stack labels [1]"].data.max() == 1
    hand.viewer.dims.set_current_step(0, 2)
    assert hand.dock.live.session is not None
    assert hand.dock._state.live.settings.ranges != (1,)


def test_a_stack_of_one_plane(
    open_dock: Callable[..., Any], bands: list[Any], tiles_image: np.ndarray
) -> None:
    hand = open_dock(show=True)
    hand.viewer.add_image(tiles_image[None], name="one")
    hand.segment()
    labels = hand.viewer.layers["one labels"]
    assert labels.data.shape == (1, 40, 56)
    hand.find("range_slider").setValue(0)
    hand.wait()
    assert np.unique(labels.data).tolist() == [0, 1, 4]
    assert not hand.find("apply_button").isVisible()
