"""Loudness, true peaks, and the limiter."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from styletransfer.outputs.loudness import (
    CEILING,
    CHUNK,
    DEEPEST,
    RATE,
    STEP,
    TARGET,
    Levels,
    turned,
)

Floats = NDArray[np.float32]


def sine(decibels: float, seconds: float, pitch: float = 1000.0) -> Floats:
    """Both channels of a sine of so many decibels relative to full scale."""
    time = np.arange(round(RATE * seconds)) / RATE
    wave = 10 ** (decibels / 20) * np.sin(2 * np.pi * pitch * time)
    return np.repeat(wave[:, None], 2, axis=1).astype(np.float32)


def struck(accent: float) -> Floats:
    """Twelve seconds of a tone at -30 dB, and in their middle a short accent of so many decibels.

    The accent dies away by 26 dB in 50 milliseconds, so that it hardly counts for the loudness.
    """
    sound, begin = sine(-30.0, 12.0), 6 * RATE
    fade = np.exp(-60 * np.arange(RATE) / RATE)[:, None].astype(np.float32)
    sound[begin : begin + RATE] += fade * sine(accent, 1.0, 440.0)
    return sound


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(-23.0, 20.0)], -23.0),
        ([(-33.0, 20.0)], -33.0),
        ([(-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0)], -23.0),
        ([(-72.0, 10.0), (-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0), (-72.0, 10.0)], -23.0),
        ([(-26.0, 20.0), (-20.0, 20.1), (-26.0, 20.0)], -23.0),
    ],
)
def test_the_meter_reads_the_signals_of_the_ebu(
    parts: list[tuple[float, float]], expected: float
) -> None:
    """Signals 1 to 5 of EBU Tech 3341, which allows 0.1 LU."""
    sound = np.concatenate([sine(*part) for part in parts])
    assert Levels.of(sound).loudness == pytest.approx(expected, abs=0.1)


def test_the_meter_reads_the_sine_of_the_itu() -> None:
    one = sine(0.0, 5.0, 997.0)
    one[:, 1] = 0.0
    assert Levels.of(one).loudness == pytest.approx(-3.01, abs=0.01)
    assert Levels.of((one * 32767).astype(np.int16)).loudness == pytest.approx(-3.01, abs=0.01)


@pytest.mark.parametrize(
    ("divisor", "degrees", "height", "expected"),
    [(4, 0, 0.5, -6.0), (4, 45, 0.5, -6.0), (6, 60, 0.5, -6.0), (8, 67.5, 0.5, -6.0)]
    + [(4, 45, 1.41, 3.0)],
)
def test_peaks_between_samples_are_found(
    divisor: int, degrees: float, height: float, expected: float
) -> None:
    """Signals 15 to 19 of EBU Tech 3341, which allows 0.2 dB above and 0.4 dB below."""
    frames = np.arange(RATE)
    wave = height * np.sin(2 * np.pi * frames / divisor + np.radians(degrees))
    wave *= np.minimum(1, np.minimum(frames, frames[::-1]) / 2000)
    assert -0.4 <= Levels.of(wave[:, None].astype(np.float32)).true_peak - expected <= 0.2


def test_chunks_leave_no_seams() -> None:
    sound = sine(-20.0, CHUNK / RATE + 0.123)
    sound[CHUNK - 1 : CHUNK + 1] = 0.5  # a peak on the seam
    whole, begun = Levels.of(sound), Levels.of(sound[: CHUNK // 2])
    steps = len(begun.power) - 10
    np.testing.assert_allclose(whole.power[:steps], begun.power[:steps], rtol=1e-6)
    np.testing.assert_allclose(whole.peak[:steps], begun.peak[:steps], rtol=1e-5)
    assert whole.true_peak == pytest.approx(20 * np.log10(0.5), abs=2.5)
    assert len(whole.power) == len(whole.peak) == -(-len(sound) // STEP)
    heard = np.concatenate(list(turned(sound, np.zeros(len(whole.peak)))))
    np.testing.assert_allclose(heard, sound, atol=1e-7)


def levelled(sound: Floats) -> tuple[Levels, NDArray[np.float64]]:
    """Bring a sound to the target, and return its levels and the gain."""
    curve = Levels.of(sound).levelled()
    return Levels.of(np.concatenate(list(turned(sound, curve)))), curve


def test_one_gain_suffices_where_peaks_are_low() -> None:
    after, curve = levelled(struck(-25.0))
    assert np.ptp(curve) == 0
    assert after.loudness == pytest.approx(TARGET, abs=0.01)
    assert after.true_peak < CEILING


def test_high_peaks_are_turned_down_a_little() -> None:
    after, curve = levelled(struck(-12.0))
    assert 1 < np.ptp(curve) <= DEEPEST
    assert after.loudness == pytest.approx(TARGET, abs=0.05)
    assert CEILING - 0.3 < after.true_peak <= CEILING + 0.001
    loudest = curve.argmin()
    assert (np.diff(curve[loudest:]) >= -1e-9).all()  # it returns steadily
    assert np.ptp(curve[: loudest - 100]) == 0  # and nothing moves long before the peak


def test_music_with_very_high_peaks_stays_softer() -> None:
    after, curve = levelled(struck(-3.0))
    assert np.ptp(curve) == pytest.approx(DEEPEST, abs=0.01)
    assert after.loudness < TARGET - 1
    assert after.true_peak <= CEILING + 0.001


def test_the_limiter_does_not_distort() -> None:
    """A tone turned by the gain of a hard case has no sidebands beyond 60 Hz above -70 dB."""
    curve = levelled(struck(-12.0))[1]
    assert np.ptp(curve) > 3
    tone = np.concatenate(list(turned(sine(0.0, len(curve) / 1000), curve)))[:, 0]
    spectrum = np.abs(np.fft.rfft(tone * np.blackman(len(tone)))) ** 2
    far = np.abs(np.fft.rfftfreq(len(tone), 1 / RATE) - 1000) > 60
    assert 10 * np.log10(spectrum[far].sum() / spectrum.sum()) < -70


def test_silence_and_very_short_sounds() -> None:
    silent = Levels.of(np.zeros((RATE, 2), np.int16))
    assert silent.loudness == silent.true_peak == -np.inf
    assert (silent.levelled() == 0).all()
    assert Levels.of(np.zeros((0, 2), np.int16)).loudness == -np.inf

    short, _ = levelled(sine(-30.0, 0.2))
    assert short.loudness == -np.inf
    assert short.true_peak == pytest.approx(CEILING, abs=0.01)
