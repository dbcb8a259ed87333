"""Measure bits per note of models without a network.

    python -m pretrain.baselines --data data/prepared

In six minutes, it writes ``pretrain/results/baselines.json``: bits per note of whole validation and
test pieces, given the melody, for a uniform model, unigrams, and 4-grams
(:mod:`styletransfer.training.ngrams`). Tokens, contexts and scored positions are those of
:mod:`styletransfer.training.likelihood`, a piece being one sequence. Each feel has a model of its
own, trained on the training pieces in all keys, which lowers the bits on validation.
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from styletransfer.configuration import recipe_parser

if TYPE_CHECKING:
    from styletransfer.data.library import Library
    from styletransfer.tokens.codec import Codec

ORDER = 4
TRANSPOSITIONS = {"score": range(-5, 7), "performance": range(-5, 7)}
"""Semitones by which the training pieces are moved, through all keys.

Without that, 4-grams take 7.91 bits per note of validation scores instead of 7.64, and 18.99 of
validation performances (18.58 in five keys).
"""


def main(argv: list[str] | None = None) -> int:
    """Measure, write the results, and return the exit code."""
    parser = recipe_parser(__doc__, data=True)
    parser.add_argument("--out", type=Path, default=Path("pretrain/results/baselines.json"))
    parser.add_argument("--order", type=int, default=ORDER, help="tokens in an n-gram")
    arguments = parser.parse_args(argv)

    from styletransfer.data.library import Library
    from styletransfer.errors import InputError
    from styletransfer.evaluation.bits import bits_report
    from styletransfer.files import json_text, write_atomically
    from styletransfer.tokens.codec import Codec

    begin = time.monotonic()
    try:
        library = Library.load(arguments.data)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2

    codec = Codec()
    names = {"uniform": "uniform", "unigrams": "unigrams", "n-grams": f"{arguments.order}-grams"}
    bits: dict[tuple[str, str], NDArray[np.float64]] = {}
    pieces: dict[str, list[int]] = {"validation": [], "test": []}
    for feel, shifts in TRANSPOSITIONS.items():
        found = feel_bits(library, codec, feel, shifts, arguments.order)
        for split, (indices, columns) in found.items():
            pieces[split] += indices
            for name, values in columns.items():
                bits[split, name] = np.concatenate([bits.get((split, name), np.zeros(0)), values])
    results = [
        bits_report(
            library,
            pieces[split],
            values,
            {"model": names[name], "split": split, "with_melody": True},
        )
        for (split, name), values in sorted(bits.items(), key=lambda item: item[0], reverse=True)
    ]
    report = {
        "made_by": "pretrain.baselines",
        "data_hash": library.hash,
        "tokenizer_hash": codec.hash,
        "order": arguments.order,
        "transpositions": {feel: list(shifts) for feel, shifts in TRANSPOSITIONS.items()},
        "minutes": round((time.monotonic() - begin) / 60, 1),
        "results": results,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(arguments.out, json_text(report, 4).encode())
    for row in results:
        cells = ", ".join(
            f"{feel} {cell['bits_per_note']:.3f}" for feel, cell in row["feels"].items()
        )
        print(f"{row['split']}, {row['model']}: {cells}")
    return 0


def feel_bits(
    library: Library, codec: Codec, feel: str, shifts: range, order: int
) -> dict[str, tuple[list[int], dict[str, NDArray[np.float64]]]]:
    """Measure the pieces of a feel in each held-out split.

    Returns:
        By split, the pieces, and by model their bits, shape (pieces,).
    """
    from styletransfer.training.ngrams import Counts, KneserNey, packed

    train = Sequences(library, codec, library.select(split="train", feel=feel))
    counts, single = Counts(order), Counts(1)
    for shift in shifts:
        say(f"{feel}: counting, {shift:+d} semitones")
        ids = train.transposed(shift)
        counts.add(packed(ids, train.scored, order))
        single.add(packed(ids, train.scored, 1))
    del train
    say(f"{feel}: {len(counts.keys):,} different {order}-grams")

    models = {"n-grams": KneserNey(counts, codec.size), "unigrams": KneserNey(single, codec.size)}
    found = {}
    for split in ("validation", "test"):
        if not (chosen := library.select(split=split, feel=feel)):
            continue
        held = Sequences(library, codec, chosen)
        owner = np.repeat(np.arange(len(held.indices)), held.lengths)[held.scored]
        size = len(held.indices)
        uniform = np.bincount(owner, minlength=size) * math.log2(codec.size)
        columns: dict[str, NDArray[np.float64]] = {"uniform": uniform.astype(np.float64)}
        for name, model in models.items():
            keys = packed(held.ids, held.scored, order if name == "n-grams" else 1)
            columns[name] = np.bincount(owner, model.bits(keys), size).astype(np.float64)
        found[split] = (held.indices, columns)
    return found


class Sequences:
    """Whole pieces as token sequences with their melodies, one after the other.

    ``ids`` and ``scored`` have shape (tokens,). No n-gram of up to five tokens reaches from one
    piece into the next, as the head of a sequence isn't scored.
    """

    def __init__(self, library: Library, codec: Codec, indices: list[int]) -> None:
        from styletransfer.data.batches import piece_grid
        from styletransfer.tokens.controls import Controls

        self.codec, self.indices = codec, indices
        ids: list[NDArray[np.int16]] = []
        scored: list[NDArray[np.bool_]] = []
        ranges = []
        for done, index in enumerate(indices):
            piece = library.pieces[index]
            grid = piece_grid(library, codec, index)
            key = codec.melody_key(grid, 0)
            controls = Controls(
                piece.feel, piece.era, piece.composer, piece.quarters_per_minute, key
            )
            tokens, counts = codec.encode(grid, controls.tokens(), with_melody=True)
            ids.append(np.array(tokens, np.int16))
            scored.append(np.array(counts, bool))
            ranges.append((int(grid.pitch.min()), int(grid.pitch.max())))
            if (done + 1) % 200 == 0:
                say(f"{piece.split} {piece.feel}: {done + 1} of {len(indices)} pieces encoded")
        self.lengths = np.array([len(row) for row in ids])
        self.ids, self.scored = np.concatenate(ids), np.concatenate(scored)
        self.ranges = np.array(ranges)

    def transposed(self, semitones: int) -> NDArray[np.int16]:
        """Return the ids of the music moved by semitones; none leaves the keyboard."""
        from styletransfer.tokens.codec import HIGHEST_PITCH, LOWEST_PITCH

        low, high = LOWEST_PITCH - self.ranges[:, 0], HIGHEST_PITCH - self.ranges[:, 1]
        shift = np.repeat(
            np.minimum(np.maximum(semitones, low), high).astype(np.int16), self.lengths
        )
        last = self.codec.first_pitch + HIGHEST_PITCH - LOWEST_PITCH
        is_pitch = (self.ids >= self.codec.first_pitch) & (self.ids <= last)
        return np.where(is_pitch, self.ids + shift, self.ids)


def say(text: str) -> None:
    """Report progress."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
