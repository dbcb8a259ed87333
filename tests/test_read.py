"""Reading MIDI and MusicXML: what is kept, and which feel is found."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from styletransfer.errors import InputError
from styletransfer.formats.midi_in import on_beats
from styletransfer.formats.read import read_score, read_song
from styletransfer.music.melody import extract_melody
from styletransfer.music.notes import Piece, bars_of, make_notes
from tests.midi_builder import meta, metre, midi, note, scale, tempo, variable


def read_bytes(tmp_path: Path, data: bytes, name: str = "song.mid") -> Piece:
    path = tmp_path / name
    path.write_bytes(data)
    return read_score(path)


def test_type_1_keeps_parts_metre_keys_and_tempo(tmp_path: Path) -> None:
    conductor = (
        metre(3, 2) + meta(0x59, bytes((0xFE, 1))) + tempo(600_000) + tempo(400_000, wait=960)
    )
    right, left = (
        meta(3, b"right hand") + scale(6),
        meta(3, b"left hand") + note(40, 1440) + note(41, 1440),
    )
    piece = read_bytes(tmp_path, midi(conductor, right, left))
    assert piece.parts == ("right hand", "left hand")
    assert piece.feel == "score"
    assert piece.ticks_per_quarter == 480
    assert not piece.remarks
    assert piece.bars.tolist() == [(0.0, 3.0, 3, 4), (3.0, 3.0, 3, 4)]
    assert piece.key_signatures == ((0.0, -2, True),)
    assert piece.tempo.quarters.tolist() == [0, 2]
    assert piece.tempo.seconds_per_quarter.tolist() == [0.6, 0.4]
    assert piece.length_seconds == pytest.approx(2 * 0.6 + 4 * 0.4)
    left_notes = piece.notes[piece.notes["part"] == 1]
    assert left_notes["onset"].tolist() == [0, 3]
    assert left_notes["duration"].tolist() == [3, 3]


def test_type_0_splits_channels_and_leaves_drums_out(tmp_path: Path) -> None:
    piece = read_bytes(
        tmp_path, midi(scale(4) + note(35, 100, channel=9) + scale(2, channel=3), kind=0)
    )
    assert piece.parts == ("track 1", "track 2")
    assert len(piece.notes) == 6
    assert piece.remarks == ("1 drum track was left out",)


def test_running_status_and_note_on_of_velocity_0(tmp_path: Path) -> None:
    body = (
        b"\x00\x90\x3c\x40"
        + variable(480)
        + b"\x3c\x00"
        + b"\x00\x3e\x50"
        + variable(240)
        + b"\x3e\x00"
    )
    notes = read_bytes(tmp_path, midi(body)).notes
    assert notes["pitch"].tolist() == [60, 62]
    assert notes["duration"].tolist() == [1.0, 0.5]
    assert notes["velocity"].tolist() == [64, 80]


def test_type_2_takes_the_first_piece_with_notes(tmp_path: Path) -> None:
    """Its tracks are independent; played together they are a jumble."""
    piece = read_bytes(tmp_path, midi(meta(3, b"nothing"), scale(3), scale(9), kind=2))
    assert len(piece.notes) == 3
    assert "3 separate pieces" in piece.remarks[0]


@pytest.mark.parametrize(
    ("frames", "ticks", "second"), [(25, 40, 1000), (24, 4, 96), (30, 80, 2400)]
)
def test_smpte_division_is_time_in_seconds(
    tmp_path: Path, frames: int, ticks: int, second: int
) -> None:
    """Tempo events have no meaning there: a frame is a frame."""
    piece = read_bytes(
        tmp_path, midi(tempo(250_000) + scale(4, second), division=(256 - frames) << 8 | ticks)
    )
    assert piece.feel == "performance"
    assert piece.onset_seconds.tolist() == pytest.approx([0, 1, 2, 3])


def test_drop_frame_smpte_is_slower_than_30_frames(tmp_path: Path) -> None:
    piece = read_bytes(tmp_path, midi(scale(2, 300), division=(256 - 29) << 8 | 10))
    assert piece.onset_seconds.tolist() == pytest.approx([0, 1.001])


def test_a_note_that_never_ends_does_so_with_its_track(tmp_path: Path) -> None:
    """Only its last notes do: an earlier one is a mistake, and would sound to the end."""
    last = b"\x00\x90\x48\x40" + meta(1, b"later", wait=960)
    for data in (midi(scale(3) + last), midi(scale(3) + last, scale(3), kind=2)):
        piece = read_bytes(tmp_path, data)
        assert piece.notes["pitch"].tolist()[-1] == 72
        assert piece.notes["duration"].tolist()[-1] == 2
        assert piece.remarks[-1] == "1 final note that never ends was ended with the track"
    assert (
        read_bytes(
            tmp_path, midi(scale(3) + b"\x00\x90\x48\x40" + meta(1, b"much later", wait=96000))
        ).notes["duration"][-1]
        == 4
    )
    for data in (scale(3), b"\x00\x90\x54\x40" + scale(3), scale(3) + b"\x00\x99\x23\x40"):
        piece = read_bytes(tmp_path, midi(data))
        assert len(piece.notes) == 3
        assert not [remark for remark in piece.remarks if "never end" in remark]


def test_zero_length_notes_last_a_tick_and_names_are_cleaned(tmp_path: Path) -> None:
    piece = read_bytes(tmp_path, midi(meta(3, b"  \xe9\x00bad\n ") + note(60, 0) + note(62, 480)))
    assert piece.notes["duration"].tolist() == [1 / 480, 1.0]
    assert piece.parts[0].endswith("bad")
    assert piece.parts[0].isprintable()


def test_unisons_of_two_voices_are_one_note(tmp_path: Path) -> None:
    """A key can only be struck once: scores double notes of two voices (2 % in ASAP), and the
    longer one counts.
    """
    both = (
        b"\x00\x90\x3c\x40\x00\x3c\x40" + variable(240) + b"\x3c\x00" + variable(240) + b"\x3c\x00"
    )
    notes = read_bytes(tmp_path, midi(both + note(62, 480), note(60, 480))).notes
    assert notes[["pitch", "part", "duration"]].tolist() == [
        (60, 0, 1.0),
        (60, 1, 1.0),
        (62, 0, 1.0),
    ]


def test_pick_up_stated_by_a_short_signature(tmp_path: Path) -> None:
    piece = read_bytes(tmp_path, midi(metre(1, 2) + metre(3, 2, wait=480), scale(7)))
    assert piece.bars["start"].tolist() == [-2, 1, 4]
    assert piece.bars["length"].tolist() == [3, 3, 3]


def test_signatures_that_make_no_sense_are_ignored(tmp_path: Path) -> None:
    """A numerator of 0 once made the bars endless, and a tempo of 0 is no tempo."""
    piece = read_bytes(
        tmp_path, midi(metre(0, 2) + metre(3, 9) + meta(0x59, b"\x20\x00") + tempo(0), scale(4))
    )
    assert piece.bars.tolist() == [(0.0, 4.0, 4, 4)]
    assert piece.key_signatures == ()
    assert piece.tempo.seconds_per_quarter.tolist() == [0.5]


def test_bars_of_lets_the_last_of_equal_positions_win() -> None:
    """Files that state the metre once in each track hid their pick-up."""
    twice = bars_of([(0, 1, 4), (0, 1, 4), (1, 3, 4), (1, 3, 4)], 7)
    assert twice["start"].tolist() == [-2, 1, 4]
    assert bars_of([(0, 1, 4), (1, 3, 4)], 1).tolist() == [(-2.0, 3.0, 3, 4), (1.0, 3.0, 3, 4)]
    with pytest.raises(ValueError, match="positive"):
        bars_of([(0, 0, 4)], 4)


def test_magic_bytes_win_over_the_name(tmp_path: Path) -> None:
    assert len(read_bytes(tmp_path, midi(scale(3)), "song.dat").notes) == 3


def test_unknown_chunks_and_trailing_bytes_are_skipped(tmp_path: Path) -> None:
    data = midi(scale(3))
    data = data[:14] + b"XFIH\x00\x00\x00\x02ab" + data[14:] + b"\x00\x00\x00"
    # a chunk of another kind counts for itself only, not among the tracks
    assert len(read_bytes(tmp_path, data).notes) == 3


def _played(jitter: float, seed: int = 0) -> Piece:
    rng = np.random.default_rng(seed)
    onset = (
        np.round((np.arange(200) * 0.25 + rng.uniform(-jitter, jitter, 200)).clip(0) * 480) / 480
    )
    return Piece(
        make_notes(onset, np.full(200, 0.25), rng.integers(40, 80, 200)), "score", bars_of([], 60)
    )


@pytest.mark.parametrize(
    ("jitter", "score"), [(0.0, True), (0.002, True), (0.05, False), (0.12, False)]
)
def test_feel_is_found_from_the_grid(jitter: float, score: bool) -> None:
    piece = _played(jitter)
    assert on_beats(piece.notes, piece.bars, 480) is score


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 5, 6, 7, 8, 12, 16])
def test_every_subdivision_that_notation_uses_counts_as_a_score(parts: int) -> None:
    onset = np.round(np.arange(60) / parts * 480) / 480
    notes = make_notes(onset, np.full(60, 0.1), np.full(60, 60))
    assert on_beats(notes, bars_of([], 61), 480)


def test_a_cadenza_does_not_shift_the_grid() -> None:
    """Bars of odd lengths in scores of Liszt moved everything after them off the beat, and the
    piece was taken for a performance.
    """
    bars = bars_of([(0, 4, 4), (8, 97, 128), (8 + 97 / 32, 4, 4)], 60)
    onset = np.round((8 + 97 / 32 + np.arange(200) / 4) * 480) / 480
    notes = make_notes(onset, np.full(200, 0.2), np.full(200, 60))
    assert on_beats(notes, bars, 480)


def test_the_pedal_holds_notes_of_a_performance_only(tmp_path: Path) -> None:
    down, up = b"\x00\xb0\x40\x7f", variable(700) + b"\xb0\x40\x00"
    data = midi(down + note(60, 100) + note(62, 100) + up + note(64, 100))
    path = tmp_path / "pedal.mid"
    path.write_bytes(data)
    played, written = read_score(path, "performance"), read_score(path, "score")
    assert np.round(played.notes["duration"] * 480).tolist() == [900, 800, 100]
    assert np.round(written.notes["duration"] * 480).tolist() == [100, 100, 100]
    assert len(played.bars) == 0
    assert len(written.bars) == 1


def test_read_song_prefers_files_and_lists_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(read_song("happy-birthday").notes) == 25
    monkeypatch.chdir(tmp_path)
    (tmp_path / "twinkle").write_bytes(midi(scale(3)))
    assert len(read_song("twinkle").notes) == 3
    with pytest.raises(InputError, match=r"examples are auld-lang-syne, .*twinkle"):
        read_song("happy-brithday")
    with pytest.raises(InputError, match="no such file"):
        read_song("missing.mid")


def program(number: int, wait: int = 0, channel: int = 0) -> bytes:
    return variable(wait) + bytes((0xC0 | channel, number))


@pytest.mark.parametrize("wait", [0, 100])
def test_a_track_is_one_part_whatever_its_programs(tmp_path: Path, wait: int) -> None:
    """In type 0 each channel is one part; events that are left out still take their time."""
    first, second = note(60, 480) + note(62, 480), note(64, 480) + note(65, 480)
    piece = read_bytes(
        tmp_path,
        midi(
            program(0) + first + program(73, wait) + second + program(8) + program(9) + note(67, 96)
        ),
    )
    assert piece.parts == ("piano",)
    assert piece.notes["pitch"].tolist() == [60, 62, 64, 65, 67]
    late = wait / 480
    assert piece.notes["onset"].tolist() == pytest.approx([0, 1, 2 + late, 3 + late, 4 + late])
    both = midi(
        program(0) + program(4, channel=1) + first + scale(2, channel=1) + program(73) + second,
        kind=0,
    )
    assert read_bytes(tmp_path, both).parts == ("track 1", "track 2")


def test_a_change_of_program_within_running_status(tmp_path: Path) -> None:
    body = (
        b"\x00\x90\x3c\x40"
        + variable(480)
        + b"\x3c\x00"
        + variable(60)
        + b"\xc0\x10"
        + variable(60)
        + b"\x11"
    )
    piece = read_bytes(
        tmp_path,
        midi(
            body + variable(120) + b"\x90\x3e\x50" + variable(240) + b"\x3e\x00" + meta(3, b"A", 9)
        ),
    )
    assert piece.parts == ("A",)
    assert piece.notes[["onset", "duration", "pitch"]].tolist() == [(0, 1, 60), (1.5, 0.5, 62)]


@pytest.mark.parametrize(("stated", "there"), [(9, 3), (1, 3), (0, 3)])
def test_tracks_are_counted_by_their_chunks(tmp_path: Path, stated: int, there: int) -> None:
    data = midi(*(scale(3, channel=k) for k in range(there)))
    piece = read_bytes(tmp_path, data[:10] + stated.to_bytes(2, "big") + data[12:])
    assert len(piece.notes) == 9
    assert piece.remarks == (f"its header counts {stated} tracks, {there} were found and read",)


@pytest.mark.parametrize(
    "event", [b"\x00\xb0\x07\xa8", b"\x00\xb0\xa8\x07", b"\x00\xe0\xff\x40", b"\x00\xd0\x90"]
)
def test_values_that_are_too_large_are_clipped(tmp_path: Path, event: bytes) -> None:
    piece = read_bytes(
        tmp_path, midi(event + scale(3) + b"\x00\x90\x48\xff" + variable(480) + b"\x80\x48\x00")
    )
    assert piece.notes["pitch"].tolist() == [60, 61, 62, 72]
    assert piece.notes["velocity"].max() == 127


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("Mélodie", "cp1252"), ("Вокал", "cp1251"), ("メロディ", "cp932"), ("Sång", "utf-8")],
)
def test_a_track_named_in_an_old_encoding_is_the_melody(
    tmp_path: Path, name: str, encoding: str
) -> None:
    """It lies below another line, which would be taken without the name."""
    bells = b"".join(note(84 + k % 3, 480, channel=1) for k in range(16))
    tracks = meta(3, b"Bells") + bells, meta(3, name.encode(encoding)) + scale(16)
    piece = read_bytes(tmp_path, midi(*tracks))
    assert piece.parts == ("Bells", name)
    assert set(piece.notes["part"][extract_melody(piece)]) == {1}


def lyric(kind: int = 5) -> bytes:
    return meta(kind, b"la")


def test_the_track_that_carries_the_words_is_sung(tmp_path: Path) -> None:
    """The words are its own, or those of a track without notes whose syllables are sung with it."""
    sung = b"".join(lyric() + note(60 + k, 480) for k in range(12))
    bells = b"".join(note(84 + k % 2, 240, channel=1) for k in range(24))
    piece = read_bytes(tmp_path, midi(meta(3, b"Track 1") + bells, meta(3, b"Track 2") + sung))
    assert piece.sung == (1,)
    for kind in (1, 5):
        words = b"".join(meta(kind, b"la", wait=480 if k else 0) for k in range(12))
        apart = midi(
            meta(3, b"Words") + words, bells, b"".join(note(60 + k, 480) for k in range(12))
        )
        assert read_bytes(tmp_path, apart).sung == (1,)
    assert read_bytes(tmp_path, midi(lyric() + bells, scale(12))).sung == ()  # a title


ATTRIBUTES = (
    "<attributes><divisions>1</divisions>"
    "<time><beats>{}</beats><beat-type>4</beat-type></time></attributes>"
)
MUSICXML = """<?xml version="1.0" encoding="UTF-8"?>
<score-partwise version="3.1">
 <part-list>
  <score-part id="P1"><part-name>Flute</part-name></score-part>
  <score-part id="P2"><part-name>Clarinet</part-name></score-part>
 </part-list>
 <part id="P1">
  <measure number="0" implicit="yes">
   <attributes><divisions>12</divisions><key><fifths>-1</fifths><mode>minor</mode></key>
    <time><beats>3</beats><beat-type>4</beat-type></time></attributes>
   <direction><direction-type><metronome><beat-unit>quarter</beat-unit>
    <per-minute>90</per-minute></metronome></direction-type></direction>
   <note><pitch><step>C</step><octave>5</octave></pitch><duration>12</duration>
    <type>quarter</type></note>
  </measure>
  <measure number="1">
   <barline location="left"><repeat direction="forward"/></barline>
   <harmony><root><root-step>F</root-step></root><kind>major</kind></harmony>
   <note><grace/><pitch><step>E</step><octave>5</octave></pitch><type>16th</type></note>
   <note><pitch><step>F</step><octave>5</octave></pitch><duration>36</duration>
    <type>half</type><dot/><tie type="start"/></note>
  </measure>
  <measure number="2">
   <note><pitch><step>F</step><octave>5</octave></pitch><duration>12</duration><type>quarter</type>
    <tie type="stop"/></note>
   <note><pitch><step>A</step><octave>5</octave></pitch><duration>24</duration>
    <type>half</type></note>
   <barline location="right"><repeat direction="backward"/></barline>
  </measure>
 </part>
 <part id="P2">
  <measure number="0" implicit="yes">
   <attributes><divisions>12</divisions><time><beats>3</beats><beat-type>4</beat-type></time>
    <transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose></attributes>
   <note><rest/><duration>12</duration><type>quarter</type></note>
  </measure>
  <measure number="1"><note><pitch><step>C</step><octave>4</octave></pitch>
   <duration>36</duration></note></measure>
  <measure number="2"><note><unpitched/><duration>36</duration></note></measure>
 </part>
