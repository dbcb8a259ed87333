"""A track of pitch, as a tracker finds it in sound, as notes.

Each frame has a pitch, the tracker's confidence that there is one, and a loudness. The likeliest
path through a hidden Markov model gives the notes, by the algorithm of Viterbi: its states are
silence and the semitones, and a semitone has a few states that follow one another, so that a note
has a least duration (as in M. Mauch et al., Computer-aided melody note transcription using the Tony
software, TENOR 2015). Vibrato stays within a note, as each new note has a cost; a glide is too
short for notes of its own; a frame that is an octave off costs little; and a note that is struck
again is found by the rise of the loudness.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SPREAD = 0.35
"""Semitones by which a pitch misses its note, for one unit of cost (a Laplace distribution)."""
FARTHEST = 5.0
"""The most that a frame's pitch costs, however far off: some frames are wrong."""
OCTAVE_OFF = 2.0
"""The cost of a frame that is an octave off."""
NEW = 5.0
"""The cost of a new note: more than vibrato gains by leaving its note for half a period."""
AUDIBLE_RISE = 2.0
"""Decibels that the loudness rises within a note of vibrato."""
MOST_RISE = 12.0
"""The most decibels beyond those that make a new note likelier, by a unit of cost each."""
STAGES = 4
"""The fewest frames that a note lasts."""
NEAR = 4
"""Frames before and after an onset within which the loudness rises."""
QUIET = 45.0
"""Decibels below the loudest frames at which sound counts as silence."""
SURE = 0.5
"""Confidence from which a frame is voiced."""


@dataclass(frozen=True)
class Track:
    """A track of pitch.

    Attributes:
        seconds: the length of a frame.
        pitch: of each frame, as a MIDI number with its fraction, shape (frames,).
        confidence: that there is a pitch, from 0 to 1, shape (frames,).
        loudness: decibels, shape (frames,).
    """

    seconds: float
    pitch: Floats
    confidence: Floats
    loudness: Floats

    @property
    def voiced(self) -> NDArray[np.bool_]:
        """The frames that have a pitch and aren't silent, shape (frames,)."""
        loud = np.quantile(self.loudness, 0.95) - QUIET
        found: NDArray[np.bool_] = (self.confidence >= SURE) & (self.loudness > loud)
        return found


@dataclass(frozen=True)
class Heard:
    """Notes that were heard, each array of shape (notes,).

    ``onset`` and ``end`` are in seconds, ``pitch`` as MIDI numbers; ``tuning`` is how many
    semitones they lie above A = 440 Hz.
    """

    onset: Floats
    end: Floats
    pitch: NDArray[np.int64]
    tuning: float


def notes_in(track: Track) -> Heard:
    """Find the notes in a track of pitch."""
    none = np.zeros(0)
    if not track.voiced.any():
        return Heard(none, none, none.astype(np.int64), 0.0)
    tuning = _tuning(track)
    voiced = track.pitch[track.voiced] - tuning
    lowest, highest = np.floor(np.quantile(voiced, (0.005, 0.995)) + 0.5).astype(int)
    semitones = np.arange(lowest - 1, highest + 2)

    silence, sound = _costs(track, semitones, tuning)
    states, starts = _path(silence, sound, _rise(track.loudness))
    onsets = np.flatnonzero(starts)
    stops = np.flatnonzero((states < 0) | starts)  # where a sounding note ends
    index = np.searchsorted(stops, onsets, side="right")
    ends = np.append(stops, len(states))[index]
    begin, end = (np.asarray(frames * track.seconds, float) for frames in (onsets, ends))
    return Heard(begin, end, semitones[states[onsets]], float(tuning))


def _tuning(track: Track) -> float:
    """Return how many semitones the steady frames lie off those of A = 440 Hz.

    It is a number from -0.5 to 0.5.
    """
    steady = track.voiced & (np.abs(np.gradient(track.pitch)) < 0.2)
    chosen = steady if steady.any() else track.voiced
    angles = np.exp(2j * np.pi * track.pitch[chosen]) * track.confidence[chosen]
    return float(np.angle(angles.sum()) / (2 * np.pi))


def _costs(track: Track, semitones: NDArray[np.int64], tuning: float) -> tuple[Floats, Floats]:
    """Return the costs of each frame as silence and as each semitone.

    They have shapes (frames,) and (frames, semitones).
    """
    confidence = np.where(track.loudness > np.quantile(track.loudness, 0.95) - QUIET, 1.0, 0.05)
    confidence = np.clip(track.confidence * confidence, 0.02, 0.98)
    miss = np.abs((track.pitch - tuning)[:, None] - semitones)
    miss = np.minimum(miss / SPREAD, np.abs(miss - 12) / SPREAD + OCTAVE_OFF)
    sound = -np.log(confidence)[:, None] + confidence[:, None] * np.minimum(miss, FARTHEST)
    return -np.log(1 - confidence), sound


def _rise(loudness: Floats) -> Floats:
    """Return what a note at each frame gains by a rise of the loudness, (frames,).

    It is greatest where the loudness rises fastest.
    """
    padded = np.pad(loudness, NEAR, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, NEAR + 1)
    before, after = windows[: len(loudness)].min(1), windows[NEAR:].max(1)
    slope = np.maximum(np.gradient(loudness), 0.0)
    steepest = np.lib.stride_tricks.sliding_window_view(np.pad(slope, NEAR // 2), NEAR + 1).max(1)
    share = np.divide(slope, steepest, out=np.zeros_like(slope), where=steepest > 0)
    rise: Floats = np.clip(after - before - AUDIBLE_RISE, 0.0, MOST_RISE) * share
    return rise


def _path(
    silence: Floats, sound: Floats, rise: Floats
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Find the path of least cost.

    Returns:
        The semitone of each frame, as an index, or -1; and whether a note begins there, shape
        (frames,) each.
    """
    frames, count = sound.shape
    cost = np.full((STAGES, count), np.inf)  # of the best path to each state
    rest = 0.0
    came = np.full(frames, -1)  # before a first stage: a semitone, or -1
    stayed = np.zeros((frames, count), bool)  # whether a last stage followed itself
    left = np.full(frames, -1)  # before silence: a semitone, or -1
    for frame in range(frames):
        last = cost[-1]
        best = int(last.argmin())
        came[frame] = best if last[best] < rest else -1
        fresh = min(float(last[best]), rest) + NEW - rise[frame]

        stayed[frame] = last <= cost[-2]
        if last[best] < rest:
            left[frame], rest = best, float(last[best])
        rest += silence[frame]
        cost[1:-1], cost[-1] = cost[:-2].copy(), np.minimum(last, cost[-2])
        cost[0] = fresh
        cost += sound[frame]

    return _traced(cost[-1], rest, came, stayed, left)


def _traced(
    last: Floats,
    rest: float,
    came: NDArray[np.int64],
    stayed: NDArray[np.bool_],
    left: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Follow the best path back from its end; return the same as :func:`_path`."""
    frames = len(left)
    states = np.full(frames, -1)
    starts = np.zeros(frames, bool)
    state = int(last.argmin()) if last.min() < rest else -1
    stage = STAGES - 1
    for frame in range(frames - 1, -1, -1):
        states[frame] = state
        if state < 0:
            state, stage = int(left[frame]), STAGES - 1
        elif stage == 0:
            starts[frame] = True
            state, stage = int(came[frame]), STAGES - 1
        elif stage < STAGES - 1 or not stayed[frame, state]:
            stage -= 1

    return states, starts
