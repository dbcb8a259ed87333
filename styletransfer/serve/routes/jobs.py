"""Jobs: arrangements, rewritten bars, and what happens to them."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from styletransfer.errors import InputError
from styletransfer.serve.jobs import Job
from styletransfer.serve.settings import ARRANGEMENT, LIMITS
from styletransfer.serve.state import State, Version, body_of, job_of, song_of, state_of, version_of
from styletransfer.serve.trust import safe_name

HEARTBEAT = 15
"""Seconds of silence after which a stream of events shows that it is alive."""


async def add_job(request: Request) -> Response:
    """Queue an arrangement, or a job that rewrites bars of one."""
    state, body = state_of(request), await body_of(request)
    arguments = dict(body)
    if "version" in arguments:
        job = await _again(request, state, arguments)
    else:
        job = await _new(request, state, arguments)
    state.jobs.add(job)
    simpler = await asyncio.to_thread(_simpler, body.get("chords"))
    return JSONResponse({"job": job.id, "simplified": simpler}, 202)


def _simpler(chords: Any) -> list[dict[str, str]]:
    from styletransfer.serve.chords import simplified

    return simplified(chords) if isinstance(chords, str) else []


async def _new(request: Request, state: State, asked: dict[str, Any]) -> Job:
    """Make the job that arranges a song."""
    song = song_of(request, _text(asked, "song"))
    style = _text(asked, "style")
    named = {key: song.asked[key] for key in song.asked if key != "kept"}
    if "chords" in named:
        for name in ("chords", "metre", "tempo", "melody_track"):
            asked.pop(name, None)
    elif asked.get("chords") == "keep" and "kept" in song.asked:
        asked["chords"] = song.asked["kept"]
    if song.melody_track is not None:
        asked.setdefault("melody_track", song.melody_track)
    if asked.pop("bars", None) is not None:
        raise InputError("`bars` are those of a version; give `version` in place of `song`.")
    return await _arrangement(state, song.id, song.name, None, named, style, asked)


async def _again(request: Request, state: State, asked: dict[str, Any]) -> Job:
    """Make the job that rewrites some bars of a version."""
    version = version_of(request, _text(asked, "version"))
    _text(asked, "bars", keep=True)
    style = _text(asked, "style") if "style" in asked else version.style
    named = {"song": str(version.folder / ARRANGEMENT)}
    return await _arrangement(state, version.song, version.name, version, named, style, asked)


def _text(asked: dict[str, Any], name: str, *, keep: bool = False) -> str:
    """Return a text that must be given."""
    value = asked.get(name) if keep else asked.pop(name, None)
    if not isinstance(value, str):
        raise InputError(f"give `{name}`, a text.")
    return value


async def _arrangement(
    state: State,
    song: str,
    name: str,
    parent: Version | None,
    named: dict[str, Any],
    style: str,
    options: dict[str, Any],
) -> Job:
    options = {key: value for key, value in options.items() if value is not None}
    style = await asyncio.to_thread(_listed, style)
    await asyncio.to_thread(_check, named, style, options)
    number = secrets.token_hex(8)
    folder = state.folder / "versions" / number
    about = {
        "id": number,
        "parent": parent.id if parent else None,
        "song": song,
        "name": name,
        "options": options,
    }
    asked = named if parent is None else parent.asked

    source = safe_name(name) + Path(named.get("song", "")).suffix
    if parent is not None:
        source = parent.called("mid")

    def finish(result: dict[str, Any]) -> dict[str, Any]:
        state.add_version(Version(number, folder, song, name, style, asked, source))
        return {"version": number}

    arguments = {
        "folder": str(folder),
        "about": about,
        "song": named,
        "style": style,
        "options": options,
    }
    return Job(
        secrets.token_hex(8),
        "arrange",
        arguments,
        finish,
        clean=lambda: shutil.rmtree(folder, ignore_errors=True),
        limit=state.settings.arranging_seconds,
    )


def _listed(style: str) -> str:
    """Write a style or a blend with the names of the list, whatever names were given.

    Raises:
        InputError: where one isn't in the list; a path or an address never is.
    """
    from styletransfer.styles.find import all_styles
    from styletransfer.styles.names import resolved

    known, own = {one.name for one in all_styles()}, []
    for part in filter(None, map(str.strip, style.split(","))):
        name, colon, weight = (part, "", "") if part in known else part.partition(":")
        found = name if name in known else resolved(name, known)
        if found is None:
            raise InputError(f"{part[:60]}: there is no such style; choose one of the list.")
        own.append(f"{found}{colon}{weight}")
    return ",".join(own)


def _check(named: dict[str, Any], style: str, options: dict[str, Any]) -> None:
    """Refuse at once an impossible request."""
    from styletransfer.serve.chords import line_of_chords
    from styletransfer.transfer.request import request_of

    for key, value in options.items():
        if key not in LIMITS:
            raise InputError(f"{key[:60]}: there is no such option.")
        low, high = LIMITS[key].get("minimum"), LIMITS[key].get("maximum")
        number = type(value) in (int, float)
        if high is not None and number and not low <= value <= high:
            raise InputError(f"{key} {value}: give a number from {low} to {high}.")
    if isinstance(options.get("chords"), str):
        line_of_chords(options["chords"])
    request_of(
        named.get("song"), style, None, **{k: v for k, v in named.items() if k != "song"}, **options
    )


async def job_events(request: Request) -> Response:
    """Answer with what happens to a job, as it happens."""
    job, last = job_of(request), request.headers.get("last-event-id", "")
    first = int(last) + 1 if last.isascii() and last.isdigit() and len(last) < 9 else 0
    return StreamingResponse(
        _stream(request, job, first),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _stream(request: Request, job: Job, number: int) -> AsyncIterator[str]:
    jobs, silent = state_of(request).jobs, 0
    job.listeners += 1
    try:
        while True:
            news = job.news
            while number < len(job.events):
                event, data = job.events[number]
                yield f"id: {number}\nevent: {event}\ndata: {json.dumps(data)}\n\n"
                number, silent = number + 1, 0
            if job.over:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), 1)
                continue
            silent += 1
            if await request.is_disconnected():
                return
            if silent % HEARTBEAT == 0:
                yield ": still here\n\n"
    finally:
        job.listeners -= 1
        if not job.running and not job.over:
            state_of(request).later(jobs.left(job))


async def stop_job(request: Request) -> Response:
    """Stop a job."""
    job = job_of(request)
    state_of(request).jobs.stop(job)
    return JSONResponse({"job": job.id}, 202)
