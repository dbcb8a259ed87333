"""Chords of an arrangement, and how its melody sits on them.

The six measures of Y.-C. Yeh et al., "Automatic melody harmonization with triad chords: a
comparative study", Journal of New Music Research 50(1), 2021: chord histogram entropy (CHE), chord
coverage (CC), chord tonal distance (CTD), chord tone to non-chord tone ratio (CTnCTR), pitch
consonance score (PCS) and melody-chord tonal distance (MCTD). None of them is better when it is
higher or lower: they are read as distance from real pieces of the composer, on excerpts of equal
length (CC grows with the length), see :mod:`styletransfer.evaluation.measures.quality`.

Chords, which the paper is given, are estimated from the *accompaniment*: with the melody's notes
each would seem to fit its chord. A segment's chord is the one of 48 triads (major, minor,
diminished, augmented, the paper's vocabulary) whose three pitch classes sound longest in it
(template matching after T. Fujishima, ICMC 1999); of equals the one whose root is the fewest
semitones above the lowest note, then the earlier in the order of ``QUALITIES``. Segments are bars,
or their halves (thirds) where a bar is long, see :func:`segments`; in a performance they are
seconds. A segment without accompaniment has no chord.

Known deviations from the paper and its published code: intervals are real ones, counted from the
chord tone up to the melody's note (the code subtracts pitch classes, so that C over G is a fifth
and B to C eleven semitones). PCS and MCTD weigh by time exactly instead of by windows of a 16th or
frames of 1/48 bar. CTnCTR counts each note once, in the segment of its onset, as the paper says;
the code counts frames and requires the resolution to be a chord tone. MCTD is a mean of distances;
the code squares the root of the *sum of differences*. A chord that lasts for several segments is
repeated in the histogram and in CTD (with distance 0), as in the code. Sevenths are read as the
triad that sounds longest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from styletransfer.evaluation.measures.chroma import sounding_time, tonal_distance
from styletransfer.music.notes import BarTable, NoteTable, Piece, bars_under

QUALITIES = {
    "major": (0, 4, 7),
    "minor": (0, 3, 7),
    "diminished": (0, 3, 6),
    "augmented": (0, 4, 8),
}
CHORDS = [(quality, root) for quality in QUALITIES for root in range(12)]
"""The 48 triads; a chord is an index into this list, -1 is none."""

NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
TEMPLATES = np.zeros((len(CHORDS), 12))
for _row, (_quality, _root) in enumerate(CHORDS):
    TEMPLATES[_row, [(_root + step) % 12 for step in QUALITIES[_quality]]] = 1.0

HALVED = 3.0
"""The fewest quarters of a bar, with an even number of beats, that has two segments.

4/4, 2/2 and 6/8 have two, 2/4 has one.
"""

PERFORMED_SEGMENT = 1.0
"""Seconds of a segment in a performance, which has no bars: half a 4/4 bar at 120."""

SILENT = 2e-3
"""Quarters or seconds of sound up to which a segment has no chord.

So little may come from a note that begins slightly early.
"""

CONSONANCE = np.array([1, -1, -1, 1, 1, 0, -1, 1, 1, 1, -1, -1])
"""The PCS of an interval above a chord tone, modulo an octave.

