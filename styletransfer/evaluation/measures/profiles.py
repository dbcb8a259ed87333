"""Compare style profiles, histograms of successive notes, by their cosine.

Definition: the style fit of O. Cífka, U. Şimşekli and G. Richard, "Groove2Groove: one-shot music
style transfer with supervision from synthetic data", IEEE/ACM TASLP 28, 2020. Two histograms over
the notes of a piece or of many:

- onset by interval: of all pairs of notes whose onsets are less than two beats apart, the
  difference in time (12 bins) against the interval from the earlier to the later (-20 to 20
  semitones);
- onset by duration: the position of the onset in its bar (by the sixth of a quarter) against the
  duration.

The style fit is the cosine of two histograms, from 0 to 1. Both are invariant to transposition.

Known deviations from the published code: pairs of notes that begin together count once, from the
lower to the higher (there in both directions), so that a chord doesn't outweigh what follows it;
positions are those in the bar as notated, and bars of different length fall into the same bins, by
quarters after the bar line, instead of 4/4 only; durations lie in 12 bins of a sixth of a quarter,
the last of which takes all that are longer. In a performance a beat is half a second and there are
no bars: its onset by duration histogram has the durations alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from styletransfer.evaluation.measures.fidelity import PERFORMED_BEAT
from styletransfer.music.notes import Piece

BINS = 6
"""Bins per beat, in the published code (``bin_size=1/6``)."""

REACH = 2
"""Beats within which two notes are a pair, in the published code (``max_time=2``)."""

WIDEST = 20
"""Semitones of the widest interval, in the published code (``pitch_range=20``)."""

LONGEST_BAR = 6
"""Quarters of a bar with positions of their own; what comes later is in the last bin."""

_SNAP = 1e-3  # beats: an onset that is played a little before a bin's border belongs to it


def interval_profile(pieces: Sequence[Piece]) -> NDArray[np.float64]:
    """Make the onset by interval histogram of pieces.

    Returns:
        Shape (12, 41): shares of all pairs of notes, of sum 1 (0 without any pair).
    """
    total = np.zeros((REACH * BINS, 2 * WIDEST + 1))
    for piece in pieces:
        beats, _ = _beats(piece)
        pitch = piece.notes["pitch"].astype(int)
        order = np.lexsort((pitch, beats))
        beats, pitch = beats[order], pitch[order]
        for ahead in range(1, len(beats)):
            step = np.floor((beats[ahead:] - beats[:-ahead]) * BINS + _SNAP * BINS).astype(int)
            interval = pitch[ahead:] - pitch[:-ahead]
            near = step < REACH * BINS
            if not near.any():
                break
            near &= np.abs(interval) <= WIDEST
            np.add.at(total, (step[near], interval[near] + WIDEST), 1)
    return np.asarray(total / max(total.sum(), 1.0))


def duration_profile(pieces: Sequence[Piece]) -> NDArray[np.float64]:
    """Make the onset by duration histogram of pieces.

    Returns:
        Shape (36, 12): shares of all notes, of sum 1 (0 without any note).
    """
    total = np.zeros((LONGEST_BAR * BINS, REACH * BINS))
    for piece in pieces:
        beats, duration = _beats(piece)
        position = np.zeros(len(beats), int)
        if piece.feel == "score" and len(beats):
            bar = np.maximum(
                np.searchsorted(piece.bars["start"], beats + _SNAP, side="right") - 1, 0
            )
            position = np.floor((beats - piece.bars["start"][bar] + _SNAP) * BINS).astype(int)
        length = np.floor((duration + _SNAP) * BINS).astype(int)
        np.add.at(
            total,
            (np.clip(position, 0, LONGEST_BAR * BINS - 1), np.minimum(length, REACH * BINS - 1)),
            1,
        )
    return np.asarray(total / max(total.sum(), 1.0))


def style_fit(profile: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Compute the cosine of two histograms of the same shape, from 0 to 1.

    NaN where one of them is empty.
    """
    a, b = profile.ravel(), reference.ravel()
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / length if length else float("nan")


def _beats(piece: Piece) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give onsets and durations in beats, each (notes,).

    Beats are quarters in a score, half seconds in a performance.
    """
    if piece.feel == "score":
        return piece.notes["onset"].astype(float), piece.notes["duration"].astype(float)
    return piece.onset_seconds / PERFORMED_BEAT, piece.duration_seconds / PERFORMED_BEAT
