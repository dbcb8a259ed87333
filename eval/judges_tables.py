"""Write the judges' tables from ``eval/results/judges.json``.

    python -m eval.judges_tables

They are between markers of ``eval/JUDGES.md`` and, for the protocols, of ``eval/RESULTS.md``. No
number in them is typed by hand.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from styletransfer.configuration import recipe_parser
from styletransfer.errors import InputError
from styletransfer.evaluation.markdown import fill, interval, table

FAMILIES = ("j1", "j2")

LEAKS = {
    "content group": "none",
    "exact title": "other spellings of the title",
    "random excerpt": "the same recording",
}
"""By protocol, how test pieces leak into the training pieces."""


def main(argv: list[str] | None = None) -> int:
    """Write the tables again from the report."""
    parser = recipe_parser(__doc__)
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("eval/results/judges.json"),
        help="what `eval.judges` wrote",
    )
    parser.add_argument(
        "--page", type=Path, default=Path("eval/JUDGES.md"), help="the page of the judges"
    )
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
    """Fill all marked parts of the judges' page, and ``protocols`` of another."""
    parts = {
        "judges": judges_table(report),
        "sanity": sanity_tables(report),
        "cards": "\n\n".join(card(name, result) for name, result in report["judges"].items()),
    }
    page.write_text(fill(page.read_text(encoding="utf-8"), parts), encoding="utf-8")

    part = {"protocols": protocols_tables(report["protocols"])}
    protocols.write_text(fill(protocols.read_text(encoding="utf-8"), part), encoding="utf-8")


def judges_table(report: dict[str, Any]) -> str:
    """Tabulate each judge's results on test pieces, by feel, and on single excerpts."""
    judges = {
        f"{family}-{name}": one[family]
        for name, one in report["judges"].items()
        for family in FAMILIES
    }
    judges |= {f"j1-composers-5-{half.lower()}": one for half, one in report["crossfit"].items()}

    rows = []
    for name, one in judges.items():
        pieces = one["all"]["pieces"]
        cells = [name, interval(*pieces["accuracy"]), *_chances(pieces["confusion"])]
        cells += [interval(*pieces[key]) for key in ("weighted_f1", "macro_f1")]
        cells += [interval(one[feel]["pieces"]["accuracy"][0]) for feel in ("score", "performance")]
        cells += [
            interval(*one["all"]["excerpts"]["accuracy"]),
            interval(*one["without_melody"]["accuracy"]),
            interval(pieces["calibration_error"]),
        ]
        rows.append(cells)

    head = [
        "judge",
        "accuracy, pieces",
        "chance",
        "always the commonest",
        "weighted F1",
        "macro F1",
        "accuracy, scores",
        "performances",
        "excerpts",
        "pieces without their melody",
        "ECE",
    ]
    size = f"All files together: {report['bytes'] / 1e6:.1f} MB."
    return f"{table(head, rows)}\n\n{size}"


def protocols_tables(protocols: dict[str, Any]) -> str:
    """Compare three ways of splitting the same performances, for the same judge."""
    clean = protocols["content group"]["performances"]
    chances = _chances(clean["confusion"])
    rows = []
    for name, leak in LEAKS.items():
        whole, excerpts = protocols[name]["performances"], protocols[name]["excerpts"]
        cells = [interval(*whole["accuracy"]), *chances]
        cells += [interval(*whole[key]) for key in ("weighted_f1", "macro_f1")]
        cells += [interval(*excerpts[key]) for key in ("weighted_f1", "macro_f1")]
        rows.append([name, leak, *cells])
    year = interval(protocols["year only"]["accuracy"])
    rows.append(
        ["content group, by the competition's year alone", "none", year, *chances, *[""] * 4]
    )

    head = [
        "folds of",
        "leak",
        "accuracy, performances",
        "chance",
        "always the commonest",
        "weighted F1",
        "macro F1",
        "weighted F1, excerpts",
        "macro F1",
    ]
    composers = [
        [label, str(clean["support"][label]), interval(f1)] for label, f1 in clean["f1"].items()
    ]
    return "\n\n".join(
        [
            f"{protocols['pieces']:,} performances, {protocols['excerpts']:,} excerpts, "
            f"{protocols['folds']} folds.",
            table(head, rows),
            "F1 of each composer, folds of content groups, performances:",
            table(["composer", "performances", "F1"], composers),
        ]
    )


