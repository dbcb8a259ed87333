"""MEI, as verovio plays it, in the order that its bar lines and endings state."""

from __future__ import annotations

from pathlib import Path

import pytest

from styletransfer.errors import InputError
from styletransfer.formats import mei as reader
from styletransfer.formats.read import read_score
from styletransfer.music.notes import Piece

pytest.importorskip("verovio")

STAFF = '<staffDef n="{}" lines="5" clef.shape="G" clef.line="2" label="{}"/>'


def measure(notes: str, signs: str = "", inside: str = "", left: str = "") -> str:
    """Write a measure of quarters, given their names.

    ``signs`` are attributes; ``left`` is on a second staff.
    """
    staves = [notes, left] if left else [notes]
    music = ""
    for number, row in enumerate(staves, 1):
        tones = "".join(f'<note pname="{name}" oct="4" dur="4"/>' for name in row)
        music += f'<staff n="{number}"><layer n="1">{tones}</layer></staff>'
    return f"<measure {signs}>{music}{inside}</measure>"


def mei(music: str, names: tuple[str, ...] = ("Flute",), more: str = "") -> bytes:
    staves = "".join(STAFF.format(number, name) for number, name in enumerate(names, 1))
    head = f'<scoreDef meter.count="2" meter.unit="4" key.sig="1f"><staffGrp>{staves}</staffGrp>'
    score = f"<mdiv><score>{head}</scoreDef><section>{music}</section></score></mdiv>{more}"
    space = 'xmlns="http://www.music-encoding.org/ns/mei" meiversion="4.0.1"'
    return f"<mei {space}><music><body>{score}</body></music></mei>".encode()


def read(tmp_path: Path, data: bytes, name: str = "song.mei") -> Piece:
    (tmp_path / name).write_bytes(data)
    return read_score(tmp_path / name)


def ending(number: str, music: str) -> str:
    return f'<ending n="{number}">{music}</ending>'


BACK, FORTH = 'right="rptend"', 'left="rptstart"'
C, D, E, F, G = (measure(step * 2) for step in "cdefg")


def mark(func: str) -> str:
    return f'<repeatMark func="{func}" staff="1" tstamp="1"/>'


@pytest.mark.parametrize(
    ("music", "played"),
    [
        (C + D + E, "cde"),
        (C + measure("dd", BACK) + E, "cdcde"),
        (C + measure("dd", FORTH) + measure("ee", BACK) + F, "cdedef"),
        (C + measure("dd", 'right="rptboth"') + measure("ee", BACK), "cdcdee"),
        (measure("cc", 'right="rptstart"') + D + measure("ee", 'left="rptend"'), "cdde"),
        (C + ending("1", measure("dd", BACK)) + ending("2", E) + F, "cdcef"),
        (C + ending("1.", D) + ending("2.", E) + F, "cdcef"),
        (f"<section>{C}{ending('1, 2', measure('dd', BACK))}</section>{ending('3', E)}", "cdcdce"),
        (measure("cc", inside=mark("fine")) + measure("dd", inside=mark("daCapo")), "cdc"),
        (
            '<expansion plist="#a #b #a"/>'
            f'<section xml:id="a">{C}</section><section xml:id="b">{D}</section>',
            "cdc",
        ),
    ],
)
def test_the_order_of_playing(tmp_path: Path, music: str, played: str) -> None:
    piece = read(tmp_path, mei(music))
    steps = ["c.d.ef.g"[pitch - 60] for pitch in piece.notes["pitch"].tolist()]
    assert "".join(steps[::2]) == "".join(steps[1::2]) == played
    assert piece.bars["start"].tolist() == [2 * k for k in range(len(played))]
    assert piece.feel == "score"
    assert piece.key_signatures == ((0.0, -1, False),)


def test_parts_and_what_is_left_out(tmp_path: Path) -> None:
    harm = '<harm staff="1" tstamp="1">ii6/5</harm><harm startid="#n">C</harm>'
    data = mei(measure("cd", left="ef", inside=harm), ("Piano", "Piano"), "<mdiv/>")
    piece = read(tmp_path, data, "song.xml")
    assert piece.parts == ("Piano, right hand", "Piano, left hand")
    assert piece.notes["pitch"][piece.notes["part"] == 1].tolist() == [64, 65]
    assert any("2 chord symbols" in remark for remark in piece.remarks)
    assert any("2 movements" in remark for remark in piece.remarks)


def test_chord_symbols_and_keys_as_they_are_played(tmp_path: Path) -> None:
    def harm(*symbols: str) -> str:
        return "".join(
            f'<harm tstamp="{beat}"><rend>{text}</rend></harm>'
            for beat, text in enumerate(symbols, 1)
        )

    key = '<scoreDef key.sig="2s" key.mode="major"/>'
    music = measure("cd", inside=harm("C", "F♯m7")) + measure("ef", BACK, harm("G/B")) + key + G
    piece = read(tmp_path, mei(music + '<scoreDef meter.count="3" meter.unit="4"/>' + G))
    assert [(place, symbol.text) for place, symbol in piece.chords] == [
        (0, "C"), (1, "F#m7"), (2, "G/B"), (4, "C"), (5, "F#m7"), (6, "G/B"),
    ]  # fmt: skip
    assert piece.key_signatures == ((0.0, -1, False), (8.0, 2, False))
    assert not piece.remarks


def test_arpeggios_stay_on_the_beat(tmp_path: Path) -> None:
    tones = "".join(f'<note xml:id="n{k}" pname="{name}" oct="4"/>' for k, name in enumerate("ceg"))
    chord = f'<chord xml:id="k" dur="2">{tones}</chord>'
    staff = f'<staff n="1"><layer n="1">{chord}</layer></staff>'
    arpeggio = '<arpeg staff="1" tstamp="1" plist="#n0 #n1 #n2"/>'
    piece = read(tmp_path, mei(f"<measure>{staff}{arpeggio}</measure>"))
    assert piece.notes[["onset", "pitch"]].tolist() == [(0, 60), (0, 64), (0, 67)]


def test_a_pick_up_shifts_the_bars(tmp_path: Path) -> None:
    piece = read(tmp_path, mei(measure("c") + measure("de") + measure("fg", BACK)))
    assert piece.notes["onset"].tolist() == list(range(10))
    assert piece.bars["start"].tolist() == [-1, 1, 3, 5, 6, 8]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<mei><music/></mei>", "can't read this MEI|no notes"),
        (b"<mei><music>", "cut short or not XML"),
        (b"<html/>", "not MEI"),
        (mei(""), "can't read this MEI|no notes"),
    ],
)
def test_bad_files(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as error:
        read(tmp_path, data)
    assert str(error.value).endswith(".")


def test_without_verovio_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install"):
        read(tmp_path, mei(C))


@pytest.mark.parametrize("program", ["import os; os.abort()", "import time; time.sleep(9)"])
def test_a_crash_or_a_hang_of_verovio_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(reader, "_PLAY", program)
    monkeypatch.setattr(reader, "SECONDS", 1)
    with pytest.raises(InputError, match="verovio can't read"):
        read(tmp_path, mei(C))
