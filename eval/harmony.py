"""Compare accompaniments with the composer's own under the same tunes.

    python -m eval.harmony TUNES composer=DIR before=DIR after=DIR \\
        --write eval/results/harmony.json --page eval/harmony.md

TUNES holds a MIDI file for each song, with the tune alone; each DIR one of the same name (a suffix
after a hyphen is allowed) whose first track is that tune. The other versions are compared with the
first one, song by song. ``--lists FILE --part NAME`` takes the songs that a JSON file lists under
NAME. The measures, of harmony, figures, rests and closes, are those of
:mod:`styletransfer.evaluation.measures.accompaniment`. Random forests trained for this alone show
how well the measures tell a version from the first. They explain; nothing is chosen by them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer.configuration import recipe_parser
from styletransfer.errors import InputError
from styletransfer.evaluation.markdown import interval, table
from styletransfer.evaluation.measures.accompaniment import measures
from styletransfer.evaluation.measures.passage import Passage, passage, windows, without_doublings
from styletransfer.evaluation.versions import Row, paired, told_apart
from styletransfer.files import json_text, write_atomically
from styletransfer.formats.read import read_score
from styletransfer.music.chords import recognise
from styletransfer.music.notes import NoteTable, Piece

LABELS = {
    "chords": "chords per bar",
    "different_chords": "different chords",
    "bass_stays": "bass stays from half bar to half bar",
    "chord_tones": "accompaniment notes that are chord tones",
    "semitones": "accompaniment notes a semitone from the tune",
    "tune_at_chord": "tune notes that begin with a chord: belong to it",
    "tune_after_chord": "tune notes that begin while a chord lasts: belong to it",
    "unlike_bars": "bars with unlike pitch classes in tune and accompaniment (r < 0)",
    "key_likeness": "likeness of keys over four bars (r)",
    "naturals_in_bar": "altered tune notes with the natural in their bar",
    "naturals_in_chord": "altered tune notes with the natural in their chord",
    "dominant_before": "phrase ends with a dominant before them",
    "ends_on_dominant": "phrase ends on the dominant",
    "cadence_root": "final cadence V-I, both in root position",
    "cadence_inverted": "final cadence V-I in other positions, or VII-I",
    "cadence_plagal": "final cadence IV-I",
    "cadence_other": "final cadence of another kind",
    "figure": "figure like the nearest of the 4 bars before",
    "rhythm": "rhythm like the bar before",
    "commonest_rhythm": "bars in the commonest rhythm",
    "spread": "spread of notes per bar (deviation / mean)",
    "repeated_bars": "bars repeated literally",
    "repeated_thrice": "bars repeated literally, third time or later",
    "rests_answered": "16ths of rest in the tune in which the accompaniment begins notes",
    "without_bass": "half bars without a bass",
    "note_above": "tune notes with an accompaniment note above",
    "note_in_unison": "tune notes with an accompaniment note in unison",
}
"""All measures, in the order of the table."""

WINDOW = 8  # bars that the forest judges at a time

SAME = 0.05
"""The most by which a version's tune may be off, in quarters: its ticks may be rounded."""

SHOWN = [name for name in LABELS if not name.startswith(("cadence_", "note_"))]
"""What the forests see.

A window's end is no final cadence. The grammar of 0.1.0 forbids notes above the tune and in unison
with it, so that these alone would give it away.
"""

WARNING = (
    "These measures explain how versions differ. Nothing is chosen by them or tuned to them: "
    "candidates picked by such measures reached the composers' values, but a jury that marked "
    "blind liked them less, since pedals and repeated chords score well."
)

CONVENTIONS = (
    "Only bars under the tune count. Accompaniment notes that double the tune (those that begin "
    "with one of its notes, in unison or an octave away, except for an octave in the bass) are "
    "left out, except in the last two rows. Chords are recognised in the accompaniment alone. "
    "Definitions: `styletransfer/evaluation/measures/accompaniment.py`. Differences are paired by "
    "song, with 95 % bootstrap intervals over songs; t is the mean difference over its standard "
    "error. Nothing is corrected for the number of measures: of 27, about one has |t| > 2 by "
    "chance."
)

FORESTS = (
    "How well random forests that see {measures} of these measures, in windows of {bars} bars, "
    "tell each version from {reference}. They are cross-fitted by song, so that no forest judges a "
    "song that it was trained on. AUC is the share of pairs of songs in which the version is the "
    "one recognised as such."
)


def file_of(folder: Path, song: str) -> Path:
    """Find a song's file in a version's folder.

    Raises:
        InputError: if the folder has none.
    """
    own = [path for path in folder.glob("*.mid") if f"{path.stem}-".startswith(f"{song}-")]
    if own:
        return min(own, key=lambda path: (len(path.stem), path.stem))  # not that of a longer name
    raise InputError(f"{folder}: it has no {song}.mid; arrange that tune for this version, too.")


