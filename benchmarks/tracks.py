"""Count the pop songs whose melody is taken from the right track.

    python -m benchmarks.tracks POP909_FOLDER [--write benchmarks/tracks.md]

POP909 (Wang et al., ISMIR 2020) names its tracks MELODY, BRIDGE and PIANO. The first 100 files by
name are read with all their tracks; a song counts if every note of the chosen melody comes from
MELODY. This is done with the names of the tracks, and again without them, where only the notes can
decide.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from styletransfer.configuration import recipe_parser
from styletransfer.evaluation.markdown import table
from styletransfer.formats.read import read_score
from styletransfer.music.melody import extract_melody
from styletransfer.music.notes import Piece

SONGS = 100


def taken(piece: Piece, named: bool = True) -> list[str]:
    """Name the track of each note of the chosen melody.

    Args:
        piece: a song with its tracks.
        named: whether the names of the tracks may be seen.
    """
    nameless = tuple(f"track {number}" for number in range(1, len(piece.parts) + 1))
    mask = extract_melody(piece if named else replace(piece, parts=nameless))
    return [piece.parts[part] for part in piece.notes["part"][mask]]


def main(argv: list[str] | None = None) -> None:
    """Read the songs, and print or write the table."""
    parser = recipe_parser(__doc__)
    parser.add_argument("folder", type=Path, help="the folder of POP909's MIDI files")
    parser.add_argument("--write", type=Path, help="the page to write")
    arguments = parser.parse_args(argv)

    files = sorted(arguments.folder.glob("[0-9][0-9][0-9].mid"))[:SONGS]
    rows = []
    for named in (True, False):
        found = {file.stem: taken(read_score(file), named) for file in files}
        others = [song for song, tracks in found.items() if set(tracks) != {"MELODY"}]
        share = np.median([tracks.count("MELODY") / len(tracks) for tracks in found.values()])
        which = f" (not {', '.join(others)})" if 0 < len(others) <= 10 else ""
        count = f"{len(files) - len(others)} of {len(files)}{which}"
        rows.append(("seen" if named else "hidden", count, f"{share:.0%}"))

    text = "\n".join(
        [
            "# The track chosen as the melody",
            "",
            "How often the melody of a pop song is taken from the right track. Measured on the "
            f"first {len(files)} files of POP909, with all their tracks. A song counts as right if "
            "the whole melody comes from the track MELODY.",
            "",
            "Made by `python -m benchmarks.tracks POP909_FOLDER --write benchmarks/tracks.md`.",
            "",
            table(("names of the tracks", "songs right", "notes from MELODY, median"), rows),
            "",
        ]
    )
    print(text)
    if arguments.write:
        arguments.write.write_text(text)


if __name__ == "__main__":
    main()
