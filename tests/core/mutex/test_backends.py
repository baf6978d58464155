"""Other packages find the same partitions, and one that is missing is named."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
from bioimage_cpp import segmentation
from hypothesis import given
from hypothesis import strategies as st

from napari_pea.core.errors import InputError
from napari_pea.core.mutex import mutex_watershed
from napari_pea.core.mutex.backends import BACKENDS, OWN

FOUR = [(-1, 0), (0, -1), (-3, 0), (0, -3)]


def random_affinities(shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def without_ties(rng, shape):
    """Return affinities whose priorities all differ, also those of repulsion."""
    steps = rng.permutation(np.prod(shape)).reshape(shape)
    values = (steps / 65536).astype(np.float32)
    values[len(shape) - 1 :] = 1 - values[len(shape) - 1 :]
    return values


@given(st.data())
def test_bioimage_cpp_finds_the_same_with_ties(drawn, data):
    _, affinities, offsets, arguments = data.draw(drawn())
    affinities = np.round(affinities * 6) / np.float32(6)
    labels = mutex_watershed(affinities, offsets, **arguments, backend="bioimage-cpp")
    assert labels.dtype == np.uint32
    assert np.array_equal(labels, mutex_watershed(affinities, offsets, **arguments))


@given(st.data())
def test_mwatershed_finds_the_same_but_for_ties(drawn, data):
    pytest.importorskip("mwatershed")
    _, affinities, offsets, arguments = data.draw(drawn())
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    affinities = without_ties(rng, affinities.shape)
    labels = mutex_watershed(affinities, offsets, **arguments, backend="mwatershed")
    assert np.array_equal(labels, mutex_watershed(affinities, offsets, **arguments))


@pytest.fixture
def stand_in(monkeypatch):
    """Put a module in the place of `affogato` that keeps what it was given."""
    given_arguments = {}

    def compute_mws_segmentation(
        weights, offsets, number_of_attractive_channels, strides=None, mask=None
    ):
        given_arguments.update(strides=strides, mask=mask)
        return segmentation.mutex_watershed(
            weights, offsets, number_of_attractive_channels, strides=strides, mask=mask
        )

    package, part = ModuleType("affogato"), ModuleType("affogato.segmentation")
    package.__path__ = []
    package.segmentation = part
    part.compute_mws_segmentation = compute_mws_segmentation
    monkeypatch.setitem(sys.modules, "affogato", package)
    monkeypatch.setitem(sys.modules, "affogato.segmentation", part)
    return given_arguments


def test_affogato_is_given_what_it_needs(stand_in):
    affinities = random_affinities((4, 9, 8))
    mask = random_affinities((9, 8), 1) > 0.3
    for arguments in ({}, {"mask": mask}, {"strides": (2, 3)}):
        labels = mutex_watershed(affinities, FOUR, **arguments, backend="affogato")
        assert np.array_equal(labels, mutex_watershed(affinities, FOUR, **arguments))
    assert stand_in["strides"] == [2, 3]


def test_another_affogato_is_not_taken_for_it(monkeypatch):
    # The one on PyPI has no `affogato.segmentation`.
    other = ModuleType("affogato")
    other.__path__ = []
    monkeypatch.setitem(sys.modules, "affogato", other)
    monkeypatch.delitem(sys.modules, "affogato.segmentation", raising=False)
    with pytest.raises(InputError, match="'affogato' is not installed: run `conda install"):
        mutex_watershed(random_affinities((4, 6, 7)), FOUR, backend="affogato")


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mwatershed", None)
    with pytest.raises(InputError, match="'mwatershed' is not installed: run `pip install"):
        mutex_watershed(random_affinities((4, 6, 7)), FOUR, backend="mwatershed")


def test_unknown_name_lists_the_others():
    with pytest.raises(InputError, match="use numba, bioimage-cpp, mwatershed, affogato"):
        mutex_watershed(random_affinities((4, 6, 7)), FOUR, backend="elf")


@pytest.mark.parametrize("more", [{"must_link": [(0, 1)]}, {"bias": 0.1}])
def test_others_know_no_constraints(more):
    with pytest.raises(InputError, match="knows neither constraints nor a bias: use 'numba'"):
        mutex_watershed(random_affinities((4, 6, 7)), FOUR, backend="bioimage-cpp", **more)


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "affogato"])
def test_odd_input_is_solved_alike(backend):
    if backend == "mwatershed":
        pytest.importorskip("mwatershed")
    affinities = random_affinities((5, 6, 7))
    far = [*FOUR[:2], (9, 0), *FOUR[2:]]
    expected = mutex_watershed(affinities, far, backend=OWN)
    assert np.array_equal(mutex_watershed(affinities, far, backend=backend), expected)
    nothing = mutex_watershed(affinities[:2], [(9, 0), (0, 9)], backend=backend)
    assert nothing.tolist() == np.arange(1, 43).reshape(6, 7).tolist()
    empty = mutex_watershed(affinities, far, mask=np.zeros((6, 7), bool), backend=backend)
    assert not empty.any()
    none = mutex_watershed(np.zeros((2, 0, 4)), FOUR[:2], backend=backend)
    assert none.shape == (0, 4)
