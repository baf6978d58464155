"""Who solves a Mutex Watershed: our own kernel, or another package to compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.neighborhood import Offset

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The name of our own kernel.
OWN = "numba"

Backend: TypeAlias = Callable[
    [
        "NDArray[np.float32]",
        Sequence[Offset],
        int,
        "tuple[int, ...] | None",
        "NDArray[np.bool_] | None",
    ],
    "NDArray[np.integer]",
]


def bioimage_cpp(
    affinities: NDArray[np.float32],
    offsets: Sequence[Offset],
    n_attractive: int,
    strides: tuple[int, ...] | None,
    mask: NDArray[np.bool_] | None,
) -> NDArray[np.integer]:
    """Solve with `bioimage_cpp.segmentation.mutex_watershed`."""
    from bioimage_cpp import segmentation

    priorities = np.array(affinities)
    np.subtract(np.float32(1), priorities[n_attractive:], out=priorities[n_attractive:])
    labels: NDArray[np.integer] = segmentation.mutex_watershed(
        priorities, list(offsets), n_attractive, strides=strides, mask=mask
    )
    return labels


BACKENDS: dict[str, Backend] = {"bioimage-cpp": bioimage_cpp}
"""Every other way to solve, by name."""


def backend_named(name: str) -> Backend:
    """Return a backend.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in BACKENDS:
        raise InputError(
            f"There is no backend {name!r} for the Mutex Watershed: use "
            f"{', '.join((OWN, *BACKENDS))}."
        )
    return BACKENDS[name]