def sanity_tables(report: dict[str, Any]) -> str:
    """Show changes that mustn't matter or must, both feels, and both families."""
    sanity = report["sanity"]
    judged = sanity["judge"].removeprefix("j1-")
    confusion = report["judges"][judged]["j1"]["all"]["pieces"]["confusion"]
    chance, commonest = _chances(confusion)
    keys = ("accuracy", "same_verdict", "confidence")
    changes = [
        [name, *(interval(row[key]) for key in keys)] for name, row in sanity["changes"].items()
    ]
    changes += [["chance", chance, "", ""], ["always the commonest", commonest, "", ""]]

    permuted = sanity["permuted"]
    blind = [
        interval(*permuted["accuracy"]),
        interval(permuted["macro_f1"][0]),
        interval(1 / len(permuted["labels"])),
        interval(permuted["majority"]),
    ]

    return "\n\n".join(
        [
            f"`{sanity['judge']}`, test pieces, the first {sanity['notes']:,} notes of each. The "
            "floor is the judge's accuracy on shuffled pitches:",
            table(["notes", "accuracy", "verdict as before", "mean confidence"], changes),
            "Five composers, trained with labels that were assigned to content groups at random:",
            table(["accuracy", "macro F1", "chance", "always the commonest"], [blind]),
            "Verdicts on a score and a performance of one piece, and on two performances of one "
            "piece, with their distance (total variation, 0 to 1); validation and test pieces, J1:",
            _agreement(report),
        ]
    )


def _agreement(report: dict[str, Any]) -> str:
    """Show how often two judges, and one judge on two versions of a piece, agree."""
    rows = []
    for name, one in report["judges"].items():
        cells = [name, interval(one["agree"]), interval(one["kappa"])]
        for key in ("score_and_performance", "two_performances"):
            pair = one["j1"][key]
            cells.append(f"{interval(pair['same_verdict'])} of {pair['pairs']}")
            cells.append(interval(pair["distance"]))
        rows.append(cells)

    head = ["set", "J1 and J2 agree", "kappa"]
    return table(
        [*head, "score and performance agree", "distance", "two performances agree", "distance"],
        rows,
    )


def card(name: str, result: dict[str, Any]) -> str:
    """Describe one set's data, calibration, F1 of each label, and confusions."""
    blocks = [f"### {name}"]
    for family in FAMILIES:
        one, pieces = result[family], result[family]["all"]["pieces"]
        about, data = one["card"], one["card"]["training"]
        blocks.append(
            f"`{family}-{name}`: {about['kind']} on {one['columns']:,} features.\n"
            f"Trained on {data['pieces']:,} pieces of {data['groups']:,} content groups "
            f"({data['excerpts']:,} excerpts),\n"
            f"calibrated on {about['validation_pieces']} pieces (sharpness {one['sharpness']:.2f}, "
            f"growth {one['growth']:.1f}),\n"
            f"tested on {pieces['items']} of {pieces['groups']} groups: log loss "
            f"{interval(pieces['log_loss'])} nats,\n"
            f"ECE {interval(pieces['calibration_error'])}."
        )
        rows = [
            [label, *map(str, row), interval(pieces["f1"][label])]
            for label, row in zip(pieces["labels"], pieces["confusion"], strict=True)
        ]
        blocks.append(table([family, *pieces["labels"], "F1"], rows))
    return "\n\n".join(blocks)


def _chances(confusion: list[list[int]]) -> list[str]:
    """Return the accuracy of a guess at random, and of always the commonest label.

    Args:
        confusion: shape (labels, labels), a row for each true label.
    """
    support = [sum(row) for row in confusion]
    return [interval(1 / len(support)), interval(max(support) / sum(support))]


if __name__ == "__main__":
    sys.exit(main())
