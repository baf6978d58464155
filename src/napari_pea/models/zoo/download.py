"""Fetching a model from an address: checked, resumed where it stopped, and stopped at will."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import platformdirs

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken, Progress, check_cancel, ignore_progress
from napari_pea.models.zoo.archive import CHUNK, MAX_BYTES

#: Seconds without an answer after which a server is given up.
PATIENCE = 30
#: How servers say that they go on where we stopped.
PARTIAL, BEYOND = 206, 416
#: Bytes that are written at a time.
PIECE = 1 << 16


def download(
    url: str,
    *,
    sha256: str | None = None,
    folder: Path | None = None,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> Path:
    """Fetch a file; what a stopped download has left is gone on from, if the server can.

    Parameters
    ----------
    url : str
        An address that begins with https:// or http://.
    sha256 : str, optional
        The hash that the file must have. A file that is there already and has it is not
        fetched again.
    folder : Path, optional
        Where to put it; by default a folder for such files of the user's.
    progress : callable
        Told the bytes that are there and the bytes in all, or 0 if the server does not tell.
    cancel : CancelToken, optional
        Checked between pieces; what was fetched is kept.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the address cannot be reached, there is nothing, more than a model has, or a file
        with another hash.
    Cancelled
        If `cancel` was set.
    """
    import pooch

    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.netloc:
        raise InputError(f"The address {url[:80]!r} does not begin with https:// or http://.")
    home = folder or Path(platformdirs.user_cache_dir("napari-pea", appauthor=False)) / "downloads"
    known = None if sha256 is None else sha256.strip().lower().removeprefix("sha256:")
    fetch = _Fetch(home / f".{_key(url)}.part", progress, cancel)
    pooch.get_logger().setLevel(logging.WARNING)
    name = _file_name(parts.path, url)
    if known is None:
        # Without a hash nobody can tell whether the file there is still the one at the address.
        (home / name).unlink(missing_ok=True)
    try:
        found = pooch.retrieve(
            url,
            None if known is None else f"sha256:{known}",
            fname=name,
            path=home,
            downloader=fetch,
        )
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"The file at {url} has another hash than {known}: it was not kept."
        ) from error
    except OSError as error:
        raise InputError(f"The file at {url} could not be kept: {error}.") from error
    finally:
        fetch.clear()
    return Path(found)


@contextmanager
def fetched(
    url: str,
    *,
    sha256: str | None = None,
    folder: Path | None = None,
    progress: Progress = ignore_progress,
    cancel: CancelToken | None = None,
) -> Iterator[Path]:
    """Fetch a file for as long as it is needed; see `download` for parameters and errors.

    It is removed in the end, unless what it was fetched for fails and a hash can tell next time
    that it is still the right one.
    """
    path = download(url, sha256=sha256, folder=folder, progress=progress, cancel=cancel)
    try:
        yield path
    except BaseException:
        if sha256 is None:
            path.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)


class _Fetch:
    """How pooch gets a file: into one beside it first, which a next attempt goes on from.

    Parameters
    ----------
    part : Path
        What is there so far.
    progress, cancel
        See `download`.
    """

    def __init__(self, part: Path, progress: Progress, cancel: CancelToken | None) -> None:
        self.part = part
        self.progress = progress
        self.cancel = cancel
        self.complete = False

    def __call__(self, url: str, output_file: Any, _pooch: object) -> None:
        """Fetch a file and copy it to another one."""
        import requests

        check_cancel(self.cancel)
        self.part.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._fetch(url)
        except requests.RequestException as error:
            raise InputError(
                f"The address {url} could not be read ({type(error).__name__}): what has come is "
                "kept, so try again later."
            ) from error
        self.complete = True
        with Path(output_file).open("wb") as target, self.part.open("rb") as source:
            while chunk := source.read(CHUNK):
                target.write(chunk)

    def _fetch(self, url: str) -> None:
        import requests

        have = self.part.stat().st_size if self.part.exists() else 0
        tag = self.part.with_suffix(".tag")
        headers = {"Accept-Encoding": "identity"}
        if have and tag.exists():
            # Only if the file is still the same one.
            headers |= {"Range": f"bytes={have}-", "If-Range": tag.read_text(encoding="utf-8")}
        with requests.get(url, headers=headers, stream=True, timeout=PATIENCE) as answer:
            if answer.status_code == BEYOND:
                self.part.unlink(missing_ok=True)
                return self._fetch(url)
            if not answer.ok:
                raise InputError(
                    f"There is nothing at {url}: the server answers {answer.status_code}."
                )
            goes_on = answer.status_code == PARTIAL
            have = have if goes_on else 0
            length = answer.headers.get("Content-Length", "")
            total = have + int(length) if length.isdigit() else 0
            if total > MAX_BYTES:
                raise self._too_much(url)
            mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
            if mark and not mark.startswith("W/"):
                tag.write_text(mark, encoding="utf-8")
            self.progress(have, total)
            with self.part.open("ab" if goes_on else "wb") as file:
                for chunk in answer.iter_content(PIECE):
                    check_cancel(self.cancel)
                    file.write(chunk)
                    have += len(chunk)
                    if have > MAX_BYTES:
                        raise self._too_much(url)
                    self.progress(have, total)
        if total and have < total:
            raise requests.ConnectionError("the connection ended early")
        return None

    def clear(self) -> None:
        """Remove what is no longer needed: all, once the file was fetched."""
        if self.complete:
            self.part.unlink(missing_ok=True)
            self.part.with_suffix(".tag").unlink(missing_ok=True)

    def _too_much(self, url: str) -> InputError:
        self.complete = True  # there is nothing to go on from
        return InputError(f"The file at {url} has more than {MAX_BYTES >> 20} MB: no model has.")


def _key(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def _file_name(path: str, url: str) -> str:
    """Return a harmless name that keeps the last part of an address, and so its suffix."""
    last = unquote(path).rstrip("/").rpartition("/")[2]
    kept = "".join(sign if sign.isalnum() or sign in ".-_" else "_" for sign in last).lstrip(".")
    return f"{_key(url)}-{kept[-80:] or 'model'}"
