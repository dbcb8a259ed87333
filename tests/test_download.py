"""Test downloads against a server in a thread.

They start from scratch, are interrupted and resumed, refused, or wrong.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from styletransfer.data.download import MAESTRO_SHA256, MAESTRO_URL, download_maestro, file_sha256
from styletransfer.errors import InputError

CONTENT = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
QUIET = Console(file=io.StringIO())


class Server(ThreadingHTTPServer):
    """Serve ``CONTENT``; hang up after ``breaks_after`` bytes.

    ``ranges``: whether it supports them.
    """

    daemon_threads = True
    breaks_after: int | None = None
    ranges = True
    status = 0
    requests: list[str | None]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/maestro.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.requests.append(wanted)
        start = (
            int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        )
        if self.server.status:
            self.send_error(self.server.status)
            return
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        stop = (
            len(CONTENT) if self.server.breaks_after is None else start + self.server.breaks_after
        )
        self.wfile.write(CONTENT[start:stop])

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.requests = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(server: Server, folder: Path, sha256: str = SHA256) -> Path:
    return download_maestro(folder, url=server.url, sha256=sha256, console=QUIET)


def test_a_download_and_no_second_one(server: Server, tmp_path: Path) -> None:
    path = fetch(server, tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "maestro.zip"
    assert path.read_bytes() == CONTENT
    assert fetch(server, path.parent) == path
    assert server.requests == [None]
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupted_download_continues_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.breaks_after = 100_000
    for times in (1, 2):
        with pytest.raises(InputError, match="connection broke"):
            fetch(server, tmp_path)
        assert (tmp_path / "maestro.zip.part").read_bytes() == CONTENT[: times * 100_000]
    server.breaks_after = None
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=100000-", "bytes=200000-"]


def test_a_server_without_ranges_sends_everything_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "maestro.zip.part").write_bytes(b"something else")
    server.ranges = False
    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_a_complete_part_needs_no_byte_more(server: Server, tmp_path: Path) -> None:
    (tmp_path / "maestro.zip.part").write_bytes(CONTENT)
    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="wrong checksum"):
        fetch(server, tmp_path, "0" * 64)
    assert not list(tmp_path.iterdir())
    (tmp_path / "maestro.zip.part").write_bytes(b"x" * 100)  # the remains of another file
    with pytest.raises(InputError, match="wrong checksum"):
        fetch(server, tmp_path)
    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_another_file_of_that_name_is_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / "maestro.zip").write_bytes(b"mine")
    with pytest.raises(InputError, match="wrong checksum"):
        fetch(server, tmp_path)
    assert (tmp_path / "maestro.zip").read_bytes() == b"mine"


def test_errors_are_one_sentence(server: Server, tmp_path: Path) -> None:
    server.status = 503
    with pytest.raises(InputError, match="the server answered 503"):
        fetch(server, tmp_path)
    with pytest.raises(InputError, match="can't be reached"):
        download_maestro(tmp_path, url="http://127.0.0.1:1/maestro.zip", console=QUIET)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written"):
        fetch(server, tmp_path / "file")


def test_the_official_address(tmp_path: Path) -> None:
    assert MAESTRO_URL.startswith("https://")
    assert MAESTRO_URL.endswith("maestro-v3.0.0-midi.zip")
    assert len(MAESTRO_SHA256) == 64
    (tmp_path / "a").write_bytes(b"abc")
    assert (
        file_sha256(tmp_path / "a")
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
