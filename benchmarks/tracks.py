"""Count the songs whose melody is taken from the right track.

    python -m benchmarks.tracks FOLDER… [--each 120] [--write benchmarks/tracks.md]

Every folder is a collection of MIDI files, of which so many are evenly chosen, by name. A song is
counted if one of its tracks is called MELODY, Melody or Voice and another one has notes; the track
of that name is its melody, and the song is *right* if every note of the chosen melody comes from
this track. The F1 of a collection is that of all its melody notes. This is done with the names of
the tracks, and again without them, where only the notes, and the order of the tracks, can decide.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from styletransfer.configuration import recipe_parser
from styletransfer.errors import InputError
from styletransfer.evaluation.markdown import table
from styletransfer.formats.read import read_score
from styletransfer.music.melody import extract_melody
from styletransfer.music.notes import Piece

MELODIES = {"MELODY", "Melody", "Voice"}
COLUMNS = ("collection", "names of the tracks", "right", "share", "note F1", "recall", "precision")


class Taken(NamedTuple):
    """Counts for a song: chosen melody notes, other chosen notes, all melody notes."""

    melody: int
    others: int
    there: int


def taken(piece: Piece, named: bool = True) -> list[str]:
    """Name the track of each note of the chosen melody.

    Args:
        piece: a song with its tracks.
        named: whether the names of the tracks may be seen.
    """
    nameless = tuple(f"track {number}" for number in range(1, len(piece.parts) + 1))
    mask = extract_melody(piece if named else replace(piece, parts=nameless))
    return [piece.parts[part] for part in piece.notes["part"][mask]]


def compared(piece: Piece, named: bool) -> Taken:
    """Count what is taken of a song."""
    found = taken(piece, named)
    right = sum(name in MELODIES for name in found)
    there = sum(piece.parts[part] in MELODIES for part in piece.notes["part"])
    return Taken(right, len(found) - right, there)


def songs(folder: Path, most: int) -> dict[str, Piece]:
    """Read songs of a folder with a melody track and another one, evenly chosen."""
    files = sorted(folder.rglob("*.mid"))
    found: dict[str, Piece] = {}
    for file in files[:: max(len(files) // most, 1)]:
        try:
            piece = read_score(file)
        except InputError:
            continue
        sounding = {piece.parts[part] for part in np.unique(piece.notes["part"])}
        if len(found) < most and len(sounding & MELODIES) == 1 and len(sounding) > 1:
            found[file.stem] = piece
    return found


def row(name: str, named: bool, counts: dict[str, Taken]) -> tuple[str, ...]:
    """Make a line of the table."""
    wrong = [song for song, count in counts.items() if count.others or not count.melody]
    which = f" (not {', '.join(wrong)})" if 0 < len(wrong) <= 3 else ""
    melody, others, there = (sum(column) for column in zip(*counts.values(), strict=True))
    right = len(counts) - len(wrong)
    return (
        name,
        "seen" if named else "hidden",
        f"{right} of {len(counts)}{which}",
        f"{right / len(counts):.0%}",
        f"{2 * melody / (melody + others + there):.3f}",
        f"{melody / there:.3f}",
        f"{melody / max(melody + others, 1):.3f}",
    )


def main(argv: list[str] | None = None) -> None:
    """Read the songs, and print or write the table."""
    parser = recipe_parser(__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--each", type=int, default=120, help="songs of a collection at most")
    parser.add_argument("--write", type=Path, help="the page to write")
    arguments = parser.parse_args(argv)

    rows, count = [], 0
    for folder in arguments.folders:
        pieces = songs(folder, arguments.each)
        count += len(pieces)
        for named in (True, False):
            counts = {song: compared(piece, named) for song, piece in pieces.items()}
            rows.append(row(folder.name, named, counts))
            print(*rows[-1], flush=True)

    text = "\n".join(
        [
            "# The track chosen as the melody",
            "",
            "How often a song's melody is taken from the right track. Measured on "
            f"{count} songs from {len(arguments.folders)} collections, each with all its tracks. A "
            "song is right if the whole chosen melody comes from the track called MELODY, Melody "
            "or Voice.",
            "",
            "Made by `python -m benchmarks.tracks FOLDER… --write benchmarks/tracks.md`.",
            "",
            table(COLUMNS, rows),
            "",
        ]
    )
    if arguments.write:
        arguments.write.write_text(text)


if __name__ == "__main__":
    main()
