"""Measure what becomes of the melody in each mode.

    python -m benchmarks.modes --write benchmarks/modes.md

What becomes of the melody in each mode: six tunes, one candidate each, with the shipped weights.
Kept: the share of melody notes that keep onset and pitch, the mean over tunes; least: the share in
the worst tune. Ornaments and other notes are counted per quarter of melody. Steps: the share of the
melody line's intervals that are at most two semitones.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from styletransfer.configuration import recipe_parser
from styletransfer.evaluation.markdown import table
from styletransfer.formats.tunes import EXAMPLES
from styletransfer.transfer.pipeline import apply
from styletransfer.transfer.request import request_of
from styletransfer.transfer.result import Result

STYLES = ("bach", "mozart", "chopin")
MODES = {
    "reharmonize, exact": {},
    "reharmonize, ornamented": {"keep": "ornamented"},
    "regenerate": {"mode": "regenerate"},
}
COLUMNS = (
    "mode",
    "style",
    "kept",
    "least",
    "ornaments per quarter",
    "steps",
    "other notes per quarter",
)


def row(results: list[Result]) -> list[str]:
    """Measure the arrangements of all tunes in a mode and style, as a row's cells."""
    shares = [one.report["melody_notes_kept"] / one.report["melody_notes"] for one in results]
    ornaments = sum(one.report["ornaments"] for one in results)
    quarters = sum(float(one.melody.notes["duration"].sum()) for one in results if one.melody)
    lines = [one.notes["pitch"][one.notes["melody"]].astype(int) for one in results]
    steps = np.concatenate([np.abs(np.diff(line)) <= 2 for line in lines])
    around = sum(int((~one.notes["melody"]).sum()) for one in results)
    numbers = (np.mean(shares), min(shares), ornaments / quarters, steps.mean(), around / quarters)
    return [f"{number:.2f}" for number in numbers]


def main(argv: list[str] | None = None) -> int:
    """Make all arrangements, and write the table."""
    parser = recipe_parser(__doc__)
    parser.add_argument("--write", type=Path, help="the page to write")
    arguments = parser.parse_args(argv)
    rows = []
    for mode, settings in MODES.items():
        for style in STYLES:
            requests = [
                request_of(song, style, candidates=1, **settings) for song in sorted(EXAMPLES)
            ]
            cells = row([apply(request) for request in requests])
            rows.append((mode, style, *cells))
            print(*rows[-1], flush=True)
    if arguments.write:
        about = (__doc__ or "").split("\n\n", 1)[1]
        arguments.write.write_text(f"# Modes\n\n{about}\n{table(COLUMNS, rows)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
