"""Chords as spans of time: what an accompaniment plays, what a plan asks for, what an expert wrote down.

A chord table is a numpy structured array of ``CHORD_DTYPE``, sorted by start, without gaps or overlaps from the first bar's
start to the last bar's end. Root and bass are pitch classes; ``quality`` is an index into :data:`QUALITIES`; a span in which
no chord can be named has quality :data:`NONE` and root and bass -1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

QUALITIES = ("major", "minor", "diminished", "augmented", "dominant-seventh", "major-seventh", "minor-seventh",
             "half-diminished", "diminished-seventh")  # fmt: skip
"""Names of the qualities by their index."""

INTERVALS: tuple[tuple[int, ...], ...] = (
    (0, 4, 7),
    (0, 3, 7),
    (0, 3, 6),
    (0, 4, 8),
    (0, 4, 7, 10),
    (0, 4, 7, 11),
    (0, 3, 7, 10),
    (0, 3, 6, 10),
    (0, 3, 6, 9),
)
"""Semitones above the root of each quality's tones."""

NONE = -1
"""The quality, root and bass of a span without a chord."""

CHORD_DTYPE = np.dtype(
    [
        ("start", "<f4"),  # quarters
        ("length", "<f4"),  # quarters, > 0
        ("root", "i1"),  # pitch class, -1: no chord
        ("quality", "i1"),  # index into QUALITIES, -1: no chord
        ("bass", "i1"),  # pitch class, -1: no chord
    ]
)

ChordTable = NDArray[np.void]


def tones_of(root: int, quality: int) -> tuple[int, ...]:
    """The pitch classes of a chord, its root first.

    >>> tones_of(7, 4)
    (7, 11, 2, 5)
    """
    return tuple((root + step) % 12 for step in INTERVALS[quality])
