"""Test damaged files of every format.

Within seconds, each gives a piece that can be arranged, or one sentence, and nothing else.

The mutations are the same each time. ``STYLETRANSFER_FUZZ=10 pytest tests/test_fuzz.py`` tries ten
times as many, and new ones.
"""

from __future__ import annotations

import importlib.util
import io
import os
import re
import resource
import signal
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from styletransfer.errors import InputError
from styletransfer.formats.midi_out import midi_bytes, write_midi
from styletransfer.formats.read import read_score
from styletransfer.tokens.plan import plan_of
from styletransfer.transfer.source import find_melody
from tests.midi_builder import meta, metre, midi, note, scale, tempo
from tests.test_abc import BOOK, HEAD
from tests.test_kern import CHORALE, PIANO
from tests.test_musescore import METRE, TIE, TIED, VOLTA, chord, chords, measure
from tests.test_musescore import score as scored
from tests.test_pipeline import random_song
from tests.test_read import MUSICXML
from tests.test_songs import LINE, piano_piece, pop_song
from tests.tiny import codec, random_piece

SECONDS, BYTES = 20, 1 << 30
"""The most that one file may take: seconds, and bytes of memory beyond those in use before the
first.
"""
MORE = int(os.environ.get("STYLETRANSFER_FUZZ", "1"))


def corpus(name: str) -> bytes:
    """Read a file of music21's corpus, found without an import of music21."""
    package = importlib.util.find_spec("music21")
    assert package is not None
    assert package.origin is not None
    return (Path(package.origin).parent / "corpus" / name).read_bytes()


def zipped(xml: bytes, name: str = "a.xml") -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "META-INF/container.xml",
            f'<container><rootfiles><rootfile full-path="{name}"/></rootfiles></container>',
        )
        archive.writestr(name, xml)
    return data.getvalue()


TUNES = (
    "C D|: E F :|1 G2 :|2 A2|]\n",
    '(3cde [CEG]2 z2 | {g}c>d e-e | "Am"A4-|A4 |]\n',
    "V:1\nCDEF|\nV:2\nC,4|\n",
    "[M:6/8][K:Am]A3 B3|\n",
)
JUMP = "<Jump><jumpTo>start</jumpTo><playUntil>fine</playUntil></Jump>"
SONG = scored(
    measure(METRE.format(3, 4) + "<Tempo><tempo>2</tempo></Tempo>" + chord(60), length="1/4")
    + measure(
        "<Tuplet><normalNotes>2</normalNotes><actualNotes>3</actualNotes></Tuplet>"
        + chord(64, "eighth", "<acciaccatura/>") + chords(60, 62, 64, kind="eighth")
        + "<endTuplet/>" + chord(67, "half", tie=TIE),
        "<location><fractions>1/4</fractions></location>" + chord(48, "half"),
        signs="<startRepeat/>",
    )
    + measure(VOLTA.format("1") + chord(67, tie=TIED), signs="<endRepeat>2</endRepeat>")
    + measure(VOLTA.format("2") + chord(69), signs=JUMP)
    + measure("<RepeatMeasure/>"),
)  # fmt: skip
OLD_SONG = scored(
    "<Measure>" + METRE.format(2, 4) + '<Tuplet id="1"><normalNotes>2</normalNotes>'
    "<actualNotes>3</actualNotes></Tuplet>" + chord(60, inside="<Tuplet>1</Tuplet>")
    + chord(65, tie='<Tie id="5"/>') + "<tick>0</tick>" + chord(48, "half", "<track>1</track>")
    + '</Measure><Measure><Volta id="7"><endings>1</endings></Volta><endRepeat>2</endRepeat>'
    + chord(65, "half", tie='<endSpanner id="5"/>') + '<endSpanner id="7"/></Measure>',
    version="2.06",
)  # fmt: skip
SYSTEM = b"\x00\x90\x3c\x40\x60\x3c\x00\x00\x3e\x40\x60\x3e\x00\x00\xb0\x40\x7f\x10\xe0\x00\x40"
FILES: dict[str, list[bytes]] = {
    "mid": [
        midi(
            metre(3, 2) + tempo(400_000) + meta(0x59, b"\xff\x01") + scale(6),
            meta(0x03, b"Melody") + scale(9, 240),
        ),
        midi(b"".join(note(60 + k, 100 + k, wait=k, channel=k) for k in range(16)), kind=0),
        midi(SYSTEM + scale(5), kind=2),
        midi(scale(6), division=0xE728),
        *(midi_bytes(random_piece(k, feel)) for k in (0, 1) for feel in ("score", "performance")),
        midi_bytes(random_song(3)),
        pop_song("Vocals", "Strings", "Bass"),
        piano_piece(),
    ],
    "abc": [
        corpus("oneills1850/0626-0635.abc"),
        LINE.encode(),
        BOOK.encode(),
        *((HEAD + tune).encode() for tune in TUNES),
    ],
    "krn": [corpus("palestrina/Benedictus_86.krn")[:2500], CHORALE.encode(), PIANO.encode()],
    "musicxml": [MUSICXML.encode()],
    "mxl": [zipped(MUSICXML.encode()), corpus("bach/bwv93.7.mxl")],
    "mscx": [SONG, OLD_SONG],
    "mscz": [zipped(SONG, "a.mscx"), zipped(OLD_SONG, "b.mscx")],
}
WORDS: dict[str, list[bytes]] = {
    "mid": [
        bytes.fromhex(word)
        for word in (
            "ffffff7f",
            "00000000",
            "ff2f00",
            "4d54726b",
            "ff5103000000",
            "ff580400001808",
            "f07f",
            "8000",
            "907f7f",
        )
    ],
    "abc": b"|: :| [1 [2 K: M:0/0 L:1/0 Q:0 (99999 z9999999 C/0 [V:9] [CEG & M:9999/1".split()
    + [b"\n", b"X:\n"],
    "krn": b"*M0/4 4..... 0 *^ *v *- =:|! [ ] 1%0 **kern *MM0 4cccccccccccc".split()
    + [b"\n", b"\t"],
    "musicxml": b"<chord/> <rest/> <grace/> <repeat/> <sound/> </measure> <backup>".split()
    + b"99999 nan &#0; <!-- ]]>".split(),
    "mxl": [b"PK\x03\x04", b"\x00\x00", b"\xff\xff\xff\xff"],
    "mscx": b"<Chord/> <voice/> <tick>9</tick> </Measure> <location> 99999 -1/4 ]]>".split(),
    "mscz": [b"PK\x03\x04", b"\x00\x00", b"\xff\xff\xff\xff"],
}
VALUES = ("", "0", "-9", "1.5", "nan", "99999999999", "C", "half", "1/0", "-3/4", " ", "\u266f")
"""Texts of elements."""


