from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pea.core.corrections import Corrections
from napari_pea.core.errors import InputError
from napari_pea.core.strokes import Stroke

SHAPE = (20, 30)


def image_of(pixels: np.ndarray, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    image = np.zeros(shape, dtype=bool)
    image.reshape(-1)[pixels] = True
    return image


def places(pixels: np.ndarray, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.stack(np.unravel_index(pixels, shape), axis=-1)


def test_a_stroke_covers_what_is_under_the_brush() -> None:
    covered = image_of(Stroke("join", [(10, 5), (10, 15)], 5).covered(SHAPE))
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    along = np.clip(columns, 5, 15)
    np.testing.assert_array_equal(covered, np.hypot(rows - 10, columns - along) <= 2.5)


def test_a_thin_stroke_covers_the_pixels_it_runs_through() -> None:
    covered = places(Stroke("join", [(2.3, 3.4), (2.3, 6.4)], 0.1).covered(SHAPE))
    assert covered.tolist() == [[2, 3], [2, 4], [2, 5], [2, 6]]


def test_a_stroke_may_leave_the_image() -> None:
    covered = places(Stroke("join", [(-4, 3), (1, 3)], 1).covered(SHAPE))
    assert covered.tolist() == [[0, 3], [1, 3]]
    assert not Stroke("join", [(-50, 3)], 3).covered(SHAPE).size
    assert not Stroke("cut", [(-50, 3), (-40, 3)], 3).sides(SHAPE).size


def test_a_cut_holds_left_and_right_apart_at_each_step() -> None:
    pairs = Stroke("cut", [(5, 10), (15, 10)], 3).sides(SHAPE)
    first, second = places(pairs[:, 0]), places(pairs[:, 1])
    # Downwards: left is where the columns are larger.
    assert set(first[:, 1]) == {12}
    assert set(second[:, 1]) == {8}
    steps = {(int(a[0]), int(b[0])) for a, b in zip(first, second, strict=True)}
    assert {(row, row) for row in range(5, 16)} <= steps
    assert all(abs(a - b) <= 7 for a, b in steps)
    # Past the ends the image is free.
    assert {row for step in steps for row in step} == set(range(5, 16))


def test_nothing_slips_through_a_bent_cut() -> None:
    """Without the two sides, no path over direct neighbours leads from one to the other."""
    from scipy.ndimage import label

    shape = (60, 60)
    turn = np.linspace(0, np.pi, 40)
    bent = np.stack((30 + 15 * np.sin(turn), 30 - 18 * np.cos(turn)), axis=1)
    stroke = Stroke("cut", [(0, 12), *bent, (0, 48)], 4)
    pairs = stroke.sides(shape)
    left, right = image_of(pairs[:, 0], shape), image_of(pairs[:, 1], shape)
    assert not (left & right).any()
    for side in (left, right):
        pieces, n_pieces = label(~side)
        assert n_pieces == 2
        assert pieces[stroke.covered(shape)[0] // 60, stroke.covered(shape)[0] % 60] > 0


def test_a_click_cuts_nothing() -> None:
    assert Stroke("cut", [(5, 5)], 3).sides(SHAPE).shape == (0, 2)
    assert Stroke("cut", [(5, 5), (5, 5)], 3).sides(SHAPE).shape == (0, 2)


def test_a_cut_that_turns_back_on_itself() -> None:
    pairs = Stroke("cut", [(5, 10), (15, 10), (5, 10)], 1).sides(SHAPE)
    assert set(places(pairs.reshape(-1))[:, 1]) == {9, 11}


def test_constraints_of_a_join_link_all_its_pixels() -> None:
    stroke = Stroke("join", [(10, 5), (10, 15)], 3)
    constraints = Corrections((stroke,)).constraints(SHAPE)
    covered = stroke.covered(SHAPE)
    np.testing.assert_array_equal(np.unique(constraints.must_link), covered)
    assert len(constraints.must_link) == len(covered) - 1
    assert not len(constraints.cannot_link)


def test_background_takes_no_part() -> None:
    mask = np.ones(SHAPE, dtype=bool)
    mask[:, 9:12] = False
    corrections = Corrections(
        (Stroke("join", [(3, 5), (3, 15)], 1), Stroke("cut", [(10, 5), (10, 15)], 1))
    )
    constraints = corrections.constraints(SHAPE, mask)
    for pairs in (constraints.must_link, constraints.cannot_link):
        assert mask.reshape(-1)[pairs].all()
    # One link leads over the gap.
    assert len(constraints.must_link) == 7
    empty = corrections.constraints(SHAPE, np.zeros(SHAPE, dtype=bool))
    assert not empty


def test_a_new_stroke_replaces_those_it_contradicts() -> None:
    cut = Stroke("cut", [(2, 10), (18, 10)], 2)
    elsewhere = Stroke("cut", [(2, 25), (18, 25)], 2)
    join = Stroke("join", [(10, 5), (10, 15)], 2)
    corrections, dropped = Corrections().add(cut, SHAPE)
    assert not dropped
    corrections, dropped = corrections.add(elsewhere, SHAPE)
    assert not dropped
    corrections, dropped = corrections.add(join, SHAPE)
    assert dropped == (cut,)
    assert corrections.strokes == (elsewhere, join)
    corrections, dropped = corrections.add(cut, SHAPE)
    assert dropped == (join,)
    assert corrections.strokes == (elsewhere, cut)


def test_joins_that_contradict_only_together() -> None:
    """Two joins that overlap lead around the end of a cut."""
    cut = Stroke("cut", [(0, 10), (10, 10)], 2)
    left = Stroke("join", [(5, 8), (15, 8), (15, 10)], 1)
    right = Stroke("join", [(15, 10), (15, 12), (5, 12)], 1)
    assert not Corrections((cut, left)).contradicts_itself(SHAPE)
    assert not Corrections((cut, right)).contradicts_itself(SHAPE)
    corrections, dropped = Corrections((cut, left)).add(right, SHAPE)
    assert dropped == (cut,)
    corrections, dropped = corrections.add(cut, SHAPE)
    assert dropped == (left,)
    assert corrections.strokes == (right, cut)


def strokes() -> st.SearchStrategy[Stroke]:
    places = st.tuples(st.floats(-3, 22), st.floats(-3, 32))
    return st.builds(
        Stroke,
        kind=st.sampled_from(("join", "cut")),
        points=st.lists(places, min_size=1, max_size=4),
        width=st.floats(0.5, 6),
    )


@given(drawn=st.lists(strokes(), max_size=5))
def test_added_strokes_never_contradict(drawn: list[Stroke]) -> None:
    corrections = Corrections()
    for stroke in drawn:
        before = corrections.strokes
        corrections, dropped = corrections.add(stroke, SHAPE)
        assert corrections.strokes[-1] == stroke
        # In order, and nothing is forgotten.
        assert [s for s in before if s not in dropped] == list(corrections.strokes[:-1])
        if len(corrections) > 1:
            assert not corrections.contradicts_itself(SHAPE)


def test_undo() -> None:
    first, second = Stroke("join", [(1, 1)], 1), Stroke("cut", [(5, 5), (5, 9)], 1)
    corrections = Corrections((first, second))
    assert corrections.without_last() == Corrections((first,))
    assert not Corrections().without_last()


def test_strokes_lie_in_a_plane_of_a_stack() -> None:
    shape = (4, *SHAPE)
    flat = Stroke("join", [(10, 5), (10, 15)], 3)
    deep = Stroke("join", [(2, 10, 5), (2, 10, 15)], 3)
    np.testing.assert_array_equal(deep.covered(shape), flat.covered(SHAPE) + 2 * 20 * 30)
    upright = Stroke("cut", [(0, 10, 7), (3, 10, 7)], 1, axes=(0, 2))
    z, y, x = np.unravel_index(upright.sides(shape), shape)
    assert set(y.ravel()) == {10}
    assert set(x.ravel()) == {6, 8}
    assert set(z.ravel()) == {0, 1, 2, 3}
    assert not Stroke("join", [(7, 10, 5)], 3).covered(shape).size


def test_corrections_survive_saving() -> None:
    corrections = Corrections(
        (Stroke("join", [(1.25, 3), (4, 5)], 3.5), Stroke("cut", [(0, 1, 2), (0, 4, 2)], 2))
    )
    saved = json.loads(json.dumps(corrections.as_dict()))
    assert Corrections.from_dict(saved) == corrections
    assert Corrections.from_dict({}) == Corrections()


@pytest.mark.parametrize(
    "values",
    [
        {"strokes": [{"kind": "join", "points": [[1, 2]]}]},
        {"strokes": [{"kind": "erase", "points": [[1, 2]], "width": 3}]},
        {"strokes": [3]},
        {"strokes": 3},
        {"strokes": [{"kind": "cut", "points": "all", "width": 3}]},
        {"strokes": [{"kind": "cut", "points": [[1, 2]], "width": "wide"}]},
        {"strokes": [{"kind": "cut", "points": [[1, 2]], "width": 2, "axes": [0, 0]}]},
    ],
)
def test_damaged_corrections_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Corrections.from_dict(values)


@pytest.mark.parametrize(
    ("kind", "points", "width"),
    [
        ("erase", [(1, 2)], 1),
        ("join", [], 1),
        ("join", [(1,)], 1),
        ("join", [(1, np.nan)], 1),
        ("join", [(1, 2)], 0),
        ("join", [(1, 2), (1, 2, 3)], 1),
        ("join", [(0, 1, 2), (1, 1, 2)], 1),
    ],
)
def test_bad_strokes_are_refused(kind: Any, points: Any, width: float) -> None:
    with pytest.raises(InputError):
        Stroke(kind, points, width)


def test_a_stroke_of_another_image_is_refused() -> None:
    with pytest.raises(InputError, match="axes"):
        Stroke("join", [(1, 2)], 1).covered((3, 4, 5))


def test_the_places_of_a_stroke_in_a_volume() -> None:
    stroke = Stroke("join", np.array([[2.0, 1.0, 4.0], [5.0, 1.0, 4.0]]), 1, (0, 2))
    assert stroke.places.shape == (7, 3)
    np.testing.assert_array_equal(stroke.places[[0, -1]], [[2, 1, 4], [5, 1, 4]])
    covered = np.stack(np.unravel_index(stroke.covered((8, 3, 9)), (8, 3, 9)), axis=1)
    assert covered.tolist() == [[z, 1, 4] for z in (2, 3, 4, 5)]
