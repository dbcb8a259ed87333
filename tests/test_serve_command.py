"""The command ``serve``: a real server in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from styletransfer.serve.jobs import GRACE
from tests.command import Run, refused
from tests.tiny import short_song

ROOT = Path(__file__).parents[1]
PATIENCE = 120.0


@contextmanager
def serving(temporary: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a server on a free port, and yield its process and address.

    Its temporary files are in a folder.

    It is ended at the end if it runs still.
    """
    command = [sys.executable, "-m", "styletransfer", "serve", "--port", "0", *arguments]
    environment = os.environ | {"TMPDIR": str(temporary)}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split(" ")[0]
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
        yield process, address
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def asked(address: str, body: dict[str, Any] | None = None) -> Any:
    """Return the JSON of an answer."""
    headers = {"content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, headers)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.loads(answer.read())


def until(done: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end
        time.sleep(0.1)


def folders(temporary: Path) -> list[Path]:
    return list(temporary.glob("styletransfer-*"))


def test_it_says_where_and_leaves_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, address):
        assert asked(f"{address}/api")["openapi"].startswith("3.1")
        assert len(folders(tmp_path)) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert folders(tmp_path) == []


def test_a_killed_server_leaves_nothing_either(tmp_path: Path, tiny_package: Path) -> None:
    """Its children notice that it is gone, end, and remove what it kept."""
    with serving(tmp_path, "--model", str(tiny_package)) as (process, address):
        assert asked(f"{address}/api/songs", {"example": "twinkle"})["name"] == "twinkle"
        process.kill()
        process.wait()
        until(lambda: not folders(tmp_path))


@pytest.mark.slow
def test_a_client_that_goes_away_takes_its_waiting_job_with_it(
    tmp_path: Path, tiny_package: Path
) -> None:
    with serving(tmp_path, "--model", str(tiny_package)) as (_, address):
        long = asked(f"{address}/api/songs", {"abc": "X:1\nL:1/4\nK:C\n" + "CDEF|" * 200})
        body = {"song": long["id"], "style": "bach", "candidates": 16}
        first, second = (asked(f"{address}/api/jobs", body)["job"] for _ in range(2))
        events = f"{address}/api/jobs/{second}/events"

        with urllib.request.urlopen(events, timeout=PATIENCE):
            time.sleep(GRACE + 3)
            assert "event: queued" in told(events)
            assert "event: stopped" not in told(events)
        time.sleep(GRACE + 5)
        assert "event: stopped" in told(events)
        assert "event: stopped" not in told(f"{address}/api/jobs/{first}/events")
        asked(f"{address}/api/jobs/{first}/stop", {})


def told(address: str) -> str:
    """Return what is reported about a job to another follower within a moment."""
    found, end = "", time.monotonic() + 3
    with urllib.request.urlopen(address, timeout=3) as stream, suppress(TimeoutError):
        while (line := stream.readline()) and time.monotonic() < end:
            found += line.decode()
    return found


@pytest.mark.slow
def test_the_lines_of_python_in_the_documentation(
    tmp_path: Path, tiny_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
    code = text.split("```python\n")[1].split("```")[0].replace("httpx", "httpx2")
    monkeypatch.chdir(tmp_path)
    short_song(tmp_path / "song.mid")
    with serving(tmp_path, "--model", str(tiny_package)) as (_, address):
        code = code.replace("http://127.0.0.1:8765", address) + "\nserver.close()\n"
        subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)
    assert (tmp_path / "song-bach.mid").read_bytes().startswith(b"MThd")


def test_a_port_that_is_taken(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused(run("serve", "--port", str(taken.getsockname()[1])), "--port", "listen")
    refused(run("serve", "--port", "99999"), "--port 99999")
    refused(run("serve", "--host", "nowhere.invalid"), "listen")


def test_a_proxy_without_an_address(run: Run) -> None:
    refused(run("serve", "--public", "music.example.org"), "--public", "https://")
