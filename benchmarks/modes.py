"""What becomes of the melody in the modes that don't lock it: ``python -m benchmarks.modes --write
benchmarks/modes.md``.

Six tunes, one candidate each, with the shipped weights. Kept: onset and pitch. Ornaments a quarter
of melody. Steps: share of the melody line's intervals of at most two semitones.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

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


def row(results: list[Result]) -> list[str]:
    """The table's cells for the arrangements of all tunes in one mode and style."""
    shares = [one.report["melody_notes_kept"] / one.report["melody_notes"] for one in results]
    ornaments = sum(one.report["ornaments"] for one in results)
    quarters = sum(float(one.melody.notes["duration"].sum()) for one in results if one.melody)
    lines = [one.notes["pitch"][one.notes["melody"]].astype(int) for one in results]
    steps = np.concatenate([np.abs(np.diff(line)) <= 2 for line in lines])
    around = sum(int((~one.notes["melody"]).sum()) for one in results)
    numbers = (np.mean(shares), min(shares), ornaments / quarters, steps.mean(), around / quarters)
    return [f"{number:.2f}" for number in numbers]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args(argv)
    lines = [
        "| mode | style | kept | least | ornaments a quarter | steps | other notes a quarter |",
        "|---|---|---|---|---|---|---|",
    ]
    for mode, settings in MODES.items():
        for style in STYLES:
            requests = [
                request_of(song, style, candidates=1, **settings) for song in sorted(EXAMPLES)
            ]
            lines.append(
                f"| {mode} | {style} | {' | '.join(row([apply(request) for request in requests]))} |"
            )
            print(lines[-1], flush=True)
    if arguments.write:
        arguments.write.write_text("# Modes\n\n" + (__doc__ or "") + "\n" + "\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
