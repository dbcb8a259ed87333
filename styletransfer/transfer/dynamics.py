"""Loudness for scores: the model has learnt no velocities from them, so the page is played as a careful pianist would.

The melody sings above; downbeats and beats are stressed a little; a thick chord is struck more softly note for note; the line
swells as it rises.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from styletransfer.score.notes import BarTable, NoteTable

MELODY, ACCOMPANIMENT = 84, 58


def velocities(notes: NoteTable, bars: BarTable) -> NDArray[np.int64]:
    """(notes,) MIDI velocities by metre, texture and contour; ``notes["melody"]`` says which notes sing."""
    bar = np.clip(np.searchsorted(bars["start"], notes["onset"] + 1e-6, side="right") - 1, 0, len(bars) - 1)
    within = notes["onset"] - bars["start"][bar]
    beat = np.where(bars["denominator"][bar] == 8, 1.5, 1.0)
    stress = np.where(within < 1e-3, 6.0, np.where(np.abs(within / beat - np.round(within / beat)) < 1e-3, 2.0, -2.0))
    melody = notes["melody"]
    loudness = np.where(melody, MELODY, ACCOMPANIMENT) + stress
    _, group, size = np.unique(np.round(notes["onset"], 6), return_inverse=True, return_counts=True)
    loudness -= np.where(melody, 0.0, 2.0 * np.clip(size[group] - 2, 0, 4))
    for part in (melody, ~melody):
        if part.any():
            pitch = notes["pitch"][part].astype(float)
            loudness[part] += np.clip(0.6 * (pitch - pitch.mean()), -8, 8)
    return np.clip(np.round(loudness), 20, 110).astype(np.int64)
