"""Reading kern: parts and their names, bars, repeats, hands, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from styletransfer.errors import InputError
from styletransfer.formats.kern import parse_kern
from styletransfer.formats.read import read_score
from styletransfer.music.melody import extract_melody
from styletransfer.music.notes import Piece

CHORALE = """!!!COM: Nobody
**kern\t**kern\t**silbe\t**kern\t**kern
*Itenor\t*Itenor\t*\t*I"Second\t*Icant
*I:[BASSO]\t*I:[TENORE]\t*I:[TENORE]\t*\t*
*k[b-]\t*k[b-]\t*\t*k[b-]\t*k[b-]
*d:\t*d:\t*\t*d:\t*d:
*M3/4\t*M3/4\t*\t*M3/4\t*M3/4
*MM90\t*MM90\t*\t*MM90\t*MM90
4DD\t4d\tDas\t4f\t4a
=1\t=1\t=1\t=1\t=1
4D\t2A\tist\t4f\t8dd
.\t.\t.\t.\t8aaq
.\t.\t.\t.\t8ff
4F\t.\t.\t2g\t4b-
[4G\t4B-\tsie\t.\t4cc
=2\t=2\t=2\t=2\t=2
2G]\t2d\t|\t2g\t2dd;
=:|!\t=:|!\t=:|!\t=:|!\t=:|!
4C\t4c\tja\t4e\t4g
=3\t=3\t=3\t=3\t=3
2.F\t2.c\tja\t2.f\t2.a
==\t==\t==\t==\t==
*-\t*-\t*-\t*-\t*-
"""

PIANO = """**kern\t**kern\t**dynam
*part1\t*part1\t*
*staff2\t*staff1\t*
*I"Harpsichord\t*\t*
*M2/4\t*M2/4\t*
=1\t=1\t=1
*^\t*\t*
4C 4G\t8c\t4e 4cc\tp
.\t8d\t.\t.
4C\t4e\t8ccL\t.
.\t.\t8ddJ\t.
*v\t*v\t*\t*
=2\t=2\t=2
2C\t2ee\t.
==\t==\t==
*-\t*-\t*-
"""


def rows(piece: Piece, part: int) -> list[tuple[float, float, int]]:
    notes = piece.notes[piece.notes["part"] == part]
    return [(float(n["onset"]), float(n["duration"]), int(n["pitch"])) for n in notes]


def test_a_chorale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Four singers, top first; pick-up, repeat, tie, key and tempo; the lyrics are left out, and
    music21 prints nothing.
    """
    path = tmp_path / "chorale.krn"
    path.write_text(CHORALE, encoding="latin-1")
    piece = read_score(path)
    assert piece.parts == ("Soprano", "Second", "Tenore", "Basso")

    first = [
        (0, 1, 69),
        (1, 0.5, 74),
        (1.375, 0.125, 81),
        (1.5, 0.5, 77),
        (2, 1, 70),
        (3, 1, 72),
        (4, 2, 74),
    ]
    again = [(onset + 6, length, pitch) for onset, length, pitch in first]
    assert rows(piece, 0) == [*first, *again, (12, 1, 67), (13, 3, 69)]
    assert (3, 3, 55) in rows(piece, 3)
    assert len(rows(piece, 3)) == 2 * 4 + 2
    assert piece.bars["start"].tolist() == [-2, 1, 4, 6, 7, 10, 12, 13]
    assert piece.key_signatures == ((0.0, -1, True),)
    assert piece.tempo.quarters_per_minute() == pytest.approx(90, rel=1e-4)
    assert piece.feel == "score"
    assert (extract_melody(piece) == (piece.notes["part"] == 0)).all()
    assert capsys.readouterr() == ("", "")


def test_two_hands_and_split_columns(tmp_path: Path) -> None:
    path = tmp_path / "piano.krn"
    path.write_text(PIANO, encoding="utf-8")
    piece = read_score(path)
    assert piece.parts == ("Harpsichord, right hand", "Harpsichord, left hand")
    assert rows(piece, 1) == [
        (0, 1, 48),
        (0, 1, 55),
        (0, 0.5, 60),
        (0.5, 0.5, 62),
        (1, 1, 48),
        (1, 1, 64),
        (2, 2, 48),
    ]
    assert [n["pitch"] for n in piece.notes[extract_melody(piece)]] == [72, 72, 74, 76]


def test_columns_without_names_are_numbered_and_horns_sound_as_written() -> None:
    """Kern is at sounding pitch, whatever the instrument; "spine_1" is no name to show anyone."""
    text = "**kern\t**kern\n*\t*Icor\n*M2/4\t*M2/4\n=1\t=1\n2C\t4c\n.\t4d\n"
    text += "=2\t=2\n2C\t2e\n==\t==\n*-\t*-\n"
    piece = parse_kern(text.encode(), "a.krn")
    assert piece.parts == ("Horn", "part 2")
    assert [pitch for *_, pitch in rows(piece, 0)] == [60, 62, 64]


