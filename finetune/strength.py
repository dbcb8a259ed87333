"""Measure what --strength and blends do.

    python -m finetune.strength --data data/prepared

Writes ``finetune/results/strength.json``, from which the same command resumes. The six example
tunes are arranged at each strength, and between two styles at each share, four times each. Blends
are made in two ways: by mixing the styles' predictions (as ``apply`` does) and by one model with
weighted adapters. Each arrangement is read under the styles' own adapters and the base without a
style (bits per note, given its melody), and measured: accompaniment notes per quarter, and notes
that sound at once. Real excerpts are measured, too.
"""

from __future__ import annotations

import copy
import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.listen import excerpts, mean, numbers
from eval.sampler import DECIDING, code_hash
from styletransfer.configuration import recipe_parser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from styletransfer.model.weights import Weights
    from styletransfer.music.notes import Piece
    from styletransfer.styles.card import Style

STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0)
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
STYLES = ("bach", "mozart", "chopin", "debussy")
PAIRS = (("bach", "chopin"),)
CANDIDATES = 4
"""How many arrangements of each tune there are, in one batch."""
BASE = "no style"
SLOT = "reserved-1"
"""The composer token that has the mixed control tokens of weighted adapters."""


def main(argv: list[str] | None = None) -> int:
    """Measure, write the results, and return the exit code."""
    parser = recipe_parser(__doc__, data=True)
    parser.add_argument("--styles", nargs="+", default=list(STYLES))
    parser.add_argument(
        "--pairs", nargs="+", default=[":".join(pair) for pair in PAIRS], help="such as bach:chopin"
    )
    parser.add_argument("--tunes", nargs="+", help="examples, by default all")
    parser.add_argument(
        "--model", type=Path, help="a folder of weights, instead of the shipped ones"
    )
    parser.add_argument("--out", type=Path, default=Path("finetune/results/strength.json"))
    arguments = parser.parse_args(argv)

    from styletransfer.data.library import Library
    from styletransfer.errors import InputError
    from styletransfer.files import write_atomically
    from styletransfer.formats.tunes import EXAMPLES
    from styletransfer.model.loading import load_model
    from styletransfer.styles.card import WEIGHTS
    from styletransfer.styles.find import find_style

    try:
        library = Library.load(arguments.data)
        names = sorted(
            {*arguments.styles, *(name for pair in arguments.pairs for name in pair.split(":"))}
        )
        paths = {name: path for name in names if (path := find_style(name).path)}
        identity = {
            name: hashlib.sha256((path / WEIGHTS).read_bytes()).hexdigest()
            for name, path in paths.items()
        }
        identity |= {"base": load_model(arguments.model).weights_hash, "code": code_hash(DECIDING)}
        report = report_so_far(arguments.out, identity)
        for style in names:
            if real := excerpts(library, style):
                report["real"][style] = measures_of(mean(real))
        for kind, first, second, amount in jobs(
            arguments.styles, [pair.split(":") for pair in arguments.pairs]
        ):
            for tune in arguments.tunes or sorted(EXAMPLES):
                key = f"{kind} {first} {second} {amount} {tune}"
                if key not in report["rows"]:
                    report["rows"][key] = one(kind, first, second, amount, tune, arguments.model)
                    arguments.out.parent.mkdir(parents=True, exist_ok=True)
                    write_atomically(arguments.out, (json.dumps(report) + "\n").encode())
            print(kind, first, second, amount, flush=True)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(arguments.out)
    return 0


def report_so_far(path: Path, identity: dict[str, str]) -> dict[str, Any]:
    """Return a file's report for the same weights and code, else an empty one."""
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text())
        if kept["identity"] == identity:
            return kept
    return {"made_by": "finetune.strength", "identity": identity, "rows": {}, "real": {}}


def jobs(
    styles: Sequence[str], pairs: Sequence[Sequence[str]]
) -> list[tuple[str, str, str, float]]:
    """List all that is arranged, as (kind, style, other style, amount)."""
    strengths = [("strength", style, style, amount) for style in styles for amount in STRENGTHS]
    return strengths + [
        (kind, first, second, share)
        for kind in ("logits", "adapters")
        for first, second in pairs
        for share in SHARES
    ]


