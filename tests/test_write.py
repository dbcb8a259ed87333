"""Writing MIDI: reading gives back what was written, and no file is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from styletransfer.errors import InputError
from styletransfer.files import check_writable, write_bytes
from styletransfer.formats.midi_in import parse_midi
from styletransfer.formats.midi_out import as_written, midi_bytes, time_signatures_of, write_midi
from styletransfer.formats.read import read_score
from styletransfer.formats.tunes import EXAMPLES, example
from styletransfer.music.hands import split_hands
from styletransfer.music.notes import Piece, TempoMap, bars_of, make_notes
from tests.midi_builder import metre, midi, scale

METRES = st.sampled_from([(2, 4), (3, 4), (4, 4), (6, 8), (7, 8), (5, 16), (3, 2), (97, 16)])


@st.composite
def signatures(draw: st.DrawFn) -> list[tuple[float, int, int]]:
    """Draw metres that change after whole bars or in the middle of one.

    There may be a pick-up.
    """
    top, bottom = draw(METRES)
    full = 4 * top / bottom
    rows, position = [(0.0, top, bottom)], draw(st.sampled_from([0.0, full / 4, full / 2, 1 / 3]))
    if position:
        rows.append((position, top, bottom))
    for _ in range(draw(st.integers(0, 3))):
        position += draw(st.sampled_from([full, 2 * full, full / 2, 3 * full + 0.25]))
        top, bottom = draw(METRES)
        full = 4 * top / bottom
        rows.append((position, top, bottom))
    return rows


@st.composite
def pieces(draw: st.DrawFn) -> Piece:
    """Draw scores without two notes of one pitch sounding together in one part."""
    tpq = draw(st.sampled_from([24, 96, 384, 480, 960, 10_080]))
    step = tpq // 12
    parts = draw(st.integers(1, 4))
    rows: dict[tuple[int, int, int], tuple[int, int]] = {}
    for _ in range(draw(st.integers(1, 30))):
        cell, pitch, part = draw(
            st.tuples(st.integers(0, 80), st.integers(0, 127), st.integers(0, parts - 1))
        )
        rows[(cell, pitch, part)] = (draw(st.integers(1, step * 3)), draw(st.integers(1, 127)))

    keys = [(cell * step * 3, pitch, part) for cell, pitch, part in rows]
    used = sorted({part for _, _, part in keys})
    notes = make_notes(
        np.array([tick for tick, _, _ in keys]) / tpq,
        np.array([duration for duration, _ in rows.values()]) / tpq,
        [pitch for _, pitch, _ in keys],
        [velocity for _, velocity in rows.values()],
        [used.index(part) for _, _, part in keys],
    )
    changes = sorted(draw(st.sets(st.integers(1, 60), max_size=4)))
    micros: list[int] = []
    for _ in range(len(changes) + 1):
        micros.append(
            draw(st.integers(100_000, 2_000_000).filter(lambda m: not micros or m != micros[-1]))
        )

    end = float((notes["onset"] + notes["duration"]).max())
    return Piece(
        notes,
        "score",
        bars_of(draw(signatures()), end),
        TempoMap(np.array([0, *changes], float), np.array(micros) / 1e6),
        tpq,
        tuple(f"part {part}" for part in used) if len(used) > 1 else ("piano",),
        draw(st.sampled_from([(), ((0.0, -3, True),), ((0.0, 2, False), (4.0, -7, True))])),
    )


@settings(max_examples=60, deadline=None)
@given(pieces())
def test_round_trip(piece: Piece) -> None:
    lines = piece.bars["start"] * piece.ticks_per_quarter
    assume(np.allclose(lines, np.round(lines), atol=1e-6))  # bars of a file lie on its ticks
    back = parse_midi(midi_bytes(piece), "song", "score")
    order, back_order = (
        np.lexsort((p.notes["part"], p.notes["pitch"], p.notes["onset"])) for p in (piece, back)
    )
    for name in ("onset", "duration", "pitch", "velocity", "part"):
        np.testing.assert_allclose(
            piece.notes[name][order], back.notes[name][back_order], atol=1e-9
        )

    assert back.ticks_per_quarter == piece.ticks_per_quarter
    assert back.parts == piece.parts
    assert back.key_signatures == piece.key_signatures

    count = len(back.bars)
    assert (
        piece.bars["start"][count:] > back.notes["onset"].max()
    ).all()  # empty bars at the end may go

    for name in ("start", "length"):
        np.testing.assert_allclose(piece.bars[name][:count], back.bars[name], atol=1e-9)
    assert (
        piece.bars[["numerator", "denominator"]][:count].tolist()
        == back.bars[["numerator", "denominator"]].tolist()
    )
    assert float(back.bars["start"][-1] + back.bars["length"][-1]) >= float(
        back.notes["onset"].max()
    )

    np.testing.assert_array_equal(piece.tempo.quarters, back.tempo.quarters)
    np.testing.assert_array_equal(piece.tempo.seconds_per_quarter, back.tempo.seconds_per_quarter)
    assert midi_bytes(parse_midi(midi_bytes(back), "song", "score")) == midi_bytes(back)


@settings(max_examples=150, deadline=None)
@given(signatures(), st.floats(1, 60))
def test_time_signatures_make_the_same_bars_again(
    rows: list[tuple[float, int, int]], end: float
) -> None:
    bars = bars_of(rows, end)
    again = bars_of(time_signatures_of(bars), float(bars["start"][-1] + bars["length"][-1]) - 1e-3)
    np.testing.assert_allclose(again["start"], bars["start"], atol=1e-9)
    np.testing.assert_allclose(again["length"], bars["length"], atol=1e-9)
    assert (
        again[["numerator", "denominator"]].tolist() == bars[["numerator", "denominator"]].tolist()
    )


def test_a_pick_up_is_written_as_a_short_bar() -> None:
    assert time_signatures_of(example("happy-birthday").bars) == [(0.0, 1, 4), (1.0, 3, 4)]
    assert time_signatures_of(example("greensleeves").bars) == [(0.0, 1, 8), (0.5, 6, 8)]


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_survive(tmp_path: Path, name: str) -> None:
    tune = example(name)
    write_midi(tune, tmp_path / "song.mid")
    back = read_score(tmp_path / "song.mid")
    np.testing.assert_array_equal(back.bars, tune.bars)
    np.testing.assert_allclose(back.notes["onset"], tune.notes["onset"], atol=1e-12)
    assert back.feel == "score"
    assert back.key_signatures == tune.key_signatures
    assert back.parts == tune.parts


def test_an_arrangement_keeps_the_input_s_frame(tmp_path: Path) -> None:
    (tmp_path / "in.mid").write_bytes(
        midi(metre(1, 2) + metre(3, 2, wait=96), scale(7, 96), division=96)
    )
    given_piece = read_score(tmp_path / "in.mid")
    notes = np.concatenate([given_piece.notes, make_notes([1, 4], [3, 3], [48, 50], part=1)])
    arrangement = replace(given_piece, parts=("melody", "left hand")).with_notes(notes)
    write_midi(arrangement, tmp_path / "out.mid")
    out = read_score(tmp_path / "out.mid")
    assert out.ticks_per_quarter == 96
    assert out.parts == ("melody", "left hand")
    np.testing.assert_array_equal(out.bars, given_piece.bars)


def test_a_note_off_never_cuts_a_later_note() -> None:
    """The same pitch in two parts sounds on two channels; in one part the earlier note ends where
    the later begins.
    """
    notes = make_notes([0, 0, 1, 0], [4, 3, 1, 2], [60, 60, 60, 60], [70, 75, 80, 90], [0, 0, 0, 1])
    piece = Piece(notes, "score", bars_of([], 4), parts=("a", "b"))
    for found in (as_written(piece), parse_midi(midi_bytes(piece), "song", "score")):
        rows = sorted(
            tuple(row[name].item() for name in ("part", "onset", "duration", "velocity"))
            for row in found.notes
        )
        assert rows == [(0, 0.0, 1.0, 70), (0, 1.0, 1.0, 80), (1, 0.0, 2.0, 90)]
    assert piece.notes["duration"].tolist() == [2, 3, 4, 1]


@pytest.mark.parametrize("name", ["onset", "duration"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 1e12])
def test_times_that_are_none_are_refused(name: str, value: float) -> None:
    """They used to be a ``ValueError`` about time that goes forward, or notes of one tick."""
    piece = example("happy-birthday")
    notes = piece.notes.copy()
    notes[name][3] = value
    with pytest.raises(InputError, match=f"note 4 can't be written: its {name} is"):
        midi_bytes(replace(piece, notes=notes))


def test_empty_parts() -> None:
    piece = Piece(
        make_notes([0], [1], [60], part=1), "score", bars_of([], 1), parts=("nothing", "flute")
    )
    data = midi_bytes(piece)
    assert b"flute" in data
    assert b"nothing" not in data
    assert data[10:12] == b"\x00\x02"
    with pytest.raises(ValueError, match="does not name"):
        midi_bytes(replace(piece, parts=("one",)))


def test_sixteen_parts_leave_the_drum_channel_free() -> None:
    notes = make_notes(np.zeros(16), np.ones(16), np.arange(16) + 60, part=np.arange(16))
    piece = Piece(notes, "score", bars_of([], 1), parts=tuple(f"p{i}" for i in range(16)))
    back = parse_midi(midi_bytes(piece), "song", "score")
    assert len(back.notes) == 16
    assert not back.remarks
    assert back.parts == piece.parts


def test_files_are_not_replaced_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "out.mid"
    piece = example("twinkle")
    write_midi(piece, path)
    first = path.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        write_midi(example("frere-jacques"), path)
    assert path.read_bytes() == first
    write_midi(piece, path, force=True)
    assert path.read_bytes() == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.mid"]


def test_unwritable_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, reason in (
        (tmp_path, "folder"),
        (tmp_path / "no" / "out.mid", "no folder"),
        (tmp_path / "a\0b", "no file name"),
    ):
        with pytest.raises(InputError, match=reason):
            check_writable(path, force=True)
    with pytest.raises(InputError, match="cannot be written"):
        write_bytes(tmp_path / ("x" * 300), b"")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(InputError, match="no permission to write"):
        check_writable(tmp_path / "out.mid")


def test_a_failed_write_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "out.mid").write_bytes(b"old")
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError, match="No space left"):
        write_bytes(tmp_path / "out.mid", b"new", force=True)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]


def test_hands() -> None:
    """A tune over broken chords, both moving up: the line between the hands moves with them."""
    beats = np.arange(16.0)
    tune = make_notes(beats, np.ones(16), 72 + beats.astype(int), part=0)
    onset = np.repeat(beats, 4) + np.tile([0, 0.25, 0.5, 0.75], 16)
    pitch = np.repeat(48 + beats.astype(int), 4) + np.tile([0, 7, 12, 7], 16)
    chords = make_notes(onset, np.full(64, 0.25), pitch, part=1)
    notes = np.concatenate([tune, chords])
    assert (split_hands(notes) == notes["part"]).mean() > 0.97
    assert split_hands(notes[:0]).shape == (0,)
