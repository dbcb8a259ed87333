"""Measure how often the chords of a score are named as an expert names them.

    python -m benchmarks.chords PREPARED LABELS [--write benchmarks/chords.md]

How often chords are named as an expert names them, by the recogniser ("learnt") and by templates.
Measured on the validation and test pieces of a prepared data set for which the DCML corpora have
harmony labels; the recogniser was trained neither on them nor on other versions of them. The
columns are the share of the labelled time in which the root, the root and quality, and the bass
agree with the label (as in mir_eval.chord, weighted by time), and the F1 of chord starts within the
labelled time, each start matched at most once and within an eighth of a quarter (as in
mir_eval.segment with that tolerance, without the edges of the pieces). All are ratios of sums over
movements, with 95 % bootstrap intervals over movements.

The templates, the floor here, are those of 0.1.0: triads and sevenths on beats, scored by the share
of the sounding notes that belong to them, with a price on changes (Viterbi's algorithm); a chord's
bass is the lowest note of most of its beats.

Known limits: 4 % of labels start between eighths, where no frame of the recogniser starts; each
movement has the labels of one expert, and the agreement of two experts isn't measured here.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pretrain.chords import Labelled, labelled_pieces
from styletransfer.configuration import recipe_parser
from styletransfer.data.library import Library
from styletransfer.evaluation.intervals import Interval, ratio_interval
from styletransfer.evaluation.markdown import interval, table
from styletransfer.music.chords import ChordTable, chord_table, recognise, tones_of
from styletransfer.music.hands import cheapest_path
from styletransfer.music.notes import BarTable, NoteTable, is_compound
from styletransfer.music.qualities import NONE

TOLERANCE = 0.125
"""How far a chord's start may be from the label's, in quarters."""

CHORDS = [(root, quality) for quality in (0, 1, 2, 3, 4, 6, 5, 7, 8) for root in range(12)]
"""Roots and qualities of the templates; of equally good ones the first is chosen."""
TEMPLATES = np.array([[tone in tones_of(*chord) for tone in range(12)] for chord in CHORDS], float)
ROOTS, QUALITIES = np.array(CHORDS).T
SEVENTH = 0.15
"""By how much a template of four tones has to fit better."""
ROOT = 0.1
"""What a template gains if its root is the lowest note."""
CHANGE = 0.3
"""The price of changing the template from beat to beat; a fit is 1 where all tones belong."""

COLUMNS = ("root", "root and quality", "bass", "starts, F1")
Method = Callable[[NoteTable, BarTable], ChordTable]
Floats = NDArray[np.float64]


def templates(notes: NoteTable, bars: BarTable) -> ChordTable:
    """Name each beat's chord by templates and a price on changes."""
    compound = is_compound(bars["numerator"], bars["denominator"])
    beats: list[float] = []
    for bar, long in zip(bars, compound, strict=True):
        beat = 1.5 if long else 1.0
        beats += np.arange(bar["start"], bar["start"] + bar["length"] - 1e-3, beat).tolist()
    edges = [*beats, float(bars["start"][-1] + bars["length"][-1])]

    onset, pitch = notes["onset"].astype(float), notes["pitch"].astype(int)
    stop = onset + notes["duration"]
    scores, basses = [], []
    for first, last in pairwise(edges):
        heard = np.minimum(stop, last) - np.maximum(onset, first)
        sounding = heard > 1e-3
        bass = int(pitch[sounding].min()) % 12 if sounding.any() else NONE
        basses.append(bass)
        scores.append(
            _fit(
                np.bincount(pitch[sounding] % 12, heard[sounding], minlength=12).astype(float), bass
            )
        )

    path = cheapest_path(-np.array(scores), CHANGE * (1 - np.eye(len(CHORDS))))
    return chord_table(
        np.array(beats),
        edges[-1],
        np.column_stack([ROOTS[path], QUALITIES[path], _steady(path, np.array(basses))]),
    )


def _fit(sound: Floats, bass: int) -> Floats:
    """Rate how well each template fits what sounds.

    Args:
        sound: shape (12,), how long each pitch class sounds.
        bass: the pitch class of the lowest note.

    Returns:
        Shape (templates,), 1 for a perfect fit without the bass.
    """
    total = float(sound.sum())
    if not total:
        return np.zeros(len(CHORDS))
    fit: Floats = 2 * (TEMPLATES @ sound) / total - 1
    fit += ROOT * (bass == ROOTS) - SEVENTH * (TEMPLATES.sum(1) == 4)
    return fit


def _steady(path: NDArray[np.int64], basses: NDArray[np.int64]) -> NDArray[np.int64]:
    """Take for each beat the bass that most beats of its chord have."""
    edges = np.flatnonzero(np.concatenate([[True], path[1:] != path[:-1], [True]]))
    spans = [basses[a:b] for a, b in pairwise(edges)]
    return np.concatenate(
        [np.full(len(span), np.bincount(span + 1).argmax() - 1) for span in spans]
    )


def accompaniment_alone(notes: NoteTable, bars: BarTable) -> ChordTable:
    """Recognise chords without the melody; the labels are still of the whole piece."""
    return recognise(notes[~notes["melody"]], bars)


