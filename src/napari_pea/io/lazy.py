"""Images that are read piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Index = tuple[Any, ...]
#: HDF5 files, in which an array is named after a colon: ``file.h5:volumes/raw``.
HDF5 = (".h5", ".hdf5", ".hdf")


def full_index(index: Any, ndim: int) -> tuple[Any, ...]:
    """Return what an array was indexed with as a tuple, with slices in place of an ellipsis."""
    given = index if isinstance(index, tuple) else (index,)
    if Ellipsis not in given:
        return given
    at = given.index(Ellipsis)
    return (*given[:at], *(slice(None),) * (ndim - len(given) + 1), *given[at + 1 :])


@dataclass(frozen=True)
class LazyImage:
    """An image in a file, of which regions are read when it is indexed.

    It opens the file each time, so that it can be sent to other machines that see the file.

    Attributes
    ----------
    path : Path
        The file or folder.
    shape : tuple of int
        Of the image.
    dtype : dtype
        Of its pixels.
    axes : str or None
        See `napari_pea.io.reading.ImageData`.
    pixel_size : tuple of float or None
        See `napari_pea.io.reading.ImageData`.
    read : callable
        Reads a region: given the path and one slice or number for each axis.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    axes: str | None
    pixel_size: tuple[float, ...] | None
    read: Callable[[Path, Index], NDArray[Any]]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Read a region.

        Raises
        ------
        InputError
            If it cannot be read.
        """
        given = full_index(index, self.ndim)
        try:
            return self.read(self.path, given)
        except (InputError, MemoryError):
            raise
        except Exception as error:  # decoders raise all sorts of errors on damaged bytes
            raise InputError(
                f"A part of {self.path} cannot be read, in {_text(given)}: it is missing or "
                "damaged."
            ) from error


def open_image(name: str | Path) -> LazyImage:
    """Open an image without reading it.

    Parameters
    ----------
    name : str or Path
        An OME-Zarr or Zarr folder, a TIFF, an NPY file, or an HDF5 file with the name of an
        array in it after a colon.

    Returns
    -------
    LazyImage

    Raises
    ------
    InputError
        If there is none, or it cannot be opened.
    """
    path, key = Path(name), ""
    if not path.exists() and ":" in str(name)[2:]:  # before that it belongs to a drive
        text, _, key = str(name).rpartition(":")
        path = Path(text)
    suffix = path.suffix.lower()
    if not path.exists():
        raise InputError(f"There is no file {path}.")
    if suffix not in _OPENERS:
        raise InputError(f"{path} cannot be read piece by piece; these can: {', '.join(_OPENERS)}.")
    try:
        return _OPENERS[suffix](path, key)
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise InputError(f"The file {path} is damaged or not what its name says.") from error


def check_complete(image: Any, name: str = "") -> None:
    """Say that chunks of an image are not stored.

    Parameters
    ----------
    image : array-like
        See `missing_chunks`.
    name : str
        What the image is called.

    Raises
    ------
    InputError
        If any is missing.
    """
    missing, in_all = missing_chunks(image)
    if missing:
        raise InputError(
            f"{missing:,} of {in_all:,} chunks of {name or 'the image'} are missing: complete the "
            "copy or, if they are empty on purpose, say so: --allow-missing, or “Missing chunks "
            "are empty” in the dock."
        )


def missing_chunks(image: Any) -> tuple[int, int]:
    """Return how many chunks of an image are not stored, and how many it has.

    Zarr and HDF5 give a fill value in their place and tell nobody.

    Parameters
    ----------
    image : array-like
        A `LazyImage`, a Zarr array, or any other one, of which no chunks are known.
    """
    import zarr

    if isinstance(image, LazyImage):
        if image.read is _read_zarr:
            from napari_pea.io.ome_zarr import open_ome_zarr

            return missing_chunks(open_ome_zarr(image.path)[0])
        if isinstance(image.read, _Hdf5Reader):
            return image.read.missing(image.path)
    if isinstance(image, zarr.Array):
        return image.nchunks - image.nchunks_initialized, image.nchunks
    return 0, 0


def _open_zarr(path: Path, key: str) -> LazyImage:
    from napari_pea.io.ome_zarr import open_ome_zarr

    array, axes, pixel_size = open_ome_zarr(path / key if key else path)
    where = path / key if key else path
    return LazyImage(where, array.shape, array.dtype, axes, pixel_size, _read_zarr)


def _read_zarr(path: Path, region: Index) -> NDArray[Any]:
    from napari_pea.io.ome_zarr import open_ome_zarr

    array = open_ome_zarr(path)[0]
    try:
        return np.asarray(array[region])
    except (MemoryError, IndexError):
        raise
    except Exception as error:
        broken = _broken_chunk(array, region)
        if broken is None:
            raise
        raise InputError(
            f"The chunk {broken} of {path} cannot be decoded: copy it again from where it came."
        ) from error


def _broken_chunk(array: Any, region: Index) -> str | None:
    """Return the name of the first chunk in a region that cannot be read."""
    indices = []
    for part, size, side in zip(region, array.shape, array.chunks, strict=False):
        inside = range(size)[part]
        places = inside if isinstance(inside, range) else range(inside, inside + 1)
        indices.append(sorted({place // side for place in places}))
    for index in product(*indices):
        where = tuple(
            slice(at * side, (at + 1) * side) for at, side in zip(index, array.chunks, strict=False)
        )
        try:
            array[where]
        except Exception:  # noqa: BLE001 - decoders raise all sorts of errors
            return str(array.metadata.encode_chunk_key(index))
    return None


def _open_tiff(path: Path, _: str) -> LazyImage:
    from napari_pea.io.tiff import describe_tiff, read_tiff_region

    return LazyImage(path, *describe_tiff(path), read_tiff_region)


def _open_npy(path: Path, _: str) -> LazyImage:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return LazyImage(path, array.shape, array.dtype, None, None, _read_npy)


def _read_npy(path: Path, region: Index) -> NDArray[Any]:
    return np.array(np.load(path, mmap_mode="r", allow_pickle=False)[region])


def _open_hdf5(path: Path, key: str) -> LazyImage:
    import h5py

    with h5py.File(path) as file:
        arrays: dict[str, Any] = {}
        file.visititems(
            lambda name, item: arrays.update({name: item}) if hasattr(item, "shape") else None
        )
        if not key and len(arrays) == 1:
            (key,) = arrays
        if key.strip("/") not in arrays:
            raise InputError(
                f"{path} holds the arrays {', '.join(sorted(arrays)) or '(none)'}: name one "
                f"after a colon, as in {path.name}:{next(iter(sorted(arrays)), 'raw')}."
            )
        array = arrays[key.strip("/")]
        read = _Hdf5Reader(key.strip("/"))
        return LazyImage(path, array.shape, array.dtype, None, None, read)


@dataclass(frozen=True)
class _Hdf5Reader:
    """Reads regions of an array in an HDF5 file."""

    key: str

    def __call__(self, path: Path, region: Index) -> NDArray[Any]:
        import h5py

        with h5py.File(path) as file:
            return np.asarray(file[self.key][region])

    def missing(self, path: Path) -> tuple[int, int]:
        """Return how many chunks are not stored, and how many there are."""
        import h5py

        with h5py.File(path) as file:
            array = file[self.key]
            if array.chunks is None:
                return 0, 0
            n = prod(-(-size // side) for size, side in zip(array.shape, array.chunks, strict=True))
            return n - array.id.get_num_chunks(), n


def _text(region: Index) -> str:
    parts = []
    for part in region:
        if isinstance(part, slice):
            parts.append(f"{part.start or 0}:{'' if part.stop is None else part.stop}")
        else:
            parts.append(str(part))
    return ", ".join(parts)


_OPENERS: dict[str, Callable[[Path, str], LazyImage]] = {
    ".zarr": _open_zarr,
    ".tif": _open_tiff,
    ".tiff": _open_tiff,
    ".npy": _open_npy,
    **dict.fromkeys(HDF5, _open_hdf5),
}
