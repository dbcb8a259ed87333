"""The tables of the transfer report as Markdown, and its part of ``eval/RESULTS.md``: ``python -m
eval.results``.

Nothing is typed by hand: all comes from the JSON that ``eval.transfer_report`` wrote. The part
stands between the markers ``transfer``; other recipes have parts of their own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.systems import BOTH, CHORDS, LABELS, MELODY, REAL, SAMPLED

STYLE = {
    "accuracy": "accuracy",
    "top2": "top 2",
    "probability": "p(target)",
    "gain": "p(target), more than the melody's",
    "relative": "relative accuracy",
}
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
    "size.density": "notes a quarter",
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
HEAD = "# Results\n\nWritten by the recipes in `eval`; nothing here is typed by hand.\n"
SHARES = (
    "originality.exact_1",
    "originality.exact_3",
    "originality.intervals_1",
    "originality.intervals_3",
)


@dataclass(frozen=True)
class Table:
    """A table to print: ``rows`` of cells, the first of which names the row."""

    title: str
    note: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        lines = [
            f"**{self.title}** {self.note}".strip(),
            "",
            f"| {' | '.join(self.head)} |",
            "|" + "---|" * len(self.head),
        ]
        return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in self.rows)])


def number(found: dict[str, Any] | None, *, percent: bool = False) -> str:
    """A value with its interval."""
    if found is None or found["value"] is None:
        return ""
    value, low, high = (
        None
        if found.get(name) is None
        else f"{100 * found[name]:.2f} %"
        if percent
        else f"{found[name]:.3f}"
        for name in ("value", "low", "high")
    )
    return f"{value}" if low is None else f"{value} ({low} to {high})"


def tables(part: dict[str, Any]) -> Iterator[Table]:
    """All tables of one group of styles."""
    first, *others = part["judges"]
    reported = part["judges"][first]
    for half, title, note in (
        ("whole", "Style, whole outputs", ""),
        (
            "rest",
            "Style, without the melody's notes",
            " What has too few notes then, the melody alone above all, counts as chance.",
        ),
    ):
        rows = []
        for system in part["systems"]:
            if system in reported["systems"]:
                one = reported["systems"][system]
                cells = [number(one["style"][half].get(name)) for name in STYLE]
                cells += [
                    number(part["judges"][name]["systems"][system]["style"][half]["accuracy"])
                    for name in others
                ]
                rows.append((LABELS[system], str(one["outputs"]), *cells))
        head = ("system", "outputs", *STYLE.values(), *(f"accuracy by {name}" for name in others))
        about = f"Judge {first}, {len(reported['labels'])} classes; means over styles.{note}"
        yield Table(title, about, head, tuple(rows))
    differences = tuple(
        (
            f"{LABELS[row['system']]}, than {LABELS[row['than']]}",
            row["part"],
            row["measure"],
            number(row),
        )
        for row in reported["differences"]
    )
    if differences:
        yield Table("Paired differences", "", ("more", "of", "measure", "difference"), differences)
    for half in ("whole", "rest"):
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
        note = f"Judge {first}, {half}. Where all outputs agree, the bootstrap has no width to show, which is no certainty."
        yield Table("Accuracy by style", note, ("system", *part["targets"]), tuple(rows))
    seeds = part["by_seed"][first]
    if (count := max(map(len, seeds.values()), default=0)) > 1:
        rows = []
        for name, found in seeds.items():
            values = [one["value"] for one in found]
            rows.append(
                (
                    LABELS[name],
                    *map(number, found),
                    f"{statistics.mean(values):.3f}",
                    f"{statistics.stdev(values):.3f}",
                )
            )
        head = ("system", *(f"seed {k + 1}" for k in range(count)), "mean", "standard deviation")
        yield Table("Accuracy by seed", f"Judge {first}, whole.", head, tuple(rows))
    arranging = [name for name in part["systems"] if name not in REAL]
    yield _means(part, arranging, CONTENT, "Content", "What is left of the melody, from 0 to 1.")
    note = "Distance from real scores of the style, in their standard deviations; the ceiling's is what real pieces have."
    yield _means(part, part["systems"], HARMONY, "Harmony", note)
    yield _means(
        part,
        part["systems"],
        PROFILES,
        "Style profiles",
        "Cosine with real scores of the style, from 0 to 1.",
    )
    yield _means(
        part,
        part["systems"],
        QUALITY,
        "Quality",
        "To be read beside the real scores; of performances a bar is two seconds, and notes are counted a second.",
    )
    rows = []
    for name in part["systems"]:
        sets = list(part["measures"][name]["sets"].values())
        if sets:
            known = [
                [one[key] for one in sets if one[key] is not None] for key in ("overlap", "frechet")
            ]
            rows.append(
                (LABELS[name], *(f"{sum(one) / len(one):.3f}" if one else "" for one in known))
            )
    note = "Of the features' distributions with real scores; means over styles, no intervals. The ceiling's is the best to expect."
    yield Table(
        "Overlapped area and Fréchet distance",
        note,
        ("system", "overlapped area", "Fréchet distance"),
        tuple(rows),
    )
    note = "Shares of an output's n-grams that training pieces have, the melody's own left out; runs in notes."
    yield _means(part, part["systems"], COPIED, "Originality", note)


def _means(
    part: dict[str, Any], systems: list[str], names: dict[str, str], title: str, note: str
) -> Table:
    rows = []
    for system in systems:
        found = part["measures"][system]["means"]
        cells = tuple(number(found.get(name), percent=name.startswith(SHARES)) for name in names)
        if any(cells):
            rows.append((LABELS[system], *cells))
    return Table(title, note, ("system", *names.values()), tuple(rows))


def preamble(report: dict[str, Any]) -> list[str]:
    """What was run, in sentences."""
    said = report["settings"]
    sampling = said["sampling"]
    halves = "Each melody is arranged by the adapter of one half of the data and judged by the judge of the other half."
    if (count := len(said["crossfit"])) > 1:
        halves += f" Seed k has the adapters of the k-th of {count} training runs."
    lines = [
        f"{said['melodies']} melodies, strength {sampling['strength']:g}, temperature "
        f"{sampling['temperature']:g}, top-p {sampling['top_p']:g}, one candidate an output: nothing is selected.",
        halves
        if said["crossfit"]
        else "Adapters and judges were trained on the same training pieces (no cross-fit).",
        "Intervals are 95 % bootstrap percentiles of 10,000 draws, clustered by melody (real pieces: by content group).",
    ]
    if said["quick"]:
        lines.append("This is the quick form: a check that all runs, no result to cite.")
    return lines


def headline(part: dict[str, Any]) -> str:
    """The first judge's accuracies in a sentence."""
    systems = next(iter(part["judges"].values()))["systems"]
    order = [name for name in (MELODY, CHORDS, *SAMPLED, *REAL) if name in systems]
    told = [
        f"{LABELS[name]} {number(systems[name]['style']['whole']['accuracy'])}" for name in order
    ]
    adapted = "" if BOTH in systems else " There are no adapters in this run."
    return f"Outputs of each system, melody and style: {part['seeds']}. Accuracy: {'; '.join(told)}.{adapted}"