def test_a_repeat_that_never_ends_does_not_spoil_the_others() -> None:
    """Music21 ignored all repeats; many scores of dances open one more than they close."""
    text = "**kern\n*M1/4\n=1\n4c\n=:|!\n4d\n=3!|:\n4e\n=4\n4f\n==\n*-\n"
    piece = parse_kern(text.encode(), "a.krn")
    assert [pitch for *_, pitch in rows(piece, 0)] == [60, 60, 62, 64, 65]
    assert piece.remarks == ()


def test_of_several_pieces_the_first_is_read() -> None:
    one = "!!!!SEGMENT: {}\n**kern\n*M2/4\n=1\n4c\n4d\n==\n*-\n"
    piece = parse_kern((one.format("a") + one.format("b")).encode(), "a.krn")
    assert len(piece.notes) == 2
    assert piece.remarks == ("the file holds 2 pieces; the first one was read",)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"Dear diary", "not kern"),
        (b"**mens\nSc\n*-\n", "not kern"),
        (b"**kern\n*-\n", "no notes"),
        (b"**kern\n=1\n4r\n*-\n", "no notes"),
        (b"**kern\t**kern\n4c\t4d\t4e\n4c\n*v\t*v\t*v\n*^\n*-\n", "cannot be understood|no notes"),
        (b"**kern\n\xff\xfe\x00\n*-\n", "cannot be understood|no notes"),
    ],
)
def test_what_is_refused(
    data: bytes, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.krn"
    path.write_bytes(data)
    with pytest.raises(InputError, match=reason) as error:
        read_score(path)
    assert str(error.value).startswith(f"{path}: ")
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("listed", "played"),
    [
        ("[A,A1,A,A2,B,B,A]", "CDCEFFC"),  # endings, and a da capo, which no sign states
        ("[B,A]", "FC"),
        ("norep[A,A2,B]", "CDEF"),  # a list by another name isn't for all
        ("[A,X]", "CDEF"),
        ("[A" + ",A" * 200 + "]", "CDEF"),
    ],
)
def test_lists_of_sections(listed: str, played: str) -> None:
    lines = ["**kern\t**kern", f"*>{listed}\t*>{listed}", "*M4/4\t*M4/4"]
    for bar, (label, step) in enumerate((("A", "c"), ("A1", "d"), ("A2", "e"), ("B", "f")), 1):
        lines += [f"={bar}\t={bar}", f"*>{label}\t*>{label}", f"1{step.upper()}\t1{step}"]
    piece = parse_kern("\n".join([*lines, "==\t==", "*-\t*-"]).encode(), "sections.krn")
    assert "".join("C.D.EF"[pitch - 60] for _, _, pitch in rows(piece, 0)) == played
    assert [pitch + 12 for _, _, pitch in rows(piece, 1)] == [
        pitch for _, _, pitch in rows(piece, 0)
    ]
    assert piece.bars["start"].tolist() == [4 * i for i in range(len(played))]


def test_what_no_section_holds_is_played_first() -> None:
    text = "**kern\n*>[B,A]\n*M4/4\n=1\n1g\n=2\n*>A\n1c\n=3\n*>B\n1d\n==\n*-\n"
    assert [pitch for _, _, pitch in rows(parse_kern(text.encode(), "x.krn"), 0)] == [67, 62, 60]


def kern(*lines: str) -> Piece:
    """Read kern of lines with blanks between columns, and tildes in chords."""
    return parse_kern(
        "\n".join(line.replace(" ", "\t").replace("~", " ") for line in lines).encode(), "a.krn"
    )


ENDS = ("=", "*-")


def test_columns_that_split_more_than_once_keep_all_notes() -> None:
    """Music21 lost half of the notes, and moved others."""
    piece = kern(
        "**kern",
        "*M4/4",
        "=1",
        "*^",
        "4c 4e",
        "*^ *",
        "4d 4f 4g",
        "* *^ *",
        "4e 4g 4b 4cc",
        "*v *v *v *v",
        "4c",
        *ENDS,
    )
    assert rows(piece, 0) == [
        *((0, 1, 60), (0, 1, 64), (1, 1, 62), (1, 1, 65), (1, 1, 67)),
        *((2, 1, 64), (2, 1, 67), (2, 1, 71), (2, 1, 72), (3, 1, 60)),
    ]