def one(
    kind: str, first: str, second: str, amount: float, tune: str, folder: Path | None
) -> dict[str, float]:
    """Arrange a tune in one way, and measure the mean of the candidates.

    ``amount`` is a strength, or the second style's share.
    """
    from styletransfer.formats.read import read_song
    from styletransfer.model.loading import load_model, load_style, melody_codec
    from styletransfer.model.sampling import Voice, sample, voices_of
    from styletransfer.model.settings import SamplingConfig
    from styletransfer.styles.find import find_style
    from styletransfer.tokens.controls import UNKNOWN, Controls
    from styletransfer.tokens.plan import plan_of
    from styletransfer.transfer.assemble import assemble
    from styletransfer.transfer.source import find_melody

    codec, base = melody_codec(folder), load_model(folder).model
    melody, _ = find_melody(read_song(tune))
    tempo = melody.tempo.quarters_per_minute()
    styles = [find_style(first), find_style(second)]
    if kind == "adapters":
        shares = (1 - amount, amount)
        model = weighted(base, styles, shares, codec.vocabulary, folder)
        voices = [Voice(model, Controls("score", UNKNOWN, SLOT, tempo), 1.0)]
    elif kind == "logits":
        sides = zip(styles, (1 - amount, amount), strict=True)
        voices = voices_of(
            base, [(load_style(s, folder), s.controls("score", tempo), w) for s, w in sides], 1.0
        )
    else:
        voices = voices_of(
            base, [(load_style(styles[0], folder), styles[0].controls("score", tempo), 1.0)], amount
        )

    plan = plan_of(codec, codec.grid(melody))
    rows: list[dict[str, float]] = []
    for candidate in sample(voices, codec, plan, SamplingConfig(candidates=CANDIDATES)):
        piece = assemble(melody, codec, plan, candidate)
        rows.append(measures_of(numbers(piece.notes)))
        for style in dict.fromkeys(styles):
            rows[-1][f"bits under {style.name}"] = bits_under(style, piece, folder)
        if kind == "strength":
            rows[-1][f"bits under {BASE}"] = bits_under(styles[0], piece, folder, base)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def measures_of(found: Any) -> dict[str, float]:
    """Return the measures that the report has."""
    return {"notes a quarter": found.notes_a_quarter, "sounding": found.polyphony}


def bits_under(
    style: Style, piece: Piece, folder: Path | None, base: Weights | None = None
) -> float:
    """Measure bits per note of an arrangement under a style at strength 1.

    Its melody is given. With ``base``, they are under the base without the style.
    """
    from styletransfer.model.base import as_llama
    from styletransfer.model.loading import load_style, melody_codec
    from styletransfer.training.likelihood import window_bits, windows_of

    codec, weights = melody_codec(folder), base or load_style(style, folder)
    controls = style.controls("score", piece.tempo.quarters_per_minute())
    controls = controls.without_style() if base else controls
    windows = windows_of(
        codec, codec.grid(piece), controls, weights.sizes.context, with_melody=True
    )
    return float(window_bits(as_llama(weights), codec, windows).sum() / len(piece.notes))


def weighted(
    base: Weights,
    styles: Sequence[Style],
    shares: Sequence[float],
    vocabulary: dict[str, int],
    folder: Path | None,
) -> Weights:
    """Make one model with the weighted sum of the styles' updates.

    The rows of their control tokens are summed under :data:`SLOT`.
    """
    import torch

    from styletransfer.model.loading import load_style
    from styletransfer.tokens.controls import UNKNOWN

    model = copy.deepcopy(base)
    models = [load_style(style, folder) for style in styles]
    rows = {
        f"COMPOSER_{SLOT}": [vocabulary[f"COMPOSER_{style.composer}"] for style in styles],
        f"ERA_{UNKNOWN}": [vocabulary[f"ERA_{style.era}"] for style in styles],
    }
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            start = base.get_parameter(name)
            sides = [one.get_parameter(name) for one in models]
            parameter.copy_(
                start
                + sum(share * (side - start) for share, side in zip(shares, sides, strict=True))
            )
            if name in ("model.embed_tokens.weight", "features.style.weight"):
                for token, places in rows.items():
                    mixed = sum(
                        share * side[row]
                        for share, side, row in zip(shares, sides, places, strict=True)
                    )
                    parameter[vocabulary[token]] = mixed
    return model


def summary(report: dict[str, Any]) -> str:
    """Tabulate means over tunes and their candidates."""
    groups: dict[tuple[str, str, str, float], list[dict[str, float]]] = {}
    for key, row in report["rows"].items():
        kind, first, second, amount, *_ = key.split(" ")
        groups.setdefault((kind, first, second, float(amount)), []).append(row)

    lines = []
    for kind, title in (
        ("strength", "strength"),
        ("logits", "mixed predictions"),
        ("adapters", "weighted adapters"),
    ):
        for first, second in sorted({(a, b) for found, a, b, _ in groups if found == kind}):
            sides = (first, second) if kind != "strength" else (first, BASE)
            names = ["notes a quarter", "sounding", *(f"bits under {name}" for name in sides)]
            heads = ["notes per quarter", *names[1:]]
            head = f"| | {' | '.join(heads)} | more under {sides[0]} than {sides[1]} |"
            styles = list(dict.fromkeys((first, second)))
            lines += [
                "",
                f"{title}: {' to '.join(styles)}",
                "",
                head,
                "|" + "---|" * (len(names) + 2),
            ]
            for amount in sorted(
                value for found, a, b, value in groups if (found, a, b) == (kind, first, second)
            ):
                rows = groups[kind, first, second, amount]
                cells = [f"{np.mean([row[name] for row in rows]):.2f}" for name in names]
                cells.append(f"{np.mean([row[names[2]] - row[names[3]] for row in rows]):+.2f}")
                lines.append(f"| {amount:g} | {' | '.join(cells)} |")
            for name in [name for name in styles if name in report["real"]]:
                real = report["real"][name]
                cells = [f"{real[one]:.2f}" for one in names[:2]]
                lines.append(f"| real {name} | {' | '.join(cells)} |{' |' * 3}")

    return "\n".join(lines).strip()


if __name__ == "__main__":
    sys.exit(main())
