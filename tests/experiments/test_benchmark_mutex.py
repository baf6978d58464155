"""Problems are what they are said to be, and every way to solve them is measured."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.mutex import mutex_watershed
from napari_pea.core.mutex.backends import BACKENDS
from napari_pea.experiments import benchmark_mutex
from napari_pea.experiments.benchmark_mutex import (
    IMAGES,
    VOLUMES,
    Case,
    embedding_of,
    measure,
    measure_case,
    same_objects,
)


def test_neighborhoods_have_their_channels():
    assert {number: len(pairs.offset_list) for number, pairs in IMAGES.items()} == {
        10: 10,
        18: 18,
        36: 36,
    }
    assert len(VOLUMES.offset_list) == 12


@pytest.mark.parametrize("shape", [(40, 50), (6, 20, 30)])
@pytest.mark.parametrize("source", ["objects", "field"])
def test_embeddings_are_unit_vectors_and_repeatable(source, shape):
    vectors = embedding_of(source, shape)
    assert vectors.shape == (benchmark_mutex.DEPTH, *shape)
    assert np.allclose(np.linalg.norm(vectors, axis=0), 1, atol=1e-5)
    assert np.array_equal(vectors, embedding_of(source, shape))


def test_nuclei_are_a_mosaic():
    tile = np.random.default_rng(0).random((3, 4, 5), dtype=np.float32)
    vectors = embedding_of("nuclei", (9, 7), tile)
    assert np.array_equal(vectors[:, :4, :5], tile)
    assert np.array_equal(vectors[:, 4:8, :5], tile)
    assert np.array_equal(vectors[:, 8, 5:], tile[:, 0, :2])


def test_each_way_is_measured_and_compared():
    told = []
    row = measure_case(Case("objects", (48, 64), IMAGES[10]), repeats=2, tell=told.append)
    assert list(row["ways"]) == ["ours", "2 threads", "embedding", "bioimage-cpp", "mwatershed"]
    assert [step["trying"] for step in told] == list(row["ways"])
    assert (row["pixels"], row["channels"]) == (48 * 64, 10)
    assert row["objects"] > 1
    for name in ("ours", "2 threads", "bioimage-cpp"):
        assert row["ways"][name]["seconds"] > 0
        assert row["ways"][name]["same"] == 1


def test_same_objects_are_counted_whatever_their_numbers():
    first = np.array([[1, 1, 2, 2, 3]], np.uint32)
    assert same_objects(first, np.array([[7, 7, 4, 4, 1]], np.uint32)) == 1
    assert same_objects(first, np.array([[1, 1, 2, 3, 4]], np.uint32)) == pytest.approx(2 / 3)
    assert same_objects(first, np.array([[1, 1, 1, 1, 2]], np.uint32)) == pytest.approx(1 / 3)
    assert same_objects(first[:0], first[:0]) == 1


def test_another_partition_is_noticed(monkeypatch):
    def other(affinities, *arguments):
        return np.ones(affinities.shape[1:], int)

    monkeypatch.setitem(BACKENDS, "bioimage-cpp", other)
    row = measure_case(Case("objects", (48, 64), IMAGES[10]), repeats=1)
    assert row["ways"]["bioimage-cpp"]["same"] < 1


def test_memory_beyond_the_inputs_is_measured(monkeypatch):
    if benchmark_mutex._reset_peak() is None:
        pytest.skip("Only Linux tells.")

    def wasteful(affinities, *arguments):
        waste = np.ones(50_000_000, np.uint8)
        return np.ones(affinities.shape[1:], int) * int(waste[0])

    monkeypatch.setitem(BACKENDS, "bioimage-cpp", wasteful)
    row = measure_case(Case("objects", (100, 100), IMAGES[10]), repeats=1)
    assert 4900 < row["ways"]["bioimage-cpp"]["bytes"] < 6000
    assert row["ways"]["ours"]["bytes"] < 1000


@pytest.mark.parametrize(
    ("needs", "why"),
    [
        ({"pixels": 10, "bytes": 1e15, "seconds": 0.1}, "no memory"),
        ({"pixels": 10, "bytes": None, "seconds": 9.0}, "too long"),
    ],
)
def test_what_is_expected_to_fail_is_left_out(needs, why):
    case = Case("objects", (40, 40), IMAGES[10])
    row = measure_case(case, repeats=1, limit=100, needs={"bioimage-cpp": needs})
    assert row["ways"]["bioimage-cpp"] == {"why": why}
    assert "seconds" in row["ways"]["ours"]


def test_memory_that_runs_out_and_packages_that_are_missing_are_told(monkeypatch):
    def no_memory(*arguments):
        raise MemoryError

    def missing(*arguments):
        raise InputError("not there")

    monkeypatch.setitem(BACKENDS, "bioimage-cpp", no_memory)
    monkeypatch.setitem(BACKENDS, "mwatershed", missing)
    row = measure_case(Case("field", (40, 40), IMAGES[10]), repeats=1)
    assert row["ways"]["bioimage-cpp"]["why"] == "no memory"
    assert row["ways"]["mwatershed"]["why"] == "not installed"


def test_problems_are_solved_in_processes_of_their_own():
    steps = []
    figures = measure(
        sizes=(40,),
        channels=(10,),
        sources=("field",),
        volume=(4, 12, 12),
        repeats=1,
        progress=lambda *at: steps.append(at),
    )
    assert [case["shape"] for case in figures["cases"]] == [[40, 40], [4, 12, 12]]
    assert steps == [(0, 2), (1, 2), (2, 2)]


def test_cancelled_at_once():
    token = benchmark_mutex.CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        measure(sizes=(40,), channels=(10,), sources=("field",), volume=None, cancel=token)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": ("cats",)}, "no source 'cats': use objects, field, nuclei"),
        ({"channels": (11,)}, "no neighborhood of 11 channels: use 10, 18, 36"),
        ({"sizes": (0,)}, "at least 1"),
        ({"repeats": 0}, "at least 1"),
    ],
)
def test_bad_choices_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        measure(**changes)


def test_ours_is_the_kernel_that_is_shipped():
    vectors = embedding_of("objects", (48, 64))
    row = measure_case(Case("objects", (48, 64), IMAGES[10]), repeats=1)
    from napari_pea.core.affinity import embedding_affinities

    offsets = IMAGES[10].offset_list
    labels = mutex_watershed(embedding_affinities(vectors, offsets), offsets)
    assert row["objects"] == labels.max()
