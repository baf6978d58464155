from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_pea.core.errors import InputError
from napari_pea.io import ImageData, read_image, read_labels

GREY = (np.arange(20 * 30) * 97 % 60000).astype(np.uint16).reshape(20, 30)
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)


def ome_zarr(path: Path, array: np.ndarray, axes: list[Any], version: str) -> None:
    """Write an image with two levels as other programs do."""
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    scale = [0.5 if axis["name"] in "yx" else 1.0 for axis in axes]
    levels = []
    for name, step in (("full", 1), ("half", 2)):
        level = array[..., ::step, ::step]
        group.create_array(name, shape=level.shape, dtype=level.dtype)[...] = level
        transform = {"type": "scale", "scale": [size * step for size in scale]}
        levels.append({"path": name, "coordinateTransformations": [transform]})
    multiscales = [{"axes": axes, "datasets": levels, "version": version}]
    if version == "0.4":
        group.attrs["multiscales"] = multiscales
    else:
        group.attrs["ome"] = {"version": version, "multiscales": multiscales}


@pytest.mark.parametrize("array", [GREY, COLOUR, (GREY % 256).astype(np.uint8)])
def test_png_is_read_in_full_depth(tmp_path: Path, array: np.ndarray) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(imagecodecs.png_encode(array))
    image = read_image(path)
    assert image.array.dtype == array.dtype
    np.testing.assert_array_equal(image.array, array)
    assert image.channel_axis == (None if array.ndim == 2 else 2)


