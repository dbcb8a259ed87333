"""Write the transfer report's tables into ``eval/RESULTS.md``.

    python -m eval.results

Every number comes from the JSON that ``eval.transfer_report`` wrote. The tables are between the
markers ``transfer``; other recipes write other parts of the page.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.systems import BOTH, LABELS, REAL, REAL_SCORES, SHUFFLED, TAG
from styletransfer.configuration import recipe_parser
from styletransfer.evaluation import markdown

STYLE = {
    "accuracy": "accuracy",
    "top2": "top 2",
    "probability": "p(target)",
    "gain": "p(target), gain over the melody alone",
    "relative": "relative accuracy",
}
HALVES = {"whole": "whole outputs", "rest": "without the melody's notes"}
CONTENT = {
    "content.melody_f1": "melody note F1",
    "content.skyline_f1": "skyline F1",
    "content.anywhere": "notes anywhere",
    "content.subsequence": "common subsequence F1",
    "content.chroma": "chroma cosine",
}
HARMONY = {
    "distance.harmony": "mean of the six",
    "distance.chord_entropy": "CHE",
    "distance.chord_coverage": "CC",
    "distance.chord_distance": "CTD",
    "distance.chord_tones": "CTnCTR",
    "distance.consonance": "PCS",
    "distance.melody_distance": "MCTD",
}
QUALITY = {
    "quality.pitch_class_entropy": "pitch-class entropy, bits",
    "quality.bar_entropy": "in a bar, bits",
    "quality.groove": "groove similarity",
    "quality.structure_short": "structureness, short",
    "quality.structure_medium": "medium",
    "quality.structure_long": "long",
    "size.notes": "notes",
    "size.density": "notes per quarter",
}
PROFILES = {
    "fit.intervals": "onset by interval",
    "fit.durations": "onset by duration",
    "fit.accompaniment_intervals": "onset by interval, accompaniment",
    "fit.accompaniment_durations": "onset by duration, accompaniment",
}
COPIED = {
    f"originality.{mode}_{n}": f"{label} {n}-grams"
    for mode, label in (("exact", "exact"), ("intervals", "transposed"))
    for n in (12, 16, 32)
} | {
    "originality.exact_longest": "longest run, exact",
    "originality.intervals_longest": "transposed",
}
SHARES = (
    "originality.exact_1",
    "originality.exact_3",
    "originality.intervals_1",
    "originality.intervals_3",
)
"""Prefixes of the measures that are written in per cent."""

HEAD = "# Results\n\nWritten by the recipes in `eval`; no number is typed by hand.\n"

SUMMARY = (
    "Accuracy is the share of outputs that a judge attributes to the requested style, averaged "
    "over styles. Chance: a guess among all styles, as for an output without style. Floor: real "
    "scores of the style whose pitches, durations and distances between onsets are each shuffled, "
    "so that only the style's distributions are left. Ceiling: real held-out scores. J1, a "
    "logistic regression, is the judge whose results are reported; J2, a network, is a check."
)


@dataclass(frozen=True)
class Table:
    """A table to print: ``rows`` of cells, the first of which names the row."""

    title: str
    note: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """Write the title, the note and the table."""
        title = f"**{self.title}.** {self.note}".strip()
        return f"{title}\n\n{markdown.table(self.head, self.rows)}"


def number(found: dict[str, Any] | None, form: str = ".3f") -> str:
    """Write a value with its interval, as in the package's ``markdown.interval``."""
    if found is None:
        return ""
    return markdown.interval(found["value"], found.get("low"), found.get("high"), form)


def summary(report: dict[str, Any]) -> Table:
    """Compare the accuracy of every judge with chance, floor and ceiling."""
    head = ("measured on", "judge", "system", "result", "chance")
    rows = []
    for kind, part in report["groups"].items():
        for judge, found in part["judges"].items():
            systems = found["systems"]
            own = BOTH if BOTH in systems else TAG
            for half, title in HALVES.items():
                cells = [
                    number(systems[name]["style"][half]["accuracy"]) if name in systems else ""
                    for name in (own, SHUFFLED, REAL_SCORES)
                ]
                chance = f"{1 / len(found['labels']):.3f}"
                name = f"{len(part['targets'])} {kind}, {title}"
                rows.append((name, judge, LABELS[own], cells[0], chance, *cells[1:]))
    return Table("Accuracy", SUMMARY, (*head, LABELS[SHUFFLED], LABELS[REAL_SCORES]), tuple(rows))


