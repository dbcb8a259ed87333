r"""Cut lead sheets from songs, and measure accompaniments in MIREX 2024's form.

    python -m eval.leadsheets make SONG … --out sheets --most 20
    python -m eval.mirex sheets/sheets/*.json --out sheets/ours
    python -m eval.leadsheets measure sheets/sheets ours=sheets/ours own=sheets/own \
        --page eval/mirex.md

``make`` takes the first eight bars of songs in 4/4 whose tune lies on sixteenths: their melody, and
their chord symbols or else the chords that are recognised in the song. It writes
``sheets/NAME.json``, and the song's own accompaniment, rounded to sixteenths, as ``own/NAME.json``;
songs that can't be taken are counted by the reason. ``measure`` compares systems' accompaniments by
:data:`LABELS`, with 95 % bootstrap intervals over sheets, beside the level of chance: the first
system's accompaniments under the chords of the next sheet.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eval.mirex import (
    BAR,
    BARS,
    END,
    STEPS,
    Chord,
    Note,
    Sheet,
    accompaniment_file,
    chord_of,
    notes_of,
    read_accompaniment,
    read_sheet,
    rounded,
    write_accompaniment,
    write_sheet,
)
from styletransfer.configuration import exit_code, recipe_parser
from styletransfer.errors import InputError
from styletransfer.evaluation.intervals import class_mean
from styletransfer.evaluation.markdown import fill, interval, table
from styletransfer.formats.read import read_song
from styletransfer.music.chord_names import chords_of_symbols
from styletransfer.music.chords import ChordTable, recognise, tones_of
from styletransfer.music.melody import extract_melody
from styletransfer.music.notes import Piece
from styletransfer.music.pick_up import with_pick_up
from styletransfer.music.qualities import NONE
from styletransfer.transfer.ranking.rank import covered, dissonance

OFF_GRID = 0.02
"""Quarters by which a tune's note may miss its sixteenth."""
QUALITIES = ("maj", "min", "dim", "aug", "7", "maj7", "min7", "hdim7", "dim7")
"""Harte's names of the package's qualities, in its order."""
DEGREES = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")
ROOTS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

LABELS = {
    "notes": "notes per bar",
    "tones": "notes that are tones of their chord",
    "bass": "chords that begin over their bass",
    "dissonant": "dissonant under the melody",
    "silent": "silence",
}
"""What is measured. A chord begins over its bass where the lowest accompaniment note that sounds
with its beginning has the pitch class that its symbol names as bass."""


# --- sheets from songs --------------------------------------------------------------------------


def sheet_of(song: Piece) -> tuple[Sheet, tuple[Note, ...]] | str:
    """Cut a song's lead sheet and its own accompaniment, or say why there is none."""
    piece = with_pick_up(song)
    if piece.feel != "score":
        return "no beats"
    first = int(piece.bars["start"][0] < 0)
    bars = piece.bars[: first + BARS]
    if len(bars) < first + BARS or (
        bars[["numerator", "denominator"]].tolist() != [(4, 4)] * len(bars)
    ):
        return "no eight bars of 4/4"
    if np.abs(bars["length"] - BAR / STEPS).max() > OFF_GRID:
        return "no eight bars of 4/4"

    shift = BAR / STEPS - float(bars["start"][first])
    end = END / STEPS - shift - OFF_GRID
    tune = extract_melody(piece)
    melody = piece.notes[tune & (piece.notes["onset"] < end)]
    if len(melody) < BARS:
        return "too few notes in the tune"
    begin = (melody["onset"] + shift) * STEPS
    stop = (melody["onset"] + melody["duration"] + shift) * STEPS
    if np.abs(begin - np.round(begin)).max() > OFF_GRID * STEPS:
        return "the tune isn't on sixteenths"
    line = [
        Note(start, pitch, min(max(last, start + 1), END) - start)
        for start, last, pitch in zip(
            np.round(begin).astype(int).tolist(),
            np.round(stop).astype(int).tolist(),
            melody["pitch"].tolist(),
            strict=True,
        )
    ]
    named = chords_of_symbols(piece.chords, bars) if piece.chords else recognise(piece.notes, bars)
    own = rounded(piece.notes[~tune & (piece.notes["onset"] < end)], shift)
    return Sheet(tuple(line), harte(named, shift)), own


def harte(chords: ChordTable, shift: float) -> tuple[Chord, ...]:
    """Write chords in Harte's syntax; the pick-up's bar has none."""
    rows = [Chord(0, "N", BAR)]
    for start, length, root, quality, bass in chords.tolist():
        begin, stop = (round((place + shift) * STEPS) for place in (start, start + length))
        begin, stop = max(begin, BAR), min(stop, END)
        if begin >= stop:
            continue
        name = "N"
        if quality != NONE:
            above = (bass - root) % 12
            name = f"{ROOTS[root]}:{QUALITIES[quality]}" + (f"/{DEGREES[above]}" if above else "")
        rows.append(Chord(begin, name, stop - begin))
    return tuple(rows)


