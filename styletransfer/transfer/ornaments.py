"""Make the melody of an arrangement that doesn't keep it note for note.

It has ornaments, or only those of its notes that were decoded.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.notes import NoteTable, Piece, sort_notes
from styletransfer.tokens.plan import Plan

FREED = 0.1
"""The most of a melody's notes that need not be kept, as a share: the shortest off the beat."""
SHORT_QUARTERS, SHORT_SECONDS = 0.5, 0.2
"""Notes as long as these are structural: eighths of a score."""


def structural_notes(melody: Piece) -> NDArray[np.bool_]:
    """Find the structural notes of a melody, shape (notes,).

    All but a few short ones between the beats.
    """
    notes = melody.notes
    performed = melody.feel == "performance"
    length = melody.duration_seconds if performed else notes["duration"].astype(float)
    free = length < (SHORT_SECONDS if performed else SHORT_QUARTERS) - 1e-6
    if not performed:
        free &= np.abs(notes["onset"] - np.round(notes["onset"])) > 1e-3
    free[[0, -1]] = False
    shortest = np.argsort(np.where(free, length, np.inf), kind="stable")[: int(FREED * len(notes))]
    held = np.ones(len(notes), bool)
    held[shortest[free[shortest]]] = False
    return held


def is_ornament(
    plan: Plan, onset: NDArray[np.int64], pitch: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Find the ornaments among decoded notes (steps from the start), shape (notes,).

    An ornament is the highest note at an onset where one may be.
    """
    top = {int(step): int(pitch[onset == step].max()) for step in np.unique(onset)}
    found = [
        top[step] == tone and tone in plan.ornaments_at(step)
        for step, tone in zip(onset.tolist(), pitch.tolist(), strict=True)
    ]
    return np.array(found, bool)


def add_ornaments(melody: Piece, ornaments: NoteTable) -> NoteTable:
    """Join the structural notes of a melody and ornaments as one line.

    A note ends where the next one begins.
    """
    notes = sort_notes(np.concatenate([melody.notes[structural_notes(melody)], ornaments]))
    notes["melody"], notes["part"] = True, 0
    notes["duration"][:-1] = np.minimum(
        notes["duration"][:-1], np.maximum(np.diff(notes["onset"]), 1 / melody.ticks_per_quarter)
    )
    return notes


def decoded_melody(
    melody: Piece, steps: NDArray[np.int64], onset: NDArray[np.int64], pitch: NDArray[np.int64]
) -> NoteTable:
    """Give the notes of a melody that are among the decoded ones.

    ``steps``: where the melody's notes begin; ``onset``, ``pitch``: the decoded notes.
    """
    came = set(zip(onset.tolist(), pitch.tolist(), strict=True))
    rows = zip(steps.tolist(), melody.notes["pitch"].tolist(), strict=True)
    found: NoteTable = melody.notes[np.array([row in came for row in rows], bool)]
    return found
