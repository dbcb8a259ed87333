"""The index of the training pieces that tells copies, and how long real pieces' matches are.

    python -m pretrain.copies build --data data/prepared runs/styles/chorales-data runs/styles/palestrina-data
    python -m pretrain.copies measure --data data/prepared --write pretrain/results/copies.json

``build`` writes styletransfer/assets/copies.safetensors from the official training pieces of all folders; ``finetune.train``
prepares those of music21's corpus. ``measure`` takes excerpts of the held-out pieces in a folder and asks for their longest
match: what composers share with each other by accident and tradition. An arrangement with a longer one is called a copy
(``COPY`` in styletransfer/score/copies.py). It also looks for excerpts of training pieces, transposed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from styletransfer.data.library import Library, training_sequences
from styletransfer.evaluation.originality import NgramIndex
from styletransfer.score.copies import Copies, copy_from, match_of_sequences
from styletransfer.score.ngrams import NoteSequence, packed_sequence, sequence

ASSET = Path("styletransfer/assets/copies.safetensors")
NOTES = (32, 64, 128, 256, 512, 1024, 2048)
EACH = 8  # excerpts of a piece
FAR = 11  # semitones that an excerpt is moved by, at the most
LONG = 14  # notes of an exact match: shorter ones the filter doesn't tell
KINDS = ("arrangement", "accompaniment")
QUANTILES = (0.5, 0.9, 0.95, 0.99, 1.0)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("build", "measure"))
    parser.add_argument("--data", type=Path, nargs="+", default=[Path("data/prepared")])
    parser.add_argument("--index", type=Path, default=ASSET)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args(argv)
    libraries = [Library.load(folder) for folder in arguments.data]
    if arguments.step == "build":
        rows = (row for library in libraries for row in training_sequences(library))
        Copies.build(rows, " ".join(library.hash for library in libraries)).save(arguments.index)
        print(f"{arguments.index}: {arguments.index.stat().st_size / 1e6:.1f} MB")
        return 0
    report = measure(libraries[0], Copies.load(arguments.index))
    text = json.dumps(report, indent=1)
    print(text)
    if arguments.write:
        arguments.write.write_text(text + "\n")
    return 0


def measure(library: Library, index: Copies) -> dict[str, Any]:
    """Longest matches of excerpts and whole pieces, their melodies given: of held-out pieces as quantiles and as the share that
    would be called a copy; of training pieces, transposed, the share. And how often the exact index says the same length."""
    rng = np.random.default_rng(0)
    held, learnt = library.select(split=("validation", "test")), library.select(split="train")
    rows = {}
    for kind in KINDS:
        for notes in (*NOTES, None):
            found = []
            for whole, accompaniment in excerpts(library, held, notes, EACH if notes else 1, rng):
                match = match_of_sequences([accompaniment] if kind == "accompaniment" else [whole, accompaniment], [index])
                found.append((match.notes, match.telling, match.is_copy(len(whole.pitch))))
            if found:
                rows[f"{kind}, {notes or 'all'} notes"] = _row(np.array(found))
    trained = {}
    for notes in NOTES[:5]:
        both = excerpts(library, learnt, notes, 1, rng)
        trained[f"{notes} notes"] = [match_of_sequences(rows, [index]).is_copy(notes) for rows in both]
    return {
        "made_by": "pretrain.copies measure",
        "data": library.hash,
        "in the filter by accident": float(index.has(rng.integers(0, 2**63, 100_000).astype(np.uint64)).mean()),
        "copy from": {f"{notes} notes": copy_from(notes) for notes in NOTES},
        "held-out pieces": rows,
        "copies among training excerpts": {notes: float(np.mean(found)) for notes, found in trained.items() if found},
        "beside the exact index": beside(library, index, [row for row, _ in excerpts(library, held, 256, EACH, rng)]),
    }


def excerpts(
    library: Library, pieces: list[int], notes: int | None, each: int, rng: np.random.Generator
) -> Iterator[tuple[NoteSequence, NoteSequence]]:
    """Excerpts of pieces (None: the pieces) with their melody given, moved to any key, and their accompaniments."""
    for i in pieces:
        table, feel = library.notes(i), library.pieces[i].feel
        for _ in range(each if len(table) >= (notes or 1) else 0):
            begin = int(rng.integers(0, len(table) - notes + 1)) if notes else 0
            cut = table[begin : begin + notes if notes else None].copy()
            pitch = cut["pitch"].astype(int)
            cut["pitch"] = pitch + rng.integers(max(-FAR, -pitch.min()), min(FAR, 127 - pitch.max()) + 1)
            whole = sequence(cut["onset"].astype(float), cut["pitch"], feel, cut["melody"])
            yield whole, packed_sequence(cut, feel, accompaniment=True)


def _row(found: NDArray[np.int64]) -> dict[str, float]:
    """Of matches (excerpts, 3): notes, telling notes, whether it is a copy."""
    row = {"excerpts": float(len(found)), "copies": round(float(found[:, 2].mean()), 4)}
    for column, name in enumerate(("notes", "telling")):
        row |= {f"{name}, quantile {q:g}": round(float(np.quantile(found[:, column], q)), 1) for q in QUANTILES}
    return row


def beside(library: Library, index: Copies, rows: list[NoteSequence]) -> dict[str, float]:
    """How the filter's lengths compare with those of an index that knows each piece."""
    sequences = list(training_sequences(library))
    exact = NgramIndex.build([str(number) for number in range(len(sequences))], sequences, "intervals")
    pairs = np.array([(index.match(row).notes, exact.longest(row)[0]) for row in rows]).reshape(-1, 2)
    if not len(pairs):
        return {}
    pairs[pairs[:, 1] < LONG, 1] = 0
    more = (pairs[:, 0] - pairs[:, 1])[pairs[:, 1] > 0]
    return {
        "excerpts": float(len(pairs)),
        "equal": float((pairs[:, 0] == pairs[:, 1]).mean()),
        "with a match": float(len(more)),
        "equal with a match": float((more == 0).sum() / max(len(more), 1)),
    } | {f"notes more with a match, quantile {q:g}": float(np.quantile(more, q)) for q in (0.01, 0.5, 0.9, 0.99) if len(more)}


if __name__ == "__main__":
    sys.exit(main())