def read_version(tunes: Path, folder: Path, song: str) -> tuple[Piece, NoteTable]:
    """Read a song's tune, and the accompaniment of a version.

    Raises:
        InputError: if the version's first track isn't the tune.
    """
    tune, path = read_score(tunes / f"{song}.mid", "score"), file_of(folder, song)
    version = read_score(path, "score")
    first = version.notes["part"] == 0
    sung = version.notes[first]

    alike = len(sung) == len(tune.notes) and (sung["pitch"] == tune.notes["pitch"]).all()
    if not alike or np.abs(sung["onset"] - tune.notes["onset"]).max() > SAME:
        raise InputError(f"{path}: its first track isn't the tune; arrange with --keep-register.")

    return tune, version.notes[~first]


def passage_of(tune: Piece, accompaniment: NoteTable) -> Passage:
    """Recognise the chords of an accompaniment."""
    spans = recognise(without_doublings(accompaniment, tune.notes), tune.bars)
    return passage(tune.notes, accompaniment, tune.bars, spans)


def songs_in(tunes: Path, lists: Path | None, part: str | None) -> list[str]:
    """Name the songs of a folder, or those of one of the lists.

    Raises:
        InputError: if the file has no such list.
    """
    if lists is None:
        return sorted(path.stem for path in tunes.glob("*.mid"))
    try:
        return sorted(json.loads(lists.read_text(encoding="utf-8"))[part])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{lists}: it has no list {part} ({error}); use --part.") from None


def compare(tunes: Path, folders: dict[str, Path], songs: list[str]) -> dict[str, Any]:
    """Measure all versions of the songs, and compare each with the first."""
    rows: dict[str, list[Row]] = {}
    parts: dict[str, list[list[Row]]] = {}
    for name, folder in folders.items():
        passages = [passage_of(*read_version(tunes, folder, song)) for song in songs]
        rows[name] = [measures(one) for one in passages]
        parts[name] = [[measures(part) for part in windows(one, WINDOW)] for one in passages]
        print(f"{name}: {len(songs)} songs measured", flush=True)

    first, *others = folders
    return {
        "reference": first,
        "songs": songs,
        "compared": {name: paired(rows[name], rows[first], songs) for name in others},
        "told_apart": {name: told_apart(parts[name], parts[first], SHOWN) for name in others},
        "rows": rows,
    }


def page(report: dict[str, Any], command: str) -> str:
    """Write the tables in Markdown.

    Args:
        report: what :func:`compare` gives; None counts as NaN, as in a report read from a file.
        command: the command line that made it.
    """
    first, compared = report["reference"], report["compared"]
    lines = ["# Accompaniments under the same tunes", "", f"`{command}`", "", WARNING, ""]
    lines += [f"{len(report['songs'])} songs. {CONVENTIONS}", "", "## Versions told apart", ""]

    rows = [
        [
            f"{name}, told from {first}",
            interval(found["auc"], found["low"], found["high"], ".2f"),
            "0.50",
            f"{found['songs']:.0f}",
            f"{found['windows']:.0f}",
        ]
        for name, found in report["told_apart"].items()
    ]
    lines += [FORESTS.format(measures=len(SHOWN), bars=WINDOW, reference=first), ""]
    lines += [table(["versions", "AUC", "chance", "songs", "windows"], rows), ""]

    for name, found in compared.items():
        rows = [[label, *_cells(found[measure])] for measure, label in LABELS.items()]
        lines += [f"## {name}, compared with {first}", ""]
        lines += [table(["measure", first, name, "difference", "t", "songs"], rows), ""]
    return "\n".join(lines)


def _cells(row: Row) -> list[str]:
    """Write a comparison: both means, their difference and interval, t, the songs."""
    return [
        interval(row["reference"]),
        interval(row["value"]),
        interval(row["difference"], row["low"], row["high"], "+.3f"),
        interval(row["t"], form="+.1f"),
        f"{row['songs']:.0f}",
    ]


def main(argv: list[str] | None = None) -> int:
    """Compare versions, and write the report and its page."""
    parser = recipe_parser(__doc__)
    parser.prog = "python -m eval.harmony"
    parser.add_argument("tunes", type=Path, help="a folder of MIDI files of tunes")
    parser.add_argument("versions", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--lists", type=Path, help="a JSON file of lists of songs")
    parser.add_argument("--part", help="the list to take")
    parser.add_argument("--write", type=Path, help="the JSON file to write")
    parser.add_argument("--page", type=Path, help="the page to write")
    arguments = parser.parse_args(argv)

    folders = {v.partition("=")[0]: Path(v.partition("=")[2]) for v in arguments.versions}
    songs = songs_in(arguments.tunes, arguments.lists, arguments.part)
    report = compare(arguments.tunes, folders, songs)
    command = " ".join(["python -m eval.harmony", *(argv if argv is not None else sys.argv[1:])])
    text = page(report, command)
    print(text)

    if arguments.write:
        data = json_text({"command": command} | report, 3).replace("NaN", "null")
        write_atomically(arguments.write, data.encode())
    if arguments.page:
        write_atomically(arguments.page, text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
