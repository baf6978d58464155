from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage.io import imsave

from napari_pea.core.errors import InputError
from napari_pea.experiments.datasets import (
    Pair,
    bbbc039,
    bbbc050,
    dsb2018,
    flyem,
    read_pairs,
    read_volume,
    usiigaci,
)


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    imsave(path, array, check_contrast=False)


@pytest.fixture
def bbbc_folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("A01", "A02", "B01")):
        image = np.full((6, 8), 300 + number, np.uint16)
        labels = np.zeros((6, 8), np.uint16)
        labels[2:4, 2:5] = 1000 + number
        save(tmp_path / "images" / f"{name}.png", image)
        save(tmp_path / "labels" / f"{name}.png", labels)
    (tmp_path / "training.txt").write_text("A02.png\nA01.png\n")
    (tmp_path / "validation.txt").write_text("B01.png")
    return tmp_path


@pytest.fixture
def dsb_folder(tmp_path: Path) -> Path:
    rows = [
        "id,height,width,kind,n_instances,split",
        "aa,6,8,fluo,1,training",
        "bb,6,8,colour,1,training",
        "cc,6,8,fluo,1,validation",
        "dd,6,8,gray_bright,1,training",
    ]
    (tmp_path / "index.csv").write_text("\n".join(rows) + "\n")
    for row in rows[1:]:
        name, *_ = row.split(",")
        colour = "colour" in row
        image = np.arange(6 * 8 * (3 if colour else 1), dtype=np.uint8)
        save(tmp_path / "images" / f"{name}.png", image.reshape((6, 8, 3) if colour else (6, 8)))
        save(tmp_path / "labels" / f"{name}.png", np.eye(6, 8).astype(np.uint16))
    return tmp_path


def test_bbbc039_follows_its_lists(bbbc_folder: Path) -> None:
    training = bbbc039(bbbc_folder, "training")
    assert [pair.name for pair in training] == ["A02", "A01"]
    assert training[0] == Pair(
        bbbc_folder / "images" / "A02.png", bbbc_folder / "labels" / "A02.png"
    )
    assert [pair.name for pair in bbbc039(bbbc_folder, "validation")] == ["B01"]


def test_a_missing_list_is_named(bbbc_folder: Path) -> None:
    with pytest.raises(InputError, match=r"The list .*test\.txt is missing"):
        bbbc039(bbbc_folder, "test")


def test_usiigaci_is_listed_too(bbbc_folder: Path) -> None:
    assert usiigaci(bbbc_folder, "training") == bbbc039(bbbc_folder, "training")
    with pytest.raises(InputError, match=r"test\.txt is missing: Usiigaci needs it"):
        usiigaci(bbbc_folder, "test")


def test_dsb2018_is_filtered_by_split_and_kind(dsb_folder: Path) -> None:
    assert [pair.name for pair in dsb2018(dsb_folder, "training")] == ["aa"]
    assert [pair.name for pair in dsb2018(dsb_folder, "validation")] == ["cc"]
    both = dsb2018(dsb_folder, "training", ("colour", "gray_bright"))
    assert [pair.name for pair in both] == ["bb", "dd"]
    assert dsb2018(dsb_folder, "test") == []


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"The table .*index\.csv is missing"):
        dsb2018(tmp_path, "training")


def test_pictures_are_read_as_they_are_stored(bbbc_folder: Path) -> None:
    (image, labels), (second, _) = read_pairs(bbbc039(bbbc_folder, "training"))
    assert image.dtype == np.uint16
    assert (image == 301).all()
    assert (second == 300).all()
    assert labels.dtype == np.int32
    # Ids above 255 stay apart.
    assert set(np.unique(labels)) == {0, 1001}


def test_colour_pictures_keep_their_channels(dsb_folder: Path) -> None:
    ((image, labels),) = read_pairs(dsb2018(dsb_folder, "training", ("colour",)))
    assert image.shape == (6, 8, 3)
    np.testing.assert_array_equal(image.ravel(), np.arange(6 * 8 * 3))
    assert labels.sum() == 6


def test_pictures_that_cannot_be_read_are_named(bbbc_folder: Path) -> None:
    (bbbc_folder / "images" / "A02.png").unlink()
    with pytest.raises(InputError, match=r"There is no file .*A02\.png"):
        next(read_pairs(bbbc039(bbbc_folder, "training")))
    (bbbc_folder / "labels" / "B01.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"B01\.png is damaged"):
        next(read_pairs(bbbc039(bbbc_folder, "validation")))


def test_volumes_are_read_as_they_are_stored(tmp_path: Path) -> None:
    image = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    (tmp_path / "training").mkdir()
    for name in ("Emb02", "Emb01"):
        np.savez(tmp_path / "training" / f"{name}.npz", image=image, label=(image > 20) * 300)
    paths = bbbc050(tmp_path, "training")
    assert [path.stem for path in paths] == ["Emb01", "Emb02"]
    found, labels = read_volume(paths[0])
    np.testing.assert_array_equal(found, image)
    assert labels.dtype == np.int32
    assert set(np.unique(labels)) == {0, 300}
    assert flyem(tmp_path, "validation") == tmp_path / "validation.npz"


def test_volumes_that_are_missing_or_something_else_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no volumes .* in .*validation: BBBC050"):
        bbbc050(tmp_path, "validation")
    with pytest.raises(InputError, match=r"training\.npz cannot be read: .* image and label"):
        read_volume(flyem(tmp_path, "training"))
    (tmp_path / "text.npz").write_text("nothing")
    np.savez(tmp_path / "other.npz", image=np.zeros(3))
    for name in ("text.npz", "other.npz"):
        with pytest.raises(InputError, match=f"{name} cannot be read"):
            read_volume(tmp_path / name)
