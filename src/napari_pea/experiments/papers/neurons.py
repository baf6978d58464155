"""Neurons in electron microscopy: AC3/AC4, SNEMI3D and CREMI."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_pea.experiments.papers.files import Inspection
from napari_pea.training.labelled import LabelledImage

if TYPE_CHECKING:
    import h5py

AC_SOURCE = (
    "Get AC3 and AC4 (Kasthuri et al., Cell 2015) from "
    "https://software.rc.fas.harvard.edu/lichtman/vast/, or SNEMI3D from "
    "https://snemi3d.grand-challenge.org after registering, under the terms told there."
)
CREMI_SOURCE = (
    "Get the padded versions of the samples A, B and C from https://cremi.org/data, under the "
    "terms told there."
)
#: Sections, rows and columns of AC3 and AC4.
AC_SHAPE = (100, 1024, 1024)
#: Sections of AC4 to train on; the others validate, and AC3 is for testing (methods A7).
AC4_TRAINING = 80
#: Files of each version of the CREMI samples.
CREMI_NAMES = "sample_{}_padded_20160501.hdf", "sample_{}_20160501.hdf"
#: Sections of sample C to validate on, and what is cut off in plane (methods B7).
C_TRAINING, C_LAST, C_TRIM = 70, -6, 25
#: The id of voxels that were never labelled.
NEVER_LABELLED = np.iinfo(np.uint64).max


@dataclass(frozen=True)
class Split:
    """Volumes to train on, to validate on and to test on."""

    training: list[LabelledImage]
    validation: list[LabelledImage]
    test: list[LabelledImage]


def ac3_ac4(folder: Path) -> Split:
    """Return AC4 for training and validation and AC3 for testing.

    Parameters
    ----------
    folder : Path
        Holds `AC4_inputs.h5`, `AC4_labels.h5`, `AC3_inputs.h5` and `AC3_labels.h5`, each with
        the dataset `main`, as the authors hand them out; or `image` and `seg` of SNEMI3D with
        `train-input.tif` and `train-labels.tif`, which are AC4. Then there is nothing to test
        on: the labels of AC3 are kept by the contest.

    Raises
    ------
    InputError
        If files are missing, misnamed or of another version: each is named.
    """
    if (folder / "seg").is_dir() or (folder / "image").is_dir():
        inspection = Inspection("SNEMI3D", folder, AC_SOURCE)
        pairs = {
            "AC4": (
                inspection.file("image", "train-input.tif"),
                inspection.file("seg", "train-labels.tif"),
            )
        }
    else:
        inspection = Inspection("AC3/AC4", folder, AC_SOURCE)
        pairs = {
            name: (
                inspection.file(f"{name}_inputs.h5"),
                inspection.file(f"{name}_labels.h5"),
            )
            for name in ("AC4", "AC3")
        }
        known = [path for pair in pairs.values() for path in pair]
        inspection.strangers(known, "*.h5", "AC4_inputs.h5 and AC4_labels.h5")
    for path in (path for pair in pairs.values() for path in pair if path.is_file()):
        shape = _stack_shape(path, inspection)
        if shape is not None and shape != AC_SHAPE:
            inspection.note(path, f"measures {shape} voxels, but {AC_SHAPE} are published")
    inspection.checksums()
    inspection.finish()
    image, labels = (_stack(path) for path in pairs["AC4"])
    ids = _numbered(labels)
    first, rest = slice(0, AC4_TRAINING), slice(AC4_TRAINING, None)
    test = []
    if "AC3" in pairs:
        shown, truth = (_stack(path) for path in pairs["AC3"])
        test = [LabelledImage(shown, _numbered(truth), "AC3", group="ac3")]
    return Split(
        [LabelledImage(image[first], ids[first], "AC4, training", group="ac4")],
        [LabelledImage(image[rest], ids[rest], "AC4, validation", group="ac4")],
        test,
    )


def cremi(folder: Path) -> Split:
    """Return samples A, B and most of C for training and the end of C for validation.

    Parameters
    ----------
    folder : Path
        Holds the HDF5 files of the samples A, B and C in their padded or cropped version.

    Returns
    -------
    Split
        Images are cut to what is labelled; the test samples have no labels.

    Raises
    ------
    InputError
        If files are missing, misnamed or of another version: each is named.
    """
    inspection = Inspection("CREMI", folder, CREMI_SOURCE)
    paths = {}
    for sample in "ABC":
        padded, cropped = (folder / name.format(sample) for name in CREMI_NAMES)
        if cropped.is_file() and not padded.is_file():
            paths[sample] = cropped
        else:
            paths[sample] = inspection.file(padded.name)
    every = [folder / name.format(sample) for sample in "ABC" for name in CREMI_NAMES]
    inspection.strangers(every, "sample_[ABC]*.h*", "sample_A_padded_20160501.hdf")
    for path in paths.values():
        _check_cremi(path, inspection)
    inspection.checksums()
    inspection.finish()
    volumes = {sample: _read_cremi(path) for sample, path in paths.items()}
    training = [
        LabelledImage(image, ids, f"sample {sample}", group="cremi")
        for sample, (image, ids) in volumes.items()
        if sample != "C"
    ]
    image, ids = volumes["C"]
    first = slice(0, C_TRAINING)
    training.append(LabelledImage(image[first], ids[first], "sample C, training", group="cremi"))
    plane = slice(C_TRIM, -C_TRIM)
    held = (slice(C_TRAINING, C_LAST), plane, plane)
    validation = [LabelledImage(image[held], ids[held], "sample C, validation", group="cremi")]
    return Split(training, validation, [])


def _check_cremi(path: Path, inspection: Inspection) -> None:
    """Note what a sample lacks."""
    if not path.is_file():
        return
    stored = _opened(path, inspection)
    if stored is None:
        return
    with closing(stored):
        for name in ("volumes/raw", "volumes/labels/neuron_ids"):
            if name not in stored:
                inspection.note(path, f"lacks the dataset {name}")
            elif stored[name].ndim != 3 or "resolution" not in stored[name].attrs:
                inspection.note(path, f"holds no volume with a resolution in {name}")
        if len(inspection.problems) == 0 and _window(stored) is None:
            inspection.note(path, "has labels that reach beyond its image")


def _window(stored: h5py.File) -> tuple[slice, ...] | None:
    """Return which part of the image is labelled, or None if it is not all there."""
    raw, ids = stored["volumes/raw"], stored["volumes/labels/neuron_ids"]
    offset = ids.attrs.get("offset", (0, 0, 0))
    # Offset and resolution are told in nanometres.
    starts = [
        round(float(start) / float(step))
        for start, step in zip(offset, ids.attrs["resolution"], strict=True)
    ]
    window = tuple(
        slice(start, start + size) for start, size in zip(starts, ids.shape, strict=True)
    )
    fits = all(
        part.start >= 0 and part.stop <= size for part, size in zip(window, raw.shape, strict=True)
    )
    return window if fits else None


def _read_cremi(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Return the labelled part of a sample and its neurons."""
    import h5py

    with h5py.File(path) as stored:
        image = stored["volumes/raw"][_window(stored)]
        ids = stored["volumes/labels/neuron_ids"][:]
    return image, _numbered(np.where(ids == NEVER_LABELLED, 0, ids))


