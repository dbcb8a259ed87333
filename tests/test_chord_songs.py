"""Songs that are chords alone: a line, a text file, or chord symbols over rests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from styletransfer import StyleTransfer
from styletransfer.errors import InputError
from styletransfer.formats.read import read_score
from styletransfer.music.key import Key
from styletransfer.transfer.planning import chord_song, chords_alone, key_of_chords
from styletransfer.transfer.request import Request
from tests.command import ONE, Run, refused

LINE = "F | C7 | Dm - Bb C7 | F"
COMMON = ("-s", "bach", *ONE)


def symbols(report: dict[str, object]) -> list[list[str]]:
    """Return the symbols of each bar of a report."""
    rows = report["harmony"]
    assert isinstance(rows, list)
    return [[chord["symbol"] for chord in row["chords"]] for row in rows]


def test_chords_are_played_by_themselves(tiny_package: Path, tmp_path: Path, run: Run) -> None:
    """Metre, tempo and key are written; the report and the score have the chords.

    A replay makes the same bytes.
    """
    model = ("--model", str(tiny_package))
    song = ("--chords", LINE, "--metre", "3/4", "--tempo", "90")
    score = ("--score", "x.musicxml", "--chord-symbols")
    outcome = run("apply", *COMMON, *model, *song, "--json", *score)
    report = json.loads(outcome.out)
    assert (report["input"], report["output"], report["melody_notes"]) == (
        None,
        "chords-bach.mid",
        0,
    )
    assert (report["key"], symbols(report)) == (
        "F major",
        [["F"], ["C7"], ["Dm", "Bb", "C7"], ["F"]],
    )

    written = read_score(tmp_path / "chords-bach.mid")
    assert written.tempo.quarters_per_minute() == pytest.approx(90, abs=0.01)
    assert {(int(bar["numerator"]), int(bar["denominator"])) for bar in written.bars} == {(3, 4)}
    assert written.key_signatures == ((0.0, -1, False),)
    assert "Melody" not in written.parts
    assert (tmp_path / "x.musicxml").read_text().count("<harmony") == 6
    assert run("replay", "chords-bach.json", "--check").code == 0


def test_they_close_on_their_tonic(tiny_package: Path, run: Run, tmp_path: Path) -> None:
    """A full chord on the last tonic, with its root lowest, lasts until the end.

    It may begin anywhere in the bar.

    Wherever in the bar it begins.
    """
    for number, (line, begin) in enumerate((("F | C7 | F", 8.0), ("F | C7 F", 6.0))):
        name = f"{number}.mid"
        assert (
            run("apply", *COMMON, "--model", str(tiny_package), "--chords", line, "-o", name).code
            == 0
        )
        notes = read_score(tmp_path / name).notes
        last = notes[np.abs(notes["onset"] - begin) < 0.01]
        assert notes["onset"].max() < begin + 0.01
        assert len(last) >= 3
        assert last["pitch"].min() % 12 == 5
        assert set(last["pitch"] % 12) == {5, 9, 0} or set(last["pitch"] % 12) in ({5}, {5, 9})
        assert last["onset"] + last["duration"] == pytest.approx((begin // 4 + 1) * 4)


def test_a_text_file_is_a_song(tiny_package: Path, tmp_path: Path, run: Run) -> None:
    """A file of chords gives the same as a line; each output is named after its file."""
    (tmp_path / "blues.txt").write_text("C7 |\nF7 C7 |\n")
    assert run("apply", "blues.txt", *COMMON, "--model", tiny_package).code == 0
    assert run("apply", *COMMON, "--model", tiny_package, "--chords", "C7 | F7 C7").code == 0
    assert (tmp_path / "blues-bach.mid").read_bytes() == (tmp_path / "chords-bach.mid").read_bytes()
    (tmp_path / "blues.txt").unlink()  # the sidecar has the chords
    assert run("replay", "blues-bach.json", "--check").code == 0


def test_some_bars_are_rewritten(tiny_package: Path, tmp_path: Path, run: Run) -> None:
    """The other bars stay the same, and the report's harmony is used."""
    model = ("--model", tiny_package)
    assert run("apply", *COMMON, *model, "--chords", LINE).code == 0
    outcome = run(
        "apply", "chords-bach.mid", *COMMON, *model, "--bars", "2", "--seed", "5", "--json"
    )
    report = json.loads(outcome.out)
    assert symbols(report) == [["F"], ["C7"], ["Dm", "Bb", "C7"], ["F"]]
    before, after = (
        read_score(tmp_path / name).notes for name in ("chords-bach.mid", report["output"])
    )
    outside = [
        notes[(notes["onset"] < 4) | (notes["onset"] >= 8)][["onset", "pitch"]].tolist()
        for notes in (before, after)
    ]
    assert outside[0] == outside[1]


