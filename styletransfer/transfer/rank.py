"""Which candidate is best: measures of the ranker's own, apart from the judges that report style accuracy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from styletransfer.score.harmony import Key, estimate_key, out_of_key_share
from styletransfer.score.notes import NoteTable

WEIGHTS = {"likelihood": 1.0, "contrast": 1.0, "dissonance": -1.0, "emptiness": -1.0, "outside": -1.0, "open_end": -0.3}
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


def open_end(accompaniment: NoteTable, key: Key) -> float:
    """How far the last sonority is from a close in the key: half for a bass that isn't the tonic, half for notes outside its
    triad. A song that ends elsewhere has the same in all its candidates."""
    if not len(accompaniment):
        return 1.0
    ends = accompaniment["onset"] + accompaniment["duration"]
    last = accompaniment["pitch"][ends >= ends.max() - 1e-3].astype(int)
    return 0.5 * (int(last.min()) % 12 != key.tonic) + 0.5 * (not np.isin(last % 12, key.triad).all())


def score(style: float, plain: float, melody: NoteTable, accompaniment: NoteTable) -> dict[str, float]:
    """A candidate's measures and their sum, ``total``, higher is better.

    ``style``: mean log-probability a chosen token under the style (nats); ``contrast``: how much likelier the style makes
    it than the base alone; ``dissonance``, ``emptiness`` and ``open_end`` as above, ``outside``: the share of the accompaniment
    outside the melody's key. The weights put them on the scale of the spread that each has between candidates of the same song.
    """
    key = estimate_key(melody)
    measures = {
        "likelihood": style,
        "contrast": style - plain if plain else 0.0,
        "dissonance": dissonance(melody, accompaniment),
        "emptiness": emptiness(melody, accompaniment),
        "outside": out_of_key_share(accompaniment, key),
        "open_end": open_end(accompaniment, key),
    }
    total = sum(weight * measures[name] for name, weight in WEIGHTS.items())
    return {name: round(value, 4) for name, value in (measures | {"total": total}).items()}
