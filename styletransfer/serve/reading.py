"""Songs as the page shows them: what was read, and its probable melody."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from styletransfer.errors import InputError
from styletransfer.formats.midi_out import write_midi
from styletransfer.formats.read import read_song
from styletransfer.music.chord_names import chords_of_symbols, line_of
from styletransfer.music.key import estimate_key
from styletransfer.music.melody import marked
from styletransfer.music.notes import Piece, TempoMap, beat_of, make_notes
from styletransfer.music.pick_up import with_pick_up
from styletransfer.serve.chords import simplified
from styletransfer.transfer.inspection import describe
from styletransfer.transfer.planning import chord_song, chords_alone, harmony_rows, key_of
from styletransfer.transfer.request import Request

if TYPE_CHECKING:
    from styletransfer.serve.call import Call

MOST_NOTES, MOST_SECONDS = 30_000, 1_800
"""The most notes and seconds of a song that is arranged here."""
QUARTER = 0.5
"""Seconds of a quarter in what was played in."""


def read_song_file(
    call: Call,
    folder: str,
    song: dict[str, Any],
    melody_track: str | None = None,
    transpose: int = 0,
) -> dict[str, Any]:
    """Read a song, as it was given or moved by semitones.

    Args:
        call: the task.
        folder: the song's own.
        song: ``file`` (in the folder), ``example``, ``notes`` that were played in, or ``chords``
            with ``metre`` and ``tempo``; and ``name``, by which messages call it.
        melody_track: number or name of the part with the melody.
        transpose: semitones.

    Returns:
        The song object of the API without its id, and ``request``: how it is requested.

    Raises:
        InputError: where it can't be read, is too long, or has no such part.
    """
    path = Path(folder)
    try:
        asked = _written(path, song)
        if "chords" in asked:
            return _of_chords(asked)
        source = with_pick_up(read_song(asked["song"], silent=True))
        _check_size(source)
        if transpose:
            asked = _moved(source, path / f"transposed-{transpose}.mid", transpose)
            source = with_pick_up(read_song(asked["song"], source.feel, silent=True))
        found = song_object(source, melody_track)
        return found | {"request": asked}
    except InputError as error:
        told = re.sub(rf"{re.escape(str(path))}/[\w.-]+", lambda _: song["name"], str(error))
        raise InputError(told) from None


def _written(folder: Path, song: dict[str, Any]) -> dict[str, Any]:
    """Return what a request for the song names.

    What was played in is written as a MIDI file.
    """
    if "example" in song:
        return {"song": song["example"]}
    if "chords" in song:
        return {key: song[key] for key in ("chords", "metre", "tempo") if song.get(key) is not None}
    if "notes" in song:
        rows = np.array(song["notes"], float).reshape(-1, 4)
        onset, length, pitch, velocity = rows.T
        notes = make_notes(
            onset / QUARTER, length / QUARTER, pitch.astype(int), velocity.astype(int)
        )
        piece = Piece(notes, "performance", tempo=TempoMap.steady(QUARTER))
        write_midi(piece, folder / "song.mid", force=True)
        return {"song": str(folder / "song.mid")}
    return {"song": str(folder / song["file"])}


def _check_size(piece: Piece) -> None:
    if len(piece.notes) > MOST_NOTES:
        raise InputError(
            f"it has {len(piece.notes):,} notes, and at most {MOST_NOTES:,} are arranged here; "
            "cut it into shorter pieces."
        )
    _check_length(piece.length_seconds, "it lasts", "cut it into shorter pieces")


def _check_length(seconds: float, what: str, remedy: str) -> None:
    if seconds > MOST_SECONDS:
        raise InputError(
            f"{what} {seconds / 60:.0f} minutes, and at most {MOST_SECONDS // 60} are arranged "
            f"here; {remedy}."
        )


def _moved(source: Piece, path: Path, semitones: int) -> dict[str, Any]:
    """Move a song by semitones, as a file, with its chord symbols as a line."""
    pitch = source.notes["pitch"].astype(int) + semitones
    if len(pitch) and not 0 <= pitch.min() <= pitch.max() <= 127:
        raise InputError(f"moved by {semitones} semitones, it leaves the range of MIDI.")
    notes = source.notes.copy()
    notes["pitch"] = pitch
    keys = tuple(
        (at, (fifths + 7 * semitones + 5) % 12 - 5, minor)
        for at, fifths, minor in source.key_signatures
    )
    piece = replace(source, notes=notes, key_signatures=keys, chords=())
    write_midi(piece, path, force=True)
    asked: dict[str, Any] = {"song": str(path)}
    if source.chords and len(source.bars):
        table = chords_of_symbols(source.chords, source.bars)
        for name in ("root", "bass"):
            table[name] = np.where(table[name] < 0, table[name], (table[name] + semitones) % 12)
        asked["kept"] = " | ".join(line_of(table, source.bars, estimate_key(notes)))
    return asked


def _of_chords(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the song object of chords by themselves."""
    request = Request("", "baroque", **asked)
    source = chord_song(request)
    last = source.bars[-1]
    seconds = (last["start"] + last["length"]) * 60 / source.tempo.quarters_per_minute()
    _check_length(seconds, "the chords last", "give fewer")
    table = chords_alone(request, source)
    rows = harmony_rows(table, source.bars, key_of(source, table), 1)
    found = song_object(source, None, key=key_of(source, table).name)
    simpler = simplified(asked["chords"])
    return found | {"chords": chord_rows(rows, source), "simplified": simpler, "request": asked}