def markdown(report: dict[str, Any]) -> str:
    """The report's part of ``eval/RESULTS.md``."""
    said = report["settings"]
    crossfit = "".join(f" runs/{run}" for run in said["crossfit"])
    more = " --quick" * said["quick"] + (f" --crossfit{crossfit}" if crossfit else "")
    command = f"`STYLETRANSFER_WEIGHTS=eval/measured python -m eval.transfer_report --data data/prepared{more}`"
    lines = ["## Style transfer", "", command, "", " ".join(preamble(report)), ""]
    for kind, part in report["groups"].items():
        lines += [f"### {kind.capitalize()}: {', '.join(part['targets'])}", "", headline(part), ""]
        lines += [f"- {remark}" for remark in part["remarks"]]
        for table in tables(part):
            lines += ["", table.markdown()]
        lines.append("")
    return "\n".join(lines).strip()


def write_results(report: dict[str, Any], path: Path) -> None:
    """Fill the part between the markers ``transfer``, which are added at the file's end where it
    has none.
    """
    from styletransfer.evaluation.markdown import fill
    from styletransfer.files import write_atomically

    begin, end = "<!-- begin transfer -->", "<!-- end transfer -->"
    text = path.read_text(encoding="utf-8") if path.exists() else HEAD
    if begin not in text:
        text = f"{text.rstrip()}\n\n{begin}\n{end}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, fill(text, {"transfer": markdown(report)}).encode())


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--report", type=Path, default=Path("eval/results/transfer.json"))
    parser.add_argument("--results", type=Path, default=Path("eval/RESULTS.md"))
    arguments = parser.parse_args(argv)
    write_results(json.loads(arguments.report.read_text(encoding="utf-8")), arguments.results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
