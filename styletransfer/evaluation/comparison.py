"""Compare systems by a judge's verdicts on their outputs, and by measures.

Every statistic is the mean over target styles of its mean over the outputs for that style.
Intervals are bootstrap percentiles over melodies (real pieces: over content groups), see
:mod:`styletransfer.evaluation.intervals`. Of systems that arrange the same melodies, differences
are paired.

- accuracy: the share of outputs that the judge takes for the target (macro, as the mean over
  styles); top2: that the target is one of the two likeliest; gain: the probability of the target
  less that of the melody alone.
- relative accuracy: (accuracy - that of the melody alone) / (that of real excerpts - that of the
  melody alone): 0 where nothing was transferred, 1 where the judge takes outputs for the target as
  often as real pieces.
- ``rest``: the same from the accompaniment alone. The melody alone is nothing there: its accuracy
  is chance, its probabilities are all alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from styletransfer.evaluation.intervals import DRAWS, Interval, Resampled, class_mean

REAL_SEED = 1
"""The seed of the draws of real pieces' content groups.

They are independent of those of the melodies (seed 0).
"""

STYLE_MEASURES = ("accuracy", "top2", "probability", "gain", "relative")


@dataclass(frozen=True)
class Judged:
    """One output of a system under a judge.

    Attributes:
        system: which system made it.
        target: the style asked for.
        group: what is drawn in the bootstrap, the melody or a real piece's content group.
        whole: probabilities of the whole output, shape (labels,); None where too little is left to
            judge, which counts as chance.
        rest: those without its melody's notes.
        before: those of the melody alone.
        real: whether it is real music.
    """

    system: str
    target: str
    group: str
    whole: tuple[float, ...] | None
    rest: tuple[float, ...] | None
    before: tuple[float, ...] | None
    real: bool = False


class Comparison:
    """The judged outputs of several systems.

    Args:
        outputs: of all systems.
        labels: of the judge; targets are among them.
        melody: the name of the system that is the melody alone.
        ceiling: the name of the system that is real excerpts.
        draws: of the bootstrap.
    """

    def __init__(
        self,
        outputs: Iterable[Judged],
        labels: Sequence[str],
        melody: str,
        ceiling: str,
        draws: int = DRAWS,
    ) -> None:
        self.labels, self.melody, self.ceiling, self.draws = tuple(labels), melody, ceiling, draws
        self.systems: dict[str, list[Judged]] = {}
        for one in outputs:
            self.systems.setdefault(one.system, []).append(one)

    def statistic(self, system: str, measure: str, part: str = "whole") -> Resampled:
        """Compute one of :data:`STYLE_MEASURES` of a system.

        Args:
            system: its name.
            measure: the measure's name.
            part: ``whole`` outputs, or the ``rest`` without the melody.
        """
        if measure == "relative":
            if self.ceiling not in self.systems or self.melody not in self.systems:
                return _nothing(self.draws)
            accuracy, before = (
                self.statistic(system, "accuracy", part),
                self.statistic(self.melody, "accuracy", part),
            )
            return (accuracy - before).over(self.statistic(self.ceiling, "accuracy", part) - before)
        rows = self.systems.get(system, [])
        return self._resampled(rows, [self._value(one, measure, part) for one in rows])

    def _resampled(self, rows: Sequence[Judged], values: Sequence[float]) -> Resampled:
        if not rows:
            return _nothing(self.draws)
        seed = REAL_SEED if rows[0].real else 0
        groups = [one.group for one in rows]
        return class_mean(np.array(values), [one.target for one in rows], groups, seed, self.draws)

    def _value(self, one: Judged, measure: str, part: str) -> float:
        chance = 1 / len(self.labels)
        found = one.whole if part == "whole" else one.rest
        place = self.labels.index(one.target)
        before = one.before[place] if part == "whole" and one.before is not None else chance
        if found is None:
            return {
                "accuracy": chance,
                "top2": 2 * chance,
                "probability": chance,
                "gain": chance - before,
            }[measure]
        rank = sum(value > found[place] for value in found)
        if measure == "accuracy":
            return float(rank == 0)
        if measure == "top2":
            return float(rank < 2)
        return found[place] - (before if measure == "gain" else 0.0)

    def taken(self, system: str, target: str, part: str = "whole") -> Resampled:
        """Measure the share of a system's outputs for one style that are taken for it.

        Outputs that can't be judged aren't counted.
        """
        rows = [one for one in self.systems.get(system, []) if one.target == target]
        found = [one.whole if part == "whole" else one.rest for one in rows]
        place = self.labels.index(target)
        return self._resampled(
            rows, [math.nan if one is None else float(np.argmax(one) == place) for one in found]
        )

    def confusion(self, system: str, part: str = "whole") -> dict[str, list[int]]:
        """Count, by target, how many outputs the judge takes for each label, (labels,).

        Outputs that can't be judged aren't counted.
        """
        table: dict[str, list[int]] = {}
        for one in self.systems.get(system, []):
            found = one.whole if part == "whole" else one.rest
            row = table.setdefault(one.target, [0] * len(self.labels))
            if found is not None:
                row[int(np.argmax(found))] += 1
        return table

    def report(self, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Give everything as plain data.

        That is each system's measures, confusion and cells, and the paired differences of
        ``pairs``.
        """
        systems: dict[str, Any] = {}
        for name, rows in self.systems.items():
            both = {
                part: {
                    measure: plain(self.statistic(name, measure, part).interval())
                    for measure in STYLE_MEASURES
                    if not (measure == "gain" and rows[0].real) or part == "rest"
                }
                for part in ("whole", "rest")
            }
            tables = {part: self.confusion(name, part) for part in ("whole", "rest")}
            cells = {
                part: {
                    target: plain(self.taken(name, target, part).interval())
                    for target in tables[part]
                }
                for part in tables
            }
            systems[name] = {
                "outputs": len(rows),
                "style": both,
                "confusion": tables,
                "cells": cells,
            }

        differences = [
            {
                "system": a,
                "than": b,
                "part": part,
                "measure": measure,
                **plain(difference.interval()),
            }
            for a, b in pairs
            if a in self.systems and b in self.systems
            for part in ("whole", "rest")
            for measure in ("accuracy", "probability")
            for difference in [self.statistic(a, measure, part) - self.statistic(b, measure, part)]
        ]
        return {"labels": list(self.labels), "systems": systems, "differences": differences}


def means(
    rows: Sequence[tuple[str, str, dict[str, float]]], *, real: bool = False, draws: int = DRAWS
) -> dict[str, dict[str, Any]]:
    """Average all measures of one system, with intervals.

    Args:
        rows: target, group and measures of each output.
        real: whether the groups are content groups.
        draws: of the bootstrap.
    """
    names = dict.fromkeys(name for _, _, numbers in rows for name in numbers)
    result = {}
    for name in names:
        values: NDArray[np.float64] = np.array(
            [numbers.get(name, float("nan")) for _, _, numbers in rows]
        )
        found = class_mean(
            values,
            [row[0] for row in rows],
            [row[1] for row in rows],
            REAL_SEED if real else 0,
            draws,
        )
        result[name] = plain(found.interval())

    return result


def plain(found: Interval) -> dict[str, Any]:
    """Give an interval for JSON, NaN as None."""
    numbers = {"value": found.value, "low": found.low, "high": found.high}
    return {
        name: None if np.isnan(value) else round(value, 4) for name, value in numbers.items()
    } | {"groups": found.groups}


def _nothing(draws: int) -> Resampled:
    return Resampled(float("nan"), np.full(draws, np.nan), 0)