def _numbered(ids: NDArray[Any]) -> NDArray[np.int32]:
    """Return ids of any size as numbers from 1; 0 stays 0."""
    known, positions = np.unique(ids, return_inverse=True)
    numbers = np.arange(1, len(known) + 1, dtype=np.int32)
    if known[0] == 0:
        numbers -= 1
    return numbers[positions].reshape(ids.shape)


def _opened(path: Path, inspection: Inspection) -> h5py.File | None:
    """Open an HDF5 file, and note if it is none."""
    import h5py

    try:
        return h5py.File(path)
    except OSError:
        inspection.note(path, "cannot be read as HDF5")
        return None


def _stack_shape(path: Path, inspection: Inspection) -> tuple[int, ...] | None:
    """Return the shape of a stack without reading it; what cannot be read is noted."""
    if path.suffix == ".h5":
        stored = _opened(path, inspection)
        if stored is None:
            return None
        with closing(stored):
            if "main" in stored:
                return tuple(stored["main"].shape)
            inspection.note(path, "lacks the dataset main")
            return None
    import tifffile

    try:
        with tifffile.TiffFile(path) as stack:
            return tuple(stack.series[0].shape)
    except (OSError, tifffile.TiffFileError, IndexError):
        inspection.note(path, "cannot be read as TIFF")
        return None


def _stack(path: Path) -> NDArray[Any]:
    """Return a stack as it is stored."""
    if path.suffix == ".h5":
        import h5py

        with h5py.File(path) as stored:
            values: NDArray[Any] = stored["main"][:]
            return values
    import tifffile

    return np.asarray(tifffile.imread(path))
