"""The server: its routes and their answers. What takes long is done elsewhere, see
:mod:`styletransfer.serve.workers`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
import shutil
import socket
import tempfile
import threading
import webbrowser
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from styletransfer.errors import InputError
from styletransfer.files import write_bytes
from styletransfer.serve.jobs import FullError, Job, Jobs, sentence
from styletransfer.serve.openapi import document
from styletransfer.serve.settings import (
    ARRANGEMENT,
    LIMITS,
    MEGABYTE,
    TIMES,
    VERSION,
    Settings,
    option_table,
)
from styletransfer.serve.trust import HEADERS, LOCAL, TooLargeError, Trusted, safe_name, shown_name
from styletransfer.serve.workers import Pool, Worker, WorkerLostError

PAGE = Path(__file__).parent / "page"
MEDIA = {
    "mid": "audio/midi",
    "musicxml": "application/vnd.recordare.musicxml+xml",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "json": "application/json",
    "png": "image/png",
}
"""The kinds of files of a version."""
BODY_SECONDS = 120.0
"""In which the body of a request must have come."""
HEARTBEAT = 15
"""Seconds of silence after which a stream of events shows that it lives."""
MOST_CONNECTIONS = 256
"""At a time; more are answered with 503."""
PLAYED_NOTES = 30_000
"""Notes that may be played in."""


@dataclass
class Song:
    """A song that was given: where it lies, what it is, and how it is read."""

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
        """The song object of the API."""
        own = {"id": self.id, "name": self.name}
        set_to = {"melody_track": self.melody_track, "transpose": self.transpose}
        return own | {key: value for key, value in self.read.items() if key != "request"} | set_to


@dataclass
class Version:
    """An arrangement that is kept: where it lies, and what it came from.

    ``asked``: what the request for its song names; ``source``: what the file that it was made of is
    called where it is taken away.
    """

    id: str
    folder: Path
    song: str
    name: str
    style: str
    asked: dict[str, Any]
    source: str

    def read(self) -> dict[str, Any]:
        """The version object of the API."""
        text = (self.folder / VERSION).read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text)
        return found

    def called(self, kind: str) -> str:
        """What its file of a kind is called where it is taken away."""
        style = re.sub("[:,]", "-", self.style)
        return f"{safe_name(self.name)}-{safe_name(style)}.{kind}"


@dataclass
class State:
    """Everything that a running server has; it is gone when it ends."""

    settings: Settings
    folder: Path
    jobs: Jobs
    readers: Pool
    songs: OrderedDict[str, Song] = field(default_factory=OrderedDict)
    versions: OrderedDict[str, Version] = field(default_factory=OrderedDict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def ask(self, task: str, **arguments: Any) -> Any:
        """Have a light task done."""
        return await self.readers.call(task, arguments, self.settings.light_seconds)

    def later(self, work: Any) -> None:
        """Run a coroutine beside what runs."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def add_song(self, song: Song) -> None:
        """Keep a song, and remove the one that was used least lately where there are too many."""
        self.songs[song.id] = song
        while len(self.songs) > self.settings.songs:
            shutil.rmtree(self.songs.popitem(last=False)[1].folder, ignore_errors=True)

    def add_version(self, version: Version) -> None:
        """Keep a version, likewise."""
        self.versions[version.id] = version
        while len(self.versions) > self.settings.versions:
            shutil.rmtree(self.versions.popitem(last=False)[1].folder, ignore_errors=True)


def state_of(request: Request) -> State:
    """What the server has."""
    found: State = request.app.state.serve
    return found


def song_of(request: Request, name: str) -> Song:
    """A song by its id."""
    songs = state_of(request).songs
    if name not in songs:
        raise HTTPException(404, "that song isn't kept here any more; give it again.")
    songs.move_to_end(name)
    return songs[name]


