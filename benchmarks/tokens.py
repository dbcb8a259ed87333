"""Measure tokenizers: tokens per note, onset error and encoding speed.

    python -m benchmarks.tokens --data data/prepared [--write benchmarks/tokens.md]

How many tokens each tokenizer needs, and how much timing it loses. Measured on a fixed sample of
whole pieces, without control tokens. The onset error compares each note's onset with the decoded
one (notes of the same pitch in order), in milliseconds; a score's quarters are converted at its own
tempo. The speed is notes encoded per second of processor time, the median of three rounds; the
machine did other work at the same time, so that only large ratios are meaningful.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from styletransfer.configuration import recipe_parser
from styletransfer.data.batches import MixtureConfig, piece_grid
from styletransfer.data.library import Library
from styletransfer.data.plain import piece_table, training_tables
from styletransfer.evaluation.markdown import table
from styletransfer.music.notes import Feel
from styletransfer.tokens.codec import STEPS_PER_QUARTER, STEPS_PER_SECOND, Codec
from styletransfer.tokens.loading import tokenizer_settings
from styletransfer.tokens.miditok_codec import MidiTokCodec, MidiTokConfig
from styletransfer.tokens.tokenizer import PlainTokenizer

Floats = NDArray[np.float64]
FEELS: tuple[Feel, Feel] = ("performance", "score")
COLUMNS = (
    "tokenizer",
    "vocabulary",
    "feel",
    "tokens per note",
    "mean onset error (ms)",
    "max (ms)",
    "notes lost",
    "notes per second",
)


@dataclass(frozen=True)
class Decoded:
    """Notes decoded from tokens: onset (seconds or quarters) and pitch, each (notes,)."""

    onset: Floats
    pitch: NDArray[np.int64]


@dataclass(frozen=True)
class Candidate:
    """A tokenizer under test: encodes and decodes piece ``i`` of a library."""

    name: str
    encode: Callable[[Library, int], list[int]]
    decode: Callable[[Library, int, list[int]], Decoded]
    vocabulary: int


def main(argv: list[str] | None = None) -> int:
    """Measure all tokenizers, and write the page."""
    parser = recipe_parser(__doc__, data=True)
    parser.add_argument(
        "--pieces",
        type=int,
        default=25,
        help="pieces of each feel, spread evenly over the training pieces",
    )
    parser.add_argument("--write", type=Path, help="the page to write")
    arguments = parser.parse_args(argv)

    library = Library.load(arguments.data)
    sample: dict[Feel, list[int]] = {}
    for feel in FEELS:
        pool = library.select(split="train", feel=feel)
        sample[feel] = [pool[k * len(pool) // arguments.pieces] for k in range(arguments.pieces)]

    rows: list[tuple[str, ...]] = []
    for candidate in candidates(library):
        rows += [measure(candidate, library, feel, pieces) for feel, pieces in sample.items()]
        print(*rows[-2:], sep="\n", flush=True)

    text = render(rows, library, sample)
    if arguments.write:
        arguments.write.write_text(text, encoding="utf-8")

    return 0


def candidates(library: Library) -> list[Candidate]:
    """List the first tokenizer with and without merges, TSD with three grids, ours."""
    seed = tokenizer_settings("configs/tokenizer/seed.yaml")
    tables = training_tables(library, seed.bpe_notes, MixtureConfig(score_share=0.0))
    names = {"seed, without BPE": MidiTokConfig(), f"seed, BPE to {seed.bpe_vocabulary}": seed}
    found = [plain(name, MidiTokCodec.train(config, tables)) for name, config in names.items()]
    for steps in (12, 16, 24):
        config = MidiTokConfig(
            (((0, 4), steps), ((4, 12), steps // 2)),
            chords=False,
            tempos=False,
            time_signatures=False,
        )
        found.append(
            plain(
                f"TSD, {2 * steps} steps a second ({steps} a quarter)", MidiTokCodec.train(config)
            )
        )

    codec = Codec()

    return [
        *found,
        ours("default, without melody", codec, False),
        ours("default, with melody", codec, True),
    ]


def plain(name: str, codec: PlainTokenizer) -> Candidate:
    """Make a candidate of a plain tokenizer."""

    def encode(library: Library, index: int) -> list[int]:
        return codec.music(*piece_table(library, index))

    def decode(library: Library, index: int, ids: list[int]) -> Decoded:
        feel = library.pieces[index].feel
        piece = codec.decode(ids, feel)
        if feel == "performance":
            return Decoded(piece.onset_seconds, piece.notes["pitch"].astype(np.int64))
        return Decoded(
            piece.notes["onset"] + library.bars(index)["start"][0],
            piece.notes["pitch"].astype(np.int64),
        )

    return Candidate(name, encode, decode, codec.size)


def ours(name: str, codec: Codec, with_melody: bool) -> Candidate:
    """Make a candidate of the default tokenizer."""

    def encode(library: Library, index: int) -> list[int]:
        return codec.encode(piece_grid(library, codec, index), [], with_melody=with_melody)[0]

    def decode(library: Library, index: int, ids: list[int]) -> Decoded:
        grid = piece_grid(library, codec, index)
        bars = codec.decode(ids)
        steps = [
            int(grid.bar_start[bar]) + event.step
            for bar, events in enumerate(bars)
            for event in events
        ]
        pitch = [event.pitch for events in bars for event in events]
        scale = STEPS_PER_QUARTER if grid.feel == "score" else STEPS_PER_SECOND
        return Decoded(np.array(steps) / scale, np.array(pitch))

    return Candidate(name, encode, decode, codec.size)


def measure(
    candidate: Candidate, library: Library, feel: Feel, pieces: list[int], rounds: int = 3
) -> tuple[str, ...]:
    """Measure one tokenizer on the pieces of one feel, as the cells of a row."""
    notes = sum(library.pieces[index].count for index in pieces)
    seconds, sequences = [], []
    for _ in range(rounds):
        begin = time.process_time()
        sequences = [candidate.encode(library, index) for index in pieces]
        seconds.append(time.process_time() - begin)

    errors, lost = [], 0
    for index, ids in zip(pieces, sequences, strict=True):
        table, piece = library.notes(index), library.pieces[index]
        back = candidate.decode(library, index, ids)
        lost += piece.count - len(back.pitch)
        if piece.count == len(back.pitch):
            before = table["onset"][np.lexsort((table["onset"], table["pitch"]))].astype(float)
            after = back.onset[np.lexsort((back.onset, back.pitch))]
            errors.append(
                np.abs(before - after)
                * (60 / piece.quarters_per_minute if feel == "score" else 1)
                * 1000
            )

    error = np.concatenate(errors) if errors else np.full(1, np.nan)
    tokens = sum(map(len, sequences)) / notes
    speed = notes / float(np.median(seconds))

    return (
        candidate.name,
        f"{candidate.vocabulary}",
        feel,
        f"{tokens:.2f}",
        f"{error.mean():.1f}",
        f"{error.max():.0f}",
        f"{lost}",
        f"{speed:,.0f}",
    )


def render(rows: list[tuple[str, ...]], library: Library, sample: dict[Feel, list[int]]) -> str:
    """Write the page in Markdown."""
    counts = {
        feel: sum(library.pieces[index].count for index in pieces)
        for feel, pieces in sample.items()
    }
    about = ", ".join(f"{len(sample[feel])} {feel}s of {counts[feel]:,} notes" for feel in FEELS)
    return "\n".join(
        [
            "# Tokenizers: cost and losses",
            "",
            *(__doc__ or "").strip().split("\n\n")[-1].splitlines(),
            "",
            f"Sample: {about}, spread evenly over the training pieces. Machine: "
            f"{platform.machine()}, one core, Python {platform.python_version()}.",
            "Made by `python -m benchmarks.tokens --write benchmarks/tokens.md`.",
            "",
            table(COLUMNS, rows),
            "",
        ]
    )


if __name__ == "__main__":
    raise SystemExit(main())
