"""Train styles: eras, composers, and those of music21's corpus.

    python -m finetune.train --data data/prepared                              # all of them
    python -m finetune.train --data data/prepared --only chorales palestrina   # those that ship

Writes their folders beside the base's, at four to nine minutes of a core each. An era's style
learns from all of the era's training pieces, a composer's from that composer's, begun with the
era's adapter, the others from music21's corpus. Styles in :data:`STEPS` learn for longer than the
settings state. With ``--half A`` or ``B``, composers learn from one half of their content groups,
for the cross-fit of ``eval.transfer_report``. A style that is there already for this base is left
as it is, and one that was interrupted is resumed: the same command does the rest.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from styletransfer import folders
from styletransfer.configuration import recipe_parser
from styletransfer.evaluation.crossfit import HALVES, halves
from styletransfer.files import write_atomically
from styletransfer.folders import weights_folder
from styletransfer.styles.card import CARD, Card
from styletransfer.styles.find import style_at
from styletransfer.tokens.controls import COMPOSER_ERAS, ERAS, UNKNOWN

if TYPE_CHECKING:
    from styletransfer.data.library import Library
    from styletransfer.styles.card import Kind
    from styletransfer.training.finetune import StyleRun

FEWEST_NOTES = 80_000
"""How many notes of training pieces give a composer an adapter; others have their tag alone."""
MAESTRO = "MAESTRO v3.0.0 and keyboard scores"
LICENCE = "CC BY-NC-SA 4.0"
HELD_OUT_SHARE = 0.1
"""The share of training pieces to hold out for composers without a validation piece."""


@dataclass(frozen=True)
class Corpus:
    """A style from music21's corpus.

    ``licence``: with what its scores' editors state about rights.
    """

    source: str
    era: str
    licence: str


OTHERS = {
    "chorales": Corpus("corpus:bach", "baroque", LICENCE),
    "palestrina": Corpus(
        "corpus:palestrina",
        UNKNOWN,
        f"{LICENCE}; the scores' encoder reserves rights to derivative formats",
    ),
}


STEPS = {"romantic": 600, "debussy": 400}
"""The steps of styles that still gained at the end of the usual ones.

The romantic era has three times the music of any other.
"""
MORE = {"bach": "chorales"}
"""Styles of :data:`OTHERS` from whose pieces a composer's style learns, too."""


def main(argv: list[str] | None = None) -> int:
    """Train the styles, and return the exit code."""
    parser = recipe_parser(__doc__, data=True)
    parser.add_argument(
        "--config",
        type=Path,
        default=Path("configs/finetune/shipped.yaml"),
        help="settings of eras and the corpus's styles",
    )
    parser.add_argument(
        "--composers",
        type=Path,
        default=Path("configs/finetune/composers.yaml"),
        help="settings of composers",
    )
    parser.add_argument("--base", type=Path, default=weights_folder() / "base")
    parser.add_argument("--out", type=Path, default=folders.shipped())
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("runs/styles"),
        help="checkpoints, and the corpus's prepared pieces",
    )
    parser.add_argument(
        "--eras",
        type=Path,
        default=folders.shipped(),
        help="the folder of the eras' adapters, to begin with",
    )
    parser.add_argument(
        "--half",
        choices=HALVES,
        help="composers learn from this half, and are called NAME-A or NAME-B",
    )
    parser.add_argument("--seed", type=int, help="of the training, instead of the settings'")
    parser.add_argument("--only", nargs="+", help="these styles, instead of all")
    parser.add_argument(
        "--measured",
        type=Path,
        help="learn from all pieces; the cards get the bits of the styles in this folder",
    )
    parser.add_argument("--minutes", type=float, help="the most for each style")
    arguments = parser.parse_args(argv)

    from styletransfer.data.library import Library
    from styletransfer.errors import InputError
    from styletransfer.model.loading import measured_model

    try:
        library = Library.load(arguments.data)
        if arguments.measured:
            library = library.without_held_out()
        else:
            measured_model(arguments.base)
        for style in arguments.only or styles_of(library):
            train_style(style, library, arguments)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def train_style(style: str, library: Library, arguments: argparse.Namespace) -> None:
    """Train a style, unless it is there already for this base."""
    from styletransfer.model.weights import weights_hash
    from styletransfer.training.finetune import finetune

    name = f"{style}-{arguments.half}" if arguments.half else style
    out = arguments.out / name
    base = weights_hash(json.loads((arguments.base / "manifest.json").read_text()))
    if (out / CARD).exists() and (card := style_at(out).card) and card.base == base:
        print(f"{name}: there already", flush=True)
        return

    begin = time.monotonic()
    card = finetune(run_of(style, library, base, arguments))
    if arguments.measured:
        card = as_measured(out, arguments.measured / name)
    minutes = (time.monotonic() - begin) / 60
    gain = "nothing held out" if card.gain is None else f"gain {card.gain:.3f} bits per note"
    print(
        f"{name}: {card.pieces} pieces, {card.steps} steps, {gain}, {minutes:.1f} min", flush=True
    )