def version_of(request: Request, name: str) -> Version:
    """A version by its id."""
    versions = state_of(request).versions
    if name not in versions:
        raise HTTPException(404, "that version isn't kept here any more; make it again.")
    versions.move_to_end(name)
    return versions[name]


def job_of(request: Request) -> Job:
    """The job of a path."""
    found = state_of(request).jobs.all.get(request.path_params["id"])
    if found is None:
        raise HTTPException(404, "there is no such job, or it was over long ago.")
    return found


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object of a request."""
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


async def api(request: Request) -> Response:
    """Answer with the description of the API."""
    return JSONResponse(document())


async def list_options(request: Request) -> Response:
    """Answer with every option, its default and its limits."""
    return JSONResponse(await asyncio.to_thread(_options, state_of(request).settings))


def _options(settings: Settings) -> dict[str, Any]:
    from styletransfer.serve.showing import available

    limits = {
        "song_bytes": settings.song_bytes,
        "training_bytes": settings.training_bytes,
        "queue": settings.queue,
        "versions": settings.versions,
    }
    return {"options": option_table(), "files": available(), "limits": limits}


async def list_examples(request: Request) -> Response:
    """Answer with the example tunes."""
    from styletransfer.formats.tunes import EXAMPLES

    return JSONResponse([{"name": name, "title": tune.title} for name, tune in EXAMPLES.items()])


async def list_styles(request: Request) -> Response:
    """Answer with the styles."""
    return JSONResponse(await asyncio.to_thread(_styles))


def _styles() -> list[dict[str, Any]]:
    from styletransfer.music.composers import COMPOSERS, display_name
    from styletransfer.styles.find import all_styles

    return [
        {
            "name": style.name,
            "title": display_name(style.name) if style.name in COMPOSERS else None,
            "kind": style.kind,
            "era": style.era,
            "years": None,
            "pieces": style.card.pieces if style.card else None,
            "gain": round(style.card.gain, 4) if style.card and style.card.gain else None,
            "sample": f"/api/styles/{style.name}/sample.wav" if _sample(style) else None,
        }
        for style in all_styles()
    ]


def _sample(style: Any) -> Path | None:
    """The short piece that shows a style."""
    path: Path | None = style.path and style.path / "sample.mid"
    return path if path is not None and path.is_file() else None


async def style_sample(request: Request) -> Response:
    """Answer with a short piece in a style, as sound."""
    from styletransfer.styles.find import all_styles

    name = request.path_params["name"]
    styles = {style.name: style for style in await asyncio.to_thread(all_styles)}
    path = _sample(styles[name]) if name in styles else None
    if path is None:
        raise HTTPException(404, "there is no sample of that style.")
    state = state_of(request)
    target = state.folder / f"sample-{name}-{path.stat().st_mtime_ns}.wav"
    await state.ask("sound", path=str(path), target=str(target))
    return FileResponse(target, media_type="audio/wav")


async def add_song(request: Request) -> Response:
    """Take a song, and answer with what was read."""
    state = state_of(request)
    song = Song(secrets.token_hex(8), state.folder / "songs", "song", {})
    song.folder = state.folder / "songs" / song.id
    song.folder.mkdir()
    try:
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            song.name, song.given = await _uploaded(request, song.folder)
        else:
            song.name, song.given = _song_in(await body_of(request), song.folder)
        await _read(state, song)
    except BaseException:
        shutil.rmtree(song.folder, ignore_errors=True)
        raise
    state.add_song(song)
    return JSONResponse(song.answer(), 201)


async def _uploaded(request: Request, folder: Path) -> tuple[str, dict[str, Any]]:
    """An uploaded song's name, and where it lies."""
    from styletransfer.formats.read import SCORE_SUFFIXES

    async with asyncio.timeout(BODY_SECONDS), request.form(max_files=1, max_fields=4) as form:
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            raise InputError("give the song in the field `file`.")
        name = shown_name(upload.filename)
        suffix = Path(name).suffix.lower()
        data = await upload.read()
    if suffix not in SCORE_SUFFIXES:
        known = ", ".join(sorted(SCORE_SUFFIXES))
        if data[:4] != b"MThd":
            raise InputError(f"{name}: give a file of music, which ends in one of {known}.")
        suffix = ".mid"
    (folder / f"song{suffix}").write_bytes(data)
    return Path(name).stem or "song", {"file": f"song{suffix}"}


