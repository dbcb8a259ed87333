"""Read experts' harmony of movements (harmony-labels) as chord tables.

It is a folder of composers' folders with a CSV file a movement: ``onset`` and ``duration`` in
quarters of the score, ``root`` and ``bass`` as pitch classes, ``chord_type`` in the letters of the
DCML standard. A movement's table has the name of its score and lies in the folder of its composer;
Schubert's Winterreise is numbered.

Labels belong to one edition. They are given to scores of :data:`SOURCES` only, and to none that
they don't fit: where another edition has one bar more, the labels no longer are of the bars that
sound (:func:`fit`).
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np

from styletransfer.errors import InputError
from styletransfer.music.chords import CHORD_DTYPE, ChordTable, tones_of
from styletransfer.music.notes import BarTable, NoteTable
from styletransfer.music.qualities import NONE, QUALITIES

SOURCES = ("keyboard-scores", "dcml-more", "lieder-scores")
"""Sources whose scores are the editions that were labelled."""

QUALITY_OF = {
    name: QUALITIES.index(quality)
    for name, quality in {
        "M": "major",
        "m": "minor",
        "o": "diminished",
        "+": "augmented",
        "Mm7": "dominant-seventh",
        "MM7": "major-seventh",
        "mm7": "minor-seventh",
        "%7": "half-diminished",
        "o7": "diminished-seventh",
        "mM7": "minor",
        "+7": "augmented",
        "It": "dominant-seventh",
        "Ger": "dominant-seventh",
        "Fr": "dominant-seventh",
    }.items()
}
"""Indices into ``QUALITIES`` by DCML's names of chord types."""

SIXTHS = {"It": 2, "Ger": 2, "Fr": 6}
"""Semitones from DCML's root of an augmented sixth up to the flat sixth.

The chord sounds as a dominant seventh on that.
"""

FITS = 0.65
"""The share of the sounding time that must be tones of the labelled chord.

It is from 0.82 to 0.90, depending on the composer, where labels and score are of the same edition.
"""

_WINTERREISE = re.compile(r"Winterreise_D\.911-(\d+)_")


def label_file(folder: Path, source: str, file: str) -> Path | None:
    """Find the table of a source's file, None where the experts left it out."""
    if source not in SOURCES:
        return None
    path = Path(file)
    stem, parent = path.stem, path.parent.name
    if source == "lieder-scores":
        number = _WINTERREISE.match(stem)
        if number is None:
            return None
        stem = f"n{int(number[1]):02d}"

    # The folders of dcml-more are named after works: jc_bach_sonatas.
    words = parent.split("_")
    for count in range(len(words), 0, -1):
        table = folder / "_".join(words[:count]) / f"{stem}.csv"
        if table.is_file():
            return table
    return None


def read_labels(path: Path, bars: BarTable) -> ChordTable:
    """Read a movement's labels as a chord table of its score.

    What isn't labelled has no chord.

    Raises:
        InputError: where the table can't be read.
    """
    start, end = float(bars["start"][0]), float(bars["start"][-1] + bars["length"][-1])
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.DictReader(file) if float(row["duration"] or 0) > 0]
        spans = sorted((float(row["onset"]), float(row["duration"]), *_chord(row)) for row in rows)
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: these chord labels can't be read ({error}).") from error

    silent = (NONE, NONE, NONE)
    found: list[tuple[float, tuple[int, int, int]]] = [(start, silent)]
    for index, (onset, duration, root, quality, bass) in enumerate(spans):
        stop = min(onset + duration, end)
        if index + 1 < len(spans):
            stop = min(stop, spans[index + 1][0])  # labels of a second ending overlap what follows
        onset = max(onset, start)
        if stop <= onset:
            continue
        if found[-1][0] > onset - 1e-3:
            found.pop()  # nothing lies between this one and the last
        found += [(onset, (root, quality, bass)), (stop, silent)]
    if found[-1][0] > end - 1e-3:
        found.pop()

    kept = [one for k, one in enumerate(found) if not k or one[1] != found[k - 1][1]]
    if not kept:
        kept = [(start, silent)]

    table = np.zeros(len(kept), CHORD_DTYPE)
    table["start"] = [onset for onset, _ in kept]
    table["length"] = np.diff([*(onset for onset, _ in kept), end])
    for name, column in zip(
        ("root", "quality", "bass"), zip(*(chord for _, chord in kept), strict=True), strict=True
    ):
        table[name] = column
    return table


def _chord(row: dict[str, str]) -> tuple[int, int, int]:
    """Return root, quality and bass of a label."""
    kind = row["chord_type"]
    if kind not in QUALITY_OF or not row["root"]:
        return NONE, NONE, NONE
    root = (int(row["root"]) + SIXTHS.get(kind, 0)) % 12
    return root, QUALITY_OF[kind], int(row["bass"]) % 12 if row["bass"] else root


def fit(chords: ChordTable, notes: NoteTable) -> float:
    """Return the share of the sounding time in which notes are tones of their chord.

    Time without a chord doesn't count; without any other time it is 0.
    """
    if not len(chords) or not len(notes):
        return 0.0
    begin = np.asarray(notes["onset"], np.float64)
    end = begin + notes["duration"]
    starts = np.asarray(chords["start"], np.float64)
    first = np.clip(np.searchsorted(starts, begin, side="right") - 1, 0, None)
    last = np.clip(np.searchsorted(starts, end, side="left") - 1, first, None)

    # Each note once for each chord that it sounds in.
    count = last - first + 1
    note = np.repeat(np.arange(len(notes)), count)
    chord = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[note]
    stops = starts + chords["length"]
    overlap = np.clip(
        np.minimum(end[note], stops[chord]) - np.maximum(begin[note], starts[chord]), 0, None
    )
    overlap[chords["quality"][chord] == NONE] = 0.0

    member = np.zeros((len(chords), 12), bool)
    for index, one in enumerate(chords):
        if one["quality"] != NONE:
            member[index, list(tones_of(int(one["root"]), int(one["quality"])))] = True
    inside = member[chord, notes["pitch"][note].astype(int) % 12]
    total = float(overlap.sum())
    return float(overlap[inside].sum()) / total if total else 0.0
