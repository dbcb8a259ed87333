"""Measure bits per note of a model on whole held-out pieces.

    python -m pretrain.evaluate --model runs/small/final --pieces 60 --longest 6000

Writes JSON to ``pretrain/results``, which ``pretrain.report`` turns into tables; with the options
above it takes six to ten minutes. The melody is given, or with ``--without-melody`` the model is a
plain language model. Bits are by feel and by composer, with a bootstrap interval over pieces, where
the performances of one piece are drawn together. ``--split train`` measures training pieces, to
compare with.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from styletransfer.configuration import recipe_parser

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from styletransfer.data.library import Library
    from styletransfer.model.base import MelodyLlama
    from styletransfer.tokens.loading import AnyCodec

FEWEST = 64
"""The fewest tokens that a model has to read at once: the controls, a bar of melody, and a bar."""


def main(argv: list[str] | None = None) -> int:
    """Measure, write the results, and return the exit code."""
    parser = recipe_parser(__doc__, data=True)
    parser.add_argument(
        "--model", type=Path, required=True, help="a folder of weights, such as runs/small/final"
    )
    parser.add_argument("--split", choices=("train", "validation", "test"), default="validation")
    parser.add_argument(
        "--pieces", type=int, help="how many of each feel, spread evenly; by default all"
    )
    parser.add_argument("--longest", type=int, help="only pieces of at most so many notes")
    parser.add_argument(
        "--context",
        type=int,
        metavar="TOKENS",
        help="tokens that the model reads at once, instead of all that it can",
    )
    parser.add_argument(
        "--without-melody", action="store_true", help="plain language modelling: no melody is given"
    )
    parser.add_argument(
        "--without-plan",
        action="store_true",
        help="give a model that plans no chords and references",
    )
    parser.add_argument("--name", help="the model's name in the tables, by default its folder's")
    parser.add_argument(
        "--out",
        type=Path,
        help="by default pretrain/results/NAME-SPLIT[-without-melody][-TOKENS].json",
    )
    arguments = parser.parse_args(argv)
    if arguments.context is not None and arguments.context < FEWEST:
        parser.error(f"--context {arguments.context}: give at least {FEWEST}.")

    from styletransfer.errors import InputError

    try:
        report = evaluate(arguments)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2

    from styletransfer.files import write_atomically

    kind = "-without-melody" * arguments.without_melody + (
        f"-{arguments.context}" if arguments.context else ""
    )
    name = report["results"][0]["model"]
    out = arguments.out or Path(f"pretrain/results/{name}-{arguments.split}{kind}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, (json.dumps(report, indent=1) + "\n").encode())
    for feel, cell in report["results"][0]["feels"].items():
        print(
            f"{feel}: {cell['bits_per_note']:.3f} bits per note, interval {cell['interval']},"
            f" {cell['pieces']} pieces"
        )
    print(out)
    return 0


def evaluate(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure one model on one split."""
    import torch

    from styletransfer.data.library import Library
    from styletransfer.errors import InputError
    from styletransfer.evaluation.bits import bits_report
    from styletransfer.model.base import as_llama
    from styletransfer.model.loading import measured_model
    from styletransfer.tokens.codec import Codec
    from styletransfer.training.trainer import keep_memory

    keep_memory()
    with_melody = not arguments.without_melody
    library = Library.load(arguments.data)
    base = measured_model(arguments.model)
    model, codec = as_llama(base.model), base.codec
    if with_melody and not isinstance(codec, Codec):
        raise InputError(
            f"{arguments.model}: its tokenizer knows no melodies; give --without-melody."
        )
    if torch.cuda.is_available():
        torch.nn.Module.cuda(model)

    chosen = pieces_of(library, arguments)
    if not chosen:
        raise InputError(f"{arguments.data}: has no {arguments.split} pieces that match.")

    context = min(arguments.context or base.model.sizes.context, base.model.sizes.context)
    begin = time.monotonic()
    bits = bits_of(model, codec, library, chosen, context, arguments)

    manifest = json.loads((arguments.model / "manifest.json").read_text())
    folder = arguments.model.resolve()
    about = {
        "model": arguments.name or (folder.parent.name if folder.name == "final" else folder.name),
        "split": arguments.split,
        "with_melody": with_melody,
        "with_plan": with_melody
        and not arguments.without_plan
        and isinstance(codec, Codec)
        and codec.plans,
        "context": context,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "steps": manifest.get("steps"),
        "tokens": manifest.get("tokens"),
    }
    return {
        "made_by": "pretrain.evaluate",
        "data_hash": library.hash,
        "tokenizer_hash": codec.hash,
        "minutes": round((time.monotonic() - begin) / 60, 1),
        "results": [bits_report(library, chosen, bits, about)],
    }


def pieces_of(library: Library, arguments: argparse.Namespace) -> list[int]:
    """Choose the pieces of both feels that are measured."""
    from styletransfer.data.library import spread

    chosen: list[int] = []
    for feel in ("score", "performance"):
        pool = [
            index
            for index in library.select(split=arguments.split, feel=feel)
            if arguments.longest is None or library.pieces[index].count <= arguments.longest
        ]
        chosen += spread(pool, arguments.pieces or len(pool))
    return chosen


def bits_of(
    model: MelodyLlama,
    codec: AnyCodec,
    library: Library,
    chosen: list[int],
    context: int,
    arguments: argparse.Namespace,
) -> NDArray[np.float64]:
    """Measure the bits of each piece, shape (pieces,), and print the time left."""
    import numpy as np

    from styletransfer.training.likelihood import bits_per_note

    total = sum(library.pieces[i].count for i in chosen)
    begin, done, bits = time.monotonic(), 0, []
    for index in chosen:
        piece = library.pieces[index]
        found = bits_per_note(
            model,
            codec,
            library,
            [index],
            context,
            with_melody=not arguments.without_melody,
            with_chords=not arguments.without_plan,
            with_references=not arguments.without_plan,
        )
        bits.append(float(found.bits[0]))
        done += piece.count
        left = (time.monotonic() - begin) / done * (total - done) / 60
        print(
            f"{done / total:4.0%}, {left:.1f} min left: {found.mean:.3f} {piece.id}",
            file=sys.stderr,
            flush=True,
        )
    return np.array(bits)


if __name__ == "__main__":
    sys.exit(main())
