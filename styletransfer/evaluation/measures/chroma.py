"""Measure chroma, how long each pitch class sounds, and place it in tonal space.

Conventions: pitch classes are 0-11 with 0 = C; chroma is *time that a pitch class sounds* in the
unit of the table (quarters for a score, seconds for what was converted), never weighted by
velocity: velocity depends on who plays, and on what. Notes of one pitch class that sound together
each count, as in pretty_midi's ``get_chroma``.

Tonal centroid: C. Harte, M. Sandler and M. Gasser, "Detecting harmonic change in musical audio",
ACM workshop on Audio and Music Computing Multimedia 2006: a chroma vector of sum 1 is projected on
the circles of fifths, of minor thirds and of major thirds, whose radii are 1, 1 and 1/2. No known
deviations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.notes import NoteTable

RADII = (1.0, 1.0, 0.5)
"""Radii of the circles of fifths, minor thirds and major thirds in Harte et al. (2006)."""

_CLASSES = np.arange(12)
_BASIS = np.concatenate(
    [
        radius * np.stack([np.sin(_CLASSES * angle), np.cos(_CLASSES * angle)])
        for radius, angle in zip(RADII, (7 * np.pi / 6, 3 * np.pi / 2, 2 * np.pi / 3), strict=True)
    ]
)  # (6, 12)


def sounding_time(notes: NoteTable, edges: NDArray[np.floating]) -> NDArray[np.float64]:
    """Measure how long each pitch class sounds in each window.

    Args:
        notes: with onsets and durations in the unit of ``edges``.
        edges: ascending borders of the windows, shape (windows + 1,).

    Returns:
        Shape (windows, 12), in the notes' unit of time.
    """
    total = np.zeros((len(edges), 12))  # time that a class has sounded until each edge
    for pitch_class in range(12):
        mine = notes[notes["pitch"] % 12 == pitch_class]
        if len(mine):
            begun = _elapsed(np.sort(mine["onset"]).astype(float), edges)
            total[:, pitch_class] = begun - _elapsed(
                np.sort(mine["onset"].astype(float) + mine["duration"]), edges
            )
    return np.maximum(np.diff(total, axis=0), 0.0)


def _elapsed(moments: NDArray[np.float64], edges: NDArray[np.floating]) -> NDArray[np.float64]:
    """Sum the time since each of some ascending moments, at each edge: shape (edges,)."""
    before = np.searchsorted(moments, edges, side="right")
    return np.asarray(
        before * edges - np.concatenate([[0.0], np.cumsum(moments)])[before], np.float64
    )


def tonal_centroid(chroma: NDArray[np.floating]) -> NDArray[np.float64]:
    """Project chroma vectors (..., 12) to points in tonal space (..., 6).

    Chroma without any sound is at the origin.
    """
    total = chroma.sum(axis=-1, keepdims=True)
    return np.asarray((chroma / np.where(total > 0, total, 1.0)) @ _BASIS.T, np.float64)


def tonal_distance(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Measure the Euclidean distance of chroma (..., 12) in tonal space.

    It is from 0 to 3, twice the norm of the radii.
    """
    return np.asarray(np.linalg.norm(tonal_centroid(a) - tonal_centroid(b), axis=-1), np.float64)


def mean_cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Average the cosines of the rows of two arrays (rows, n), from 0 to 1 for chroma.

    Rows that are silent in both are left out, rows that are silent in one count 0. NaN where all
    are silent in both.
    """
    length_a, length_b = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    either, both = (length_a > 1e-9) | (length_b > 1e-9), (length_a > 1e-9) & (length_b > 1e-9)
    if not either.any():
        return float("nan")
    cosine = (a[both] * b[both]).sum(axis=1) / (length_a[both] * length_b[both])
    return float(cosine.sum() / either.sum())
