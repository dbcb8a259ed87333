"""Analyse the answers of a listening test (:mod:`eval.blind`).

A judgement is one rater's answer about one pair. Reported are each version's marks, the difference
of two versions' marks in the pairs that have both, how often each was preferred, how often the
first of the two sides was, and how far raters agree. Raters count by their judgements. Intervals
are 95 % percentile bootstraps over songs, so that all judgements of a song are drawn together: they
say what other songs would change, and little of what other raters would.

Agreement is Krippendorff's alpha with the interval metric (K. Krippendorff, "Computing
Krippendorff's alpha-reliability", 2011): 1 where raters of the same thing always agree, 0 where
they agree as by chance. Preferences count as -1, 0 (neither) and 1.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eval.jury import read_json
from styletransfer.errors import InputError
from styletransfer.evaluation import markdown
from styletransfer.evaluation.comparison import plain
from styletransfer.evaluation.intervals import DRAWS, Interval, class_mean

SCALES = {
    "coherency": "Coherency: does the accompaniment fit the tune?",
    "naturalness": "Naturalness: could a musician have written it?",
    "creativity": "Creativity: does it have ideas?",
    "musicality": "Musicality: how good is it as a whole?",
}
"""The scales of MIREX 2024's listening test for accompaniments of lead sheets; the questions are
our own."""
MARKS = {1: "very low", 2: "low", 3: "medium", 4: "high", 5: "very high"}
PREFERENCES = {"a": 1.0, "none": 0.0, "b": -1.0}
"""What is preferred, as a number for side A."""
HEARD = 0.5
"""The share of a sound below which a judgement is counted as one of a version barely heard."""


class Judgement(NamedTuple):
    """One rater's answer about one pair, turned into versions.

    ``versions`` are those of sides A and B; ``marks`` have shape (2, scales); ``preferred`` is 1
    for side A, -1 for side B, 0 for neither.
    """

    rater: str
    test: str
    pair: str
    song: str
    versions: tuple[str, str]
    marks: np.ndarray[Any, np.dtype[np.float64]]
    preferred: float
    known: bool
    heard: float


def read_judgements(answers: Sequence[Path], keys: Sequence[Path]) -> list[Judgement]:
    """Read answers, and what each was about from the keys.

    Pairs that a rater skipped are in none.

    Raises:
        InputError: where a file can't be read, belongs to no key, or has an answer that isn't one;
            or where two files are one rater's.
    """
    tests = {}
    for path in keys:
        key = read_json(path)
        if not isinstance(key, dict) or not {"test", "pairs"} <= key.keys():
            raise InputError(f"{path}: it is no key of a listening test.")
        tests[key["test"]] = key["pairs"]

    found: list[Judgement] = []
    seen: dict[tuple[str, str], Path] = {}
    for path in answers:
        data = read_json(path)
        if not isinstance(data, dict) or not isinstance(data.get("answers"), dict):
            raise InputError(f"{path}: it holds no answers of a listening test.")
        if data.get("test") not in tests:
            raise InputError(f"{path}: its test is {data.get('test')}; give the key of this test.")
        rater = str(data.get("rater") or path.stem), data["test"]
        if rater in seen:
            raise InputError(f"{path}: {seen[rater]} is by the same rater, {rater[0]}.")
        seen[rater] = path
        pairs = tests[data["test"]]
        for number, answer in data["answers"].items():
            if number not in pairs:
                raise InputError(f"{path}: its test has no pair {number}.")
            try:
                found.append(_judgement(rater, number, pairs[number], answer))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise InputError(f"{path}: pair {number} has no whole answer ({error}).") from None
    return found


def _judgement(
    rater: tuple[str, str], number: str, pair: dict[str, str], answer: dict[str, Any]
) -> Judgement:
    marks = np.array([[answer[side][scale] for scale in SCALES] for side in ("a", "b")], float)
    if not np.isin(marks, list(MARKS)).all():
        raise ValueError("a mark isn't one of 1 to 5")
    heard = answer.get("heard") or {}
    return Judgement(
        *rater,
        number,
        pair["song"],
        (pair["a"], pair["b"]),
        marks,
        PREFERENCES[answer["preferred"]],
        bool(answer.get("known")),
        min(float(heard.get(side, 1.0)) for side in ("a", "b")),
    )


def report_of(
    answers: Sequence[Path], keys: Sequence[Path], *, unknown: bool = False
) -> dict[str, Any]:
    """Return everything that :func:`tables` shows, as plain data.

    Args:
        answers: files of answers.
        keys: those of their tests.
        unknown: whether to leave out pieces that a rater knew already.

    Raises:
        InputError: as :func:`read_judgements`, or where nothing is left to analyse.
    """
    every = read_judgements(answers, keys)
    rows = [row for row in every if not (unknown and row.known)]
    if not rows:
        raise InputError("there are no answers to analyse.")
    names = list(dict.fromkeys(name for row in rows for name in row.versions))
    names.sort(key=_order(keys).index)
    return {
        "raters": len({row.rater for row in rows}),
        "judgements": len(rows),
        "songs": len({row.song for row in rows}),
        "known": sum(row.known for row in every),
        "left_out": len(every) - len(rows),
        "barely_heard": sum(row.heard < HEARD for row in rows),
        "versions": {name: _marks_of(rows, name) for name in names},
        "pairs": [
            found
            for one, other in combinations(names, 2)
            if (found := _compared(rows, one, other)) is not None
        ],
        "side_a": plain(_mean([(row.preferred + 1) / 2 for row in rows], rows)),
        "agreement": _agreement(rows),
    }


def _order(keys: Sequence[Path]) -> list[str]:
    """Return the versions of the keys, in their order."""
    return list(dict.fromkeys(name for path in keys for name in _versions(read_json(path))))


def _versions(key: dict[str, Any]) -> list[str]:
    named = list(key.get("versions", []))
    return named + [pair[side] for pair in key["pairs"].values() for side in ("a", "b")]


def _mean(values: Sequence[float], rows: Sequence[Judgement]) -> Interval:
    """Average a value of each judgement, with an interval over songs."""
    songs = [row.song for row in rows]
    return class_mean(np.array(values, float), ["all"] * len(rows), songs).interval()


def _marks_of(rows: Sequence[Judgement], name: str) -> dict[str, Any]:
    """Average a version's marks on each scale, and over all of them."""
    own = [row for row in rows if name in row.versions]
    marks = np.array([row.marks[row.versions.index(name)] for row in own])
    return _by_scale(marks, own) | {"judgements": len(own)}


