"""Who solves a Mutex Watershed: our own kernel, or another package to compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from napari_pea.core.affinity import pair_slices
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


def mwatershed(
    affinities: NDArray[np.float32],
    offsets: Sequence[Offset],
    n_attractive: int,
    strides: tuple[int, ...] | None,
    mask: NDArray[np.bool_] | None,
) -> NDArray[np.integer]:
    """Solve with `mwatershed.agglom`. Equal priorities have no fixed order there."""
    agglom = _imported("mwatershed", "mwatershed", "pip install mwatershed").agglom
    shape = affinities.shape[1:]
    inside = np.ones(shape, dtype=bool) if mask is None else mask
    # Pairs attract above 0, repel below, and count by their distance from it. Those at 0 do
    # not count: such are the pairs that are not taken. In double precision, adding 1 to all
    # priorities loses nothing.
    priorities = np.zeros(affinities.shape, dtype=np.float64)
    for channel, offset in enumerate(offsets):
        slices = pair_slices(shape, offset)
        if slices is None:
            continue
        here, there = slices
        taken = inside[here] & inside[there]
        if channel < n_attractive:
            values = 1 + affinities[channel][here].astype(np.float64)
        else:
            values = -1 - (np.float32(1) - affinities[channel][here]).astype(np.float64)
            if strides is not None:
                for axis, (part, every) in enumerate(zip(here, strides, strict=True)):
                    at = np.arange(part.start, part.stop) % every == 0
                    taken = taken & np.expand_dims(
                        at, tuple(n for n in range(len(shape)) if n != axis)
                    )
        priorities[channel][here] = np.where(taken, values, 0)
    labels: NDArray[np.integer] = agglom(priorities, [list(offset) for offset in offsets])
    alone = labels == 0
    labels[alone] = labels.max(initial=0) + np.arange(1, 1 + alone.sum(), dtype=labels.dtype)
    return labels


def affogato(
    affinities: NDArray[np.float32],
    offsets: Sequence[Offset],
    n_attractive: int,
    strides: tuple[int, ...] | None,
    mask: NDArray[np.bool_] | None,
) -> NDArray[np.integer]:
    """Solve with conda-forge's `affogato`. Equal priorities have no fixed order there.

    The `affogato` of PyPI is another project; it has no `affogato.segmentation`.
    """
    segmentation = _imported(
        "affogato.segmentation", "affogato", "conda install -c conda-forge affogato"
    )
    priorities = np.array(affinities)
    np.subtract(np.float32(1), priorities[n_attractive:], out=priorities[n_attractive:])
    labels: NDArray[np.integer] = segmentation.compute_mws_segmentation(
        priorities,
        [list(offset) for offset in offsets],
        number_of_attractive_channels=n_attractive,
        strides=None if strides is None else list(strides),
        mask=mask,
    )
    return labels


def _imported(module: str, backend: str, command: str) -> ModuleType:
    """Return a module that need not be installed, or say how to get it."""
    try:
        return import_module(module)
    except ImportError:
        raise InputError(
            f"The backend {backend!r} is not installed: run `{command}`, or use {OWN!r}."
        ) from None


BACKENDS: dict[str, Backend] = {
    "bioimage-cpp": bioimage_cpp,
    "mwatershed": mwatershed,
    "affogato": affogato,
}
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
