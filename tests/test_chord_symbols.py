"""Test chords that are shown above a score and by ``inspect``.

Above a score they are symbols (``--chord-symbols``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from styletransfer import StyleTransfer
from styletransfer.engraving.musicxml import musicxml_bytes
from styletransfer.engraving.page import lay_out
from styletransfer.errors import InputError
from styletransfer.formats.midi_out import write_midi
from styletransfer.formats.musicxml import parse_musicxml
from styletransfer.formats.read import read_score
from styletransfer.music.chord_names import chords_of_line
from styletransfer.music.chords import ChordTable, chord_table, recognise, tones_of
from styletransfer.music.notes import Piece, bars_of, make_notes
from styletransfer.music.qualities import NONE
from styletransfer.outputs.plan import Outputs
from styletransfer.transfer.inspection import describe, wrap_chords
from styletransfer.transfer.planning import table_of
from tests.arrangements import arrangement, bars_equal, elements, onsets, random_arrangement
from tests.command import ONE, Run, refused
from tests.tiny import random_piece, short_song

Told = list[tuple[float, tuple[int, int, int]]]


def as_read(chords: ChordTable) -> Told:
    """Return a chord table as a reader understands it.

    That is where chords begin, and their roots, qualities and basses; at 0 stands the chord that
    holds there.
    """
    found = {
        max(float(row["start"]), 0.0): (int(row["root"]), int(row["quality"]), int(row["bass"]))
        for row in chords
    }
    return list(found.items())


def as_symbols(piece: Piece) -> Told:
    """Return the same of a piece's own symbols, with their tones."""
    for _, symbol in piece.chords:
        assert set(symbol.tones) == (
            {*tones_of(symbol.root, symbol.quality), symbol.bass} if symbol.tones else set()
        )
    return [(place, symbol[1:4]) for place, symbol in piece.chords]


def shown(data: bytes) -> list[tuple[str, float, str]]:
    """Return each symbol's measure number, its quarter there and its name.

    They are read from the file itself.
    """
    found = []
    divisions = int(elements(data, "divisions")[0].text)
    for part in ElementTree.fromstring(data).iter("part"):
        for measure in part.iter("measure"):
            place = 0
            for element in measure:
                length = int(element.findtext("duration", "0"))
                if element.tag == "harmony":
                    kind = element.find("kind")
                    assert kind is not None
                    name = _note(element, "root") + kind.get("text", "")
                    name += "/" + _note(element, "bass") if element.find("bass") is not None else ""
                    name = name if kind.text != "none" else kind.get("text", "")
                    found.append((measure.get("number", ""), place / divisions, name))
                if element.tag in ("note", "forward") and element.find("chord") is None:
                    place += length
                place -= length * (element.tag == "backup")
    return found


def _note(harmony: Any, kind: str) -> str:
    return harmony.findtext(f"{kind}/{kind}-step") + {"-1": "b", "1": "#"}.get(
        harmony.findtext(f"{kind}/{kind}-alter"), ""
    )


# --- on the page --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(11))
def test_symbols_stand_where_the_chords_come(seed: int) -> None:
    """There are eleven metres, some after a pick-up; nothing else on the page changes."""
    piece, rng = random_arrangement(seed), np.random.default_rng(seed)
    first, end = (
        float(piece.bars["start"][0]),
        float(piece.bars["start"][-1] + piece.bars["length"][-1]),
    )
    starts = np.array(
        [first, *sorted(rng.choice(np.arange(first + 0.5, end, 0.5), 12, replace=False))]
    )
    starts[3] += 1 / 3
    named = [(NONE, NONE, NONE)]
    for index in range(1, len(starts)):
        root, quality = int(rng.integers(12)), int(rng.integers(9))
        bass = int(rng.choice([*tones_of(root, quality), (root + 1) % 12]))
        named.append((root, quality, bass) if index != 7 else (NONE, NONE, NONE))
    chords = chord_table(starts, end, np.array(named))

    data = musicxml_bytes(lay_out(piece, chords), "A title")
    again, expected = parse_musicxml(data, "page"), as_read(chords)
    assert [place for place, _ in as_symbols(again)] == pytest.approx(
        [place for place, _ in expected]
    )
    assert [chord for _, chord in as_symbols(again)] == [chord for _, chord in expected]
    assert onsets(again.notes) == onsets(piece.notes)
    assert bars_equal(again.bars, piece.bars)
    assert musicxml_bytes(lay_out(piece, chords), "A title") == data
    assert not elements(musicxml_bytes(lay_out(piece), "A title"), "harmony")


