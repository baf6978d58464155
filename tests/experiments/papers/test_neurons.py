from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from napari_pea.core.errors import InputError
from napari_pea.experiments.papers import neurons
from napari_pea.experiments.papers.neurons import NEVER_LABELLED, ac3_ac4, cremi

SHAPE = (100, 4, 6)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neurons, "AC_SHAPE", SHAPE)


def stack(first: int) -> np.ndarray:
    """Return sections with numbers of their own."""
    return np.broadcast_to(first + np.arange(SHAPE[0])[:, None, None], SHAPE)


def save_main(path: Path, values: np.ndarray) -> None:
    with h5py.File(path, "w") as stored:
        stored["main"] = values


@pytest.fixture
def ac_folder(tmp_path: Path) -> Path:
    for name, first in (("AC4", 0), ("AC3", 100)):
        save_main(tmp_path / f"{name}_inputs.h5", stack(first).astype(np.uint8))
        # Ids have gaps.
        save_main(tmp_path / f"{name}_labels.h5", (10 * stack(0)).astype(np.int64))
    return tmp_path


def test_ac4_is_split_by_section_and_ac3_is_for_testing(ac_folder: Path) -> None:
    found = ac3_ac4(ac_folder)
    training, validation, test = found.training[0], found.validation[0], found.test[0]
    assert [item.labels.shape[0] for item in (training, validation, test)] == [80, 20, 100]
    assert training.image[0, 0, 0] == 0
    assert validation.image[0, 0, 0] == 80
    assert test.image[0, 0, 0] == 100
    # Ids are numbered anew; 0 stays what it is.
    assert (training.labels[0].max(), training.labels[1].max()) == (0, 1)
    assert validation.labels.dtype == np.int32
    assert validation.labels[0].max() == 80


def test_snemi3d_is_ac4_without_a_test(tmp_path: Path) -> None:
    for part, name, values in (
        ("image", "train-input", stack(0).astype(np.uint8)),
        ("seg", "train-labels", stack(1).astype(np.uint16)),
    ):
        (tmp_path / part).mkdir()
        tifffile.imwrite(tmp_path / part / f"{name}.tif", values)
    found = ac3_ac4(tmp_path)
    assert found.training[0].image.shape == (80, 4, 6)
    assert (found.validation[0].labels[0] == 81).all()
    assert found.test == []
    (tmp_path / "seg" / "train-labels.tif").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"seg/train-labels\.tif cannot be read as TIFF"):
        ac3_ac4(tmp_path)


def test_every_file_that_is_wrong_is_named(ac_folder: Path) -> None:
    (ac_folder / "AC4_labels.h5").rename(ac_folder / "AC4_label.h5")
    save_main(ac_folder / "AC4_inputs.h5", np.zeros((3, 4, 5)))
    (ac_folder / "AC3_inputs.h5").write_bytes(b"nothing")
    with h5py.File(ac_folder / "AC3_labels.h5", "w") as stored:
        stored["labels"] = np.zeros(2)
    with pytest.raises(InputError) as caught:
        ac3_ac4(ac_folder)
    for problem in (
        "AC4_labels.h5 is missing",
        "AC4_label.h5 is not a file of AC3/AC4",
        "AC4_inputs.h5 measures (3, 4, 5) voxels, but (100, 4, 6) are published",
        "AC3_inputs.h5 cannot be read as HDF5",
        "AC3_labels.h5 lacks the dataset main",
        "https://snemi3d.grand-challenge.org",
    ):
        assert problem in str(caught.value), problem


def save_sample(folder: Path, sample: str, *, padded: bool = True, depth: int = 80) -> Path:
    """Write a sample whose labels begin at voxel (2, 3, 4) of the image."""
    path = folder / neurons.CREMI_NAMES[0 if padded else 1].format(sample)
    size = np.array((depth, 60, 61))
    ids = np.full(size, 7_000_000_000, np.uint64)
    ids[:, :, :30] = 5
    ids[0, 0, 0] = NEVER_LABELLED
    around = np.array((2, 3, 4)) if padded else np.zeros(3, int)
    raw = np.zeros(size + 2 * around, np.uint8)
    raw[tuple(slice(start, start + side) for start, side in zip(around, size, strict=True))] = 9
    with h5py.File(path, "w") as stored:
        stored["volumes/raw"] = raw
        stored["volumes/labels/neuron_ids"] = ids
        for name in ("volumes/raw", "volumes/labels/neuron_ids"):
            stored[name].attrs["resolution"] = (40.0, 4.0, 4.0)
        if padded:
            stored["volumes/labels/neuron_ids"].attrs["offset"] = (80.0, 12.0, 16.0)
    return path


def test_cremi_is_cut_to_its_labels_and_the_end_of_c_validates(tmp_path: Path) -> None:
    save_sample(tmp_path, "A")
    save_sample(tmp_path, "B", padded=False)
    save_sample(tmp_path, "C")
    found = cremi(tmp_path)
    names = ["sample A", "sample B", "sample C, training"]
    assert [item.name for item in found.training] == names
    assert [item.labels.shape for item in found.training] == [
        (80, 60, 61), (80, 60, 61), (70, 60, 61),
    ]  # fmt: skip
    for item in found.training:
        # What is labelled, and nothing around it.
        assert (item.image == 9).all()
        assert item.image.shape == item.labels.shape
        assert item.labels[0, 0, 0] == 0
        assert len(np.unique(item.labels)) == 3
    # 25 pixels are cut off in plane, and 6 sections at the end.
    assert found.validation[0].labels.shape == (4, 10, 11)
    np.testing.assert_array_equal(np.unique(found.validation[0].labels), [1, 2])


def test_samples_that_are_wrong_are_named(tmp_path: Path) -> None:
    (tmp_path / "sample_A_padded_20160501.hdf").write_bytes(b"nothing")
    save_sample(tmp_path, "B").rename(tmp_path / "sample_B_padded_20160101.hdf")
    with h5py.File(tmp_path / "sample_C_padded_20160501.hdf", "w") as stored:
        stored["volumes/raw"] = np.zeros((2, 2, 2))
    with pytest.raises(InputError) as caught:
        cremi(tmp_path)
    for problem in (
        "sample_A_padded_20160501.hdf cannot be read as HDF5",
        "sample_B_padded_20160501.hdf is missing",
        "sample_B_padded_20160101.hdf is not a file of CREMI",
        "sample_C_padded_20160501.hdf holds no volume with a resolution in volumes/raw",
        "sample_C_padded_20160501.hdf lacks the dataset volumes/labels/neuron_ids",
        "https://cremi.org/data",
    ):
        assert problem in str(caught.value), problem


def test_labels_beyond_the_image_are_told(tmp_path: Path) -> None:
    for sample in "ABC":
        path = save_sample(tmp_path, sample)
    with h5py.File(path, "a") as stored:
        stored["volumes/labels/neuron_ids"].attrs["offset"] = (80.0, 12.0, 400.0)
    with pytest.raises(InputError, match=r"sample_C_padded_20160501.hdf has labels that reach"):
        cremi(tmp_path)