1 for unison, thirds, fifth and sixths, 0 for the fourth, -1 for the others.
"""

STEP = 2
"""Semitones within which a proper non-chord tone moves on."""


@dataclass(frozen=True)
class Harmony:
    """The six measures of a piece.

    ``chord_entropy`` (CHE): of the histogram of chords, in nats (natural logarithms), from 0 to ln
    48. ``chord_coverage`` (CC): different chords, from 0 to 48. ``chord_distance`` (CTD): mean
    tonal distance from one segment's chord to the next one's, from 0. ``chord_tones`` (CTnCTR):
    share of the melody's notes that are chord tones, or others that move on by at most two
    semitones, from 0 to 1. ``consonance`` (PCS): mean over time and chord tones, from -1 to 1.
    ``melody_distance`` (MCTD): mean tonal distance of the melody's note and the chord over time,
    from 0. All are NaN where there is nothing to measure (no accompaniment, no melody, one chord).
    """

    chord_entropy: float
    chord_coverage: int
    chord_distance: float
    chord_tones: float
    consonance: float
    melody_distance: float


def harmony(piece: Piece) -> Harmony:
    """Take all six measures of a piece whose melody is marked."""
    edges = segments(piece)
    accompaniment, melody = (
        in_unit(piece, ~piece.notes["melody"]),
        in_unit(piece, piece.notes["melody"]),
    )
    chords = estimate_chords(accompaniment, edges)
    return Harmony(
        chord_entropy=chord_entropy(chords),
        chord_coverage=len(np.unique(chords[chords >= 0])),
        chord_distance=chord_distance(chords),
        chord_tones=chord_tone_ratio(melody, chords, edges),
        consonance=pitch_consonance(melody, chords, edges),
        melody_distance=melody_chord_distance(melody, chords, edges),
    )


def in_unit(piece: Piece, mask: NDArray[np.bool_]) -> NoteTable:
    """Give the masked notes of a piece in the unit of its segments.

    That is quarters for a score and seconds for a performance.
    """
    notes: NoteTable = piece.notes[mask].copy()
    if piece.feel == "performance":
        notes["onset"], notes["duration"] = piece.onset_seconds[mask], piece.duration_seconds[mask]
    return notes


def segments(piece: Piece) -> NDArray[np.float64]:
    """Find the borders of the segments that have a chord each.

    A bar has two segments where its number of beats is even and it lasts at least three quarters
    (4/4, 2/2, 6/8), three in 9/4, 9/8 and 9/16, and else one. Bars after the last note are left
    out.

    Returns:
        Shape (segments + 1,), in quarters, or seconds in a performance.
    """
    if not len(piece.notes):
        return np.zeros(1)
    if piece.feel == "performance":
        begin, end = float(piece.onset_seconds.min()), piece.length_seconds
        count = int(np.ceil((end - begin) / PERFORMED_SEGMENT - 1e-9))
        return np.asarray(begin + PERFORMED_SEGMENT * np.arange(count + 1), np.float64)
    bars = bars_under(piece.bars, piece.notes)
    return np.concatenate([bars["start"][:1] + 0.0, *(_parts(bar) for bar in bars)])


def _parts(bar: BarTable) -> NDArray[np.float64]:
    """Find the ends of the segments of one bar."""
    count = (
        3
        if bar["numerator"] == 9
        else 2
        if bar["numerator"] % 2 == 0 and bar["length"] >= HALVED - 1e-6
        else 1
    )
    return np.asarray(bar["start"] + bar["length"] * np.arange(1, count + 1) / count, np.float64)


def estimate_chords(notes: NoteTable, edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Estimate the chord of each segment.

    Args:
        notes: the accompaniment, in the unit of ``edges``.
        edges: borders, shape (segments + 1,).

    Returns:
        Indices into ``CHORDS``, shape (segments,), -1 where nothing sounds.
    """
    if len(edges) < 2:
        return np.zeros(0, np.int64)
    chroma = sounding_time(notes, edges)
    above = (
        np.array([root for _, root in CHORDS]) - lowest_class(notes, edges)[:, None]
    ) % 12  # root above lowest note
    rank = above * len(QUALITIES) + np.arange(len(CHORDS)) // 12
    score = np.round(chroma @ TEMPLATES.T, 6)
    best = np.where(score == score.max(axis=1, keepdims=True), rank, 12 * len(CHORDS)).argmin(
        axis=1
    )
    return np.where(chroma.sum(axis=1) > SILENT, best, -1)


