"""Collect the figures of accompaniment that an arrangement may begin with.

    python -m finetune.figures --data data/prepared

Writes ``styletransfer/assets/figures.safetensors``, which :mod:`styletransfer.transfer.figures`
reads: from every training score, the bar of accompaniment that most other bars resemble, and a
second one that is unlike it, each with its composer, era, metre, tempo and key. Nothing is trained.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from styletransfer.configuration import recipe_parser

if TYPE_CHECKING:
    from styletransfer.data.library import Library
    from styletransfer.tokens.codec import Codec, Event

FEWEST_BARS = 4
"""How many bars of a piece must have a figure for it to be taken, so that it is no accident."""
MOST_BARS = 400
"""How many bars of a piece are examined."""


def main(argv: list[str] | None = None) -> int:
    """Write the figures, and return the exit code."""
    parser = recipe_parser(__doc__, data=True)
    parser.add_argument(
        "--out", type=Path, default=Path("styletransfer/assets/figures.safetensors")
    )
    arguments = parser.parse_args(argv)

    from safetensors.numpy import save

    from styletransfer.data.library import Library
    from styletransfer.errors import InputError
    from styletransfer.files import write_atomically
    from styletransfer.tokens.codec import Codec

    try:
        library = Library.load(arguments.data)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2

    rows: list[dict[str, Any]] = []
    notes: list[tuple[int, int, int, int]] = []
    for row, events in figures(library, Codec()):
        notes += [(len(rows), event.step, event.duration, event.pitch) for event in events]
        rows.append(row)

    head = {"made_by": "finetune.figures", "data_hash": library.hash, "figures": rows}
    data = save({"notes": np.array(notes, np.int16)}, metadata={"figures": json.dumps(head)})
    write_atomically(arguments.out, data)
    sources = Counter(row["source"] for row in rows)
    print(
        f"{arguments.out}: {len(rows):,} figures, {len(data) / 1e6:.2f} MB;"
        f" {dict(sources.most_common())}"
    )
    return 0


def figures(library: Library, codec: Codec) -> Iterator[tuple[dict[str, Any], list[Event]]]:
    """Yield the figures of all training scores, each with what is known of its piece."""
    from styletransfer.data.batches import piece_grid
    from styletransfer.music.key import estimate_key
    from styletransfer.tokens.figures import accompaniment, carried_on, figures_of

    for index in library.select(split="train", feel="score"):
        piece = library.pieces[index]
        grid = piece_grid(library, codec, index)
        key = estimate_key(library.notes(index))
        for bar, like in carried_on(figures_of(codec, grid), MOST_BARS)[:2]:
            if like < FEWEST_BARS:
                break
            events = accompaniment(codec.bar_events(grid, bar), codec.melody_events(grid, bar))
            row = {
                "source": piece.source,
                "composer": piece.composer,
                "era": piece.era,
                "tune": piece.tune,
                "metre": grid.bar_metre[bar],
                "length": int(grid.bar_length[bar]),
                "quarters_per_minute": round(piece.quarters_per_minute),
                "tonic": key.tonic,
            }
            yield row, events


if __name__ == "__main__":
    sys.exit(main())
