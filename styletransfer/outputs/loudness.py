"""Bring sound to the loudness of EBU R128, and hold its peaks below a ceiling.

Loudness and true peak are measured as in ITU-R BS.1770-4, annexes 1 and 2, with the gates that EBU
R128 uses. One gain for the whole piece brings it to :data:`TARGET`. Peaks that would then pass the
ceiling are turned down by a limiter with look-ahead, by :data:`DEEPEST` at most: its gain falls
within :data:`ATTACK` milliseconds before a peak and returns by :data:`RELEASE` decibels a second,
so that it follows the notes and not their vibrations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 48_000
"""Frames a second; the coefficients of :data:`WEIGHTING` hold for this rate."""
TARGET = -16.0
"""The loudness of a file in LUFS."""
CEILING = -1.0
"""The highest true peak of a file, in decibels relative to full scale (dBTP)."""
DEEPEST = 6.0
"""The most decibels by which a peak is turned down; denser music stays softer than TARGET."""
ATTACK = 40
"""Milliseconds in which the limiter's gain falls, before the peak."""
RELEASE = 30.0
"""Decibels a second by which the limiter's gain returns."""
WEIGHTING = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285, 1, -1.69065929318241, 0.73248077421585),
    (1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621),
)
"""The K-weighting: a shelf for the head, then a high-pass, as second-order sections."""
OFFSET = -0.691
"""Decibels that are added to the weighted power: a sine of 997 Hz at full scale has -3.01 LUFS."""
SILENT, FAINT = -70.0, -10.0
"""The gates: in LUFS, and relative to the loudness of what passes the first."""
STEP = RATE // 1000
"""Frames of a step of the curves."""
HOP = 100
"""Steps between the beginnings of gating blocks, which last four hops."""
OVERSAMPLING = 4
CHUNK, OVERLAP = 10_000 * STEP, 2 * STEP
"""Frames that are measured at once, and those on either side by which peaks are interpolated."""

Samples = NDArray[np.int16] | NDArray[np.float32]
Curve = NDArray[np.float64]


@dataclass(frozen=True)
class Levels:
    """The course of a sound, step by step of a millisecond.

    ``power``: K-weighted, the sum of the channels, shape (steps,). ``peak``: the highest true peak
    of any channel, shape (steps,). A sample at full scale is 1.
    """

    power: Curve
    peak: Curve

    @classmethod
    def of(cls, samples: Samples) -> Levels:
        """Measure samples, shape (frames, channels); int16, or floats of at most 1."""
        from scipy.signal import resample_poly, sosfilt

        state = np.zeros((len(WEIGHTING), 2, samples.shape[1]))
        power, peak = [np.zeros(0)], [np.zeros(0)]
        for begin in range(0, len(samples), CHUNK):
            weighted, state = sosfilt(
                WEIGHTING, as_floats(samples[begin : begin + CHUNK]), axis=0, zi=state
            )
            power.append(_steps((weighted**2).sum(axis=1)).mean(axis=1))

            before = min(begin, OVERLAP)
            part = as_floats(samples[begin - before : begin + CHUNK + OVERLAP])
            between = np.abs(resample_poly(part, OVERSAMPLING, 1, axis=0)).max(axis=1)
            highest = np.maximum(
                np.abs(part).max(axis=1), between.reshape(-1, OVERSAMPLING).max(axis=1)
            )
            peak.append(_steps(highest[before : before + CHUNK]).max(axis=1))
        return cls(np.concatenate(power), np.concatenate(peak))

    @property
    def loudness(self) -> float:
        """The integrated loudness in LUFS; minus infinity where all is silent or very short."""
        hops = len(self.power) // HOP
        if hops < 4:
            return -np.inf
        power = self.power[: hops * HOP].reshape(hops, HOP).mean(axis=1)
        blocks = np.convolve(power, np.full(4, 0.25), mode="valid")
        loud = blocks[blocks > 10 ** ((SILENT - OFFSET) / 10)]
        if not len(loud):
            return -np.inf
        loud = loud[loud > loud.mean() * 10 ** (FAINT / 10)]
        return float(OFFSET + 10 * np.log10(loud.mean()))

    @property
    def true_peak(self) -> float:
        """The highest peak in dBTP, also between samples; minus infinity where all is silent."""
        highest = self.peak.max(initial=0.0)
        return float(20 * np.log10(highest)) if highest else -np.inf

    def levelled(self, ceiling: float = CEILING) -> Curve:
        """Compute the gain that brings the sound to TARGET, in decibels, shape (steps,)."""
        flat, peak = np.zeros(len(self.peak)), self.true_peak
        if peak == -np.inf:
            return flat
        most = ceiling - peak + DEEPEST
        if self.loudness == -np.inf:
            return flat + most - DEEPEST

        gain = curve = flat
        for _ in range(10):  # the limiter takes some loudness away, which is made up for
            short = TARGET - Levels(self.power * 10 ** (curve / 10), self.peak).loudness
            gain = np.minimum(gain + short, most)
            curve = gain + self._limited(ceiling, gain)
        return curve

    def _limited(self, ceiling: float, gain: Curve) -> Curve:
        """Compute the limiter's gain in decibels, shape (steps,), after another gain.

        It is at most what the peaks of the step and of its neighbours need.
        """
        from scipy.ndimage import convolve1d, minimum_filter1d

        heights = 20 * np.log10(np.maximum(self.peak, 1e-9)) + gain
        needed = np.minimum(ceiling - heights, 0.0)
        held = minimum_filter1d(needed, ATTACK + 3)
        climb = np.arange(len(held)) * RELEASE / 1000
        released = np.minimum(np.minimum.accumulate(held - climb) + climb, 0.0)
        window = np.hanning(ATTACK + 3)[1:-1]
        curve: Curve = convolve1d(released, window / window.sum(), mode="nearest")
        return curve


def turned(samples: Samples, curve: Curve) -> Iterator[NDArray[np.float32]]:
    """Turn samples up or down by decibels, shape (steps,), in chunks of shape (frames, channels).

    The gain is interpolated between the middles of the steps.
    """
    middles = (np.arange(len(curve)) + 0.5) * STEP
    factors = 10 ** (curve / 20)
    for begin in range(0, len(samples), CHUNK):
        part = as_floats(samples[begin : begin + CHUNK])
        frames = np.arange(begin, begin + len(part))
        yield (part * np.interp(frames, middles, factors)[:, None]).astype(np.float32)


def as_floats(samples: Samples) -> NDArray[np.float32]:
    """Scale int16 to floats of at most 1."""
    if samples.dtype == np.int16:
        return np.asarray(samples, np.float32) / np.float32(32768)
    return np.asarray(samples, np.float32)


def _steps(values: Curve) -> Curve:
    """Cut values, shape (frames,), into steps, shape (steps, STEP), the last filled up with 0."""
    short = -len(values) % STEP
    return np.pad(values, (0, short)).reshape(-1, STEP)