def tables(part: dict[str, Any]) -> Iterator[Table]:
    """Yield all tables of one group of styles."""
    yield from _style(part)
    yield from _differences(part)
    yield from _by_style(part)
    yield from _by_seed(part)

    arranging = [name for name in part["systems"] if name not in REAL]
    yield _means(part, arranging, CONTENT, "Content", "How much of the melody is left, 0 to 1.")

    note = (
        "Distance from real scores of the style, in their standard deviations. The ceiling is the "
        "distance of real pieces."
    )
    yield _means(part, part["systems"], HARMONY, "Harmony", note)

    note = "Cosine with real scores of the style, from 0 to 1."
    yield _means(part, part["systems"], PROFILES, "Style profiles", note)

    note = (
        "Compare these with the real scores. A bar of a performance is two seconds, and its notes "
        "are counted per second."
    )
    yield _means(part, part["systems"], QUALITY, "Quality", note)
    yield _sets(part)

    note = (
        "The share of an output's n-grams that occur in training pieces, without those of the "
        "melody; runs are in notes."
    )
    yield _means(part, part["systems"], COPIED, "Originality", note)


def _style(part: dict[str, Any]) -> Iterator[Table]:
    """Tabulate accuracy and probabilities, with and without the melody."""
    first, *others = part["judges"]
    reported = part["judges"][first]
    count = len(reported["labels"])
    about = (
        f"Judge {first}, {count} classes; means over styles. Chance is {1 / count:.3f}, "
        f"and {2 / count:.3f} for top 2."
    )
    notes = {
        "whole": about,
        "rest": f"{about} An output left with too few notes to be judged, above all the melody "
        "alone, counts as chance.",
    }
    head = ("system", "outputs", *STYLE.values(), *(f"accuracy by {name}" for name in others))

    for half, title in HALVES.items():
        rows = []
        for system in part["systems"]:
            if system not in reported["systems"]:
                continue
            one = reported["systems"][system]
            cells = [number(one["style"][half].get(name)) for name in STYLE]
            cells += [
                number(part["judges"][name]["systems"][system]["style"][half]["accuracy"])
                for name in others
            ]
            rows.append((LABELS[system], str(one["outputs"]), *cells))
        yield Table(f"Style, {title}", notes[half], head, tuple(rows))


def _differences(part: dict[str, Any]) -> Iterator[Table]:
    """Tabulate the paired differences of systems, if there are any."""
    reported = next(iter(part["judges"].values()))
    rows = tuple(
        (
            f"{LABELS[row['system']]}, less {LABELS[row['than']]}",
            HALVES[row["part"]],
            STYLE[row["measure"]],
            number(row),
        )
        for row in reported["differences"]
    )
    if rows:
        note = "On the same melodies; 0 where two systems have the same outputs."
        yield Table("Paired differences", note, ("systems", "of", "measure", "difference"), rows)


def _by_style(part: dict[str, Any]) -> Iterator[Table]:
    """Tabulate the accuracy of each style."""
    first, reported = next(iter(part["judges"].items()))
    for half, title in HALVES.items():
        rows = [
            (
                LABELS[name],
                *(
                    number(reported["systems"][name]["cells"][half].get(target))
                    for target in part["targets"]
                ),
            )
            for name in part["systems"]
            if name in reported["systems"]
        ]
        note = (
            f"Judge {first}; chance is {1 / len(reported['labels']):.3f}. Where all outputs agree, "
            "the bootstrap interval has no width; that does not make the value certain."
        )
        yield Table(f"Accuracy by style, {title}", note, ("system", *part["targets"]), tuple(rows))


def _by_seed(part: dict[str, Any]) -> Iterator[Table]:
    """Tabulate the accuracy of each seed, if there are several."""
    first, reported = next(iter(part["judges"].items()))
    seeds = part["by_seed"][first]
    count = max(map(len, seeds.values()), default=0)
    if count < 2:
        return

    rows = []
    for name, found in seeds.items():
        values = [one["value"] for one in found]
        mean, deviation = statistics.mean(values), statistics.stdev(values)
        rows.append((LABELS[name], *map(number, found), f"{mean:.3f}", f"{deviation:.3f}"))

    head = ("system", *(f"seed {k + 1}" for k in range(count)), "mean", "standard deviation")
    note = f"Judge {first}, whole outputs; chance is {1 / len(reported['labels']):.3f}."
    yield Table("Accuracy by seed", note, head, tuple(rows))