def _by_scale(
    marks: np.ndarray[Any, np.dtype[np.float64]], rows: Sequence[Judgement]
) -> dict[str, Any]:
    """Average marks, shape (rows, scales), by scale and over all."""
    found = {scale: plain(_mean(marks[:, k].tolist(), rows)) for k, scale in enumerate(SCALES)}
    return found | {"mean": plain(_mean(marks.mean(axis=1).tolist(), rows))}


def _compared(rows: Sequence[Judgement], one: str, other: str) -> dict[str, Any] | None:
    """Compare two versions in the judgements of both; None where there are none."""
    both = [row for row in rows if set(row.versions) == {one, other}]
    if not both:
        return None
    signs = [1.0 if row.versions[0] == one else -1.0 for row in both]
    less = np.array(
        [sign * (row.marks[0] - row.marks[1]) for sign, row in zip(signs, both, strict=True)]
    )
    preferred = [sign * row.preferred for sign, row in zip(signs, both, strict=True)]
    return {
        "version": one,
        "than": other,
        "judgements": len(both),
        "difference": _by_scale(less, both),
        "preferred": preferred.count(1.0),
        "neither": preferred.count(0.0),
        "other": preferred.count(-1.0),
        "share": plain(_mean([(value + 1) / 2 for value in preferred], both)),
    }


# --- agreement ----------------------------------------------------------------------------------


def _agreement(rows: Sequence[Judgement]) -> dict[str, Any]:
    """Return alpha of marks and preferences, and how often two raters prefer the same."""
    found = {}
    for k, scale in enumerate(SCALES):
        marks = [
            (row.song, (row.test, row.pair, side), float(row.marks[side][k]))
            for row in rows
            for side in (0, 1)
        ]
        found[scale] = plain(alpha(marks))
    preferred = [(row.song, (row.test, row.pair), row.preferred) for row in rows]
    by_pair: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _, unit, value in preferred:
        by_pair[unit].append(value)
    twos = [two for values in by_pair.values() for two in combinations(values, 2)]
    return found | {
        "preference": plain(alpha(preferred)),
        "pairs_of_raters": len(twos),
        "same_preference": sum(one == other for one, other in twos),
    }


