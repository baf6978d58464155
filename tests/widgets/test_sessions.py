from __future__ import annotations

import gc
from typing import Any
from weakref import ref

import numpy as np
import pandas as pd
import pytest
from napari.components import ViewerModel

from napari_pea.core.segmentation import Segmentation
from napari_pea.core.settings import SegmentationSettings
from napari_pea.widgets.results import ResultBook
from napari_pea.widgets.sessions import LiveSession, SessionBook
from napari_pea.widgets.sources import channel_choices, choose_part


class FakeSegmenter:
    nbytes = 100


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = ViewerModel()
    for name in ("one", "two", "three"):
        viewer.add_image(np.arange(48.0).reshape(6, 8), name=name)
    return viewer


def session_of(viewer: ViewerModel, name: str, results: ResultBook) -> LiveSession:
    layer = viewer.layers[name]
    part = choose_part(layer, viewer.dims, channel_choices(layer)[0])
    segmenter: Any = FakeSegmenter()
    return LiveSession(layer, part, segmenter, {"model": "tiny"}, viewer.layers, results)


def test_the_oldest_sessions_go_when_memory_is_short(viewer: ViewerModel) -> None:
    results, book = ResultBook(), SessionBook()
    for name in ("one", "two", "three"):
        book.enter(viewer.layers[name], "a", session_of(viewer, name, results), limit=250)
    found = [book.find(viewer.layers[name], "a") is not None for name in ("one", "two", "three")]
    assert found == [False, True, True]
    # One session is kept however large it is.
    book.enter(viewer.layers["one"], "a", session_of(viewer, "one", results), limit=10)
    assert len(book) == 1


def test_a_session_ends_with_the_pixels_it_was_made_from(viewer: ViewerModel) -> None:
    results, book = ResultBook(), SessionBook()
    layer = viewer.layers["one"]
    book.enter(layer, "a", session_of(viewer, "one", results), limit=1000)
    assert book.find(layer, "b") is None
    assert book.find(viewer.layers["two"], "a") is None
    assert book.find(layer, "a") is not None
    layer.data = np.ones((6, 8))
    assert book.find(layer, "a") is None
    assert len(book) == 0


def test_sessions_keep_no_layer_alive(viewer: ViewerModel) -> None:
    results, book = ResultBook(), SessionBook()
    session = session_of(viewer, "one", results)
    book.enter(viewer.layers["one"], "a", session, limit=1000)
    gone = ref(viewer.layers["one"])
    viewer.layers.remove("one")
    assert session.source is None
    gc.collect()
    assert gone() is None
    assert len(book) == 0


def test_a_session_tells_how_its_result_was_made(viewer: ViewerModel) -> None:
    session = session_of(viewer, "one", ResultBook())
    assert session.about() == {"model": "tiny"}
    session.corrections = {"strokes": []}
    assert session.about()["corrections"] == {"strokes": []}


def test_what_was_seen_of_a_region(viewer: ViewerModel) -> None:
    session = session_of(viewer, "one", ResultBook())
    region = (slice(1, 4), slice(2, 6))
    assert session.shown_in(region).tolist() == [[0] * 4] * 3
    whole = np.arange(48, dtype=np.uint32).reshape(6, 8)
    session.result = Segmentation(whole, pd.DataFrame(), SegmentationSettings(), "tiny")
    np.testing.assert_array_equal(session.shown_in(region), whole[region])
    session.preview = (slice(3, 6), slice(0, 4)), np.full((3, 4), 99, np.uint32)
    seen = whole.copy()
    seen[3:6, 0:4] = 99
    np.testing.assert_array_equal(session.shown_in(region), seen[region])
    session.preview = (slice(5, 6), slice(7, 8)), np.full((1, 1), 99, np.uint32)
    np.testing.assert_array_equal(session.shown_in(region), whole[region])
    assert whole[3, 2] == 26


def test_corrections_are_kept_for_their_image_until_they_are_taken() -> None:
    book = SessionBook()
    book.keep_corrections("one", [], {"strokes": [1]})
    book.keep_corrections("one", [[0, 3]], {"strokes": [2]})
    book.keep_corrections("one", [], {"strokes": [3]})
    assert book.kept_corrections("one", []) == {"strokes": [3]}
    assert book.kept_corrections("one", [[0, 3]]) == {"strokes": [2]}
    assert book.kept_corrections("two", []) == {}
    book.drop_corrections("one", [])
    assert book.kept_corrections("one", []) == {}
    assert book.kept_corrections("one", [[0, 3]]) == {"strokes": [2]}
