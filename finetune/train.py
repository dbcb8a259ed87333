"""Train every style that ships: ``python -m finetune.train --data data/prepared``.

A composer's style learns from that composer's training pieces, an era's from all of the era's, the others from music21's
corpus. A style that is there already, for this base, is left as it is, and a style that was interrupted goes on: the same
command again does the rest.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from styletransfer.tokens.controls import COMPOSER_ERAS, ERAS, UNKNOWN

if TYPE_CHECKING:
    from styletransfer.data.library import Library
    from styletransfer.styles import Kind

ASSETS = Path("styletransfer/assets")
FEWEST_NOTES = 80_000  # of training pieces; a composer with less is left to the tag alone
MAESTRO = "MAESTRO v3.0.0 and keyboard scores"
LICENCE = "CC BY-NC-SA 4.0"
HELD_OUT_SHARE = 0.1  # of the training pieces, for composers without a validation piece


@dataclass(frozen=True)
class Corpus:
    """A style from music21's corpus: which part of it, its era, and what its scores' editors say of rights."""

    source: str
    era: str
    licence: str


OTHERS = {
    "chorales": Corpus("corpus:bach", "baroque", LICENCE),
    "palestrina": Corpus("corpus:palestrina", UNKNOWN, f"{LICENCE}; the scores' encoder reserves rights to derivative formats"),
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/prepared"), help="made by `styletransfer data prepare`")
    parser.add_argument("--config", type=Path, default=Path("configs/finetune/shipped.yaml"))
    parser.add_argument("--base", type=Path, default=ASSETS / "base")
    parser.add_argument("--out", type=Path, default=ASSETS / "styles")
    parser.add_argument("--work", type=Path, default=Path("runs/styles"), help="checkpoints, and the corpus's prepared pieces")
    parser.add_argument("--only", nargs="+", help="these styles, instead of all")
    parser.add_argument("--minutes", type=float, help="for each style at the most")
    arguments = parser.parse_args(argv)

    import json

    from styletransfer.configuration import load_config
    from styletransfer.data.library import Library
    from styletransfer.model.base import weights_hash
    from styletransfer.score.notes import InputError
    from styletransfer.styles import style_at
    from styletransfer.training.finetune import FinetuneConfig, finetune

    try:
        config = load_config(FinetuneConfig, arguments.config)
        library = Library.load(arguments.data)
        base = weights_hash(json.loads((arguments.base / "manifest.json").read_text()))
        for name in arguments.only or styles_of(library):
            out = arguments.out / name
            if (out / "style.json").exists() and (card := style_at(out).card) and card.base == base:
                print(f"{name}: there already", flush=True)
                continue
            pieces, kind = pieces_of_style(library, name, arguments.work)
            begin, corpus = time.monotonic(), name in OTHERS
            card = finetune(
                pieces,
                arguments.base,
                name,
                kind,
                config,
                arguments.work / name,
                out,
                minutes=arguments.minutes,
                licence=OTHERS[name].licence if corpus else LICENCE,
                data=f"music21's {OTHERS[name].source}" if corpus else MAESTRO,
            )
            minutes = (time.monotonic() - begin) / 60
            gain = "nothing held out" if card.gain is None else f"gain {card.gain:.3f} bits a note"
            print(f"{name}: {card.pieces} pieces, {card.steps} steps, {gain}, {minutes:.1f} min", flush=True)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def styles_of(library: Library) -> list[str]:
    """Composers with enough training notes, eras, and the corpus's."""
    notes = {name: 0 for name in COMPOSER_ERAS}
    for piece in library.pieces:
        if piece.split == "train" and piece.composer in notes:
            notes[piece.composer] += piece.count
    return [*(name for name in sorted(notes) if notes[name] >= FEWEST_NOTES), *ERAS, *OTHERS]


def pieces_of_style(library: Library, name: str, work: Path) -> tuple[Library, Kind]:
    """A style's pieces under its control tokens, some of them held out, and its kind.

    Raises:
        InputError: where there is no such style.
    """
    from styletransfer.data.library import Library as Opened
    from styletransfer.data.library import is_prepared
    from styletransfer.data.prepare import prepare
    from styletransfer.score.notes import InputError
    from styletransfer.training.finetune import USER_SLOT

    kind: Kind
    if name in OTHERS:
        folder = work / f"{name}-data"
        if not is_prepared(folder):
            prepare([OTHERS[name].source], folder)
        corpus = Opened.load(folder)
        pieces, kind = corpus.view(range(len(corpus)), era=OTHERS[name].era, composer=USER_SLOT), "other"
    elif name in COMPOSER_ERAS:
        pieces, kind = library.view(library.select(composer=name)), "composer"
    elif name in ERAS:
        pieces, kind = library.view(library.select(era=name), composer=UNKNOWN), "era"
    else:
        raise InputError(f"{name}: not one of the styles that ship.")
    return with_held_out(pieces), kind


def with_held_out(library: Library) -> Library:
    """The library itself; where it has no validation piece, one in which every tenth group of training pieces is held out."""
    from dataclasses import replace

    if library.select(split="validation"):
        return library
    groups = sorted({piece.group for piece in library.pieces if piece.split == "train"})
    held = set(groups[:: round(1 / HELD_OUT_SHARE)]) if len(groups) > 1 else set()
    pieces = tuple(replace(piece, split="validation") if piece.group in held else piece for piece in library.pieces)
    return replace(library, manifest=replace(library.manifest, pieces=pieces))


if __name__ == "__main__":
    sys.exit(main())