def test_symbols_are_named_as_musicians_write_them() -> None:
    """They follow the signature of the page.

    This holds in a pick-up, in a bar cut short, and under a note that is held.
    """
    metres = [(0.0, 1, 4), (1.0, 3, 4), (4.0, 5, 8), (6.0, 4, 4)]  # the third bar is cut short
    piece = arrangement(
        [(0.0, 1.0, 77), (1.0, 5.0, 76), (6.0, 4.0, 77)], metres=metres, keys=((0.0, -1, False),)
    )
    chords = chords_of_line("C7/E | F A7/C# Dm | F#dim7 Gm7/Bb | N.C. Bbmaj7 Cm7b5 -", piece.bars)
    assert shown(musicxml_bytes(lay_out(piece, chords), "A title")) == [
        ("0", 0.0, "C7/E"),
        ("1", 0.0, "F"),
        ("1", 1.0, "A7/C#"),
        ("1", 2.0, "Dm"),
        ("2", 0.0, "F#dim7"),
        ("2", 1.0, "Gm7/Bb"),
        ("3", 0.0, "N.C."),
        ("3", 1.0, "Bbmaj7"),
        ("3", 2.0, "Cm7b5"),
    ]

    flats, sharps = (
        arrangement([(0.0, 4.0, 78)], keys=((0.0, fifths, False),)) for fifths in (-6, 6)
    )
    table = chords_of_line("F#/A# C#7", flats.bars)
    assert [name for *_, name in shown(musicxml_bytes(lay_out(flats, table), ""))] == [
        "Gb/Bb",
        "Db7",
    ]
    assert [name for *_, name in shown(musicxml_bytes(lay_out(sharps, table), ""))] == [
        "F#/A#",
        "C#7",
    ]


def test_a_chord_that_holds_is_not_repeated() -> None:
    """Chords before the page or after it aren't shown, either."""
    piece = arrangement([(0.0, 1.0, 72), (1.0, 8.0, 76)], metres=[(0.0, 1, 4), (1.0, 4, 4)])
    rows = [
        (-3.0, (0, 0, 0)),
        (-1.0, (5, 0, 5)),
        (0.5, (7, 0, 7)),
        (5.0, (7, 0, 7)),
        (9.0, (0, 0, 0)),
    ]
    chords = chord_table(
        np.array([start for start, _ in rows]), 13.0, np.array([named for _, named in rows])
    )
    assert shown(musicxml_bytes(lay_out(piece, chords), "")) == [("0", 0.0, "F"), ("0", 0.5, "G")]


def test_engraved_symbols_are_whole_words_above_the_staff() -> None:
    """Verovio's own accidentals were drawn over the letters around them."""
    engrave = pytest.importorskip("styletransfer.engraving.files")
    pytest.importorskip("verovio", reason="the extra [score] isn't installed")
    piece = arrangement([(0.0, 4.0, 76), (4.0, 4.0, 77)], left=[(0.0, 4.0, 48)])
    chords = chords_of_line("Bbm F#dim7/Eb | C", piece.bars)
    page = engrave.engraved(musicxml_bytes(lay_out(piece, chords), "A title"), tall=True)[0]
    root = ElementTree.fromstring(page)
    svg = "{" + engrave.SVG + "}"
    symbols = [group for group in root.iter(f"{svg}g") if group.get("class") == "harm"]
    words = ["".join(text.itertext()) for group in symbols for text in group.iter(f"{svg}text")]
    assert words == ["B♭m", "F♯dim7/E♭", "C"]
    assert not [path for group in symbols for path in group.iter(f"{svg}path")]
    staff = next(group for group in root.iter(f"{svg}g") if group.get("class") == "staff")
    top = min(float(line.get("d", "").split()[1]) for line in staff.findall(f"{svg}path"))
    assert all(
        float(text.get("y", "")) < top for group in symbols for text in group.iter(f"{svg}text")
    )


