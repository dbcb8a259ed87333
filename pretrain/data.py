"""Write the table of the training data into pretrain/README.md.

    python -m pretrain.data --data data/prepared

From a prepared data set, in seconds, it writes between the markers ``<!-- begin data -->`` and
``<!-- end data -->`` how many pieces there are, by composer and in all, and in which splits. No
number in that table is typed by hand.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from styletransfer.configuration import recipe_parser
from styletransfer.data.library import SPLITS, Library
from styletransfer.music.composers import ERAS, UNKNOWN, Era, display_name

OWN_ROW = 20
"""The number of pieces from which a composer has a row; the others share one for each era."""


def main(argv: list[str] | None = None) -> int:
    """Write the table, and return the exit code."""
    parser = recipe_parser(__doc__, data=True)
    parser.add_argument("--readme", type=Path, default=Path("pretrain/README.md"))
    arguments = parser.parse_args(argv)

    from styletransfer.errors import InputError
    from styletransfer.evaluation.markdown import fill
    from styletransfer.files import write_atomically

    try:
        table = data_table(Library.load(arguments.data))
        text = arguments.readme.read_text(encoding="utf-8")
        write_atomically(arguments.readme, fill(text, {"data": table}).encode())
    except (OSError, InputError) as error:
        print(f"{arguments.readme}: {error}", file=sys.stderr)
        return 2
    return 0


def data_table(library: Library) -> str:
    """Tabulate pieces by composer, era, feel, tune and split, and their notes.

    Notes of melodies and of accompaniments are counted separately. A *song* is a score whose melody
    is a part of its own.
    """
    columns = [
        "performances",
        "scores",
        "songs among these",
        *SPLITS,
        "melody notes",
        "accompaniment notes",
    ]
    lines = [f"| composer | era | {' | '.join(columns)} |", f"|---|---|{'---:|' * len(columns)}"]

    rows: dict[tuple[int, str, Era], list[int]] = {}
    composers = [piece.composer for piece in library.pieces]
    for index, piece in enumerate(library.pieces):
        own = piece.composer != UNKNOWN and composers.count(piece.composer) >= OWN_ROW
        place, name = (
            (0, display_name(piece.composer)) if own else (1 + ERAS.index(piece.era), "others")
        )
        rows.setdefault((place, name, piece.era), []).append(index)

    for key in sorted(rows, key=lambda one: (one[0], -len(rows[one]), one[1])):
        lines.append(f"| {key[1]} | {key[2]} | {' | '.join(_cells(library, rows[key]))} |")
    cells = " | ".join(f"**{cell}**" for cell in _cells(library, range(len(library))))
    return "\n".join([*lines, f"| **all** | | {cells} |"])


def _cells(library: Library, indices: Iterable[int]) -> list[str]:
    """Return the numbers of a row."""
    chosen = list(indices)
    pieces = [library.pieces[i] for i in chosen]
    melody = sum(int(library.notes(i)["melody"].sum()) for i in chosen)
    counts = [
        sum(piece.feel == "performance" for piece in pieces),
        sum(piece.feel == "score" for piece in pieces),
        sum(piece.tune == "part" for piece in pieces),
        *(sum(piece.split == split for piece in pieces) for split in SPLITS),
        melody,
        sum(piece.count for piece in pieces) - melody,
    ]
    return [f"{count:,}" if count else "" for count in counts]


if __name__ == "__main__":
    sys.exit(main())
