"""Writing files so that a full disk or a crash never leaves half of one behind."""

from __future__ import annotations

import secrets
import stat
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
