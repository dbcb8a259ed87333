"""Arrange lead sheets in the form of MIREX 2024's task "symbolic music generation".

    python -m eval.mirex INPUT.json --out FOLDER --samples 8 --midi

The task (https://www.music-ir.org/mirex/wiki/2024:Symbolic_Music_Generation) is a piano
accompaniment of a lead sheet: eight bars of 4/4 after a bar for the pick-up, which may be empty.
Times are whole sixteenths from the beginning of the pick-up's bar, from 0 to 143.

- INPUT.json has ``melody``, a list of notes with ``start``, ``pitch`` (MIDI number) and
  ``duration``, and ``chords``, a list of chords with ``start``, ``symbol`` (in the syntax of Harte
  2010, as ``mir_eval.chord.encode`` reads it) and ``duration``.
- FOLDER/sample_01.json and so on have ``acc``, a list of notes like the melody's, none of them in
  the pick-up's bar and none beyond the last bar. Of several INPUT files each has a folder of its
  own in FOLDER. With ``--midi`` there is a MIDI file beside each, with the melody and the two
  hands.

The accompaniment is what ``apply`` makes of the melody and the chords, rounded to sixteenths.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from styletransfer.api import StyleTransfer
from styletransfer.configuration import exit_code, recipe_parser
from styletransfer.errors import InputError
from styletransfer.files import json_text, write_atomically
from styletransfer.formats.midi_out import write_midi
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.chord_names import chords_of_symbols, line_of, symbol
from styletransfer.music.chord_symbols import NO_CHORD, ChordSymbol, quality_of
from styletransfer.music.ensemble import PIANO
from styletransfer.music.key import estimate_key
from styletransfer.music.notes import BAR_DTYPE, NoteTable, Piece, TempoMap, make_notes

BAR, BARS = 16, 8
"""Sixteenths of a bar, and bars after that of the pick-up."""
END = BAR * (BARS + 1)
"""Where a lead sheet ends, in sixteenths."""
STEPS = 4
"""Sixteenths of a quarter."""
TUNE_VELOCITY, VELOCITY = 90, 62
"""How loud melody and accompaniment are in MIDI files: the format has no loudness."""
STYLE = "romantic"
TEMPO = 100.0


class Note(NamedTuple):
    """A note; ``start`` and ``duration`` in sixteenths."""

    start: int
    pitch: int
    duration: int


class Chord(NamedTuple):
    """A chord by its symbol; ``start`` and ``duration`` in sixteenths."""

    start: int
    symbol: str
    duration: int


@dataclass(frozen=True)
class Sheet:
    """A lead sheet: melody and chords, each sorted by start."""

    melody: tuple[Note, ...]
    chords: tuple[Chord, ...]

    @property
    def origin(self) -> int:
        """Where its music begins: with the pick-up's first note, or else after its bar."""
        return min(self.melody[0].start, BAR)


# --- the format ---------------------------------------------------------------------------------


def read_sheet(path: Path) -> Sheet:
    """Read a lead sheet.

    Raises:
        InputError: where it can't be read, has no melody, or isn't in the task's form.
    """
    data = _read(path)
    notes = sorted(Note(*row) for row in _rows(path, data, "melody", "pitch"))
    chords = sorted(Chord(*row) for row in _rows(path, data, "chords", "symbol"))
    if not notes:
        raise InputError(f"{path}: its melody has no notes.")
    for one, following in pairwise(chords):
        if following.start < one.start + one.duration:
            raise InputError(f"{path}: two chords hold at sixteenth {following.start}.")
    for chord in chords:
        chord_of(chord.symbol, path)
    return Sheet(tuple(notes), tuple(chords))


def read_accompaniment(path: Path) -> tuple[Note, ...]:
    """Read what a system made of a lead sheet.

    Raises:
        InputError: where it can't be read or isn't in the task's form.
    """
    return tuple(sorted(Note(*row) for row in _rows(path, _read(path), "acc", "pitch")))


def accompaniment_file(folder: Path, name: str) -> Path:
    """Find what a system made of the lead sheet of a name.

    Raises:
        InputError: where its folder has neither NAME.json nor NAME/sample_01.json.
    """
    for path in (folder / f"{name}.json", folder / name / "sample_01.json"):
        if path.is_file():
            return path
    raise InputError(f"{folder}: it has neither {name}.json nor {name}/sample_01.json.")


def write_accompaniment(path: Path, notes: tuple[Note, ...]) -> None:
    """Write an accompaniment, with a note on a line."""
    write_atomically(path, json_text({"acc": [note._asdict() for note in notes]}, 2).encode())


def write_sheet(path: Path, sheet: Sheet) -> None:
    """Write a lead sheet, with a note or a chord on a line."""
    data = {
        "melody": [note._asdict() for note in sheet.melody],
        "chords": [chord._asdict() for chord in sheet.chords],
    }
    write_atomically(path, json_text(data, 2).encode())


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: it can't be read ({error}).") from None


