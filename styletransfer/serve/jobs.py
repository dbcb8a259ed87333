"""Jobs: a bounded queue before one worker, and the events of each job.

Events are added while a job waits and while it runs.
"""

from __future__ import annotations

import asyncio
import re
import traceback
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from styletransfer.errors import InputError
from styletransfer.serve.workers import Worker, WorkerLostError

LAST = ("done", "failed", "stopped")
STUBBORN = 120.0
"""Seconds that a job has to stop once it is asked to; then its process is ended."""
GRACE = 20.0
"""Seconds that the client of a waiting job may be away: reloading a page takes less."""


def sentence(text: str) -> str:
    """Write an error as the page shows it.

    Options have their names, without the dashes of a command.
    """
    return re.sub(
        r"(?<![\w-])--([a-z]+(?:-[a-z]+)?)", lambda found: found[1].replace("-", " "), text
    )


class FullError(Exception):
    """The queue accepts no more."""


@dataclass
class Job:
    """A task for the worker, and all events of it.

    ``finish`` turns the task's result into what ``done`` reports; ``clean`` removes its files where
    there is no result. ``limit``: seconds that it may run. ``urgent``: whether somebody waits for
    the result; what isn't urgent waits for what is, which stops it. ``news`` is set by the next
    event.
    """

    id: str
    task: str
    arguments: dict[str, Any]
    finish: Callable[[Any], dict[str, Any]]
    clean: Callable[[], None] = lambda: None
    limit: float = 3600.0
    urgent: bool = True
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    running: bool = False
    stopping: bool = False
    listeners: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def over(self) -> bool:
        """Whether its last event was added."""
        return bool(self.events) and self.events[-1][0] in LAST

    def tell(self, event: str, data: dict[str, Any]) -> None:
        """Add an event."""
        if self.over:
            return
        self.events.append((event, data))
        self.news.set()
        self.news = asyncio.Event()


@dataclass
class Jobs:
    """The queue, and the jobs that ended lately.

    ``worker`` does one at a time; at most ``most`` wait, and ``kept`` that are over are remembered.
    """

    worker: Worker
    most: int = 16
    kept: int = 64
    all: OrderedDict[str, Job] = field(default_factory=OrderedDict)
    waiting: list[Job] = field(default_factory=list)
    current: Job | None = None
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _waits: asyncio.Task[None] | None = None

    def add(self, job: Job) -> None:
        """Queue a job.

        Raises:
            FullError: where too many wait.
        """
        if sum(one.urgent == job.urgent for one in self.waiting) >= self.most:
            raise FullError(
                f"{self.most} jobs are waiting, and no more are accepted; try again later."
            )
        self.all[job.id] = job
        over = [name for name, one in self.all.items() if one.over]
        for name in over[: max(len(over) - self.kept, 0)]:
            del self.all[name]
        self.waiting.append(job)
        self.waiting.sort(key=lambda one: not one.urgent)
        if job.urgent and self.current is not None and not self.current.urgent:
            self.stop(self.current)
        job.tell("queued", {"position": self._position(job)})
        self._arrived.set()

    def _position(self, job: Job) -> int:
        """Return how many jobs come before it."""
        return self.waiting.index(job) + (self.current is not None)

    def stop(self, job: Job) -> None:
        """Stop a job: a waiting one is removed, a running one leaves what is done."""
        if job in self.waiting:
            self.waiting.remove(job)
            job.clean()
            job.tell("stopped", {"version": None})
            self._tell_positions()
        elif job.running and not job.stopping:
            job.stopping = True
            self.worker.stop()
            self._waits = asyncio.get_running_loop().create_task(self._enforce(job))

    async def _enforce(self, job: Job) -> None:
        """End the process of a job that doesn't stop."""
        await asyncio.sleep(STUBBORN)
        if self.current is job:
            await self.worker.end()

    def _tell_positions(self) -> None:
        for job in self.waiting:
            job.tell("queued", {"position": self._position(job)})

    async def left(self, job: Job) -> None:
        """Cancel a waiting job that nobody follows any longer."""
        await asyncio.sleep(GRACE)
        if not job.listeners and job in self.waiting:
            self.stop(job)

    async def run(self) -> None:
        """Run the jobs, one after another, for ever."""
        with suppress(OSError):
            await self.worker.start()
        while True:
            while not self.waiting:
                self._arrived.clear()
                await self._arrived.wait()
            job = self.current = self.waiting.pop(0)
            job.running = True
            self._tell_positions()
            try:
                await self._do(job)
            finally:
                job.running, self.current = False, None

    async def _do(self, job: Job) -> None:
        try:
            result = await self.worker.call(job.task, job.arguments, job.tell, job.limit)
        except (InputError, WorkerLostError, OSError) as error:
            job.clean()
            job.tell("failed", {"error": sentence(str(error))})
            return
        except Exception as error:  # one job must not stop the others
            traceback.print_exc()
            job.clean()
            kind = type(error).__name__
            fault = f"a fault of this program ({kind}); please report it."
            job.tell("failed", {"error": fault})
            return
        told: dict[str, Any] = {"version": None} if result is None else job.finish(result)
        stopped = result is None or job.stopping
        job.tell("stopped" if stopped else "done", told)
