"""Child processes that do the work.

They get and send lines of JSON; a new process replaces one that ends.

The server thus has no torch in it, starts at once, and outlives whatever a file or a job does.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from styletransfer.errors import InputError

LONGEST_LINE = 64 << 20
"""The most bytes of one answer: a song's notes are 2 MB."""
Hear = Callable[[str, dict[str, Any]], None]


class WorkerLostError(Exception):
    """The worker's process ended, or was ended; the message is for the user."""


@dataclass
class Worker:
    """A child process, started when it is first needed and after each end.

    ``kind``: what it loads beforehand, ``light`` or ``heavy``. ``folder``: where it works, which
    holds everything that it may write but styles.
    """

    kind: str
    folder: Path
    model: Path | None = None
    process: asyncio.subprocess.Process | None = None
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    _numbers: count[int] = field(default_factory=lambda: count(1))
    _current: int | None = None

    async def start(self) -> asyncio.subprocess.Process:
        """Start the process unless it runs."""
        if self.process is not None and self.process.returncode is None:
            return self.process
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "styletransfer.serve.child",
            self.kind,
            *([str(self.model)] if self.model else []),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
            limit=LONGEST_LINE,
            start_new_session=True,  # Ctrl-C is the server's, which ends its children in order
        )
        return self.process

    async def call(
        self, task: str, arguments: dict[str, Any], hear: Hear | None = None, limit: float = 1e9
    ) -> Any:
        """Have a task done, and return its result.

        Args:
            task: its name, of those in :func:`styletransfer.serve.child.tasks`.
            arguments: plain values.
            hear: gets what the task reports while it runs.
            limit: seconds after which the process is ended.

        Raises:
            InputError: what the task raised.
            WorkerLostError: where the process ended, or did not answer in time, or the task has a
                fault.
        """
        async with self.busy:
            try:
                process = await self.start()
                self._current = next(self._numbers)
                self._send({"call": self._current, "task": task, "arguments": arguments})
                async with asyncio.timeout(limit):
                    return await self._answer(process, hear)
            except TimeoutError:
                await self.end()
                long = f"{limit / 60:.0f} minutes" if limit >= 120 else f"{limit:.0f} seconds"
                message = f"that took more than {long}, the most that is allowed, and was ended."
                raise WorkerLostError(message) from None
            except asyncio.CancelledError:
                await asyncio.shield(self.end())  # nobody would read its answer
                raise
            finally:
                self._current = None

    async def _answer(self, process: asyncio.subprocess.Process, hear: Hear | None) -> Any:
        assert process.stdout is not None
        number = self._current
        ended = asyncio.ensure_future(process.wait())  # its own children may keep the pipe open
        try:
            return await self._answer_of(process.stdout, ended, number, hear)
        finally:
            ended.cancel()

    async def _answer_of(
        self,
        lines: asyncio.StreamReader,
        ended: asyncio.Future[int],
        number: int | None,
        hear: Hear | None,
    ) -> Any:
        while line := await _line_before(lines, ended):
            told = _message(line)
            if told is None:  # half a line: the process was ended while it wrote
                break
            if told["call"] != number:
                continue
            if "event" in told:
                if hear is not None:
                    hear(told["event"], told["data"])
            elif "result" in told:
                return told["result"]
            elif told.get("fault"):
                raise WorkerLostError(told["error"])
            else:
                raise InputError(told["error"])

        await self.end()
        code = await asyncio.shield(ended)
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        raise WorkerLostError(f"the process that worked on it {how}; another one takes its place.")

    def stop(self) -> None:
        """Ask the task that runs to stop, and to leave what is done."""
        if self._current is not None:
            self._send({"stop": self._current})

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        with suppress(OSError, RuntimeError):  # it has ended, which the reader reports
            self.process.stdin.write(json.dumps(message).encode() + b"\n")

    async def end(self) -> None:
        """End the process."""
        process = self.process
        if process is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):  # it leads a session: its children end, too
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        await process.wait()


async def _line_before(lines: asyncio.StreamReader, ended: asyncio.Future[int]) -> bytes:
    """Read a line; nothing where the process has ended and no more lines come."""
    line = asyncio.ensure_future(lines.readline())
    both: set[asyncio.Future[Any]] = {line, ended}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if not line.done():
        await asyncio.wait({line}, timeout=1)  # what it wrote last
    if line.done():
        return line.result()
    line.cancel()
    return b""


def _message(line: bytes) -> dict[str, Any] | None:
    """Read a line of JSON; None where it isn't whole."""
    try:
        found: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return found


@dataclass
class Pool:
    """Several light workers, of which the first that is free takes a task."""

    workers: list[Worker]
    _free: asyncio.Queue[Worker] = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        for worker in self.workers:
            self._free.put_nowait(worker)

    async def call(self, task: str, arguments: dict[str, Any], limit: float) -> Any:
        """Have a task done, as by :meth:`Worker.call`."""
        worker = await self._free.get()
        try:
            return await worker.call(task, arguments, limit=limit)
        finally:
            self._free.put_nowait(worker)
