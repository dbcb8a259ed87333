"""Beats of music that was played without a metronome, and music written on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import symusic

from styletransfer.formats.pulse import read_on_beats
from styletransfer.music.beat_grid import written
from styletransfer.music.beats import Beats, events, find_beats, trusted
from styletransfer.music.notes import note_ends

STEPS = (1, 0.5, 0.5, 1, 1, 0.5, 0.5, 1, 0.25, 0.25, 0.5, 1, 1, 1) * 3
"""A rhythm in quarters, of eleven beats, three times."""


def played(steps: tuple[float, ...] = STEPS, bass: bool = True) -> tuple[np.ndarray, ...]:
    """Return a tune's onsets and pitches, and its beats, in seconds.

    Chords lie below its beats. The tempo goes up and down by an eighth, and the fingers miss their
    places by some milliseconds.
    """
    rng = np.random.default_rng(1)
    quarter = np.concatenate([[0], np.cumsum(steps)])[:-1]
    count = int(np.ceil(quarter[-1])) + 1
    beats = 0.7 + np.concatenate([[0], np.cumsum(0.6 + 0.07 * np.sin(np.arange(count) / 4))])
    onset, pitch = [quarter], [60 + np.arange(len(quarter)) * 5 % 12]
    if bass:
        for below in (0, 7):
            onset.append(np.arange(count, dtype=float))
            pitch.append(np.full(count, 36 + below))
    place = np.concatenate(onset)
    seconds = np.interp(place, np.arange(len(beats)), beats)
    seconds += rng.normal(0, 0.006, len(seconds))
    order = np.argsort(seconds)
    return seconds[order], np.concatenate(pitch)[order], beats, place[order]


def write(path: Path, onset: np.ndarray, pitch: np.ndarray, length: float = 0.2) -> Path:
    """Write a MIDI file whose beats have nothing to do with the music."""
    score = symusic.Score(480)
    track = symusic.Track()
    for moment, number in zip(onset, pitch, strict=True):
        track.notes.append(symusic.Note(int(moment * 960), int(length * 960), int(number), 80))
    score.tracks.append(track)
    score.tempos.append(symusic.Tempo(0, 120))
    score.dump_midi(path)
    return path


def test_events() -> None:
    """A low chord that is held is heavier than a single note above it."""
    onset = np.array([0.0, 0.01, 0.02, 0.5, 0.7, 0.9])
    pitch = np.array([40, 60, 64, 70, 71, 72])
    time, kind = events(onset, pitch, np.array([90, 90, 90, 60, 60, 60]))
    assert time.tolist() == [0.0, 0.5, 0.7, 0.9]
    assert kind[0] == 3
    assert kind[1] == 0


def test_beats_follow_the_tempo() -> None:
    onset, pitch, beats, _ = played()
    found = find_beats(onset, pitch, np.full(len(onset), 80))
    inner = found.seconds[(found.seconds > 0.6) & (found.seconds < beats[-2])]
    assert np.abs(inner[:, None] - beats).min(1).max() < 0.07
    assert np.abs(beats[:-2, None] - inner).min(1).max() < 0.07
    assert found.parts == 2


def test_the_beats_of_a_tune_are_trusted() -> None:
    onset, pitch, _, _ = played(bass=False)
    assert trusted(find_beats(onset, pitch, np.full(len(onset), 80)))


def test_notes_are_written_where_they_belong() -> None:
    """Sixteenths, a dot and a triplet; the tempo map keeps their time."""
    lines = 1 + 0.6 * np.arange(9)
    place = np.array([0, 0.5, 0.75, 1, 2, 2 + 1 / 3, 2 + 2 / 3, 3, 4.5, 4.75, 5, 6, 7])
    rng = np.random.default_rng(0)
    onset = 1 + 0.6 * place + rng.normal(0, 0.008, len(place))
    end = np.append(onset[1:] - 0.03, onset[-1] + 0.55)
    grid = written(
        onset, end, np.full(len(onset), 60), np.full(len(onset), 80), Beats(lines, 2, 1.0)
    )
    assert grid.onset == pytest.approx(place)
    assert grid.end[:-1] == pytest.approx(place[1:])
    assert grid.off < 0.012
    assert grid.bars["start"][0] <= 0
    assert grid.bars["start"][-1] + grid.bars["length"][-1] >= grid.end.max()


def test_beats_of_three_parts_are_dotted_quarters() -> None:
    lines = 0.9 * np.arange(9)
    onset = 0.3 * np.arange(24)
    grid = written(onset, onset + 0.3, np.full(24, 60), np.full(24, 80), Beats(lines, 3, 1.0))
    assert grid.onset == pytest.approx(0.5 * np.arange(24))
    assert (grid.bars["numerator"][0], grid.bars["denominator"][0]) == (6, 8)


def test_no_note_is_lost() -> None:
    """A run of 64 a beat that no grid holds still has as many notes."""
    onset = np.concatenate([np.arange(8) * 0.6, 4.8 + 0.01 * np.arange(60)])
    grid = written(
        onset,
        onset + 0.01,
        np.full(68, 60),
        np.full(68, 80),
        Beats(0.6 * np.arange(10), 2, 1.0),
    )
    assert len(grid.onset) == 68
    assert (grid.end > grid.onset).all()


def test_a_performance_is_read_on_its_beats(tmp_path: Path) -> None:
    onset, pitch, _, place = played(bass=False)
    piece = read_on_beats(write(tmp_path / "played.mid", onset, pitch))
    assert piece.feel == "score"
    assert len(piece.notes) == len(onset)
    assert "its beats were found" in piece.remarks[-1]
    shift = piece.notes["onset"][0] - place[0]
    assert np.sort(piece.notes["onset"]) == pytest.approx(np.sort(place) + shift, abs=1e-6)
    moved = np.sort(piece.onset_seconds) - (np.sort(onset) - onset[0])
    assert np.abs(moved - np.median(moved)).max() < 0.05
    assert float(note_ends(piece.notes).max()) <= piece.bars["start"][-1] + piece.bars["length"][-1]


def test_without_a_pulse_it_stays_in_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    onset = np.cumsum(rng.gamma(1.2, 0.4, 60))
    piece = read_on_beats(write(tmp_path / "free.mid", onset, rng.integers(50, 80, 60)))
    assert piece.feel == "performance"
    assert "no clear pulse" in piece.remarks[-1]


def test_several_voices_keep_the_beats_of_their_file(tmp_path: Path) -> None:
    onset, pitch, _, _ = played()
    piece = read_on_beats(write(tmp_path / "played.mid", onset, pitch))
    assert piece.feel == "score"
    assert piece.tempo.quarters_per_minute() == pytest.approx(120)
    assert "which were kept" in piece.remarks[-1]


def test_a_file_with_a_click_keeps_its_beats(tmp_path: Path) -> None:
    """Notes that miss the file's beats by 15 ms were played to them."""
    rng = np.random.default_rng(0)
    place = np.concatenate([[0], np.cumsum(STEPS)])
    onset = 0.5 + 0.5 * place + rng.normal(0, 0.015, len(place))
    piece = read_on_beats(write(tmp_path / "click.mid", onset, np.full(len(onset), 60)))
    assert piece.feel == "score"
    assert piece.tempo.quarters_per_minute() == pytest.approx(120)
    assert not any("beats were found" in remark for remark in piece.remarks)


def test_a_score_is_left_alone() -> None:
    assert read_on_beats("greensleeves").bars["numerator"][1] == 6
