"""Whose hand is it? How a composer's accompaniments are made, and how like them another one is.

An accompaniment's *figures* are eleven histograms and two numbers: what is struck together, which
intervals above its lowest note and under the melody, the steps of its lowest and highest notes,
degrees of the melody's key, register and room under the melody, whether it begins with the melody's
notes, onsets in the quarter and between each other, durations, notes a quarter. Composers are
compared by linear discriminant analysis (R. A. Fisher, "The use of multiple measurements in
taxonomic problems", 1936): one covariance for all, a mean for each. No probability comes from more
than the notes of the accompaniment, under the melody that it was given.

These are the ranker's own measures. The judges that report style
(:mod:`styletransfer.evaluation.judges.features`) have others, read no durations and no beats, and
are asked by nothing here. Where the means come from: ``finetune.idioms``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from styletransfer.errors import InputError
from styletransfer.folders import ASSETS
from styletransfer.music.key import estimate_key
from styletransfer.music.notes import NoteTable

TIMED = {"gaps": 8, "places": 5, "durations": 9, "rate": 1}
"""Figures that only music on beats has, and how many numbers each has."""
SIZES = {
    "struck": 5,
    "chords": 14,
    "under": 12,
    "bass": 15,
    "top": 15,
    "degrees": 12,
    "register": 12,
    "room": 8,
    "with": 1,
} | TIMED
"""All figures, in their order in the vector."""
SIZE = sum(SIZES.values())
ON_BEATS = np.concatenate([np.full(size, name in TIMED) for name, size in SIZES.items()])
"""(SIZE,) which numbers those of :data:`TIMED` are."""
STEPS = (1, 3, 5, 6, 8, 12, 13)
"""Where classes of steps begin, in semitones: seconds, thirds, a fourth, tritone and fifth, sixths,
an octave, more.
"""
GAPS = (4, 7, 9, 13, 19, 25, 49)
"""The same of distances between onsets, in 24ths of a quarter."""
LENGTHS = (0.2, 0.3, 0.4, 0.6, 0.9, 1.2, 1.9, 3.1)
"""The same of durations, in quarters."""
SHARPNESS = 0.35
"""What logits are multiplied by: figures aren't normal, nor are there enough pieces to tell their
covariance. Of .1 to 1 the likeliest in five folds of content groups of 14 composers' training
scores (lab log, 28 November)."""
FEWEST = 8
"""Notes of an accompaniment that figures tell something of; means know no excerpts with fewer."""
LEAST = -6.0
"""Nats: nothing is less like a style. Two in a thousand of composers' own excerpts are
(``finetune.idioms``).
"""
VERSION = 1


def figures(
    melody: NoteTable, accompaniment: NoteTable, together: float = 1 / 48
) -> NDArray[np.float64]:
    """(SIZE,) the figures of an accompaniment as far as its melody goes, histograms as square roots
    of shares; those of nothing are 0, and its rate that of half a note. ``together``: how far apart
    notes of one onset begin, in the unit of the onsets (quarters; seconds, of which
    :data:`ON_BEATS` is no use)."""
    end = float((melody["onset"] + melody["duration"]).max(initial=0.0))
    notes = accompaniment[accompaniment["onset"] < end]
    notes = notes[np.lexsort((notes["pitch"], notes["onset"]))]
    pitch = notes["pitch"].astype(int)
    first = np.flatnonzero(np.diff(notes["onset"], prepend=-np.inf) > together)
    size = np.diff(first, append=len(notes))
    low, high, onsets = pitch[first], pitch[first + size - 1], notes["onset"][first]
    above = np.delete(pitch - np.repeat(low, size), first)
    if len(melody):
        now = np.clip(
            np.searchsorted(melody["onset"], onsets + together, side="right") - 1, 0, None
        )
        tune, begins = (
            melody["pitch"][now].astype(int),
            np.abs(melody["onset"][now] - onsets) <= together,
        )
        quarters = max(end - float(melody["onset"][0]), 1.0)
    else:
        tune, begins, quarters = high, np.zeros(len(onsets), bool), 1.0
    place = np.round(onsets % 1 * 24).astype(int) % 24
    values = {
        "struck": _shares(size - 1, 5),
        "chords": _shares(np.where(above > 12, 12 + (above > 24), above), 14),
        "under": _shares((tune - low)[begins] % 12, 12),
        "bass": _steps(np.diff(low)),
        "top": _steps(np.diff(high)),
        "degrees": _shares((pitch - estimate_key(melody).tonic) % 12, 12),
        "register": _shares((pitch - 24) // 6, 12),
        "room": _shares((tune - high + 6) // 5, 8),
        "with": [begins.mean() if len(begins) else 0.0],
        "gaps": _shares(np.searchsorted(GAPS, np.round(np.diff(onsets) * 24)), 8),
        "places": _shares(
            np.select([place == 0, place == 12, place % 12 == 6, place % 4 == 0], [0, 1, 2, 3], 4),
            5,
        ),
        "durations": _shares(np.searchsorted(LENGTHS, notes["duration"]), 9),
        "rate": [np.log(max(len(notes), 0.5) / quarters)],
    }
    return np.concatenate([values[name] for name in SIZES])


def _shares(classes: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """(count,) square roots of the shares of classes; those beyond count as the nearest."""
    counts = np.bincount(np.clip(classes, 0, count - 1), minlength=count)
    return np.asarray(np.sqrt(counts / max(counts.sum(), 1)))


def _steps(steps: NDArray[np.int64]) -> NDArray[np.float64]:
    """(15,) shares of classes of steps, falling and rising."""
    return _shares(np.sign(steps) * np.searchsorted(STEPS, np.abs(steps), side="right") + 7, 15)


@dataclass(frozen=True)
class StyleProfile:
    """How a style's accompaniments are made.

    ``who``: the places of composers in :class:`Idioms`, or mean figures, shape (SIZE,). ``usual``:
    the mean log-probability of the style's own excerpts, in nats.
    """

    who: tuple[int, ...] | NDArray[np.float64]
    usual: float


@dataclass(frozen=True)
class Idioms:
    """Composers to compare with: ``labels`` and ``eras`` of each; ``means`` (labels, SIZE),
    ``precision`` (SIZE, SIZE), the inverse of the covariance within a composer; ``centre`` and
    ``played`` (SIZE,), the mean of composers' scores, and of their performances; ``usual``, by
    composer and by era, the mean log-probability (nats) of their excerpts of other works."""

    labels: tuple[str, ...]
    eras: tuple[str, ...]
    means: NDArray[np.float64]
    precision: NDArray[np.float64]
    centre: NDArray[np.float64]
    played: NDArray[np.float64]
    usual: dict[str, float]

    def log_probabilities(
        self, found: NDArray[np.float64], means: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """(..., means) of figures (..., SIZE): log-probabilities (nats) of the composers, or of
        other means.
        """
        away = (self.means if means is None else means) - self.centre
        weights = self.precision @ away.T
        logits = SHARPNESS * ((found - self.centre) @ weights - (away * weights.T).sum(1) / 2)
        return np.asarray(logits - np.logaddexp.reduce(logits, -1, keepdims=True))

    def known(self, name: str) -> StyleProfile | None:
        """A composer, or an era's composers; None of what it doesn't know."""
        places = tuple(
            k for k, names in enumerate(zip(self.labels, self.eras, strict=True)) if name in names
        )
        return StyleProfile(places, self.usual[name]) if places else None

    def likeness(self, melody: NoteTable, accompaniment: NoteTable, own: StyleProfile) -> float:
        """How much less likely an accompaniment is somebody's than his own usually are: nats, from
        :data:`LEAST` to 0. What is likelier still is no better: it would be a caricature. One of
        fewer than :data:`FEWEST` notes is nobody's."""
        if len(accompaniment) < FEWEST:
            return LEAST
        return float(
            np.clip(self.probability(figures(melody, accompaniment), own) - own.usual, LEAST, 0.0)
        )

    def probability(self, found: NDArray[np.float64], own: StyleProfile) -> NDArray[np.float64]:
        """(...) log-probability (nats) that figures (..., SIZE) are his."""
        if isinstance(own.who, np.ndarray):
            return np.asarray(
                self.log_probabilities(found, np.concatenate([self.means, own.who[None]]))[..., -1]
            )
        return np.asarray(
            np.logaddexp.reduce(self.log_probabilities(found)[..., list(own.who)], -1)
        )

    def on_beats(self, played: NDArray[np.float64]) -> NDArray[np.float64]:
        """(SIZE,) a mean of performances as one of scores: moved by what scores differ in, and the
        figures on beats as they are to be expected with the others."""
        away = played - self.played
        covariance, free = np.linalg.inv(self.precision), ~ON_BEATS
        away[ON_BEATS] = covariance[np.ix_(ON_BEATS, free)] @ np.linalg.solve(
            covariance[np.ix_(free, free)], away[free]
        )
        return np.asarray(self.centre + away)

    def save(self, path: Path) -> None:
        """Write it as one safetensors file."""
        from safetensors.numpy import save_file

        head = {"labels": self.labels, "eras": self.eras, "usual": self.usual}
        arrays = {
            name: getattr(self, name).astype(np.float32)
            for name in ("means", "precision", "centre", "played")
        }
        save_file(arrays, path, metadata={"idioms": json.dumps(head)})

    @classmethod
    def load(cls, path: Path) -> Idioms:
        """The inverse of :meth:`save`."""
        from safetensors import safe_open

        with safe_open(str(path), framework="numpy") as file:
            head = json.loads(file.metadata()["idioms"])
            arrays = {
                name: file.get_tensor(name).astype(float)
                for name in ("means", "precision", "centre", "played")
            }
        return cls(tuple(head["labels"]), tuple(head["eras"]), **arrays, usual=head["usual"])


