"""Tiles, threads, and the definition of the Mutex Watershed, on images of many small tiles."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from bioimage_cpp import segmentation
from hypothesis import given
from hypothesis import strategies as st
from skimage.segmentation import relabel_sequential

from napari_pea.core.affinity import embedding_affinities
from napari_pea.core.errors import Cancelled
from napari_pea.core.mutex import mutex_watershed, solver
from napari_pea.core.neighborhood import Neighborhood
from napari_pea.core.progress import CancelToken

FOUR = [(-1, 0), (0, -1), (-3, 0), (0, -3)]


def random_affinities(shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


@given(st.data())
def test_equals_the_definition(reference, small_tiles, drawn, data):
    _, affinities, offsets, arguments = data.draw(drawn())
    if data.draw(st.booleans()):  # many ties
        affinities = np.round(affinities * 6) / np.float32(6)
    arguments["bias"] = data.draw(st.sampled_from([0.0, 0.0, 0.2, -0.3]))
    n_attractive = data.draw(
        st.just(affinities.ndim - 1) | st.integers(0, len(offsets)), label="n_attractive"
    )
    expected = reference(affinities, offsets, n_attractive, **arguments)
    threads = data.draw(st.integers(1, 2))
    with small_tiles(pairs=data.draw(st.integers(3, 50))):
        labels = mutex_watershed(affinities, offsets, n_attractive, **arguments, threads=threads)
    assert np.array_equal(labels, expected)
    whole = mutex_watershed(affinities, offsets, n_attractive, **arguments)
    assert np.array_equal(whole, expected)


@pytest.mark.parametrize("n_offsets", [17, 33])
@given(st.data())
def test_many_repulsive_offsets(reference, small_tiles, n_offsets, data):
    # More than 16 and 32 need several words of marks for each pixel.
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    every = [(y, x) for y in range(-4, 5) for x in range(-4, 5) if (y, x) != (0, 0)]
    further = [every[n] for n in rng.choice(len(every), n_offsets, replace=False)]
    offsets = [*FOUR[:2], *further]
    affinities = rng.random((len(offsets), 11, 12), dtype=np.float32)
    affinities[2:] = affinities[2:] ** 0.25  # strong repulsion is rare
    expected = reference(affinities, offsets, 2)
    with small_tiles():
        assert np.array_equal(mutex_watershed(affinities, offsets), expected)


@pytest.mark.parametrize(
    ("shape", "tile"), [((150, 300), (1, 64, 32)), ((300, 150), None), ((20, 70, 80), None)]
)
@pytest.mark.parametrize("objects", [True, False])
def test_equals_bioimage_cpp_in_several_tiles(shape, tile, objects, monkeypatch):
    if tile is not None:
        monkeypatch.setattr(solver, "TILES", {2: tile, 3: tile})
    rng = np.random.default_rng(0)
    offsets = Neighborhood((1, 3, 5), None, len(shape)).offset_list
    if objects:
        cells = np.indices(shape) // 9
        vectors = rng.normal(size=(8, 40, 40, 40))[(slice(None), *([0] * (3 - len(shape))), *cells)]
        vectors = vectors + 0.3 * rng.normal(size=vectors.shape)
        vectors /= np.linalg.norm(vectors, axis=0)
        affinities = embedding_affinities(vectors.astype(np.float32), offsets)
    else:
        affinities = random_affinities((len(offsets), *shape))
    priorities = affinities.copy()
    priorities[len(shape) :] = 1 - priorities[len(shape) :]
    expected = segmentation.mutex_watershed(priorities, offsets, len(shape))
    for threads in (1, 2):
        labels = mutex_watershed(affinities, offsets, threads=threads)
        assert np.array_equal(labels, relabel_sequential(expected)[0])


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (1, 30, 9), (9, 1, 30), (30, 9, 1), (1, 1, 9)])
def test_axes_of_one_pixel(reference, small_tiles, shape):
    ndim = len(shape)
    direct = (-np.eye(ndim, dtype=int)).tolist()
    offsets = [tuple(step) for step in direct + [[3 * n for n in step] for step in direct]]
    affinities = random_affinities((len(offsets), *shape))
    with small_tiles():
        labels = mutex_watershed(affinities, offsets)
    assert np.array_equal(labels, reference(affinities, offsets, ndim))


def test_progress_reaches_its_total(small_tiles):
    affinities = random_affinities((4, 30, 30))
    for threads in (1, 2):
        told = []
        with small_tiles():
            mutex_watershed(
                affinities, FOUR, threads=threads, progress=lambda *at, told=told: told.append(at)
            )
        totals = {total for _, total in told}
        assert len(totals) == 1
        assert [done for done, _ in told] == list(range(1, totals.pop() + 1))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("when", [1, 5])
def test_cancelling_stops_at_the_next_step(small_tiles, threads, when):
    token = CancelToken()
    told = []

    def progress(done, total):
        told.append((done, total))
        if done == when:
            token.cancel()

    with small_tiles(per_task=2), pytest.raises(Cancelled):
        mutex_watershed(
            random_affinities((4, 40, 40)), FOUR, threads=threads, progress=progress, cancel=token
        )
    assert len(told) < told[0][1]


def test_cancelling_stops_among_the_last_pairs(small_tiles, monkeypatch):
    token, visits = CancelToken(), []
    visit = solver.visit

    def counted(*arguments):
        visits.append(arguments)
        token.cancel()
        visit(*arguments)

    monkeypatch.setattr(solver, "visit", counted)
    with small_tiles(pairs=5), pytest.raises(Cancelled):
        mutex_watershed(random_affinities((4, 40, 40)), FOUR, cancel=token)
    assert len(visits) == 1


def test_other_threads_run_meanwhile():
    # With the lock held, the other thread would get no turn before the solving is over.
    affinities = random_affinities((4, 700, 700))
    mutex_watershed(affinities[:, :9, :9], FOUR)  # compiled
    counted, state = [], {"running": False, "stop": False}

    def count():
        while not state["stop"]:
            if state["running"]:
                counted.append(None)
            threading.Event().wait(0.0005)

    other = threading.Thread(target=count)
    other.start()

    def started(done, total):
        state["running"] = done < total

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(solver, "TILES_PER_TASK", 1 << 20)  # one task: no Python in between
        mutex_watershed(affinities, FOUR, progress=started)
    state["stop"] = True
    other.join()
    assert counted
