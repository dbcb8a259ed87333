"""Measure bits per note of every composer's held-out pieces under every style.

    python -m finetune.matrix --data data/prepared

Writes ``finetune/results/matrix.json``, which ``finetune.report`` turns into the table and the
picture of ``finetune/README.md``. A row is of a composer's test pieces, a few windows of each (and
of validation pieces, where the test pieces are of fewer than five works). The columns are the base
without a tag, the base with the row's own tag, and every composer's adapter with its own tag.
Finished columns are kept in ``runs/matrix``, so that the same command resumes.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from styletransfer import folders
from styletransfer.configuration import recipe_parser
from styletransfer.folders import weights_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from styletransfer.data.library import Library
    from styletransfer.styles.card import Style
    from styletransfer.tokens.codec import Codec
    from styletransfer.training.likelihood import ScoredWindow

BASE, TAG = "base", "tag"
FEWEST_WORKS = 5


def main(argv: list[str] | None = None) -> int:
    """Measure, write the matrix, and return the exit code."""
    parser = recipe_parser(__doc__, data=True)
    parser.add_argument("--base", type=Path, default=weights_folder() / "base")
    parser.add_argument("--styles", type=Path, default=folders.shipped())
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument(
        "--windows", type=int, default=2, help="of each piece, spread evenly over it"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        help="these composers' pieces and styles, instead of all that have a style",
    )
    parser.add_argument(
        "--columns", type=Path, default=Path("runs/matrix"), help="where columns are kept"
    )
    parser.add_argument("--out", type=Path, default=Path("finetune/results/matrix.json"))
    arguments = parser.parse_args(argv)

    from styletransfer.data.library import Library
    from styletransfer.errors import InputError
    from styletransfer.files import write_atomically

    try:
        library = Library.load(arguments.data)
        report = matrix(library, arguments)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(arguments.out, (json.dumps(report) + "\n").encode())
    print(arguments.out)
    return 0


def matrix(library: Library, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure the bits of each piece under each column; also list the pieces."""
    from styletransfer.files import write_atomically
    from styletransfer.model.adapters import load_adapter
    from styletransfer.model.base import as_llama
    from styletransfer.model.loading import measured_model
    from styletransfer.tokens.codec import Codec
    from styletransfer.tokens.controls import UNKNOWN
    from styletransfer.training.likelihood import window_bits
    from styletransfer.training.trainer import keep_memory

    keep_memory()
    measured = measured_model(arguments.base)
    base = as_llama(measured.model)
    codec, context = Codec(), int(base.config.max_position_embeddings)
    styles = composers_in(arguments.styles, arguments.only)
    chosen = pieces_of(library, [style.name for style in styles], arguments.split)
    about = {"base": measured.weights_hash, "data": library.hash, "windows": arguments.windows}
    about |= {"pieces": [library.pieces[i].id for i in chosen]}
    columns: dict[str, list[float]] = {}
    windows, owner = read(library, chosen, codec, context, arguments.windows)

    arguments.columns.mkdir(parents=True, exist_ok=True)
    for name in [BASE, TAG, *(style.name for style in styles)]:
        style = next((style for style in styles if style.name == name), None)
        key = about | {"style": style.card.__dict__ if style and style.card else None}
        path = arguments.columns / f"{name}.json"
        if (kept := kept_column(path, key)) is not None:
            columns[name] = kept
            continue

        model = load_adapter(base, measured.weights_hash, codec.hash, style) if style else base
        tag = (style.era, style.composer) if style else (UNKNOWN, UNKNOWN)
        rows = windows if name == TAG else [retagged(row, codec, *tag) for row in windows]
        columns[name] = np.bincount(owner, window_bits(model, codec, rows), len(chosen)).tolist()
        write_atomically(path, json.dumps({"key": key, "bits": columns[name]}).encode())
        print(name, flush=True)

    counted = [
        sum(codec.kind_of(index)[0] == "pitch" for index in row.labels.tolist()) for row in windows
    ]
    notes = np.bincount(owner, counted, len(chosen)).astype(int).tolist()
    pieces = [library.pieces[i] for i in chosen]
    keys = ("id", "composer", "feel", "group", "split")
    return {
        "made_by": "finetune.matrix",
        "split": arguments.split,
        "windows_a_piece": arguments.windows,
        "base": about["base"],
        "data_hash": library.hash,
        "pieces": [
            {k: getattr(one, k) for k in keys} | {"notes": count}
            for one, count in zip(pieces, notes, strict=True)
        ],
        "bits": columns,
    }


def kept_column(path: Path, key: dict[str, Any]) -> list[float] | None:
    """Return a column that was measured before under the same key, if there is one."""
    if not path.exists():
        return None
    kept: dict[str, Any] = json.loads(path.read_text())
    bits: list[float] = kept["bits"]
    return bits if kept["key"] == json.loads(json.dumps(key)) else None


def composers_in(folder: Path, only: list[str] | None) -> list[Style]:
    """List the composers' styles in a folder, ``only`` these where some are named.

    Raises:
        InputError: where there are none.
    """
    from styletransfer.errors import InputError
    from styletransfer.styles.find import style_at

    styles = [style_at(path.parent) for path in sorted(folder.glob("*/style.json"))]
    styles = [
        style
        for style in styles
        if style.kind == "composer" and style.name in (only or [style.name])
    ]
    if not styles:
        raise InputError(
            f"{folder}: has no composer's style; make them with `python -m finetune.train`."
        )
    return styles


def read(
    library: Library, chosen: list[int], codec: Codec, context: int, count: int
) -> tuple[list[ScoredWindow], NDArray[np.int64]]:
    """Cut pieces under their own tags into at most ``count`` windows each.

    Returns:
        The windows, and the place of each one's piece in ``chosen``.
    """
    from styletransfer.data.batches import piece_grid
    from styletransfer.data.library import spread
    from styletransfer.tokens.controls import Controls
    from styletransfer.training.likelihood import windows_of

    windows: list[ScoredWindow] = []
    owner: list[int] = []
    for number, index in enumerate(chosen):
        piece = library.pieces[index]
        controls = Controls(piece.feel, piece.era, piece.composer, piece.quarters_per_minute)
        every = windows_of(
            codec, piece_grid(library, codec, index), controls, context, with_melody=True
        )
        windows += spread(every, count)
        owner += [number] * (len(windows) - len(owner))
    return windows, np.array(owner)


def retagged(window: ScoredWindow, codec: Codec, era: str, composer: str) -> ScoredWindow:
    """Put a window under other tags."""
    ids = window.ids.copy()
    for kind, name in (("ERA_", era), ("COMPOSER_", composer)):
        tags = [index for token, index in codec.vocabulary.items() if token.startswith(kind)]
        ids[np.isin(ids, tags)] = codec.vocabulary[kind + name]
    return replace(window, ids=ids)


def pieces_of(library: Library, composers: list[str], split: str) -> list[int]:
    """Choose each composer's pieces of the split.

    Where they are of fewer than :data:`FEWEST_WORKS` works, all that were held out are chosen.
    """
    chosen: list[int] = []
    for composer in composers:
        found = library.select(split=split, composer=composer)
        if len({library.pieces[i].group for i in found}) < FEWEST_WORKS:
            found = library.select(split=("validation", "test"), composer=composer)
        chosen += found
    return chosen


if __name__ == "__main__":
    sys.exit(main())
