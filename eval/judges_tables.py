"""The tables of ``eval/JUDGES.md``, and of the protocols in ``eval/RESULTS.md``, from
``eval/results/judges.json``: ``python -m eval.judges_tables``.

Writes between the pages' markers; no number in those tables is typed by hand.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from styletransfer.errors import InputError
from styletransfer.evaluation.markdown import fill

FAMILIES = ("j1", "j2")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path("eval/results/judges.json"))
    parser.add_argument("--page", type=Path, default=Path("eval/JUDGES.md"))
    parser.add_argument(
        "--protocols", type=Path, default=Path("eval/RESULTS.md"), help="the page of the protocols"
    )
    arguments = parser.parse_args(argv)
    try:
        write_tables(
            json.loads(arguments.results.read_text(encoding="utf-8")),
            arguments.page,
            arguments.protocols,
        )
    except (OSError, InputError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def write_tables(report: dict[str, Any], page: Path, protocols: Path) -> None:
    """Fill all marked parts of the page of the judges, and the part ``protocols`` of another."""
    parts = {
        "judges": judges_table(report),
        "sanity": sanity_table(report),
        "cards": "\n\n".join(card(name, result) for name, result in report["judges"].items()),
    }
    page.write_text(fill(page.read_text(encoding="utf-8"), parts), encoding="utf-8")
    told = {"protocols": protocols_table(report["protocols"])}
    protocols.write_text(fill(protocols.read_text(encoding="utf-8"), told), encoding="utf-8")


def judges_table(report: dict[str, Any]) -> str:
    """What each judge reaches on test pieces, by feel, and on single excerpts."""
    lines = [
        "| judge | piece: accuracy | weighted F1 | macro F1 | scores | performances | an excerpt | melody removed | ECE |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    rows = [
        (f"{family}-{name}", one[family])
        for name, one in report["judges"].items()
        for family in FAMILIES
    ]
    rows += [(f"j1-composers-5-{half.lower()}", one) for half, one in report["crossfit"].items()]
    for name, one in rows:
        pieces = one["all"]["pieces"]
        cells = [_interval(pieces[key]) for key in ("accuracy", "weighted_f1", "macro_f1")]
        cells += [_value(one[feel]["pieces"]["accuracy"][0]) for feel in ("score", "performance")]
        cells += [
            _interval(one["all"]["excerpts"]["accuracy"]),
            _interval(one["without_melody"]["accuracy"]),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} | {_value(pieces['calibration_error'])} |")
    size = report["bytes"] / 1e6
    return "\n".join([*lines, "", f"All files together: {size:.1f} MB."])


def protocols_table(protocols: dict[str, Any]) -> str:
    """Three ways of splitting the same performances, for the same judge."""
    lines = [
        f"{protocols['pieces']:,} performances, {protocols['excerpts']:,} excerpts, {protocols['folds']} folds.",
        "",
    ]
    lines += [
        "| folds of | leak | performance: accuracy | weighted F1 | macro F1 | excerpt: weighted F1 | macro F1 |"
    ]
    lines.append("|---|---|---|---|---|---|---|")
    leaks = {
        "content group": "none",
        "exact title": "other spellings",
        "random excerpt": "the same recording",
    }
    for name, leak in leaks.items():
        whole, excerpts = protocols[name]["performances"], protocols[name]["excerpts"]
        cells = [_interval(whole[key]) for key in ("accuracy", "weighted_f1", "macro_f1")]
        cells += [_interval(excerpts[key]) for key in ("weighted_f1", "macro_f1")]
        lines.append(f"| {name} | {leak} | {' | '.join(cells)} |")
    clean = protocols["content group"]["performances"]
    lines += [
        "",
        "F1 of each composer, folds of content groups, performances:",
        "",
        "| composer | performances | F1 |",
        "|---|---|---|",
    ]
    lines += [
        f"| {label} | {clean['support'][label]} | {_value(f1)} |"
        for label, f1 in clean["f1"].items()
    ]
    return "\n".join(
        [
            *lines,
            "",
            f"From the competition's year alone: accuracy {_value(protocols['year only']['accuracy'])}.",
        ]
    )


def sanity_table(report: dict[str, Any]) -> str:
    """Changes that must not matter, those that must, both feels, both families."""
    sanity = report["sanity"]
    lines = [f"`{sanity['judge']}`, test pieces, the first {sanity['notes']:,} notes of each:", ""]
    lines += ["| notes | accuracy | verdict as before | mean confidence |", "|---|---|---|---|"]
    for name, row in sanity["changes"].items():
        lines.append(
            f"| {name} | "
            + " | ".join(_value(row[key]) for key in ("accuracy", "same_verdict", "confidence"))
            + " |"
        )
    permuted = sanity["permuted"]
    lines += [
        "",
        "Five composers, trained with labels that were dealt out anew among content groups: accuracy",
    ]
    lines += [
        f"{_interval(permuted['accuracy'])}, macro F1 {_value(permuted['macro_f1'][0])}; chance is .200, and always the"
    ]
    lines += [
        f"commonest {_value(permuted['majority'])}.",
        "",
        "Verdicts on score and performance of one piece, two performances",
    ]
    lines += [
        "of one piece, and their distance (total variation, 0 to 1), validation and test pieces, J1:",
        "",
    ]
    lines += [
        "| set | J1 and J2 agree | kappa | score, performance | distance | two performances | distance |"
    ]
    lines.append("|---|---|---|---|---|---|---|")
    for name, one in report["judges"].items():
        cells = [_value(one["agree"]), _value(one["kappa"])]
        for key in ("score_and_performance", "two_performances"):
            pair = one["j1"][key]
            cells += [
                f"{_value(pair['same_verdict'])} of {pair['pairs']}",
                _value(pair["distance"]),
            ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def card(name: str, result: dict[str, Any]) -> str:
    """One set's data, calibration, F1 of each label, and confusions."""
    lines = [f"### {name}"]
    for family in FAMILIES:
        one, pieces = result[family], result[family]["all"]["pieces"]
        about, data = one["card"], one["card"]["training"]
        lines += ["", f"`{family}-{name}`: {about['kind']} on {one['columns']:,} features."]
        lines += [
            f"Learnt from {data['pieces']:,} pieces of {data['groups']:,} content groups ({data['excerpts']:,} excerpts),"
        ]
        lines += [
            f"calibrated on {about['validation_pieces']} pieces (sharpness {one['sharpness']:.2f}, growth {one['growth']:.1f}),"
        ]
        lines += [
            f"tested on {pieces['items']} of {pieces['groups']} groups: log loss {_value(pieces['log_loss'])},"
        ]
        lines += [
            f"ECE {_value(pieces['calibration_error'])}.",
            "",
            f"| {family} | {' | '.join(pieces['labels'])} | F1 |",
        ]
        lines.append("|---|" + "---|" * (len(pieces["labels"]) + 1))
        for label, row in zip(pieces["labels"], pieces["confusion"], strict=True):
            lines.append(
                f"| {label} | {' | '.join(str(count) for count in row)} | {_value(pieces['f1'][label])} |"
            )
    return "\n".join(lines)


def _interval(value: list[float | None]) -> str:
    middle, low, high = value
    return _value(middle) if low is None else f"{_value(middle)} ({_value(low)} to {_value(high)})"


def _value(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}".removeprefix("0")


if __name__ == "__main__":
    sys.exit(main())
