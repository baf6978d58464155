"""Writing labels block by block, as OME-Zarr with coarser levels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_pea.core.errors import InputError
from napari_pea.io.ome_zarr import describe_labels, open_multiscale
from napari_pea.volumes.grid import Grid, Region

if TYPE_CHECKING:
    import dask.array
    from numpy.typing import NDArray

#: Levels are added until no side is longer.
COARSEST = 512


class LabelPyramid:
    """Labels of a large array at several resolutions, the finest first.

    Parameters
    ----------
    path : Path
        A folder.
    shape : tuple of int
        Of the finest level.
    factors : tuple of int
        By which each level is coarser than the one before, along each axis.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], factors: tuple[int, ...]) -> None:
        self.path = path
        self.shapes = [shape]
        self.factors = factors
        while max(self.shapes[-1][axis] for axis in _coarsened(factors)) > COARSEST:
            self.shapes.append(
                tuple(
                    -(-size // factor)
                    for size, factor in zip(self.shapes[-1], factors, strict=True)
                )
            )

    def create(
        self,
        chunks: Sequence[int],
        dtype: np.dtype[Any],
        axes: str,
        pixel_size: Sequence[float] | None,
        about: dict[str, Any],
    ) -> None:
        """Make the folder and its empty levels.

        Parameters
        ----------
        chunks : sequence of int
            Sides of the chunks.
        dtype : dtype
            An unsigned type that holds all ids.
        axes : str
            A letter for each axis.
        pixel_size : sequence of float, optional
            Micrometres along each axis.
        about : dict
            How the labels were made, as plain values.
        """
        group = zarr.open_group(self.path, mode="w", zarr_format=2)
        for level, shape in enumerate(self.shapes):
            group.create_array(
                str(level),
                shape=shape,
                chunks=tuple(map(min, chunks, shape)),
                dtype=dtype,
                chunk_key_encoding={"name": "v2", "separator": "/"},
            )
        describe_labels(
            group,
            self.path.stem,
            axes,
            pixel_size,
            [tuple(factor**level for factor in self.factors) for level in range(len(self.shapes))],
        )
        group.attrs["napari_pea"] = about

    def write(self, region: Region, labels: NDArray[Any]) -> None:
        """Write the labels of a region of the finest level."""
        self._level(0)[region] = labels

    def coarsen(self, level: int, region: Region) -> None:
        """Fill a region of a level from the finer one: each pixel has the id at its corner."""
        finer = tuple(
            slice(part.start * factor, min(part.stop * factor, size))
            for part, factor, size in zip(region, self.factors, self.shapes[level - 1], strict=True)
        )
        steps = tuple(slice(None, None, factor) for factor in self.factors)
        self._level(level)[region] = np.asarray(self._level(level - 1)[finer])[steps]

    def grid(self, level: int, block_shape: Sequence[int]) -> Grid:
        """Return blocks of a level."""
        shape = self.shapes[level]
        return Grid(shape, tuple(map(min, block_shape, shape)), (0,) * len(shape))

    def _level(self, level: int) -> zarr.Array[Any]:
        return zarr.open_array(self.path / str(level), mode="r+")


def open_levels(path: Path) -> list[dask.array.Array]:
    """Open the levels of an OME-Zarr without reading them, the finest first.

    Parameters
    ----------
    path : Path
        What `LabelPyramid` has written.

    Raises
    ------
    InputError
        If it is none.
    """
    import dask.array

    return [dask.array.from_zarr(level) for level in open_multiscale(path)]


def type_for(n_objects: int) -> np.dtype[Any]:
    """Return the smaller of two types that holds all ids."""
    return np.dtype(np.uint32 if n_objects < 2**32 else np.uint64)


def coarsening(pixel_size: Sequence[float]) -> tuple[int, ...]:
    """Return by how much each level is coarser than the one before.

    Parameters
    ----------
    pixel_size : sequence of float
        Along each axis; axes that are much coarser than others stay as they are.
    """
    finest = min(pixel_size)
    return tuple(2 if size < 2 * finest else 1 for size in pixel_size)


def _coarsened(factors: Sequence[int]) -> list[int]:
    """Return the axes that become coarser."""
    return [axis for axis, factor in enumerate(factors) if factor > 1]


def told_about(path: Path) -> dict[str, Any]:
    """Return what labels on disk say about themselves; nothing if they are not ours."""
    try:
        told = zarr.open_group(path, mode="r").attrs.get("napari_pea")
    except (OSError, ValueError, TypeError, KeyError):  # whatever else it may be
        return {}
    return told if isinstance(told, dict) else {}


def check_is_ours(path: Path) -> None:
    """Say that something on disk is not to be replaced, nor opened, as labels.

    Raises
    ------
    InputError
        If there is something that a job in blocks has not written.
    """
    if path.exists() and not told_about(path):
        raise InputError(f"{path} holds no labels of napari-pea: choose another name.")
