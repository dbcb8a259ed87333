"""Measure how pianists vary the tempo.

    python -m benchmarks.rubato --data data/prepared --write benchmarks/rubato.md

How much pianists vary the tempo, and how they slow down at the end. Training performances of
MAESTRO are aligned to scores of the same pieces: dynamic time warping of pitch classes finds the
approximate place, and a nearby note of the same pitch the exact time. The deviation of a bar or a
quarter is the logarithm of its length in seconds over the median of its neighbours (eight bars or
sixteen quarters on either side); the table has the standard deviation of these.

Arch: the correlation of the bars' deviations with arches over phrases of four or eight bars,
wherever in the piece the phrases would begin (the most negative value: slow at the ends). Shuffled:
the same with the bars in random order, as a floor. To the end: how many times longer the last
quarters before the last onset are than the 32 quarters that end twelve before it.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from styletransfer.configuration import recipe_parser
from styletransfer.data.library import Library
from styletransfer.errors import InputError
from styletransfer.evaluation.markdown import table

Floats = NDArray[np.float64]
LENGTHS = (200, 3000)  # notes of a score, at least and at most
SAME = (0.8, 1.25)  # notes of a performance over those of its score: neither leaves out repeats
STEP = 0.25  # quarters of a step of the alignment
NEAR = 0.4  # seconds at most between a note and where the alignment expects it
FOUND = 0.85  # share of a score's notes that are found, in an alignment that counts
EACH = 4  # performances of a score at most
FEWEST = 16  # bars of a performance that are timed
PHRASES = (4, 8)  # bars of a phrase
LAST = 4  # quarters before the end that are timed


def main(argv: list[str] | None = None) -> int:
    """Measure all performances, and print or write the table."""
    parser = recipe_parser(__doc__, data=True)
    parser.add_argument("--write", type=Path, help="the page to write")
    arguments = parser.parse_args(argv)

    try:
        library = Library.load(arguments.data)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2

    rows: dict[str, list[Floats]] = defaultdict(list)
    for score, performance in pairs(library):
        quarters, seconds, share = aligned(library, score, performance)
        if share >= FOUND and (row := measures(library, score, quarters, seconds)) is not None:
            rows[library.pieces[performance].composer].append(row)
            print(library.pieces[performance].id, np.round(row, 3), file=sys.stderr, flush=True)

    names = [
        "bars",
        "quarters",
        "arch",
        "shuffled",
        *(f"{LAST - k} to the end" for k in range(LAST)),
    ]
    cells_of = []
    ordered = {name: rows[name] for name in sorted(rows, key=lambda name: -len(rows[name]))}
    ordered["**all**"] = [row for found in rows.values() for row in found]
    for name, found in ordered.items():
        middle = np.nanmedian(np.array(found), axis=0)
        cells = [f"{value:.3f}" for value in middle[:2]] + [f"{value:.2f}" for value in middle[2:]]
        known = ["" if cell == "nan" else cell for cell in cells]
        cells_of.append((name, f"{len(found)}", *known))

    text = table(("composer", "performances", *names), cells_of)
    print(text)
    if arguments.write:
        about = (__doc__ or "").split("\n\n", 1)[1].strip()
        arguments.write.write_text(f"# Rubato\n\n{about}\n\nMedians over performances.\n\n{text}\n")

    return 0


def pairs(library: Library) -> list[tuple[int, int]]:
    """Find (score, performance) of the same training piece with about as many notes."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index in library.select(split="train", feel="performance"):
        groups[library.pieces[index].group].append(index)
    found = []
    for score in library.select(split="train", feel="score"):
        count = library.pieces[score].count
        played = [
            i
            for i in groups[library.pieces[score].group]
            if SAME[0] < library.pieces[i].count / count < SAME[1]
        ]
        if LENGTHS[0] <= count <= LENGTHS[1]:
            found += [(score, performance) for performance in played[:EACH]]
    return found


def aligned(library: Library, score: int, performance: int) -> tuple[Floats, Floats, float]:
    """Align a performance to its score.

    Returns:
        Quarters of the score's onsets, shape (onsets,); the seconds at which they are played, of
        the same shape; the share of the score's notes that are found.
    """
    written, played = library.notes(score), library.notes(performance)
    onset, moment = written["onset"].astype(float), played["onset"].astype(float)
    steps = np.arange(0, onset.max() + 1, STEP)
    times = np.linspace(0, moment.max() + 0.1, min(4 * len(steps), 4000))
    path = warped(struck(onset, written["pitch"], steps), struck(moment, played["pitch"], times))
    rows, first = np.unique(path[:, 0], return_index=True)
    middle = np.add.reduceat(times[path[:, 1]], first) / np.diff(np.append(first, len(path)))
    expected = np.interp(onset, steps[rows] + STEP / 2, middle)
    found: dict[float, list[float]] = defaultdict(list)
    for quarter, pitch, when in zip(onset, written["pitch"], expected, strict=True):
        same = moment[played["pitch"] == pitch]
        if len(same) and abs(near := same[np.abs(same - when).argmin()] - when) < NEAR:
            found[round(float(quarter), 4)].append(when + near)
    quarters = np.array(sorted(found))
    seconds = np.maximum.accumulate([np.median(found[quarter]) for quarter in quarters])
    return quarters, seconds, sum(map(len, found.values())) / len(written)