@st.composite
def damaged(draw: st.DrawFn, kind: str) -> bytes:
    """Draw a file of a kind after up to six changes.

    Bytes are set, cut out, doubled, put in, or replaced by another file's from there on.
    """
    if kind == "mxl" and draw(st.booleans()):
        return zipped(draw(damaged("musicxml")))
    if kind == "mscz" and draw(st.booleans()):
        return zipped(draw(damaged("mscx")), "a.mscx")
    if kind in {"musicxml", "mscx"} and draw(st.integers(0, 3)):
        return draw(altered(draw(st.sampled_from(FILES[kind])).decode()))

    data = bytearray(draw(st.sampled_from(FILES[kind])))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        span = draw(st.integers(1, 12))
        change = draw(st.sampled_from(("set", "cut", "double", "word", "digit", "end", "other")))
        if change == "set":
            data[at : at + 1] = bytes((draw(st.integers(0, 255)),))
        elif change == "cut":
            del data[at : at + span]
        elif change == "double":
            data[at:at] = data[at : at + span] * draw(st.sampled_from((1, 2, 50)))
        elif change == "word":
            data[at:at] = draw(st.sampled_from(WORDS[kind]))
        elif change == "digit":
            digits = [k for k, byte in enumerate(data) if 48 <= byte < 58]
            if digits:
                data[digits[at % len(digits)]] = 48 + draw(st.integers(0, 9))
        elif change == "end":
            del data[max(at, 1) :]
        else:
            data[at:] = draw(st.sampled_from(FILES[kind]))[at:]

    return bytes(data)


@st.composite
def altered(draw: st.DrawFn, text: str) -> bytes:
    """Draw an altered version of XML that is still XML.

    Elements without children are cut out, doubled, moved, renamed or given another text.
    """
    for _ in range(draw(st.integers(1, 5))):
        leaves = list(re.finditer(r"<([A-Za-z-]+)([^<>]*)(?:/>|>([^<>]*)</\1>)", text))
        leaf, other = (leaves[draw(st.integers(0, len(leaves) - 1))] for _ in range(2))
        name, value = draw(st.sampled_from((leaf[1], other[1]))), draw(st.sampled_from(VALUES))
        put = draw(
            st.sampled_from(
                ("", leaf[0] * 2, other[0], f"<{name}{leaf[2].rstrip('/')}>{value}</{name}>")
            )
        )
        text = text[: leaf.start()] + put + text[leaf.end() :]
    return text.encode()


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    """Turn a hang into a failure: the alarm is reset for each file."""

    def ring(signal_number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"a file took more than {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    ("kind", "examples"),
    [
        ("mid", 1200),
        ("abc", 600),
        ("krn", 120),
        ("musicxml", 120),
        ("mxl", 80),
        ("mscx", 200),
        ("mscz", 80),
    ],
)
def test_damaged_files(kind: str, examples: int, tmp_path: Path) -> None:
    path, written = tmp_path / f"song.{kind}", tmp_path / "written.mid"
    read, sentences = 0, []
    at_first = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    @settings(
        max_examples=examples * MORE,
        derandomize=MORE == 1,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(damaged(kind))
    def check(data: bytes) -> None:
        nonlocal read
        path.write_bytes(data)
        signal.alarm(SECONDS)
        try:
            piece = read_score(path)
            melody, _ = find_melody(piece)
            plan_of(codec(), codec().grid(melody))
            write_midi(piece, written)
            assert len(read_score(written).notes) > 0
            written.unlink()
            read += 1
        except InputError as error:
            sentences.append(str(error))
        assert list(tmp_path.iterdir()) == [path]  # whole or not at all
        signal.alarm(0)

    check()
    assert all("\n" not in sentence and sentence.endswith(".") for sentence in sentences)
    assert min(read, len(sentences)) > examples / 20  # both sides of the edge were tried
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - at_first < BYTES
