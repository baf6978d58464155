"""Errors that are meant to be read by the person at the microscope."""

from __future__ import annotations


class InputError(ValueError):
    """Something given by the user cannot be used.

    The message is one sentence that names the thing and the way out; the widgets and the
    command line show it as it stands.
    """


class Cancelled(Exception):  # noqa: N818 - not an error: the user asked for it
    """The user asked a running job to stop."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python or of PyTorch says that memory has run out.

    PyTorch raises a RuntimeError, and says it in other words for a processor than for a GPU.
    """
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "allocate memory" in text
    )


def reason_of(error: BaseException) -> str:
    """Return what code of strangers says about its failure, as the end of a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]
