"""The index of the training pieces that tells copies, and how long real pieces' matches are.

    python -m pretrain.copies build --data data/prepared
    python -m pretrain.copies measure --data data/prepared --write pretrain/results/copies.json

``build`` writes styletransfer/assets/copies.safetensors from the official training pieces. ``measure`` takes excerpts of
held-out pieces and asks for their longest match: what composers share with each other by accident and tradition. An
arrangement with a longer one is called a copy (``COPY`` in styletransfer/transfer/copies.py).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer.data.library import Library
from styletransfer.score.ngrams import packed_sequence, sequence
from styletransfer.transfer.copies import COPY, Copies

ASSET = Path("styletransfer/assets/copies.safetensors")
NOTES = (32, 64, 128, 256, 512, 1024)
QUANTILES = (0.5, 0.9, 0.95, 0.99, 1.0)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("build", "measure"))
    parser.add_argument("--data", type=Path, default=Path("data/prepared"))
    parser.add_argument("--index", type=Path, default=ASSET)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args(argv)
    library = Library.load(arguments.data)
    if arguments.step == "build":
        train = library.select(split="train")
        Copies.build((packed_sequence(library.notes(i), library.pieces[i].feel) for i in train), library.hash).save(
            arguments.index
        )
        print(f"{arguments.index}: {len(train)} pieces, {arguments.index.stat().st_size / 1e6:.1f} MB")
        return 0
    report = measure(library, Copies.load(arguments.index))
    text = json.dumps(report, indent=1)
    print(text)
    if arguments.write:
        arguments.write.write_text(text + "\n")
    return 0


def measure(library: Library, index: Copies) -> dict[str, Any]:
    """Longest matches of excerpts with so many notes: quantiles over held-out pieces, and the share of copies among those of
    training pieces, of 128 notes."""
    rng = np.random.default_rng(0)

    def matches(pieces: list[int], notes: int, melody: bool) -> list[int]:
        found = []
        for i in pieces:
            table, feel = library.notes(i), library.pieces[i].feel
            if len(table) >= notes:
                begin = int(rng.integers(0, len(table) - notes + 1))
                cut = table[begin : begin + notes]
                given = cut["melody"] if melody else None
                found.append(index.longest(sequence(cut["onset"].astype(float), cut["pitch"], feel, given))[0])
        return found

    rows: dict[str, Any] = {}
    for melody in (True, False):
        for notes in NOTES:
            if found := matches(library.select(split=("validation", "test")), notes, melody):
                quantiles = {f"quantile {q:g}": float(np.quantile(found, q)) for q in QUANTILES}
                more = {"copies": float(np.mean(np.array(found) >= COPY))}
                rows[f"{notes} notes, {'the melody given' if melody else 'all notes'}"] = (
                    {"excerpts": len(found)} | quantiles | more
                )
    trained = matches(library.select(split="train"), 128, True)
    return {
        "made_by": "pretrain.copies measure",
        "data": library.hash,
        "in the filter by accident": float(index.has(rng.integers(0, 2**63, 100_000).astype(np.uint64)).mean()),
        "threshold": COPY,
        "copies among training excerpts of 128 notes": float(np.mean(np.array(trained) >= COPY)) if trained else None,
        "longest match": rows,
    }


if __name__ == "__main__":
    sys.exit(main())
