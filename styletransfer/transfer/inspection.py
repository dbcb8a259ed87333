"""What the reader and the melody extraction make of a file, before anything is generated."""

from __future__ import annotations

from typing import Any

from styletransfer.score.harmony import estimate_key
from styletransfer.score.melody import marked
from styletransfer.score.notes import Piece

NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


def describe(source: Piece, track: str | None = None) -> tuple[dict[str, Any], Piece]:
    """A report of plain values, and the piece with its melody marked.

    ``track``: the part with the melody, if it isn't to be found. ``melody`` is a list of ``{onset_quarters, onset_seconds,
    duration_quarters, pitch}``, by :func:`melody_rows`.
    """
    piece = marked(source, track)
    melody = piece.melody
    metres: dict[str, None] = dict.fromkeys(f"{bar['numerator']}/{bar['denominator']}" for bar in source.bars)
    tempos = [round(60 / value, 1) for value in source.tempo.seconds_per_quarter]
    report = {
        "feel": source.feel,
        "key": estimate_key(source.notes).name,
        "metre": list(metres) or "none",
        "tempo": f"{tempos[0]:g} quarters a minute" + (f", {len(tempos)} changes" if len(tempos) > 1 else ""),
        "bars": len(source.bars),
        "pick_up_quarters": max(0.0, round(float((source.bars["start"] + source.bars["length"])[0]), 4))
        if len(source.bars) and source.bars["start"][0] < 0
        else 0.0,
        "seconds": round(source.length_seconds, 2),
        "parts": list(source.parts),
        "notes": len(source.notes),
        "chord_symbols": len(source.chords),
        "melody_notes": len(melody),
        "melody_tracks": [source.parts[part] for part in sorted(set(melody["part"].tolist()))],
        "melody": melody_rows(piece),
        "remarks": list(source.remarks),
    }
    return report, piece


def melody_rows(piece: Piece) -> list[dict[str, Any]]:
    """The notes of a piece that are marked as melody, as plain values."""
    melody = piece.melody
    return [
        {
            "onset_quarters": round(float(note["onset"]), 6),
            "onset_seconds": round(float(second), 6),
            "duration_quarters": round(float(note["duration"]), 6),
            "pitch": int(note["pitch"]),
        }
        for note, second in zip(melody, piece.tempo.to_seconds(melody["onset"]), strict=True)
    ]


def melody_text(melody: list[dict[str, Any]], most: int = 24) -> str:
    """The first notes by name, C4 the middle C."""
    names = [f"{NAMES[note['pitch'] % 12]}{note['pitch'] // 12 - 1}" for note in melody[:most]]
    return " ".join(names) + (" …" if len(melody) > most else "")