def struck(onset: Floats, pitch: NDArray[np.uint8], edges: Floats) -> Floats:
    """Count the pitch classes struck in each step, and half as much in its neighbours.

    Returns:
        Shape (steps, 12), each row of length 1.
    """
    counts = np.zeros((len(edges) - 1, 12))
    place = np.searchsorted(edges, onset, side="right") - 1
    inside = (place >= 0) & (place < len(counts))
    np.add.at(counts, (place[inside], pitch[inside] % 12), 1)
    smeared = counts.copy()
    smeared[1:] += counts[:-1] / 2
    smeared[:-1] += counts[1:] / 2
    return np.asarray(smeared / (np.linalg.norm(smeared, axis=1, keepdims=True) + 1e-6))


def warped(left: Floats, right: Floats) -> NDArray[np.int64]:
    """Warp two sequences onto each other (dynamic time warping, cosine distance).

    Args:
        left: shape (rows, 12).
        right: shape (columns, 12).

    Returns:
        Shape (path, 2), the rows of both along the cheapest path, found by antidiagonals.
    """
    cost = np.pad(1 - left @ right.T, ((1, 0), (1, 0)))
    total = np.full(cost.shape, np.inf)
    total[0, 0] = 0
    came = np.zeros(cost.shape, np.int8)
    for diagonal in range(2, sum(cost.shape) - 1):
        i = np.arange(max(1, diagonal - len(right)), min(len(left), diagonal - 1) + 1)
        j = diagonal - i
        here = cost[i, j]
        ways = np.stack(
            [total[i - 1, j - 1] + 1.8 * here, total[i - 1, j] + here, total[i, j - 1] + here]
        )
        came[i, j] = ways.argmin(0)
        total[i, j] = ways.min(0)

    row, column = len(left), len(right)
    path = []
    while row and column:
        path.append((row - 1, column - 1))
        row, column = ((row - 1, column - 1), (row - 1, column), (row, column - 1))[
            came[row, column]
        ]

    return np.array(path[::-1])


def measures(library: Library, score: int, quarters: Floats, seconds: Floats) -> Floats | None:
    """Measure one performance.

    Returns:
        The values of a row of the table, shape (4 + LAST,); None where too few bars can be timed.
    """
    table = library.bars(score)
    whole = table["length"] == np.median(table["length"])
    bars = deviations(table["start"].astype(float), quarters, seconds, 8, whole[:-1])
    if np.isfinite(bars).sum() < FEWEST:
        return None
    beats = np.arange(0.0, quarters[-1] + 1e-6)
    logs = durations(beats, quarters, seconds)
    end = (
        logs[-LAST:] - np.nanmedian(logs[-44:-12])
        if len(logs) >= 44 and quarters[-1] == beats[-1]
        else np.full(LAST, np.nan)
    )
    random = np.random.default_rng(0)
    chance = np.mean([arched(random.permutation(bars)) for _ in range(20)])
    freedom = [np.nanstd(bars), np.nanstd(deviations(beats, quarters, seconds, 16))]
    return np.array([*freedom, arched(bars[:-2]), chance, *np.exp(end)])


def durations(edges: Floats, quarters: Floats, seconds: Floats) -> Floats:
    """Return the logarithm of the seconds from each edge to the next.

    Returns:
        Shape (edges - 1,), NaN where nothing is struck at one of the two edges.
    """
    at = np.interp(edges, quarters, seconds)
    there = np.array([np.abs(quarters - edge).min() < 0.02 for edge in edges])
    length = np.diff(at)
    known = there[1:] & there[:-1] & (length > 0.05)
    return np.where(known, np.log(np.where(known, length, 1.0)), np.nan)


def deviations(
    edges: Floats,
    quarters: Floats,
    seconds: Floats,
    around: int,
    wanted: NDArray[np.bool_] | None = None,
) -> Floats:
    """Return :func:`durations` less the median of their neighbours.

    Args:
        edges: as in :func:`durations`.
        quarters: likewise.
        seconds: likewise.
        around: neighbours on either side.
        wanted: shape (edges - 1,), durations that count; all by default.

    Returns:
        Shape (edges - 1,), NaN where a duration doesn't count or deviates by a factor of two.
    """
    logs = durations(edges, quarters, seconds)
    if wanted is not None:
        logs = np.where(wanted, logs, np.nan)

    usual = [
        np.nanmedian(logs[max(0, i - around) : i + around + 1]) if np.isfinite(one) else one
        for i, one in enumerate(logs)
    ]
    found = logs - np.array(usual)
    return np.where(np.abs(found) < np.log(2), found, np.nan)


def arched(bars: Floats) -> float:
    """Find the most negative correlation of bars' deviations with phrases' arches."""
    known, number = np.isfinite(bars), np.arange(len(bars))
    found = []
    for length in PHRASES:
        for first in range(length):
            along = ((number - first) % length + 0.5) / length
            found.append(np.corrcoef(4 * (along * (1 - along))[known], bars[known])[0, 1])
    return float(min(found))


if __name__ == "__main__":
    sys.exit(main())
