"""How many threads may compute."""

from __future__ import annotations

import os

import pytest

from napari_pea.core.processors import allowed_threads


@pytest.mark.parametrize(("said", "threads"), [("1", 1), ("3,2", 3)])
def test_a_cluster_can_say_how_many(monkeypatch: pytest.MonkeyPatch, said: str, threads: int):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert allowed_threads() == threads


@pytest.mark.parametrize("said", ["", "many", "0"])
def test_otherwise_it_is_the_processors(monkeypatch: pytest.MonkeyPatch, said: str):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert 1 <= allowed_threads() <= (os.cpu_count() or 1)