def _song_in(body: dict[str, Any], folder: Path) -> tuple[str, dict[str, Any]]:
    """The name of a song in a JSON object, and what it is."""
    from styletransfer.formats.tunes import EXAMPLES

    kinds = [kind for kind in ("example", "abc", "chords", "notes") if kind in body]
    if len(kinds) != 1:
        raise InputError("give one of `example`, `abc`, `chords` and `notes`, or a file.")
    kind, given = kinds[0], body[kinds[0]]
    if kind == "notes":
        _check_played(given)
        return shown_name(str(body.get("name") or "played")), {"notes": given}
    if not isinstance(given, str):
        raise InputError(f"`{kind}` is a text.")
    if kind == "example":
        if given not in EXAMPLES:
            raise InputError(f"there is no such example; they are {', '.join(sorted(EXAMPLES))}.")
        return given, {"example": given}
    if kind == "abc":
        (folder / "song.abc").write_text(given, encoding="utf-8")
        title = re.search(r"^T:(.*)$", given, re.MULTILINE)
        return shown_name(title[1] if title and title[1].strip() else "tune"), {"file": "song.abc"}
    metre, tempo = body.get("metre"), body.get("tempo")
    if not isinstance(metre, str | None) or not isinstance(tempo, int | float | None):
        raise InputError("`metre` is a text as 3/4, `tempo` a number of beats a minute.")
    return "chords", {"chords": _line(given), "metre": metre, "tempo": tempo}


def _check_played(given: Any) -> None:
    """Refuse notes that can't have been played in."""
    numbers = (int, float)
    if not isinstance(given, list) or not 0 < len(given) <= PLAYED_NOTES:
        raise InputError(f"`notes` is a list of 1 to {PLAYED_NOTES:,} notes.")
    for row in given:
        fits = isinstance(row, list) and len(row) == 4
        if not fits or not all(type(value) in numbers for value in row):
            raise InputError("a note is [second, seconds, pitch, velocity].")
        begin, length, pitch, velocity = row
        in_time = 0 <= begin < 1e5 and 0 < length < 1e4
        if not in_time or not 0 <= pitch <= 127 or not 1 <= velocity <= 127:
            raise InputError("a note lies beyond what can be played.")


def _line(chords: str) -> str:
    """Chords from outside, which are never a file's name."""
    from styletransfer.music.chord_names import is_bar

    most = LIMITS["chords"]["maxLength"]
    if len(chords) > most:
        raise InputError(f"the chords have {len(chords):,} characters; give {most:,} at most.")
    if chords in ("new", "keep") or "|" in chords or "\n" in chords or is_bar(chords):
        return chords
    raise InputError("those aren't chords; write them bar by bar, as 'F C7 | F'.")


async def _read(state: State, song: Song) -> None:
    given = song.given | {"name": song.name}
    song.read = await state.ask(
        "song",
        folder=str(song.folder),
        song=given,
        melody_track=song.melody_track,
        transpose=song.transpose,
    )


async def get_song(request: Request) -> Response:
    """Answer with a song as it was read."""
    return JSONResponse(song_of(request, request.path_params["id"]).answer())


async def change_song(request: Request) -> Response:
    """Read a song again: another melody, or moved."""
    song, body = song_of(request, request.path_params["id"]), await body_of(request)
    track, semitones = (
        body.get("melody_track", song.melody_track),
        body.get("transpose", song.transpose),
    )
    if type(track) is int:
        track = str(track)
    if not isinstance(track, str | None) or type(semitones) is not int:
        raise InputError("`melody_track` is a number or a name, `transpose` whole semitones.")
    if not -24 <= semitones <= 24:
        raise InputError("`transpose` goes from -24 to 24 semitones.")
    changed = Song(song.id, song.folder, song.name, song.given, track, semitones)
    await _read(state_of(request), changed)
    song.melody_track, song.transpose, song.read = track, semitones, changed.read
    return JSONResponse(song.answer())