def _sets(part: dict[str, Any]) -> Table:
    """Compare the distributions of features with real scores'."""
    rows = []
    for name in part["systems"]:
        sets = list(part["measures"][name]["sets"].values())
        if not sets:
            continue
        known = [
            [one[key] for one in sets if one[key] is not None] for key in ("overlap", "frechet")
        ]
        cells = [f"{sum(one) / len(one):.3f}" if one else "" for one in known]
        rows.append((LABELS[name], *cells))

    note = (
        "Between the features' distributions and those of real scores; means over styles, without "
        "intervals. The ceiling is the best that can be expected."
    )
    head = ("system", "overlapped area", "Fréchet distance")
    return Table("Overlapped area and Fréchet distance", note, head, tuple(rows))


def _means(
    part: dict[str, Any], systems: Sequence[str], names: dict[str, str], title: str, note: str
) -> Table:
    """Tabulate the means of some measures, for systems that have any."""
    rows = []
    for system in systems:
        found = part["measures"][system]["means"]
        forms = {name: ".2%" if name.startswith(SHARES) else ".3f" for name in names}
        cells = tuple(number(found.get(name), form) for name, form in forms.items())
        if any(cells):
            rows.append((LABELS[system], *cells))
    return Table(title, note, ("system", *names.values()), tuple(rows))


def preamble(report: dict[str, Any]) -> list[str]:
    """Describe in sentences what was run."""
    said = report["settings"]
    sampling = said["sampling"]
    halves = (
        "Each melody is arranged by the adapter trained on one half of the data and judged by the "
        "judge trained on the other half."
    )
    if (count := len(said["crossfit"])) > 1:
        halves += f" Seed k uses the adapters of the k-th of {count} training runs."

    lines = [
        f"{said['melodies']} melodies, strength {sampling['strength']:g}, temperature "
        f"{sampling['temperature']:g}, top-p {sampling['top_p']:g}; each output is a single "
        "candidate, so that nothing is selected.",
        halves
        if said["crossfit"]
        else "Adapters and judges were trained on the same training pieces (no cross-fit).",
        "Intervals are 95 % bootstrap percentiles of 10,000 draws, clustered by melody (real "
        "pieces: by content group).",
    ]
    if said["quick"]:
        lines.append("This is the quick form: a check that everything runs, not a result to cite.")
    return lines


def outputs(part: dict[str, Any]) -> str:
    """State how many outputs a group of styles has."""
    said = f"Outputs of each system per melody and style: {part['seeds']}."
    systems = next(iter(part["judges"].values()))["systems"]
    return said if BOTH in systems else f"{said} There are no adapters in this run."


def page_part(report: dict[str, Any]) -> str:
    """Write the report's part of ``eval/RESULTS.md``."""
    said = report["settings"]
    crossfit = "".join(f" runs/{run}" for run in said["crossfit"])
    command = (
        "`STYLETRANSFER_WEIGHTS=eval/measured python -m eval.transfer_report --data data/prepared"
        f"{' --quick' * said['quick']}{f' --crossfit{crossfit}' if crossfit else ''}`"
    )
    lines = ["## Style transfer", "", command, "", " ".join(preamble(report)), ""]
    lines += [summary(report).markdown(), "", "The judges: [JUDGES.md](JUDGES.md).", ""]

    for kind, part in report["groups"].items():
        lines += [f"### {kind.capitalize()}: {', '.join(part['targets'])}", "", outputs(part), ""]
        lines += [f"- {remark}" for remark in part["remarks"]]
        for table in tables(part):
            lines += ["", table.markdown()]
        lines.append("")
    return "\n".join(lines).strip()


def write_results(report: dict[str, Any], path: Path) -> None:
    """Fill the part ``transfer`` of a page.

    A page without its markers gets them at its end.
    """
    from styletransfer.files import write_atomically

    begin, end = "<!-- begin transfer -->", "<!-- end transfer -->"
    text = path.read_text(encoding="utf-8") if path.exists() else HEAD
    if begin not in text:
        text = f"{text.rstrip()}\n\n{begin}\n{end}\n"

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, markdown.fill(text, {"transfer": page_part(report)}).encode())


def main(argv: list[str] | None = None) -> int:
    """Write the tables again from the report."""
    parser = recipe_parser(__doc__)
    parser.add_argument(
        "--report",
        type=Path,
        default=Path("eval/results/transfer.json"),
        help="what `eval.transfer_report` wrote",
    )
    parser.add_argument(
        "--results", type=Path, default=Path("eval/RESULTS.md"), help="the page to write in"
    )
    arguments = parser.parse_args(argv)
    write_results(json.loads(arguments.report.read_text(encoding="utf-8")), arguments.results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
