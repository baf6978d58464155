from __future__ import annotations

import pytest

from napari_pea.core.errors import InputError, is_out_of_memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_memory_that_has_run_out_is_known_by_all_its_names(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes do not fit"), InputError("out of memory.tif is damaged.")]
)
def test_other_errors_are_something_else(error: Exception) -> None:
    assert not is_out_of_memory(error)
