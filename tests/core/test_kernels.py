"""Kernels are compiled once, and run even where nothing can be kept."""

from __future__ import annotations

import errno
import importlib
import sys
from itertools import count

import numpy as np
import pytest
from numba import njit
from numba.core import caching

from napari_pea.core.kernels import compiled, digest_of_kernels, dot16, is_cached, prefetch

NUMBERS = count()
HELPER = """
from napari_pea.core.kernels import inlined

@inlined
def more(x):
    return x + {step}
"""
KERNEL = """
from napari_pea.core.kernels import compiled
from {helper} import more

@compiled
def twice(x):
    return 2 * more(x)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder of modules, and a way to load its kernel as a new process would."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    helper, kernel = (f"{name}_{next(NUMBERS)}" for name in ("helper", "kernel"))

    def load(step=1):
        (tmp_path / f"{helper}.py").write_text(HELPER.format(step=step))
        (tmp_path / f"{kernel}.py").write_text(KERNEL.format(helper=helper))
        digest_of_kernels.cache_clear()
        for name in (helper, kernel):
            sys.modules.pop(name, None)
        for cached in tmp_path.glob("__pycache__/*.pyc"):
            cached.unlink()
        importlib.invalidate_caches()
        return importlib.import_module(kernel).twice

    yield tmp_path, load
    for name in (helper, kernel):
        sys.modules.pop(name, None)


def files(path):
    return sorted(found.name for found in path.glob("__pycache__/*.nb?"))


def hits(kernel):
    return sum(kernel.stats.cache_hits.values())


def test_machine_code_is_kept(folder):
    path, load = folder
    first = load()
    assert first(1) == 4
    assert (len(files(path)), hits(first), is_cached(first)) == (2, 0, True)
    second = load()
    assert second(1) == 4
    assert hits(second) == 1


def test_change_of_what_is_compiled_in_is_noticed(folder):
    # The file of the kernel itself stays as it is.
    _, load = folder
    assert load(step=1)(1) == 4
    changed = load(step=10)
    assert changed(1) == 22
    assert hits(changed) == 0


def test_nothing_can_be_written(folder, monkeypatch):
    path, load = folder

    def refuse(locator):
        raise PermissionError(errno.EACCES, "read-only")

    monkeypatch.setattr(caching._CacheLocator, "ensure_cache_path", refuse)
    kernel = load()
    assert kernel(1) == 4
    assert not is_cached(kernel)
    assert files(path) == []


@pytest.mark.parametrize("part", ["_save_index", "_save_data"])
def test_disk_is_full(folder, monkeypatch, part):
    _, load = folder
    assert load(step=1)(1) == 4  # code that must not be taken for the new one

    def refuse(cache, *given):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(caching.IndexDataCacheFile, part, refuse)
        assert load(step=10)(1) == 22
    assert load(step=10)(1) == 22
    assert load(step=10)(2) == 24


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x04\x95"])
def test_damaged_files_are_replaced(folder, content):
    path, load = folder
    assert load()(1) == 4
    for name in files(path):
        (path / "__pycache__" / name).write_bytes(content)
    assert load()(1) == 4


def test_scalar_product_of_sixteen():
    values = np.random.default_rng(0).random(50, dtype=np.float32)

    @njit
    def product(values, first, second):
        prefetch(values, first)
        return dot16(values, first, second)

    found = product(values, np.uint64(3), np.uint64(30))
    assert isinstance(found, float)
    assert found == pytest.approx(np.dot(values[3:19], values[30:46]), rel=1e-6)


def test_the_lock_is_released():
    @compiled
    def nothing(x):
        return x

    assert nothing.targetoptions["nogil"]
    assert nothing(3) == 3
