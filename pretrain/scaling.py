"""Compare sizes, contexts, mixtures, plans and tokens in small training runs.

    python -m pretrain.scaling --data data/prepared

Writes ``pretrain/results/scaling.json`` and a plot of the sizes' curves over compute. Each study
trains models by one recipe (``--config``) that differ in one setting, with the same compute: 6
floating-point operations for each parameter and token; a model took six to fifteen minutes on two
cores. Validation, also during a run, is in bits per note, given the melody; only the study of
tokenizers gives none, as only one of these can follow a melody. After an interruption, the same
command continues.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from styletransfer.configuration import recipe_parser
from styletransfer.tokens.codec import CodecConfig
from styletransfer.tokens.miditok_codec import MidiTokConfig

if TYPE_CHECKING:
    from styletransfer.data.library import Library
    from styletransfer.training.trainer import TrainConfig

PLAIN = MidiTokConfig(beat_res=CodecConfig().beat_res, chords=False, tempos=False)

SMALLER = {"model.width": 192, "model.layers": 3, "model.heads": 3, "model.hidden": 516}
STUDIES: dict[str, dict[str, dict[str, Any]]] = {
    "sizes": {
        "smaller": SMALLER,
        "small": {},
        "larger": {"model.width": 384, "model.layers": 6, "model.heads": 6, "model.hidden": 1032},
    },
    "context": {
        "384": SMALLER | {"model.context": 384, "batch": 16},
        "768": SMALLER,
        "1,536": SMALLER | {"model.context": 1536, "batch": 4},
    },
    "scores": {
        "a quarter": SMALLER | {"mixture.score_share": 0.25},
        "a half": SMALLER,
        "three quarters": SMALLER | {"mixture.score_share": 0.75},
    },
    "plans": {
        "neither": SMALLER | {"mixture.plan_share": 0.0, "mixture.reference_share": 0.0},
        "chords": SMALLER | {"mixture.reference_share": 0.0},
        "references": SMALLER | {"mixture.plan_share": 0.0},
        "both": SMALLER,
    },
    "tokens": {
        "with bars, the default": SMALLER | {"mixture.melody_share": 0.0},
        "TSD": SMALLER | {"tokens": PLAIN},
        "TSD, 16 steps": SMALLER
        | {"tokens": replace(PLAIN, beat_res=(((0, 4), 16), ((4, 12), 8)))},
        "TSD, 12 steps": SMALLER
        | {"tokens": replace(PLAIN, beat_res=(((0, 4), 12), ((4, 12), 6)))},
        "TSD, merges within notes": SMALLER
        | {"tokens": replace(PLAIN, bpe_vocabulary=1000, bpe_across_notes=False)},
        "TSD, merges across notes": SMALLER | {"tokens": replace(PLAIN, bpe_vocabulary=1000)},
    },
}
"""What differs from the recipe, by study and model; ``tokens``: another tokenizer's settings."""
FLOPS = {"sizes": 9e13, "context": 9e13, "scores": 9e13, "plans": 4.5e13, "tokens": 2.5e13}
"""The floating-point operations of each model; 1e14 are 3.1 million tokens of the small one."""
VALIDATIONS = 6
FEELS = ("score", "performance")


def main(argv: list[str] | None = None) -> int:
    """Run the studies, and return the exit code."""
    parser = recipe_parser(__doc__, data=True)
    parser.add_argument(
        "--config",
        type=Path,
        default=Path("configs/pretrain/small.yaml"),
        help="the settings that the studies change",
    )
    parser.add_argument(
        "--only",
        choices=STUDIES,
        nargs="+",
        help="these studies; the report keeps the others",
    )
    parser.add_argument("--flops", type=float, help="of each model, instead of each study's own")
    parser.add_argument(
        "--work", type=Path, default=Path("runs/scaling"), help="checkpoints and logs"
    )
    parser.add_argument("--out", type=Path, default=Path("pretrain/results/scaling.json"))
    parser.add_argument("--plot", type=Path, default=Path("pretrain/scaling.png"))
    arguments = parser.parse_args(argv)

    from styletransfer.configuration import load_config
    from styletransfer.data.library import Library
    from styletransfer.errors import InputError
    from styletransfer.files import write_atomically
    from styletransfer.training.trainer import TrainConfig

    try:
        library = Library.load(arguments.data)
        config = load_config(TrainConfig, arguments.config)
        report: dict[str, Any] = {
            "made_by": "pretrain.scaling",
            "data_hash": library.hash,
            "studies": {},
        }
        if arguments.only and arguments.out.exists():
            report["studies"] = json.loads(arguments.out.read_text())["studies"]
        for study in arguments.only or STUDIES:
            flops, work = arguments.flops or FLOPS[study], arguments.work / study
            report["studies"][study] = [
                trained(name, config, values, library, flops, work)
                for name, values in STUDIES[study].items()
            ]
            arguments.out.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(arguments.out, (json.dumps(report, indent=1) + "\n").encode())
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(arguments.out)
    if "sizes" in report["studies"]:
        plot(report["studies"]["sizes"], arguments.plot)
        print(arguments.plot)
    return 0


