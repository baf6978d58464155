"""Writing labels and tables so that a full disk leaves nothing half-written."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.core.files import atomic_write

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

#: How files that labels can be written to end.
WRITABLE = (".tif", ".tiff", ".png", ".npy", ".zarr")
#: The largest id that each format can hold.
LARGEST_ID = {".tif": 2**32 - 1, ".tiff": 2**32 - 1, ".png": 2**16 - 1}


def write_labels(
    path: str | Path,
    labels: NDArray[Any],
    *,
    pixel_size: Sequence[float] | None = None,
    about: dict[str, Any] | None = None,
) -> None:
    """Write labels in the smallest unsigned type that holds them.

    An existing file is replaced only once the new one is complete.

    Parameters
    ----------
    path : str or Path
        Its suffix decides: .tif and .tiff are OME-TIFF with zlib compression, .png has 16
        bits, .npy is plain, .zarr is OME-Zarr 0.4.
    labels : array of int or bool, shape (Y, X) or (Z, Y, X)
        Object ids; 0 is background.
    pixel_size : sequence of float, optional
        Micrometres along each axis; TIFF and Zarr keep them.
    about : dict, optional
        How the labels were made, as plain values; TIFF and Zarr keep them.

    Raises
    ------
    InputError
        If the format does not exist or cannot hold the labels, or the disk is full.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        raise InputError(
            f"Labels cannot be written to {path.name}; use one of {', '.join(WRITABLE)}."
        )
    labels = _smallest(np.asarray(labels), path)
    axes = "ZYX"[-labels.ndim :]
    sizes = None if pixel_size is None else tuple(float(size) for size in pixel_size)
    if sizes is not None and len(sizes) != labels.ndim:
        raise InputError(
            f"Labels of shape {labels.shape} need {labels.ndim} pixel sizes, not {len(sizes)}."
        )
    with reported(path):
        if suffix == ".zarr":
            from napari_pea.io.ome_zarr import write_ome_zarr

            with atomic_folder(path) as temporary:
                write_ome_zarr(temporary, labels, axes, sizes, about)
            return
        with atomic_write(path) as temporary:
            if suffix == ".npy":
                # Into a file, numpy writes past Python, and a full disk has no name.
                buffer = io.BytesIO()
                np.save(buffer, labels)
                temporary.write_bytes(buffer.getbuffer())
            elif suffix == ".png":
                import imagecodecs

                temporary.write_bytes(imagecodecs.png_encode(labels.astype(np.uint16)))
            else:
                from napari_pea.io.tiff import write_tiff

                note = None if about is None else json.dumps({"napari_pea": about})
                write_tiff(temporary, labels, axes, sizes, note)


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table as CSV.

    Raises
    ------
    InputError
        If the disk is full or the folder cannot be written to.
    """
    path = Path(path)
    with reported(path), atomic_write(path) as temporary:
        table.to_csv(temporary, index=False)


def _smallest(labels: NDArray[Any], path: Path) -> NDArray[Any]:
    """Return the labels in the smallest unsigned type, if the format can hold them."""
    suffix = path.suffix.lower()
    if labels.dtype.kind not in "iub":
        raise InputError(f"Labels are whole numbers, not {labels.dtype}.")
    if labels.size == 0 or labels.ndim not in (2, 3):
        raise InputError(f"Labels have 2 or 3 axes and at least one pixel, not {labels.shape}.")
    if suffix == ".png" and labels.ndim != 2:
        raise InputError(f"A PNG holds one plane and {path.name} would need more: use .tif.")
    if labels.min() < 0:
        raise InputError(f"Ids of objects cannot be negative: {labels.min()}.")
    largest = int(labels.max())
    limit = LARGEST_ID.get(suffix)
    if limit is not None and largest > limit:
        raise InputError(
            f"{path.name} can hold ids up to {limit} and the labels go up to {largest}: "
            f"use {'.tif' if suffix == '.png' else '.npy'}."
        )
    return labels.astype(np.min_scalar_type(largest))


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turn errors of the system into one sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path} could not be saved: {reason}.") from error


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder that takes the place of `path` if all goes well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as scratch:
        new, old = Path(scratch) / path.name, Path(scratch) / "old"
        yield new
        if path.exists():
            path.rename(old)
        try:
            new.rename(path)
        except BaseException:
            if old.exists():
                old.rename(path)
            raise
