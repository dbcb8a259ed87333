"""Play a piece through a soundfont."""

from __future__ import annotations

import importlib.util
import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer.errors import InputError
from styletransfer.files import check_suffix, check_writable, write_bytes
from styletransfer.music.ensemble import ENSEMBLES
from styletransfer.outputs.loudness import CEILING, RATE, Levels, turned

SOUNDFONT_VARIABLE = "STYLETRANSFER_SOUNDFONT"
SOUNDFONT_FOLDERS = (
    "/usr/share/sounds/sf2",
    "/usr/share/soundfonts",
    "/usr/local/share/soundfonts",
)
FORMATS: dict[str, dict[str, Any]] = {
    ".wav": {"format": "WAV", "subtype": "PCM_16"},
    ".flac": {"format": "FLAC", "subtype": "PCM_16"},
    ".ogg": {"format": "OGG", "subtype": "VORBIS"},
    ".mp3": {
        "format": "MP3",
        "subtype": "MPEG_LAYER_III",
        "bitrate_mode": "VARIABLE",
        "compression_level": 0.2,  # about 150 kbit/s
    },
}
"""The formats of audio files by suffix, as soundfile names them."""
LOSSY = (".ogg", ".mp3")
OVERSHOOT = 0.5
"""Decibels by which the peaks of a lossy file are held lower before it is encoded.

Of 20 pieces, decoded peaks were up to 0.27 dB higher as Ogg Vorbis, and 0.04 dB as MP3.
"""
BLOCK = 1 << 16
"""Frames that are encoded at once: Vorbis fails on minutes of sound."""
VOLUME, FULL = 7, 127
"""The controller of a channel's volume and its highest value, 4.5 dB above the default of 100.

An arrangement's melody gets it. Without that, in the 0.2 seconds after its onsets the melody was
1.9 dB louder than the accompaniment (the mean of the medians of 11 arrangements), and softer after
0.30 of them; in seven performances of MAESTRO it is 6.6 dB louder, and softer after 0.09.
"""
RELEASE = 1.0
"""Seconds of sound after the last note ends, in which it dies away."""


def find_soundfont(soundfont: str | Path | None = None) -> Path:
    """Find the soundfont to play with.

    It is the one named, that of ``$STYLETRANSFER_SOUNDFONT``, the system's, or pretty_midi's.

    Raises:
        InputError: where the named one is missing or is no soundfont, or none is found.
    """
    named = str(soundfont) if soundfont else os.environ.get(SOUNDFONT_VARIABLE, "")
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise InputError(f"{path}: there is no such soundfont; name an .sf2 file.")
        try:
            with path.open("rb") as file:
                _check_soundfont(file.read(12), path)
        except OSError as error:
            raise InputError(
                f"{path}: the soundfont cannot be read ({error.strerror}); name another."
            ) from None
        return path

    for folder in map(Path, SOUNDFONT_FOLDERS):
        found = sorted(folder.glob("*.sf2")) if folder.is_dir() else []
        if found:
            return found[0]

    spec = importlib.util.find_spec("pretty_midi")  # located, not imported
    for place in (spec.submodule_search_locations or []) if spec else []:
        found = sorted(Path(place).glob("*.sf2"))
        if found:
            return found[0]

    raise InputError(
        "no soundfont found to make audio with; name an .sf2 file with --soundfont"
        f" or in ${SOUNDFONT_VARIABLE}."
    )


def _check_soundfont(head: bytes, path: Path) -> None:
    if head[:4] != b"RIFF" or head[8:12] != b"sfbk":
        raise InputError(f"{path}: it is not a soundfont; name an .sf2 file.")


def render_audio(
    midi_path: str | Path,
    audio_path: str | Path,
    soundfont: str | Path | None = None,
    force: bool = False,
) -> Path:
    """Play a MIDI file into an audio file, and return the soundfont that was used.

    Raises:
        InputError: where a file is missing or broken, no soundfont is found, or the audio file
            can't be written or has another suffix than :data:`FORMATS`.
    """
    check_suffix(Path(audio_path), *FORMATS)
    check_writable(audio_path, force)
    font = find_soundfont(soundfont)
    try:
        midi = Path(midi_path).read_bytes()
    except OSError as error:
        raise InputError(
            f"{midi_path}: it cannot be read ({error.strerror}); check the name."
        ) from None

    data = play(midi, font, str(midi_path), Path(audio_path).suffix.lower())
    write_bytes(audio_path, data, force)
    return font


def play(midi: bytes, font: Path, name: str, suffix: str = ".wav") -> bytes:
    """Play a MIDI file's bytes into an audio file's: 48 kHz, stereo, 16 bits or lossy.

    It is as loud as :mod:`styletransfer.outputs.loudness` says.

    Args:
        midi: the bytes of the MIDI file.
        font: the soundfont.
        name: what errors call the MIDI file.
        suffix: one of :data:`FORMATS`.

    Raises:
        InputError: where the soundfont or the MIDI file is broken.
    """
    try:
        import midirenderer
    except ImportError:
        raise InputError(
            "audio needs the package midirenderer; install it with pip install midirenderer."
        ) from None
    try:
        font_bytes = font.read_bytes()
    except OSError as error:
        raise InputError(
            f"{font}: the soundfont cannot be read ({error.strerror}); name another."
        ) from None

    _check_soundfont(font_bytes[:12], font)
    try:
        wav = bytes(midirenderer.render_wave_from(font_bytes, _prepared(midi)))
    except Exception as error:  # the renderer raises whatever its parsers met
        raise InputError(
            f"{name}: it cannot be played with {font} ({error}); try another soundfont."
        ) from error
    return _encode(wav, suffix)


def playable(midi: bytes) -> bool:
    """Return whether a MIDI file's bytes can be played as they are."""
    import symusic

    try:
        symusic.Score.from_midi(midi)
    except Exception:  # whatever the parser met
        return False
    return True


def _prepared(midi: bytes) -> bytes:
    """Raise the melody of an arrangement, and lengthen its file by :data:`RELEASE` seconds."""
    import symusic

    score: Any = symusic.Score.from_midi(midi)
    names = {track.name for track in score.tracks}
    for ensemble in ENSEMBLES:
        if {ensemble.melody} < names <= set(ensemble.names):
            for track in score.tracks:
                if track.name == ensemble.melody:
                    track.controls.append(symusic.ControlChange(0, VOLUME, FULL))

    slowness = score.tempos[-1].mspq / 1e6 if len(score.tempos) else 0.5  # seconds per quarter
    score.markers.append(
        symusic.TextMeta(score.end() + round(RELEASE / slowness * score.ticks_per_quarter), " ")
    )
    return bytes(score.dumps_midi())


def _encode(wav: bytes, suffix: str) -> bytes:
    """Encode a WAV file at the loudness of :mod:`styletransfer.outputs.loudness`."""
    import soundfile

    samples, rate = soundfile.read(io.BytesIO(wav), dtype="int16", always_2d=True)
    if rate != RATE:
        raise ValueError(f"the renderer gives {rate} frames a second, not {RATE}")
    lossy = suffix in LOSSY
    curve = Levels.of(samples).levelled(CEILING - (OVERSHOOT if lossy else 0.0))

    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", rate, samples.shape[1], **FORMATS[suffix]) as sound:
        for part in turned(samples, curve):
            # libsndfile 1.2.2 distorts MP3 of integers, and rounds floats as each format does.
            rounded = part if lossy else np.round(part * 32768).astype(np.int16)
            for begin in range(0, len(rounded), BLOCK):
                sound.write(rounded[begin : begin + BLOCK])
    return buffer.getvalue()