@lru_cache(maxsize=1)
def shipped_idioms() -> Idioms:
    """The composers that come with the package."""
    return Idioms.load(ASSETS / "idioms.safetensors")


def save_profile(path: Path, own: StyleProfile) -> None:
    """Write a style's profile of mean figures."""
    from safetensors.numpy import save_file

    arrays = {"mean": np.asarray(own.who, np.float32), "usual": np.array([own.usual], np.float32)}
    save_file(arrays, path, metadata={"version": str(VERSION)})


def load_profile(path: Path) -> StyleProfile:
    """The inverse of :func:`save_profile`.

    Raises:
        InputError: if the file is none, or of another version.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            version = (file.metadata() or {}).get("version")
            mean, usual = (file.get_tensor(name).astype(float) for name in ("mean", "usual"))
    except (
        OSError,
        SafetensorError,
        ValueError,
        TypeError,
        AttributeError,
    ) as error:  # types that numpy doesn't have, too
        raise InputError(
            f"{path}: not the means of a style's figures ({error}); learn the style again, or delete it."
        ) from error
    if (
        version != str(VERSION)
        or mean.shape != (SIZE,)
        or usual.shape != (1,)
        or not np.isfinite([*mean, *usual]).all()
    ):
        raise InputError(
            f"{path}: not the means of a style's figures of version {VERSION}; learn the style again, or delete it."
        )
    return StyleProfile(mean, float(usual[0]))
