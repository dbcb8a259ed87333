"""Train and measure all judges: ``python -m eval.judges --data data/prepared``.

Two judges are trained for each set of labels: J1, a logistic regression, which is reported, and J2,
a network, as a check; and a J1 for each half of the five target composers. They are written
into ``styletransfer/assets/judges``. Their scores on test pieces, a comparison of three ways of
splitting, and sanity checks go into ``eval/results/judges.json`` and, through
:mod:`eval.judges_tables`, into ``eval/JUDGES.md`` and ``eval/RESULTS.md``.

Features and finished steps are kept in ``runs/judges``, so that the same command continues after an
interruption. Nothing is chosen on test pieces: penalty and calibration are chosen on validation
pieces.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from styletransfer.configuration import recipe_parser
from styletransfer.data.library import spread
from styletransfer.evaluation.crossfit import HALVES, halves
from styletransfer.evaluation.judges import training
from styletransfer.evaluation.judges.data import Data, measured, scores, train, with_results
from styletransfer.evaluation.judges.judge import FEATURES_HASH, load_judge, save_judge
from styletransfer.evaluation.judges.measures import kappa, measure
from styletransfer.files import json_text

if TYPE_CHECKING:
    from styletransfer.data.library import Library

SETS = {
    "composers-3": ("chopin", "liszt", "schubert"),
    "composers-4": ("bach", "beethoven", "chopin", "mozart"),
    "composers-5": ("bach", "beethoven", "chopin", "liszt", "schubert"),
    "composers-13": (
        "bach", "beethoven", "chopin", "debussy", "haydn", "liszt", "mendelssohn", "mozart",
        "rachmaninoff", "scarlatti", "schubert", "schumann", "scriabin",
    ),
    "eras": ("baroque", "classical", "modern", "romantic"),
}  # fmt: skip
"""The composers or eras of each set.

The 13 are those with the most performances in MAESTRO, from Chopin's 199 to Mendelssohn's 28;
Brahms's 26 come next.
"""

CROSSFIT, MOST = "composers-5", "composers-13"
"""The set that has judges of halves, and the set of the protocols, the penalty and the checks."""

STRENGTHS = (5.0, 20.0, 80.0)
"""Candidates for the inverse penalty of J1, chosen for all sets on the 13 composers' pieces."""

LONGEST = 2000
"""The number of notes read of a piece without its melody, and under changes of tempo and key."""

NOISY = 150
"""How many training pieces have their first notes shuffled, and as many replaced by noise."""


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    made = recipe_parser(__doc__, data=True)
    made.add_argument(
        "--out",
        type=Path,
        default=Path("styletransfer/assets/judges"),
        help="the folder of the judges",
    )
    made.add_argument(
        "--results",
        type=Path,
        default=Path("eval/results/judges.json"),
        help="the JSON file to write",
    )
    made.add_argument(
        "--page", type=Path, default=Path("eval/JUDGES.md"), help="the page of the judges"
    )
    made.add_argument(
        "--protocols", type=Path, default=Path("eval/RESULTS.md"), help="the page of the protocols"
    )
    made.add_argument(
        "--cache",
        type=Path,
        default=Path("runs/judges"),
        help="the folder of features and finished steps",
    )
    return made


def main(argv: list[str] | None = None) -> int:
    """Train, measure and write all judges, and fill the pages."""
    arguments = parser().parse_args(argv)

    from eval.judges_checks import protocols, sanity
    from eval.judges_tables import write_tables
    from styletransfer.data.library import Library
    from styletransfer.errors import InputError

    try:
        library = Library.load(arguments.data)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    arguments.cache.mkdir(parents=True, exist_ok=True)
    about = {"data_hash": library.hash, "features": FEATURES_HASH, "settings": training.settings()}
    data = read(library, arguments.cache)

    def step(name: str, make: Callable[[], Any]) -> Any:
        path = arguments.cache / f"{name}.json"
        if path.exists() and (kept := json.loads(path.read_text()))["about"] == about:
            return kept["result"]
        result = make()
        path.write_text(json.dumps({"about": about, "result": result}))
        print(f"{name}: done", flush=True)
        return json.loads(json.dumps(result))

    strength = step("strength", lambda: choose_strength(data))
    report: dict[str, Any] = {
        "made_by": "eval.judges",
        **about,
        "sets": SETS,
        "strength": strength,
        "judges": {},
    }
    for name in SETS:
        make = partial(make_judges, data, name, strength["chosen"], arguments.out)
        report["judges"][name] = step(name, make)
    report["crossfit"] = step(
        "crossfit", lambda: make_halves(data, strength["chosen"], arguments.out)
    )
    report["protocols"] = step(
        "protocols", lambda: protocols(data, data.labels(SETS[MOST]), strength["chosen"])
    )
    five = data.labels(SETS[CROSSFIT])
    report["sanity"] = step(
        "sanity",
        lambda: sanity(data, load_judge(f"j1-{MOST}", arguments.out), five, strength["chosen"]),
    )
    sizes = {path.name: path.stat().st_size for path in sorted(arguments.out.glob("j*"))}
    report["bytes"] = sum(sizes.values())
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json_text(report, 4), encoding="utf-8")
    write_tables(report, arguments.page, arguments.protocols)
    print(arguments.results)
    return 0