def changed(config: TrainConfig, values: dict[str, Any]) -> TrainConfig:
    """Change some settings; ``part.name`` names one of a part's."""
    for path, value in values.items():
        part, _, name = path.rpartition(".")
        change = {part: replace(getattr(config, part), **{name: value})} if part else {name: value}
        config = replace(config, **change)
    return config


def trained(
    name: str,
    config: TrainConfig,
    values: dict[str, Any],
    library: Library,
    flops: float,
    work: Path,
) -> dict[str, Any]:
    """Train a model of a study, unless that is done, and return its row of the report."""
    from styletransfer.model.base import build_model
    from styletransfer.tokens.codec import Codec
    from styletransfer.training.tokenizer import made_tokenizer
    from styletransfer.training.trainer import train

    out, settings = work / name, values.get("tokens")
    config = changed(config, {path: value for path, value in values.items() if path != "tokens"})
    codec = made_tokenizer(settings, library, config.mixture, out) if settings else Codec()
    parameters = build_model(config.model, codec.vocabulary).num_parameters()
    tokens = config.batch * config.accumulate * config.model.context
    steps = max(round(flops / (6 * parameters * tokens)), VALIDATIONS)
    run = replace(
        config,
        steps=steps,
        evaluate_every=steps // VALIDATIONS,
        warmup=min(config.warmup, steps // 5),
    )
    if not (out / "final").is_dir():
        train(library, codec, run, out)

    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    found = {row["step"]: row for row in log if any(key.startswith("eval_") for key in row)}
    curve = [
        {"tokens": step * tokens, "flops": 6 * parameters * step * tokens}
        | {feel: row[key] for feel in FEELS if (key := f"eval_bits_per_note_{feel}") in row}
        for step, row in sorted(found.items())
    ]
    return {
        "name": name,
        "sizes": asdict(config.model),
        "parameters": parameters,
        "steps": steps,
        "curve": curve,
    }


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Plot bits per note over compute by size; the last points are after the decay."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, feel in zip(figure.subplots(1, 2), FEELS, strict=True):
        for row in rows:
            points = [(one["flops"], one[feel]) for one in row["curve"] if feel in one]
            if points:
                axes.plot(
                    *zip(*points, strict=True),
                    marker=".",
                    label=f"{row['parameters'] / 1e6:.1f} M parameters",
                )
        axes.set(
            xscale="log",
            xlabel="floating-point operations",
            ylabel="bits per note, given the melody",
            title=feel,
        )
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def tables(report: dict[str, Any]) -> str:
    """Tabulate each model's bits per note at the end of its study."""
    lines = []
    for study, rows in report["studies"].items():
        lines += [
            f"| {study} | parameters | steps | tokens | score | performance |",
            "|---|---|---|---|---|---|",
        ]
        for row in rows:
            last = row["curve"][-1]
            cells = [f"{last[feel]:.3f}" if feel in last else "" for feel in FEELS]
            cells = [
                f"{row['parameters'] / 1e6:.1f} M",
                f"{row['steps']:,}",
                f"{last['tokens'] / 1e6:.1f} M",
                *cells,
            ]
            lines.append(f"| {row['name']} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines).rstrip()


if __name__ == "__main__":
    sys.exit(main())
