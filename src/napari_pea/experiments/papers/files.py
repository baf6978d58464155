"""Looking through a data folder before anything starts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from napari_pea.core.errors import InputError

#: A list of checksums beside the data, as the program `sha256sum` writes it; none is needed.
CHECKSUMS_NAME = "checksums.sha256"
#: So many bytes are read at once.
CHUNK = 1 << 20


@dataclass
class Inspection:
    """What is wrong with the files of a data set.

    Parameters
    ----------
    title : str
        What the data set is called.
    folder : Path
        Where it should be.
    source : str
        A sentence on where it comes from and under which terms.
    """

    title: str
    folder: Path
    source: str
    problems: list[str] = field(default_factory=list)

    def file(self, *parts: str) -> Path:
        """Return the path of a file that is needed, and note if it is not there."""
        path = self.folder.joinpath(*parts)
        if not path.is_file():
            self.note(path, "is missing")
        return path

    def note(self, path: Path, what: str) -> None:
        """Note what is wrong with a file."""
        where = path.relative_to(self.folder) if path.is_relative_to(self.folder) else path
        self.problems.append(f"{where.as_posix()} {what}")

    def strangers(self, known: Iterable[Path], pattern: str, expected: str) -> None:
        """Note the files of a pattern that are not known, because their names may be wrong.

        Parameters
        ----------
        known : iterable of Path
            The files of the data set.
        pattern : str
            Which files to look at, from the folder on.
        expected : str
            What their names look like.
        """
        for path in sorted(set(self.folder.glob(pattern)) - set(known)):
            self.note(path, f"is not a file of {self.title}: names look like {expected}")

    def checksums(self) -> None:
        """Compare files with the list of checksums, if there is one."""
        path = self.folder / CHECKSUMS_NAME
        if not path.is_file():
            return
        for line in path.read_text().splitlines():
            wanted, _, name = line.partition(" ")
            item = self.folder / name.strip().removeprefix("*")
            if item.is_file() and sha256(item) != wanted.lower():
                self.note(item, f"differs from its checksum in {CHECKSUMS_NAME}")

    def finish(self) -> None:
        """Say all that is wrong at once.

        Raises
        ------
        InputError
            If anything is.
        """
        if not self.folder.is_dir():
            raise InputError(
                f"The folder {self.folder} is missing: {self.title} belongs there. {self.source}"
            )
        if self.problems:
            listed = "".join(f"\n- {problem}" for problem in self.problems)
            raise InputError(
                f"{self.title} in {self.folder} is not as it was published:{listed}\n{self.source}"
            )


def sha256(path: Path) -> str:
    """Return the checksum of a file in hexadecimal digits."""
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()


def check_sorted(
    folder: Path, title: str, source: str, splits: Sequence[str] = ("training", "validation")
) -> None:
    """Make sure that a data set sorted into `images` and `labels` is complete.

    Parameters
    ----------
    folder : Path
        Holds `images/`, `labels/` and a list `<split>.txt` for each split, one file name a line.
    title, source
        See `Inspection`.
    splits : sequence of str
        Which lists are needed.

    Raises
    ------
    InputError
        If files are missing or cannot be read, or an image and its labels differ in size: each
        is named.
    """
    inspection = Inspection(title, folder, source)
    for split in splits:
        path = inspection.file(f"{split}.txt")
        names = path.read_text().split() if path.is_file() else []
        if path.is_file() and not names:
            inspection.note(path, "names no images")
        for name in names:
            check_pair(inspection.file("images", name), inspection.file("labels", name), inspection)
    inspection.checksums()
    inspection.finish()


def check_volumes(folder: Path, title: str, source: str, names: Sequence[str]) -> None:
    """Make sure that volumes are there, each with its objects.

    Parameters
    ----------
    folder : Path
        Holds the files.
    title, source
        See `Inspection`.
    names : sequence of str
        The files, each an archive of NumPy with `image` and `label`.

    Raises
    ------
    InputError
        If files are missing or hold something else: each is named.
    """
    inspection = Inspection(title, folder, source)
    for name in names:
        path = inspection.file(name)
        if not path.is_file():
            continue
        try:
            with np.load(path) as stored:
                lacking = [part for part in ("image", "label") if part not in stored]
        except (OSError, ValueError, BadZipFile):
            inspection.note(path, "cannot be read as an archive of NumPy")
            continue
        for part in lacking:
            inspection.note(path, f"lacks the array {part}")
    inspection.checksums()
    inspection.finish()


def check_pair(
    image: Path, labels: Path, inspection: Inspection, modes: Sequence[str] = ()
) -> None:
    """Look at the headers of an image and its labels and note what is wrong with them.

    Parameters
    ----------
    image, labels : Path
        Pictures of one size.
    inspection : Inspection
        Told of pictures that cannot be read, differ in size or are of another kind.
    modes : sequence of str
        The kinds of picture, in Pillow's words, that labels can be; any by default.
    """
    headers = [_header(path, inspection) for path in (image, labels)]
    shapes = [header and header[0] for header in headers]
    if None not in shapes and shapes[0] != shapes[1]:
        inspection.note(labels, f"measures {shapes[1]} pixels, but its image {shapes[0]}")
    if modes and headers[1] is not None and headers[1][1] not in modes:
        inspection.note(labels, "holds colours instead of numbers: another program has saved it")


def _header(path: Path, inspection: Inspection) -> tuple[tuple[int, int], str] | None:
    """Return height and width of a picture and its mode, without reading the pixels."""
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        return None
    try:
        with Image.open(path) as picture:
            return (picture.height, picture.width), picture.mode
    except (OSError, UnidentifiedImageError):
        inspection.note(path, "cannot be read as a picture")
        return None