def test_symbols_over_rests(tiny_package: Path, tmp_path: Path, run: Run) -> None:
    """A lead sheet without its tune has no chord until its first symbol."""
    (tmp_path / "sheet.abc").write_text('X:1\nL:1/4\nM:3/4\nK:D\n z3 | "D" z3 | "A7" z "D" z2 |]\n')
    outcome = run(
        "apply",
        "sheet.abc",
        *COMMON,
        "--model",
        tiny_package,
        "--json",
        "--score",
        "sheet.musicxml",
    )
    report = json.loads(outcome.out)
    assert symbols(report) == [["N.C."], ["D"], ["A7", "D"]]
    assert report["melody_notes"] == 0
    assert run("replay", "sheet-bach.json", "--check").code == 0
    refused(
        run("apply", "sheet.abc", *COMMON, "-f", "--mode", "regenerate"), "has chords and no tune"
    )
    (tmp_path / "rests.abc").write_text("X:1\nL:1/4\nM:3/4\nK:D\n z3 | z3 |]\n")
    refused(run("apply", "rests.abc", *COMMON), "no notes")


def test_from_python(tiny_package: Path) -> None:
    music = StyleTransfer.from_pretrained(tiny_package).apply(
        None, style="bach", chords="Am | E7 | Am", candidates=1
    )
    assert music.report["key"] == "A minor"
    assert music.title == "Chords, in the style of J. S. Bach"
    assert len(music.notes)


def test_what_is_refused(run: Run, tmp_path: Path) -> None:
    """Each mistake is one sentence."""
    (tmp_path / "c.txt").write_text("C | F")
    (tmp_path / "empty.txt").write_text("|\n")
    for words, message in (
        ([], "give a song"),
        (["--chords", "keep"], "give a song"),
        (["--chords", "C | . | G"], "bar 2 has no chord"),
        (["--chords", "C | F ."], "bar 2 has no chord"),
        (["--chords", "C | H7"], "H7"),
        (["--chords", "C | F", "--metre", "4/5"], "--metre 4/5"),
        (["--chords", "C | F", "--tempo", "0"], "--tempo 0"),
        (["--chords", "C | F", "--mode", "continue", "--seconds", "9"], "have no tune"),
        (["--chords", "C | F", "--bars", "1"], "have no tune"),
        (["c.txt", "--chords", "G | C"], "already has the chords"),
        (["empty.txt"], "contains no chords"),
        (["nothing.txt"], "no such file"),
        (["twinkle", "--tempo", "90"], "without a song"),
    ):
        refused(run("apply", *words, *COMMON), message)


@pytest.mark.parametrize(
    ("metre", "tempo", "rate"), [("6/8", 60.0, 90.0), ("2/2", 60.0, 120.0), ("6/8", None, 100.0)]
)
def test_the_beat_of_a_tempo(metre: str, tempo: float | None, rate: float) -> None:
    """A beat of 6/8 is a dotted quarter; without a tempo there are 100 quarters per minute."""
    song = chord_song(Request("", "bach", chords="C | G7 | C", metre=metre, tempo=tempo))
    assert song.tempo.quarters_per_minute() == pytest.approx(rate)
    assert len(song.bars) == 3


def test_the_key_of_chords() -> None:
    """Two progressions of the same scale differ by their end."""
    for line, key in (
        ("C | Am | F | G7 | C", Key(0, "major")),
        ("Am | F | C E7 | Am", Key(9, "minor")),
    ):
        request = Request("", "bach", chords=line)
        assert key_of_chords(chords_alone(request, chord_song(request))) == key
    begins_late = Request("", "bach", chords=". | C")
    song = chord_song(begins_late)
    with pytest.raises(InputError, match="bar 1 has no chord"):
        chords_alone(begins_late, song)
