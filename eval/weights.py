"""Sets of weights beside each other: what ``apply`` makes of the same tunes with each.

    STYLETRANSFER_WEIGHTS=eval/measured python -m eval.weights make runs/weights/measured.jsonl
    --melodies 14
    python -m eval.weights make runs/weights/shipped.jsonl --melodies 14
    python -m eval.weights compare runs/weights/measured.jsonl runs/weights/shipped.jsonl --write eval/results/weights.json

``make`` arranges the 40 melodies of ``eval/melodies``, which no model has learnt from, in the
styles of the five composers of the transfer report, by the defaults, and keeps the ranker's
measures of the chosen candidate and what J1 says of it; it goes on where it was interrupted.
``compare`` writes the means of each file, and each one's less the first's with an interval: a
bootstrap over melodies, into the part ``weights`` of ``eval/RESULTS.md`` (or another page), too. J1
and the ranker have learnt from the same train pieces, for all: what the ranker's choice adds to
J1's opinion is told by ``eval.choice``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from eval.ranker import notes_a_quarter
from eval.transfer_report import COMPOSERS
from styletransfer.errors import InputError
from styletransfer.evaluation.assessment import assess
from styletransfer.evaluation.intervals import ratio_interval
from styletransfer.evaluation.markdown import fill
from styletransfer.files import write_atomically
from styletransfer.model.loading import load_model
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.key import estimate_key, out_of_key_share
from styletransfer.transfer.pipeline import apply
from styletransfer.transfer.ranking.rank import LABELS
from styletransfer.transfer.request import Request

MELODIES = Path("eval/melodies")
RESULTS = Path("eval/RESULTS.md")
TOLD = {
    "probability": "J1 of 13 composers: probability of the composer",
    "taken": "taken for the composer, of 13",
    "total": "ranker, chosen",
    "notes": "accompaniment notes a quarter",
    "outside": "outside the key",
} | {
    name: LABELS[name]
    for name in (
        "progression",
        "clarity",
        "repeated",
        "clash",
        "dissonance",
        "emptiness",
        "open_end",
        "longest_match_notes",
        "copied",
    )
}
"""What is compared, in the words of the table."""


def arranged(melody: Path, style: str) -> dict[str, Any]:
    """What is kept of a melody in a style."""
    result = apply(Request(str(melody), style, SamplingConfig()))
    chosen, notes = result.report["candidates"][result.report["candidate"]], result.notes
    rest, tune = notes[~notes["melody"]], notes[notes["melody"]]
    likely = assess(result.piece).composers
    return {
        "base": load_model().weights_hash,
        "melody": melody.stem,
        "style": style,
        "probability": likely[style],
        "taken": float(next(iter(likely)) == style),
        "notes": notes_a_quarter(notes),
        "outside": out_of_key_share(rest, estimate_key(tune)) if len(rest) else 0.0,
        **{name: value for name, value in chosen.items() if name in TOLD},
    }


def make(path: Path, melodies: int | None) -> None:
    before = rows_of(path) if path.exists() else []
    if any(row["base"] != load_model().weights_hash for row in before):
        raise InputError(f"{path}: has arrangements by other weights; name another file.")
    done = {(row["melody"], row["style"]) for row in before}
    path.parent.mkdir(parents=True, exist_ok=True)
    for melody in sorted(MELODIES.glob("*.abc"))[:melodies]:
        for style in COMPOSERS:
            if (melody.stem, style) in done:
                continue
            row = arranged(melody, style)
            with path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(melody.stem, style, f"{row['total']:.2f}", flush=True)


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def compare(made: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Means of what all have arranged, by name of the weights, and how each differs from the
    first.
    """
    by_key = {
        name: {(row["melody"], row["style"]): row for row in rows} for name, rows in made.items()
    }
    common = sorted(set.intersection(*(set(rows) for rows in by_key.values())))
    melodies = [melody for melody, _ in common]
    measures: dict[str, Any] = {}
    for measure in TOLD:
        values = {
            name: np.array([rows[key][measure] for key in common], float)
            for name, rows in by_key.items()
        }
        first = next(iter(values.values()))
        measures[measure] = {}
        for name, found in values.items():
            row = measures[measure][name] = {"mean": found.mean()}
            if found is not first:
                less = ratio_interval(
                    found - first, np.ones(len(common)), melodies, np.random.default_rng(0)
                )
                row["difference"] = [less.value, less.low, less.high]
    return {
        "made_by": "eval.weights compare",
        "arrangements": len(common),
        "melodies": len(set(melodies)),
        "bases": {name: rows[common[0]]["base"] for name, rows in by_key.items()},
        "measures": measures,
    }


def table(report: dict[str, Any]) -> str:
    """The comparison as Markdown: means, by what they differ from the first's, and in brackets the
    interval of that.
    """
    names = list(report["bases"])
    lines = [
        f"{report['arrangements']} arrangements of {report['melodies']} melodies; differences from *{names[0]}*.",
        "",
    ]
    lines += [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for measure, told in TOLD.items():
        cells = [_cell(report["measures"][measure][name]) for name in names]
        lines.append(f"| {told} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(one: dict[str, Any]) -> str:
    if "difference" not in one:
        return f"{one['mean']:.3f}"
    value, low, high = one["difference"]
    return f"{one['mean']:.3f}, {value:+.3f} ({low:+.3f} to {high:+.3f})"


def publish(report: dict[str, Any], shown: str, part: str, write: Path | None, page: Path) -> None:
    """Print a report's table; with a file to write, write the report there and its table into a
    part of the page.
    """
    print(shown)
    if write:
        write_atomically(write, (json.dumps(report, indent=1) + "\n").encode())
        write_atomically(page, fill(page.read_text(encoding="utf-8"), {part: shown}).encode())


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=("make", "compare"))
    parser.add_argument(
        "rows",
        type=Path,
        nargs="+",
        help="a file for make; for compare two or more, told by their names",
    )
    parser.add_argument("--melodies", type=int, help="only so many, the first by name")
    parser.add_argument("--write", type=Path, help="JSON; the page gets its table, too")
    parser.add_argument("--page", type=Path, default=RESULTS)
    arguments = parser.parse_args(argv)
    if (len(arguments.rows) == 1) != (arguments.step == "make"):
        parser.error(
            f"{arguments.step} takes {'one file' if arguments.step == 'make' else 'two files or more'}"
        )
    if arguments.step == "make":
        try:
            make(arguments.rows[0], arguments.melodies)
        except InputError as error:
            print(error, file=sys.stderr)
            return 2
        return 0
    if len({path.stem for path in arguments.rows}) < len(arguments.rows):
        parser.error("two files have one name, by which the table tells them")
    report = compare({path.stem: rows_of(path) for path in arguments.rows})
    publish(report, table(report), "weights", arguments.write, arguments.page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
