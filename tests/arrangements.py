"""Make arrangements for tests of scores, and read pages.

They are a melody over an accompaniment, by hand or at random.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from styletransfer.music.notes import BarTable, NoteTable, Piece, bars_of, make_notes

PARTS = ("Melody", "Accompaniment, right hand", "Accompaniment, left hand")
Row = tuple[float, float, int]  # onset, duration, pitch
METRES = ((4, 4), (3, 4), (2, 4), (6, 8), (9, 8), (12, 8), (3, 8), (5, 8), (2, 2), (6, 4), (5, 4))


def arrangement(
    melody: list[Row],
    right: list[Row] = [],  # noqa: B006  # never changed
    left: list[Row] = [],  # noqa: B006
    metres: list[tuple[float, int, int]] | None = None,
    keys: tuple[tuple[float, int, bool], ...] = ((0.0, 0, False),),
) -> Piece:
    """Make a piece of the three parts that an arrangement has."""
    tables = []
    for part, rows in enumerate((melody, right, left)):
        onset, duration, pitch = ([row[column] for row in rows] for column in range(3))
        tables.append(make_notes(onset, duration, pitch, part=part, melody=part == 0))  # type: ignore[arg-type]
    notes = np.concatenate(tables)
    bars = bars_of(metres or [(0.0, 4, 4)], float((notes["onset"] + notes["duration"]).max()))
    return Piece(notes, "score", bars, parts=PARTS, key_signatures=keys).with_notes(notes)


def random_arrangement(seed: int) -> Piece:
    """Make a gapless melody in sixteenths and triplets, over chords on sixteenths.

    It has one metre, and sometimes a pick-up.
    """
    rng = np.random.default_rng(seed)
    top, bottom = METRES[seed % len(METRES)]
    full = 4 * top / bottom
    pick_up = float(rng.integers(1, 4)) * 0.5 if seed % 3 == 0 and full > 2 else 0.0
    end = pick_up + 6 * full
    melody: list[Row] = []
    place = 0.0
    while place < end - 1e-6:
        if (
            bottom == 4
            and abs((place - pick_up) % 1) < 1e-6
            and place + 1 <= end
            and rng.random() < 0.2
        ):
            lengths = [1 / 3] * 3
        else:
            lengths = [float(rng.choice([0.25, 0.5, 0.75, 1.0, 1.5, 2.0]))]
        for length in lengths:
            melody.append((place, min(length, end - place), int(rng.integers(74, 90))))
            place = round((place + length) * 96) / 96

    places = np.flatnonzero(rng.random(int(end * 4)) < 0.4) / 4
    chords: list[list[Row]] = [[], []]
    for start in places.tolist():
        for pitch in set(rng.integers(40, 72, int(rng.integers(1, 4))).tolist()):
            length = float(rng.choice([0.25, 0.5, 1.0, 3.0]))
            chords[int(pitch < 58)].append((start, min(length, end - start), pitch))

    metres = [(0.0, *_metre(pick_up)), (pick_up, top, bottom)] if pick_up else [(0.0, top, bottom)]
    return arrangement(
        melody, *chords, metres, ((0.0, int(rng.integers(-5, 6)), bool(rng.random() < 0.5)),)
    )


def _metre(quarters: float) -> tuple[int, int]:
    exact = Fraction(quarters).limit_denominator(64) / 4
    return exact.numerator * (8 // exact.denominator), 8


def onsets(notes: NoteTable) -> list[tuple[int, int]]:
    """Return what sounds when: (96ths of a quarter, pitch), each once."""
    return sorted({(round(float(n["onset"]) * 96), int(n["pitch"])) for n in notes})


def melody_on_page(data: bytes) -> list[tuple[float, float, int]]:
    """Read the upper staff's first voice, ties joined: (onset, duration, pitch)."""
    from music21 import converter

    score = converter.parseData(data, format="musicxml")
    upper = score.parts[0]
    rows: list[list[float]] = []
    for measure in upper.getElementsByClass("Measure"):
        voices = {str(voice.id): voice for voice in measure.voices}
        for note in voices.get("1", measure if not voices else []):
            if not getattr(note, "isNote", False):
                continue
            onset = float(measure.offset + note.offset)
            if note.tie is not None and note.tie.type in ("stop", "continue"):
                rows[-1][1] += float(note.quarterLength)
            else:
                rows.append([onset, float(note.quarterLength), note.pitch.midi])
    return [(onset, duration, int(pitch)) for onset, duration, pitch in rows]


def bars_equal(one: BarTable, other: BarTable) -> bool:
    """Return whether the bars are the same, apart from rounding."""
    names = ("start", "length", "numerator", "denominator")
    return len(one) == len(other) and all(
        np.allclose(one[name], other[name], atol=1e-3) for name in names
    )


def elements(data: bytes, tag: str) -> list[Any]:
    """Return all elements of a name in a MusicXML file."""
    from xml.etree import ElementTree

    return list(ElementTree.fromstring(data).iter(tag))