def agreement(table: ChordTable, labels: ChordTable) -> Floats:
    """Compare a table of chords with labels.

    Returns:
        Shape (7,): quarters with the right root, the right chord and the right bass, labelled
        quarters, starts that match, starts of the table, starts of the labels.
    """
    stops = labels["start"] + labels["length"]
    edges = np.unique(np.concatenate([labels["start"], stops, table["start"]]).astype(float))
    middle, length = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    true = np.clip(np.searchsorted(labels["start"], middle, side="right") - 1, 0, None)
    known = (middle >= labels["start"][true]) & (middle < stops[true])
    mine, asked = (
        table[np.searchsorted(table["start"], middle, side="right").clip(1) - 1],
        labels[true],
    )

    root = mine["root"] == asked["root"]
    right = [root, root & (mine["quality"] == asked["quality"]), mine["bass"] == asked["bass"]]
    time_right = [float(length[known & one].sum()) for one in right]

    joined = np.abs(labels["start"][1:] - stops[:-1]) < 1e-3
    differ = np.any(
        [labels[name][1:] != labels[name][:-1] for name in ("root", "quality", "bass")], axis=0
    )
    starts = labels["start"][1:][joined & differ].astype(float)
    inside = known[np.searchsorted(edges, table["start"]).clip(1) - 1]
    inside &= known[np.searchsorted(edges, table["start"]).clip(0, len(known) - 1)]
    unlabelled = np.isin(table["start"], labels["start"][1:][~joined]) | (
        table["start"] <= labels["start"][0]
    )
    found = table["start"][inside & ~unlabelled].astype(float)
    return np.array(
        [*time_right, length[known].sum(), _met(found, starts), len(found), len(starts)]
    )


def _met(found: Floats, starts: Floats) -> int:
    """Count the pairs of starts within :data:`TOLERANCE`.

    Both are ascending, so that taking the first match for each start gives the most pairs.
    """
    count = here = 0
    for start in starts.tolist():
        while here < len(found) and found[here] < start - TOLERANCE:
            here += 1
        if here < len(found) and found[here] <= start + TOLERANCE:
            count, here = count + 1, here + 1
    return count


def intervals(counts: Floats, names: list[str]) -> list[Interval]:
    """Return the four scores with their intervals.

    Args:
        counts: shape (movements, 7), as :func:`agreement` gives them.
        names: the group of each movement.
    """
    rng = np.random.default_rng(0)
    above = [counts[:, 0], counts[:, 1], counts[:, 2], 2 * counts[:, 4]]
    below = [*[counts[:, 3]] * 3, counts[:, 5] + counts[:, 6]]
    return [ratio_interval(a, b, names, rng) for a, b in zip(above, below, strict=True)]


def measured(library: Library, pieces: list[Labelled], method: Method) -> tuple[Floats, float]:
    """Measure a method on pieces.

    Returns:
        The counts of each, shape (pieces, 7), and milliseconds per thousand notes.
    """
    counts, seconds, notes = [], 0.0, 0
    for piece in pieces:
        began = time.perf_counter()
        table = method(library.notes(piece.index), library.bars(piece.index))
        seconds += time.perf_counter() - began
        notes += library.pieces[piece.index].count
        counts.append(agreement(table, piece.labels))
    return np.array(counts), 1e6 * seconds / notes


def page(library: Library, folder: Path, command: str) -> str:
    """Write the page."""
    lines = [
        "# Naming chords",
        "",
        f"`{command}`",
        "",
        (__doc__ or "").split("\n\n", 2)[2].strip(),
        "",
    ]
    methods: dict[str, Method] = {
        "templates": templates,
        "learnt": recognise,
        "learnt, no melody": accompaniment_alone,
    }

    for split in ("validation", "test"):
        pieces = labelled_pieces(library, folder, split)
        names = [library.pieces[piece.index].group for piece in pieces]
        results = {name: measured(library, pieces, method) for name, method in methods.items()}
        lines += [f"## {split}: {len(pieces)} movements", ""]
        rows = []
        composers = sorted({piece.composer for piece in pieces})
        for composer in ("all", *composers):
            own = [k for k, piece in enumerate(pieces) if composer in ("all", piece.composer)]
            for name, (counts, _) in results.items():
                found = intervals(counts[own], [names[k] for k in own])
                cells = [interval(one.value, one.low, one.high) for one in found]
                rows.append((composer, f"{len(own)}", name, *cells))
        lines.append(table(("composer", "movements", "method", *COLUMNS), rows))
        speeds = ", ".join(f"{name} {speed:.0f} ms" for name, (_, speed) in results.items())
        lines += ["", f"Time for a thousand notes, on cores shared with other work: {speeds}.", ""]

    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Measure all methods, and print or write the page."""
    parser = recipe_parser(__doc__)
    parser.add_argument("data", type=Path, help="made by `styletransfer data prepare`")
    parser.add_argument("labels", type=Path, help="a folder of the DCML corpora's harmony labels")
    parser.add_argument("--write", type=Path, help="the page to write")
    arguments = parser.parse_args(argv)
    command = (
        f"python -m benchmarks.chords {arguments.data} {arguments.labels} --write {arguments.write}"
    )
    text = page(Library.load(arguments.data), arguments.labels, command)
    if arguments.write:
        arguments.write.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
