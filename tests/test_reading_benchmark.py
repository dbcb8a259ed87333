"""Test the rules by which the benchmark of readers explains a difference.

Each looks at the file.
"""

from __future__ import annotations

from xml.etree.ElementTree import fromstring

import pytest

from benchmarks.reading_differences import (
    Notes,
    reasons,
    tune_reasons,
    with_starts,
    without_breaks,
    without_odd_ties,
)
from benchmarks.reading_kern import struck, without_graces
from tests.test_musicxml import STOP, attributes, note, score

CUE = "<cue/>"
SLASHED = "<notations><ornaments><tremolo>1</tremolo></ornaments></notations>"


@pytest.mark.parametrize(
    ("bar", "theirs", "reason"),
    [
        (note("C") + note("D"), {(0, 60), (1, 62)}, {}),
        (note("C") + note("D", 1, CUE), {(0, 60), (1, 62)}, {"cues": 1}),
        (note("C", 2, SLASHED), {(0, 60), (0.5, 60), (1, 60), (1.5, 60)}, {"tremolos": 3}),
        (note("C") + note("D", 1, STOP), {(0, 60)}, {"ties": 1}),
        (note("C") + note("D"), {(0, 60), (1, 61)}, {"accidentals": 2}),
        (note("C") + note("E", 1, "<grace/>") + note("D"), {(0, 60), (1, 64), (1.5, 62)}, None),
        (note("C") + note("D"), {(0, 60), (1, 62), (1.5, 67)}, None),
    ],
)
def test_what_only_one_has_needs_a_reason_in_the_file(
    bar: str, theirs: Notes, reason: dict[str, int] | None
) -> None:
    root = fromstring(score(("A", [attributes((2, 4)) + bar])))
    sounding = {(0.0, 60)} | ({(1.0, 62)} if ">D<" in bar and CUE not in bar else set())
    found = reasons(root, sounding, theirs, [0.0])
    if "grace" in bar:
        assert found == {"grace notes": 3}
    else:
        assert found == reason


def test_bars_of_other_lengths_are_compared_bar_by_bar() -> None:
    root = fromstring(score(("A", [attributes((2, 4)) + note("C", 2), note("D", 2), note("E", 2)])))
    ours = {(0.0, 60), (2.0, 62), (4.0, 64)}
    assert reasons(root, ours, {(0.0, 60), (4.0, 62), (6.0, 64)}, [0, 4, 6]) == {"bars": 1}
    assert reasons(root, ours, {(0.0, 60), (4.5, 62), (6.0, 64)}, [0, 4, 6]) is None


def test_tunes_written_otherwise() -> None:
    assert with_starts(["K:G", "AB||cd:|", "ef:|[2gh||"]) == ["K:G", "AB |:cd::", "ef:|[2gh||"]
    assert with_starts(["K:G", "|:AB:|"]) == ["K:G", "|:AB:|"]
    assert without_breaks(["A!B !trill!c!"]) == ["AB !trill!c"]
    assert without_odd_ties(["C-D E-E F-|F G-|A"]) == ["CD E-E F-|F G|A"]
    lines = ["K:G", "A!B-c||d:|"]
    assert tune_reasons(lines, lambda tried: "-" not in tried[1]) == {"odd ties": 1}
    assert tune_reasons(lines, lambda _: False) is None


def test_tokens_that_are_struck() -> None:
    lines = ("**kern\t**kern", "4C\t[4e 4gq", "*^\t*", "4D\t4r\t4e]", "8E-\t8ee\t8f")
    text = "\n".join((*lines, "*v\t*v\t*", "4r\t4f#", "*-\t*-"))
    assert struck(without_graces(text)) == [(48, 64), (50,), (51, 65, 76), (66,)]
