r"""Hold a blind jury: write pages to compare versions, and tabulate the marks.

    python -m eval.jury pages runs/jury songs/tunes \
        composer=songs/composer before=songs/0.1.0 after=songs/0.2
    python -m eval.jury table runs/jury --write eval/results/jury.json

``pages`` writes ``pages/1.txt`` and so on, one for each song: the tune and every version's
accompaniment, bar by bar, the versions in random order under letters, the song in another key.
Notes that double the tune are left out, so that nothing but the music distinguishes the versions.
``key.json`` states which letter is which version; keep it from the readers. Their brief, and the
form of their answers (``jury-1.json``, ``jury-2.json`` …), is in ``eval/jury.md``.

``table`` prints means of marks and ranks, and each version's difference from the first, paired by
song, with a 95 % bootstrap interval over songs. Songs differ more than versions do, so compare
versions within one jury only.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.harmony import read_version, songs_in
from styletransfer.configuration import recipe_parser
from styletransfer.errors import InputError
from styletransfer.evaluation import markdown
from styletransfer.evaluation.comparison import plain
from styletransfer.evaluation.intervals import class_mean
from styletransfer.files import json_text, write_atomically
from styletransfer.music.notes import NoteTable, Piece

AXES = ("harmony", "coherence", "texture", "creativity", "musicality")
LETTERS = "ABCDEFGH"
NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
SHIFTS = (-3, -2, -1, 1, 2, 3)  # semitones: never the key in which a reader may know a song
GRID = 48  # positions in a quarter
MIDDLE_C = 60

Key = dict[str, dict[str, str]]
"""By page, the song, and the version of each letter."""


def write_pages(
    out: Path, tunes: Path, folders: dict[str, Path], songs: list[str], bars: int, seed: int
) -> Key:
    """Write a page for each song, and the key."""
    rng = random.Random(seed)
    (out / "pages").mkdir(parents=True, exist_ok=True)
    key: Key = {}
    for number, song in enumerate(songs, start=1):
        order = rng.sample(list(folders), len(folders))
        shift = rng.choice(SHIFTS)
        page = []
        for letter, name in zip(LETTERS, order, strict=False):
            tune, rest = read_version(tunes, folders[name], song)
            page.append(f"Version {letter}\n{text(tune, rest, bars, shift)}\n")
        page.insert(0, f"Piece {number}, {heading(tune)}\n")
        write_atomically(out / "pages" / f"{number}.txt", "\n".join(page).encode())
        key[str(number)] = {"song": song} | dict(zip(LETTERS, order, strict=False))
    write_json(out / "key.json", {"versions": list(folders), "pages": key})
    return key


def heading(tune: Piece) -> str:
    """State metre, tempo, and what the columns are."""
    bar = tune.bars[0]
    return (
        f"{bar['numerator']}/{bar['denominator']}, {tune.tempo.quarters_per_minute():.0f} quarters "
        "per minute.\nColumns: quarters from the bar's beginning | tune | accompaniment from "
        "middle C (C4) up | below. After the colon: length in quarters."
    )


def text(tune: Piece, rest: NoteTable, bars: int, shift: int) -> str:
    """Write a version as text, with a line for each onset.

    Notes that begin with a note of the tune at its pitch are left out.
    """
    lines = []
    for number, bar in enumerate(tune.bars[:bars], start=1):
        lines.append(f"bar {number}")
        start, stop = float(bar["start"]), float(bar["start"] + bar["length"])
        sung, played = (by_onset(notes, start, stop) for notes in (tune.notes, rest))
        for onset in sorted(sung.keys() | played.keys()):
            own = sung.get(onset, [])
            others = [
                note for note in played.get(onset, []) if note[0] not in {pitch for pitch, _ in own}
            ]
            if own or others:
                columns = (
                    own,
                    [n for n in others if n[0] >= MIDDLE_C - shift],
                    [n for n in others if n[0] < MIDDLE_C - shift],
                )
                said = " | ".join(
                    " ".join(spoken(*note, shift) for note in column) for column in columns
                )
                lines.append(f"  {onset / GRID:.3g} | {said}")

    return "\n".join(lines)


def by_onset(notes: NoteTable, start: float, stop: float) -> dict[int, list[tuple[int, float]]]:
    """Return a bar's notes (pitch, duration) by their position in it, lowest first."""
    found: dict[int, list[tuple[int, float]]] = {}
    position = np.round((notes["onset"] - start) * GRID).astype(int)
    for row in np.flatnonzero((position >= 0) & (position < round((stop - start) * GRID))):
        found.setdefault(int(position[row]), []).append(
            (int(notes["pitch"][row]), float(notes["duration"][row]))
        )
    return found


def spoken(pitch: int, duration: float, shift: int) -> str:
    """Write a note as ``F#4:1.5``."""
    return f"{NAMES[(pitch + shift) % 12]}{(pitch + shift) // 12 - 1}:{duration:.3g}"


