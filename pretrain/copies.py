"""Build the index of training pieces that finds copies, and measure matches.

    python -m pretrain.copies build --data data/prepared runs/styles/chorales-data \\
        runs/styles/palestrina-data
    python -m pretrain.copies measure --data data/prepared --write pretrain/results/copies.json
    python -m pretrain.copies sample --data data/prepared --write pretrain/results/samples.json

``build`` writes ``copies.safetensors`` beside the weights, from the training pieces of all folders;
``finetune.train`` prepares those of music21's corpus. ``measure`` takes excerpts of the held-out
pieces in a folder and finds their longest matches: what composers share by accident and tradition.
An arrangement with a longer match is called a copy (``COPY`` in styletransfer/music/copies.py). It
also looks for excerpts of training pieces, transposed. ``sample`` lets the base, without a style,
play a minute of music :data:`SAMPLES` times, and finds the longest run of notes that a training
piece has, too, compared with excerpts of held-out performances of as many notes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from styletransfer.configuration import recipe_parser
from styletransfer.data.library import Library, training_sequences
from styletransfer.errors import InputError
from styletransfer.evaluation.measures.originality import NgramIndex, training_indexes
from styletransfer.files import write_atomically
from styletransfer.folders import COPIES, weights_folder
from styletransfer.model.loading import measured_model, melody_codec
from styletransfer.model.sampling import voices_of
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.copies import Copies, copy_from, match_of_sequences
from styletransfer.music.ngrams import NoteSequence, packed_sequence, sequence, sequence_of
from styletransfer.music.notes import Piece
from styletransfer.tokens.controls import Controls
from styletransfer.transfer.free import free_pieces

NOTES = (32, 64, 128, 256, 512, 1024, 2048)
"""Lengths of excerpts, in notes."""
EACH = 8
"""The number of excerpts taken from a piece."""
FAR = 11
"""The most semitones by which an excerpt is moved."""
LONG = 14
"""The fewest notes of an exact match; the filter doesn't find shorter ones."""
KINDS = ("arrangement", "accompaniment")
SAMPLES, BATCH, SECONDS = 100, 20, 60.0
QUANTILES = (0.5, 0.9, 0.95, 0.99, 1.0)


def main(argv: list[str] | None = None) -> int:
    """Run a step, and return the exit code."""
    parser = recipe_parser(__doc__)
    parser.add_argument("step", choices=("build", "measure", "sample"))
    parser.add_argument("--data", type=Path, nargs="+", default=[Path("data/prepared")])
    parser.add_argument("--index", type=Path, default=weights_folder() / COPIES)
    parser.add_argument(
        "--model", type=Path, help="a folder of weights, instead of the shipped ones"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("runs/transfer"), help="where exact indexes are kept"
    )
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument(
        "--all-pieces", action="store_true", help="put held-out pieces into the index, too"
    )
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args(argv)
    try:
        run(arguments)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2

    return 0


def run(arguments: argparse.Namespace) -> None:
    """Run the requested step.

    Raises:
        InputError: if data is missing, or the weights or the index have held-out pieces in them.
    """
    libraries = [Library.load(folder) for folder in arguments.data]
    if arguments.all_pieces:
        libraries = [library.without_held_out() for library in libraries]
    if arguments.step == "build":
        rows = (row for library in libraries for row in training_sequences(library))
        Copies.build(rows, " ".join(library.hash for library in libraries)).save(arguments.index)
        print(f"{arguments.index}: {arguments.index.stat().st_size / 1e6:.1f} MB")
        return

    index = Copies.load(arguments.index)
    if libraries[0].without_held_out().hash in index.about.split():
        raise InputError(
            f"{arguments.index}: has validation and test pieces in it, too; for one that hasn't,"
            " set STYLETRANSFER_WEIGHTS=eval/measured."
        )

    if arguments.step == "measure":
        report = measure(libraries[0], index)
    else:
        exact = training_indexes(
            libraries[0], arguments.work, lambda text: print(text, file=sys.stderr)
        )
        samples = free_music(arguments.samples, arguments.seconds, arguments.model)
        report = memorised(libraries[0], index, exact, samples) | {"seconds": arguments.seconds}

    text = json.dumps(report, indent=1)
    print(text)
    if arguments.write:
        write_atomically(arguments.write, f"{text}\n".encode())


def measure(library: Library, index: Copies) -> dict[str, Any]:
    """Measure the longest matches of excerpts and whole pieces.

    Their melodies are given.

    Returns:
        Of held-out pieces, quantiles and the share that would be called a copy; of transposed
        training pieces, that share; and how often the exact index finds the same length.
    """
    rng = np.random.default_rng(0)
    held, learnt = library.select(split=("validation", "test")), library.select(split="train")
    rows = {}
    for kind in KINDS:
        for notes in (*NOTES, None):
            found = []
            for whole, accompaniment in excerpts(library, held, notes, EACH if notes else 1, rng):
                match = match_of_sequences(
                    [accompaniment] if kind == "accompaniment" else [whole, accompaniment], [index]
                )
                found.append((match.notes, match.telling, match.is_copy(len(whole.pitch))))
            if found:
                rows[f"{kind}, {notes or 'all'} notes"] = _row(np.array(found))

    trained = {}
    for notes in NOTES[:5]:
        both = excerpts(library, learnt, notes, 1, rng)
        trained[f"{notes} notes"] = [
            match_of_sequences(rows, [index]).is_copy(notes) for rows in both
        ]
    return {
        "made_by": "pretrain.copies measure",
        "data": library.hash,
        "in the filter by accident": float(
            index.has(rng.integers(0, 2**63, 100_000).astype(np.uint64)).mean()
        ),
        "copy from": {f"{notes} notes": copy_from(notes) for notes in NOTES},
        "held-out pieces": rows,
        "copies among training excerpts": {
            notes: float(np.mean(found)) for notes, found in trained.items() if found
        },
        "beside the exact index": beside(
            library, index, [row for row, _ in excerpts(library, held, 256, EACH, rng)]
        ),
    }