async def song_file(request: Request) -> Response:
    """Answer with a song's file, as it is arranged."""
    song = song_of(request, request.path_params["id"])
    path = Path(song.asked.get("song", ""))
    if not path.is_relative_to(song.folder):
        raise HTTPException(404, "that song has no file of its own.")
    return FileResponse(path, filename=safe_name(song.name) + path.suffix)


async def song_sound(request: Request) -> Response:
    """Answer with a song as sound."""
    song, state = song_of(request, request.path_params["id"]), state_of(request)
    if "song" not in song.asked:
        raise InputError("chords by themselves make no sound; arrange them.")
    target = song.folder / f"sound-{song.transpose}.wav"
    await state.ask("sound", path="", target=str(target), song=song.asked["song"])
    return FileResponse(target, media_type="audio/wav")


async def song_pages(request: Request) -> Response:
    """Answer with the pages of a song: their number, one of them, or the times of its notes."""
    song, state = song_of(request, request.path_params["id"]), state_of(request)
    if "song" not in song.asked:
        raise InputError("chords by themselves have no pages; arrange them.")
    track, layout = song.melody_track, _layout(request)
    mark = hashlib.sha256(f"{song.transpose} {track}".encode()).hexdigest()[:16]
    count = await state.ask(
        "song_pages",
        folder=str(song.folder),
        song=song.asked["song"],
        track=track,
        title=song.name,
        layout=layout,
        mark=mark,
    )
    return _page(request, song.folder / f"pages-{layout}-{mark}", count)


async def version_pages(request: Request) -> Response:
    """Answer with the pages of a version, likewise."""
    version, layout = version_of(request, request.path_params["id"]), _layout(request)
    count = await state_of(request).ask("version_pages", folder=str(version.folder), layout=layout)
    return _page(request, version.folder / f"pages-{layout}", count)


def _layout(request: Request) -> str:
    layout = request.query_params.get("layout", "wide")
    if layout not in ("wide", "narrow"):
        raise InputError("`layout` is wide or narrow.")
    return layout


def _page(request: Request, folder: Path, count: int) -> Response:
    if "n" in request.path_params:
        number = request.path_params["n"]
        if not 1 <= number <= count:
            raise HTTPException(404, f"there are {count} pages.")
        return FileResponse(folder / f"{number}.svg", media_type="image/svg+xml")
    if request.url.path.endswith("/timemap"):
        return FileResponse(folder / TIMES, media_type="application/json")
    return JSONResponse({"pages": count})


async def add_job(request: Request) -> Response:
    """Queue an arrangement, or some bars of one again."""
    state, body = state_of(request), await body_of(request)
    arguments = dict(body)
    if "version" in arguments:
        job = await _again(request, state, arguments)
    else:
        job = await _new(request, state, arguments)
    state.jobs.add(job)
    return JSONResponse({"job": job.id}, 202)


async def _new(request: Request, state: State, asked: dict[str, Any]) -> Job:
    """The job that arranges a song."""
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
    """The job that makes some bars of a version again."""
    version = version_of(request, _text(asked, "version"))
    _text(asked, "bars", keep=True)
    style = _text(asked, "style") if "style" in asked else version.style
    named = {"song": str(version.folder / ARRANGEMENT)}
    return await _arrangement(state, version.song, version.name, version, named, style, asked)


def _text(asked: dict[str, Any], name: str, *, keep: bool = False) -> str:
    """A text that must be given."""
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
    return Job(secrets.token_hex(8), "arrange", arguments, finish)