def alpha(values: Iterable[tuple[str, tuple[Any, ...], float]]) -> Interval:
    """Compute Krippendorff's alpha, with its interval over songs.

    The metric is that of intervals. Alpha is NaN where nothing was rated twice, or all values are
    equal.

    Args:
        values: song, unit and value of each rating; ratings of the same unit should agree.
    """
    units: dict[tuple[str, tuple[Any, ...]], list[float]] = defaultdict(list)
    for song, unit, value in values:
        units[song, unit].append(value)
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0] * 4)
    for (song, _), rated in units.items():
        count, total, squares = len(rated), sum(rated), sum(value**2 for value in rated)
        if count > 1:  # the sum of (v - w)^2 over ordered pairs of ratings is 2 (n s2 - s1^2)
            apart = 2 * (count * squares - total**2) / (count - 1)
            for place, term in enumerate((count, total, squares, apart)):
                sums[song][place] += term
    if not sums:
        return Interval(math.nan, math.nan, math.nan, 0)

    table = np.array(list(sums.values()))
    value = float(_alpha(table.sum(axis=0)[None])[0])
    songs = len(table)
    if songs < 2:
        return Interval(value, math.nan, math.nan, songs)
    rng = np.random.default_rng(0)
    weights = rng.multinomial(songs, np.full(songs, 1 / songs), size=DRAWS)
    draws = _alpha(weights @ table)
    if np.isnan(draws).any():
        return Interval(value, math.nan, math.nan, songs)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(value, float(low), float(high), songs)


def _alpha(
    sums: np.ndarray[Any, np.dtype[np.float64]],
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return 1 less observed over expected disagreement.

    Args:
        sums: number, sum and sum of squares of ratings, and their disagreement; shape (n, 4).
    """
    count, total, squares, apart = sums.T
    observed = apart / count
    expected = 2 * (count * squares - total**2) / (count * (count - 1))
    there = expected > 1e-12
    return np.where(there, 1 - observed / np.where(there, expected, 1.0), np.nan)


# --- tables -------------------------------------------------------------------------------------


def tables(report: dict[str, Any]) -> Iterator[str]:
    """Write the report in Markdown."""
    columns = (*SCALES, "mean")
    yield (
        f"{report['raters']} raters, {report['judgements']} judgements, {report['songs']} songs. "
        f"Pieces that raters knew: {report['known']}; left out: {report['left_out']}. Judgements "
        f"of a version of which less than half was heard: {report['barely_heard']}.\n"
    )
    marks = [
        [name, str(row["judgements"]), *(_cell(row[column], ".2f") for column in columns)]
        for name, row in report["versions"].items()
    ]
    yield f"{markdown.table(['version', 'judgements', *columns], marks)}\n"

    less = [
        [
            f"{row['version']} less {row['than']}",
            *(_cell(row["difference"][column], "+.2f") for column in columns),
        ]
        for row in report["pairs"]
    ]
    yield f"{markdown.table(['difference', *columns], less)}\n"

    preferred = [
        [
            f"{row['version']} to {row['than']}",
            *(str(row[name]) for name in ("preferred", "neither", "other")),
            _cell(row["share"], ".0%"),
        ]
        for row in report["pairs"]
    ]
    head = ["preferred", "yes", "neither", "no", "share (neither counts half)"]
    yield f"{markdown.table(head, preferred)}\n"

    agreement = report["agreement"]
    yield f"Side A was preferred in {_cell(report['side_a'], '.0%')}; chance is 50 %.\n"
    names = (*SCALES, "preference")
    cells = [[name, _cell(agreement[name], ".2f") or "nothing was rated twice"] for name in names]
    yield f"{markdown.table(['agreement of raters', 'alpha'], cells)}\n"
    yield (
        f"Of {agreement['pairs_of_raters']} pairs of judgements of the same pair of versions, "
        f"{agreement['same_preference']} have the same preference."
    )


def _cell(found: dict[str, Any], form: str) -> str:
    return markdown.interval(found["value"], found["low"], found["high"], form)
