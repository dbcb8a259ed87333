"""Which name a pitch has on the page: C sharp or D flat.

Names lie on the line of fifths, ... B flat -2, F -1, C 0, G 1, D 2 ... F sharp 6 ..., so that those
of one pitch are 12 apart. Every note has two names near its key signature, a flatter and a sharper
one. Which of them is printed depends on the key (names near the signature, and near those of the
notes around), on the harmony (notes that sound together lie near each other on the line) and on
the voice leading (a semitone is rather written as two letters, C sharp and D, than as one). These
reasons are weighed by logistic regression, with the names of the other notes as they were last
found. The centre of names is as in D. Temperley, *The Cognition of Basic Musical Structures* (MIT
Press 2001), chapter 5.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.notes import NoteTable, note_ends

LETTERS = "FCGDAEB"
CENTRE = 2.5
"""Where a key's centre lies, in fifths above its signature: between D and A in C major."""
ROUNDS = 3
"""How many times names are found, each time by means of those found before."""
REACHES = (4.0, 12.0)
"""Quarters before and after a note over which the mean of names is taken."""
TOGETHER = 0.02
"""Quarters within which notes begin together."""
NEIGHBOURS = 14
"""Rows of the table before and after a note in which those that sound with it are looked for."""
NEXT = 1.01
"""Quarters within which the next or the previous onset counts."""
SHARPER, FAR, FAR_SQUARED, IN_SIGNATURE = -0.69, -0.15, -0.018, -0.81
"""Weights of the sharper name, of a fifth of distance from the centre, of its square, and of a name
in the key signature."""
DEGREES = {6: -0.72, 8: 0.42, -2: -1.03, 7: -0.16, -3: -0.64, 9: 0.64}
"""Weights of single names, in fifths above the signature: 8 is the leading tone of minor."""
FROM_NEAR, FROM_NEAR_SQUARED, FROM_WIDE = -0.78, 0.065, -0.27
"""Weights of a fifth of distance from the mean within each of :data:`REACHES`, and of the square
of the first."""
FROM_CHORD, BEYOND_TRITONE, BEYOND_AUGMENTED = 0.19, -2.54, 0.62
"""Weights of a fifth of distance from a note that sounds at the same time, and of its lying more
than 6 or 8 fifths away; each is the mean over such notes."""
ONE_LETTER = {(1, 1): -2.28, (1, -1): -1.21, (-1, 1): -1.27, (-1, -1): -0.97}
"""Weights of a semitone on one letter: to the next onset (1) or from the last one (-1), where the
note there is higher (1) or lower (-1).

All weights were fitted on 93 scores by Beethoven, Liszt, Medtner, Schumann and Tchaikovsky, none of
which is measured in benchmarks/spelling.md."""


