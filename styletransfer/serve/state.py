"""What a running server has: songs, versions, jobs; and how a request names them."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request

from styletransfer.errors import InputError
from styletransfer.serve.jobs import Job, Jobs
from styletransfer.serve.settings import VERSION, Settings
from styletransfer.serve.trust import safe_name
from styletransfer.serve.workers import Pool

BODY_SECONDS = 120.0
"""Seconds in which the body of a request must arrive."""


@dataclass
class Song:
    """A song that was given: where it is stored, what it is, and how it is read."""

    id: str
    folder: Path
    name: str
    given: dict[str, Any]
    melody_track: str | None = None
    transpose: int = 0
    read: dict[str, Any] = field(default_factory=dict)

    @property
    def asked(self) -> dict[str, Any]:
        """What a request for it names."""
        found: dict[str, Any] = self.read["request"]
        return found

    def answer(self) -> dict[str, Any]:
        """Return the song object of the API."""
        own = {"id": self.id, "name": self.name}
        set_to = {"melody_track": self.melody_track, "transpose": self.transpose}
        return own | {key: value for key, value in self.read.items() if key != "request"} | set_to


@dataclass
class Version:
    """An arrangement that is kept: where it is stored, and its origin.

    ``asked``: what the request for its song names; ``source``: the name under
    which the file that it was made of is downloaded.
    """

    id: str
    folder: Path
    song: str
    name: str
    style: str
    asked: dict[str, Any]
    source: str

    def read(self) -> dict[str, Any]:
        """Return the version object of the API."""
        text = (self.folder / VERSION).read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text)
        return found

    def called(self, kind: str) -> str:
        """Return the name of its file of a kind for downloading."""
        style = re.sub("[:,]", "-", self.style)
        return f"{safe_name(self.name)}-{safe_name(style)}.{kind}"


Kept = TypeVar("Kept", Song, Version)


@dataclass
class State:
    """Everything that a running server has; it is lost when the server ends."""

    settings: Settings
    folder: Path
    jobs: Jobs
    readers: Pool
    songs: OrderedDict[str, Song] = field(default_factory=OrderedDict)
    versions: OrderedDict[str, Version] = field(default_factory=OrderedDict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def ask(self, task: str, **arguments: Any) -> Any:
        """Have a light task done, and return its result."""
        return await self.readers.call(task, arguments, self.settings.light_seconds)

    def later(self, work: Any) -> None:
        """Run a coroutine in the background."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def add_song(self, song: Song) -> None:
        """Keep a song; remove the least recently used one if there are too many."""
        _keep(self.songs, song, self.settings.songs)

    def add_version(self, version: Version) -> None:
        """Keep a version, likewise."""
        _keep(self.versions, version, self.settings.versions)


def _keep(kept: OrderedDict[str, Kept], one: Kept, most: int) -> None:
    """Keep one more; remove the least recently used ones if there are too many."""
    kept[one.id] = one
    while len(kept) > most:
        shutil.rmtree(kept.popitem(last=False)[1].folder, ignore_errors=True)


def state_of(request: Request) -> State:
    """Return what the server has."""
    found: State = request.app.state.serve
    return found


def song_of(request: Request, name: str) -> Song:
    """Return a song by its id."""
    lost = "that song isn't kept here any more; give it again."
    return _used(state_of(request).songs, name, lost)


def version_of(request: Request, name: str) -> Version:
    """Return a version by its id."""
    lost = "that version isn't kept here any more; make it again."
    return _used(state_of(request).versions, name, lost)


def _used(kept: OrderedDict[str, Kept], name: str, lost: str) -> Kept:
    """Return a kept song or version, and mark it as the one used last.

    ``lost`` is the sentence for one that isn't kept.
    """
    if name not in kept:
        raise HTTPException(404, lost)
    kept.move_to_end(name)
    return kept[name]


def job_of(request: Request) -> Job:
    """Return the job of a path."""
    found = state_of(request).jobs.all.get(request.path_params["id"])
    if found is None:
        raise HTTPException(404, "there is no such job, or it ended long ago.")
    return found


async def body_of(request: Request) -> dict[str, Any]:
    """Read the JSON object of a request."""
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise HTTPException(415, "send a JSON object, as application/json.")
    async with asyncio.timeout(BODY_SECONDS):
        data = await request.body()
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise InputError("that isn't JSON.") from None
    if not isinstance(found, dict):
        raise InputError("send a JSON object.")
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InputError("there is half a character in it (a lone surrogate).") from None
    return found
