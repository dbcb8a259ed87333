"""Means over styles, their intervals, and systems compared, by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from styletransfer.evaluation.comparison import Comparison, Judged
from styletransfer.evaluation.intervals import Resampled, class_mean


def test_class_means_by_hand() -> None:
    """Class a has 1, 0 and 1, class b 0 and 0: (2/3 + 0) / 2.

    There are two melodies: a draw has one of them twice, or both.
    """
    values = np.array([1.0, 0, 1, 0, 0, np.nan])
    found = class_mean(values, list("aaabbb"), list("xyyxyx"))
    assert found.value == pytest.approx(1 / 3)
    assert found.groups == 2
    assert set(np.round(found.draws, 6)) == {0.5, 0.25, round(1 / 3, 6)}  # x twice, y twice, both
    assert (np.round(found.draws, 6) == 0.5).mean() == pytest.approx(0.25, abs=0.02)
    interval = found.interval()
    assert (interval.low, interval.high) == (0.25, 0.5)


def test_groups_within_classes_are_drawn_there() -> None:
    """Real pieces belong to one composer each: every draw has as many pieces by each as there are,
    so that no composer is missing.
    """
    found = class_mean(np.array([1.0, 1, 0, 0]), list("aabb"), list("wxyz"))
    assert set(found.draws) == {0.5}  # class a is 1 and class b is 0 whatever is drawn
    lonely = class_mean(np.array([1.0, 1, 0]), list("aab"), list("wxy")).interval()
    assert lonely.value == 0.5
    assert np.isnan(lonely.low)  # one group of class b isn't enough


def test_differences_are_paired() -> None:
    values = np.array([0.1, 0.5, 0.9, 0.2])
    one = class_mean(values + 0.25, list("aaaa"), list("wxyz"))
    other = class_mean(values, list("aaaa"), list("wxyz"))
    apart = (one - other).interval()
    assert (apart.value, apart.low, apart.high) == pytest.approx((0.25, 0.25, 0.25))
    assert one.interval().high - one.interval().low > 0.3
    ratio = Resampled(1.0, np.array([1.0, 2.0]), 2).over(Resampled(0.0, np.array([0.0, 4.0]), 2))
    assert np.isnan(ratio.value)
    assert ratio.draws[1] == 0.5
    assert np.isnan(ratio.interval().low)


def judged(
    system: str, target: str, group: str, first: float, rest: float | None = 0.5, real: bool = False
) -> Judged:
    left = None if rest is None else (rest, 1 - rest)
    return Judged(system, target, group, (first, 1 - first), left, (0.4, 0.6), real)


def test_a_comparison_by_hand() -> None:
    """Two melodies and two styles. The melody alone sounds like b; the system hits 3 of 4, real
    pieces all.
    """
    rows = [judged("melody", target, group, 0.4, None) for target in "ab" for group in "xy"]
    rows += [
        judged("tag", "a", "x", 0.9, 0.2),
        judged("tag", "a", "y", 0.3),
        judged("tag", "b", "x", 0.2),
        judged("tag", "b", "y", 0.1),
    ]
    rows += [
        judged("real", target, f"{target}{k}", 0.8 if target == "a" else 0.2, real=True)
        for target in "ab"
        for k in (1, 2)
    ]
    comparison = Comparison(rows, "ab", "melody", "real")
    value = {
        name: comparison.statistic("tag", name).value
        for name in ("accuracy", "top2", "probability", "gain", "relative")
    }
    assert value == pytest.approx(
        {
            "accuracy": 0.75,
            "top2": 1,
            "probability": (0.6 + 0.85) / 2,
            "gain": (0.6 + 0.85) / 2 - 0.5,
            "relative": 0.5,
        }
    )
    assert comparison.confusion("tag") == {"a": [1, 1], "b": [0, 2]}
    assert (
        comparison.statistic("melody", "accuracy", "rest").value == 0.5
    )  # chance: nothing is left of it
    assert comparison.statistic("tag", "gain", "rest").value == pytest.approx(
        (0.2 + 0.5 + 0.5 + 0.5) / 4 - 0.5
    )

    report = comparison.report([("tag", "melody"), ("tag", "absent")])
    cells = report["systems"]["tag"]["cells"]["whole"]
    assert cells["a"] == {
        "value": 0.5,
        "low": 0.0,
        "high": 1.0,
        "groups": 2,
    }  # one melody of two: any share may be drawn
    assert cells["b"]["value"] == 1
    assert comparison.taken("melody", "a", "rest").groups == 0  # nothing is left of it to judge
    assert [row["value"] for row in report["differences"][:2]] == [0.25, 0.225]
    assert "gain" not in report["systems"]["real"]["style"]["whole"]

    json.dumps(report, allow_nan=False)
