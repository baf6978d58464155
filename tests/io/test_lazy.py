"""Images read piece by piece are those read at once."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import tifffile
import zarr

from napari_pea.core.errors import InputError
from napari_pea.io import read_image, write_labels
from napari_pea.io.lazy import missing_chunks, open_image

VOLUME = np.arange(4 * 30 * 20, dtype=np.uint16).reshape(4, 30, 20)
REGION = (slice(1, 3), slice(5, 25), slice(0, 20))


def write_hdf5(path):
    import h5py

    with h5py.File(path, "w") as file:
        file["volumes/raw"] = VOLUME


WRITERS = {
    "plain.tif": lambda path: tifffile.imwrite(path, VOLUME, photometric="minisblack"),
    "tiled.tif": lambda path: tifffile.imwrite(
        path, VOLUME, tile=(16, 16), compression="zlib", photometric="minisblack"
    ),
    "ome.zarr": lambda path: write_labels(path, VOLUME, pixel_size=(2.0, 0.5, 0.5)),
    "bare.zarr": lambda path: zarr.save_array(path, VOLUME),
    "plain.npy": lambda path: np.save(path, VOLUME),
    "file.h5": write_hdf5,
}


@pytest.mark.parametrize("name", WRITERS)
def test_regions_are_those_of_the_image(tmp_path, name):
    WRITERS[name](tmp_path / name)
    image = open_image(tmp_path / name)
    assert image.shape == VOLUME.shape
    assert image.dtype == VOLUME.dtype
    assert np.array_equal(image[REGION], VOLUME[REGION])
    assert np.array_equal(image[...], VOLUME)
    assert np.array_equal(image[2, ..., ::3], VOLUME[2, ..., ::3])
    again = pickle.loads(pickle.dumps(image))  # noqa: S301 - our own
    assert np.array_equal(again[1], VOLUME[1])


def test_a_colon_may_stand_in_the_name_of_a_file(tmp_path):
    path = tmp_path / "12:30.h5"
    write_hdf5(path)
    assert np.array_equal(open_image(path)[1], VOLUME[1])
    assert np.array_equal(open_image(f"{path}:volumes/raw")[1], VOLUME[1])


def test_axes_and_pixel_size_are_those_of_the_file(tmp_path):
    for suffix in (".zarr", ".tif"):
        path = tmp_path / f"labels{suffix}"
        write_labels(path, VOLUME, pixel_size=(2.0, 0.5, 0.25))
        image, whole = open_image(path), read_image(path)
        assert (image.axes, image.pixel_size) == (whole.axes, whole.pixel_size)
        assert image.pixel_size == (2.0, 0.5, 0.25)


def test_arrays_in_hdf5_are_named_after_a_colon(tmp_path):
    import h5py

    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file["raw"], file["labels/a"] = VOLUME, VOLUME + 1
    assert np.array_equal(open_image(f"{path}:raw")[...], VOLUME)
    assert np.array_equal(open_image(f"{path}:/labels/a")[...], VOLUME + 1)
    for name in (str(path), f"{path}:other"):
        with pytest.raises(InputError, match="labels/a, raw: name one after a colon"):
            open_image(name)


def test_what_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(InputError, match="There is no file"):
        open_image(tmp_path / "none.zarr")
    (tmp_path / "picture.png").touch()
    with pytest.raises(InputError, match="piece by piece"):
        open_image(tmp_path / "picture.png")
    (tmp_path / "broken.tif").write_bytes(b"II*\0 no")
    with pytest.raises(InputError, match="damaged"):
        open_image(tmp_path / "broken.tif")


def test_a_chunk_that_cannot_be_decoded_is_named(tmp_path):
    array = zarr.create_array(
        tmp_path / "v.zarr", shape=VOLUME.shape, chunks=(2, 30, 20), dtype=np.uint16
    )
    array[...] = VOLUME
    image = open_image(tmp_path / "v.zarr")
    chunk = next(path for path in (tmp_path / "v.zarr" / "c" / "1").rglob("*") if path.is_file())
    chunk.write_bytes(b"nothing")
    assert np.array_equal(image[0:2], VOLUME[0:2])
    with pytest.raises(InputError, match=r"chunk c/1/0/0 of .*v.zarr cannot be decoded"):
        image[1:4, :, 7]


def test_a_damaged_part_of_a_tiff_is_named(tmp_path):
    path = tmp_path / "v.tif"
    WRITERS["tiled.tif"](path)
    image = open_image(path)
    written = path.read_bytes()
    with tifffile.TiffFile(path) as tiff:
        start = tiff.pages[2].dataoffsets[0]
    path.write_bytes(written[:start] + bytes(20) + written[start + 20 :])
    assert np.array_equal(image[0:2], VOLUME[0:2])
    with pytest.raises(InputError, match="in 2:4, 0:, 0:"):
        image[2:4, :, :]


def test_chunks_that_are_not_stored_are_counted(tmp_path):
    for name in WRITERS:
        WRITERS[name](tmp_path / name)
        assert missing_chunks(open_image(tmp_path / name))[0] == 0
    path = tmp_path / "holes.zarr"
    array = zarr.create_array(path, shape=(4, 30, 20), chunks=(1, 30, 10), dtype=np.uint16)
    array[:3] = 1
    assert missing_chunks(open_image(path)) == missing_chunks(array) == (2, 8)
    import h5py

    with h5py.File(tmp_path / "holes.h5", "w") as file:
        file.create_dataset("raw", (4, 30, 20), chunks=(1, 30, 10), dtype="u2")[0] = 1
    assert missing_chunks(open_image(tmp_path / "holes.h5")) == (6, 8)
    assert missing_chunks(VOLUME) == (0, 0)