def song_object(source: Piece, track: str | None, key: str | None = None) -> dict[str, Any]:
    """Return the song object of the API, without its id, name and request."""
    bare = not len(source.notes)
    report, piece = ({}, source) if bare else describe(source, track)
    if bare and key is None:
        table = chords_alone(Request("x.abc", "baroque"), source)
        report["harmony"] = harmony_rows(
            table, source.bars, key_of(source, table), first_bar(source)
        )
        key = key_of(source, table).name

    melody = piece.melody
    parts = np.bincount(source.notes["part"], minlength=len(source.parts)).tolist()
    most = int(np.bincount(melody["part"]).argmax()) + 1 if len(melody) else None
    metres = dict.fromkeys(f"{bar['numerator']}/{bar['denominator']}" for bar in source.bars)
    return {
        "feel": source.feel,
        "key": report.get("key", key),
        "metre": ", ".join(metres) or None,
        "tempo": round(source.tempo.quarters_per_minute(), 2),
        "seconds": round(source.length_seconds, 3),
        "first_bar": first_bar(source),
        "bars": bar_rows(source),
        "parts": [
            {"number": number, "name": name, "notes": notes}
            for number, (name, notes) in enumerate(zip(source.parts, parts, strict=True), 1)
        ],
        "melody_part": most,
        "melody": {"notes": len(melody), "coverage": report.get("melody_share", 0.0)},
        "notes": note_rows(piece),
        "pedals": pedal_rows(source),
        "chords": chord_rows(report.get("harmony", []), source),
        "symbols": len(source.chords),
        "remarks": report.get("remarks", list(source.remarks)),
        "simplified": [],
    }


def first_bar(piece: Piece) -> int:
    """Return the number of the first bar: 0 for a pick-up."""
    return int(not (len(piece.bars) and piece.bars["start"][0] < 0))


def bar_rows(piece: Piece) -> list[list[float]]:
    """Return bars in the API's form: quarter, quarters, metre, second."""
    seconds = piece.seconds_at(piece.bars["start"])
    return [
        [round(float(start), 4), round(float(length), 4), int(top), int(bottom), round(second, 4)]
        for (start, length, top, bottom), second in zip(
            piece.bars.tolist(), seconds.tolist(), strict=True
        )
    ]


def note_rows(piece: Piece) -> list[list[float]]:
    """Return notes in the API's form.

    A row is: second, its end, pitch, velocity, part, melody, quarter, quarters.

    Parts count from 1.
    """
    begin = piece.onset_seconds
    end = begin + piece.duration_seconds
    return [
        [round(a, 4), round(b, 4), pitch, velocity, part + 1, int(sings), round(on, 4), round(d, 4)]
        for a, b, (on, d, pitch, velocity, part, sings) in zip(
            begin.tolist(), end.tolist(), piece.notes.tolist(), strict=True
        )
    ]


def pedal_rows(piece: Piece) -> list[list[float]]:
    """Return the pedal in the API's form: second, new value of controller 64."""
    moves = [(at, value) for pair in piece.pedals for at, value in zip(pair, (127, 0), strict=True)]
    return [[round(float(piece.seconds_at(at)), 4), value] for at, value in moves]


def chord_rows(rows: list[dict[str, Any]], piece: Piece) -> list[dict[str, Any]]:
    """Return chords in the API's form.

    A row is: bar, beat from 1, quarter from the beginning of the bar, symbol.
    """
    first, found = first_bar(piece), []
    for row in rows:
        bar = piece.bars[row["bar"] - first]
        beat = beat_of(int(bar["numerator"]), int(bar["denominator"]))
        found += [
            {
                "bar": row["bar"],
                "beat": round(1 + chord["quarter"] / beat, 3),
                "quarter": chord["quarter"],
                "symbol": chord["symbol"],
            }
            for chord in row["chords"]
        ]
    return found


def marked_song(path: str, track: str | None) -> Piece:
    """Read a song, and mark its melody."""
    return marked(with_pick_up(read_song(path)), track)