def lowest_class(notes: NoteTable, edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find the pitch class of the lowest note that sounds in each segment.

    Returns:
        Shape (segments,), -1 for none.
    """
    first = np.maximum(np.searchsorted(edges, notes["onset"] + 1e-3, side="right") - 1, 0)
    last = np.searchsorted(edges, notes["onset"] + notes["duration"] - 1e-3) - 1
    last = np.minimum(np.maximum(last, first), len(edges) - 2)
    count = np.maximum(last - first + 1, 0)
    inside = (
        np.arange(count.sum())
        - np.repeat(np.cumsum(count) - count, count)
        + np.repeat(first, count)
    )
    lowest = np.full(len(edges) - 1, 128)
    np.minimum.at(lowest, inside, np.repeat(notes["pitch"], count))
    return np.where(lowest < 128, lowest % 12, -1)


def chord_name(chord: int) -> str:
    """Name a chord, such as "F# minor"; "none" for -1."""
    return "none" if chord < 0 else f"{NAMES[CHORDS[chord][1]]} {CHORDS[chord][0]}"


def chord_entropy(chords: NDArray[np.int64]) -> float:
    """Compute CHE: the entropy of the histogram of chords, in nats.

    It is 0 for one chord, NaN for none. Segments without a chord don't count.
    """
    count = np.bincount(chords[chords >= 0])
    share = count[count > 0] / max(count.sum(), 1)
    return float(-(share * np.log(share)).sum()) + 0.0 if len(share) else float("nan")


def chord_distance(chords: NDArray[np.int64]) -> float:
    """Compute CTD: the mean tonal distance of successive chords, from 0.

    NaN for fewer than two. Segments without a chord are skipped.
    """
    known = TEMPLATES[chords[chords >= 0]]
    return float(tonal_distance(known[1:], known[:-1]).mean()) if len(known) > 1 else float("nan")


def chord_tone_ratio(
    melody: NoteTable, chords: NDArray[np.int64], edges: NDArray[np.float64]
) -> float:
    """Compute CTnCTR: (chord tones + proper non-chord tones) / melody notes.

    A note is a chord tone if it belongs to the chord at its onset, and else a proper one if the
    next note of another pitch is at most ``STEP`` semitones away. Notes at whose onset there is no
    chord don't count. From 0 to 1; NaN without melody over chords.
    """
    chord = _chord_at(melody["onset"], chords, edges)
    pitch = melody["pitch"].astype(int)
    belongs = TEMPLATES[chord, pitch % 12] > 0
    change = np.flatnonzero(np.diff(pitch)) + 1  # the first notes of another pitch
    following = np.searchsorted(change, np.arange(len(pitch)), side="right")
    moves = np.zeros(len(pitch), bool)
    has_next = following < len(change)
    moves[has_next] = np.abs(pitch[change[following[has_next]]] - pitch[has_next]) <= STEP
    counts = chord >= 0
    return float((belongs | moves)[counts].mean()) if counts.any() else float("nan")


def pitch_consonance(
    melody: NoteTable, chords: NDArray[np.int64], edges: NDArray[np.float64]
) -> float:
    """Compute PCS: the mean ``CONSONANCE`` of the melody above chord tones, over time.

    From -1 to 1, NaN without any.
    """
    table = np.array(
        [[CONSONANCE[(note - tones) % 12].mean() for note in range(12)] for tones in _tones()]
    )
    return _mean_over_time(table, melody, chords, edges)


def melody_chord_distance(
    melody: NoteTable, chords: NDArray[np.int64], edges: NDArray[np.float64]
) -> float:
    """Compute MCTD: the mean tonal distance of melody and chord, over time.

    From 0, NaN without any.
    """
    return _mean_over_time(
        tonal_distance(TEMPLATES[:, None], np.eye(12)[None]), melody, chords, edges
    )


def _tones() -> list[NDArray[np.int64]]:
    return [np.flatnonzero(template) for template in TEMPLATES]


def _mean_over_time(
    table: NDArray[np.float64],
    melody: NoteTable,
    chords: NDArray[np.int64],
    edges: NDArray[np.float64],
) -> float:
    """Average a table over the time that chord and melody both sound.

    Args:
        table: shape (48, 12), by chord and pitch class of the melody.
    """
    if not (chords >= 0).any():
        return float("nan")
    time = sounding_time(melody, edges)[chords >= 0]
    return (
        float((time * table[chords[chords >= 0]]).sum() / time.sum())
        if time.sum() > 1e-9
        else float("nan")
    )


def _chord_at(
    onset: NDArray[np.float64], chords: NDArray[np.int64], edges: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Find the chord at each onset, -1 where there is none.

    An onset within a thousandth before a border is after it.
    """
    index = np.searchsorted(edges, onset + 1e-3, side="right") - 1
    padded = np.append(chords, -1)
    return np.asarray(padded[np.where((index >= 0) & (index < len(chords)), index, len(chords))])
