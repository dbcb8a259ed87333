"""Show a result in a notebook: a line of the report, the piano roll, and a player."""

from __future__ import annotations

import base64
import html
import io
import wave

import numpy as np

from styletransfer.formats.midi_out import midi_bytes
from styletransfer.outputs.piano_roll import piano_roll
from styletransfer.outputs.sound import find_soundfont, play
from styletransfer.transfer.result import Result

SOUND_SECONDS = 180
"""The player has the beginning of longer pieces: a minute is 4 MB in the notebook's file."""


def html_of(result: Result) -> str:
    """Show a result as HTML without scripts or links.

    It never raises: what can't be shown is left out, with the reason.
    """
    parts = []
    for make in (_caption, _picture, _player):
        try:
            parts.append(make(result))
        except Exception as error:  # a display that fails would hide the result itself
            parts.append(
                f"<div><small>{html.escape(str(error) or type(error).__name__)}</small></div>"
            )
    return "".join(parts)


def _caption(result: Result) -> str:
    report = result.report
    facts = [f"{report['notes']} notes", f"{report['seconds_of_music']:.0f} s"]
    if "melody_notes_kept" in report:
        facts.insert(0, f"{report['melody_notes_kept']}/{report['melody_notes']} melody notes kept")
    return f"<div><b>{html.escape(result.title)}</b>: {html.escape(', '.join(facts))}</div>"


def _picture(result: Result) -> str:
    data = base64.b64encode(piano_roll(result.piece, result.title)).decode()
    return f'<img alt="piano roll" style="max-width:100%" src="data:image/png;base64,{data}">'


def _player(result: Result) -> str:
    data, seconds = small_wave(
        play(midi_bytes(result.piece), find_soundfont(), result.title), SOUND_SECONDS
    )
    cut = (
        f"<div><small>the first {SOUND_SECONDS} s; save('song.wav') has all of it</small></div>"
        if seconds > SOUND_SECONDS
        else ""
    )
    sound = base64.b64encode(data).decode()
    return f'<div><audio controls src="data:audio/wav;base64,{sound}"></audio></div>{cut}'


def small_wave(data: bytes, seconds: float) -> tuple[bytes, float]:
    """Shrink a 16-bit WAV file to a quarter of its size: one channel at half the rate.

    Returns:
        The bytes of its beginning, at most so many seconds, and how many seconds it had.
    """
    from scipy.signal import resample_poly

    with wave.open(io.BytesIO(data)) as sound:
        rate, channels, frames = sound.getframerate(), sound.getnchannels(), sound.getnframes()
        samples = np.frombuffer(sound.readframes(int(seconds * rate)), "<i2").reshape(-1, channels)
    mono = resample_poly(samples.mean(axis=1), 1, 2)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setparams((1, 2, rate // 2, 0, "NONE", "not compressed"))
        sound.writeframes(np.clip(np.round(mono), -32768, 32767).astype("<i2").tobytes())
    return buffer.getvalue(), frames / rate