def spell(notes: NoteTable, fifths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the name of each note as its place on the line of fifths, shape (notes,).

    See :func:`letter_and_alter`.

    Args:
        notes: sorted by onset.
        fifths: the sharps of the key signature at each note, shape (notes,).
    """
    if not len(notes):
        return np.zeros(0, np.int64)
    home = np.asarray(fifths + CENTRE, float)
    first = notes["pitch"].astype(np.int64) * 7 % 12
    flatter = first + 12 * np.floor((home - first) / 12).astype(np.int64)
    sharper = flatter + 12
    names = np.where(home - flatter <= sharper - home, flatter, sharper)

    by_key = _by_key(sharper, fifths) - _by_key(flatter, fifths) + SHARPER
    for _ in range(ROUNDS):
        better = by_key.copy()
        for name, sign in ((sharper, 1), (flatter, -1)):
            better += sign * _by_surroundings(notes, name, names, home)
            better += sign * _by_harmony(notes, name, names)
            better += sign * _by_voice_leading(notes, name, names)
        names = np.where(better > 0, sharper, flatter)

    return names


def letter_and_alter(name: int) -> tuple[str, int]:
    """Return the letter and the alteration of a place on the line of fifths.

    Place 6 is ("F", 1), -2 is ("B", -1); alterations are in semitones.
    """
    return LETTERS[(name + 1) % 7], (name + 1) // 7


def _by_key(name: NDArray[np.int64], fifths: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weigh names by the key signature, shape (notes,)."""
    place = name - fifths
    away = np.abs(place - CENTRE)
    weight = FAR * away + FAR_SQUARED * away**2
    weight += IN_SIGNATURE * ((place >= -1) & (place <= 5))
    for degree, its in DEGREES.items():
        weight += its * (place == degree)
    return np.asarray(weight, float)


def _by_surroundings(
    notes: NoteTable,
    name: NDArray[np.int64],
    names: NDArray[np.int64],
    home: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Weigh names by their distance from the mean of those around, shape (notes,)."""
    onset, total = notes["onset"], np.concatenate([[0.0], np.cumsum(names)])
    away = []
    for reach in REACHES:
        low = np.searchsorted(onset, onset - reach - 1e-6)
        high = np.searchsorted(onset, onset + reach + 1e-6)
        others = high - low - 1
        mean = (total[high] - total[low] - names) / np.maximum(others, 1)
        away.append(np.abs(name - np.where(others > 0, mean, home)))
    near, wide = away
    weight: NDArray[np.float64] = FROM_NEAR * near + FROM_NEAR_SQUARED * near**2 + FROM_WIDE * wide
    return weight


def _by_harmony(
    notes: NoteTable, name: NDArray[np.int64], names: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Weigh names by those of the notes that sound at the same time, shape (notes,)."""
    onset, end, row = notes["onset"], note_ends(notes), np.arange(len(notes))
    weight, count = np.zeros(len(notes)), np.zeros(len(notes))
    for shift in (*range(-NEIGHBOURS, 0), *range(1, NEIGHBOURS + 1)):
        other = np.clip(row + shift, 0, len(notes) - 1)
        begun = (onset[other] <= onset + 1e-6) & (end[other] > onset + TOGETHER)
        struck = (onset[other] >= onset - 1e-6) & (onset[other] < onset + TOGETHER)
        sounds = (begun | struck) & (notes["pitch"][other] != notes["pitch"])
        sounds &= other == row + shift
        away = np.abs(name - names[other])
        own = FROM_CHORD * away + BEYOND_TRITONE * (away > 6) + BEYOND_AUGMENTED * (away > 8)
        weight += sounds * own
        count += sounds
    return weight / np.maximum(count, 1)


def _by_voice_leading(
    notes: NoteTable, name: NDArray[np.int64], names: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Weigh names by the semitones to the notes before and after, shape (notes,)."""
    weight = np.zeros(len(notes))
    for (direction, step), its in ONE_LETTER.items():
        own = np.zeros(len(notes))
        for row, other in _neighbours(notes, direction):
            semitone = notes["pitch"][other].astype(int) == notes["pitch"][row].astype(int) + step
            row, other = row[semitone], other[semitone]
            own[row] = its * ((name[row] - names[other]) % 7 == 0)
        weight += own
    return weight


def _neighbours(
    notes: NoteTable, direction: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield pairs of rows: notes, and neighbours by place in their chords.

    The neighbours are of the next or the last onset.

    Args:
        notes: sorted by onset.
        direction: 1 for the next onset, -1 for the last one.
    """
    onsets, begin, group = np.unique(
        np.round(notes["onset"] * 960), return_index=True, return_inverse=True
    )
    edges = np.append(begin, len(notes))
    target = group + direction
    row = np.flatnonzero((target >= 0) & (target < len(onsets)))
    row = row[np.abs(onsets[target[row]] - onsets[group[row]]) <= 960 * NEXT]
    for place in range(int(np.diff(edges).max())):
        inside = row[edges[target[row]] + place < edges[target[row] + 1]]
        yield inside, edges[target[inside]] + place
