"""Measure how well beats are found in performances.

    python -m benchmarks.beats ASAP_FOLDER [--pieces 40] [--write benchmarks/beats.md]

One performance of each piece of ASAP (F. Foscarin et al., ISMIR 2020), its first 30 seconds, with
the beats that were annotated. The phases of the onsets and the constants were taken from half of
the pieces, by the hash of their folder; others, evenly chosen, are shown. F: the F-measure of beats
within 70 ms (`mir_eval.beat`), mean with a 95 % bootstrap interval. Any level: the same, if beats
twice, three times, half or a third as fast count, too, whichever is best. Good: the share of pieces
with an F of at least 0.8. Steady: pieces of whose beats at most one in ten is a quarter longer or
shorter than the one before. Trusted: pieces whose beats would be used.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import NamedTuple

import mir_eval
import numpy as np
from numpy.typing import NDArray

from styletransfer.configuration import recipe_parser
from styletransfer.evaluation.markdown import interval, table
from styletransfer.formats.read import read_score
from styletransfer.music.beats import find_beats, trusted

Floats = NDArray[np.float64]

SECONDS = 30.0
JUMP = 1.25  # how many times longer or shorter a beat of no steady pulse is
STEADY = 0.1  # share of such beats in a piece with a steady pulse, at most
GOOD = 0.8


class Result(NamedTuple):
    """What was found in a piece; ``level`` is F at any level."""

    f: float
    level: float
    steady: bool
    trusted: bool
    clarity: float


def main(argv: list[str] | None = None) -> int:
    """Find the beats of the chosen pieces, and print or write the table."""
    parser = recipe_parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pieces", type=int, default=40)
    parser.add_argument("--write", type=Path, help="the page to write")
    arguments = parser.parse_args(argv)

    files = performances(arguments.folder)
    chosen = [files[k] for k in np.linspace(0, len(files) - 1, arguments.pieces).astype(int)]
    results = []
    for midi in chosen:
        results.append(measured(midi))
        print(midi.relative_to(arguments.folder), results[-1], file=sys.stderr, flush=True)

    rows = [
        _row("all", results),
        _row("steady", [r for r in results if r.steady]),
        _row("trusted", [r for r in results if r.trusted]),
        _row("steady and trusted", [r for r in results if r.steady and r.trusted]),
    ]
    text = table(("pieces", "number", "F", "good", "any level", "good at any level"), rows)
    print(text)
    if arguments.write:
        about = (__doc__ or "").split("\n\n", 1)[1].strip()
        arguments.write.write_text(f"# Beats of performances\n\n{about}\n\n{text}\n")
    return 0


def performances(folder: Path) -> list[Path]:
    """List one annotated performance of each piece from which nothing was learnt."""
    found: dict[Path, Path] = {}
    for notes in sorted(folder.rglob("*_annotations.txt")):
        midi = notes.with_name(notes.name.replace("_annotations.txt", ".mid"))
        piece = str(notes.parent.relative_to(folder)).replace("_no_repeat", "")
        held_out = int(hashlib.sha1(piece.encode()).hexdigest(), 16) % 2 == 1
        if midi.exists() and not notes.name.startswith("midi_score") and held_out:
            found.setdefault(notes.parent, midi)
    return list(found.values())


def measured(midi: Path) -> Result:
    """Find the beats of a performance and compare them with the annotated ones."""
    piece = read_score(midi, "performance")
    onset = piece.onset_seconds
    part = onset < onset[0] + SECONDS
    notes = piece.notes[part]
    beats = find_beats(
        onset[part], notes["pitch"].astype(np.int64), notes["velocity"].astype(np.int64)
    )
    lines = midi.with_name(f"{midi.stem}_annotations.txt").read_text().splitlines()
    true = np.array([float(line.split("\t")[0]) for line in lines if line.strip()])
    true = true[true <= onset[part][-1] + 0.1]
    found = beats.seconds
    found = found[(found >= true[0] - 0.1) & (found <= true[-1] + 0.1)]

    jumps = np.abs(np.diff(np.log(np.diff(true)))) > np.log(JUMP)
    levels = [mir_eval.beat.f_measure(true, other) for other in _levels(found)]
    return Result(
        levels[0], max(levels), bool(jumps.mean() <= STEADY), trusted(beats), beats.clarity
    )


def _levels(beats: Floats) -> list[Floats]:
    """Return the beats, and those half, a third, twice and three times as fast."""
    slower = [beats[k::step] for step in (2, 3) for k in range(step)]
    places = np.arange(len(beats))
    faster = [
        np.interp(np.arange(0, max(len(beats) - 1, 0) + 1e-6, 1 / step), places, beats)
        for step in (2, 3)
        if len(beats)
    ]
    return [beats, *slower, *faster]


def _row(name: str, results: list[Result]) -> tuple[str, ...]:
    cells = [name, f"{len(results)}"]
    for values in (np.array([r.f for r in results]), np.array([r.level for r in results])):
        if not len(values):
            cells += ["", ""]
            continue
        means = np.random.default_rng(0).choice(values, (2000, len(values))).mean(1)
        low, high = np.quantile(means, (0.025, 0.975))
        cells += [interval(float(values.mean()), low, high), f"{(values >= GOOD).mean():.0%}"]
    return tuple(cells)


if __name__ == "__main__":
    sys.exit(main())
