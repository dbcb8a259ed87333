"""Pictures and sounds for a page that stands alone: piano rolls and plots as SVG, short audio clips
in base64.
"""

from __future__ import annotations

import base64
import io
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from styletransfer.formats.midi_out import write_midi
from styletransfer.music.notes import Piece, make_notes
from styletransfer.outputs.piano_roll import LEFT_HAND, MELODY, RIGHT_HAND
from styletransfer.outputs.sound import render_audio

RATE = 16_000
"""Samples a second of a clip: piano tones have little above 8 kHz."""

MU = 255.0
"""Of mu-law companding, ITU-T G.711: 8 bits a sample."""

QUARTER = 0.5
"""Seconds of a quarter of a piece whose times are seconds."""


def to_plain(piece: Piece) -> dict[str, Any]:
    """A piece as plain lists, times in seconds from its first note on."""
    onset, notes = piece.onset_seconds, piece.notes
    start = float(onset.min()) if len(notes) else 0.0
    bars = piece.tempo.to_seconds(piece.bars["start"]) - start if len(piece.bars) else np.zeros(0)
    return {
        "onset": np.round(onset - start, 3).tolist(),
        "duration": np.round(piece.duration_seconds, 3).tolist(),
        "bars": np.round(bars[bars > -1e-3], 3).tolist(),
    } | {name: notes[name].astype(int).tolist() for name in ("pitch", "velocity", "melody")}


def from_plain(data: dict[str, Any], most_seconds: float = float("inf")) -> Piece:
    """The notes of :func:`to_plain` that begin before ``most_seconds``, as a performance."""
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
    """The first seconds of a piece as a WAV file, mono, 16 kHz, mu-law.

    Raises:
        InputError: where there is no soundfont, or it can't be played.
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
    """(samples,) at :data:`RATE`."""
    from scipy.signal import resample_poly

    common = int(np.gcd(rate, RATE))
    return np.asarray(resample_poly(samples, RATE // common, rate // common), np.float64)


def mu_law_wave(samples: NDArray[np.float64]) -> bytes:
    """Samples (n,) from -1 to 1 as a WAV file of 8 bits a sample, at full scale."""
    peak = max(float(np.abs(samples).max(initial=0.0)), 1e-6)
    value = np.clip(samples / peak, -1, 1)
    magnitude = np.minimum(np.abs(value) * 32635 + 132, 32767).astype(np.int64)  # G.711's bias
    exponent = np.floor(np.log2(magnitude)).astype(np.int64) - 7
    mantissa = (magnitude >> (exponent + 3)) & 15
    code = (
        (~((np.signbit(value) << 7) | (exponent << 4) | mantissa) & 255).astype(np.uint8).tobytes()
    )
    numbers = (
        (7, 2),
        (1, 2),
        (RATE, 4),
        (RATE, 4),
        (1, 2),
        (8, 2),
        (0, 2),
    )  # mu-law, mono, rates, block, bits, no more
    head = b"".join(number.to_bytes(size, "little") for number, size in numbers)
    pad = b"\0" * (len(code) % 2)
    chunks = [(b"fmt ", head), (b"fact", len(code).to_bytes(4, "little")), (b"data", code + pad)]
    body = b"".join(
        name + (len(code) if name == b"data" else len(data)).to_bytes(4, "little") + data
        for name, data in chunks
    )
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WAVE" + body


def embedded(sound: bytes) -> str:
    """A WAV file as the address of an audio player."""
    return "data:audio/wav;base64," + base64.b64encode(sound).decode()


def piano_roll(
    data: dict[str, Any], title: str, seconds: float, width: int = 720, height: int = 150
) -> str:
    """The first seconds of a piece as SVG: melody, right hand above and left hand below middle C in
    colours of their own.
    """
    onset, duration = np.array(data["onset"], float), np.array(data["duration"], float)
    pitch, melody = np.array(data["pitch"], int), np.array(data["melody"], bool)
    low, high = 28, 92
    across, down = width / seconds, height / (high - low)
    lines = [
        f'<svg class="roll" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
    ]
    lines += [
        f'<path class="bar" d="M{bar * across:.1f} 0V{height}"/>'
        for bar in data["bars"]
        if bar < seconds
    ]
    for colour, chosen in (
        (LEFT_HAND, ~melody & (pitch < 60)),
        (RIGHT_HAND, ~melody & (pitch >= 60)),
        (MELODY, melody),
    ):
        boxes = [
            f"M{x * across:.1f} {(high - p) * down:.1f}h{max(min(d, seconds - x) * across - 0.6, 0.8):.1f}"
            for x, d, p in zip(onset[chosen], duration[chosen], pitch[chosen], strict=True)
            if x < seconds
        ]
        lines.append(f'<path stroke="{colour}" stroke-width="{down:.1f}" d="{"".join(boxes)}"/>')
    return "".join([*lines, "</svg>"])


@dataclass(frozen=True)
class Point:
    """A system in a plot: ``y`` with its interval (None for none)."""

    name: str
    x: float
    y: float
    low: float | None = None
    high: float | None = None


def scatter(points: Sequence[Point], levels: Sequence[Point], x_title: str, y_title: str) -> str:
    """Points with error bars, both axes from 0 to 1, as SVG; ``levels`` are lines across (ceiling
    and floor).
    """
    size, left, top = 320, 46, 14
    total = size + left + 150

    def at(x: float, y: float) -> tuple[float, float]:
        return left + x * size, top + (1 - y) * size

    lines = [
        f'<svg class="plot" viewBox="0 0 {total} {size + top + 44}" role="img" aria-label="{escape(y_title)}">'
    ]
    lines.append(f'<rect x="{left}" y="{top}" width="{size}" height="{size}" class="frame"/>')
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x, y = at(tick, tick)
        lines.append(
            f'<path class="grid" d="M{x:.0f} {top}V{top + size}M{left} {y:.0f}H{left + size}"/>'
        )
        lines.append(
            f'<text x="{x:.0f}" y="{top + size + 16}" text-anchor="middle">{tick:g}</text>'
        )
        lines.append(f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{tick:g}</text>')
    for level in levels:
        _, y = at(0, level.y)
        lines.append(f'<path class="level" d="M{left} {y:.1f}H{left + size}"/>')
        lines.append(f'<text x="{left + size + 6}" y="{y + 4:.1f}">{escape(level.name)}</text>')
    for number, point in enumerate(points):
        x, y = at(point.x, point.y)
        colour = f"hsl({number * 360 // max(len(points), 1)} 60% 42%)"
        if point.low is not None and point.high is not None:
            lines.append(
                f'<path stroke="{colour}" d="M{x:.1f} {at(0, point.low)[1]:.1f}V{at(0, point.high)[1]:.1f}"/>'
            )
        lines.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"><title>{escape(point.name)}</title></circle>'
        )
        lines.append(
            f'<text x="{x - 8:.1f}" y="{y - 7:.1f}" text-anchor="end" fill="{colour}">{escape(point.name)}</text>'
        )
    lines.append(
        f'<text x="{left + size / 2}" y="{top + size + 36}" text-anchor="middle">{escape(x_title)}</text>'
    )
    lines.append(f'<text x="{left}" y="10">{escape(y_title)}</text></svg>')
    return "".join(lines)