def readings(folder: Path) -> tuple[list[str], list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Read what a jury answered.

    Returns:
        The versions; the song of each reading, (readings,); marks, (readings, versions, axes);
        ranks from 1, (readings, versions).

    Raises:
        InputError: if there is no key or no reader, or an answer lacks something.
    """
    key = read_json(folder / "key.json")
    versions, answers = key["versions"], sorted(folder.glob("jury-*.json"))
    if not answers:
        raise InputError(f"{folder}: it has no jury-*.json; eval/jury.md says what readers write.")
    songs, marks, ranks = [], [], []
    for path in answers:
        answer = read_json(path)
        for number, names in key["pages"].items():
            letter_of = {name: letter for letter, name in names.items() if letter != "song"}
            letters = [letter_of[version] for version in versions]
            page = answer.get(number, {})
            try:
                own = [[float(page[letter][axis]) for axis in AXES] for letter in letters]
                rank = [page["ranking"].index(letter) + 1 for letter in letters]
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"{path}: page {number} lacks a mark or a rank ({error})."
                ) from None
            if not all(1 <= mark <= 5 for row in own for mark in row) or len(
                page["ranking"]
            ) != len(letters):
                raise InputError(
                    f"{path}: page {number} has marks outside 1 to 5, or ranks of other versions."
                )
            songs.append(names["song"])
            marks.append(own)
            ranks.append(rank)

    return versions, songs, np.array(marks), np.array(ranks, float)


def report_of(folder: Path) -> dict[str, Any]:
    """Return means by version and axis, mean ranks, and differences from the first."""
    versions, songs, marks, ranks = readings(folder)
    whole = [
        class_mean(marks[:, place].mean(1), ["all"] * len(songs), songs)
        for place in range(len(versions))
    ]
    rows = {
        version: {
            **{axis: float(marks[:, place, k].mean()) for k, axis in enumerate(AXES)},
            "mean": float(marks[:, place].mean()),
            "rank": float(ranks[:, place].mean()),
            "preferred_to_first": int((ranks[:, place] < ranks[:, 0]).sum()),
        }
        for place, version in enumerate(versions)
    }
    less = {
        version: plain((whole[place] - whole[0]).interval())
        for place, version in enumerate(versions)
        if place
    }

    return {
        "songs": sorted(set(songs)),
        "readings": len(songs),
        "versions": rows,
        "less_first": less,
    }


def table(report: dict[str, Any]) -> Iterator[str]:
    """Write the table in Markdown, then a line for each difference."""
    columns = (*AXES, "mean", "rank")
    rows = [
        [version, *(f"{row[column]:.2f}" for column in columns)]
        for version, row in report["versions"].items()
    ]
    yield f"{markdown.table(['version', *columns], rows)}\n"
    first = next(iter(report["versions"]))
    for version, found in report["less_first"].items():
        less = markdown.interval(found["value"], found["low"], found["high"], "+.2f")
        preferred = (
            f"{report['versions'][version]['preferred_to_first']} of {report['readings']} readings"
        )
        yield f"{version} less {first}: {less}; preferred in {preferred}"


def read_json(path: Path) -> Any:
    """Read a file of JSON.

    Raises:
        InputError: if it can't be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: it can't be read ({error}).") from None


def write_json(path: Path, data: Any) -> None:
    """Write a file of JSON, with a row on a line."""
    write_atomically(path, json_text(data, 3).encode())


def main(argv: list[str] | None = None) -> int:
    """Write the pages of a jury, or the table of its marks."""
    parser = recipe_parser(__doc__)
    parser.prog = "python -m eval.jury"
    commands = parser.add_subparsers(dest="command", required=True)
    pages = commands.add_parser("pages", help="write pages and their key")
    pages.add_argument("out", type=Path, help="the folder to write")
    pages.add_argument("tunes", type=Path, help="a folder of MIDI files of tunes")
    pages.add_argument(
        "versions",
        nargs="+",
        metavar="NAME=FOLDER",
        help="the first one is compared with the others",
    )
    pages.add_argument("--lists", type=Path, help="a JSON file of lists of songs")
    pages.add_argument("--part", help="the list to take")
    pages.add_argument("--bars", type=int, default=12, help="bars of each song")
    pages.add_argument("--seed", type=int, default=0, help="of the order and the keys")
    marks = commands.add_parser("table", help="print the table of the marks")
    marks.add_argument("out", type=Path, help="the folder of the key and the answers")
    marks.add_argument("--write", type=Path, help="the JSON file to write")
    arguments = parser.parse_args(argv)

    try:
        if arguments.command == "pages":
            folders = {v.partition("=")[0]: Path(v.partition("=")[2]) for v in arguments.versions}
            if not 2 <= len(folders) <= len(LETTERS):
                raise InputError(f"{len(folders)} versions; a jury compares two to {len(LETTERS)}.")
            songs = songs_in(arguments.tunes, arguments.lists, arguments.part)
            key = write_pages(
                arguments.out, arguments.tunes, folders, songs, arguments.bars, arguments.seed
            )
            print(f"{arguments.out}: {len(key)} pages; move key.json away before readers see them")
        else:
            report = report_of(arguments.out)
            print("\n".join(table(report)))
            if arguments.write:
                write_json(arguments.write, report)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2

    return 0


if __name__ == "__main__":
    sys.exit(main())
