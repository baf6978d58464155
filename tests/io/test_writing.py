from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from napari_pea.core.errors import InputError
from napari_pea.io import read_about, read_image, read_labels, write_labels, write_table

LABELS = np.random.default_rng(0).integers(0, 60000, (100, 120))


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file grow beyond 2000 bytes, not even one that pytest reports to."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("suffix", ["tif", "tiff", "ome.tif", "png", "npy", "zarr"])
def test_labels_come_back_as_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new" / f"labels.{suffix}"
    write_labels(path, LABELS)
    labels = read_labels(path)
    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(labels, LABELS)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("largest", "dtype"), [(0, "u1"), (255, "u1"), (256, "u2"), (65535, "u2"), (65536, "u4")]
)
def test_type_is_the_smallest_that_fits(tmp_path: Path, largest: int, dtype: str) -> None:
    labels = np.zeros((8, 8), dtype=np.uint32)
    labels[0, 0] = largest
    write_labels(tmp_path / "labels.tif", labels)
    assert tifffile.imread(tmp_path / "labels.tif").dtype == np.dtype(dtype)


def test_tiff_is_compressed(tmp_path: Path) -> None:
    write_labels(tmp_path / "labels.tif", np.ones((1000, 1000), dtype=int))
    assert (tmp_path / "labels.tif").stat().st_size < 20_000


@pytest.mark.parametrize("suffix", ["tif", "zarr"])
@pytest.mark.parametrize("shape", [(20, 30), (3, 20, 30)])
def test_axes_and_pixel_size_are_kept(tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    path = tmp_path / f"labels.{suffix}"
    size = (2.0, 0.5, 0.25)[-len(shape) :]
    write_labels(path, np.ones(shape, dtype=int), pixel_size=size)
    image = read_image(path)
    assert image.axes == "ZYX"[-len(shape) :]
    assert image.pixel_size == pytest.approx(size)


def test_zarr_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "labels.zarr"
    write_labels(path, np.ones((3, 2000, 20), dtype=int))
    write_labels(path, LABELS)
    np.testing.assert_array_equal(read_labels(path), LABELS)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "labels", "sentence"),
    [
        ("a.png", np.full((4, 4), 65536), r"a.png can hold ids up to 65535 .* 65536: use .tif"),
        ("a.tif", np.full((4, 4), 2**32), r"a.tif can hold ids up to 4294967295 .*use .npy"),
        ("a.png", np.ones((2, 4, 4), int), "A PNG holds one plane"),
        ("a.bmp", np.ones((4, 4), int), "Labels cannot be written to a.bmp; use one of .tif"),
        ("a.tif", np.ones((4, 4)), "Labels are whole numbers, not float64"),
        ("a.tif", np.full((4, 4), -3), "cannot be negative: -3"),
        ("a.tif", np.ones((0, 4), int), "at least one pixel"),
    ],
)
def test_what_cannot_be_written_is_named(
    tmp_path: Path, name: str, labels: np.ndarray, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        write_labels(tmp_path / name, labels)
    assert list(tmp_path.iterdir()) == []


def test_pixel_sizes_must_fit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="need 2 pixel sizes, not 3"):
        write_labels(tmp_path / "a.tif", LABELS, pixel_size=(1, 1, 1))


@pytest.mark.parametrize("suffix", ["tif", "png", "npy", "zarr"])
def test_full_disk_leaves_the_old_file_alone(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"labels.{suffix}"
    old = np.ones((8, 8), dtype=int)
    write_labels(path, old)
    sentence = rf"labels.{suffix} could not be saved: File too large"
    with pytest.raises(InputError, match=sentence), full_disk():
        write_labels(path, LABELS)
    np.testing.assert_array_equal(read_labels(path), old)
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_leaves_no_half_table(tmp_path: Path) -> None:
    table = pd.DataFrame({"label": np.arange(5000)})
    sentence = r"table.csv could not be saved: File too large"
    with pytest.raises(InputError, match=sentence), full_disk():
        write_table(tmp_path / "table.csv", table)
    assert list(tmp_path.iterdir()) == []


def test_table_is_plain_csv(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv", pd.DataFrame({"label": [1, 2], "area": [30, 40]}))
    assert (tmp_path / "table.csv").read_text() == "label,area\n1,30\n2,40\n"


def test_a_store_whose_successor_cannot_take_its_place_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "labels.zarr"
    old = np.ones((8, 8), dtype=int)
    write_labels(path, old)
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if target == path and self.name == path.name:
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(InputError, match=r"labels.zarr could not be saved: Permission denied"):
        write_labels(path, LABELS)
    np.testing.assert_array_equal(read_labels(path), old)
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(InputError, match="could not be saved"):
        write_labels(tmp_path / "taken" / "labels.tif", LABELS)


@pytest.mark.parametrize("suffix", ["tif", "ome.zarr"])
def test_labels_can_say_how_they_were_made(tmp_path: Path, suffix: str) -> None:
    labels = np.arange(12, dtype=np.uint32).reshape(3, 4)
    about = {"settings": {"ranges": [1, 3]}, "image": "Zellen & <Kerne> µ"}
    write_labels(tmp_path / f"with.{suffix}", labels, about=about)
    assert read_about(tmp_path / f"with.{suffix}") == about
    np.testing.assert_array_equal(read_labels(tmp_path / f"with.{suffix}"), labels)
    write_labels(tmp_path / f"without.{suffix}", labels)
    assert read_about(tmp_path / f"without.{suffix}") is None
    bad = tmp_path / f"text.{suffix}"
    bad.write_text("nothing")
    with pytest.raises(InputError, match=rf"{bad.name} could not be read"):
        read_about(bad)