def read(library: Library, cache: Path) -> Data:
    """Read the data with all features, which are kept in the cache."""
    key = f"{library.hash[:8]}-{FEATURES_HASH[:8]}"

    def kept(name: str, make: Callable[[], training.Examples]) -> training.Examples:
        path, owner = cache / f"{name}-{key}.npy", cache / f"{name}-{key}-piece.npy"
        if not path.exists():
            examples = make()
            np.save(owner, examples.piece)
            np.save(path, examples.rows)
        return training.Examples(np.load(path, mmap_mode="r"), np.load(owner))

    def noisy() -> training.Examples:
        chosen = spread(library.select(split="train"), NOISY)
        rng = np.random.default_rng(0)
        parts = [
            training.read_examples(library, chosen, longest=1024, change=change)
            for change in (training.shuffled(rng), training.noise(rng))
        ]
        return training.Examples(
            np.concatenate([p.rows for p in parts]), np.concatenate([p.piece for p in parts])
        )

    everything = range(len(library))
    return Data(
        library,
        split=np.array([piece.split for piece in library.pieces]),
        feel=np.array([piece.feel for piece in library.pieces]),
        group=np.array([piece.group for piece in library.pieces]),
        whole=kept("whole", lambda: training.read_examples(library, everything)),
        accompaniment=kept(
            "accompaniment",
            lambda: training.read_examples(
                library, everything, without_melody=True, longest=LONGEST
            ),
        ),
        noise=kept("noise", noisy),
    )


def choose_strength(data: Data) -> dict[str, Any]:
    """Choose the penalty with the least log loss on the validation pieces.

    They are those of the 13 composers.
    """
    label = data.labels(SETS[MOST])
    pieces, held = (
        np.flatnonzero((label != "") & (data.split == split)) for split in ("train", "validation")
    )
    losses = {}
    for strength in STRENGTHS:
        judge = train(data, "trial", label, pieces, strength)
        found = training.judged(judge, scores(data.whole, judge, held))
        result = measure(
            judge.labels, label[held].tolist(), found, data.group[held].tolist(), draws=1
        )
        losses[str(strength)] = {key: result[key] for key in ("log_loss", "accuracy")}
    return {"tried": losses, "chosen": float(min(losses, key=lambda key: losses[key]["log_loss"]))}


def make_judges(data: Data, name: str, strength: float, out: Path) -> dict[str, Any]:
    """Train J1 and J2 of one set, measure them on test pieces, and write them."""
    label = data.labels(SETS[name])
    pieces = np.flatnonzero((label != "") & (data.split == "train"))
    result: dict[str, Any] = {}
    verdicts = []
    for family in ("j1", "j2"):
        judge = train(data, f"{family}-{name}", label, pieces, strength, network=family == "j2")
        result[family], found = measured(data, judge, label)
        verdicts.append(found.argmax(axis=1))
        save_judge(with_results(judge, result[family]), out)
    first, second = verdicts
    return result | {
        "agree": round(float((first == second).mean()), 4),
        "kappa": round(kappa(first, second, len(SETS[name])), 4),
    }


def make_halves(data: Data, strength: float, out: Path) -> dict[str, Any]:
    """Train J1 on each half of the five target composers' training groups."""
    label, half = data.labels(SETS[CROSSFIT]), halves(data.library.pieces)
    result: dict[str, Any] = {}
    for one in HALVES:
        chosen = (
            np.array([half.get(group) == one for group in data.group])
            & (label != "")
            & (data.split == "train")
        )
        judge = train(data, f"j1-{CROSSFIT}-{one.lower()}", label, np.flatnonzero(chosen), strength)
        result[one], _ = measured(data, judge, label)
        pairs = set(zip(label[chosen].tolist(), data.group[chosen].tolist(), strict=True))
        result[one]["groups"] = dict(sorted(Counter(name for name, _ in pairs).items()))
        save_judge(with_results(judge, result[one]), out)
    return result


if __name__ == "__main__":
    sys.exit(main())
