"""Test the server under load.

    python -m benchmarks.serve --write benchmarks/serve.md

Clients of several kinds send requests at the same time, on the real weights: well-formed ones,
malformed ones, slow ones, and some that disconnect. Each client knows the right answer. Memory is
that of the server and its processes together; memory they share is counted once.
"""

from __future__ import annotations

import http.client
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.apply import processor
from styletransfer.configuration import recipe_parser
from styletransfer.formats.midi_out import midi_bytes
from styletransfer.formats.tunes import EXAMPLES, example

ROOT = Path(__file__).parents[1]
PATIENCE = 1_800.0
CANDIDATES = 2
BUSY = 503
BOUNDARY = "styletransfer-load"


class BusyError(Exception):
    """Raised when the queue is full, which is a right answer."""


@dataclass
class Client:
    """A client: the server's port, its own random numbers, and an existing version."""

    port: int
    song: str
    version: str
    chance: random.Random = field(default_factory=random.Random)

    def ask(
        self,
        path: str,
        body: bytes | None = None,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Return the status and the whole answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            more = {"Content-Type": kind} if body is not None else {}
            connection.request(
                "GET" if body is None else "POST", path, body, more | (headers or {})
            )
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def expect(self, status: int, *asked: Any, **named: Any) -> bytes:
        """Return the answer, which must have a given status."""
        found, data = self.ask(*asked, **named)
        if found != status:
            raise ValueError(f"{asked[0]}: {found} instead of {status}: {data[:200]!r}")
        return data

    def upload(self, data: bytes, name: str) -> tuple[bytes, str]:
        """Return a body with one file, and its type."""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"'
        body = f"{head}\r\n\r\n".encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()
        return body, f"multipart/form-data; boundary={BOUNDARY}"


def page(client: Client) -> None:
    """Fetch the page's first file and a list."""
    client.expect(200, "/")
    client.expect(200, "/api/styles")


def read(client: Client) -> None:
    """Send a song and have it read."""
    name = client.chance.choice(sorted(EXAMPLES))
    body, kind = client.upload(midi_bytes(example(name)), f"{name}.mid")
    found = json.loads(client.expect(201, "/api/songs", body, kind))
    if not found["notes"]:
        raise ValueError(f"{name}: no notes")


def show(client: Client) -> None:
    """Fetch a version, its file and its first page."""
    address = f"/api/versions/{client.version}"
    client.expect(200, address)
    client.expect(200, f"{address}/file?type=mid")
    client.expect(200, f"{address}/pages/1.svg")


def arrange(client: Client) -> None:
    """Follow a job from the queue to its version."""
    asked = {"song": client.song, "style": "bach", "candidates": CANDIDATES}
    asked["seed"] = client.chance.randrange(1000)
    status, data = client.ask("/api/jobs", json.dumps(asked).encode())
    if status == BUSY:
        raise BusyError
    told = client.expect(200, f"/api/jobs/{json.loads(data)['job']}/events").decode()
    done = re.search(r'event: done\ndata: {"version": "(\w+)"}', told)
    if done is None:
        raise ValueError(told[-300:])
    client.expect(200, f"/api/versions/{done[1]}")


def bad(client: Client) -> None:
    """Send malformed files, unknown options, and requests from other sites."""
    body, kind = client.upload(b"MThd" + client.chance.randbytes(400), "../../etc/passwd.mid")
    client.expect(400, "/api/songs", body, kind)
    asked = {"song": client.song, "style": "nobody"}
    client.expect(400, "/api/jobs", json.dumps(asked).encode())
    client.expect(404, "/api/versions/nothing")
    client.expect(403, "/api/styles", headers={"Host": "evil.example"})


def large(client: Client) -> None:
    """Send a body above the limit: refused by its length, before it is read."""
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=PATIENCE)
    try:
        connection.putrequest("POST", "/api/songs")
        connection.putheader("Content-Length", str(1 << 30))
        connection.endheaders()
        status = connection.getresponse().status
    finally:
        connection.close()
    if status != 413:
        raise ValueError(f"{status} instead of 413")


def slow(client: Client) -> None:
    """Send a song slowly, piece by piece."""
    body, kind = client.upload(midi_bytes(example("twinkle")), "twinkle.mid")
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=PATIENCE)
    try:
        connection.putrequest("POST", "/api/songs")
        connection.putheader("Content-Type", kind)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        for begin in range(0, len(body), 100):
            connection.send(body[begin : begin + 100])
            time.sleep(0.1)
        status = connection.getresponse().status
    finally:
        connection.close()
    if status != 201:
        raise ValueError(f"{status} instead of 201")


def leave(client: Client) -> None:
    """Disconnect: in the middle of a body, and while a job waits."""
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=PATIENCE)
    connection.putrequest("POST", "/api/songs")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", "1000")
    connection.endheaders()
    connection.send(b'{"exam')
    connection.close()

    asked = {"song": client.song, "style": "chopin", "candidates": CANDIDATES}
    status, data = client.ask("/api/jobs", json.dumps(asked).encode())
    if status == BUSY:
        return
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=PATIENCE)
    connection.request("GET", f"/api/jobs/{json.loads(data)['job']}/events")
    connection.getresponse().read(10)
    connection.close()


