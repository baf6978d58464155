"""Reading images and labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pea.core.errors import InputError
from napari_pea.io.paths import READABLE

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Position and value of the byte that says that the pixels of a PNG are palette numbers.
PNG_COLOUR_TYPE, PNG_PALETTE = 25, 3


@dataclass(frozen=True)
class ImageData:
    """An image as it stands in its file.

    Attributes
    ----------
    array : array
        Pixels of any type.
    axes : str or None
        One letter for each axis: Y, X and Z in space, C for channels, S for the colours of
        a pixel, T for time, others for what is not known; None if the file does not tell.
    pixel_size : tuple of float or None
        Micrometres along each axis in space, in the order of the axes; None if not known.
    """

    array: NDArray[np.generic]
    axes: str | None = None
    pixel_size: tuple[float, ...] | None = None

    @property
    def channel_axis(self) -> int | None:
        """The axis of the channels, or None if there is none or it is not known."""
        for letter in "CS":
            if self.axes and letter in self.axes:
                return self.axes.index(letter)
        return None

    def squeezed(self) -> ImageData:
        """Return the image without axes of length 1, image rows and columns apart.

        Projections and single frames often come with such axes.
        """
        axes = self.axes or "Q" * (self.array.ndim - 2) + "YX"[-self.array.ndim :]
        kept = [
            index
            for index, (letter, size) in enumerate(zip(axes, self.array.shape, strict=True))
            if size != 1 or letter in "YX"
        ]
        array = self.array.reshape([self.array.shape[index] for index in kept])
        named = "".join(axes[index] for index in kept) if self.axes else None
        size = self.pixel_size
        if size is not None:
            # The axis in front that went away is Z; rows and columns always stay.
            size = size[-sum(axes[index] in "ZYX" for index in kept) :]
        return ImageData(array, named, size)


def read_image(path: str | Path) -> ImageData:
    """Read an image.

    Parameters
    ----------
    path : str or Path
        A TIFF, OME-TIFF, PNG, JPEG or NPY file, or an OME-Zarr folder, of which the finest
        level is read.

    Returns
    -------
    ImageData

    Raises
    ------
    InputError
        If the file is missing, damaged, or of another kind.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise InputError(f"{path} is no image that can be read; readable are {_kinds()}.")
    return _guarded(_READERS[suffix], path)


def read_about(path: str | Path) -> dict[str, Any] | None:
    """Return how labels were made, if their file says so.

    Parameters
    ----------
    path : str or Path
        A TIFF or OME-Zarr that `write_labels` may have written.

    Raises
    ------
    InputError
        If it is neither, or damaged.
    """
    path = Path(path)
    read = _read_zarr_note if path.suffix.lower() == ".zarr" else _read_tiff_note
    try:
        told = read(path)
    except (OSError, ValueError, KeyError) as error:  # tifffile's error is a ValueError
        raise InputError(f"{path} could not be read: {error}.") from error
    about = told.get("napari_pea") if isinstance(told, dict) else None
    return about if isinstance(about, dict) else None


def read_labels(path: str | Path) -> NDArray[Any]:
    """Read an image of object ids.

    Parameters
    ----------
    path : str or Path
        A file that `read_image` reads. Of a PNG with a palette the numbers count, not the
        colours.

    Returns
    -------
    array of int, shape (*spatial)
        Ids, 0 for the background; axes of length 1 are left out.

    Raises
    ------
    InputError
        If the file cannot be read or holds something else than ids.
    """
    path = Path(path)
    image = _guarded(_read_palette, path) if _has_palette(path) else read_image(path)
    image = image.squeezed()
    labels: NDArray[Any] = image.array
    if image.channel_axis is not None:
        raise InputError(
            f"{path} has colours or channels {labels.shape}: a label image has one id for each "
            "pixel."
        )
    if labels.dtype.kind == "b":
        return labels.astype(np.uint8)
    if labels.dtype.kind == "f" and np.array_equal(labels, np.floor(labels)):
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "iu":
        raise InputError(f"{path} holds {labels.dtype} values: a label image has whole numbers.")
    if labels.size and labels.min() < 0:
        raise InputError(f"{path} has the negative id {labels.min()}: ids start at 0.")
    return labels


def _guarded(reader: Callable[[Path], ImageData], path: Path) -> ImageData:
    """Read a file and turn whatever goes wrong into one sentence."""
    if not path.exists():
        raise InputError(f"There is no file {path}.")
    try:
        image = reader(path)
    except (InputError, MemoryError):
        raise
    except PermissionError as error:
        raise InputError(f"The file {path} cannot be opened: permission denied.") from error
    except Exception as error:  # decoders raise all sorts of errors on damaged bytes
        raise InputError(f"The file {path} is damaged or not what its name says.") from error
    if image.array.ndim < 2:
        raise InputError(
            f"{path} holds an array of shape {image.array.shape}: an image has rows and columns."
        )
    return image


def _read_tiff(path: Path) -> ImageData:
    from napari_pea.io.tiff import read_tiff

    return ImageData(*read_tiff(path))


def _read_tiff_note(path: Path) -> Any:
    from napari_pea.io.tiff import read_note

    note = read_note(path)
    try:
        return json.loads(note or "null")
    except json.JSONDecodeError:
        return None


def _read_zarr_note(path: Path) -> Any:
    from napari_pea.io.ome_zarr import read_zarr_note

    return {"napari_pea": read_zarr_note(path)}


def _read_zarr(path: Path) -> ImageData:
    from napari_pea.io.ome_zarr import read_ome_zarr

    return ImageData(*read_ome_zarr(path))


def _read_npy(path: Path) -> ImageData:
    return ImageData(np.load(path, allow_pickle=False))


def _read_png(path: Path) -> ImageData:
    import imagecodecs

    return _coloured(imagecodecs.png_decode(path.read_bytes()))


def _read_jpeg(path: Path) -> ImageData:
    import imagecodecs

    return _coloured(imagecodecs.jpeg_decode(path.read_bytes()))


def _read_palette(path: Path) -> ImageData:
    from PIL import Image

    with Image.open(path) as picture:
        return ImageData(np.asarray(picture), "YX")


def _coloured(array: NDArray[Any]) -> ImageData:
    """Return a picture with one or more values for each pixel."""
    if array.ndim == 3 and array.shape[-1] == 2:  # grey and its opacity
        array = array[..., 0]
    return ImageData(array, "YXS" if array.ndim == 3 else "YX")


def _has_palette(path: Path) -> bool:
    """Whether a file is a PNG whose pixels are palette numbers."""
    if path.suffix.lower() != ".png" or not path.is_file():
        return False
    with path.open("rb") as stream:
        header = stream.read(PNG_COLOUR_TYPE + 1)
    return header[PNG_COLOUR_TYPE:] == bytes([PNG_PALETTE])


def _kinds() -> str:
    return ", ".join(READABLE)


_READERS: dict[str, Callable[[Path], ImageData]] = {
    ".tif": _read_tiff,
    ".tiff": _read_tiff,
    ".png": _read_png,
    ".jpg": _read_jpeg,
    ".jpeg": _read_jpeg,
    ".npy": _read_npy,
    ".zarr": _read_zarr,
}