def run_of(style: str, library: Library, base: str, arguments: argparse.Namespace) -> StyleRun:
    """Describe the run of a style: its pieces, settings and folders.

    Raises:
        InputError: if there is no such style.
    """
    from styletransfer.configuration import load_config
    from styletransfer.errors import InputError
    from styletransfer.model.adapters import era_to_begin_with
    from styletransfer.training.finetune import FinetuneConfig, StyleRun

    if arguments.half and style not in COMPOSER_ERAS:
        raise InputError(f"{style}: halves are of composers' pieces.")
    pieces, kind = pieces_of_style(library, style, arguments.work, hold_out=not arguments.measured)
    if arguments.half:
        pieces = one_half(pieces, library, arguments.half)

    data = f"music21's {OTHERS[style].source}" if style in OTHERS else MAESTRO
    if style in MORE:
        pieces = with_corpus(pieces, MORE[style], arguments.work)
        data += f", and music21's {OTHERS[MORE[style]].source}"

    settings = arguments.composers if kind == "composer" else arguments.config
    config = load_config(FinetuneConfig, settings)
    seed = config.seed if arguments.seed is None else arguments.seed
    config = replace(config, steps=STEPS.get(style, config.steps), seed=seed)
    era = COMPOSER_ERAS.get(style)
    name = f"{style}-{arguments.half}" if arguments.half else style
    return StyleRun(
        pieces,
        arguments.base,
        name,
        kind,
        config,
        arguments.work / name,
        arguments.out / name,
        start=era_to_begin_with(arguments.eras, era, base, config.lora) if era else None,
        minutes=arguments.minutes,
        licence=OTHERS[style].licence if style in OTHERS else LICENCE,
        data=data,
    )


def styles_of(library: Library) -> list[str]:
    """List eras, composers with enough training notes, and the corpus's styles."""
    notes = {name: 0 for name in COMPOSER_ERAS}
    for piece in library.pieces:
        if piece.split == "train" and piece.composer in notes:
            notes[piece.composer] += piece.count
    return [*ERAS, *(name for name in sorted(notes) if notes[name] >= FEWEST_NOTES), *OTHERS]


def pieces_of_style(
    library: Library, name: str, work: Path, *, hold_out: bool = True
) -> tuple[Library, Kind]:
    """Choose a style's pieces under its control tokens, and return them with its kind.

    Some of them are held out, except without ``hold_out``.

    Raises:
        InputError: if there is no such style.
    """
    from styletransfer.errors import InputError
    from styletransfer.training.finetune import USER_SLOT

    kind: Kind
    if name in OTHERS:
        corpus = corpus_of(name, work)
        split = None if hold_out else "train"
        pieces, kind = (
            corpus.view(range(len(corpus)), era=OTHERS[name].era, composer=USER_SLOT, split=split),
            "other",
        )
    elif name in COMPOSER_ERAS:
        pieces, kind = library.view(library.select(composer=name)), "composer"
    elif name in ERAS:
        pieces, kind = library.view(library.select(era=name), composer=UNKNOWN), "era"
    else:
        raise InputError(f"{name}: not one of the styles that ship.")
    return (with_held_out(pieces) if hold_out else pieces), kind


def corpus_of(name: str, work: Path) -> Library:
    """Prepare the pieces of a style of music21's corpus, once."""
    from styletransfer.data.library import Library, is_prepared
    from styletransfer.data.prepare import prepare

    folder = work / f"{name}-data"
    if not is_prepared(folder):
        prepare([OTHERS[name].source], folder)
    return Library.load(folder)


def with_corpus(pieces: Library, name: str, work: Path) -> Library:
    """Join a composer's pieces and a corpus style's training pieces.

    All have the composer's tags.

    Raises:
        ValueError: if one of the latter is a held-out piece.
    """
    from styletransfer.data.fingerprint import fingerprint, same_pieces
    from styletransfer.data.splits import check_splits

    corpus, first = corpus_of(name, work), pieces.pieces[0]
    both = pieces.joined(
        corpus.view(corpus.select(split="train"), era=first.era, composer=first.composer)
    )
    rows = [(both.notes(i), one.feel) for i, one in enumerate(both.pieces)]
    pitches, intervals = (
        [fingerprint(notes["onset"], notes["pitch"], feel, intervals=steps) for notes, feel in rows]
        for steps in (False, True)
    )
    check_splits(
        same_pieces(pitches, intervals),
        [one.split for one in both.pieces],
        [one.id for one in both.pieces],
    )
    return both


def one_half(pieces: Library, library: Library, half: str) -> Library:
    """Leave out the training pieces of the library's other half."""
    dealt = halves(library.pieces)
    return pieces.view(
        i
        for i, piece in enumerate(pieces.pieces)
        if piece.split != "train" or dealt[piece.group] == half
    )


def as_measured(folder: Path, twin: Path) -> Card:
    """Give a style that learnt from all pieces the numbers of its twin.

    They are the bits per note of held-out pieces, and how pianists play it.

    Raises:
        InputError: if there is no such twin.
    """
    from styletransfer.training.finetune import readme_of

    own, known = style_at(folder).card, style_at(twin).card
    assert own is not None
    assert known is not None
    card = replace(
        own,
        **{key: getattr(known, key) for key in ("held_out", "base_bits", "style_bits", "touch")},
    )
    write_atomically(folder / "README.md", readme_of(card, measured=True).encode())
    write_atomically(folder / CARD, card.to_json().encode())
    return card


def with_held_out(library: Library) -> Library:
    """Hold out every tenth group of training pieces, if no piece is held out already."""
    if library.select(split="validation"):
        return library
    groups = sorted({piece.group for piece in library.pieces if piece.split == "train"})
    held = set(groups[:: round(1 / HELD_OUT_SHARE)]) if len(groups) > 1 else set()
    pieces = tuple(
        replace(piece, split="validation") if piece.group in held else piece
        for piece in library.pieces
    )
    return replace(library, manifest=replace(library.manifest, pieces=pieces))


if __name__ == "__main__":
    sys.exit(main())
