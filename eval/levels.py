"""Collect levels to compare with: chance, shuffled notes, and real music.

They come from the reports that other recipes wrote into ``eval/results``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from eval.results import number
from eval.systems import REAL_SCORES, SHUFFLED
from styletransfer.errors import InputError
from styletransfer.evaluation.markdown import interval

REPORTS = Path("eval/results")

OF_SCORES = (
    "progression",
    "clarity",
    "fifths",
    "clash",
    "emptiness",
    "repeated",
    "dissonance",
    "outside",
)
"""Measures of the ranker that `eval.ranker` took of composers' own accompaniments, too."""


class Levels(NamedTuple):
    """Levels of one measure as cells of a table, empty where a level wasn't measured."""

    chance: str = ""
    floor: str = ""
    real: str = ""


def levels_of_13() -> dict[str, Levels]:
    """Return levels of measures by J1 of 13 composers, and of accompaniments.

    The accompaniments are composers' own.
    """
    judges = _report("judges.json")
    one, changes = judges["judges"]["composers-13"]["j1"], judges["sanity"]["changes"]
    chance = interval(1 / len(judges["sets"]["composers-13"]))
    floor = interval(changes["pitches shuffled"]["accuracy"])
    real = interval(*one["all"]["excerpts"]["accuracy"])
    return {"probability": Levels(chance), "taken": Levels(chance, floor, real)} | of_scores()


def levels_of_5() -> dict[str, Levels]:
    """Return levels of measures by five composers' judges, and of accompaniments."""
    judged = _report("transfer.json")["groups"]["composers"]["judges"]
    first, second = judged.values()
    chance = interval(1 / len(first["labels"]))
    sources = {
        "accuracy": (first, "whole", "accuracy"),
        "probability": (first, "whole", "probability"),
        "rest": (first, "rest", "accuracy"),
        "second": (second, "whole", "accuracy"),
    }
    found = {}
    for name, (judge, half, measure) in sources.items():
        cells = [
            number(judge["systems"][system]["style"][half][measure])
            for system in (SHUFFLED, REAL_SCORES)
        ]
        found[name] = Levels(chance, *cells)
    return found | of_scores()


def of_scores() -> dict[str, Levels]:
    """Return the means of composers' own accompaniments of the test pieces' melodies."""
    means = _report("ranker.json")["means"]["test"]
    return {name: Levels(real=interval(means[name]["composers"])) for name in OF_SCORES}


def _report(name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((REPORTS / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{REPORTS / name}: it can't be read ({error}).") from None
    return found