def _check(named: dict[str, Any], style: str, options: dict[str, Any]) -> None:
    """Refuse at once what a request can't be."""
    from styletransfer.styles.find import all_styles
    from styletransfer.transfer.request import request_of

    known = {one.name for one in all_styles()}
    for part in filter(None, map(str.strip, style.split(","))):
        name = part if part in known else part.rpartition(":")[0].strip()
        if name not in known:
            raise InputError(f"{part[:60]}: there is no such style; choose one of the list.")
    for key, value in options.items():
        if key not in LIMITS:
            raise InputError(f"{key[:60]}: there is no such option.")
        low, high = LIMITS[key].get("minimum"), LIMITS[key].get("maximum")
        number = type(value) in (int, float)
        if high is not None and number and not low <= value <= high:
            raise InputError(f"{key} {value}: give a number from {low} to {high}.")
    if isinstance(options.get("chords"), str):
        _line(options["chords"])
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


async def get_version(request: Request) -> Response:
    """Answer with a version."""
    version = version_of(request, request.path_params["id"])
    return JSONResponse(await asyncio.to_thread(version.read))


async def version_file(request: Request) -> Response:
    """Answer with a version as a file."""
    kind = request.query_params.get("type", "mid")
    if kind not in MEDIA:
        raise InputError(f"`type` is one of {', '.join(MEDIA)}.")
    return await _file(request, kind, attached=True)


async def version_sound(request: Request) -> Response:
    """Answer with a version as sound."""
    return await _file(request, "wav", attached=False)


async def _file(request: Request, kind: str, *, attached: bool) -> Response:
    version = version_of(request, request.path_params["id"])
    name = await state_of(request).ask("export", folder=str(version.folder), kind=kind)
    path, called = version.folder / name, version.called(kind)
    if kind == "json":
        path = await asyncio.to_thread(_sidecar, version, path)
    return FileResponse(path, media_type=MEDIA[kind], filename=called if attached else None)


def _sidecar(version: Version, path: Path) -> Path:
    """A sidecar to take away: the files are beside it, under the names that they are saved by."""
    target = path.with_name("export.json")
    data = json.loads(path.read_text(encoding="utf-8"))
    if Path(data["settings"]["song"]).is_absolute():
        data["settings"]["song"] = version.source
    for output in data["outputs"]:
        output["file"] = version.called("mid")
    write_bytes(target, json.dumps(data, ensure_ascii=False, indent=1).encode() + b"\n", True)
    return target


async def assessment(request: Request) -> Response:
    """Answer with whose music a version sounds like, and what it kept."""
    version = version_of(request, request.path_params["id"])
    report = await state_of(request).ask(
        "assess",
        folder=str(version.folder),
        song=version.asked.get("song"),
        style=version.style,
    )
    return JSONResponse(report)


async def soundfont(request: Request) -> Response:
    """Answer with a soundfont to play with."""
    from styletransfer.outputs.sound import find_soundfont

    path = await asyncio.to_thread(find_soundfont)
    headers = {"cache-control": "private, max-age=86400"}
    return FileResponse(path, media_type="audio/x-soundfont", headers=headers)


async def add_style(request: Request) -> Response:
    """Queue the training of a style from uploaded pieces."""
    state = state_of(request)
    folder = state.folder / "training" / secrets.token_hex(8)
    folder.mkdir(parents=True)
    try:
        async with (
            asyncio.timeout(BODY_SECONDS * 5),
            request.form(max_files=2_000, max_fields=8) as form,
        ):
            name, era = str(form.get("name") or ""), str(form.get("era") or "unknown")
            minutes = _minutes(form.get("minutes"))
            files = [item for _, item in form.multi_items() if isinstance(item, UploadFile)]
            source = await _pieces(files, folder)
        await asyncio.to_thread(_check_style, name, era)
        arguments = {"source": str(source), "name": name, "era": era, "minutes": minutes}
        job = Job(
            secrets.token_hex(8),
            "train",
            arguments,
            lambda result: {"version": None, "style": result["style"]},
            cancelled=lambda: shutil.rmtree(folder, ignore_errors=True),
        )
        state.jobs.add(job)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise

    return JSONResponse({"job": job.id}, 202)


