"""Which size to train: ``python -m pretrain.scaling --data data/prepared``.

Models of three sizes learn by one recipe (``--config``) for the same compute: 6 floating-point operations for each parameter
and token. Validation in bits per note, ten times on the way; the curves are drawn over compute, and the three are written to
``pretrain/results/scaling.json``. Stopped, the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from styletransfer.model.weights import ModelConfig

SIZES = {
    "smaller": ModelConfig(width=192, layers=3, heads=3, hidden=516),
    "small": ModelConfig(),
    "larger": ModelConfig(width=384, layers=6, heads=6, hidden=1032),
}
FLOPS = 2e14  # 6.3 million tokens of the small model
VALIDATIONS = 10
FEELS = ("score", "performance")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("configs/pretrain/small.yaml"), help="all but the size")
    parser.add_argument("--data", type=Path, default=Path("data/prepared"), help="made by `styletransfer data prepare`")
    parser.add_argument("--flops", type=float, default=FLOPS, help="of each size")
    parser.add_argument("--work", type=Path, default=Path("runs/scaling"), help="checkpoints and logs")
    parser.add_argument("--out", type=Path, default=Path("pretrain/results/scaling.json"))
    parser.add_argument("--plot", type=Path, default=Path("pretrain/scaling.png"))
    arguments = parser.parse_args(argv)

    from styletransfer.configuration import load_config
    from styletransfer.data.library import Library
    from styletransfer.errors import InputError
    from styletransfer.model.weights import write_atomically
    from styletransfer.training.trainer import TrainConfig

    try:
        library = Library.load(arguments.data)
        config = load_config(TrainConfig, arguments.config)
        rows = [trained(name, sizes, library, config, arguments.flops, arguments.work) for name, sizes in SIZES.items()]
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    report = {"made_by": "pretrain.scaling", "flops": arguments.flops, "data_hash": library.hash, "sizes": rows}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(arguments.out, (json.dumps(report, indent=1) + "\n").encode())
    plot(rows, arguments.plot)
    print(f"{arguments.out}\n{arguments.plot}")
    return 0


def trained(name: str, sizes: ModelConfig, library: Any, config: Any, flops: float, work: Path) -> dict[str, Any]:
    """Train one size, unless it is done, and what is reported of it."""
    from styletransfer.model.base import build_model
    from styletransfer.tokens.codec import Codec
    from styletransfer.training.trainer import train

    codec, out = Codec(), work / name
    parameters = build_model(sizes, codec.vocabulary).num_parameters()
    tokens = config.batch * config.accumulate * sizes.context
    steps = max(round(flops / (6 * parameters * tokens)), VALIDATIONS)
    if not (out / "final").is_dir():
        train(library, codec, replace(config, model=sizes, steps=steps, evaluate_every=steps // VALIDATIONS), out)
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    found = {row["step"]: row for row in log if any(key.startswith("eval_") for key in row)}
    curve = [
        {"tokens": step * tokens, "flops": 6 * parameters * step * tokens}
        | {feel: row[key] for feel in FEELS if (key := f"eval_bits_per_note_{feel}") in row}
        for step, row in sorted(found.items())
    ]
    return {"name": name, "sizes": asdict(sizes), "parameters": parameters, "steps": steps, "curve": curve}


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Bits per note over compute, a curve a size; the last point is after the rate came down."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, feel in zip(figure.subplots(1, 2), FEELS, strict=True):
        for row in rows:
            points = [(one["flops"], one[feel]) for one in row["curve"] if feel in one]
            if points:
                axes.plot(*zip(*points, strict=True), marker=".", label=f"{row['parameters'] / 1e6:.1f} M parameters")
        axes.set(xscale="log", xlabel="floating-point operations", ylabel="bits a note, given the melody", title=feel)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def table(report: dict[str, Any]) -> str:
    """What each size has at the end of the same compute."""
    lines = ["| parameters | width, layers | steps | tokens | score | performance |", "|---|---|---|---|---|---|"]
    for row in report["sizes"]:
        last, sizes = row["curve"][-1], row["sizes"]
        cells = [f"{last[feel]:.3f}" if feel in last else "" for feel in FEELS]
        cells = [f"{row['steps']:,}", f"{last['tokens'] / 1e6:.1f} M", *cells]
        lines.append(f"| {row['parameters'] / 1e6:.1f} M | {sizes['width']}, {sizes['layers']} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
