"""Plan a harmony: report it, read it again, give it as text or in a file, keep it.

Chords that a user fixes are kept.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from styletransfer.errors import InputError
from styletransfer.music.chord_names import chord_of_symbol, chords_of_line
from styletransfer.music.chord_symbols import ChordSymbol
from styletransfer.music.chords import INTERVALS, ChordTable, chord_table
from styletransfer.music.key import Key
from styletransfer.music.notes import BarTable, bars_of
from styletransfer.music.qualities import NONE
from styletransfer.tokens.codec import STEPS_PER_QUARTER, Chord
from styletransfer.tokens.plan import plan_of
from styletransfer.transfer.kept_harmony import own_chords
from styletransfer.transfer.planning import (
    add_chords,
    edited_bars,
    harmony_of,
    harmony_rows,
    read_chords,
    table_of,
)
from styletransfer.transfer.request import Request
from tests.tiny import codec, tune_of

C = Key(0, "major")
STATES = [
    (root, quality, (root + step) % 12)
    for quality, steps in enumerate(INTERVALS)
    for root in range(12)
    for step in steps
]


def sounding(chords: ChordTable, quarter: float) -> tuple[int, int, int]:
    """Return the chord at a place."""
    row = chords[int(np.searchsorted(chords["start"], quarter + 1e-3, side="right")) - 1]
    return int(row["root"]), int(row["quality"]), int(row["bass"])


# --- in a report and back -----------------------------------------------------------------------


@st.composite
def harmonies(draw: st.DrawFn) -> tuple[BarTable, ChordTable, int]:
    """Draw bars of changing metres, and chords on steps.

    They may be late in a long song, or after a pick-up.
    """
    top, bottom = draw(st.sampled_from(((4, 4), (3, 4), (6, 8), (5, 8), (2, 2))))
    upbeat, many = draw(st.booleans()), draw(st.sampled_from((0, 900)))
    begin = [(0.0, 1, 8), (0.5, top, bottom)] if upbeat else [(0.0, top, bottom)]
    start = upbeat / 2 + (many + draw(st.integers(1, 4))) * 4 * top / bottom
    begin += [(start, 7, 8), (start + 7 / 3, 4, 4)]  # that bar is cut short within a triplet
    bars = bars_of(begin, start + 7 / 3 + 8)[many:]

    first, end = bars["start"][0], float(bars["start"][-1] + bars["length"][-1])
    steps = int((end - first) * STEPS_PER_QUARTER) - 1
    places = sorted(draw(st.sets(st.integers(1, steps), max_size=12)))
    starts = np.array([first, *(first + place / STEPS_PER_QUARTER for place in places)])
    free = st.sampled_from([*STATES, (NONE, NONE, NONE), (0, 0, 1), (7, 4, 0)])
    named = np.array([draw(free) for _ in starts])
    return bars, chord_table(starts, end, named), int(not upbeat)


@settings(max_examples=60, deadline=None)
@given(harmonies(), st.integers(0, 11), st.sampled_from(("major", "minor")))
def test_a_report_is_read_as_it_was_written(
    harmony: tuple[BarTable, ChordTable, int], tonic: int, mode: Any
) -> None:
    """Rows become a table and the same rows again; the table is the same, apart from rounding."""
    bars, chords, first = harmony
    rows = harmony_rows(chords, bars, Key(tonic, mode), first)
    again = table_of(rows, bars, first)
    assert harmony_rows(again, bars, Key(tonic, mode), first) == rows
    assert [row["bar"] for row in rows] == list(range(first, first + len(bars)))
    assert edited_bars(rows, Key(tonic, mode)) == []
    assert all(row["chords"][0]["quarter"] == 0 for row in rows)

    for name in ("root", "quality", "bass"):
        np.testing.assert_array_equal(again[name], chords[name])
    np.testing.assert_allclose(again["start"], chords["start"], atol=2e-3)
    assert again["start"][0] == bars["start"][0]
    assert again["start"][-1] + again["length"][-1] == pytest.approx(
        chords["start"][-1] + chords["length"][-1]
    )


def test_rows_state_what_sounds_in_each_bar() -> None:
    """A chord that continues is in every bar, at its beginning.

    Late in a song there is no sliver of the previous chord.
    """
    bars = bars_of([(0.0, 4, 4)], 16.0)
    rows = harmony_rows(chords_of_line("C | - - F - | G7/B | C", bars), bars, C, 1)
    assert [
        [(one["quarter"], one["symbol"], one["roman"]) for one in row["chords"]] for row in rows
    ] == [
        [(0.0, "C", "I")],
        [(0.0, "C", "I"), (2.0, "F", "IV")],
        [(0.0, "G7/B", "V65")],
        [(0.0, "C", "I")],
    ]
    assert [row.get("cadence") for row in rows] == [None, None, None, "authentic"]

    late = bars_of([(0.0, 7, 12), (7 / 3 * 430, 7, 12)], 7 / 3 * 432)[430:432]
    table = chord_table(
        late["start"], float(late["start"][-1] + 7 / 3), np.array([(0, 0, 0), (7, 0, 7)])
    )
    assert table["start"][1] > late["start"][1]  # by the rounding of a table
    told = harmony_rows(table, late, C, 1)
    assert [[one["symbol"] for one in row["chords"]] for row in told] == [["C"], ["G"]]


def test_an_edited_report_changes_what_was_edited() -> None:
    bars = bars_of([(0.0, 4, 4)], 16.0)
    chords = chords_of_line("C | C | G | C", bars)
    rows = harmony_rows(chords, bars, C, 1)
    rows[1]["chords"][0]["symbol"] = "Am7/C"
    rows[2]["chords"].append({"quarter": 3, "symbol": "G7"})
    assert edited_bars(rows, C) == [2, 3]
    rows[3]["chords"] = []
    again = table_of(rows, bars, 1)
    told = [(0, "C"), (4, "Am7/C"), (8, "G"), (11, "G7"), (15, "G7")]
    assert [sounding(again, quarter) for quarter, _ in told] == [
        chord_of_symbol(name) for _, name in told
    ]


def test_bars_that_do_not_exist() -> None:
    """A stopped arrangement has fewer bars than its report, which was taken for a mistake.

    A bar before the first was counted from the end.
    """
    bars = bars_of([(0.0, 4, 4)], 16.0)
    rows = harmony_rows(chords_of_line("C | F | G | C", bars), bars, C, 1)
    assert table_of(rows, bars[:2], 1)["length"].tolist() == [4.0, 4.0]
    with pytest.raises(InputError, match="there is no bar 0"):
        table_of([{"bar": 0, "chords": []}, *rows], bars, 1)


def test_before_the_first_chord_there_is_none() -> None:
    bars = bars_of([(0.0, 4, 4)], 8.0)
    rows = [{"bar": 1, "chords": []}, {"bar": 2, "chords": [{"quarter": 2.0, "symbol": "C"}]}]
    table = table_of(rows, bars, 1)
    assert table["start"].tolist() == [0.0, 6.0]
    assert table["root"].tolist() == [NONE, 0]
    assert len(table_of([], bars, 1)) == 1


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"bar": 1, "chords": [{"quarter": 0, "symbol": "H7"}]}], "'H7' isn't a chord symbol"),
        ([{"bar": 1, "chords": [{"quarter": 0}]}], "'symbol' is missing"),
        ([{"chords": []}], "'bar' is missing"),
        ([{"bar": 1, "chords": [{"quarter": 4, "symbol": "C"}]}], "bar 1 has no quarter 4"),
        ([{"bar": 1, "chords": [{"quarter": -1, "symbol": "C"}]}], "no quarter -1"),
        ([{"bar": 1, "chords": [{"quarter": float("nan"), "symbol": "C"}]}], "no quarter nan"),
        ([{"bar": float("inf"), "chords": []}], "infinity"),
        ([{"bar": 1, "chords": 3}], "int"),
        (["C", "F"], "str"),
        (3, "int"),
    ],
)
def test_a_damaged_report_ends_in_one_sentence(rows: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        table_of(rows, bars_of([(0.0, 4, 4)], 8.0), 1)
    assert "--chords:" not in str(caught.value)
    assert str(caught.value).count("\n") == 0


# --- what is given ------------------------------------------------------------------------------


def test_chords_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tune.txt").write_bytes("\ufeffF | C7 |\r\nB♭ | F\r\n".encode())
    text = read_chords("tune.txt")
    chords = chords_of_line(text, bars_of([(0.0, 4, 4)], 16.0))
    assert chords["root"].tolist() == [5, 0, 10, 5]
    assert read_chords(text) == text  # as a sidecar has it
    for line in ("new", "keep", "F C7 | F", "F\nC", "F - C7 .", "%", "Am7/G"):
        assert read_chords(line) == line


def test_a_bar_of_chords_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It isn't, whatever files are in the folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "C").write_text("F | F")
    (tmp_path / "G").mkdir()
    for line in ("C", "G", ".", "/", "C " * 200):
        assert read_chords(line) == line
    assert read_chords("./C") == "F | F"


def test_what_is_neither_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for text, words in (
        ("folder", "it is a folder"),
        ("binary", "can't be read as text"),
        ("missing.txt", "neither a chord symbol"),
        ("x" * 300, "can't be read as text"),
        ("a\0b", "neither a chord symbol"),
    ):
        with pytest.raises(InputError, match=f"^--chords {text[:3]}.*{words}") as caught:
            read_chords(text)
        assert "\n" not in str(caught.value)
    assert read_chords("C H7") == "C H7"  # the wrong word is reported once the bars are known


# --- what is planned ----------------------------------------------------------------------------


def test_the_plan_has_every_bar() -> None:
    """Chords are on the steps of their bars, in a pick-up too.

    Notes may be above the tune only if it is locked.
    """
    melody = tune_of(3, upbeat=1)
    plan = plan_of(codec(), codec().grid(melody))
    chords = chords_of_line("C | F - G | C", melody.bars)
    whole = table_of(harmony_rows(chords, melody.bars, C, 0), melody.bars, 0)
    told = add_chords(plan, whole, above=True)
    assert told.chords == (
        (Chord(0, NONE, NONE, NONE),),
        (Chord(0, 0, 0, 0),),
        (Chord(0, 5, 0, 5), Chord(48, 7, 0, 7)),
        (Chord(0, 0, 0, 0),),
    )
    assert (told.references, told.above) == (True, True)
    assert not add_chords(replace(plan, locked=False), whole, above=True).above


def request(chords: str, **chosen: Any) -> Request:
    return Request("song.mid", "bach", chords=chords, **chosen)


def test_given_chords_stand_and_the_rest_is_proposed() -> None:
    melody = tune_of(8)
    chords = harmony_of(request(". | Ab/C | - F#dim7 ."), melody, None)
    assert chords["start"][0] == melody.bars["start"][0]
    assert chords["start"][-1] + chords["length"][-1] == 24
    np.testing.assert_allclose(np.diff(chords["start"]), chords["length"][:-1], atol=1e-4)
    wanted = ((3.0, "Ab/C"), (5.5, "Ab/C"), (6.0, "Ab/C"), (7.0, "F#dim7"), (7.9, "F#dim7"))
    assert [sounding(chords, quarter) for quarter, _ in wanted] == [
        chord_of_symbol(name) for _, name in wanted
    ]
    assert (chords["quality"] != NONE).all()
    again = harmony_of(request(". | Ab/C | - F#dim7 ."), melody, None)
    np.testing.assert_array_equal(again, chords)


def test_the_harmony_of_symbols_is_kept() -> None:
    """Their roots, qualities and basses are kept; chords are proposed where there is none."""
    melody = tune_of(6)
    symbols = [(3.0, "Caug/E"), (9.0, "N.C."), (12.0, "Bdim7"), (15.0, "Db/Eb")]
    named = [(quarter, ChordSymbol(name, *chord_of_symbol(name))) for quarter, name in symbols]
    own, _ = own_chords(
        replace(melody, chords=tuple(named)), melody, 0, plan_of(codec(), codec().grid(melody))
    )
    chords = harmony_of(request("keep"), melody, own)
    for quarters, name in (
        ((3.0, 6.0, 8.5), "Caug/E"),
        ((12.0, 14.5), "Bdim7"),
        ((15.0, 17.5), "Db/Eb"),
    ):
        assert [sounding(chords, quarter) for quarter in quarters] == [chord_of_symbol(name)] * len(
            quarters
        )
    assert NONE not in [sounding(chords, quarter)[1] for quarter in (0.0, 2.5, 9.0, 11.5)]
