from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_pea.core.errors import InputError
from napari_pea.experiments.papers.cvppp import VALIDATION_PLANTS, plants, split
from napari_pea.experiments.papers.files import CHECKSUMS_NAME, sha256

#: In the contest numbers have gaps, because some plants are kept for its test.
NUMBERS = sorted({*VALIDATION_PLANTS, *[n for n in range(1, 162) if n % 6 != 1][:121]})


def save_plant(folder: Path, number: int, leaves: tuple[int, ...] = (1, 7)) -> None:
    """Write the files of a plant with one column for each leaf."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = np.zeros((5, 6), np.uint8)
    for column, leaf in enumerate(leaves, start=1):
        ids[1:4, column] = leaf
    stem = folder / f"plant{number:03d}"
    rgba = np.dstack([np.full(ids.shape, number, np.uint8), ids, ids, np.full_like(ids, 255)])
    Image.fromarray(rgba).save(f"{stem}_rgb.png")
    palette = Image.fromarray(ids, mode="P")
    # Colours say nothing: ids are their numbers.
    palette.putpalette([value for index in range(256) for value in (255 - index, 3, 3)])
    palette.save(f"{stem}_label.png")
    Image.fromarray((255 * (ids > 0)).astype(np.uint8)).save(f"{stem}_fg.png")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for number in NUMBERS:
        save_plant(tmp_path / "A1", number)
    return tmp_path


def test_the_authors_plants_validate_and_the_rest_is_for_training(data: Path) -> None:
    training, validation = split(plants(data))
    assert [plant.number for plant in validation] == list(VALIDATION_PLANTS)
    assert (len(training), len(validation)) == (108, 20)
    item = validation[0].read("A1")
    assert (item.name, item.group, item.channel_axis) == ("A1/plant002", "A1", -1)
    assert item.image.shape == (5, 6, 3)
    assert (item.image[..., 0] == 2).all()
    np.testing.assert_array_equal(np.unique(item.labels), [0, 1, 7])


def test_the_second_subset_has_no_split(tmp_path: Path) -> None:
    for number in range(1, 32):
        save_plant(tmp_path / "A2", number)
    assert [plant.number for plant in plants(tmp_path, "A2")] == list(range(1, 32))


def test_everything_that_is_wrong_is_named_at_once(data: Path) -> None:
    folder = data / "A1"
    (folder / "plant016_label.png").unlink()
    (folder / "plant029_rgb.png").rename(folder / "Plant_29_rgb.png")
    (folder / "plant045_label.png").write_bytes(b"no picture")
    Image.new("P", (9, 9)).save(folder / "plant046_label.png")
    for path in folder.glob("plant159*"):
        path.unlink()
    listed = folder / CHECKSUMS_NAME
    right = sha256(folder / "plant002_rgb.png")
    listed.write_text(f"{right}  plant002_rgb.png\n{right} *plant002_label.png\n")
    with pytest.raises(InputError) as caught:
        plants(data)
    message = str(caught.value)
    for problem in (
        "plant016_label.png is missing",
        "plant029_rgb.png is missing",
        "Plant_29_rgb.png is not a file of CVPPP A1: names look like plant001_rgb.png",
        "plant045_label.png cannot be read as a picture",
        "plant046_label.png measures (9, 9) pixels, but its image (5, 6)",
        "plant159_rgb.png is missing",
        "127 plants are there, but the subset has 128",
        "plant002_label.png differs from its checksum",
        "https://competitions.codalab.org/competitions/18405",
    ):
        assert problem in message, problem
    assert "plant002_rgb.png" not in message.replace("plant001_rgb.png", "")
    assert message.count("\n- ") == 8


def test_where_to_get_the_data_is_said_if_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"A1 is missing: CVPPP A1 belongs there\. Get the"):
        plants(tmp_path)
    (tmp_path / "A2").mkdir()
    with pytest.raises(InputError, match="no plant is there"):
        plants(tmp_path, "A2")
    with pytest.raises(InputError, match="no subset 'A3' of CVPPP here"):
        plants(tmp_path, "A3")


def test_labels_without_ids_are_refused(data: Path) -> None:
    path = data / "A1" / "plant002_label.png"
    with Image.open(path) as picture:
        picture.convert("RGB").save(path)
    with pytest.raises(InputError, match=r"plant002_label\.png holds colours instead of numbers"):
        plants(data)