def _rows(path: Path, data: Any, name: str, second: str) -> Iterator[tuple[int, Any, int]]:
    """Return start, pitch or symbol, and duration of each row.

    What lasts longer than the last bar is cut.
    """
    rows = data.get(name) if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise InputError(f"{path}: it has no list {name!r}, as MIREX 2024's format asks for.")
    for number, row in enumerate(rows, start=1):
        here = f"{path}: number {number} of {name!r}"
        if not isinstance(row, dict):
            raise InputError(f"{here} isn't an object with start, {second} and duration.")
        start, duration = _whole(row, "start", here), _whole(row, "duration", here)
        if not 0 <= start < END:
            raise InputError(f"{here} has the start {start}; it must be from 0 to {END - 1}.")
        if duration < 1:
            raise InputError(f"{here} has the duration {duration}; it must be 1 or more.")
        value: Any = row.get("symbol")
        if second == "pitch":
            value = _whole(row, "pitch", here)
            if not 0 <= value <= 127:
                raise InputError(f"{here} has the pitch {value}; it must be from 0 to 127.")
        elif not isinstance(value, str):
            raise InputError(f"{here} has no symbol.")
        yield start, value, min(duration, END - start)


def _whole(row: dict[str, Any], name: str, here: str) -> int:
    """Return a whole number; one that a program wrote as ``20.0`` is one, too."""
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise InputError(f"{here} has no whole number {name!r}.")
    return int(value)


def chord_of(name: str, path: Path | str = "") -> tuple[int, int, int]:
    """Return root, quality and bass of a symbol in Harte's syntax; -1 for no chord.

    A richer chord is taken for the triad or seventh chord in it.

    >>> chord_of("Bb:min"), chord_of("C:7/3"), chord_of("N")
    ((10, 1, 10), (0, 4, 4), (-1, -1, -1))

    Raises:
        InputError: where the symbol isn't in that syntax.
    """
    from mir_eval import chord as harte

    try:
        root, tones, bass = harte.encode(name)
    except harte.InvalidChordException as error:
        raise InputError(f"{path}: {name!r} isn't a chord in Harte's syntax ({error}).") from None
    if root < 0 or not (tones > 0).any():
        return -1, -1, -1
    above = {int(step) for step in np.flatnonzero(tones > 0)}
    return int(root), quality_of(above), int(root + bass) % 12


# --- sheets as pieces ---------------------------------------------------------------------------


def notes_of(notes: tuple[Note, ...], origin: int, velocity: int, *, tune: bool) -> NoteTable:
    """Return notes as a table in quarters from ``origin``."""
    columns = np.array(notes, int).reshape(-1, 3)
    return make_notes(
        (columns[:, 0] - origin) / STEPS,
        columns[:, 2] / STEPS,
        columns[:, 1],
        velocity,
        melody=tune,
    )


def piece_of(sheet: Sheet, title: str = "", tempo: float = TEMPO) -> Piece:
    """Return a lead sheet's melody as a piece with chord symbols and its bars.

    A note ends where the next one begins; of notes that begin together the highest is taken.
    """
    tops = {note.start: note for note in sheet.melody}  # sorted by pitch, so the last is highest
    starts = [*tops, END]
    line = tuple(
        note._replace(duration=min(note.duration, following - note.start))
        for note, following in zip(tops.values(), starts[1:], strict=True)
    )
    origin = sheet.origin
    first = 0 if origin < BAR else BAR
    bars = [((place - origin) / STEPS, BAR / STEPS, 4, 4) for place in range(first, END, BAR)]
    return Piece(
        notes_of(line, origin, TUNE_VELOCITY, tune=True),
        "score",
        np.array(bars, BAR_DTYPE),
        TempoMap.steady(60.0 / tempo),
        parts=PIANO.names,
        chords=_symbols(sheet.chords, origin),
        title=title,
    )


def _symbols(chords: tuple[Chord, ...], origin: int) -> tuple[tuple[float, ChordSymbol], ...]:
    """Return chord symbols with their quarters; there is no chord in a gap."""
    found: dict[int, ChordSymbol] = {}
    for start, name, duration in chords:
        if start + duration > origin:
            chord = chord_of(name)
            found[max(start, origin)] = ChordSymbol(symbol(*chord), *chord)
            found[start + duration] = ChordSymbol(NO_CHORD)
    return tuple(((place - origin) / STEPS, found[place]) for place in sorted(found) if place < END)


# --- arranging ----------------------------------------------------------------------------------


def arrange(
    sheet: Sheet, model: StyleTransfer, style: str, *, title: str = "", **chosen: Any
) -> tuple[Note, ...]:
    """Make an accompaniment of a lead sheet.

    Args:
        sheet: melody and chords.
        model: what arranges it.
        style: as ``apply`` takes it.
        title: of the sheet.
        chosen: other options of ``apply``.
    """
    from styletransfer.engraving.files import score_bytes

    piece = piece_of(sheet, title)
    chords = chords_of_symbols(piece.chords, piece.bars)
    sung = int(np.searchsorted(piece.bars["start"], piece.notes["onset"].max(), side="right"))
    line = line_of(chords, piece.bars[:sung], estimate_key(piece.notes))
    if piece.bars["start"][0] < 0:
        line = line[1:]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sheet.musicxml"
        path.write_bytes(score_bytes(piece, path, title, chords=chords))
        defaults: dict[str, Any] = {
            "chords": " | ".join(line),
            "keep_register": True,
            "on_top": False,
        }
        music = model.apply(path, style, **(defaults | chosen))
    found = music.piece
    shift = sheet.melody[0].start / STEPS - float(found.melody["onset"].min())
    return rounded(found.accompaniment, shift)


