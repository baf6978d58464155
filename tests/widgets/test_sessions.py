from __future__ import annotations

import gc
from typing import Any
from weakref import ref

import numpy as np
import pytest
from napari.components import ViewerModel

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