def test_columns_that_split_beside_others_and_join_in_steps() -> None:
    lines = [
        "**kern **kern",
        "*M4/4 *M4/4",
        "=1 =1",
        "* *^",
        "2C 4c 8e",
        ". . 8f",
        ". 4d 4g",
        "* *^ *",
        "2D 4e 4a 2cc",
        ". 8f 4b .",
    ]

    piece = kern(*lines, ". 8g . .", "* *v *v *", "* *v *v", "= =", "1C 1c", "* *-", "*-")
    assert rows(piece, 1) == [(0, 2, 48), (2, 2, 50), (4, 4, 48)]
    assert [(onset, pitch) for onset, _, pitch in rows(piece, 0)] == [
        (0, 60),
        (0, 64),
        (0.5, 65),
        (1, 62),
        (1, 67),
        (2, 64),
        (2, 69),
        (2, 72),
        (3, 65),
        (3, 71),
        (3.5, 67),
        (4, 60),
    ]


def test_splits_and_joins_in_the_order_in_which_they_stand() -> None:
    """Columns change places, begin and end within the piece."""
    lines = [
        "**kern **kern",
        "=1 =1",
        "4C 4c",
        "*x *x",
        "4e 4E",
        "*x *x",
        "4C 4c",
        "* *+",
        "* * **kern",
        "4D 4d 4dd",
    ]
    piece = kern(*lines, "*- * *", "4f 4ff", "= =", "*- *-")
    assert [pitch for *_, pitch in rows(piece, 2)] == [48, 52, 48, 50]
    assert [pitch for *_, pitch in rows(piece, 1)] == [60, 64, 60, 62, 65]
    assert rows(piece, 0) == [(3, 1, 74), (4, 1, 77)]


def test_other_columns_are_left_out_whatever_they_hold() -> None:
    piece = kern(
        "**kern **harm **text **dynam",
        "*M2/4 * * *",
        "=1 =1 =1 =1",
        "4c r la p",
        ". V7 . <",
        "4d rr - .",
        "= = = =",
        "*- *- *- *-",
    )
    assert rows(piece, 0) == [(0, 1, 60), (1, 1, 62)]


def test_a_metre_holds_from_where_it_stands() -> None:
    """It stands before its bar line, after it, or within a bar."""
    for lines in (["*M3/4", "=2"], ["=2", "*M3/4"], ["=2", "*clefG2", "*M3/4", "*MM60"]):
        piece = kern("**kern", "*M4/4", "=1", "1c", *lines, "2.d", *ENDS)
        assert piece.bars.tolist() == [(0, 4, 4, 4), (4, 3, 3, 4)]


@pytest.mark.parametrize(
    ("token", "length"),
    [
        ("4c", 1),
        ("4.c", 1.5),
        ("8..cL", 0.875),
        ("0c", 8),
        ("00c", 16),
        ("3%2c", 8 / 3),
        ("12c", 1 / 3),
        ("2c;", 2),
        ("(8ccT\\", 0.5),
    ],
)
def test_lengths(token: str, length: float) -> None:
    piece = kern("**kern", token, "4e", *ENDS)
    assert piece.notes["duration"][0] == pytest.approx(length, abs=1e-3)


def test_graces_chords_and_ties() -> None:
    piece = kern(
        "**kern",
        "=1",
        "4r",
        "8ddq",
        "16ee~16ggqq",
        "[4c~4e",
        "4c]~4e",
        "[2f",
        "=2",
        "4f_",
        "2f]",
        *ENDS,
    )

    assert rows(piece, 0) == [
        (0.75, 0.125, 74),
        (0.875, 0.125, 76),
        (0.875, 0.125, 79),
        (1, 2, 60),
        (1, 1, 64),
        (2, 1, 64),
        (3, 5, 65),
    ]


@pytest.mark.parametrize(("token", "pitch"), [("4c<#/L", 61), ("4e/-", 63), ("4cc##", 74)])
def test_accidentals_apart_from_their_letters(token: str, pitch: int) -> None:
    """Two sonatas by Beethoven have a sign of editing between them."""
    assert rows(kern("**kern", token, *ENDS), 0) == [(0, 1, pitch)]


def test_a_tie_into_another_column() -> None:
    """A note that continues on the other staff was struck again there."""
    piece = kern("**kern **kern", "4r [4d", "4d] 4f", "*- *-")
    assert rows(piece, 0) == [(0, 2, 62), (1, 1, 65)]
    assert not rows(piece, 1)


def test_lines_with_too_many_columns_are_reported() -> None:
    with pytest.raises(InputError, match="line 3 has 3 columns where there are 2"):
        kern("**kern **kern", "4c 4e", "4c 4d 4e", "*- *-")
