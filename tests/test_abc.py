"""Test reading ABC: tunes, books, fields, repeats, voices, and what is refused."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from styletransfer.errors import InputError
from styletransfer.formats.abc import parse_abc, tunes
from styletransfer.formats.read import read_score, read_tunes
from styletransfer.formats.written import MOST_MEASURES, Signs, in_playing_order
from styletransfer.music.melody import extract_melody
from styletransfer.music.notes import Piece

HEAD = "X:1\nT:A tune\nM:4/4\nL:1/4\nK:C\n"

BOOK = """% a book
L:1/4
This is free text, with A BAD CABBAGE in it.

X:7
T:First % of all
M:3/4
K:G
G A B|

A letter that was read as music once: EGAD, A BAD CAFE

X:8
T:Second
M:2/4
L:1/8
K:F
cB AG|

F4|
E4|
"""


def abc(text: str, tune: int | None = None) -> Piece:
    return parse_abc(text.encode(), "a.abc", None, tune)


def music(text: str) -> Piece:
    """Read music in C major, 4/4, in quarters, as a piece."""
    return abc(HEAD + text)


def rows(piece: Piece, part: int = 0) -> list[tuple[float, float, int]]:
    notes = piece.notes[piece.notes["part"] == part]
    return [
        (round(float(n["onset"]), 4), round(float(n["duration"]), 4), int(n["pitch"]))
        for n in notes
    ]


def pitches(text: str) -> list[int]:
    return [pitch for _, _, pitch in rows(music(text))]


def test_a_tune(tmp_path: Path) -> None:
    """Pick-up, key, tempo, repeat, endings, tie, grace note, chord, chord symbol, decoration,
    words, and a comment.
    """
    path = tmp_path / "tune.abc"
    path.write_text(
        'X:1\nT:Test\nM:3/4\nL:1/8\nQ:"Allegro" 1/4=90\nK:Gm\n'
        'D2|:"Gm"G2 {f}!trill!B4- % no A in here\nw: one two\n'
        "|[1B2 [GB]4:|[2 A6|]\nW: the end\n",
        encoding="utf-8",
    )
    piece = read_score(path)
    assert rows(piece) == [
        (0, 1, 62),
        (1, 1, 67), (1.875, 0.125, 77), (2, 3, 70), (5, 2, 67), (5, 2, 70),
        (7, 1, 67), (7.875, 0.125, 77), (8, 2, 70), (10, 3, 69),
    ]  # fmt: skip
    assert piece.feel == "score"
    assert piece.bars["start"].tolist() == [-2, 1, 4, 7, 10]
    assert piece.bars[["numerator", "denominator"]].tolist() == [(3, 4)] * 5
    assert piece.key_signatures == ((0.0, -2, True),)
    assert piece.tempo.quarters_per_minute() == pytest.approx(90, rel=1e-4)
    assert piece.parts == ("part 1",)
    assert piece.remarks == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C>D E<F|", [(0, 1.5, 60), (1.5, 0.5, 62), (2, 0.5, 64), (2.5, 1.5, 65)]),
        ("C>>D|", [(0, 1.75, 60), (1.75, 0.25, 62)]),
        ("(3CDE F2|", [(0, 0.6667, 60), (0.6667, 0.6667, 62), (1.3333, 0.6667, 64), (2, 2, 65)]),
        ("(3:2:2C2D E|", [(0, 1.3333, 60), (1.3333, 0.6667, 62), (2, 1, 64)]),
        ("C3/2D/E//F//", [(0, 1.5, 60), (1.5, 0.5, 62), (2, 0.25, 64), (2.25, 0.25, 65)]),
        ("z2 C x D|Z2|E", [(2, 1, 60), (4, 1, 62), (13, 1, 64)]),
        ("[CE]2[DF2]/|", [(0, 2, 60), (0, 2, 64), (2, 0.5, 62), (2, 1, 65)]),
        ("+CE2+ D|", [(0, 1, 60), (0, 2, 64), (1, 1, 62)]),
        ("C,, c'' _B __B|", [(0, 1, 36), (1, 1, 96), (2, 1, 70), (3, 1, 69)]),
        (
            '"Am7"C !f!D +fermata+E ~F|uGTAHc',
            [(i, 1, p) for i, p in enumerate((60, 62, 64, 65, 67, 69, 72))],
        ),
    ],
)
def test_notes_and_lengths(text: str, expected: list[tuple[float, float, int]]) -> None:
    assert rows(music(text)) == expected


@pytest.mark.parametrize("text", ["C D|1 E:|2 F|", "C D| 1 E:| 2 F|", "C D|[1E:|[2F|"])
def test_numbers_behind_bar_lines_are_endings(text: str) -> None:
    assert pitches(text) == [60, 62, 64, 60, 62, 65]


def test_a_length_that_has_lost_its_note_is_no_ending() -> None:
    """Two songs of the Essen collection lost the rest of their music."""
    assert pitches("C D| 4E2F2| 62| G| 4\nA") == [60, 62, 64, 65, 67, 69]


@pytest.mark.parametrize("end", ["", "|", " |"])
def test_a_tie_at_the_beginning_of_a_line_is_that_of_the_note_before(end: str) -> None:
    """Many songs of the Essen collection have such ties; the second half was struck again."""
    assert rows(music(f"CE{end}\n-E G|")) == [(0, 1, 60), (1, 2, 64), (3, 1, 67)]
    assert pitches("CE\n-G|") == [60, 64, 67]


def test_accidentals_hold_to_the_end_of_their_bar_and_through_ties() -> None:
    """Music21 drops accidentals at once."""
    assert pitches("^C D C c|C =C ^F-|F F|") == [61, 62, 61, 73, 60, 60, 66, 65]
    assert rows(music("G ^F3-|F4-|F4"))[1] == (1, 11, 66)
    assert pitches("^F4-|z F F2|") == [66, 65, 65]
    assert rows(abc("X:1\nM:1/4\nL:1/4\nK:C\nV:1\nC0|\nV:2\nCD|")) == [(0, 1, 60), (1, 1, 62)]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("C", [65, 71]), ("G", [66, 71]), ("Dm", [65, 70]), ("D mix", [66, 71]), ("Bb", [65, 70]),
        ("F#min", [66, 71]), ("Edorian", [66, 71]), ("HP", [66, 71]), ("none", [65, 71]),
        ("C ^f _b", [66, 70]), ("C clef=treble-8", [53, 59]),
        ("C octave=1", [77, 83]), ("C bass transpose=-2", [63, 69]),
    ],
)  # fmt: skip
def test_keys(key: str, expected: list[int]) -> None:
    assert [pitch for *_, pitch in rows(abc(f"X:1\nL:1/4\nK:{key}\nFB|"))] == expected


def test_fields_inside_the_music() -> None:
    """Music21 skips all such fields."""
    piece = music("CDEF|[M:3/4]GAB|[K:G]FGA|[L:1/8][Q:1/4=60]c2 d2 e2|\nK:F\nL:1/2\nB|")
    assert [row[2] for row in rows(piece)] == [
        60,
        62,
        64,
        65,
        67,
        69,
        71,
        66,
        67,
        69,
        72,
        74,
        76,
        70,
    ]
    assert rows(piece)[-2:] == [(12, 1, 76), (13, 2, 70)]
    assert piece.bars["start"].tolist() == [0, 4, 7, 10, 13]
    assert piece.key_signatures == ((0.0, 0, False), (7.0, 1, False), (13.0, -1, False))
    assert piece.tempo.quarters.tolist() == [0, 10]


@pytest.mark.parametrize(
    "body",
    [
        "[V:1] CDEF|\n[V:2] C,2D,2|\n[V:1] GABc|\n[V:2] E,4|",
        "V:1\nCDEF|GABc|\nV:2\nC,2D,2|E,4|",
        "V:1\nCDEF|\nV:2\nC,2D,2|\nV:1\nGABc|\nV:2\nE,4|",
        "[V:1] CDEF|[V:2] C,2D,2|[V:1] GABc|[V:2] E,4|",
    ],
)
def test_voices(body: str) -> None:
    piece = abc(f'X:1\nM:4/4\nL:1/4\nV:1 name="High one"\nV:2 nm=Low clef=bass\nK:C\n{body}\n')
    assert piece.parts == ("High one", "Low")
    assert [pitch for *_, pitch in rows(piece, 0)] == [60, 62, 64, 65, 67, 69, 71, 72]
    assert rows(piece, 1) == [(0, 2, 48), (2, 2, 50), (4, 4, 52)]
    assert piece.bars["start"].tolist() == [0, 4]


def test_repeats_of_one_voice_hold_for_all() -> None:
    piece = abc("X:1\nM:2/4\nL:1/4\nK:C\nV:A\n|:CD:|EF|\nV:B\nC,D,|E,F,|")
    assert [pitch for *_, pitch in rows(piece, 0)] == [60, 62, 60, 62, 64, 65]
    assert [pitch for *_, pitch in rows(piece, 1)] == [48, 50, 48, 50, 52, 53]
    assert piece.parts == ("A", "B")


@pytest.mark.parametrize(
    ("text", "played"),
    [
        ("|:CDEF:|G4|", "CDEFCDEFG"),
        ("CDEF:|G4|", "CDEFCDEFG"),
        ("CDE2::F2G2|A4:|", "CDECDEFGAFGA"),
        ("CDEF:||:GABc:|", "CDEFCDEFGABcGABc"),
        ("|:C4|1D4:|2E4||F4|", "CDCEF"),
        ("|:C4|[1 D4|E4:|[2 F4|G4|]A4|", "CDECFGA"),
        ("|:C4|1 D4|2 E4|]", "CDCE"),
        ("|:C4|1,3 D4:|2 E4:|", "CDCECD"),
        ("|:C4|1-2 D4:|3 E4|]", "CDCDCE"),
        ("|:C2 [1 D2:|[2 E2|]", "CDCE"),
        ("|::C4::|", "CCC"),
        ("C4||D4:|", "CDD"),  # what is left out begins at the last double bar
        ("|:C4||D4:|", "CDCD"),
        ("|:C4|1D4:|2E4||F4|1G4:|2A4|]", "CDCEFGFA"),
        ("C4|:D4|E4", "CDE"),
        ("F:|\nC4", "FFC"),  # no field
        ("C4|D4!fine!|E4!D.C.!|]", "CDECD"),
        ('C4|D4 "^Fine"|E4|"D.C. al Fine"|]', "CDECD"),
        ("|:C4|1D4:|2E4!fine!||F4!dacapo!|]", "CDCEFCE"),
        ("C4|!segno!D4|E4+fine+|F4!D.S.!|]", "CDEFDE"),
        ("C4|!segno!D4|E4!coda!|F4!D.S.alcoda!|!coda!G4|A4|]", "CDEFDEGA"),
        ('C4|D4"^To Coda"|E4"D.C. al Coda"|"Coda"F4|]', "CDECDF"),
        (
            "C4|!coda!D4|E4 !D.C.alcoda!|!coda!F4|]",
            "CDECF",
        ),  # the sign at the bar line, after or before it
        ("C4|D4!D.C.!|]", "CDCD"),
        ("C4|!coda!D4|!segno!E4|]", "CDE"),  # nothing sends anyone there
    ],
)
def test_repeats(text: str, played: str) -> None:
    assert (
        "".join("C.D.EF.G.A.B"[pitch % 12] if pitch < 72 else "c" for pitch in pitches(text))
        == played
    )


ORDERED = "X:1\nP:{}\nM:4/4\nL:1/4\nK:C\n{}\n"


@pytest.mark.parametrize(
    ("order", "text", "played"),
    [
        ("AABA", "P:A\nC4|\nP:B\nD4|", [60, 60, 62, 60]),
        ("A2.B", "[P:A]C4|[P:B]D4|E4|]", [60, 60, 62, 64]),
        ("(AB)3C", "P:A\nC4|\nP:B\nD4|\nP:C\nE4|", [60, 62, 60, 62, 60, 62, 64]),
        ("((A2B)2A)2", "P:A\nC4|\nP:B\nD4|", [60, 60, 62, 60, 60, 62, 60] * 2),
        (
            "BA",
            "F4|\nP:A\nC4|\nP:B\nD4|",
            [65, 62, 60],
        ),  # what is before the first part is played before all
        (
            "AAB",
            "P:A\n|:C4:|\nP:B\n|:D4|1E4:|2F4|]",
            [60] * 4 + [62, 64, 62, 65],
        ),  # a part's own repeats
        ("AB", "P:A\nC4\nP:B\nD4", [60, 62]),  # no bar lines
        ("A", "P:A\nC4|\nP:B\nD4|", [60]),
    ],
)
def test_the_order_of_parts(order: str, text: str, played: list[int]) -> None:
    piece = parse_abc(ORDERED.format(order, text).encode(), "x.abc")
    assert [pitch for *_, pitch in rows(piece)] == played
    assert not piece.remarks


def test_the_order_of_parts_holds_for_all_voices() -> None:
    text = "V:1\nP:A\nC4|\nP:B\nD4|\nV:2\nE4|F4|"
    piece = parse_abc(ORDERED.format("BA", text).encode(), "x.abc")
    assert [pitch for *_, pitch in rows(piece, 0)] == [62, 60]
    assert [pitch for *_, pitch in rows(piece, 1)] == [65, 64]


@pytest.mark.parametrize(
    "order", ["AC", "slow", "A99", "(AB", "AB)", "((((A9)9)9)9)9", "A" * 201, "A?"]
)
def test_an_impossible_order_of_parts_is_left_out_with_a_word(order: str) -> None:
    piece = parse_abc(ORDERED.format(order, "P:A\nC4|\nP:B\nD4|").encode(), "x.abc")
    assert [pitch for *_, pitch in rows(piece)] == [60, 62]
    assert "order of parts" in piece.remarks[0]


def test_the_order_of_measures_always_ends() -> None:
    rng = random.Random(0)
    words = ("segno", "coda", "fine", "to coda", "da capo", "dal segno")
    for _ in range(300):
        signs = [
            Signs(
                rng.random() < 0.3,
                rng.choice((0, 0, 1, 2)),
                frozenset(rng.sample((1, 2, 3), rng.choice((0, 0, 1, 2)))),
            )
            for _ in range(rng.randrange(12))
        ]
        jumping = [
            sign._replace(
                words=frozenset((word, "") for word in rng.sample(words, rng.choice((0, 0, 1, 2))))
            )
            for sign in signs
        ]
        assert len(in_playing_order(jumping)) <= 5 * len(signs) ** 2
        order = in_playing_order(signs)
        assert set(order) <= set(range(len(signs)))
        assert len(order) <= 4 * len(signs)

    assert in_playing_order([Signs(), Signs(True, 1), Signs(ends=2), Signs()]) == [
        0,
        1,
        1,
        2,
        2,
        2,
        3,
    ]
    endless = [Signs(words=frozenset({("da capo", "")}))] * 1000
    assert len(in_playing_order(endless)) == MOST_MEASURES


def test_bars_without_bar_lines_and_of_no_metre() -> None:
    assert music("CDEFGABc").bars["start"].tolist() == [0, 4]
    free = abc("X:1\nM:none\nL:1/4\nK:C\nCDE|FGABc|\n")
    assert free.bars["start"].tolist() == [-1, 3, 7]
    assert (
        abc("X:1\nM:2/4\nK:C\nCDEF\n").notes["duration"][0] == 0.25
    )  # sixteenths, by the standard
    assert abc("X:1\nM:6/8\nK:C\nCDEF\n").notes["duration"][0] == 0.5
    assert abc("X:1\nM:2+3/8\nK:C\nC5\n").bars[["numerator", "denominator"]].tolist() == [(5, 8)]


def test_second_lines_of_a_voice_are_left_out_with_a_remark() -> None:
    piece = music("CDEF & E4|G4|")
    assert [pitch for *_, pitch in rows(piece)] == [60, 62, 64, 65, 67]
    assert "were left out" in piece.remarks[0]


def test_a_book(tmp_path: Path) -> None:
    """Each tune by its number, the book's defaults, free text, music after the empty line that ends
    a tune.
    """
    path = tmp_path / "book.abc"
    path.write_bytes(BOOK.encode())
    assert [(tune.number, tune.title) for tune in read_tunes(path)] == [
        ("7", "First"),
        ("8", "Second"),
    ]
    first, second = read_score(path, tune=0), read_score(path, tune=1)
    assert rows(first) == [(0, 1, 67), (1, 1, 69), (2, 1, 71)]
    assert rows(second) == [(0, 0.5, 72), (0.5, 0.5, 70), (1, 0.5, 69), (1.5, 0.5, 67)]
    assert first.remarks == ()
    assert second.remarks == ("music after an empty line, which ends a tune, was left out",)
    alone = read_score(path)
    assert rows(alone) == rows(first)
    assert alone.remarks == ("the file holds 2 tunes; the first one was read",)


def test_latin_1_and_a_tune_without_a_number() -> None:
    data = "T:Caf\xe9\nL:1/4\nK:C\nCDE|\r\nF\r\n".encode("latin-1")
    assert tunes(data, "x")[0].title == "Café"
    assert [pitch for *_, pitch in rows(parse_abc(data, "x"))] == [60, 62, 64, 65]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"Dear diary, this is no music.", "not ABC"),
        (b"X:1\nT:no key\nCDEF|", "not ABC"),
        (HEAD.encode() + b"CDEF|\0\0", "not ABC"),
        (HEAD.encode(), "no notes"),
        (HEAD.encode() + b"z4|", "no notes"),
        (HEAD.encode() + b"{g}C0|", "no notes"),
        (HEAD.encode() + b"{g}C,,,,,,|", "no notes"),
        (HEAD.encode() + b"C9999|" * 9999, "hours|impossible times"),
        (b"", "empty"),
    ],
)
def test_what_is_refused(data: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.abc"
    path.write_bytes(data)
    with pytest.raises(InputError, match=reason) as error:
        read_score(path)
    assert str(error.value).startswith(f"{path}: ")
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


def test_random_damage_never_raises_anything_else() -> None:
    rng = random.Random(1)
    text = (
        HEAD
        + '|:"Am"C>D {ef}(3EFG|[1 [CEG]2- [CEG]2:|[2 ^F/2_B3/4 z|]\n'
        + "[V:2] C,2 & D,2 [K:Gm] [M:3/4] [Q:1/4=90] +CE+ Z|\n"
    )
    marks = "|:[]()0123456789/<>-&{}^_='\",+!~zZxCDEcdeVKMLQ \n%\\"
    read = 0
    for _ in range(300):
        damaged = list(text)
        for _ in range(rng.choice((1, 4, 12))):
            damaged[rng.randrange(len(damaged))] = rng.choice(marks)
        try:
            piece = abc("".join(damaged))
        except InputError:
            continue
        read += 1
        assert (piece.notes["duration"] > 0).all()
        assert (piece.bars["length"] > 0).all()
    assert read > 200


SCALE = [60, 62, 64, 65, 67, 69, 71, 72]


@pytest.mark.parametrize(
    "between",
    [
        "%%begintext\nA BAD CABBAGE | FED\n%%endtext",
        "%%beginps bagpipe\n/ABC { 2 2 lineto } def | A B C\n%%endps",
        "%%beginsvg\n<g>DAD</g>|\n%%endsvg",
        "w: oh\x85 dad fed | bad",
        "T:second\x0bDAD FED|",
        "N:a note\n+:of ABBA and DAD | x",
        "+:DAD | FED",
        "W:words\x1cABC|",
        "%%text A BAD CABBAGE |",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_text_is_no_music(between: str, encoding: str) -> None:
    data = f"{HEAD}CDEF|\n{between}\nGABc|\n".replace(
        "\x85", "\u2026" if encoding == "utf-8" else "\x85"
    )
    piece = parse_abc(data.encode("latin-1" if encoding == "cp1252" else encoding), "x")
    assert [pitch for *_, pitch in rows(piece)] == SCALE


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_encodings_with_a_mark(codec: str) -> None:
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(codec, b"")
    assert [
        pitch for *_, pitch in rows(parse_abc(mark + f"{HEAD}CDEF|".encode(codec), "x"))
    ] == SCALE[:4]


@pytest.mark.parametrize(
    "line", ["||:|", "[|]:|", ":|", "|:|", "|]:|", ":||", ":|]", "| :|", "||:||"]
)
def test_a_repeat_ends_wherever_its_sign_stands(line: str) -> None:
    assert pitches(f"|:CD{line}E2|") == [60, 62, 60, 62, 64]


@pytest.mark.parametrize("line", ["::", ":|:", ":||:", ":|[|:", ":| |:"])
def test_a_repeat_ends_and_another_begins(line: str) -> None:
    assert pitches(f"|:CD{line}E2:|") == [60, 62, 60, 62, 64, 64]


@pytest.mark.parametrize(
    ("fields", "tempo"),
    [
        ("Q:C=120\nL:1/8", 60),
        ("L:1/8\nQ:C3=100", 150),
        ("L:1/16\nQ:C=480", 120),
        ("L:1/4\nQ:C/=120", 60),
        ("L:1/8\nQ:100", 100),
        ("L:1/8\nQ:3/8=50", 75),
    ],
)
def test_old_tempos_count_units_of_length(fields: str, tempo: float) -> None:
    """Abc2midi reads them in the same way."""
    assert abc(f"X:1\nM:4/4\n{fields}\nK:C\nCDEF|").tempo.quarters_per_minute() == pytest.approx(
        tempo, rel=1e-4
    )


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("D exp _b _e ^f", [66, 70, 63, 60]),
        ("C exp", [65, 71, 64, 60]),
        ("G exp ^c", [65, 71, 64, 61]),
        ("D _b", [66, 70, 64, 61]),
    ],
)
def test_explicit_keys(key: str, expected: list[int]) -> None:
    assert [pitch for *_, pitch in rows(abc(f"X:1\nL:1/4\nM:4/4\nK:{key}\nFBEC|"))] == expected


@pytest.mark.parametrize(
    ("directive", "expected"),
    [
        ("", [66, 66, 78, 66]),
        ("%%propagate-accidentals not", [66, 65, 77, 65]),
        ("%%propagate-accidentals octave", [66, 66, 77, 66]),
        ("I:propagate-accidentals not", [66, 65, 77, 65]),
        ("%%MIDI nobarlines", [66, 65, 77, 65]),
        ("%%MIDI transpose -2", [64, 64, 76, 64]),
        ("%%MIDI transpose up", [66, 66, 78, 66]),
    ],
)
def test_directives(directive: str, expected: list[int]) -> None:
    assert [
        pitch for *_, pitch in rows(abc(f"X:1\nL:1/4\nM:4/4\n{directive}\nK:C\n^FFfF|"))
    ] == expected


@pytest.mark.parametrize(
    ("tune", "main"),
    [
        ("{c}d2e f2{a}g|{b}a2f d2{e}d|e2{f}e c2A|{c}B2A F2D|", 16),
        ("C4|{c'}E4|F4|G4|", 4),
        ("[CE]>[DF] C<D E>>F|", 6),
        ("{gef}G2 [DG]2|{cd}e4|", 3),
    ],
)
def test_every_main_note_of_a_tune_is_melody(tune: str, main: int) -> None:
    """Grace notes and double stops that accompany it make no difference."""
    piece = music(tune)
    melody = piece.notes[extract_melody(piece)]
    onsets = {float(n["onset"]) for n in piece.notes if n["duration"] > 0.125}
    assert len(onsets) == main
    assert onsets <= set(melody["onset"].tolist())


def test_a_voice_with_words_is_sung() -> None:
    piece = abc(HEAD + "V:1\nc'd'e'f'|\nV:2\nCDEF|\nw: oh my dear heart\n")
    assert piece.sung == (1,)
    assert set(piece.notes["part"][extract_melody(piece)]) == {1}
