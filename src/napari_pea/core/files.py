"""Writing files so that a full disk or a crash never leaves half of one behind."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, which takes its place if all goes well.

    Parameters
    ----------
    path : Path
        The file to make or replace. If writing fails, it stays as it was.

    Yields
    ------
    Path
        Where to write; it has the same suffix as `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{''.join(path.suffixes)}")
    temporary.touch(exist_ok=False)
    # What any new file gets here; whoever writes may make the file anew with less.
    mode = stat.S_IMODE(temporary.stat().st_mode)
    try:
        yield temporary
        temporary.chmod(mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold a lock that ends with the program, however that ends.

    Parameters
    ----------
    path : Path
        A file that is made for it; its folder must exist.

    Yields
    ------
    bool
        Whether it could be had: nobody else holds it, in this program or another one.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        yield _lock(descriptor)
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            # Some network drives know no locks; work must go on there too.
            return True
        return True
