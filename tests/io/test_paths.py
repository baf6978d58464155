from __future__ import annotations

from pathlib import Path

import pytest

from napari_pea.core.errors import InputError
from napari_pea.io import file_pairs, image_files


def touch(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in names]
    for path in paths:
        path.touch()
    return paths


def test_a_folder_stands_for_its_images_sorted_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "b.tif", "a.PNG", "notes.txt", ".hidden.tif", "c.npy", "d.jpeg")
    (tmp_path / "e.zarr").mkdir()
    (tmp_path / "below").mkdir()
    found = image_files(tmp_path)
    assert [path.name for path in found] == ["a.PNG", "b.tif", "c.npy", "d.jpeg", "e.zarr"]


def test_a_pattern_is_expanded_where_the_shell_does_not(tmp_path: Path) -> None:
    touch(tmp_path / "one", "x1.tif", "x2.tif", "y.tif", "x.txt")
    touch(tmp_path / "two", "x3.tif")
    found = image_files(str(tmp_path / "*" / "x*"))
    assert [path.name for path in found] == ["x1.tif", "x2.tif", "x3.tif"]


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path: Path) -> None:
    (path,) = touch(tmp_path, "cells[1].tif")
    assert image_files(path) == [path]


def test_files_keep_their_order_and_come_once(tmp_path: Path) -> None:
    b, a = touch(tmp_path, "b.tif", "a.tif")
    assert image_files([b, a, tmp_path]) == [b, a]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("missing.tif", "There is no file or folder .*missing.tif"),
        ("empty", "The folder .*empty holds no image; readable are .tif"),
        ("*.tif", "No image matches .*tif"),
        ("notes.txt", "notes.txt is no image that can be read; readable are"),
    ],
)
def test_what_is_not_there_is_named(tmp_path: Path, given: str, sentence: str) -> None:
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "notes.txt")
    with pytest.raises(InputError, match=sentence):
        image_files(tmp_path / given)


def test_no_path_at_all() -> None:
    with pytest.raises(InputError, match="No image was given"):
        image_files([])


def test_pairs_are_matched_by_stem(tmp_path: Path) -> None:
    images = touch(tmp_path / "images", "a.png", "b.ome.tif")
    labels = touch(tmp_path / "labels", "b.tif", "a.tif", "c.tif")
    assert file_pairs(images, labels) == [(images[0], labels[1]), (images[1], labels[0])]


def test_a_file_without_partner_is_named(tmp_path: Path) -> None:
    images = touch(tmp_path / "images", *(f"{letter}.png" for letter in "abcde"))
    labels = touch(tmp_path / "labels", "a.tif")
    with pytest.raises(
        InputError, match=r"labels with the same name.* as b.png, c.png, d.png and 1"
    ):
        file_pairs(images, labels)


def test_two_files_that_differ_only_in_suffix_are_ambiguous(tmp_path: Path) -> None:
    images = touch(tmp_path, "a.png", "a.tif")
    with pytest.raises(InputError, match=r"a.png and a.tif differ only in their suffix"):
        file_pairs(images[:1], images)
