"""Compare what our readers and other programs make of the same files.

    python -m benchmarks.reading FOLDER… [--each 300] [--write benchmarks/reading.md]

Files of every format are taken from the folders, evenly, ``--each`` of a format (of ABC as many
tunes); ``corpus`` stands for music21's. Every bar is read once, without repeats, where the other
program has no order of playing of its own. A file is *equal* where the same pitches begin at the
same places, to a fiftieth of a quarter; *graces* where only notes within a quarter of a grace note
differ, whose time every program takes from other notes. MuseScore's files are compared with their
export to MusicXML, where one lies beside them; *silent* are those that differ by notes alone that
aren't to be played, which the export doesn't say. *Explained* are files of MusicXML, each of whose
differences falls under a rule of ``benchmarks.reading_differences`` that looks at the file, and
tunes of ABC that are equal once both programs read them as one of its rules for tunes writes them.
*Refused* are those that either program can't read.
"""

from __future__ import annotations

import base64
import importlib.util
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import numpy as np

from benchmarks.reading_differences import (
    BARS,
    RULES,
    TUNE_RULES,
    Notes,
    reasons,
    tune_reasons,
    unlike,
)
from benchmarks.reading_kern import struck, without_graces
from styletransfer.configuration import recipe_parser
from styletransfer.errors import InputError
from styletransfer.formats import kern, parts
from styletransfer.formats.midi_in import parse_midi
from styletransfer.formats.read import READERS, read_score, read_tunes
from styletransfer.formats.xml_tree import tree, xml_of
from styletransfer.music.notes import Piece

Why = Callable[[], Counter[str] | None]
"""Gives the reasons why notes differ, if each has one; called only where notes differ."""
Case = tuple[str, Piece, Notes, Why]
COMPARED = (
    ("MIDI", "mido"),
    ("MusicXML", "verovio"),
    ("MuseScore", "its own export"),
    ("ABC", "abc2midi"),
    ("kern", "verovio"),
    ("kern", "a count of tokens"),
)
"""Formats, and what our reading of them is compared with."""
Item = TypeVar("Item")
KNOWN, UNKNOWN = ("equal", "graces", "silent"), ("explained", "different", "refused")
KERN_TIES = (
    "ties",
    "a tie from before a first ending into the second, as each bar is read once here; or a tie "
    "that began nowhere, whose note is struck",
)
REASONS = [
    ("MusicXML", *BARS),
    *(("MusicXML", name, words) for name, (_, words) in RULES.items()),
    *(("ABC", name, words) for name, (_, words) in TUNE_RULES.items()),
    ("kern", *KERN_TIES),
]
"""The format, the name and the words of each reason."""
_ORNAMENTS = re.compile(r'("[^"]*"|\[[A-Za-z]:[^\]]*\])|![^!\s]*!|\{[^}]*\}|[~H-Wh-w]')
GRACE = 0.126
"""Quarters: our grace notes aren't longer than this."""


def notes_of(piece: Piece) -> Notes:
    """Return which pitches begin where."""
    return {(float(onset), int(pitch)) for onset, pitch in piece.notes[["onset", "pitch"]]}


def by_mido(path: Path) -> Notes:
    """Read the notes of a MIDI file, except drums, by mido."""
    import mido

    file = mido.MidiFile(path, clip=True)
    found: Notes = set()
    for track in file.tracks:
        tick, open_notes = 0, dict[tuple[int, int], list[int]]()
        for message in track:
            tick += message.time
            if message.type == "note_on" and message.velocity and message.channel != 9:
                open_notes.setdefault((message.channel, message.note), []).append(tick)
            elif message.type in {"note_on", "note_off"} and message.channel != 9:
                begun = open_notes.get((message.channel, message.note))
                if begun:
                    place = begun.pop(0) / file.ticks_per_beat
                    found.add((place, message.note))
    return found


def by_verovio(text: str, kind: str) -> tuple[Notes, list[float]]:
    """Read kern or MusicXML, each bar once, by verovio; return notes and bars.

    The latter are where it begins bars.
    """
    import verovio

    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit(True)
    toolkit.setOptions({"expandNever": True})
    toolkit.setInputFrom(kind)
    if not toolkit.loadData(text):
        return set(), []
    midi = base64.b64decode(toolkit.renderToMIDI())
    places = toolkit.renderToTimemap({"includeMeasures": True})
    bars = [place["qstamp"] for place in places if "measureOn" in place]
    return notes_of(parse_midi(midi, "verovio", "score")), bars


