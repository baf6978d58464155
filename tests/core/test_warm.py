"""What the dock needs is compiled before it is needed."""

from __future__ import annotations

import os
import subprocess
import sys

from napari_pea.core import warm
from napari_pea.core.mutex.tiles import solve_tiles

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