def _minutes(given: Any) -> float:
    try:
        minutes = float(given or 10)
    except (TypeError, ValueError):
        minutes = 0.0
    if not 0 < minutes <= 600:
        raise InputError("`minutes` is a number above 0, at most 600.")
    return minutes


def _check_style(name: str, era: str) -> None:
    from styletransfer.folders import home
    from styletransfer.styles.find import check_name
    from styletransfer.tokens.controls import ERAS, UNKNOWN

    check_name(name)
    if era not in (*ERAS, UNKNOWN):
        raise InputError(f"`era` is one of {', '.join(ERAS)}, or {UNKNOWN}.")
    if (home() / name).exists():
        raise InputError(f"{name}: there is a style of that name; choose another.")


async def _pieces(files: list[UploadFile], folder: Path) -> Path:
    """Uploaded pieces in a folder of ours, under numbers, or an archive of them."""
    from styletransfer.formats.read import SCORE_SUFFIXES

    suffixes = [Path(shown_name(upload.filename)).suffix.lower() for upload in files]
    if suffixes == [".zip"]:
        source = folder / "pieces.zip"
        await asyncio.to_thread(_copy, files[0], source)
        return source
    source = folder / "pieces"
    source.mkdir()
    for number, (upload, suffix) in enumerate(zip(files, suffixes, strict=True), 1):
        if suffix in SCORE_SUFFIXES:
            stem = safe_name(Path(shown_name(upload.filename)).stem, "piece")
            await asyncio.to_thread(_copy, upload, source / f"{number:04}-{stem}{suffix}")
    if not any(source.iterdir()):
        known = ", ".join(sorted(SCORE_SUFFIXES))
        raise InputError(f"give pieces to learn from: files in {known}, or one .zip of them.")
    return source


def _copy(upload: UploadFile, target: Path) -> None:
    with target.open("wb") as file:
        shutil.copyfileobj(upload.file, file)


def failure(status: int) -> Callable[[Request, Exception], Response]:
    """What answers an error: one sentence."""

    def answer(request: Request, error: Exception) -> Response:
        text = error.detail if isinstance(error, HTTPException) else str(error)
        code = error.status_code if isinstance(error, HTTPException) else status
        headers = {"retry-after": "30"} if code == 503 else None
        return JSONResponse({"error": sentence(text or "that took too long.")}, code, headers)

    return answer


def gone(request: Request, error: Exception) -> Response:
    """Answer where something was removed while it was asked for."""
    return JSONResponse({"error": "that isn't kept here any more; make it again."}, 404)


def fault(request: Request, error: Exception) -> Response:
    """Answer where the program is at fault; what happened stands in its log."""
    kind = type(error).__name__
    told = f"a fault of this program ({kind}); please report it."
    return JSONResponse({"error": told}, 500, HEADERS)


ROUTES = [
    Route("/api", api),
    Route("/api/options", list_options),
    Route("/api/examples", list_examples),
    Route("/api/styles", list_styles, methods=["GET"]),
    Route("/api/styles", add_style, methods=["POST"]),
    Route("/api/styles/{name}/sample.wav", style_sample),
    Route("/api/songs", add_song, methods=["POST"]),
    Route("/api/songs/{id}", get_song, methods=["GET"]),
    Route("/api/songs/{id}", change_song, methods=["POST"]),
    Route("/api/songs/{id}/file", song_file),
    Route("/api/songs/{id}/sound.wav", song_sound),
    Route("/api/songs/{id}/pages", song_pages),
    Route("/api/songs/{id}/pages/{n:int}.svg", song_pages),
    Route("/api/songs/{id}/timemap", song_pages),
    Route("/api/jobs", add_job, methods=["POST"]),
    Route("/api/jobs/{id}/events", job_events),
    Route("/api/jobs/{id}/stop", stop_job, methods=["POST"]),
    Route("/api/versions/{id}", get_version),
    Route("/api/versions/{id}/file", version_file),
    Route("/api/versions/{id}/sound.wav", version_sound),
    Route("/api/versions/{id}/pages", version_pages),
    Route("/api/versions/{id}/pages/{n:int}.svg", version_pages),
    Route("/api/versions/{id}/timemap", version_pages),
    Route("/api/versions/{id}/assessment", assessment),
    Route("/api/soundfont", soundfont),
]


