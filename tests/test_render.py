"""Audio and pictures."""

from __future__ import annotations

import io
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from styletransfer.errors import InputError
from styletransfer.formats.midi_out import write_midi
from styletransfer.formats.tunes import example
from styletransfer.music.ensemble import PIANO
from styletransfer.music.notes import Piece, make_notes
from styletransfer.outputs.loudness import CEILING, TARGET, Levels
from styletransfer.outputs.piano_roll import plot_piano_roll
from styletransfer.outputs.sound import FORMATS, find_soundfont, render_audio
from tests.midi_builder import midi, note


def test_audio_sounds_and_is_repeatable(tmp_path: Path) -> None:
    song = tmp_path / "song.mid"
    song.write_bytes(midi(note(60, 960) + note(67, 960)))
    used = render_audio(song, tmp_path / "a.wav")
    render_audio(song, tmp_path / "b.wav", soundfont=used)
    data = (tmp_path / "a.wav").read_bytes()
    assert data == (tmp_path / "b.wav").read_bytes()
    with wave.open(io.BytesIO(data)) as sound:
        assert sound.getsampwidth() == 2
        seconds = sound.getnframes() / sound.getframerate()
        samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
    assert 3 <= seconds < 8
    levels = Levels.of(samples.reshape(-1, 2))
    assert levels.loudness == pytest.approx(TARGET, abs=0.05)
    assert levels.true_peak <= CEILING + 0.001
    loudest = np.abs(samples.astype(int)).max()
    assert np.abs(samples[-9600:].astype(int)).max() < loudest / 1000  # the chord has died away
    with pytest.raises(InputError, match="exists already"):
        render_audio(song, tmp_path / "a.wav")


def test_audio_is_compressed(tmp_path: Path) -> None:
    """FLAC keeps every sample, Ogg Vorbis and MP3 are close; all are smaller and as loud.

    This holds for a minute of sound, too.
    """
    song, sound = tmp_path / "song.mid", {}
    song.write_bytes(midi(note(60, 960) + note(67, 480 * 120)))
    for suffix in FORMATS:
        render_audio(song, tmp_path / f"a{suffix}")
        sound[suffix], rate = soundfile.read(tmp_path / f"a{suffix}", always_2d=True)
        assert rate == 48_000
    size = {suffix: (tmp_path / f"a{suffix}").stat().st_size for suffix in FORMATS}
    assert size[".wav"] > 2 * size[".flac"]
    assert size[".wav"] > 10 * max(size[".ogg"], size[".mp3"])
    np.testing.assert_array_equal(sound[".flac"], sound[".wav"])
    for suffix, samples in sound.items():
        assert len(samples) == len(sound[".wav"]) > 60 * 48_000
        assert np.corrcoef(samples.ravel(), sound[".wav"].ravel())[0, 1] > 0.99
        levels = Levels.of(samples.astype(np.float32))
        assert levels.loudness == pytest.approx(TARGET, abs=0.1), suffix
        assert levels.true_peak <= CEILING + 0.001, suffix
    with pytest.raises(InputError, match=r"the name must end in \.wav, \.flac, \.ogg or \.mp3"):
        render_audio(song, tmp_path / "a.aac")


def test_the_melody_of_an_arrangement_sings_out(tmp_path: Path) -> None:
    """Its part is 4.5 dB louder, beside an accompaniment as `apply` names it, than other parts."""
    notes = make_notes([0.0, 8.0], [2.0, 2.0], [67, 67], velocity=70, part=[0, 1])
    apart = {}
    for names in (PIANO.names[:2], ("one", "two")):
        piece = replace(example("twinkle"), parts=names).with_notes(notes)
        write_midi(piece, tmp_path / "song.mid", force=True)
        render_audio(tmp_path / "song.mid", tmp_path / "song.wav", force=True)
        sound, rate = soundfile.read(tmp_path / "song.wav")
        seconds = [float(piece.tempo.to_seconds(onset)) for onset in (0.0, 8.0)]
        power = [(sound[int(at * rate) : int((at + 1) * rate)] ** 2).mean() for at in seconds]
        apart[names] = 10 * np.log10(power[0] / power[1])
    assert apart["one", "two"] == pytest.approx(0, abs=0.3)
    assert apart[PIANO.names[:2]] == pytest.approx(4.5, abs=0.3)