def test_grey_png_with_opacity_is_grey(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(imagecodecs.png_encode(np.stack([GREY, GREY // 2], axis=-1)))
    np.testing.assert_array_equal(read_image(path).array, GREY)


def test_jpeg(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(imagecodecs.jpeg_encode(np.full((16, 16, 3), 100, np.uint8)))
    image = read_image(path)
    assert image.axes == "YXS"
    assert np.abs(image.array.astype(int) - 100).max() < 5


def test_npy_says_nothing_about_axes(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", COLOUR)
    image = read_image(tmp_path / "image.npy")
    np.testing.assert_array_equal(image.array, COLOUR)
    assert (image.axes, image.channel_axis, image.pixel_size) == (None, None, None)


def test_npy_executes_nothing(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"image.npy is damaged"):
        read_image(tmp_path / "image.npy")


def test_ome_tiff_tells_axes_and_pixel_size(tmp_path: Path) -> None:
    path = tmp_path / "image.ome.tif"
    metadata = {"axes": "CYX", "PhysicalSizeX": 325, "PhysicalSizeXUnit": "nm"}
    metadata |= {"PhysicalSizeY": 0.65, "PhysicalSizeYUnit": "µm"}
    tifffile.imwrite(path, np.stack([GREY, GREY + 1]), metadata=metadata)
    image = read_image(path)
    assert image.axes == "CYX"
    assert image.channel_axis == 0
    assert image.pixel_size == pytest.approx((0.65, 0.325))


def test_imagej_tiff_tells_axes_and_pixel_size(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    stack = np.stack([GREY, GREY, GREY])
    metadata = {"axes": "ZYX", "spacing": 2.0, "unit": "um"}
    tifffile.imwrite(path, stack, imagej=True, resolution=(4.0, 2.0), metadata=metadata)
    image = read_image(path)
    assert image.axes == "ZYX"
    assert image.pixel_size == pytest.approx((2.0, 0.5, 0.25))


def test_tiff_with_pixels_per_centimetre(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, GREY, resolution=(20000, 20000), resolutionunit="CENTIMETER")
    assert read_image(path).pixel_size == pytest.approx((0.5, 0.5))


def test_dots_per_inch_are_no_pixel_size(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, GREY, resolution=(72, 72), resolutionunit="INCH")
    assert read_image(path).pixel_size is None


def test_pyramid_is_read_at_its_finest_level(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(GREY, subifds=1)
        writer.write(GREY[::2, ::2], subfiletype=1)
    np.testing.assert_array_equal(read_image(path).array, GREY)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_is_read_at_its_finest_level(tmp_path: Path, version: str) -> None:
    path = tmp_path / "image.zarr"
    array = np.stack([GREY, GREY + 1])[None]
    space = {"type": "space", "unit": "micrometer"}
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": "y"} | space, {"name": "x"} | space]
    ome_zarr(path, array, axes, version)
    image = read_image(path)
    np.testing.assert_array_equal(image.array, array)
    assert image.axes == "TCYX"
    assert image.pixel_size == (0.5, 0.5)
    assert image.squeezed().axes == "CYX"


def test_ome_zarr_inside_the_folder_of_a_converter(tmp_path: Path) -> None:
    path = tmp_path / "image.zarr"
    zarr.open_group(path, mode="w", zarr_format=2).attrs["bioformats2raw.layout"] = 3
    ome_zarr(path / "0", GREY, [{"name": "y"}, {"name": "x"}], "0.4")
    image = read_image(path)
    np.testing.assert_array_equal(image.array, GREY)
    assert image.pixel_size is None  # a scale without a unit is no length


def test_bare_zarr_array(tmp_path: Path) -> None:
    path = tmp_path / "image.zarr"
    zarr.create_array(path, data=GREY, dimension_names=("y", "x"))
    image = read_image(path)
    np.testing.assert_array_equal(image.array, GREY)
    assert image.axes == "YX"


def test_zarr_without_image(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "image.zarr", mode="w")
    with pytest.raises(InputError, match=r"image.zarr holds no OME-Zarr image"):
        read_image(tmp_path / "image.zarr")


def test_axes_of_length_one_can_be_left_out() -> None:
    image = ImageData(GREY[None, None], "TZYX", (2.0, 0.5, 0.5)).squeezed()
    assert (image.array.shape, image.axes, image.pixel_size) == (GREY.shape, "YX", (0.5, 0.5))
    line = ImageData(GREY[None, :1], None).squeezed()
    assert line.array.shape == (1, 30)


@pytest.mark.parametrize("suffix", ["tif", "png", "jpg", "npy"])
@pytest.mark.parametrize("content", [b"", b"hello", b"II*\0\x08\0\0\0\xff\xff"])
def test_damaged_files_are_named(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"image.{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"image.{suffix} is damaged or not what its name says"):
        read_image(path)


@pytest.mark.parametrize("suffix", ["tif", "png", "npy"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_files_that_were_cut_off_are_named(
    tmp_path: Path, suffix: str, compression: str | None
) -> None:
    path = tmp_path / f"image.{suffix}"
    if suffix == "tif":
        tifffile.imwrite(path, GREY, compression=compression)
    elif suffix == "png":
        path.write_bytes(imagecodecs.png_encode(GREY))
    else:
        np.save(path, GREY)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(InputError, match="is damaged or not what its name says"):
        read_image(path)


@pytest.mark.parametrize("array", [np.array(5), np.arange(30)])
def test_numbers_and_lines_are_no_images(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "image.npy", array)
    for read in (read_image, read_labels):
        with pytest.raises(InputError, match=r"image.npy holds an array of shape .*rows and col"):
            read(tmp_path / "image.npy")


def test_missing_and_unknown_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no file .*image.tif"):
        read_image(tmp_path / "image.tif")
    with pytest.raises(InputError, match=r"image.czi is no image that can be read"):
        read_image(tmp_path / "image.czi")


def test_labels_of_a_png_with_palette_are_its_numbers(tmp_path: Path) -> None:
    labels = (GREY % 7).astype(np.uint8)
    picture = Image.fromarray(labels).convert("P")
    picture.putpalette(list(range(255, -1, -1)) * 3)
    picture.putdata(labels.ravel().tolist())
    picture.save(tmp_path / "labels.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.png"), labels)


@pytest.mark.parametrize("dtype", [bool, np.int16, np.uint32, np.float32])
def test_labels_of_any_type_become_whole_numbers(tmp_path: Path, dtype: type) -> None:
    ids = (GREY % 2).astype(dtype)
    np.save(tmp_path / "labels.npy", ids[None])
    labels = read_labels(tmp_path / "labels.npy")
    assert labels.dtype.kind in "iu"
    np.testing.assert_array_equal(labels, GREY % 2)


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.full((4, 4), 0.5), "holds float64 values"),
        (np.full((4, 4), np.nan), "holds float64 values"),
        (np.full((4, 4), 1j), "holds complex128 values"),
        (np.full((4, 4), -1), "has the negative id -1"),
    ],
)
def test_what_cannot_be_labels_is_named(tmp_path: Path, array: np.ndarray, sentence: str) -> None:
    np.save(tmp_path / "labels.npy", array)
    with pytest.raises(InputError, match=f"labels.npy {sentence}"):
        read_labels(tmp_path / "labels.npy")


def test_a_colour_picture_is_no_label_image(tmp_path: Path) -> None:
    (tmp_path / "labels.png").write_bytes(imagecodecs.png_encode(COLOUR))
    with pytest.raises(InputError, match=r"labels.png has colours or channels"):
        read_labels(tmp_path / "labels.png")
