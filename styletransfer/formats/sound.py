"""Recordings of one voice: their samples, and the track of their pitch by SwiftF0.

SwiftF0 (L. Nieradzik, SwiftF0: Fast and accurate monophonic pitch detection, 2025; MIT licence) is
a network of 14,386 weights. It hears up to C7; whistling may be higher, so that the sound is also
heard at half its speed, and what is surer counts.
"""

from __future__ import annotations

import io
from functools import lru_cache
from importlib.util import find_spec
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from styletransfer.errors import InputError
from styletransfer.formats.pitch_notes import Track

RATE = 16_000
"""Samples per second that the tracker takes."""
MOST_MINUTES = 10
"""Longer recordings are refused."""
MOST_SAMPLES = MOST_MINUTES * 60 * 96_000
"""Recordings with more samples per channel are refused."""
MOST_CHANNELS = 32
LEAST_SECONDS = 0.2
LEAST_PEAK = 1e-3
"""A recording whose loudest sample is lower is silence; 1 is full scale."""
BLOCK = 1 << 18
SURE, HIGH = 0.8, 84.0
"""Sound of which the tracker is this sure, and whose median pitch is below this, is read at its own
speed only."""
SURER = 1.02
"""How many times surer the tracker must be of the sound at half its speed for that to count."""

Samples = NDArray[np.float32]


def samples_in(data: bytes, name: str) -> Samples:
    """Read a recording: one channel, :data:`RATE` samples a second, of at most 1.

    Raises:
        InputError: where the bytes are no sound, silence, too short or too long.
    """
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate = int(file.samplerate)
            if file.channels > MOST_CHANNELS:
                raise InputError(f"{name}: it has more than {MOST_CHANNELS} channels.")
            if file.frames > min(MOST_SAMPLES, rate * MOST_MINUTES * 60):
                raise InputError(
                    f"{name}: it lasts more than {MOST_MINUTES} minutes or has more than 96,000 "
                    "samples a second; cut it to the tune."
                )
            most = min(file.frames, MOST_SAMPLES)
            blocks = [
                block.mean(1, dtype=np.float32)
                for block in file.blocks(BLOCK, frames=most, dtype="float32", always_2d=True)
            ]
    except (soundfile.LibsndfileError, RuntimeError, ValueError, TypeError):
        raise InputError(
            f"{name}: the sound can't be read; export it again, as .wav or .flac."
        ) from None
    sound = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if len(sound) < LEAST_SECONDS * rate:
        raise InputError(f"{name}: it is shorter than {LEAST_SECONDS} s; record a tune.")
    if not np.isfinite(sound).all():
        raise InputError(f"{name}: its samples aren't numbers; export it again.")

    loudest = float(np.abs(sound).max())
    if loudest < LEAST_PEAK:
        raise InputError(f"{name}: it is silent; check the microphone and record it again.")
    return _resampled(np.asarray(sound / max(loudest, 1.0), np.float32), rate, RATE)


def track_pitch(samples: Samples, name: str) -> Track:
    """Track the pitch of a recording.

    Raises:
        InputError: where the tracker isn't installed.
    """
    if find_spec("swift_f0") is None:
        raise InputError(
            f"{name}: recordings are heard by swift-f0, which isn't installed; "
            "pip install 'styletransfer-music[audio]'."
        )
    heard = _track(samples, 1)
    if _sure(heard) >= SURE and np.median(heard.pitch[heard.voiced]) < HIGH:
        return heard
    slow = _track(_resampled(samples, 1, 2), 2)
    return slow if _sure(slow) > SURER * _sure(heard) else heard


@lru_cache(maxsize=1)
def _tracker() -> Any:
    from swift_f0 import SwiftF0

    return SwiftF0(threads=1, spin=False)


def _track(samples: Samples, slower: int) -> Track:
    """Track the pitch of a sound that was slowed down by a factor."""
    found = _tracker().detect(samples, RATE)
    keep = slice(None, None, slower)  # so that frames are as long as at full speed
    return Track(
        seconds=256 / RATE,
        pitch=69 + 12 * np.log2(found.pitch_hz[keep] * slower / 440),
        confidence=found.confidence[keep],
        loudness=found.loudness_db[keep],
    )


def _sure(track: Track) -> float:
    """Return how sure the tracker is, weighted by the loudness."""
    power = 10 ** (track.loudness / 20)
    return float((power * track.confidence).sum() / power.sum())


def _resampled(samples: Samples, before: int, after: int) -> Samples:
    """Resample a sound to another rate."""
    if before == after:
        return samples
    from scipy.signal import resample_poly

    divisor = gcd(before, after)
    found: Samples = resample_poly(samples, after // divisor, before // divisor).astype(np.float32)
    return found