def rounded(notes: NoteTable, shift: float) -> tuple[Note, ...]:
    """Round notes to the task's sixteenths.

    What begins in the pick-up's bar is left out, as the task asks; notes end with the last bar, and
    where their pitch begins again.

    Args:
        notes: times in quarters.
        shift: quarters from the beginning of the pick-up's bar to the notes' 0.
    """
    begin = np.round((notes["onset"] + shift) * STEPS).astype(int)
    end = np.round((notes["onset"] + notes["duration"] + shift) * STEPS).astype(int)
    lasting: dict[tuple[int, int], int] = {}  # the end of each pitch and start
    for start, stop, pitch in zip(begin.tolist(), end.tolist(), notes["pitch"], strict=True):
        if BAR <= start < END:
            key = int(pitch), start
            lasting[key] = max(lasting.get(key, 0), min(max(stop, start + 1), END))
    found: list[Note] = []
    following: dict[int, int] = {}  # where each pitch begins next
    for pitch, start in sorted(lasting, reverse=True):
        stop = min(lasting[pitch, start], following.get(pitch, END))
        found.append(Note(start, pitch, stop - start))
        following[pitch] = start
    return tuple(sorted(found))


def whole(sheet: Sheet, notes: tuple[Note, ...], title: str = "", tempo: float = TEMPO) -> Piece:
    """Return melody and accompaniment as a piece of a melody and two hands."""
    rest = notes_of(notes, sheet.origin, VELOCITY, tune=False)
    return with_hands(piece_of(sheet, title, tempo), rest)


def with_hands(tune: Piece, rest: NoteTable) -> Piece:
    """Put a tune and an accompaniment together as a piece of a melody and two hands.

    All notes of each are equally loud, and there is no pedal.
    """
    melody, rest = tune.notes.copy(), rest.copy()
    melody["melody"], melody["part"], melody["velocity"] = True, 0, TUNE_VELOCITY
    rest["melody"], rest["velocity"] = False, VELOCITY
    PIANO.give_parts(rest, "score", melody)
    both = replace(tune, parts=PIANO.names, chords=(), pedals=())
    return both.with_notes(np.concatenate([melody, rest]))


def main(argv: list[str] | None = None) -> int:
    """Arrange lead sheets."""
    parser = recipe_parser(__doc__)
    parser.prog = "python -m eval.mirex"
    parser.add_argument("inputs", type=Path, nargs="+", metavar="INPUT.json", help="lead sheets")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--samples", type=int, default=1, help="accompaniments of each sheet")
    parser.add_argument("--style", default=STYLE, help=f"as apply takes it, by default {STYLE}")
    parser.add_argument("--seed", type=int, default=0, help="of the first sample; then one more")
    parser.add_argument(
        "--candidates",
        type=int,
        default=SamplingConfig.candidates,
        help="candidates for each sample",
    )
    parser.add_argument("--model", type=Path, help="a folder of weights, not those that ship")
    parser.add_argument(
        "--hold",
        action="store_true",
        help="hold every note to the tones of its chord, as --chords keep does",
    )
    parser.add_argument("--midi", action="store_true", help="write MIDI files, too")
    parser.add_argument("--tempo", type=float, default=TEMPO, help="of these, quarters a minute")
    arguments = parser.parse_args(argv)

    return exit_code(lambda: make(arguments))


def make(arguments: argparse.Namespace) -> int:
    """Arrange all sheets that a command line names."""
    if not 1 <= arguments.samples <= 99:
        raise InputError(f"--samples {arguments.samples}: give a number from 1 to 99.")
    if not 10 <= arguments.tempo <= 400:
        raise InputError(f"--tempo {arguments.tempo:g}: give a number from 10 to 400.")
    names = [path.stem for path in arguments.inputs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{twice[0]}.json: two inputs have this name; rename one of them.")
    sheets = {path: read_sheet(path) for path in arguments.inputs}

    model = StyleTransfer.from_pretrained(arguments.model)
    chosen = {"chords": "keep"} if arguments.hold else {}
    for path, sheet in sheets.items():
        folder = arguments.out / path.stem if len(sheets) > 1 else arguments.out
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(arguments.samples):
            notes = arrange(
                sheet,
                model,
                arguments.style,
                title=path.stem,
                seed=arguments.seed + number,
                candidates=arguments.candidates,
                **chosen,
            )
            file = folder / f"sample_{number + 1:02}.json"
            write_accompaniment(file, notes)
            if arguments.midi:
                piece = whole(sheet, notes, path.stem, arguments.tempo)
                write_midi(piece, file.with_suffix(".mid"), force=True)
            print(f"{file}: {len(notes)} notes", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
