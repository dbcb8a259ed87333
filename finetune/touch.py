"""Measure how pianists play the styles.

    python -m finetune.touch MAESTRO --data data/prepared

Writes ``styletransfer/assets/touch.json``, and the touch into the cards of styles that have one;
nothing is trained and no weights change. Loudness is that of
:func:`styletransfer.data.touch.loudness`, which is also measured whenever a style is trained. The
pedal's share of the time is the median over the style's training performances, by their MIDI files
(in the prepared data, notes last as long as the pedal holds them). The last row that is printed is
of all performances: ``styletransfer.styles.touch.USUAL``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from styletransfer import folders
from styletransfer.configuration import recipe_parser
from styletransfer.data.library import Library, PieceInfo
from styletransfer.data.touch import loudness
from styletransfer.errors import InputError
from styletransfer.files import write_atomically
from styletransfer.formats.read import read_score
from styletransfer.styles.card import CARD, TOUCH
from styletransfer.styles.find import style_at
from styletransfer.tokens.controls import COMPOSER_ERAS, ERAS

FEWEST = 10
"""How many performances show a style's touch."""


def main(argv: list[str] | None = None) -> int:
    """Measure and write, and return the exit code."""
    parser = recipe_parser(__doc__, data=True)
    parser.add_argument("maestro", type=Path, help="the folder of MAESTRO's MIDI files")
    parser.add_argument(
        "--styles",
        type=Path,
        default=folders.shipped(),
        help="the folder of styles whose cards are written",
    )
    parser.add_argument("--out", type=Path, default=Path("styletransfer/assets/touch.json"))
    arguments = parser.parse_args(argv)
    try:
        library = Library.load(arguments.data)
        played = library.select(split="train", feel="performance")
        styles: dict[str, dict[str, float]] = {}
        print(f"{'':<14}" + "".join(f"{column:>15}" for column in TOUCH))
        for name in (*COMPOSER_ERAS, *ERAS, "all"):
            card_path = arguments.styles / name / CARD
            own = [
                i
                for i in played
                if name in ("all", library.pieces[i].composer, library.pieces[i].era)
            ]
            if len(own) < FEWEST:
                continue
            touch = loudness(library.view(own)) | {
                "pedal": pedal(arguments.maestro, [library.pieces[i] for i in own])
            }
            print(f"{name:<14}" + "".join(f"{touch[column]:>15}" for column in TOUCH), flush=True)
            if name != "all":
                styles[name] = touch
            if name != "all" and card_path.is_file() and (card := style_at(card_path.parent).card):
                write_atomically(card_path, replace(card, touch=touch).to_json().encode())
        table = {"made_by": "finetune.touch", "styles": styles}
        write_atomically(arguments.out, (json.dumps(table, indent=1) + "\n").encode())
    except InputError as error:
        print(error, file=sys.stderr)
        return 2

    return 0


def pedal(maestro: Path, pieces: Iterable[PieceInfo]) -> float:
    """Return the median share of the time with the sustain pedal down.

    Raises:
        InputError: if a file isn't there.
    """
    return round(float(np.median([pedalled(maestro / piece.file) for piece in pieces])), 2)


@cache
def pedalled(path: Path) -> float:
    """Return the share of a file's time with the sustain pedal down.

    The time is from its first note's onset to its last note's end.
    """
    piece = read_score(path, "score")  # as a performance it would have no pedals, but longer notes
    begin, end = float(piece.onset_seconds[0]), piece.length_seconds
    edges = np.clip(piece.tempo.to_seconds(np.reshape(piece.pedals, (-1, 2))), begin, end)
    return float((edges[:, 1] - edges[:, 0]).sum() / (end - begin))


if __name__ == "__main__":
    sys.exit(main())
