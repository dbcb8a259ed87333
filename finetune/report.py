"""Write the tables and the picture of finetune/README.md from results.

    python -m finetune.report

In seconds, it fills the README between the markers ``styles``, ``matrix`` and ``strength`` from the
styles' cards and ``finetune/results``, and draws ``finetune/matrix.png``. No number is typed by
hand.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.matrix import BASE, TAG
from finetune.strength import summary
from styletransfer.configuration import recipe_parser
from styletransfer.evaluation.intervals import Interval, ratio_interval


def main(argv: list[str] | None = None) -> int:
    """Write tables and picture, and return the exit code."""
    parser = recipe_parser(__doc__)
    parser.add_argument("--styles", type=Path, default=Path("eval/measured/styles"))
    parser.add_argument("--matrix", type=Path, default=Path("finetune/results/matrix.json"))
    parser.add_argument("--strength", type=Path, default=Path("finetune/results/strength.json"))
    parser.add_argument("--readme", type=Path, default=Path("finetune/README.md"))
    parser.add_argument("--picture", type=Path, default=Path("finetune/matrix.png"))
    arguments = parser.parse_args(argv)

    from styletransfer.errors import InputError
    from styletransfer.evaluation.markdown import fill
    from styletransfer.files import write_atomically

    tables = {"styles": styles_table(arguments.styles)}
    if arguments.matrix.exists():
        table = Table(json.loads(arguments.matrix.read_text()))
        tables["matrix"] = table.text()
        table.plot(arguments.picture)
    if arguments.strength.exists():
        tables["strength"] = summary(json.loads(arguments.strength.read_text()))
    try:
        text = arguments.readme.read_text(encoding="utf-8")
        write_atomically(arguments.readme, fill(text, tables).encode())
    except (OSError, InputError) as error:
        print(f"{arguments.readme}: {error}", file=sys.stderr)
        return 2
    return 0


def styles_table(folder: Path) -> str:
    """Tabulate the styles by their cards."""
    from styletransfer.styles.card import TOUCH
    from styletransfer.styles.find import style_at

    heads = [
        "style",
        "kind",
        "pieces",
        "minutes",
        "steps",
        "base, no style",
        "style",
        "gain",
        "MB",
        *TOUCH,
    ]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for path in sorted(folder.glob("*/style.json")):
        card = style_at(path.parent).card
        assert card is not None
        size = sum(one.stat().st_size for one in path.parent.iterdir()) / 1e6
        bits = [
            "" if value is None else f"{value:.3f}"
            for value in (card.base_bits, card.style_bits, card.gain)
        ]
        cells = [
            path.parent.name,
            card.kind,
            card.pieces,
            f"{card.minutes:.0f}",
            card.steps,
            *bits,
            f"{size:.2f}",
        ]
        cells += [card.touch.get(name, "") for name in TOUCH]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _range(found: Interval) -> str:
    """Format an interval in brackets; a single piece has none."""
    return "" if np.isnan(found.low) else f" ({found.low:.3f} to {found.high:.3f})"


class Table:
    """Bits per note of each composer's pieces (rows) under each column."""

    def __init__(self, report: dict[str, Any]) -> None:
        self.bits = {name: np.array(values) for name, values in report["bits"].items()}
        self.notes = np.array([one["notes"] for one in report["pieces"]], float)
        self.composers = np.array([one["composer"] for one in report["pieces"]])
        self.groups = np.array([one["group"] for one in report["pieces"]])
        self.feels = np.array([one["feel"] for one in report["pieces"]])
        self.split, self.windows = report["split"], report["windows_a_piece"]
        self.elsewhere = {one["composer"] for one in report["pieces"] if one["split"] != self.split}
        self.names = [name for name in self.bits if name not in (BASE, TAG)]
        self.rows = [name for name in self.names if (self.composers == name).any()]

    def cell(self, row: str, column: str) -> float:
        """Return the bits per note of a row under a column."""
        here = self.composers == row
        return float(self.bits[column][here].sum() / self.notes[here].sum())

    def own_best(self, feel: str) -> tuple[int, int]:
        """Count composers with pieces of a feel, and those whose own adapter is best."""
        best, rows = 0, 0
        for row in self.rows:
            here = (self.composers == row) & (self.feels == feel)
            if here.any():
                rows += 1
                best += min(self.names, key=lambda name: float(self.bits[name][here].sum())) == row
        return best, rows

    def paired(self, row: str, column: str, other: str) -> Interval:
        """Measure what ``column`` saves compared with ``other`` on a row's pieces.

        Returns:
            Bits per note with a paired bootstrap interval.
        """
        here = self.composers == row
        saved: NDArray[np.float64] = self.bits[other][here] - self.bits[column][here]
        return ratio_interval(
            saved, self.notes[here], list(self.groups[here]), np.random.default_rng(0)
        )

    def text(self) -> str:
        """Return both tables and the sentence between them."""
        lines = [
            f"Bits per note of {self.split} pieces ({self.windows} windows of each), given their"
            " melody; bold: the best adapter of the row.",
            "",
        ]
        lines.append(f"| pieces of | base | + tag | {' | '.join(self.names)} |")
        lines.append("|" + "---|" * (len(self.names) + 3))
        own_best = 0
        for row in self.rows:
            cells = {name: self.cell(row, name) for name in self.names}
            best = min(cells, key=lambda name: cells[name])
            own_best += best == row
            marked = [
                f"**{value:.2f}**" if name == best else f"{value:.2f}"
                for name, value in cells.items()
            ]
            star = "*" if row in self.elsewhere else ""
            before = f"{self.cell(row, BASE):.2f} | {self.cell(row, TAG):.2f}"
            lines.append(f"| {row}{star} | {before} | {' | '.join(marked)} |")

        alone = [
            f"{feel}s alone: {best} of {rows}"
            for feel in ("score", "performance")
            for best, rows in [self.own_best(feel)]
        ]
        sentence = (
            f"For {own_best} of {len(self.rows)} composers, their own adapter is the best of the"
            f" row ({'; '.join(alone)})."
        )
        lines += ["", sentence, ""]
        if self.elsewhere:
            note = (
                f"\\* too few {self.split} pieces, so the validation pieces, which also determined"
                " when to stop, are included."
            )
            lines += [note, ""]

        return "\n".join([*lines, *self.savings()])

    def savings(self) -> list[str]:
        """Return the lines of the second table: what own adapters save."""
        lines = [
            "| pieces of | pieces (works) | own adapter saves compared with base | base + tag"
            " | best other adapter |",
            "|---|---|---|---|---|",
        ]
        for row in self.rows:
            others = [name for name in self.names if name != row]
            rivals = [
                BASE,
                TAG,
                *([min(others, key=lambda name: self.cell(row, name))] if others else []),
            ]
            found = [(rival, self.paired(row, row, rival)) for rival in rivals]
            cells_of = [
                f"{one.value:.3f}{_range(one)}{'' if rival in (BASE, TAG) else f' {rival}'}"
                for rival, one in found
            ]
            here = self.composers == row
            lines.append(
                f"| {row} | {here.sum()} ({len(set(self.groups[here]))}) | {' | '.join(cells_of)} |"
            )
        return lines

    def plot(self, path: Path) -> None:
        """Draw each row's difference from the composer's own adapter."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        columns = [BASE, TAG, *self.names]
        values = np.array(
            [[self.cell(row, name) - self.cell(row, row) for name in columns] for row in self.rows]
        )
        figure = Figure(
            figsize=(2 + 0.5 * len(columns), 1.5 + 0.4 * len(self.rows)), layout="constrained"
        )
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        limit = float(np.abs(values).max()) or 1.0
        image = axes.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right")
        axes.set_yticks(range(len(self.rows)), self.rows)
        axes.set(xlabel="read by", ylabel="pieces of")
        figure.colorbar(image, label="bits per note more than under the composer's own adapter")
        figure.savefig(path, dpi=120, metadata={"Software": None})


if __name__ == "__main__":
    sys.exit(main())