# --- with apply ---------------------------------------------------------------------------------


def told(page: Path, report: dict[str, Any]) -> None:
    """Check that the symbols on a page are the report's harmony."""
    rows = report["harmony"]
    piece = read_score(page)
    table = table_of(rows, piece.bars, rows[0]["bar"])
    assert [chord for _, chord in as_symbols(piece)] == [chord for _, chord in as_read(table)]
    assert [place for place, _ in piece.chords] == pytest.approx(
        [place for place, _ in as_read(table)], abs=0.03
    )
    assert len(piece.chords) > 1


@pytest.mark.parametrize("more", [(), ("--feel", "performance")])
def test_the_harmony_of_the_report_is_above_the_score(
    more: tuple[str, ...], run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    """This holds after a pick-up and in a performance, whose page is on the beats.

    It is off by default.
    """
    common = (
        "apply",
        "happy-birthday",
        "-s",
        "bach",
        "--model",
        tiny_package,
        *ONE,
        "--json",
        *more,
    )
    line = ("--chords", "F | C7/E - Gm7 | C | F | . | Bb | F C7 | F")
    outcome = run(*common, *line, "--score", "page.musicxml", "--chord-symbols")
    assert (outcome.code, outcome.err) == (0, "")
    report = json.loads(outcome.out)
    told(tmp_path / "page.musicxml", report)
    names = [name for *_, name in shown((tmp_path / "page.musicxml").read_bytes())]
    assert names[names.index("C7/E") :][:4] == ["C7/E", "Gm7", "C", "F"]

    assert run(*common, *line, "--score", "plain.musicxml", "-f").code == 0
    assert "<harmony" not in (tmp_path / "plain.musicxml").read_text()


def test_without_a_score_there_is_nothing_to_put_them_on(run: Run, tmp_path: Path) -> None:
    refused(
        run("apply", "twinkle", "-s", "bach", "--chord-symbols"), "--chord-symbols without --score"
    )
    refused(run("apply", "twinkle", "happy-birthday", "-s", "bach", "--chord-symbols"), "--score")
    assert list(tmp_path.iterdir()) == []
    assert Outputs(Path("a"), score=Path("b.svg"), symbols=True).named("c").symbols


def test_from_python(run: Run, tiny_package: Path, tmp_path: Path) -> None:
    """The music after the tune has symbols, too."""
    music = StyleTransfer(tiny_package).apply(
        "twinkle", style="bach", candidates=1, strength=1.0, mode="continue", seconds=8
    )
    rows = music.report["harmony"]
    music.save(tmp_path / "plain.musicxml")
    music.save(tmp_path / "page.musicxml", symbols=True)
    assert "<harmony" not in (tmp_path / "plain.musicxml").read_text()
    symbols = shown((tmp_path / "page.musicxml").read_bytes())
    assert len(music.piece.bars) == len(rows) > 12
    assert symbols[0] == ("1", 0.0, rows[0]["chords"][0]["symbol"])
    told = {
        (str(row["bar"]), chord["quarter"], chord["symbol"])
        for row in rows
        for chord in row["chords"]
    }
    assert set(symbols) <= told
    assert any(int(bar) > 12 for bar, _, _ in symbols)
    for name in ("a.mid", "a.png", "a.json"):
        with pytest.raises(InputError, match="chord symbols stand above a score"):
            music.save(tmp_path / name, symbols=True)
        assert not (tmp_path / name).exists()


def test_a_chord_that_is_edited_elsewhere_is_reported(run: Run, tmp_path: Path) -> None:
    """It would have been printed over bars that weren't made from it."""
    more = ("-s", "bach", "--candidates", "1", "--strength", "1")
    assert run("apply", "twinkle", *more).code == 0
    sidecar = tmp_path / "twinkle-bach.json"
    data = json.loads(sidecar.read_text())
    row = data["report"]["harmony"][2]["chords"][0]
    row["symbol"] = "Am" if row["symbol"] != "Am" else "F"
    sidecar.write_text(json.dumps(data))
    refused(
        run("apply", "twinkle-bach.mid", *more, "--bars", "5", "-o", "a.mid"), "bar 3", "--bars 5"
    )
    assert run("apply", "twinkle-bach.mid", *more, "--bars", "3", "-o", "b.mid").code == 0
    told = json.loads((tmp_path / "b.json").read_text())["report"]["harmony"]
    assert told[2]["chords"][0]["symbol"] == row["symbol"]


# --- with inspect -------------------------------------------------------------------------------


def song(path: Path) -> Path:
    """Write a tune over C, F, G7 and C in 3/4, eight bars of it."""
    onset, pitch = np.arange(24.0), [72, 76, 79, 77, 81, 77, 79, 77, 74, 72, 76, 72] * 2
    roots = [(48, 52, 55), (41, 57, 60), (43, 59, 65), (48, 52, 55)] * 2
    rows = [(3.0 * bar, low) for bar, three in enumerate(roots) for low in three]
    notes = np.concatenate(
        [
            make_notes(onset, np.full(24, 1.0), pitch, part=0),
            make_notes(
                [start for start, _ in rows], np.full(24, 3.0), [low for _, low in rows], part=1
            ),
        ]
    )
    bars = bars_of([(0.0, 3, 4)], 24.0)
    write_midi(Piece(notes, "score", bars, parts=("Melody", "Piano")).with_notes(notes), path)
    return path


def test_inspect_lists_the_chords(run: Run, tmp_path: Path) -> None:
    """They are a line that --chords takes, and stand bar by bar in JSON.

    A melody alone and a performance have none.
    """
    song(tmp_path / "song.mid")
    text = run("inspect", "song.mid").out
    assert "\nchords        C | F | G7 | C | C | F | G7 | C\nmelody" in text
    report = json.loads(run("inspect", "song.mid", "--json").out)
    source = read_score(tmp_path / "song.mid")
    heard = recognise(source.notes, source.bars)
    np.testing.assert_array_equal(chords_of_line(report["chords"], source.bars), heard)
    np.testing.assert_array_equal(table_of(report["harmony"], source.bars, 1), heard)
    assert [row["chords"][0]["roman"] for row in report["harmony"]] == ["I", "IV", "V7", "I"] * 2
    assert [row["bar"] for row in report["harmony"] if row.get("cadence") == "authentic"] == [4, 8]

    short_song(tmp_path / "tune.mid")
    write_midi(random_piece(1, "performance"), tmp_path / "played.mid")
    for name in ("tune.mid", "played.mid"):
        assert "chords  " not in run("inspect", name).out
        report = json.loads(run("inspect", name, "--json").out)
        assert (report["chords"], report["harmony"]) == ("", [])


def test_a_pick_up_is_bar_0_of_what_is_heard() -> None:
    piece = random_arrangement(3)
    assert piece.bars["start"][0] < 0
    report, _ = describe(piece)
    assert [row["bar"] for row in report["harmony"]] == list(range(len(piece.bars)))
    assert report["chords"].count("|") == len(piece.bars) - 1


def test_long_lines_are_wrapped_at_bar_lines() -> None:
    line = " | ".join(["C", "F - - G7"] * 20)
    lines = wrap_chords(line, 40)
    assert max(map(len, lines)) <= 40
    assert min(map(len, lines[:-1])) > 25
    assert all(one.endswith(" |") for one in lines[:-1])
    bars = bars_of([(0.0, 4, 4)], 160.0)
    np.testing.assert_array_equal(
        chords_of_line("\n".join(lines), bars), chords_of_line(line, bars)
    )
    assert wrap_chords("C " * 30, 20) == ["C " * 30]
    assert wrap_chords("", 20) == [""]
