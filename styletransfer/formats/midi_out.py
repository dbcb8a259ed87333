"""Write pieces to MIDI files, byte for byte the same each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from styletransfer.errors import InputError
from styletransfer.files import check_writable, write_bytes
from styletransfer.music.ensemble import ensemble_of
from styletransfer.music.notes import BarTable, NoteTable, Piece
from styletransfer.music.pick_up import with_rest

CHANNELS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15)
"""MIDI channels for parts, in order: all but the tenth, which plays drums."""
KEYBOARDS = range(8)
"""General MIDI programs of instruments with a sustain pedal."""
MAX_DENOMINATOR = 128
MOST_TICKS = 1 << 28
"""The ticks from one event to the next are fewer, by the standard."""
_Event = tuple[int, int, int, bytes]  # tick, rank among the events of that tick, pitch, message


def write_midi(piece: Piece, path: str | Path, *, force: bool = False) -> None:
    """Write a piece as a MIDI file of type 1; see :func:`midi_bytes`.

    Raises:
        InputError: where the file exists (without ``force``) or can't be written.
    """
    check_writable(path, force)
    write_bytes(path, midi_bytes(piece), force)


def midi_bytes(piece: Piece) -> bytes:
    """Write a piece as MIDI of type 1.

    A track of tempos and signatures is followed by one track and channel for each part with notes.

    An arrangement made with ``dataclasses.replace(input_piece, notes=..., parts=...)`` thus keeps
    the input's ticks per quarter, tempo map, bars and keys to the tick, with its ``lead``. The
    programs are those of the ensemble, of other parts 0, piano. The notes are those of
    :func:`as_written`.

    Raises:
        InputError: where a note's time is no number, or is before the piece or beyond what a MIDI
            file can hold.
    """
    tpq = piece.ticks_per_quarter
    if not 1 <= tpq <= 0x7FFF:
        raise ValueError(f"ticks per quarter must lie in 1..32767, not {tpq}")
    _check_times(piece.notes, tpq)

    piece = with_rest(as_written(piece))
    tracks = [_track(_conductor(piece))]
    programs = {part.name: part.program for part in ensemble_of(piece).parts}
    used = [part for part in range(len(piece.parts)) if (piece.notes["part"] == part).any()]
    if len(piece.notes) and not np.isin(piece.notes["part"], used).all():
        raise ValueError("a note belongs to a part that the piece does not name")

    for number, part in enumerate(used):
        rows = piece.notes[piece.notes["part"] == part]
        name, channel = piece.parts[part], CHANNELS[number % len(CHANNELS)]
        program = programs.get(name, 0)
        pedal = _pedal(piece, channel) if program in KEYBOARDS else []
        tracks.append(_track(_part(rows, name, channel, program, tpq) + pedal))
    return (
        b"MThd"
        + b"".join(
            n.to_bytes(size, "big") for n, size in ((6, 4), (1, 2), (len(tracks), 2), (tpq, 2))
        )
        + b"".join(tracks)
    )


def _check_times(notes: NoteTable, tpq: int) -> None:
    """Refuse notes whose times are no numbers, negative or too large."""
    for name in ("onset", "duration"):
        ticks = notes[name] * float(tpq)
        wrong = ~((ticks > -0.5) & (ticks < MOST_TICKS / 2))  # what isn't a number is wrong, too
        if wrong.any():
            raise InputError(
                f"note {int(wrong.argmax()) + 1} can't be written: its {name} is"
                f" {notes[name][wrong][0]:g} quarters."
            )


def as_written(piece: Piece) -> Piece:
    """Return the piece as its file has it.

    Within a part, a note ends where the next one of its pitch begins, and of notes of the same
    pitch and onset the longest is kept.
    """
    notes = piece.notes
    onset, end = note_ticks(notes, piece.ticks_per_quarter)
    order = np.lexsort((-end, onset, notes["pitch"], notes["part"]))
    same = (np.diff(notes["pitch"][order].astype(int)) == 0) & (
        np.diff(notes["part"][order].astype(int)) == 0
    )
    order = order[
        np.concatenate([np.ones(min(len(notes), 1), bool), ~(same & (np.diff(onset[order]) == 0))])
    ]
    notes, onset, end = notes[order], onset[order], end[order]
    same = (np.diff(notes["pitch"].astype(int)) == 0) & (np.diff(notes["part"].astype(int)) == 0)
    struck = np.flatnonzero(same & (end[:-1] > onset[1:]))
    notes["duration"][struck] = notes["onset"][struck + 1] - notes["onset"][struck]
    return piece.with_notes(notes)


def time_signatures_of(bars: BarTable) -> list[tuple[float, int, int]]:
    """Return signatures of which ``bars_of`` makes these bars again.

    They are tuples (quarter, numerator, denominator).

    A pick-up becomes a short signature of its own where one fits (1/4, then 3/4); a bar cut short
    is followed by its signature once more.
    """
    rows: list[tuple[float, int, int]] = []
    metre, cut = (0, 0), False  # of the bar before
    for index, bar in enumerate(bars):
        start, length, top, bottom = (
            bar[name].item() for name in ("start", "length", "numerator", "denominator")
        )
        if index == 0 and start < 0:
            rows.append((0.0, *_short_metre(start + length, top, bottom)))
            rows.append((start + length, top, bottom))
            metre = (top, bottom)
            continue
        new = metre != (top, bottom)
        if (cut or new) and (not rows or rows[-1] != (start, top, bottom)):
            rows.append((start, top, bottom))
        metre, cut = (top, bottom), length < 4 * top / bottom - 1e-6
    if cut:
        rows.append((float(bars[-1]["start"] + bars[-1]["length"]), *metre))
    return rows


def note_ticks(
    notes: NoteTable, ticks_per_quarter: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return onsets and ends of notes in ticks, each of shape (notes,).

    No note is shorter than a tick.
    """
    onset = np.round(notes["onset"] * ticks_per_quarter).astype(np.int64)
    end = np.round((notes["onset"] + notes["duration"]) * ticks_per_quarter).astype(np.int64)
    return onset, np.maximum(end, onset + 1)


