"""Write the tables of pretrain/README.md and the curve from results.

    python -m pretrain.report

In seconds, it reads every JSON file of ``pretrain/results/`` and the run's ``log.jsonl``, and fills
the README between the markers

    <!-- begin likelihood --> … <!-- end likelihood -->
    <!-- begin composers --> … <!-- end composers -->
    <!-- begin scaling --> … <!-- end scaling -->
    <!-- begin memorised --> … <!-- end memorised -->
    <!-- begin run --> … <!-- end run -->

and ``pretrain/curve.png``; the first table goes to the model card, too. No number in those tables
is typed by hand.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Any

from styletransfer.configuration import recipe_parser

FEELS = ("score", "performance")


def main(argv: list[str] | None = None) -> int:
    """Write the tables and the curve, and return the exit code."""
    parser = recipe_parser(__doc__)
    parser.add_argument("--results", type=Path, default=Path("pretrain/results"))
    parser.add_argument(
        "--log", type=Path, default=Path("pretrain/results/log.jsonl"), help="the run's log"
    )
    parser.add_argument("--readme", type=Path, default=Path("pretrain/README.md"))
    parser.add_argument(
        "--card",
        type=Path,
        default=Path("eval/measured/base/README.md"),
        help="gets the first table",
    )
    parser.add_argument("--curve", type=Path, default=Path("pretrain/curve.png"))
    arguments = parser.parse_args(argv)

    from pretrain import scaling
    from styletransfer.errors import InputError
    from styletransfer.evaluation.markdown import fill
    from styletransfer.files import write_atomically

    reports = [json.loads(path.read_text()) for path in sorted(arguments.results.glob("*.json"))]
    rows = [row for report in reports for row in report.get("results", [])]
    tables = {"likelihood": likelihood_table(rows), "composers": composer_table(rows)}
    studies = [one for one in reports if one["made_by"] == "pretrain.scaling"]
    if studies:
        tables["scaling"] = scaling.tables(studies[0])
    tables["memorised"] = memorised_table(
        rows, next((one for one in reports if one["made_by"] == "pretrain.copies sample"), None)
    )
    if arguments.log.exists():
        log = [json.loads(line) for line in arguments.log.read_text().splitlines() if line.strip()]
        tables["run"] = run_table(log)
        plot_curve(log, rows, arguments.curve)
    try:
        text = arguments.readme.read_text(encoding="utf-8")
        write_atomically(arguments.readme, fill(text, tables).encode())
        card = arguments.card.read_text(encoding="utf-8")
        write_atomically(arguments.card, fill(card, {"likelihood": tables["likelihood"]}).encode())
    except (OSError, InputError) as error:
        print(f"{arguments.readme}: {error}", file=sys.stderr)
        return 2
    return 0


def likelihood_table(rows: list[dict[str, Any]]) -> str:
    """Tabulate bits per note by model, what is given, split and feel.

    The worst model comes first.
    """
    lines = ["| model | given | split | score | performance |", "|---|---|---|---|---|"]
    order = {"validation": 0, "test": 1}
    key = lambda row: (order[row["split"]], not row["with_melody"], -_mean(row))  # noqa: E731
    for row in sorted((row for row in rows if row["split"] in order), key=key):
        given = "melody" if row["with_melody"] else "nothing"
        cells = [_cell(row["feels"].get(feel)) for feel in FEELS]
        lines.append(f"| {row['model']} | {given} | {row['split']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def composer_table(rows: list[dict[str, Any]]) -> str:
    """Tabulate the networks' bits per note by composer, given the melody.

    They are of test pieces, or else of validation pieces.
    """
    networks = [row for row in rows if row["with_melody"] and row.get("parameters")]
    networks = [row for row in networks if row["split"] == "test"] or networks
    if not networks:
        return "No network has been evaluated yet."
    lines = []
    for row in networks:
        lines += [f"`{row['model']}`, {row['split']}:", ""]
        lines += ["| composer | score | pieces | performance | pieces |", "|---|---|---|---|---|"]
        for name in sorted({name for cells in row["composers"].values() for name in cells}):
            found = [row["composers"].get(feel, {}).get(name) for feel in FEELS]
            cells = [f"{_cell(cell)} | {cell['pieces'] if cell else ''}" for cell in found]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines).rstrip()


def memorised_table(rows: list[dict[str, Any]], samples: dict[str, Any] | None) -> str:
    """Tabulate bits per note by split, and what samples share with pieces."""
    lines = ["| model | pieces | score | performance |", "|---|---|---|---|"]
    networks = [row for row in rows if row["with_melody"] and row.get("parameters")]
    for row in sorted(
        networks, key=lambda row: ("train", "validation", "test").index(row["split"])
    ):
        cells = [
            f"{_cell(cell)}, {cell['pieces']}" if (cell := row["feels"].get(feel)) else ""
            for feel in FEELS
        ]
        lines.append(f"| {row['model']} | {row['split']} | {' | '.join(cells)} |")
    if samples is None:
        return "\n".join(lines)

    kinds = [(name, one) for name, one in samples.items() if isinstance(one, dict)]
    columns = [name for name in kinds[0][1] if name.startswith("longest, ")]
    head = [
        "",
        "count",
        "notes",
        "flagged as copies",
        *(f"{name.removeprefix('longest, ')}: median, 90 %, longest" for name in columns),
    ]
    lines += ["", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name, one in kinds:
        runs = [
            ", ".join(f"{one[column][f'quantile {q}']:.0f}" for q in ("0.5", "0.9", "1"))
            for column in columns
        ]
        numbers = [f"{one['count']}", f"{one['notes']:.0f}", f"{one['copies']:.0%}"]
        lines.append(f"| {' | '.join([name, *numbers, *runs])} |")
    return "\n".join(lines)


def run_table(log: list[dict[str, Any]]) -> str:
    """Tabulate the validation during the run, and state how long the run took."""
    evaluations = [row for row in log if any(key.startswith("eval_") for key in row)]
    hours = sum(_pauses_left_out(log)) / 3600
    last = log[-1]
    lines = [f"{last['step']:,} steps, {last['tokens']:,} tokens, {hours:.1f} hours."]
    lines += ["", "| step | tokens | score | performance |", "|---|---|---|---|"]
    for row in evaluations:
        cells = [
            f"{row[key]:.3f}" if (key := f"eval_bits_per_note_{feel}") in row else ""
            for feel in FEELS
        ]
        lines.append(f"| {row['step']:,} | {row['tokens'] / 1e6:.1f} M | {' | '.join(cells)} |")
    return "\n".join(lines)


def plot_curve(log: list[dict[str, Any]], rows: list[dict[str, Any]], path: Path) -> None:
    """Plot training loss (nats per token) and validation (bits per note) over tokens.

    The n-gram baselines are dashed lines.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    losses = [(row["tokens"] / 1e6, row["loss"]) for row in log if "loss" in row]
    left.plot(*zip(*losses, strict=True), linewidth=0.8)
    left.set(xlabel="tokens (millions)", ylabel="training loss (nats per token)")
    for feel, colour in zip(FEELS, ("tab:blue", "tab:orange"), strict=True):
        key = f"eval_bits_per_note_{feel}"
        points = [(row["tokens"] / 1e6, row[key]) for row in log if key in row]
        if points:
            right.plot(*zip(*points, strict=True), marker=".", color=colour, label=feel)
        for row in rows:
            if (
                row["split"] == "validation"
                and row["model"].endswith("-grams")
                and feel in row["feels"]
            ):
                bits = row["feels"][feel]["bits_per_note"]
                right.axhline(
                    bits,
                    linestyle="--",
                    linewidth=0.8,
                    color=colour,
                    label=f"{feel}, {row['model']}",
                )
    right.set(xlabel="tokens (millions)", ylabel="bits per note, given the melody")
    right.set_title("dashed: all validation pieces; dots: a few of them", fontsize=8)
    if right.get_legend_handles_labels()[0]:
        right.legend(fontsize=8)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _pauses_left_out(log: list[dict[str, Any]], longest: float = 1800) -> list[float]:
    """Return the seconds between rows of a log, without pauses of the run."""
    gaps = [after["time"] - before["time"] for before, after in itertools.pairwise(log)]
    return [gap for gap in gaps if 0 <= gap < longest]


def _cell(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return ""
    if cell["interval"] is None:
        return f"{cell['bits_per_note']:.2f}"
    low, high = cell["interval"]
    return f"{cell['bits_per_note']:.2f} ({low:.2f} to {high:.2f})"


def _mean(row: dict[str, Any]) -> float:
    values = [cell["bits_per_note"] for cell in row["feels"].values()]
    return float(sum(values) / len(values))


if __name__ == "__main__":
    sys.exit(main())