def plain(lines: Sequence[str]) -> str:
    """Leave out of a tune what abc2midi plays in its own way.

    That is ornaments, fermatas and grace notes, and the accompaniment that it makes of chord
    symbols.
    """
    key = next(k for k, line in enumerate(lines) if line.startswith("K:"))
    head = [line for line in lines[: key + 1] if not line.startswith("R:")]  # hornpipes swing
    music = [
        line
        if re.match(r"[A-Za-z+]:(?![|:])|%%", line)
        else _ORNAMENTS.sub(lambda found: found[1] or "", line)
        for line in lines[key + 1 :]
    ]
    return "\n".join((*head, "%%MIDI gchordoff", "%%MIDI chordattack 0", *music)) + "\n"


def by_abc2midi(path: Path) -> Notes:
    """Read the notes of a tune by abc2midi, which symusic contains."""
    import symusic

    score: Any = symusic.Score(path)
    return {
        (note.time / score.ticks_per_quarter, note.pitch)
        for track in score.tracks
        if not track.is_drum
        for note in track.notes
    }


def tune_by_both(name: str, lines: Sequence[str]) -> Case:
    """Read a tune, by us and by abc2midi."""

    def read(lines: Sequence[str]) -> tuple[Piece, Notes]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "tune.abc")
            path.write_text(plain(lines), encoding="utf-8")
            return read_score(path), by_abc2midi(path)

    def equal(lines: Sequence[str]) -> bool:
        try:
            return verdict(*read(lines)) in {"equal", "graces"}
        except InputError:
            return False

    return name, *read(lines), partial(tune_reasons, lines, equal)


def once(path: Path) -> Piece:
    """Read a score in which every bar is played once."""

    def in_order(signs: list[object]) -> list[int]:
        return list(range(len(signs)))

    with (
        mock.patch.object(parts, "in_playing_order", in_order),
        mock.patch.object(kern, "in_playing_order", in_order),
        mock.patch.object(kern, "sections_in_order", return_value=[]),
    ):
        return read_score(path)


def cases_of(files: list[Path], kind: str, other: str, most: int) -> list[Callable[[], Case]]:
    """List the comparisons for which files of a format are suited.

    There are at most so many, evenly chosen.
    """
    if other == "a count of tokens":
        return [partial(tokens_by_both, path) for path in _evenly(files, most)]
    if kind == "ABC":
        tunes = [
            (f"{path.name} {tune.number}", tune.lines)
            for path in files
            for tune in read_tunes(path)
        ]
        return [partial(tune_by_both, *tune) for tune in _evenly(tunes, most)]
    if kind == "MuseScore":
        files = [path for path in files if path.with_suffix(".mxl").is_file()]
    return [partial(by_both, path, kind) for path in _evenly(files, most)]


