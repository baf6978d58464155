"""What is said when the memory does not suffice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from napari_pea.core.errors import InputError, is_out_of_memory

#: What helps if the memory does not suffice.
MEMORY_ADVICE = (
    "choose a smaller tile size in the preferences of napari-pea, the device cpu, or a smaller "
    "image"
)


@contextmanager
def memory_reported(advice: str = MEMORY_ADVICE) -> Iterator[None]:
    """Turn a lack of memory into one sentence, with what helps."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise InputError(f"The memory does not suffice: {advice}.") from error
