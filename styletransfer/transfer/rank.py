"""Which candidate is best: measures of the ranker's own, apart from the judges that report style accuracy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from styletransfer.score.notes import NoteTable

DISSONANT = (1, 2, 6, 10, 11)
"""Intervals against the melody, modulo an octave, that need care: seconds, tritone, sevenths."""


def dissonance(melody: NoteTable, accompaniment: NoteTable) -> float:
    """Share of melody onsets at which an accompaniment note is struck that is dissonant with the melody's."""
    struck = clash = 0
    for note in melody:
        together = accompaniment["pitch"][np.abs(accompaniment["onset"] - note["onset"]) < 1e-3].astype(int)
        if len(together):
            struck += 1
            clash += bool(np.isin((int(note["pitch"]) - together) % 12, DISSONANT).any())
    return clash / struck if struck else 0.0


def emptiness(melody: NoteTable, accompaniment: NoteTable) -> float:
    """Share of the melody's time in which no accompaniment sounds, from 64 probes a bar-sized stretch of four quarters."""
    if not len(melody):
        return 0.0
    start, end = float(melody["onset"][0]), float((melody["onset"] + melody["duration"]).max())
    probes = np.linspace(start, end, max(int((end - start) * 16), 2), endpoint=False)
    return float(1 - covered(accompaniment, probes).mean())


def covered(notes: NoteTable, probes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(probes,) whether any of the notes sounds at a position in quarters."""
    begins = np.sort(notes["onset"])
    ends = np.sort(notes["onset"] + notes["duration"])
    return np.searchsorted(begins, probes, side="right") > np.searchsorted(ends, probes, side="right")


def score(style: float, plain: float, melody: NoteTable, accompaniment: NoteTable) -> dict[str, float]:
    """A candidate's measures and their sum, ``total``, higher is better.

    ``style``: mean log-probability a chosen token under the style (nats); ``contrast``: how much likelier the style makes
    it than the base alone; ``dissonance`` and ``emptiness`` as above. The weights put them on the scale of the spread that
    each has between candidates of the same song.
    """
    measures = {
        "likelihood": style,
        "contrast": style - plain if plain else 0.0,
        "dissonance": dissonance(melody, accompaniment),
        "emptiness": emptiness(melody, accompaniment),
    }
    total = measures["likelihood"] + measures["contrast"] - measures["dissonance"] - measures["emptiness"]
    return {name: round(value, 4) for name, value in (measures | {"total": total}).items()}