def make(arguments: argparse.Namespace) -> int:
    """Cut the lead sheets of songs."""
    left_out: Counter[str] = Counter()
    found: dict[str, tuple[Sheet, tuple[Note, ...]]] = {}
    tunes: set[tuple[int, ...]] = set()
    for path in arguments.songs:
        if len(found) == arguments.most:
            break
        cut = sheet_of(read_song(path))
        if isinstance(cut, str):
            left_out[cut] += 1
            continue
        steps = tuple(np.diff([note.pitch for note in cut[0].melody]).tolist())
        if steps in tunes or path.stem in found:
            left_out["the same tune or name"] += 1
            continue
        tunes.add(steps)
        found[path.stem] = cut

    for name, (sheet, own) in found.items():
        for part in ("sheets", "own"):
            (arguments.out / part).mkdir(parents=True, exist_ok=True)
        write_sheet(arguments.out / "sheets" / f"{name}.json", sheet)
        write_accompaniment(arguments.out / "own" / f"{name}.json", own)
    print(f"{arguments.out}: {len(found)} lead sheets; left out: {dict(sorted(left_out.items()))}")
    return 0


# --- measures -----------------------------------------------------------------------------------


def numbers(sheet: Sheet, notes: Sequence[Note]) -> dict[str, float]:
    """Measure an accompaniment; NaN where there is nothing to measure."""
    by_place = [
        next((c for c in sheet.chords if c.start <= k < c.start + c.duration), None)
        for k in range(END)
    ]
    named = [(-1, -1, -1) if chord is None else chord_of(chord.symbol) for chord in by_place]
    under = [(note, named[note.start]) for note in notes]
    own = [note.pitch % 12 in tones_of(*chord[:2]) for note, chord in under if chord[1] != NONE]

    basses = []
    for chord in sheet.chords:
        bass = chord_of(chord.symbol)[2]
        sounding = [n.pitch for n in notes if n.start <= chord.start < n.start + n.duration]
        if bass != NONE and chord.start >= BAR and sounding:
            basses.append(min(sounding) % 12 == bass)

    probes = np.arange(BAR, END) / STEPS + 0.5 / STEPS
    played = notes_of(tuple(notes), 0, 1, tune=False)
    return {
        "notes": len(notes) / BARS,
        "tones": float(np.mean(own)) if own else float("nan"),
        "bass": float(np.mean(basses)) if basses else float("nan"),
        "dissonant": dissonance(notes_of(sheet.melody, 0, 1, tune=True), played),
        "silent": float(1 - covered(played, probes).mean()),
    }


def measure(arguments: argparse.Namespace) -> int:
    """Print the table of systems' measures, and write it into a page."""
    paths = sorted(arguments.sheets.glob("*.json"))
    if not paths:
        raise InputError(f"{arguments.sheets}: it has no lead sheets.")
    sheets = {path.stem: read_sheet(path) for path in paths}
    names = list(sheets)
    systems: dict[str, list[dict[str, float]]] = {}
    for number, version in enumerate(arguments.versions):
        name, _, folder = version.partition("=")
        if not folder:
            raise InputError(f"{version}: name a system as NAME=FOLDER.")
        made = [read_accompaniment(accompaniment_file(Path(folder), song)) for song in names]
        systems[name] = [numbers(sheets[song], one) for song, one in zip(names, made, strict=True)]
        if not number:
            others = [sheets[song] for song in names[1:] + names[:1]]
            chance = [numbers(sheet, one) for sheet, one in zip(others, made, strict=True)]
    systems[f"chance: {next(iter(systems))} under the next sheet"] = chance

    rows = [
        [system, *(_cell(found, name, names) for name in LABELS)]
        for system, found in systems.items()
    ]
    text = f"{len(names)} lead sheets.\n\n{table(['system', *LABELS.values()], rows)}"
    print(text)
    if arguments.page:
        page = arguments.page.read_text(encoding="utf-8")
        arguments.page.write_text(fill(page, {"measures": text}), encoding="utf-8")
    return 0


def _cell(found: list[dict[str, float]], name: str, songs: list[str]) -> str:
    values = np.array([row[name] for row in found])
    mean = class_mean(values, ["all"] * len(values), songs).interval()
    return interval(mean.value, mean.low, mean.high, ".1f" if name == "notes" else ".0%")


def main(argv: list[str] | None = None) -> int:
    """Make lead sheets, or measure what was made of them."""
    parser = recipe_parser(__doc__)
    parser.prog = "python -m eval.leadsheets"
    commands = parser.add_subparsers(dest="command", required=True)
    cutting = commands.add_parser("make", help="cut lead sheets from songs")
    cutting.add_argument("songs", type=Path, nargs="+", metavar="SONG", help="files of songs")
    cutting.add_argument("--out", type=Path, required=True, help="the folder to write")
    cutting.add_argument("--most", type=int, default=20, help="how many lead sheets at most")
    measuring = commands.add_parser("measure", help="measure accompaniments")
    measuring.add_argument("sheets", type=Path, help="the folder of lead sheets")
    measuring.add_argument("versions", nargs="+", metavar="NAME=FOLDER", help="the systems")
    measuring.add_argument("--page", type=Path, help="the page to write the table into")
    arguments = parser.parse_args(argv)

    return exit_code(lambda: make(arguments) if arguments.command == "make" else measure(arguments))


if __name__ == "__main__":
    sys.exit(main())
