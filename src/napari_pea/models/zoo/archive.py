"""Archives of strangers: looked at before anything in them is used, and never unpacked whole."""

from __future__ import annotations

import hashlib
import io
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, check_cancel

#: More entries, or more bytes of all entries together, no package of a model has.
MAX_ENTRIES = 1000
MAX_BYTES = 1 << 30
#: A table of contents beyond this is not even read.
MAX_TABLE = 1 << 22
#: What is larger than `LARGE` once unpacked and shrinks by more than this is a bomb.
MAX_RATIO = 200
LARGE = 1 << 20
#: Read at a time.
CHUNK = 1 << 20
#: What a damaged archive makes the standard library raise.
DAMAGE = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    NotImplementedError,
    OverflowError,
    IndexError,
)


def package_path(path: str | Path) -> Path:
    """Return the whole name of a package: with ``.zip``."""
    given = Path(path)
    return given if given.suffix.lower() == ".zip" else given.with_name(f"{given.name}.zip")


class _ShortReads(io.BufferedReader):
    """A file of which only little is read at a time, whatever it says about itself."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most `size` bytes."""
        if size is not None and size > MAX_TABLE:
            raise zipfile.BadZipFile("the table of contents is too long")
        return super().read(size)


class Archive:
    """A zip archive whose table of contents is harmless.

    Use `open_archive` to get one.

    Parameters
    ----------
    path : Path
        The file, named in messages.
    opened : ZipFile
        What was opened.

    Raises
    ------
    InputError
        If an entry leads out of the archive, is a link, encrypted, or there is too much of it.
    """

    def __init__(self, path: Path, opened: zipfile.ZipFile) -> None:
        self.path = path
        self._opened = opened
        self._entries: dict[str, zipfile.ZipInfo] = {}
        entries = opened.infolist()
        if len(entries) > MAX_ENTRIES:
            raise self._refused(f"it has {len(entries)} entries")
        if sum(entry.file_size for entry in entries) > MAX_BYTES:
            raise self._refused(f"unpacked it would take more than {MAX_BYTES >> 20} MB")
        folded = set()
        for entry in entries:
            self._check(entry)
            if entry.filename.casefold() in folded:
                raise self._refused(f"it holds {_shown(entry.filename)} twice")
            folded.add(entry.filename.casefold())
            if not entry.is_dir():
                self._entries[str(PurePosixPath(entry.filename))] = entry

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    @property
    def names(self) -> tuple[str, ...]:
        """The files in it, with slashes between folders."""
        return tuple(self._entries)

    def size(self, name: str) -> int:
        """Return how many bytes a file has once unpacked; 0 if there is none."""
        return self._entries[name].file_size if name in self._entries else 0

    def read(self, name: str, limit: int) -> bytes:
        """Return a file.

        Parameters
        ----------
        name : str
            One of `names`.
        limit : int
            The most bytes it may have.

        Raises
        ------
        InputError
            If there is no such file, or it is larger or damaged.
        """
        if self.size(name) > limit:
            raise self._refused(f"its {_shown(name)} has more than {limit} bytes")
        return b"".join(self.chunks(name))

    def copy(self, name: str, target: BinaryIO, cancel: CancelToken | None = None) -> None:
        """Write a file to an open one; see `read` for errors."""
        for chunk in self.chunks(name, cancel):
            target.write(chunk)

    def sha256(self, name: str, cancel: CancelToken | None = None) -> str:
        """Return the hash of a file; see `read` for errors."""
        found = hashlib.sha256()
        for chunk in self.chunks(name, cancel):
            found.update(chunk)
        return found.hexdigest()

    def chunks(self, name: str, cancel: CancelToken | None = None) -> Iterator[bytes]:
        """Give a file piece by piece; see `read` for errors."""
        if name not in self._entries:
            raise InputError(
                f"The archive {self.path} lacks the file {_shown(name)}: get it again."
            )
        try:
            with self._opened.open(self._entries[name]) as file:
                while chunk := file.read(CHUNK):
                    check_cancel(cancel)
                    yield chunk
        except DAMAGE as error:
            raise InputError(f"The archive {self.path} is damaged: get it again.") from error

    def _check(self, entry: zipfile.ZipInfo) -> None:
        """Make sure that an entry is a plain file or a folder inside the archive."""
        name = entry.orig_filename
        parts = name.removesuffix("/").split("/")
        if (
            not name.isprintable()
            or "\\" in name
            or ":" in name
            or len(name) > 240
            or any(part in ("", ".", "..") for part in parts)
        ):
            raise self._refused(f"the name {_shown(name)} leads out of it")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise self._refused(f"{_shown(name)} is a link or a device, not a file")
        if entry.flag_bits & 0x1:
            raise self._refused(f"{_shown(name)} is encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise self._refused(f"{_shown(name)} is compressed in an unusual way")
        if entry.file_size > max(LARGE, MAX_RATIO * entry.compress_size):
            raise self._refused(f"{_shown(name)} would grow {MAX_RATIO} times and more")

    def _refused(self, reason: str) -> InputError:
        return InputError(f"The archive {self.path} is not opened, because {reason}.")


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a zip archive.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    Archive

    Raises
    ------
    InputError
        If there is no such file, it is damaged, or not to be trusted: see `Archive`.
    """
    try:
        file = _ShortReads(io.FileIO(path))
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.") from None
    except OSError as error:
        raise InputError(f"The file {path} cannot be read: {error.strerror}.") from error
    with file:
        try:
            opened = zipfile.ZipFile(file)
        except DAMAGE as error:
            raise InputError(
                f"The file {path} is no archive, or is damaged: get it again."
            ) from error
        with opened:
            yield Archive(path, opened)


def file_sha256(path: Path, cancel: CancelToken | None = None) -> str:
    """Return the hash of a file, 64 digits.

    Parameters
    ----------
    path : Path
        The file.
    cancel : CancelToken, optional
        Checked between pieces.

    Raises
    ------
    InputError
        If it cannot be read.
    Cancelled
        If `cancel` was set.
    """
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                check_cancel(cancel)
                found.update(chunk)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.") from None
    except OSError as error:
        raise InputError(f"The file {path} cannot be read: {error.strerror}.") from error
    return found.hexdigest()


def _shown(name: str) -> str:
    """Return a name of a stranger as it may stand in a message: one line, not too long."""
    return repr(name if len(name) <= 60 else f"{name[:57]}…")
