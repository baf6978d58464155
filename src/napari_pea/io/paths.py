"""From what a user types to the files that are meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from napari_pea.core.errors import InputError

#: How files that can be read end; an OME-Zarr is a folder that ends in .zarr.
READABLE = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".npy", ".zarr")
#: A file in our own OME-Zarr folders that stands for the folder where only files can be given.
OPENER = "open-in-napari.pea"
#: At most this many names are listed in a message.
NAMES_SHOWN = 3


def image_files(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """Return the image files that are meant.

    Parameters
    ----------
    paths : str, Path or iterable of them
        Files, folders (every image directly in them, hidden files left out) and patterns
        such as ``plates/*/*.tif``.

    Returns
    -------
    list of Path
        Each file once. What comes from a folder or a pattern is sorted by name.

    Raises
    ------
    InputError
        If something does not exist, holds no image, or is of a kind that cannot be read.
    """
    if isinstance(paths, (str, Path)):
        paths = [paths]
    found: dict[Path, Path] = {}
    for given in paths:
        for path in _expanded(Path(given).expanduser()):
            found.setdefault(path.resolve(), path)
    if not found:
        raise InputError("No image was given: name at least one file or folder.")
    return list(found.values())


def is_readable(path: Path) -> bool:
    """Whether a file looks like an image by its name."""
    return path.suffix.lower() in READABLE and not path.name.startswith(".")


def file_pairs(first: Sequence[Path], second: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Match files by their names without suffix.

    Parameters
    ----------
    first, second : sequence of Path
        For example images and their labels. Files of `second` may be left over.

    Returns
    -------
    list of (Path, Path)
        One pair for each file of `first`.

    Raises
    ------
    InputError
        If a file of `first` has no partner, or more than one.
    """
    partners = _by_key(second)
    own = _by_key(first)
    alone = [path.name for key, path in own.items() if key not in partners]
    if alone:
        shown = ", ".join(alone[:NAMES_SHOWN])
        more = f" and {len(alone) - NAMES_SHOWN} more" if len(alone) > NAMES_SHOWN else ""
        where = f" in {second[0].parent}" if second else ""
        raise InputError(
            f"There is no file{where} with the same name, its suffix aside, as {shown}{more}."
        )
    return [(path, partners[key]) for key, path in own.items()]


def _expanded(path: Path) -> list[Path]:
    """Return the files that one path, folder or pattern stands for."""
    kinds = ", ".join(READABLE)
    if path.suffix.lower() in READABLE and path.exists():
        return [path]
    if path.is_dir():
        files = sorted(entry for entry in path.iterdir() if is_readable(entry))
        if not files:
            raise InputError(f"The folder {path} holds no image; readable are {kinds}.")
        return files
    if path.exists():
        raise InputError(f"{path} is no image that can be read; readable are {kinds}.")
    if any(sign in str(path) for sign in "*?["):
        root = Path(path.anchor or ".")
        pattern = str(path.relative_to(path.anchor))
        files = sorted(entry for entry in root.glob(pattern) if is_readable(entry))
        if not files:
            raise InputError(f"No image matches {str(path)!r}; readable are {kinds}.")
        return files
    raise InputError(f"There is no file or folder {path}.")


def _by_key(paths: Sequence[Path]) -> dict[str, Path]:
    """Return the files by what their names are matched by."""
    result: dict[str, Path] = {}
    for path in paths:
        key = path.stem.removesuffix(".ome")
        if key in result:
            raise InputError(
                f"{result[key].name} and {path.name} differ only in their suffix, so it is not "
                "clear which one is meant: move one of them away."
            )
        result[key] = path
    return result
