from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from napari_pea.core.files import atomic_write, locked


def test_the_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "result.ome.tif"
    with atomic_write(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.name.endswith(".ome.tif")
    assert path.read_text() == "half"
    assert list(path.parent.iterdir()) == [path]


def test_an_existing_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("old")
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("existed", [True, False])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
def test_a_full_disk_leaves_everything_as_it_was(
    tmp_path: Path, existed: bool, error: BaseException
) -> None:
    path = tmp_path / "model.bin"
    if existed:
        path.write_bytes(b"old and whole")
    with pytest.raises(type(error)) as raised, atomic_write(path) as temporary:  # noqa: PT012
        temporary.write_bytes(b"ne")
        raise error
    assert raised.value is error
    assert list(tmp_path.iterdir()) == ([path] if existed else [])
    if existed:
        assert path.read_bytes() == b"old and whole"


def test_a_failing_rename_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"old")

    def fail(self: Path, target: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="Input/output"), atomic_write(path) as temporary:
        temporary.write_bytes(b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_others_may_read_the_file_as_any_other_new_file(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    with atomic_write(tmp_path / "written") as temporary:
        temporary.write_text("x")
    assert stat.S_IMODE((tmp_path / "written").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_files_of_other_threads_keep_their_permissions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> int:
        raise AssertionError("the umask holds for the whole program")

    monkeypatch.setattr(os, "umask", fail)
    with atomic_write(tmp_path / "written") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "written").read_text() == "x"


def test_a_lock_is_had_once_and_can_be_had_again(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with locked(path) as first:
        assert first
        with locked(path) as second:
            assert not second
    with locked(path) as third:
        assert third


def test_another_program_cannot_have_the_lock_and_leaves_it_when_it_dies(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from napari_pea.core.files import locked\n"
        "with locked(Path(sys.argv[1])) as had:\n"
        "    print(had, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", code, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with locked(path) as had:
            assert not had
        other.kill()
        other.wait()
    with locked(path) as had:
        assert had


@pytest.mark.skipif(os.name == "nt", reason="Windows always knows locks")
def test_a_drive_that_knows_no_locks_does_not_stop_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def fail(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    with locked(tmp_path / ".lock") as had:
        assert had