def test_audio_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    song, out = tmp_path / "song.mid", tmp_path / "out.wav"
    song.write_bytes(b"this is no MIDI file")
    (tmp_path / "fake.sf2").write_bytes(b"text")
    with pytest.raises(InputError, match="no such soundfont"):
        render_audio(song, out, soundfont=tmp_path / "missing.sf2")
    with pytest.raises(InputError, match="not a soundfont"):
        render_audio(song, out, soundfont=tmp_path / "fake.sf2")
    with pytest.raises(InputError, match="cannot be played"):
        render_audio(song, out)
    with pytest.raises(InputError, match="cannot be read"):
        render_audio(tmp_path / "missing.mid", out)
    monkeypatch.setenv("STYLETRANSFER_SOUNDFONT", str(tmp_path / "fake.sf2"))
    with pytest.raises(InputError, match="not a soundfont"):
        find_soundfont()
    (tmp_path / "fake.sf2").write_bytes(b"RIFF\0\0\0\0sfbk")
    assert find_soundfont().name == "fake.sf2"
    monkeypatch.delenv("STYLETRANSFER_SOUNDFONT")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("styletransfer.outputs.sound.SOUNDFONT_FOLDERS", ())
    with pytest.raises(InputError, match="no soundfont found"):
        find_soundfont()
    assert not out.exists()


def _pixels(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    from matplotlib.image import imread

    return np.asarray(imread(path), float)[:, :, :3]


def _share_near(pixels: np.ndarray[tuple[int, ...], np.dtype[np.float64]], colour: str) -> float:
    wanted = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return float((np.abs(pixels - wanted).max(axis=2) < 0.12).mean())


def test_piano_roll_shows_melody_and_hands(tmp_path: Path) -> None:
    tune = example("happy-birthday")
    accompaniment = np.concatenate(
        [
            make_notes(np.arange(1.0, 25.0, 3), np.full(8, 3.0), [41] * 8, 100, 2),
            make_notes(np.arange(2.0, 26.0, 3), np.full(8, 1.0), [57] * 8, 100, 1),
        ]
    )
    piece = replace(tune, parts=("melody", "right hand", "left hand")).with_notes(
        np.concatenate([tune.notes, accompaniment])
    )
    path = tmp_path / "roll.png"
    plot_piano_roll(piece, path, title="100 $ Happy ^Birthday_ \u8a95\u751f\u65e5")
    pixels = _pixels(path)
    assert min(_share_near(pixels, part.colour) for part in PIANO.parts) > 0.001
    first = path.read_bytes()
    plot_piano_roll(piece, path, title="100 $ Happy ^Birthday_ \u8a95\u751f\u65e5", force=True)
    assert path.read_bytes() == first
    with pytest.raises(InputError, match="exists already"):
        plot_piano_roll(piece, path)


@pytest.mark.parametrize("seconds", [3, 80])
def test_piano_roll_of_a_performance_has_rows(tmp_path: Path, seconds: int) -> None:
    rng = np.random.default_rng(0)
    count = seconds * 4
    notes = make_notes(
        np.sort(rng.uniform(0, seconds * 2, count)),
        np.full(count, 0.5),
        rng.integers(40, 80, count),
    )
    path = tmp_path / "roll.png"
    plot_piano_roll(Piece(notes, "performance"), path)
    height, width, _ = _pixels(path).shape
    assert width == 1680
    assert height < 500 if seconds == 3 else height > 700


def test_an_empty_piece_is_drawn_too(tmp_path: Path) -> None:
    empty = make_notes([], [], [])
    plot_piano_roll(Piece(empty, "performance"), tmp_path / "a.png")
    plot_piano_roll(replace(example("twinkle"), notes=empty), tmp_path / "b.png")
    assert _pixels(tmp_path / "a.png").size