</score-partwise>
"""


@pytest.mark.parametrize("kind", ["xml", "mxl", "utf-16"])
def test_musicxml(tmp_path: Path, kind: str) -> None:
    """Pick-up, repeat, tie, grace note, chord symbol, transposing instrument, unpitched note, key
    and tempo.
    """
    data = MUSICXML.encode()
    if kind == "utf-16":
        data = MUSICXML.replace("UTF-8", "UTF-16").encode("utf-16")
    if kind == "mxl":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(
                "META-INF/container.xml", '<container><rootfile full-path="a/s.xml"/></container>'
            )
            archive.writestr("a/s.xml", data)
        data = buffer.getvalue()

    piece = read_bytes(tmp_path, data, "song.mxl" if kind == "mxl" else "song.musicxml")
    flute, clarinet = (piece.notes[piece.notes["part"] == part] for part in (0, 1))
    assert piece.feel == "score"
    assert piece.parts == ("Flute", "Clarinet")
    assert piece.ticks_per_quarter == 480
    assert [tuple(n)[:3] for n in flute[["onset", "duration", "pitch"]]] == [
        (0, 1, 72), (0.875, 0.125, 76), (1, 4, 77), (5, 2, 81),
        (6.875, 0.125, 76), (7, 4, 77), (11, 2, 81),
    ]  # fmt: skip
    assert clarinet["pitch"].tolist() == [58, 58]
    assert clarinet["onset"].tolist() == [1, 7]
    assert piece.bars["start"].tolist() == [-2, 1, 4, 7, 10]
    assert set(piece.bars["length"].tolist()) == {3.0}
    assert piece.key_signatures == ((0.0, -1, True),)
    assert piece.tempo.quarters_per_minute() == pytest.approx(90, rel=1e-4)
    assert piece.remarks == ("the unpitched notes of 1 part were left out",)


def test_musicxml_without_names_and_with_a_metre_that_midi_lacks(tmp_path: Path) -> None:
    """music21 names such parts by their memory address, so that their names differed each time."""
    data = re.sub("<part-name>.*?</part-name>", "<part-name/>", MUSICXML)
    data = data.replace("<beat-type>4</beat-type>", "<beat-type>3</beat-type>", 1)
    assert data.count("<part-name/>") == 2
    piece = read_bytes(tmp_path, data.encode(), "song.musicxml")
    assert piece.parts == ("part 1", "part 2")
    assert set(piece.bars["denominator"].tolist()) == {4}
    assert any("the metre 3/3" in remark for remark in piece.remarks)


def test_musicxml_septuplets_need_a_finer_tick(tmp_path: Path) -> None:
    body = "".join(
        f"<note><pitch><step>{step}</step><octave>4</octave></pitch><duration>4</duration></note>"
        for step in "CDEFGAB"
    )
    xml = (
        '<score-partwise><part-list><score-part id="P1"><part-name>Piano</part-name></score-part>'
        '</part-list><part id="P1"><measure number="1"><attributes><divisions>7</divisions><time>'
        "<beats>4</beats>"
        f"<beat-type>4</beat-type></time></attributes>{body}</measure></part></score-partwise>"
    )
    piece = read_bytes(tmp_path, xml.encode(), "seven.xml")
    assert piece.ticks_per_quarter == 3360
    np.testing.assert_allclose(piece.notes["onset"] * 7, np.arange(7) * 4)
    assert read_score(tmp_path / "seven.xml", "performance").bars.size == 0


def test_repeats_printed_in_one_part_hold_for_all(tmp_path: Path) -> None:
    """Programs print "D.C. al Fine" above the top staff only; the
    other parts once continued alone.
    """
    pitch = "<pitch><step>{step}</step><octave>4</octave></pitch>"
    single = f"<note>{pitch}<duration>2</duration></note>"
    bar = f"<measure number='{{n}}'>{{attributes}}{single}{{end}}</measure>"
    attributes = ATTRIBUTES.format(2)
    fine = "<direction><direction-type><words>Fine</words></direction-type></direction>"
    da_capo = "<direction><direction-type><words>D.C. al Fine</words></direction-type></direction>"

    def part(name: str, steps: str, ends: dict[int, str]) -> str:
        bars = "".join(
            bar.format(n=n, step=step, attributes=attributes if n == 1 else "", end=ends.get(n, ""))
            for n, step in enumerate(steps, 1)
        )
        return f"<part id='{name}'>{bars}</part>"

    players = "".join(
        f"<score-part id='{p}'><part-name>{p}</part-name></score-part>" for p in ("A", "B")
    )
    xml = (
        f"<score-partwise><part-list>{players}</part-list>"
        f"{part('A', 'CDE', {1: fine, 3: da_capo})}{part('B', 'EFG', {})}</score-partwise>"
    )
    piece = read_bytes(tmp_path, xml.encode(), "fine.xml")
    first, second = (piece.notes[piece.notes["part"] == part]["pitch"].tolist() for part in (0, 1))
    assert first == [60, 62, 64, 60]
    assert second == [64, 65, 67, 64]
    assert piece.bars["start"].tolist() == [0, 2, 4, 6]


def jump(words: str = "", **sound: str) -> str:
    """Write a ``<sound>``, in a direction where there are words."""
    said = "<sound " + " ".join(f'{name}="{value}"' for name, value in sound.items()) + "/>"
    return (
        f"<direction><direction-type><words>{words}</words></direction-type>{said}</direction>"
        if words
        else said
    )


@pytest.mark.parametrize(
    ("before", "after", "played"),
    [
        ({}, {2: jump(fine="yes"), 3: jump(dacapo="yes")}, "CDECD"),
        ({}, {4: jump(dacapo="yes")}, "CDEFCDEF"),
        ({}, {2: jump("Ende", fine="yes"), 3: jump("Von Anfang bis Ende", dacapo="yes")}, "CDECD"),
        ({}, {2: jump("Fine", fine="yes"), 3: jump("D.C. al Fine", dacapo="yes")}, "CDECD"),
        ({2: jump(segno="s")}, {3: jump(fine="yes"), 4: jump(dalsegno="s")}, "CDEFDE"),
        ({4: jump(coda="c")}, {2: jump(tocoda="c"), 3: jump(dacapo="yes")}, "CDECDF"),
        (
            {4: jump(coda="c"), 2: jump(segno="s")},
            {2: jump(tocoda="c"), 3: jump(dalsegno="s")},
            "CDEDF",
        ),
        ({}, {2: jump(fine="yes"), 3: jump(dacapo="no", tempo="90")}, "CDEF"),
        (
            {},
            {
                2: jump(fine="yes")
                + '<barline location="right"><repeat direction="backward"/></barline>'
            },
            "CDCDEF",
        ),
    ],
)
def test_jumps_that_only_sound(
    tmp_path: Path, before: dict[int, str], after: dict[int, str], played: str
) -> None:
    attributes = ATTRIBUTES.format(4)
    bars = "".join(
        f"<measure number='{n}'>{attributes if n == 1 else ''}{before.get(n, '')}"
        f"<note><pitch><step>{step}</step><octave>4</octave></pitch><duration>4</duration></note>"
        f"{after.get(n, '')}</measure>"
        for n, step in enumerate("CDEF"[: 4 if "F" in played else 3], 1)
    )
    players = "<score-part id='P1'><part-name>Piano</part-name></score-part>"
    music = f"<part id='P1'>{bars}</part>"
    xml = f"<score-partwise><part-list>{players}</part-list>{music}</score-partwise>"
    piece = read_bytes(tmp_path, xml.encode(), "jump.xml")
    assert "".join("C.D.EF"[pitch - 60] for pitch in piece.notes["pitch"].tolist()) == played
    assert not piece.remarks


def test_a_repeat_that_never_ends_leaves_the_others_and_their_endings(tmp_path: Path) -> None:
    """Music21 gives all repeats of such a score up: they were played once, endings one after the
    other.
    """
    barlines = {
        2: '<barline location="left"><ending number="1" type="start"/></barline>'
        '<barline location="right"><ending number="1" type="stop"/>'
        '<repeat direction="backward"/></barline>',
        3: '<barline location="left"><ending number="2" type="start"/></barline>'
        '<barline location="right"><ending number="2" type="discontinue"/></barline>',
        4: '<barline location="left"><repeat direction="forward"/></barline>',
    }

    attributes = ATTRIBUTES.format(1)
    bars = "".join(
        f"<measure number='{n}'>{attributes if n == 1 else ''}{barlines.get(n, '')}"
        f"<note><pitch><step>{step}</step><octave>4</octave></pitch><duration>1</duration></note>"
        "</measure>"
        for n, step in enumerate("CDEFG", 1)
    )
    xml = (
        "<score-partwise><part-list><score-part id='P1'><part-name>A</part-name></score-part>"
        f"</part-list><part id='P1'>{bars}</part></score-partwise>"
    )

    piece = read_bytes(tmp_path, xml.encode(), "open.xml")
    assert piece.notes["pitch"].tolist() == [60, 62, 60, 64, 65, 67]
    assert piece.remarks == ()
