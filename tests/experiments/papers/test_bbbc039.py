from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_pea.core.errors import InputError
from napari_pea.experiments.papers import bbbc039
from napari_pea.experiments.papers.bbbc039 import fields, is_published_layout, nuclei_of

COUNTS = {"training": 3, "validation": 2, "test": 1}


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bbbc039, "N_IMAGES", COUNTS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The three archives, unpacked: images, masks with touching nuclei, and lists."""
    for part in ("images", "masks", "metadata"):
        (tmp_path / part).mkdir()
    number = 0
    for name, count in COUNTS.items():
        names = []
        for _ in range(count):
            stem = f"IXMtest_A{number:02d}_s1_w1-{number}"
            mask = np.zeros((16, 20, 4), np.uint8)
            # Two touch, and the third has the number of the first.
            mask[2:8, 2:8, 0] = 1
            mask[2:8, 8:14, 0] = 2
            mask[10:16, 2:8, 0] = 1
            mask[14, 18, 0] = 3  # a speck
            mask[..., 1:] = 255
            Image.fromarray(mask).save(tmp_path / "masks" / f"{stem}.png")
            image = np.full((16, 20), 300 + number, np.uint16)
            Image.fromarray(image).save(tmp_path / "images" / f"{stem}.tif")
            names.append(f"{stem}.png")
            number += 1
        (tmp_path / "metadata" / f"{name}.txt").write_text("\n".join(names) + "\n")
    return tmp_path


def test_lists_images_and_nuclei(folder: Path) -> None:
    assert is_published_layout(folder)
    found = fields(folder)
    assert {name: len(listed) for name, listed in found.items()} == COUNTS
    item = found["validation"][1].read(0.5)
    assert (item.name, item.weight, item.group) == ("IXMtest_A04_s1_w1-4", 0.5, "bbbc039")
    assert item.image.dtype == np.uint16
    assert (item.image == 304).all()
    # The speck is gone.
    assert len(np.unique(item.labels)) == 4


def test_nuclei_are_pieces_of_one_number(folder: Path) -> None:
    labels = nuclei_of(fields(folder)["test"][0].mask)
    assert len(np.unique(labels)) == 5
    assert len({labels[3, 3], labels[3, 9], labels[12, 3], labels[14, 18], 0}) == 5


def test_everything_that_is_wrong_is_named_at_once(folder: Path) -> None:
    (folder / "images" / "IXMtest_A00_s1_w1-0.tif").rename(folder / "images" / "A00.tif")
    (folder / "masks" / "IXMtest_A05_s1_w1-5.png").unlink()
    Image.new("L", (5, 5)).save(folder / "masks" / "IXMtest_A02_s1_w1-2.png")
    lists = folder / "metadata"
    (lists / "validation.txt").write_text("IXMtest_A03_s1_w1-3.png")
    with pytest.raises(InputError) as caught:
        fields(folder)
    for problem in (
        "images/IXMtest_A00_s1_w1-0.tif is missing",
        "images/A00.tif is not a file of BBBC039v1: names look like those in the lists",
        "masks/IXMtest_A05_s1_w1-5.png is missing",
        "masks/IXMtest_A02_s1_w1-2.png measures (5, 5) pixels, but its image (16, 20)",
        "metadata/validation.txt names 1 images, but the list has 2",
        "images/IXMtest_A04_s1_w1-4.tif is not a file of BBBC039v1",
        "https://bbbc.broadinstitute.org/BBBC039 (CC0)",
    ):
        assert problem in str(caught.value), problem


def test_a_list_that_is_missing_is_named(folder: Path) -> None:
    (folder / "metadata" / "test.txt").unlink()
    with pytest.raises(InputError, match=r"metadata/test\.txt is missing"):
        fields(folder)
