"""The key of a tune alone.

A tune has few notes, and no bass that distinguishes the tonic from its relative. Besides how long
each pitch class sounds, which decides in :mod:`.key`, it matters where it sounds: on downbeats, at
the ends of phrases, first and last. A log-linear model weighs all of this, the same for the twelve
keys of a mode. Its weights are in ``assets/keys.json``; ``python -m benchmarks.keys --fit`` makes
them from the tunes of songs whose accompaniment shows the key.
"""

from __future__ import annotations

import json
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from styletransfer.folders import ASSETS
from styletransfer.music.key import LONGEST, Key
from styletransfer.music.notes import BarTable, NoteTable, Piece

Floats = NDArray[np.float64]

FEATURES = (
    "time",
    "root of time",
    "downbeats",
    "onsets",
    "phrase ends",
    "present",
    "last",
    "first",
    "first downbeat",
)
"""What is counted of each pitch class: see :func:`features`."""
SIGNATURE = 2.0
"""How much likelier than the key signature's keys another key has to be, in nats."""
REST, LONG = 0.45, 2.0
"""Quarters of rest after a note, or of the note itself, that end a phrase."""


def features(notes: NoteTable, bars: BarTable) -> Floats:
    """Count where the pitch classes of a tune sound.

    Args:
        notes: of the tune, at least one, in the order of their onsets.
        bars: of the piece; without any, there are no downbeats.

    Returns:
        Shares of time (and their roots), of time on downbeats, of onsets and of the ends of
        phrases, and marks of the classes that are present, of the last and first note, and of the
        first one on a downbeat, shape (features, 12).
    """
    onset = notes["onset"].astype(float)
    length = np.minimum(notes["duration"].astype(float), LONGEST)
    tone = notes["pitch"].astype(np.int64) % 12

    downbeat = np.zeros(len(notes), bool)
    if len(bars):
        start = bars["start"].astype(float)
        bar = np.maximum(np.searchsorted(start, onset + 1e-3, side="right") - 1, 0)
        downbeat = np.abs(onset - start[bar]) < 1e-2
    rest = np.append(onset[1:], np.inf) - onset - notes["duration"]
    ends = (rest >= REST) | (length >= LONG)

    def share(weight: NDArray[np.float64]) -> Floats:
        counts = np.bincount(tone, weights=weight, minlength=12)
        return np.asarray(counts / max(float(counts.sum()), 1e-9))

    time, onsets = share(length), share(np.ones(len(notes)))
    single = np.eye(12)[[tone[-1], tone[0], tone[int(downbeat.argmax())]]]
    return np.stack(
        [
            time,
            np.sqrt(time),
            share(length * downbeat),
            onsets,
            share(ends.astype(float)),
            (onsets > 0).astype(float),
            *single,
        ]
    )


def in_all_keys(counted: Floats) -> Floats:
    """Turn features to each tonic, shape (..., 12 tonics, features * 12).

    Each tonic comes first in its row.
    """
    turned = [np.roll(counted, -tonic, axis=-1) for tonic in range(12)]
    return np.stack([one.reshape(*one.shape[:-2], -1) for one in turned], axis=-2)


def tune_key_scores(notes: NoteTable, bars: BarTable) -> Floats:
    """Return the log-probability of each key of a tune, shape (2, 12).

    Major comes first, then minor, each by tonic.
    """
    weights, bias = _weights()
    scores = weights @ in_all_keys(features(notes, bars)).T + bias[:, None]
    return np.asarray(scores - np.logaddexp.reduce(scores, axis=None))


def estimate_tune_key(notes: NoteTable, bars: BarTable) -> Key:
    """Return the likeliest key of a tune, C major where there is no note at all."""
    return _likeliest(tune_key_scores(notes, bars)) if len(notes) else Key(0, "major")


def key_of_tune(melody: Piece) -> Key:
    """Estimate the key of a tune.

    It is the likelier one of its key signature's, unless another is much likelier.
    """
    if not melody.key_signatures or not len(melody.notes):
        return estimate_tune_key(melody.notes, melody.bars)
    return likelier_key(melody.notes, melody.bars, melody.key_signatures[0][1])


def likelier_key(notes: NoteTable, bars: BarTable, fifths: int) -> Key:
    """Estimate the key of a tune whose key signature is known.

    Args:
        notes: of the tune, at least one.
        bars: of the piece.
        fifths: the sharps of the signature, flats negative.
    """
    scores = tune_key_scores(notes, bars)
    major = fifths * 7 % 12
    minor = (major + 9) % 12
    written = Key(major, "major") if scores[0, major] >= scores[1, minor] else Key(minor, "minor")
    best = _likeliest(scores)
    return best if _score(scores, best) > _score(scores, written) + SIGNATURE else written


def _likeliest(scores: NDArray[np.float64]) -> Key:
    mode, tonic = np.unravel_index(int(scores.argmax()), scores.shape)
    return Key(int(tonic), "minor" if mode else "major")


def _score(scores: NDArray[np.float64], key: Key) -> float:
    return float(scores[int(key.mode == "minor"), key.tonic])


@lru_cache(maxsize=1)
def _weights() -> tuple[Floats, Floats]:
    """Load the weights, shape (2, features * 12), and each mode's bias, (2,)."""
    data = json.loads((ASSETS / "keys.json").read_text(encoding="utf-8"))
    if tuple(data["features"]) != FEATURES:
        raise ValueError("assets/keys.json was made for other features: run benchmarks/keys.py")
    weights = np.array([data["major"], data["minor"]], float).reshape(2, -1)
    return weights, np.array(data["bias"], float)
