"""Give a score its loudness, as pianists play the style.

The model has learnt no velocities from scores. How loud the music is, how much the melody sings
above and how widely the accompaniment varies is the style's :class:`~.touch.Touch`. What varies is
by rule: downbeats and beats are stressed a little, a thick chord is struck more softly note for
note, a line swells as it rises, and a phrase of :data:`PHRASE` bars swells and dies away (after
Todd, "The dynamics of dynamics", 1992).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.notes import BarTable, NoteTable
from styletransfer.styles.touch import Touch

SINGING = 8
"""The fewest velocity steps between the medians of melody and accompaniment."""
SWELL = 12.0
"""Velocity steps between a phrase's peak and its ends, before the style's spread scales them."""
SCALE = (0.7, 2.0)
"""The least and the most by which the rules' loudness is scaled.

A drone's loudness hardly varies by itself.
"""
PHRASE = 4
"""Bars of a phrase."""


def velocities(notes: NoteTable, bars: BarTable, touch: Touch) -> NDArray[np.int64]:
    """Compute MIDI velocities by metre, texture, contour and phrase, shape (notes,).

    ``notes["melody"]`` says which notes sing.
    """
    bar = np.clip(
        np.searchsorted(bars["start"], notes["onset"] + 1e-6, side="right") - 1, 0, len(bars) - 1
    )
    within = notes["onset"] - bars["start"][bar]
    beat = np.where(bars["denominator"][bar] == 8, 1.5, 1.0)
    shape = np.where(
        within < 1e-3,
        6.0,
        np.where(np.abs(within / beat - np.round(within / beat)) < 1e-3, 2.0, -2.0),
    )

    shape += SWELL * arch(notes["onset"], bars)
    melody = notes["melody"]
    _, group, size = np.unique(np.round(notes["onset"], 6), return_inverse=True, return_counts=True)
    shape -= np.where(melody, 0.0, 2.0 * np.clip(size[group] - 2, 0, 4))

    parts = [
        (part, level)
        for part, level in ((melody, touch.melody), (~melody, touch.accompaniment))
        if part.any()
    ]
    for part, _ in parts:
        pitch = notes["pitch"][part].astype(float)
        shape[part] += np.clip(0.6 * (pitch - pitch.mean()), -8, 8)

    spread = shape[~melody].std() if not melody.all() else 0.0
    scale = float(np.clip(touch.spread / spread, *SCALE)) if spread > 0 else 1.0

    played = np.zeros(len(notes))
    for part, level in parts:
        played[part] = level + scale * (shape[part] - np.median(shape[part]))

    loudness: NDArray[np.int64] = np.clip(np.round(played), 20, 115).astype(np.int64)
    if melody.any():
        loudness[melody] = raise_melody(loudness[melody], loudness[~melody])
    return loudness


def arch(quarters: NDArray[np.float64], bars: BarTable) -> NDArray[np.float64]:
    """Place positions in their phrase's arch: 1 at its height, 0 at its ends.

    Phrases are :data:`PHRASE` bars, counted from the first whole one: a pick-up belongs to the
    first. A last phrase that is shorter has an arch of its own.
    """
    first = 1 if len(bars) > 1 and bars["start"][0] < 0 else 0
    starts = bars["start"][first::PHRASE].astype(float).copy()
    starts[0] = bars["start"][0]
    edges = np.append(starts, bars["start"][-1] + bars["length"][-1])
    phrase = np.clip(np.searchsorted(edges, quarters + 1e-6, side="right") - 1, 0, len(starts) - 1)
    along = np.clip((quarters - edges[phrase]) / (edges[phrase + 1] - edges[phrase]), 0, 1)
    return np.asarray(4 * along * (1 - along))


def raise_melody(
    melody: NDArray[np.int64], accompaniment: NDArray[np.integer]
) -> NDArray[np.int64]:
    """Raise a melody's velocities, shape (notes,), above the accompaniment's.

    They rise as a whole where their median isn't :data:`SINGING` above the accompaniment's.
    """
    if not len(accompaniment):
        return melody
    lift = np.median(accompaniment) + SINGING - np.median(melody)
    return np.minimum(melody + max(int(np.ceil(lift)), 0), 127)