def _short_metre(quarters: float, top: int, bottom: int) -> tuple[int, int]:
    """Return the metre of a pick-up of that length.

    It is the full metre where no numerator fits.
    """
    denominator = bottom
    while denominator <= MAX_DENOMINATOR:
        numerator = quarters * denominator / 4
        if abs(numerator - round(numerator)) < 1e-6 and 1 <= round(numerator) <= 255:
            return round(numerator), denominator
        denominator *= 2
    return top, bottom


def _conductor(piece: Piece) -> list[_Event]:
    tpq = piece.ticks_per_quarter
    events: list[_Event] = []
    for quarter, numerator, denominator in time_signatures_of(piece.bars):
        if denominator & (denominator - 1):
            raise ValueError(f"a metre's denominator must be a power of two, not {denominator}")
        payload = bytes((numerator, denominator.bit_length() - 1, 24, 8))
        events.append((_tick(quarter, tpq), 0, 0, b"\xff\x58\x04" + payload))
    for quarter, fifths, minor in piece.key_signatures:
        events.append(
            (_tick(quarter, tpq), 1, 0, b"\xff\x59\x02" + bytes((fifths & 0xFF, int(minor))))
        )
    for quarter, seconds in zip(piece.tempo.quarters, piece.tempo.seconds_per_quarter, strict=True):
        micro = int(np.clip(round(float(seconds) * 1e6), 1, 0xFFFFFF))
        events.append(
            (_tick(float(quarter), tpq), 2, 0, b"\xff\x51\x03" + micro.to_bytes(3, "big"))
        )
    return events


def _part(rows: NoteTable, name: str, channel: int, program: int, tpq: int) -> list[_Event]:
    label = name.encode("utf-8")
    events: list[_Event] = [(0, 0, 0, b"\xff\x03" + _variable(len(label)) + label)]
    events.append((0, 1, 0, bytes((0xC0 | channel, program & 0x7F))))
    onset, end = note_ticks(rows, tpq)
    for on, off, pitch, velocity in zip(
        onset.tolist(), end.tolist(), rows["pitch"].tolist(), rows["velocity"].tolist(), strict=True
    ):
        events.append((on, 3, pitch, bytes((0x90 | channel, pitch, max(1, min(127, velocity))))))
        events.append(
            (off, 2, pitch, bytes((0x80 | channel, pitch, 0)))
        )  # ranks before the note-ons of its tick
    return events


def _pedal(piece: Piece, channel: int) -> list[_Event]:
    """Return the events of the sustain pedal, which is every keyboard part's.

    It comes up before the notes of its tick, and goes down after them.
    """
    events: list[_Event] = []
    for down, up in piece.pedals:
        events.append(
            (_tick(down, piece.ticks_per_quarter), 4, 0, bytes((0xB0 | channel, 64, 127)))
        )
        events.append((_tick(up, piece.ticks_per_quarter), 1, 0, bytes((0xB0 | channel, 64, 0))))
    return events


def _track(events: list[_Event]) -> bytes:
    body, now = bytearray(), 0
    for tick, _, _, message in sorted(events):
        body += _variable(tick - now) + message
        now = tick
    body += b"\x00\xff\x2f\x00"
    return b"MTrk" + len(body).to_bytes(4, "big") + bytes(body)


def _tick(quarter: float, tpq: int) -> int:
    return max(0, round(quarter * tpq))


def _variable(number: int) -> bytes:
    """Write a number in MIDI's variable-length form, seven bits a byte."""
    if number < 0:
        raise ValueError(f"time goes forward only, not by {number}")
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(0x80 | (number & 0x7F))
    return bytes(reversed(groups))
