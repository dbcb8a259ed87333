"""Test recordings: a synthesised melody's notes, beats and key, and refusals."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from styletransfer.errors import InputError
from styletransfer.formats import sound
from styletransfer.formats.pitch_notes import Track, notes_in
from styletransfer.formats.read import read_score
from styletransfer.music.key import estimate_key
from styletransfer.music.notes import Piece

soundfile = pytest.importorskip("soundfile")
RATE = 16_000
SCALE = (60, 62, 64, 65, 67, 67, 64, 60, 62, 64, 65, 62, 60, 60)
LENGTHS = (0.5,) * 4 + (1.0, 0.5, 0.5, 1.0) + (0.5,) * 4 + (1.0, 1.0)


def hummed(pitches: tuple[int, ...] = SCALE, lengths: tuple[float, ...] = LENGTHS) -> np.ndarray:
    """Hum: four harmonics, a vibrato of 40 cents, quieter just before each note."""
    pitch, loudness = [], []
    for number, seconds in zip(pitches, lengths, strict=True):
        time = np.arange(int(seconds * RATE)) / RATE
        pitch.append(number + 0.4 * np.sin(2 * np.pi * 5.5 * time) * (time > 0.2))
        loudness.append(np.clip(np.minimum(time / 0.03, (seconds - time) / 0.05), 0.1, 1))
    phase = 2 * np.pi * np.cumsum(440 * 2 ** ((np.concatenate(pitch) - 69) / 12)) / RATE
    tone = sum(np.sin(k * phase) / k for k in range(1, 5))
    noise = np.random.default_rng(0).normal(0, 0.003, len(phase))
    return np.concatenate(
        [np.zeros(RATE // 2), 0.3 * tone * np.concatenate(loudness) + noise, np.zeros(RATE // 2)]
    )


def as_bytes(samples: np.ndarray, form: str = "WAV", rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form)
    return file.getvalue()


def read(tmp_path: Path, data: bytes, name: str = "hum.wav", feel: str | None = None) -> Piece:
    (tmp_path / name).write_bytes(data)
    return read_score(tmp_path / name, feel)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_hum_is_read(tmp_path: Path, form: str) -> None:
    """Its notes, including repeated ones, lie on beats in the rhythm that was hummed."""
    pytest.importorskip("swift_f0")
    stereo = np.stack([hummed(), 0.5 * hummed()], 1)
    piece = read(tmp_path, as_bytes(stereo, form), f"hum.{form.lower()}")
    assert piece.notes["pitch"].tolist() == list(SCALE)
    assert piece.feel == "score"
    assert piece.notes["melody"].all()
    steps = np.diff(piece.notes["onset"])
    assert steps / steps[0] == pytest.approx(np.array(LENGTHS[:-1]) / LENGTHS[0])
    assert estimate_key(piece.notes).name == "C major"
    assert "14 notes were heard" in piece.remarks[0]
    assert "beats per minute were heard" in piece.remarks[1]


def test_in_seconds(tmp_path: Path) -> None:
    pytest.importorskip("swift_f0")
    piece = read(tmp_path, as_bytes(hummed()), feel="performance")
    true = 0.5 + np.concatenate([[0], np.cumsum(LENGTHS[:-1])])
    assert piece.onset_seconds == pytest.approx(true, abs=0.05)
    assert not len(piece.bars)


def test_a_high_whistle_is_heard(tmp_path: Path) -> None:
    """Above the tracker's highest pitch, C7, the sound is heard at half its speed."""
    pytest.importorskip("swift_f0")
    pitches = tuple(number + 38 for number in SCALE)
    assert read(tmp_path, as_bytes(hummed(pitches))).notes["pitch"].tolist() == list(pitches)


def test_without_a_beat(tmp_path: Path) -> None:
    """Three notes have no beat that can be trusted."""
    pytest.importorskip("swift_f0")
    piece = read(tmp_path, as_bytes(hummed(SCALE[:3], LENGTHS[:3])))
    assert piece.feel == "performance"
    assert "no clear beat" in piece.remarks[1]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "can't be read"),
        (b"not a sound", "can't be read"),
        (as_bytes(np.zeros(RATE)), "silent"),
        (as_bytes(hummed()[:100]), "shorter"),
        (as_bytes(np.full(RATE, np.nan), "WAV")[:0] or b"fLaC", "can't be read"),
        (as_bytes(np.zeros(8000 * 601), "FLAC", 8000), "more than 10 minutes"),
    ],
    ids=["header", "text", "silence", "short", "magic", "long"],
)
def test_what_is_no_tune_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read(tmp_path, data)


def test_noise_has_no_notes(tmp_path: Path) -> None:
    pytest.importorskip("swift_f0")
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE)
    with pytest.raises(InputError, match="no notes are heard"):
        read(tmp_path, as_bytes(noise))


def test_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'styletransfer-music\[audio\]'"):
        read(tmp_path, as_bytes(hummed()))


def track(pitch: list[float], confidence: list[float], loudness: list[float]) -> Track:
    return Track(0.016, np.array(pitch), np.array(confidence), np.array(loudness))


def test_vibrato_octaves_and_glides() -> None:
    """Vibrato of 60 cents, two frames an octave off and a glide of four frames make no notes."""
    wave = (60 + 0.6 * np.sin(np.arange(60) * 0.55)).tolist()
    wave[30:32] = [72.0, 72.0]
    pitches = [*wave, 61.0, 62.0, 63.0, 64.0, *[65.0] * 40]
    found = notes_in(track(pitches, [0.9] * len(pitches), [-20.0] * len(pitches)))
    assert found.pitch.tolist() == [60, 65]
    assert found.onset[1] == pytest.approx(0.016 * 62, abs=0.05)


def test_a_note_struck_again() -> None:
    """A dip of the loudness divides a pitch that never stops; silence ends it."""
    loudness = [-20.0] * 30 + [-28.0, -36.0, -36.0, -28.0] + [-20.0] * 30 + [-90.0] * 20
    found = notes_in(track([67.0] * 84, [0.95] * 64 + [0.1] * 20, loudness))
    assert found.pitch.tolist() == [67, 67]
    assert found.onset == pytest.approx([0.0, 0.016 * 33], abs=0.04)
    assert found.end[-1] == pytest.approx(0.016 * 64, abs=0.04)


def test_tuning() -> None:
    """A singer a third of a semitone flat sings the nearest notes of their own tuning."""
    found = notes_in(track([59.7] * 30 + [61.7] * 30, [0.9] * 60, [-20.0] * 60))
    assert found.pitch.tolist() == [60, 62]
    assert found.tuning == pytest.approx(-0.3, abs=0.02)


def test_nothing_voiced() -> None:
    assert not len(notes_in(track([60.0] * 20, [0.1] * 20, [-30.0] * 20)).onset)