def excerpts(
    library: Library, pieces: list[int], notes: int | None, each: int, rng: np.random.Generator
) -> Iterator[tuple[NoteSequence, NoteSequence]]:
    """Yield excerpts of pieces in any key, and their accompaniments.

    The melodies of the excerpts are given. Without a number of notes, they are the whole pieces.
    """
    for i in pieces:
        table, feel = library.notes(i), library.pieces[i].feel
        for _ in range(each if len(table) >= (notes or 1) else 0):
            begin = int(rng.integers(0, len(table) - notes + 1)) if notes else 0
            cut = table[begin : begin + notes if notes else None].copy()
            pitch = cut["pitch"].astype(int)
            cut["pitch"] = pitch + rng.integers(
                max(-FAR, -pitch.min()), min(FAR, 127 - pitch.max()) + 1
            )
            whole = sequence(cut["onset"].astype(float), cut["pitch"], feel, cut["melody"])
            yield whole, packed_sequence(cut, feel, accompaniment=True)


def free_music(count: int, seconds: float, model: Path | None) -> Iterator[Piece]:
    """Sample music by the base without a style, in batches with a seed each."""
    base, codec = measured_model(model).model, melody_codec(model)
    voices = voices_of(base, [(base, Controls("performance"), 1.0)], strength=0.0)
    for seed, first in enumerate(range(0, count, BATCH)):
        sampling = SamplingConfig(candidates=min(BATCH, count - first), seed=seed)
        yield from (piece for _, piece in free_pieces(voices, codec, seconds, sampling))
        print(f"{min(first + BATCH, count)} of {count} sampled", file=sys.stderr, flush=True)


def memorised(
    library: Library, index: Copies, exact: Sequence[NgramIndex], samples: Iterable[Piece]
) -> dict[str, Any]:
    """Find the longest runs of notes that samples share with training pieces.

    The exact indexes find them. The share that would be called a copy is counted. The same is done
    for excerpts of held-out performances of as many notes.
    """
    rng = np.random.default_rng(0)
    held = library.select(split=("validation", "test"), feel="performance")
    rows: dict[str, list[tuple[Any, ...]]] = {"samples": [], "held-out performances": []}
    for sample in samples:
        made = sequence_of(sample)
        pair = {"samples": made}
        for real, _ in excerpts(library, rng.permutation(held).tolist(), len(made.pitch), 1, rng):
            pair["held-out performances"] = replace(real, melody=np.zeros_like(real.melody))
            break
        for name, one in pair.items():
            found = [ngrams.longest(one) for ngrams in exact]
            copy = match_of_sequences([one], [index]).is_copy(len(one.pitch))
            rows[name].append((len(one.pitch), copy, *found))

    return {"made_by": "pretrain.copies sample", "data": library.hash} | {
        name: {
            "count": len(found),
            "notes": round(float(np.mean([row[0] for row in found])), 1),
            "copies": float(np.mean([row[1] for row in found])),
        }
        | {
            f"longest, {ngrams.mode}": {
                f"quantile {q:g}": float(np.quantile([row[k][0] for row in found], q))
                for q in QUANTILES
            }
            | {"in": max((row[k] for row in found), key=lambda one: one[0])[1]}
            for k, ngrams in enumerate(exact, 2)
        }
        for name, found in rows.items()
        if found
    }


def _row(found: NDArray[np.int64]) -> dict[str, float]:
    """Sum up matches, shape (excerpts, 3): notes, telling notes, whether it is a copy."""
    row = {"excerpts": float(len(found)), "copies": round(float(found[:, 2].mean()), 4)}
    for column, name in enumerate(("notes", "telling")):
        row |= {
            f"{name}, quantile {q:g}": round(float(np.quantile(found[:, column], q)), 1)
            for q in QUANTILES
        }
    return row


def beside(library: Library, index: Copies, rows: list[NoteSequence]) -> dict[str, float]:
    """Compare the filter's lengths with those of an index that has each piece."""
    sequences = list(training_sequences(library))
    exact = NgramIndex.build(
        [str(number) for number in range(len(sequences))], sequences, "intervals"
    )
    pairs = np.array([(index.match(row).notes, exact.longest(row)[0]) for row in rows]).reshape(
        -1, 2
    )
    if not len(pairs):
        return {}
    pairs[pairs[:, 1] < LONG, 1] = 0
    more = (pairs[:, 0] - pairs[:, 1])[pairs[:, 1] > 0]
    return {
        "excerpts": float(len(pairs)),
        "equal": float((pairs[:, 0] == pairs[:, 1]).mean()),
        "with a match": float(len(more)),
        "equal with a match": float((more == 0).sum() / max(len(more), 1)),
    } | {
        f"notes more with a match, quantile {q:g}": float(np.quantile(more, q))
        for q in (0.01, 0.5, 0.9, 0.99)
        if len(more)
    }


if __name__ == "__main__":
    sys.exit(main())
