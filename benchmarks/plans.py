"""Compare the chords that are planned for tunes with those of their composers.

    python -m benchmarks.plans --data data/prepared --write benchmarks/plans.md

The tunes are those of songs of the validation split, sixteen bars from their first note. Composers'
chords are those of the data: experts' or recognised in all notes. *Without* leaves out the rule
against a bass that leaps (`styletransfer.model.craft`) and the favour for the chords that a
repeated bar of the tune had.

A bass *steps* by one or two semitones, and *leaps* by five or six, the shorter way round. Only
changes of chord or bass count. *Repeated bars* are those whose tune came before; their rows state
for how much of their time root and bass are those of the earlier bar. *Tune in its chord*: notes of
the tune that begin with a tone of the chord that sounds.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from styletransfer.configuration import recipe_parser
from styletransfer.data.library import Library
from styletransfer.evaluation.intervals import ratio_interval
from styletransfer.evaluation.markdown import interval, page, table
from styletransfer.model import craft, harmonising
from styletransfer.model.chord_frames import NO_ROOT, Frames, changes_of, chord_frames, frames_of
from styletransfer.model.craft import tones_at
from styletransfer.model.harmonising import propose, repeats
from styletransfer.music.key import Key
from styletransfer.music.notes import BAR_DTYPE, Piece, TempoMap, make_notes
from styletransfer.music.tune_key import key_of_tune

BARS, FEWEST, MOST = 16, 16, 100
"""Bars of an excerpt, the fewest notes of its tune, and the most songs."""
TEMPO = 100.0
"""Quarters per minute where nothing else is known."""

Counts = dict[str, tuple[float, float]]
"""How often something is so, and out of how many, by name."""


def songs(library: Library) -> list[tuple[Piece, Any, str]]:
    """Cut songs: the tune of each as a piece, the composer's chords, and its group."""
    found = []
    for index in library.select(split="validation", feel="score"):
        info, bars = library.pieces[index], library.bars(index)
        tune = library.notes(index)
        tune = tune[tune["melody"]]

        if info.tune != "part" or not len(tune):
            continue

        first = max(int(np.searchsorted(bars["start"], tune["onset"].min() + 1e-3, "right")) - 1, 0)
        bars = bars[first : first + BARS].copy()
        begin, end = float(bars["start"][0]), float(bars["start"][-1] + bars["length"][-1])
        tune = tune[(tune["onset"] >= begin - 1e-3) & (tune["onset"] < end - 1e-3)].copy()
        if len(tune) < FEWEST or len(bars) < BARS:
            continue

        chords = library.chords(index)
        chords = chords[
            (chords["start"] + chords["length"] > begin + 1e-3) & (chords["start"] < end - 1e-3)
        ].copy()
        for part in (tune["onset"], bars["start"], chords["start"]):
            part -= begin

        notes = make_notes(tune["onset"], tune["duration"], tune["pitch"], melody=True)
        piece = Piece(notes, "score", bars.astype(BAR_DTYPE), TempoMap.steady(60 / TEMPO))
        found.append((piece, chords, info.group))

    return found[:MOST]


def count(chords: Any, melody: Piece, frames: Frames, key: Key) -> Counts:
    """Count what a harmony is like, by frames of a beat."""
    rows = chord_frames(chords, frames)
    rows[:, [0, 2]] = np.where(
        rows[:, [0, 2]] < NO_ROOT, (rows[:, [0, 2]] - key.tonic) % 12, rows[:, [0, 2]]
    )
    named, length = rows[:, 0] < NO_ROOT, frames.length
    tones, own = tones_at(rows), np.isin((np.arange(12) + key.tonic) % 12, key.scale)
    changes = np.flatnonzero((rows[1:, [0, 2]] != rows[:-1, [0, 2]]).any(1))
    changes = changes[named[changes] & named[changes + 1]]
    moves = np.abs((rows[changes + 1, 2] - rows[changes, 2] + 6) % 12 - 6)

    again = repeats(frames)
    repeated, earlier = again >= 0, rows[again]
    onset, pitch = melody.notes["onset"], melody.notes["pitch"].astype(int)
    at = np.array([frames.at(float(one)) for one in onset])
    bars = int(frames.bar[-1]) + 1

    def share(of: Any, among: Any) -> tuple[float, float]:
        return float((length * (of & among)).sum()), float((length * among).sum())

    return {
        "chords per bar": (float(changes_of(rows).sum()), bars),
        "different roots": (len(set(rows[named, 0].tolist())), 1),
        "time on the tonic": share(rows[:, 0] == 0, named),
        "time on chords with tones outside the key": share((tones & ~own).any(1), named),
        "time in inversions": share(rows[:, 0] != rows[:, 2], named),
        "of these with the fifth below": share(
            (rows[:, 2] - rows[:, 0]) % 12 == 7, named & (rows[:, 0] != rows[:, 2])
        ),
        "bass steps": (float(((moves == 1) | (moves == 2)).sum()), len(moves)),
        "bass leaps": (float((moves >= craft.LEAP).sum()), len(moves)),
        "repeated bars: the same root": share(rows[:, 0] == earlier[:, 0], repeated),
        "repeated bars: the same bass": share(rows[:, 2] == earlier[:, 2], repeated),
        "tune in its chord": (
            float((tones[at, (pitch - key.tonic) % 12] & named[at]).sum()),
            float(named[at].sum()),
        ),
    }


def planned(melody: Piece, *, without: bool) -> Any:
    """Plan the chords of a tune."""
    if not without:
        return propose(melody)[0][0]
    rules = craft.RULES | {"leaps": 0.0}
    with patch.object(craft, "RULES", rules), patch.object(harmonising, "REPEATED", 0.0):
        return propose(melody)[0][0]


def main(argv: list[str] | None = None) -> int:
    parser = recipe_parser(__doc__, data=True)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args(argv)

    found = songs(Library.load(arguments.data))
    groups = [group for *_, group in found]
    columns: dict[str, list[Counts]] = {"composers": [], "planned": [], "without": []}
    for melody, theirs, _ in found:
        frames, key = frames_of(melody.notes, melody.bars, TEMPO), key_of_tune(melody)
        for name, chords in (
            ("composers", theirs),
            ("planned", planned(melody, without=False)),
            ("without", planned(melody, without=True)),
        ):
            columns[name].append(count(chords, melody, frames, key))

    rows = []
    for measure in columns["composers"][0]:
        cells = []
        for counts in columns.values():
            above, below = np.array([one[measure] for one in counts], float).T
            one = ratio_interval(above, below, groups, np.random.default_rng(0))
            cells.append(interval(one.value, one.low, one.high, ".2f"))
        rows.append((measure, *cells))
    text = f"{len(found)} songs.\n\n{table(('', *columns), rows)}"
    print(text)
    if arguments.write:
        arguments.write.write_text(page("Planned chords", __doc__, text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
