from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from napari_pea.core.errors import InputError
from napari_pea.core.progress import CancelToken
from napari_pea.models.zoo import archive
from napari_pea.models.zoo.archive import file_sha256, open_archive

AtMost = Callable[[int], AbstractContextManager[None]]


def written(path: Path, *names: str, data: bytes = b"x") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name in names:
            made.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return path


def everything(path: Path) -> None:
    with open_archive(path) as opened:
        for name in opened.names:
            opened.read(name, 1 << 30)


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        everything(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_files_are_read_by_name(tmp_path: Path) -> None:
    path = written(tmp_path / "a.zip", "rdf.yaml", "folder/", "folder/weights.pt", data=b"abc")
    with open_archive(path) as opened:
        assert opened.names == ("rdf.yaml", "folder/weights.pt")
        assert opened.read("folder/weights.pt", 3) == b"abc"
        assert opened.sha256("rdf.yaml").startswith("ba7816bf")
        with pytest.raises(InputError, match="more than 2 bytes"):
            opened.read("rdf.yaml", 2)
        with pytest.raises(InputError, match="lacks the file 'other'"):
            opened.read("other", 2)


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../x", "a/../../x", "..\\x", "C:x", "a//b", "./a", "a\nb", "a\0b", "x" * 300],
)
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "a.zip", name.replace("\0", "X"))
    # The library that writes archives drops what follows a zero.
    path.write_bytes(path.read_bytes().replace(b"aXb", b"a\0b"))
    assert "leads out" in refused(path)


def test_links_are_refused(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("weights.pt")
    entry.create_system = 3
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr(entry, "/etc/passwd")
    assert "is a link" in refused(tmp_path / "a.zip")


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        path = written(tmp_path / "a.zip", "rdf.yaml", "rdf.yaml")
    assert "twice" in refused(path)
    assert "twice" in refused(written(tmp_path / "b.zip", "rdf.yaml", "RDF.yaml"))


def test_unusual_compression_is_refused(tmp_path: Path) -> None:
    for kind in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(tmp_path / "a.zip", "w", kind) as made:
            made.writestr("rdf.yaml", b"x" * 100)
        assert "unusual" in refused(tmp_path / "a.zip")


def test_encrypted_files_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.zip", "rdf.yaml")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    assert "encrypted" in refused(path)


def test_bombs_are_refused_without_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_most: AtMost
) -> None:
    path = written(tmp_path / "a.zip", "weights.pt", data=bytes(20 << 20))
    with at_most(1 << 20):
        assert "would grow 200 times" in refused(path)
    names = [f"{number}" for number in range(archive.MAX_ENTRIES + 1)]
    assert "1001 entries" in refused(written(tmp_path / "b.zip", *names))
    monkeypatch.setattr(archive, "MAX_BYTES", 100)
    assert "unpacked" in refused(written(tmp_path / "c.zip", "a", "b", data=b"x" * 60))


def test_sizes_that_are_lies_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.zip", "weights.pt", data=bytes(1000))
    data = bytearray(path.read_bytes())
    where = data.index(b"PK\1\2") + 24
    data[where : where + 4] = struct.pack("<I", 10)
    path.write_bytes(data)
    assert "is damaged" in refused(path)


def test_long_tables_of_contents_are_not_read(tmp_path: Path, at_most: AtMost) -> None:
    path = written(tmp_path / "a.zip", "rdf.yaml")
    data = path.read_bytes()
    end = bytearray(data[-22:])
    end[12:16] = struct.pack("<I", 64 << 20)
    path.write_bytes(data[:-22] + bytes(64 << 20) + bytes(end))
    with at_most(8 << 20):
        refused(path)


@pytest.mark.parametrize("data", [b"", b"PK", bytes(5000)])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    assert "no archive" in refused(tmp_path / "a.zip")


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    assert "no file" in refused(tmp_path / "none.zip")
    assert "cannot be read" in refused(tmp_path)
    for path in (tmp_path / "none.zip", tmp_path):
        with pytest.raises(InputError, match=r"no file|cannot be read"):
            file_sha256(path)


def test_reading_can_be_stopped(tmp_path: Path) -> None:
    token = CancelToken()
    token.cancel()
    path = written(tmp_path / "a.zip", "rdf.yaml")
    with open_archive(path) as opened, pytest.raises(Exception, match="Cancelled"):
        opened.sha256("rdf.yaml", token)
    with pytest.raises(Exception, match="Cancelled"):
        file_sha256(path, token)
