"""What the dock needs is compiled before it is needed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from napari_pea.core import warm
from napari_pea.core.errors import Cancelled
from napari_pea.core.mutex.tiles import solve_tiles
from napari_pea.core.progress import CancelToken

ASK = """
from napari_pea.core import warm
process = warm.compile_elsewhere()
print("nothing" if process is None else process.args[-1])
if process is not None:
    process.kill()
"""


def ask(folder):
    """Ask another process, with a cache of its own, what it has compiled elsewhere."""
    settings = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    return subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", ASK], env=settings, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_another_process_compiles_what_is_not_cached(tmp_path):
    assert "warm_up()" in ask(tmp_path)


def test_nothing_is_compiled_twice():
    warm.warm_up()
    assert warm.compile_elsewhere() is None


def test_without_a_cache_no_process_is_started(monkeypatch):
    monkeypatch.delattr(solve_tiles, "_cache")
    assert warm.compile_elsewhere() is None


def test_a_job_waits_for_what_another_process_compiles(monkeypatch):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    monkeypatch.setattr(warm, "_compiling", [process])
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        warm.wait_for_compilation(token)
    process.communicate(b"\n")
    warm.wait_for_compilation(token)


def test_it_is_known_whether_something_has_to_be_compiled(tmp_path):
    code = "from napari_pea.core.warm import is_ready; print(is_ready())"
    settings = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    told = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], env=settings, check=True, capture_output=True, text=True
    )
    assert told.stdout.strip() == "False"
    warm.warm_up()
    assert warm.is_ready()