KINDS: dict[Callable[[Client], None], int] = {
    page: 40,
    read: 40,
    show: 40,
    bad: 30,
    large: 10,
    slow: 15,
    leave: 15,
    arrange: 10,
}
"""How many of 200 requests are of each kind."""


@contextmanager
def serving(port: int) -> Iterator[tuple[subprocess.Popen[str], float]]:
    """Start a server, and measure the seconds until it answers."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "styletransfer", "serve", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        Client(port, "", "").expect(200, "/")
        yield process, time.perf_counter() - begin
    finally:
        process.terminate()
        process.wait()


def memory(process: int) -> float:
    """Return the memory of a process and its children, in MB."""
    found = 0.0
    for number in (process, *children(process)):
        text = Path(f"/proc/{number}/smaps_rollup").read_text()
        match = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
        found += int(match[1]) / 1024 if match else 0.0
    return found


def children(process: int) -> list[int]:
    """Return the processes that a process started."""
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(one) for one in text.split()]


def first_version(port: int) -> Client:
    """Make a client with a song and a version to ask for."""
    client = Client(port, "", "")
    body = json.dumps({"example": "happy-birthday"}).encode()
    client.song = json.loads(client.expect(201, "/api/songs", body))["id"]
    asked = {"song": client.song, "style": "bach", "candidates": CANDIDATES}
    job = json.loads(client.expect(202, "/api/jobs", json.dumps(asked).encode()))["job"]
    told = client.expect(200, f"/api/jobs/{job}/events").decode()
    match = re.search(r'"version": "(\w+)"', told)
    assert match, told
    client.version = match[1]
    return client


def load(
    first: Client, requests: int, clients: int, seed: int
) -> tuple[dict[str, list[float]], int, list[str]]:
    """Return each kind's seconds per request, the jobs refused, and what went wrong."""
    chance = random.Random(seed)
    kinds = [kind for kind, count in KINDS.items() for _ in range(count)]
    chance.shuffle(kinds)
    asked = [kinds[k % len(kinds)] for k in range(requests)]
    times: dict[str, list[float]] = {kind.__name__: [] for kind in KINDS}
    lost: list[str] = []
    busy: list[int] = []
    lock = threading.Lock()

    def one(number: int) -> None:
        kind = asked[number]
        client = Client(first.port, first.song, first.version, random.Random(seed + number))
        begin = time.perf_counter()
        try:
            kind(client)
        except BusyError:
            busy.append(number)
            return
        except Exception as error:  # whatever it is, it is counted and reported
            with lock:
                lost.append(f"{kind.__name__}: {type(error).__name__}: {error}")
            return
        with lock:
            times[kind.__name__].append(time.perf_counter() - begin)

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(one, range(requests)))
    return times, len(busy), lost


def table(times: dict[str, list[float]]) -> list[str]:
    """Tabulate the waiting times, a row for each kind."""
    lines = ["| request | number | median, s | p95, s | slowest, s |", "|---|---|---|---|---|"]
    told = {kind.__name__: str(kind.__doc__).split(":")[0].rstrip(".") for kind in KINDS}
    for name, found in times.items():
        if found:
            ordered = sorted(found)
            late = ordered[min(int(0.95 * len(ordered)), len(ordered) - 1)]
            numbers = f"{statistics.median(found):.2f} | {late:.2f} | {ordered[-1]:.2f}"
            lines.append(f"| {told[name]} | {len(found)} | {numbers} |")
    return lines


def main(argv: list[str] | None = None) -> int:
    parser = recipe_parser(__doc__)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--port", type=int, default=8799)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args(argv)

    with serving(arguments.port) as (process, started):
        first = first_version(arguments.port)
        show(first)
        rounds, sizes = [], [memory(process.pid)]
        for number in range(2):
            busy = os.getloadavg()[0]
            seed = arguments.seed + 1000 * number
            rounds.append((*load(first, arguments.requests, arguments.clients, seed), busy))
            time.sleep(10)
            sizes.append(memory(process.pid))

    before, middle, after = (f"{size:.0f} MB" for size in sizes)
    lines = [
        "# The server under load",
        "",
        "`python -m benchmarks.serve --write benchmarks/serve.md`",
        "",
        f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}. "
        f"{arguments.requests} requests from {arguments.clients} clients, twice; arrangements of "
        f"happy-birthday with {CANDIDATES} candidates, one at a time, so that one waits for those "
        "before it.",
        "",
        f"The server answered {started:.2f} s after it was started. Memory of the server and its "
        f"processes: {before} at first, {middle} after the first round, {after} after the second.",
    ]
    for number, (times, refused, lost, busy) in enumerate(rounds, 1):
        answered = sum(map(len, times.values())) + refused
        lines += ["", f"## Round {number}", ""]
        lines += [
            f"{answered} of {arguments.requests} requests got the right answer, among them "
            f"{refused} jobs that a full queue refused. The machine did other work: the load was "
            f"{busy:.0f} at the beginning.",
            "",
            *table(times),
            *([""] if lost else []),
            *(f"- lost: {one}" for one in lost),
        ]
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.write:
        arguments.write.write_text(text, encoding="utf-8")
    return 1 if any(lost for _, _, lost, _ in rounds) else 0


if __name__ == "__main__":
    raise SystemExit(main())
