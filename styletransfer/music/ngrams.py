"""n-grams of notes: the sequence of a piece, and hashes of its runs of 12 notes.

The hashes identify music. A piece is the sequence of its pitches in onset order, chords sorted from
the bass up. Notes make a chord where each begins at most ``TOLERANCE`` after the one before (why so
much: :mod:`styletransfer.data.fingerprint`). Of its n-grams, the runs of 12 notes with at least 6
distinct pitches are *seeds*: others (trills, repeated chords) can't tell pieces apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.notes import Feel, NoteTable, Piece

N = 12  # notes in an n-gram
MIN_DISTINCT = 6  # distinct pitches in an n-gram
TOLERANCE: dict[Feel, float] = {"performance": 0.05, "score": 1e-3}  # seconds; quarters

Mode = Literal["exact", "intervals"]

_BASE = 0x9E3779B97F4A7C15
"""2**64 divided by the golden ratio. Any odd number would do, but saved indexes are tied to it."""


def _scattered(count: int) -> NDArray[np.uint64]:
    """Return numbers that look random, the same everywhere, shape (count,).

    They are S. Vigna's splitmix64.
    """
    with np.errstate(over="ignore"):
        value = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_BASE)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return value ^ (value >> np.uint64(31))


_VALUES = _scattered(256)
_CHUNK = 1 << 16


@dataclass(frozen=True)
class NoteSequence:
    """The notes of a piece in the order of its n-grams.

    ``pitch`` and ``melody``, whether a note is given, have shape (notes,).
    """

    pitch: NDArray[np.uint8]
    melody: NDArray[np.bool_]


def sequence(
    onset: NDArray[np.floating],
    pitch: NDArray[np.integer],
    feel: Feel,
    melody: NDArray[np.bool_] | None = None,
) -> NoteSequence:
    """Make the sequence of notes in any order; all arrays have shape (notes,).

    Args:
        onset: in seconds for a performance, in quarters for a score.
        pitch: MIDI numbers.
        feel: the unit of the onsets, and with it the tolerance of a chord.
        melody: which notes are the input melody; none where it isn't given.
    """
    given = np.zeros(len(pitch), bool) if melody is None else melody
    order = np.argsort(onset, kind="stable")
    later = np.diff(onset[order]) > TOLERANCE[feel]
    chord = np.concatenate([[0], np.cumsum(later)]) if len(order) else order
    order = order[np.lexsort((pitch[order], chord))]
    return NoteSequence(pitch[order].astype(np.uint8), given[order].astype(bool))


def sequence_of(piece: Piece, *, given_melody: bool = True) -> NoteSequence:
    """Make the sequence of a piece.

    ``given_melody`` states whether its marked melody is an input melody, to be excluded.
    """
    onset = piece.onset_seconds if piece.feel == "performance" else piece.notes["onset"]
    return sequence(
        onset, piece.notes["pitch"], piece.feel, piece.notes["melody"] if given_melody else None
    )


def accompaniment_of(piece: Piece) -> NoteSequence:
    """Make the sequence of a piece without its melody, for an index of accompaniments.

    A figure that was copied under another melody shares no n-gram of all notes with its source, but
    one of these.
    """
    return sequence_of(piece.with_notes(piece.accompaniment), given_melody=False)


def packed_sequence(notes: NoteTable, feel: Feel, *, accompaniment: bool = False) -> NoteSequence:
    """Make the sequence of a piece of a prepared library.

    Its onsets are in the unit of its feel.
    """
    rows = notes[~notes["melody"]] if accompaniment else notes
    return sequence(rows["onset"].astype(float), rows["pitch"], feel)


def seeds_in(pitch: NDArray[np.uint8], mode: Mode) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the hashes and the positions of the seeds, both of shape (seeds,)."""
    position = np.flatnonzero(distinct(pitch, N) >= MIN_DISTINCT)
    return window_hashes(pitch, mode)[position], position


def seeds_of(piece: NoteSequence, mode: Mode) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the same of a piece, without what is nothing but its given melody."""
    hashes, position = seeds_in(piece.pitch, mode)
    mixed = ~all_melody(piece, N)[position]
    return hashes[mixed], position[mixed]


def window_hashes(pitch: NDArray[np.uint8], mode: Mode) -> NDArray[np.uint64]:
    """Return the hashes of all 12-grams, seeds or not, shape (windows,)."""
    if len(pitch) < N:
        return np.zeros(0, np.uint64)
    if mode == "exact":
        return _hashes(pitch, N)
    intervals = pitch[1:] - pitch[:-1]  # modulo 256, being unsigned: intervals still differ
    return _hashes(intervals, N - 1)


def _hashes(values: NDArray[np.uint8], n: int) -> NDArray[np.uint64]:
    """Compute polynomial hashes modulo 2**64 of all windows of n, shape (windows,).

    Equal values give equal hashes; each value stands for a random number. Chunks keep the memory
    small; their windows overlap by n - 1.
    """
    power = np.array([pow(_BASE, k, 2**64) for k in range(n)], np.uint64)
    result = np.empty(len(values) - n + 1, np.uint64)
    with np.errstate(over="ignore"):
        for begin in range(0, len(result), _CHUNK):
            end = min(begin + _CHUNK, len(result))
            part = _VALUES[values[begin : end + n - 1]]
            total = np.zeros(end - begin, np.uint64)
            for k in range(n):
                total += part[k : k + end - begin] * power[k]
            result[begin:end] = total ^ (total >> np.uint64(31))
    return result


def distinct(pitch: NDArray[np.uint8], n: int) -> NDArray[np.int64]:
    """Count the distinct pitches in each window of n, shape (windows,).

    They are the bits of the union of the pitches' bits.
    """
    windows = len(pitch) - n + 1
    if windows < 1:
        return np.zeros(0, np.int64)
    count = np.zeros(windows, np.int64)
    for half in (0, 1):
        union = np.where(
            pitch // 64 == half, np.uint64(1) << (pitch % 64).astype(np.uint64), np.uint64(0)
        )
        width = 1
        while width < n:
            step = min(width, n - width)
            union, width = union[:-step] | union[step:], width + step
        count += np.bitwise_count(union)
    return count


def variety(pitch: NDArray[np.uint8], n: int) -> NDArray[np.int64]:
    """Count the distinct steps between notes in each window of n, shape (windows,).

    A scale in octaves has two or three.
    """
    if len(pitch) < n:
        return np.zeros(0, np.int64)
    intervals = np.sort(
        np.lib.stride_tricks.sliding_window_view(pitch[1:] - pitch[:-1], n - 1), axis=1
    )
    return np.asarray(1 + np.count_nonzero(intervals[:, 1:] != intervals[:, :-1], axis=1), np.int64)


def all_melody(piece: NoteSequence, n: int) -> NDArray[np.bool_]:
    """Return whether each window of n is nothing but melody, shape (windows,)."""
    before = np.concatenate([[0], np.cumsum(piece.melody)])
    return np.asarray(before[n:] - before[:-n] == n) if len(piece.pitch) >= n else np.zeros(0, bool)
