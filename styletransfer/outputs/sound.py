"""Pieces to hear and to see: audio through a soundfont, and a piano roll as a picture."""

from __future__ import annotations

import importlib.util
import io
import os
import wave
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer.errors import InputError
from styletransfer.files import check_writable, write_bytes

SOUNDFONT_VARIABLE = "STYLETRANSFER_SOUNDFONT"
SOUNDFONT_FOLDERS = (
    "/usr/share/sounds/sf2",
    "/usr/share/soundfonts",
    "/usr/local/share/soundfonts",
)
PEAK = 29_000
"""The highest sample of a rendered file, of 32,767: a decibel below full scale. As soundfonts
render pianos, they are faint.
"""
RELEASE = 1.0
"""Seconds of sound after the last note ends, in which it dies away."""


def find_soundfont(soundfont: str | Path | None = None) -> Path:
    """The soundfont to play with: the one named, ``$STYLETRANSFER_SOUNDFONT``, the system's,
    pretty_midi's.

    Raises:
        InputError: where the named one is missing or is none, or none is found.
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
        f"no soundfont found to make audio with; name an .sf2 file with --soundfont or in ${SOUNDFONT_VARIABLE}."
    )


def _check_soundfont(head: bytes, path: Path) -> None:
    if head[:4] != b"RIFF" or head[8:12] != b"sfbk":
        raise InputError(f"{path}: it is not a soundfont; name an .sf2 file.")


def render_audio(
    midi_path: str | Path,
    wav_path: str | Path,
    soundfont: str | Path | None = None,
    force: bool = False,
) -> Path:
    """Play a MIDI file into a WAV file and return the soundfont that was used.

    Raises:
        InputError: where a file is missing or broken, no soundfont is found, or the WAV file can't
        be written.
    """
    check_writable(wav_path, force)
    font = find_soundfont(soundfont)
    try:
        midi = Path(midi_path).read_bytes()
    except OSError as error:
        raise InputError(
            f"{midi_path}: it cannot be read ({error.strerror}); check the name."
        ) from None
    write_bytes(wav_path, play(midi, font, str(midi_path)), force)
    return font


def play(midi: bytes, font: Path, name: str) -> bytes:
    """A MIDI file's bytes as a WAV file's (48 kHz, stereo, 16 bits); ``name`` is what errors call
    the MIDI file.

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
        return _loud(bytes(midirenderer.render_wave_from(font_bytes, _released(midi))))
    except Exception as error:  # the renderer raises whatever its parsers met
        raise InputError(
            f"{name}: it cannot be played with {font} ({error}); try another soundfont."
        ) from error


def _released(midi: bytes) -> bytes:
    """A MIDI file's bytes, with something that makes no sound :data:`RELEASE` seconds after its
    end.
    """
    import symusic

    score: Any = symusic.Score.from_midi(midi)
    slowness = score.tempos[-1].mspq / 1e6 if len(score.tempos) else 0.5  # seconds a quarter
    score.markers.append(
        symusic.TextMeta(score.end() + round(RELEASE / slowness * score.ticks_per_quarter), " ")
    )
    return bytes(score.dumps_midi())


def _loud(wav: bytes) -> bytes:
    """A WAV file of 16 bits whose highest peak is :data:`PEAK`."""
    with wave.open(io.BytesIO(wav)) as sound:
        form, samples = (
            sound.getparams(),
            np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(float),
        )
    peak = np.abs(samples).max(initial=0.0)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setparams(form)
        sound.writeframes(
            np.round(samples * (PEAK / peak if peak else 1.0)).astype("<i2").tobytes()
        )
    return buffer.getvalue()
