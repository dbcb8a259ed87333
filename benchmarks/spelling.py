"""Measure how many notes are spelt as printed.

    python -m benchmarks.spelling FOLDER... --write

Each folder is a clone of one of the corpora of the Digital and Cognitive Musicology Lab
(https://github.com/DCMLab), whose ``notes`` and ``measures`` have a table for each movement: the
pitch and the printed name of each note, and the key signature of each bar. Of each folder the first
:data:`MOST` movements are taken, by name. Notes get their key signature, as a MIDI file states it,
and no more.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from styletransfer.configuration import recipe_parser
from styletransfer.evaluation.markdown import table
from styletransfer.music.notes import NoteTable, make_notes
from styletransfer.music.spelling import spell

MOST = 50
GRACE = 0.125
"""Quarters that a grace note lasts here."""
PAGE = Path("benchmarks/spelling.md")
BEFORE = {
    "chopin_mazurkas": 0.9786,
    "grieg_lyric_pieces": 0.9538,
    "mozart_piano_sonatas": 0.9926,
    "schubert_winterreise": 0.9849,
}
"""Shares that the rule of version 0.1 reached: the nearest name to the mean of those within two
quarters and of the key, without harmony."""
Scores = Iterator[tuple[NoteTable, NDArray[np.int64], NDArray[np.int64]]]


def scores(folder: Path) -> Scores:
    """Yield the sorted notes of each movement, their printed names and key signatures.

    Names are places on the line of fifths. Of tied notes the first counts.
    """
    for path in sorted((folder / "notes").glob("*.tsv"))[:MOST]:
        bars = folder / "measures" / path.name.replace(".notes", ".measures")
        if not bars.exists():
            bars = folder / "measures" / path.name
        signature = {row["mc"]: int(float(row["keysig"] or 0)) for row in _rows(bars)}
        rows = [row for row in _rows(path) if row["tied"] not in ("0", "-1", "0.0", "-1.0")]
        places = [row.get("quarterbeats_all_endings") or row["quarterbeats"] for row in rows]
        rows = [row | {"at": place} for row, place in zip(rows, places, strict=True) if place]
        printed = np.array(
            sorted(
                (
                    float(Fraction(row["at"])),
                    int(row["midi"]),
                    float(Fraction(row["duration_qb"])) or GRACE,
                    int(row["tpc"]),
                    signature.get(row["mc"], 0),
                )
                for row in rows
            )
        )
        onset, pitch, duration, name, fifths = printed.T
        notes = make_notes(onset, duration, pitch.astype(int))
        yield notes, name.astype(np.int64), fifths.astype(np.int64)


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def measure(folder: Path) -> list[int]:
    """Count movements, notes, and notes as printed.

    The latter two are counted again for the notes outside the key signature.
    """
    found = np.zeros(5, np.int64)
    for notes, printed, fifths in scores(folder):
        right = spell(notes, fifths) == printed
        outside = (printed - fifths < -1) | (printed - fifths > 5)
        found += [1, len(notes), right.sum(), outside.sum(), (right & outside).sum()]
    return [int(value) for value in found]


def page(folders: list[Path]) -> str:
    """Write the page."""
    found = {folder.name: measure(folder) for folder in folders}
    total = [sum(values) for values in zip(*found.values(), strict=True)]
    known = [name for name in found if name in BEFORE]
    whole = sum(found[name][1] for name in known)
    before = BEFORE | {"all": sum(BEFORE[name] * found[name][1] for name in known) / max(whole, 1)}
    rows = [
        [
            name.replace("_", " "),
            str(movements),
            f"{notes:,}",
            f"{100 * before[name]:.1f} %" if name in before else "",
            f"{100 * right / notes:.1f} %",
            f"{100 * own / outside:.1f} %",
        ]
        for name, (movements, notes, right, outside, own) in (found | {"all": total}).items()
    ]
    head = ["corpus", "movements", "notes", "version 0.1", "now", "outside the signature, now"]
    return f"""# Spelling

The share of notes that have the printed name, given the key signatures:

{table(head, rows)}

The weights were fitted on other scores (Beethoven, Liszt, Medtner, Schumann, Tchaikovsky).
Written by `python -m benchmarks.spelling FOLDER... --write`; the folders are the Digital and
Cognitive Musicology Lab's corpora of these names (https://github.com/DCMLab).
"""


def main() -> None:
    """Run the recipe."""
    parser = recipe_parser(__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE}")
    arguments = parser.parse_args()
    text = page(arguments.folders)
    print(text)
    if arguments.write:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
