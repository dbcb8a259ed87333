"""Songs: received, read, read again, shown, heard."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import shutil
from pathlib import Path
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from styletransfer.errors import InputError
from styletransfer.serve.routes.pages import layout_of, page_of
from styletransfer.serve.state import BODY_SECONDS, Song, State, body_of, song_of, state_of
from styletransfer.serve.trust import safe_name, shown_name

PLAYED_NOTES = 30_000
"""The most notes that may be played in."""


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
            song.name, song.given = await _song_in(await body_of(request), song.folder)
        await _read(state, song)
    except BaseException:
        shutil.rmtree(song.folder, ignore_errors=True)
        raise
    state.add_song(song)
    return JSONResponse(song.answer(), 201)


async def _uploaded(request: Request, folder: Path) -> tuple[str, dict[str, Any]]:
    """Store an uploaded song, and return its name and where it is."""
    from styletransfer.formats.read import SONG_SUFFIXES

    async with (
        asyncio.timeout(BODY_SECONDS),
        request.form(max_files=1, max_fields=4) as form,
    ):
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            raise InputError("give the song in the field `file`.")
        name = shown_name(upload.filename)
        suffix = Path(name).suffix.lower()
        data = await upload.read()
    if suffix not in SONG_SUFFIXES:
        known = ", ".join(sorted(SONG_SUFFIXES))
        if data[:4] != b"MThd":
            raise InputError(f"{name}: give a file of music, which ends in one of {known}.")
        suffix = ".mid"
    (folder / f"song{suffix}").write_bytes(data)
    return Path(name).stem or "song", {"file": f"song{suffix}"}


async def _song_in(body: dict[str, Any], folder: Path) -> tuple[str, dict[str, Any]]:
    """Return the name of a song in a JSON object, and how it is given."""
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
            raise InputError(
                f"there is no such example; the examples are {', '.join(sorted(EXAMPLES))}."
            )
        return given, {"example": given}
    if kind == "abc":
        (folder / "song.abc").write_text(given, encoding="utf-8")
        title = re.search(r"^T:(.*)$", given, re.MULTILINE)
        return shown_name(title[1] if title and title[1].strip() else "tune"), {"file": "song.abc"}
    metre, tempo = body.get("metre"), body.get("tempo")
    if not isinstance(metre, str | None) or not isinstance(tempo, int | float | None):
        raise InputError("`metre` is a text such as 3/4, `tempo` a number of beats per minute.")
    return "chords", {
        "chords": await asyncio.to_thread(_checked, given),
        "metre": metre,
        "tempo": tempo,
    }


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


def _checked(line: str) -> str:
    from styletransfer.serve.chords import line_of_chords  # brings numpy: not at the start

    return line_of_chords(line)


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
    """Read a song again, with another melody or transposed."""
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
    """Answer with a song's pages: their number, one of them, or the times of notes."""
    song, state = song_of(request, request.path_params["id"]), state_of(request)
    if "song" not in song.asked:
        raise InputError("chords by themselves have no pages; arrange them.")
    track, layout = song.melody_track, layout_of(request)
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
    return page_of(request, song.folder / f"pages-{layout}-{mark}", count)
