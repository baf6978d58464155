from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from napari_pea.core.errors import Cancelled, InputError
from napari_pea.core.progress import CancelToken
from napari_pea.models.zoo import download, fetched

DATA = bytes(range(256)) * 20_000
HASH = hashlib.sha256(DATA).hexdigest()


class Server(BaseHTTPRequestHandler):
    """Gives DATA, whole or from a byte on, and remembers what it was asked for."""

    ranges = True
    cut: ClassVar[int | None] = None
    etag = '"one"'
    asked: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        type(self).asked.append(wanted)
        if self.path == "/none.zip":
            self.send_error(404)
            return
        if self.path == "/endless.zip":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(DATA)
            return
        start = 0
        if self.ranges and wanted and self.headers.get("If-Range") == self.etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self.send_header("ETag", self.etag)
        self.send_header("Content-Length", str(len(DATA) - start))
        self.end_headers()
        self.wfile.write(DATA[start : self.cut])

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in (("ranges", True), ("cut", None), ("etag", '"one"'), ("asked", [])):
        monkeypatch.setattr(Server, name, value)
    running = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()
    thread.join()


def test_a_file_is_fetched_and_checked(server: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = download(
        f"{server}/a%20model.zip?x=1",
        sha256=HASH.upper(),
        folder=tmp_path,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert path.read_bytes() == DATA
    assert path.name.endswith("-a_model.zip")
    assert seen[0] == (0, len(DATA))
    assert seen[-1] == (len(DATA), len(DATA))
    assert list(tmp_path.iterdir()) == [path]
    download(f"{server}/a%20model.zip?x=1", sha256=HASH, folder=tmp_path)
    assert len(Server.asked) == 1
    download(f"{server}/a%20model.zip?x=1", folder=tmp_path)
    assert len(Server.asked) == 2


def test_another_hash_is_refused_and_nothing_kept(server: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another hash than 000"):
        download(f"{server}/a.zip", sha256="0" * 64, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_download_goes_on_where_it_stopped(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "cut", 2_000_000)
    with pytest.raises(InputError, match="try again later"):
        download(f"{server}/a.zip", sha256=HASH, folder=tmp_path)
    monkeypatch.setattr(Server, "cut", None)
    path = download(f"{server}/a.zip", sha256=HASH, folder=tmp_path)
    assert Server.asked == [None, "bytes=1966080-"]  # what came in whole pieces
    assert path.read_bytes() == DATA


@pytest.mark.parametrize("change", [{"ranges": False}, {"etag": '"two"'}])
def test_what_cannot_go_on_begins_anew(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object]
) -> None:
    monkeypatch.setattr(Server, "cut", 2_000_000)
    with pytest.raises(InputError):
        download(f"{server}/a.zip", folder=tmp_path)
    for name, value in {"cut": None, **change}.items():
        monkeypatch.setattr(Server, name, value)
    assert download(f"{server}/a.zip", folder=tmp_path).read_bytes() == DATA


def test_a_download_can_be_stopped_and_gone_on_with(server: str, tmp_path: Path) -> None:
    token = CancelToken()

    def progress(done: int, total: int, /) -> None:
        if done:
            token.cancel()

    with pytest.raises(Cancelled):
        download(f"{server}/a.zip", folder=tmp_path, progress=progress, cancel=token)
    assert download(f"{server}/a.zip", folder=tmp_path).read_bytes() == DATA
    assert Server.asked[1] is not None


def test_more_than_any_model_has_is_not_fetched(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[download.__module__], "MAX_BYTES", 1000)
    for name in ("a", "endless"):
        with pytest.raises(InputError, match="no model has"):
            download(f"{server}/{name}.zip", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_addresses_that_lead_nowhere_get_one_sentence(server: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the server answers 404"):
        download(f"{server}/none.zip", folder=tmp_path)
    with pytest.raises(InputError, match=r"could not be read \(ConnectionError\)"):
        download("http://127.0.0.1:9/a.zip", folder=tmp_path)
    for url in ("file:///etc/passwd", "ftp://x/y", "https://", "model.zip"):
        with pytest.raises(InputError, match="does not begin with"):
            download(url, folder=tmp_path)


@pytest.mark.parametrize(("sha256", "times"), [(None, 2), (HASH, 1)])
def test_a_fetched_file_goes_when_it_is_no_longer_needed(
    server: str, tmp_path: Path, sha256: str | None, times: int
) -> None:
    url = f"{server}/a.zip"
    for _ in range(2):
        with (
            pytest.raises(InputError, match="Not agreed"),
            fetched(url, sha256=sha256, folder=tmp_path),
        ):
            raise InputError("Not agreed.")
        # What has its hash need not come twice.
        assert len(list(tmp_path.iterdir())) == (0 if sha256 is None else 1)
    assert len(Server.asked) == times
    with fetched(url, sha256=sha256, folder=tmp_path) as path:
        assert path.read_bytes() == DATA
    assert list(tmp_path.iterdir()) == []
