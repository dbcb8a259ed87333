"""Compare sets of weights: what ``apply`` makes of the same tunes with each.

    STYLETRANSFER_WEIGHTS=eval/measured python -m eval.weights make \\
        runs/weights/measured.jsonl --melodies 14
    python -m eval.weights make runs/weights/shipped.jsonl --melodies 14
    python -m eval.weights compare runs/weights/measured.jsonl runs/weights/shipped.jsonl \\
        --write eval/results/weights.json
    python -m eval.weights table eval/results/weights.json

``make`` arranges the 40 melodies of ``eval/melodies``, which no model was trained on, in the styles
of the transfer report's five composers, with the default settings. It keeps the ranker's measures
of the chosen candidate and the verdict of J1, the judge of composers that is reported; after an
interruption the same command continues. ``compare`` writes the means of each file and their
differences from the first file's, with a bootstrap interval over melodies, and puts the table into
the part ``weights`` of ``eval/RESULTS.md`` (or of another page). ``table`` writes that table again
from the report. J1 and the ranker were trained on the same training pieces, with all weights: what
the ranker's choice adds to J1's verdict is measured by ``eval.choice``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from eval.levels import Levels, levels_of_13
from eval.ranker import notes_a_quarter
from eval.transfer_report import COMPOSERS
from styletransfer.configuration import recipe_parser
from styletransfer.errors import InputError
from styletransfer.evaluation import markdown
from styletransfer.evaluation.assessment import assess
from styletransfer.evaluation.intervals import ratio_interval
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
    "taken": "attributed to the composer, of 13",
    "total": "ranker's score of the chosen candidate",
    "notes": "accompaniment notes per quarter",
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
"""What is compared, and its label in the table."""

NOTE = (
    "Chance, floor and real music are those of J1's test pieces: the floor is the accuracy on "
    "their first 2,000 notes with the pitches shuffled, real music the accuracy on excerpts of "
    "about 256 notes. For the other measures, real music is the composers' own accompaniments of "
    "the test pieces' melodies (`eval/results/ranker.json`). Nats are units of natural "
    "logarithms, 1.44 bits each; progressions are log-probabilities, so that 0 would be certain."
)


def arranged(melody: Path, style: str) -> dict[str, Any]:
    """Arrange a melody in a style, and return the row to keep."""
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
    """Append a row for each melody and style that the file lacks.

    Raises:
        InputError: if the file's rows were made with other weights.
    """
    before = rows_of(path) if path.exists() else []
    if any(row["base"] != load_model().weights_hash for row in before):
        raise InputError(f"{path}: it has arrangements by other weights; name another file.")

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
    """Read the rows of a file, one on each line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def compare(made: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Compare what all have arranged: means, and differences from the first weights."""
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
    """Write the comparison: means, differences from the first's, their intervals.

    It is in Markdown.
    """
    names, levels = list(report["bases"]), levels_of_13()
    rows = [
        [
            label,
            *(_cell(report["measures"][measure][name]) for name in names),
            *levels.get(measure, Levels()),
        ]
        for measure, label in TOLD.items()
    ]
    about = (
        f"{report['arrangements']} arrangements of {report['melodies']} melodies; differences from "
        f"*{names[0]}*, with 95 % intervals."
    )
    head = ["measure", *names, "chance", "shuffled notes (floor)", "real music"]
    return f"{about} {NOTE}\n\n{markdown.table(head, rows)}"


def _cell(one: dict[str, Any]) -> str:
    mean = markdown.interval(one["mean"])
    if "difference" not in one:
        return mean
    value, low, high = one["difference"]
    return f"{mean}, {markdown.interval(value, low, high, '+.3f')}"


def publish(report: dict[str, Any], shown: str, part: str, write: Path | None, page: Path) -> None:
    """Print a report's table; write the report and fill a page if a file is given.

    Args:
        report: plain data.
        shown: its table.
        part: the page's part that is filled.
        write: the JSON file to write.
        page: the page.
    """
    print(shown)
    if write:
        write_atomically(write, (json.dumps(report, indent=1) + "\n").encode())
        fill_page(shown, part, page)


def fill_page(shown: str, part: str, page: Path) -> None:
    """Write a table into a part of a page."""
    text = markdown.fill(page.read_text(encoding="utf-8"), {part: shown})
    write_atomically(page, text.encode())


def main(argv: list[str] | None = None) -> int:
    """Make arrangements, compare them, or write the table again."""
    parser = recipe_parser(__doc__)
    parser.add_argument("step", choices=("make", "compare", "table"))
    parser.add_argument(
        "rows",
        type=Path,
        nargs="+",
        help="for make, a file; for compare, two or more with different names; for table, what "
        "compare wrote",
    )
    parser.add_argument("--melodies", type=int, help="only this many, the first by name")
    parser.add_argument(
        "--write", type=Path, help="the JSON file to write; the page gets its table"
    )
    parser.add_argument("--page", type=Path, default=RESULTS, help="the page of the table")
    arguments = parser.parse_args(argv)
    first, *others = arguments.rows
    if bool(others) != (arguments.step == "compare"):
        wanted = "two files or more" if arguments.step == "compare" else "one file"
        parser.error(f"{arguments.step} takes {wanted}")
    if len({path.stem for path in arguments.rows}) < len(arguments.rows):
        parser.error("two files have the same name, which the table would use for both")

    try:
        if arguments.step == "make":
            make(first, arguments.melodies)
        elif arguments.step == "table":
            report = json.loads(first.read_text(encoding="utf-8"))
            fill_page(table(report), "weights", arguments.page)
        else:
            report = compare({path.stem: rows_of(path) for path in arguments.rows})
            publish(report, table(report), "weights", arguments.write, arguments.page)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