def _evenly(items: list[Item], most: int) -> list[Item]:
    return items[:: max(len(items) // most, 1)][:most]


def tokens_by_both(path: Path) -> Case:
    """Compare kern without grace notes: the pitches struck together, in order.

    A chord's place is its number.
    """
    text = without_graces(path.read_bytes().decode("utf-8", "replace"))
    with tempfile.TemporaryDirectory() as folder:
        plain_kern = Path(folder, path.name)
        plain_kern.write_text(text, encoding="utf-8")
        piece = once(plain_kern)
    places = np.unique(np.round(piece.notes["onset"], 3), return_inverse=True)[1]
    notes = piece.notes.copy()
    notes["onset"] = places
    tokens = {(float(k), pitch) for k, chord in enumerate(struck(text)) for pitch in chord}
    piece = replace(piece, notes=notes)

    def why() -> Counter[str] | None:
        """Count what we strike beyond the tokens, if all are later halves of ties."""
        held = {(float(k), pitch) for k, row in enumerate(struck(text, True)) for pitch in row}
        more, less = unlike(notes_of(piece), tokens)
        return Counter({KERN_TIES[0]: len(more)}) if not less and more <= held else None

    return path.name, piece, tokens, why


def by_both(path: Path, kind: str) -> Case:
    """Read a file, by us and by the other program."""
    if kind == "MIDI":
        return path.name, read_score(path, "score"), by_mido(path), no_reason
    if kind == "MuseScore":
        export = notes_of(read_score(path.with_suffix(".mxl")))
        return path.name, read_score(path), export, no_reason
    if kind == "kern":
        text = path.read_bytes().decode("utf-8", "replace")
        return path.name, once(path), by_verovio(text, "humdrum")[0], no_reason
    data = xml_of(path.read_bytes(), path.name, (".xml", ".musicxml"))
    text = data.decode("utf-16" if data[:1] in {b"\xff", b"\xfe"} else "utf-8", "replace")
    text = re.sub(r"<(non-)?arpeggiate[^>]*>", "", text)  # verovio spreads them
    piece, (theirs, bars) = once(path), by_verovio(text, "xml")
    why = partial(reasons, tree(data, path.name), notes_of(piece), theirs, bars)
    return path.name, piece, theirs, why


def no_reason() -> None:
    """Give no reason: there are no rules for this format."""


def verdict(piece: Piece, other: Notes) -> str:
    """Return ``equal``, ``graces``, ``silent``, or by how many notes they differ."""
    more, less = unlike(notes_of(piece), other)
    if not more and not less:
        return "equal"
    silent = any("silent cue" in remark for remark in piece.remarks)
    if silent and not more:
        return "silent"
    short = sorted(notes_of(replace(piece, notes=piece.notes[piece.notes["duration"] < GRACE])))
    places = np.array([place for place, _ in short] or [np.inf])
    apart = [np.abs(places - place).min() for place, _ in more | less]
    if max(apart) <= 1 and len(more) == len(less):
        return "graces"
    return f"{len(more)} more, {len(less)} fewer of {len(other)}"


def main(argv: list[str] | None = None) -> None:
    parser = recipe_parser(__doc__)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--each", type=int, default=300)
    parser.add_argument("--only", help="the name of one format")
    parser.add_argument("--by", help="the name of one other reader")
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args(argv)
    corpus = importlib.util.find_spec("music21")
    folders = [
        Path(str(corpus and corpus.origin)).parent / "corpus" if name == "corpus" else Path(name)
        for name in arguments.folders
    ]
    rows, different, why = [], list[str](), Counter[tuple[str, str]]()
    for kind, oracle in COMPARED:
        if arguments.only not in {None, kind} or arguments.by not in {None, oracle}:
            continue
        suffixes = next(reader.suffixes for reader in READERS if reader.name == kind)
        files = sorted(
            path
            for folder in folders
            for path in folder.rglob("*")
            if path.suffix.lower() in suffixes and not path.name.startswith(".")
        )
        found = Counter[str]()
        for case in cases_of(files, kind, oracle, arguments.each):
            try:
                name, piece, other, reasons_of = case()
            except (InputError, RuntimeError) as error:  # the latter is abc2midi's
                found["refused"] += 1
                different.append(f"{kind}: {error}")
                continue
            word = verdict(piece, other)
            if word not in KNOWN:
                said = reasons_of()
                different.append(f"{kind}: {name}: {word} {dict(said or {})}")
                why.update((kind, reason) for reason in said or ())
                word = "different" if said is None else "explained"
            found[word] += 1
        counts = " | ".join(str(found[word]) for word in (*KNOWN, *UNKNOWN))
        rows.append(f"| {kind} | {oracle} | {found.total()} | {counts} |")
        print(rows[-1], flush=True)

    print("\n".join(different))
    if arguments.write:
        head = f"| format | other reader | compared | {' | '.join((*KNOWN, *UNKNOWN))} |"
        page(arguments.write, "table", head, rows)
        formats = {row.split("|")[1].strip() for row in rows}
        lines = [
            f"| {kind} | {words} | {why[kind, name]} |"
            for kind, name, words in REASONS
            if kind in formats
        ]
        page(arguments.write, "reasons", "| format | reason | files |", lines)


def page(path: Path, name: str, head: str, rows: list[str]) -> None:
    """Put rows into a page's table, instead of those with the same first two columns."""
    begin, end = f"<!-- {name} -->", "<!-- end -->"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    text = text if begin in text else f"{text}\n{begin}\n{end}\n"
    before, _, rest = text.partition(begin)
    old, _, after = rest.partition(end)
    fresh = {tuple(row.split("|")[1:3]) for row in rows}
    old_rows = old.strip().splitlines()[2:]
    kept = [row for row in old_rows if tuple(row.split("|")[1:3]) not in fresh]
    order = [reader.name for reader in READERS]
    ordered = sorted([*kept, *rows], key=lambda row: order.index(row.split("|")[1].strip()))
    table = "\n".join((head, "|---" * (head.count("|") - 1) + "|", *ordered))
    path.write_text(f"{before}{begin}\n{table}\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
