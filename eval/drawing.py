"""Draw pictures and render sounds for a self-contained page.

Piano rolls and plots are SVG files and clips WAV files, both in base64.
"""

from __future__ import annotations

import base64
import io
import struct
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from styletransfer.formats.midi_out import write_midi
from styletransfer.music.ensemble import PIANO
from styletransfer.music.notes import Piece, make_notes
from styletransfer.outputs.sound import render_audio

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RATE = 16_000
"""Samples per second of a clip: piano tones have little energy above 8 kHz."""

MU = 255.0
"""The constant of mu-law companding, ITU-T G.711: 8 bits per sample."""

QUARTER = 0.5
"""Seconds per quarter of a piece whose times are in seconds."""

LOWEST, MIDDLE_C, HIGHEST = 28, 60, 92
"""The range of a piano roll, in MIDI numbers, and where the right hand begins."""


def to_plain(piece: Piece) -> dict[str, Any]:
    """Write a piece as plain lists, with times in seconds from its first note on."""
    onset, notes = piece.onset_seconds, piece.notes
    start = float(onset.min()) if len(notes) else 0.0
    bars = piece.tempo.to_seconds(piece.bars["start"]) - start if len(piece.bars) else np.zeros(0)
    return {
        "onset": np.round(onset - start, 3).tolist(),
        "duration": np.round(piece.duration_seconds, 3).tolist(),
        "bars": np.round(bars[bars > -1e-3], 3).tolist(),
    } | {name: notes[name].astype(int).tolist() for name in ("pitch", "velocity", "melody")}


def from_plain(data: dict[str, Any], most_seconds: float = float("inf")) -> Piece:
    """Read notes of :func:`to_plain` before ``most_seconds``, as a performance."""
    onset = np.array(data["onset"], float)
    kept = onset < most_seconds
    onset, duration = onset[kept], np.maximum(np.array(data["duration"], float)[kept], 0.02)
    duration = np.minimum(duration, most_seconds - onset)
    columns = [np.array(data[name])[kept] for name in ("pitch", "velocity", "melody")]
    notes = make_notes(
        onset / QUARTER, duration / QUARTER, columns[0], columns[1], melody=columns[2].astype(bool)
    )
    return Piece(notes, "performance")


def clip(data: dict[str, Any], seconds: float, soundfont: str | Path | None = None) -> bytes:
    """Play the first seconds of a piece into a WAV file, mono, 16 kHz, mu-law.

    Raises:
        InputError: if there is no soundfont, or it can't be played.
    """
    with tempfile.TemporaryDirectory() as folder:
        midi, sound = Path(folder) / "a.mid", Path(folder) / "a.wav"
        write_midi(from_plain(data, seconds), midi)
        render_audio(midi, sound, soundfont)
        with wave.open(io.BytesIO(sound.read_bytes())) as file:
            rate, channels = file.getframerate(), file.getnchannels()
            frames = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, channels)
    return mu_law_wave(resampled(frames.mean(axis=1) / 32768, rate)[: int(seconds * RATE)])


def resampled(samples: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Resample a sound to :data:`RATE`, shape (samples,)."""
    from scipy.signal import resample_poly

    common = int(np.gcd(rate, RATE))
    return np.asarray(resample_poly(samples, RATE // common, rate // common), np.float64)


def mu_law_wave(samples: NDArray[np.float64]) -> bytes:
    """Write samples as a WAV file of 8 bits each (mu-law), at full scale.

    Args:
        samples: shape (samples,), from -1 to 1.
    """
    peak = max(float(np.abs(samples).max(initial=0.0)), 1e-6)
    value = np.clip(samples / peak, -1, 1)
    magnitude = np.minimum(np.abs(value) * 32635 + 132, 32767).astype(np.int64)  # G.711's bias
    exponent = np.floor(np.log2(magnitude)).astype(np.int64) - 7
    mantissa = (magnitude >> (exponent + 3)) & 15
    bits = ~((np.signbit(value) << 7) | (exponent << 4) | mantissa) & 255
    code: bytes = bits.astype(np.uint8).tobytes()

    # mu-law, one channel, samples and bytes per second, bytes and bits per sample, nothing more
    head = struct.pack("<HHIIHHH", 7, 1, RATE, RATE, 1, 8, 0)
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head
    body += b"fact" + struct.pack("<II", 4, len(code))
    body += b"data" + struct.pack("<I", len(code)) + code + b"\0" * (len(code) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def embedded(file: bytes, kind: str = "audio/wav") -> str:
    """Write a file as a data address that contains all of it."""
    return f"data:{kind};base64,{base64.b64encode(file).decode()}"


def piano_roll(data: dict[str, Any], seconds: float) -> str:
    """Draw the first seconds of a piece of :func:`to_plain` as an SVG data address.

    The melody has its own colour; the accompaniment has one from middle C upwards and one below.
    """
    onset, duration = np.array(data["onset"], float), np.array(data["duration"], float)
    pitch, melody = np.array(data["pitch"], int), np.array(data["melody"], bool)

    figure, axes = _figure(7.2, 1.5)
    axes.set(xlim=(0, seconds), ylim=(LOWEST, HIGHEST))
    axes.set_axis_off()
    axes.vlines(data["bars"], LOWEST, HIGHEST, colors="#d8d8e0", linewidth=0.5)
    tune, right, left = (part.colour for part in PIANO.parts)
    for colour, chosen in (
        (left, ~melody & (pitch < MIDDLE_C)),
        (right, ~melody & (pitch >= MIDDLE_C)),
        (tune, melody),
    ):
        axes.bar(
            onset[chosen], 1, duration[chosen], pitch[chosen] - 0.5, align="edge", color=colour
        )
    return _address(figure)


@dataclass(frozen=True)
class Point:
    """A system in a plot: ``y`` with its interval (None for none)."""

    name: str
    x: float
    y: float
    low: float | None = None
    high: float | None = None


def scatter(points: Sequence[Point], levels: Sequence[Point], x_title: str, y_title: str) -> str:
    """Plot points with error bars, axes from 0 to 1, as the address of an SVG file.

    Args:
        points: the systems.
        levels: values drawn as horizontal lines: ceiling and floor.
        x_title: the title of the x axis.
        y_title: the title of the y axis.
    """
    figure, axes = _figure(7.0, 5.2)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=x_title, ylabel=y_title, aspect="equal")
    axes.grid(linestyle=":", color="#d8d8e0")
    for level in levels:
        axes.axhline(level.y, linestyle="--", color="#777783", linewidth=1)
        axes.text(1.02, level.y, level.name, va="center")

    for number, point in enumerate(points):
        colour = f"C{number}"
        if point.low is not None and point.high is not None:
            axes.vlines(point.x, point.low, point.high, colors=colour)
        axes.plot(point.x, point.y, "o", color=colour, clip_on=False)
        place = (point.x - 0.015, point.y + 0.01)
        axes.text(*place, point.name, ha="right", va="bottom", color=colour)
    return _address(figure)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Begin a picture of a size in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _address(figure: Figure) -> str:
    """Write a picture as an address of an SVG file, always with the same bytes."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "page"}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    return embedded(buffer.getvalue(), "image/svg+xml")
