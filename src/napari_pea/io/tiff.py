"""TIFF and OME-TIFF: pixels, axes and pixel size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_pea.io.units import SPATIAL, complete, in_micrometres

if TYPE_CHECKING:
    from numpy.typing import NDArray


def read_tiff(path: Path) -> tuple[NDArray[Any], str, tuple[float, ...] | None]:
    """Read the first series of a TIFF at its finest level.

    Returns
    -------
    array, axes, pixel_size
        See `napari_pea.io.reading.ImageData`.
    """
    with tifffile.TiffFile(path) as tiff:
        return (tiff.series[0].asarray(), *_about(tiff))


def describe_tiff(
    path: Path,
) -> tuple[tuple[int, ...], np.dtype[Any], str, tuple[float, ...] | None]:
    """Return shape, type, axes and pixel size of the first series of a TIFF."""
    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        if series.dtype is None:
            raise tifffile.TiffFileError("the first series holds no numbers")
        return (series.shape, series.dtype, *_about(tiff))


def read_tiff_region(path: Path, region: tuple[slice, ...]) -> NDArray[Any]:
    """Read a part of the first series of a TIFF at its finest level."""
    import zarr

    with tifffile.TiffFile(path) as tiff:
        array = zarr.open_array(tiff.series[0].aszarr(level=0), mode="r")
        return np.asarray(array[region])


def write_tiff(
    path: Path,
    labels: NDArray[Any],
    axes: str,
    pixel_size: tuple[float, ...] | None,
    note: str | None = None,
) -> None:
    """Write labels as compressed OME-TIFF, which keeps axes, pixel size and a note."""
    metadata: dict[str, Any] = {"axes": axes}
    if note is not None:
        metadata["Description"] = note
    if pixel_size is not None:
        for axis, size in zip(axes, pixel_size, strict=True):
            metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    tifffile.imwrite(path, labels, ome=True, compression="zlib", metadata=metadata)


def read_note(path: Path) -> str | None:
    """Return the note in an OME-TIFF, if there is one."""
    with tifffile.TiffFile(path) as tiff:
        if not tiff.is_ome:
            return None
        found: Any = tifffile.xml2dict(tiff.ome_metadata or "")
    for name in ("OME", "Image", "Description"):
        if not isinstance(found, dict):
            return None
        found = found.get(name)
        found = found[0] if isinstance(found, (list, tuple)) else found
    return None if found is None else str(found)


def _about(tiff: tifffile.TiffFile) -> tuple[str, tuple[float, ...] | None]:
    """Return axes and pixel size of the first series."""
    axes = tiff.series[0].axes
    sizes = _pixel_sizes(tiff)
    return axes, complete([sizes.get(axis) for axis in axes if axis in SPATIAL])


def _pixel_sizes(tiff: tifffile.TiffFile) -> dict[str, float | None]:
    """Return the pixel size in micrometres along each axis, as far as the file tells."""
    if tiff.is_ome:
        return _ome_sizes(tiff.ome_metadata or "")
    page = tiff.pages.first
    imagej = tiff.imagej_metadata or {}
    unit = imagej.get("unit")
    if unit is not None:
        across, down = _per_unit(page, "XResolution"), _per_unit(page, "YResolution")
        sizes = {"Z": imagej.get("spacing"), "Y": down, "X": across}
    elif _tag(page, "ResolutionUnit") == tifffile.RESUNIT.CENTIMETER:
        # Dots per inch are for print; microscopes that tell the truth use centimetres.
        unit = "cm"
        sizes = {"Y": _per_unit(page, "YResolution"), "X": _per_unit(page, "XResolution")}
    else:
        return {}
    return {axis: in_micrometres(size, unit) for axis, size in sizes.items()}


def _ome_sizes(xml: str) -> dict[str, float | None]:
    """Return the pixel sizes of the first image of OME metadata."""
    found: Any = tifffile.xml2dict(xml)
    for name in ("OME", "Image", "Pixels"):
        found = found.get(name, {})
        found = found[0] if isinstance(found, (list, tuple)) else found
    return {
        axis: in_micrometres(
            found.get(f"PhysicalSize{axis}"), found.get(f"PhysicalSize{axis}Unit", "µm")
        )
        for axis in SPATIAL
    }


def _tag(page: Any, name: str) -> Any:
    tag = page.tags.get(name)
    return None if tag is None else tag.value


def _per_unit(page: Any, name: str) -> float | None:
    """Return the length of a pixel from a tag that holds pixels per unit as a fraction."""
    value = _tag(page, name)
    if value is None:
        return None
    pixels, units = np.asarray(value, dtype=float)
    return float(units / pixels) if pixels > 0 else None