def create_app(settings: Settings | None = None) -> Starlette:
    """The application, with its workers while it runs."""
    settings = settings or Settings()

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        folder = Path(tempfile.mkdtemp(prefix="styletransfer-"))
        for name in ("songs", "versions", "uploads", "training"):
            (folder / name).mkdir()
        before, tempfile.tempdir = tempfile.tempdir, str(folder / "uploads")
        heavy = Worker("heavy", folder, settings.model)
        readers = [Worker("light", folder, settings.model) for _ in range(settings.readers)]
        jobs = Jobs(heavy, settings.queue)
        state = app.state.serve = State(settings, folder, jobs, Pool(readers))
        running = asyncio.create_task(jobs.run())
        try:
            for reader in readers:
                state.later(_begin(reader))
            yield
        finally:
            for task in (running, *state.tasks):
                task.cancel()
            await asyncio.gather(running, *state.tasks, return_exceptions=True)
            await asyncio.gather(*(one.end() for one in (heavy, *readers)))
            tempfile.tempdir = before
            shutil.rmtree(folder, ignore_errors=True)

    largest = (
        ("/", MEGABYTE),
        ("/api/songs", settings.song_bytes + MEGABYTE // 16),
        ("/api/styles", settings.training_bytes + MEGABYTE),
    )
    trusted = Middleware(
        Trusted,
        public=settings.public,
        anywhere=settings.host not in LOCAL,
        largest=largest,
    )
    return Starlette(
        routes=[*ROUTES, Mount("/", Page(directory=PAGE, html=True, check_dir=False))],
        middleware=[trusted],
        exception_handlers={
            InputError: failure(400),
            HTTPException: failure(400),
            TooLargeError: failure(413),
            FullError: failure(503),
            WorkerLostError: failure(500),
            TimeoutError: failure(408),
            ClientDisconnect: failure(400),
            FileNotFoundError: gone,
            Exception: fault,
        },
        lifespan=life,
    )


async def _begin(worker: Worker) -> None:
    """Start a worker before it is needed; where that fails, the first task says so."""
    with suppress(OSError):
        await worker.start()


class Page(StaticFiles):
    """The page's own files, asked for again each time and sent where they changed."""

    def file_response(self, *arguments: Any, **named: Any) -> Response:
        """As that of :class:`StaticFiles`."""
        response = super().file_response(*arguments, **named)
        response.headers["cache-control"] = "no-cache"
        return response


def serve(settings: Settings, *, browse: bool = False) -> None:
    """Serve until Ctrl-C.

    Args:
        settings: how.
        browse: whether a browser is opened.

    Raises:
        InputError: where it can't listen there.
    """
    import uvicorn

    if not 0 <= settings.port <= 65_535:
        raise InputError(f"--port {settings.port}: give a number from 0 to 65535.")
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listening = socket.create_server((settings.host, settings.port), family=family, backlog=256)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(
            f"--port {settings.port}: it can't listen there ({reason}); give another."
        ) from None
    port = listening.getsockname()[1]
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{shown}:{port}"
    print(f"{url} (Ctrl-C ends it)", flush=True)
    if browse:
        threading.Timer(0.5, webbrowser.open, [url]).start()
    config = uvicorn.Config(
        create_app(settings),
        log_level="warning",
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=2,
        proxy_headers=False,
    )
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
