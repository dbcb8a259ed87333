"""Describe a file as the reader and the melody search take it, before any work."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np

from styletransfer.music.chord_names import NEAR, bar_of_line, chords_of_symbols, line_of
from styletransfer.music.chords import recognise
from styletransfer.music.key import Key, estimate_key
from styletransfer.music.melody import coverage, marked
from styletransfer.music.notes import Piece, make_notes
from styletransfer.music.spelling import letter_and_alter, spell
from styletransfer.music.tune_key import key_of_tune
from styletransfer.transfer.planning import DECIMALS, harmony_rows

MELODY_COLUMNS = ("onset_quarters", "duration_quarters", "pitch")
"""What decides the spelling of a melody."""


def describe(source: Piece, track: str | None = None) -> tuple[dict[str, Any], Piece]:
    """Return a report of plain values, and the piece with its melody marked.

    ``track``: the part with the melody, if it isn't to be found. ``melody`` is a list of
    ``{onset_quarters, onset_seconds, duration_quarters, pitch}``, by :func:`melody_rows`;
    ``melody_share`` is the share of the song's time that it covers; ``harmony`` is as
    :func:`~styletransfer.transfer.planning.harmony_rows` has it, ``chords`` the same as a line that
    ``--chords`` takes. Of a file with chord symbols, both have these, as it spells them.
    ``symbols`` is a list of ``{quarter, symbol}``, all of them at their places, repeats played out.
    """
    piece = marked(source, track)
    melody = piece.melody
    share, rests = coverage(piece, melody)
    metres: dict[str, None] = dict.fromkeys(
        f"{bar['numerator']}/{bar['denominator']}" for bar in source.bars
    )
    alone = len(melody) == len(source.notes)
    key = key_of_tune(piece) if alone else estimate_key(source.notes)
    chords, harmony = (
        written_chords(piece, key)
        if len(piece.bars) and piece.chords
        else recognised_chords(piece, key)
    )
    tempos = [round(60 / value, 1) for value in source.tempo.seconds_per_quarter]
    changes = f", {len(tempos)} changes" if len(tempos) > 1 else ""
    pick_up = 0.0
    if len(source.bars) and source.bars["start"][0] < 0:
        end = float((source.bars["start"] + source.bars["length"])[0])
        pick_up = max(0.0, round(end, 4))

    report = {
        "feel": source.feel,
        "key": key.name,
        "metre": list(metres) or "none",
        "tempo": f"{tempos[0]:g} quarters a minute{changes}",
        "bars": len(source.bars),
        "pick_up_quarters": pick_up,
        "seconds": round(source.length_seconds, 2),
        "parts": list(source.parts),
        "notes": len(source.notes),
        "chord_symbols": len(source.chords),
        "symbols": [
            {"quarter": round(quarter, DECIMALS), "symbol": symbol.text}
            for quarter, symbol in source.chords
        ],
        "chords": chords,
        "harmony": harmony,
        "melody_notes": len(melody),
        "melody_tracks": [source.parts[part] for part in sorted(set(melody["part"].tolist()))],
        "melody_share": round(share, 3),
        "melody": melody_rows(piece),
        "remarks": [*source.remarks, *rests],
    }
    return report, piece


def recognised_chords(piece: Piece, key: Key) -> tuple[str, list[dict[str, Any]]]:
    """Recognise the chords of a piece that has beats and more than a melody.

    Returns:
        The chords as a line, and bar by bar.
    """
    if not len(piece.bars) or piece.notes["melody"].all():
        return "", []
    chords, first = recognise(piece.notes, piece.bars), 0 if piece.bars["start"][0] < 0 else 1
    line = " | ".join(line_of(chords, piece.bars, key))
    return line, harmony_rows(chords, piece.bars, key, first)


def written_chords(piece: Piece, key: Key) -> tuple[str, list[dict[str, Any]]]:
    """Read the chord symbols of a piece that has some and has beats.

    Before the first symbol there is no chord.

    Returns:
        The symbols as a line, and bar by bar.
    """
    chords = chords_of_symbols(piece.chords, piece.bars)
    first = 0 if piece.bars["start"][0] < 0 else 1
    rows, line = harmony_rows(chords, piece.bars, key, first), []
    places = [quarter for quarter, _ in piece.chords]

    for row, bar in zip(rows, piece.bars, strict=True):
        for chord in row["chords"]:
            index = (
                bisect_right(places, max(float(bar["start"]) + chord["quarter"], 0.0) + NEAR) - 1
            )
            chord["symbol"] = piece.chords[index][1].text if index >= 0 else ""
        named = {
            chord["quarter"]: "".join(chord["symbol"].split()) or "." for chord in row["chords"]
        }
        line.append(bar_of_line(named, bar))
        row["chords"] = [chord for chord in row["chords"] if chord["symbol"]]
    return " | ".join(line), rows


def wrap_chords(line: str, width: int) -> list[str]:
    """Wrap a line of chords at its bar lines, each line ending in one.

    No line is wider than asked, unless a bar is.
    """
    lines = [""]
    for bar in line.split(" | "):
        longer = f"{lines[-1]} | {bar}" if lines[-1] else bar
        if lines[-1] and len(longer) + 2 > width:
            lines[-1] += " |"
            longer = bar
            lines.append("")
        lines[-1] = longer
    return lines


def melody_rows(piece: Piece) -> list[dict[str, Any]]:
    """List the notes of a piece that are marked as melody, as plain values."""
    melody = piece.melody
    return [
        {
            "onset_quarters": round(float(note["onset"]) + piece.lead, 6),
            "onset_seconds": round(float(second), 6),
            "duration_quarters": round(float(note["duration"]), 6),
            "pitch": int(note["pitch"]),
        }
        for note, second in zip(melody, piece.seconds_at(melody["onset"]), strict=True)
    ]


def melody_text(melody: list[dict[str, Any]], key: str, most: int = 24) -> str:
    """Name the first notes, spelt in a key; C4 is the middle C."""
    columns = [[note[name] for note in melody[:most]] for name in MELODY_COLUMNS]
    notes = make_notes(*(np.array(column) for column in columns))
    fifths = (Key.named(key) or Key(0, "major")).fifths
    names = []
    for place, pitch in zip(spell(notes, np.full(len(notes), fifths)), notes["pitch"], strict=True):
        letter, alter = letter_and_alter(int(place))
        sign = "#" * alter or "b" * -alter
        names.append(f"{letter}{sign}{(int(pitch) - alter) // 12 - 1}")
    return " ".join(names) + (" …" if len(melody) > most else "")
