"""How a composer's accompaniments are made, and how like them another one is.

An accompaniment's *figures* are eleven histograms and two numbers: what is struck together, which
intervals above its lowest note and under the melody, the steps of its lowest and highest notes,
degrees of the melody's key, register and room under the melody, whether it begins with the melody's
notes, onsets in the quarter and distances between onsets, durations, notes per quarter. Composers
are compared by linear discriminant analysis (R. A. Fisher, "The use of multiple measurements in
taxonomic problems", 1936): one covariance for all, a mean for each. No probability depends on more
than the notes of the accompaniment, under the melody that it was given.

These are the ranker's own measures. The judges that report style
(:mod:`styletransfer.evaluation.judges.features`) have others, read no durations and no beats, and
aren't used here. Where the means come from: ``finetune.idioms``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from styletransfer.errors import InputError
from styletransfer.files import check_size
from styletransfer.folders import ASSETS
from styletransfer.music.key import estimate_key
from styletransfer.music.notes import NoteTable, note_ends

TIMED = {"gaps": 8, "places": 5, "durations": 9, "rate": 1}
"""Figures that only music on beats has, and the size of each."""
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
"""All figures in their order in the vector, and the size of each."""
SIZE = sum(SIZES.values())
ON_BEATS = np.concatenate([np.full(size, name in TIMED) for name, size in SIZES.items()])
"""Which numbers of the vector are those of :data:`TIMED`, shape (SIZE,)."""
STEPS = (1, 3, 5, 6, 8, 12, 13)
"""The lower bounds of classes of steps, in semitones: seconds, thirds, a fourth, tritone and fifth,
sixths, an octave, more."""
GAPS = (4, 7, 9, 13, 19, 25, 49)
"""The lower bounds of classes of distances between onsets, in 24ths of a quarter."""
LENGTHS = (0.2, 0.3, 0.4, 0.6, 0.9, 1.2, 1.9, 3.1)
"""The bounds of classes of durations, in quarters."""
SHARPNESS = 0.35
"""Factor of the logits: figures aren't normally distributed, and there are too few pieces to
estimate their covariance. Of 0.1 to 1 it is the likeliest in five folds of content groups of 14
composers' training scores (lab log, 28 November)."""
FEWEST = 8
"""The fewest notes of an accompaniment whose figures mean something; no excerpt with fewer went
into the means."""
LEAST = -6.0
"""Nats: nothing counts as less like a style. Two in a thousand of composers' own excerpts would
(``finetune.idioms``)."""
VERSION = 1


def figures(
    melody: NoteTable, accompaniment: NoteTable, together: float = 1 / 48
) -> NDArray[np.float64]:
    """Compute the figures of an accompaniment under its melody, shape (SIZE,).

    What begins after the melody's end is left out. Histograms are square roots of shares. The
    figures of no notes are 0, and their rate is that of half a note.

    Args:
        melody: the melody, sorted.
        accompaniment: the other notes.
        together: how far apart notes of one onset begin, in the unit of the onsets: quarters, or
            seconds, for which :data:`ON_BEATS` is meaningless.
    """
    end = float(note_ends(melody).max(initial=0.0))
    notes = accompaniment[accompaniment["onset"] < end]
    notes = notes[np.lexsort((notes["pitch"], notes["onset"]))]
    pitch = notes["pitch"].astype(int)

    first = np.flatnonzero(np.diff(notes["onset"], prepend=-np.inf) > together)
    size = np.diff(first, append=len(notes))
    low, high, onsets = pitch[first], pitch[first + size - 1], notes["onset"][first]
    above = np.delete(pitch - np.repeat(low, size), first)
    if len(melody):
        before = np.searchsorted(melody["onset"], onsets + together, side="right") - 1
        now = np.clip(before, 0, None)
        tune = melody["pitch"][now].astype(int)
        begins = np.abs(melody["onset"][now] - onsets) <= together
        quarters = max(end - float(melody["onset"][0]), 1.0)
    else:
        tune, begins, quarters = high, np.zeros(len(onsets), bool), 1.0

    place = np.round(onsets % 1 * 24).astype(int) % 24
    kinds_of_place = [place == 0, place == 12, place % 12 == 6, place % 4 == 0]
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
        "places": _shares(np.select(kinds_of_place, [0, 1, 2, 3], 4), 5),
        "durations": _shares(np.searchsorted(LENGTHS, notes["duration"]), 9),
        "rate": [np.log(max(len(notes), 0.5) / quarters)],
    }
    return np.concatenate([values[name] for name in SIZES])


def _shares(classes: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Return square roots of the shares of classes, shape (count,).

    Classes beyond the last count as the nearest.
    """
    counts = np.bincount(np.clip(classes, 0, count - 1), minlength=count)
    return np.asarray(np.sqrt(counts / max(counts.sum(), 1)))


def _steps(steps: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the shares of classes of steps, falling and rising, shape (15,)."""
    return _shares(np.sign(steps) * np.searchsorted(STEPS, np.abs(steps), side="right") + 7, 15)


@dataclass(frozen=True)
class StyleProfile:
    """The accompaniments of a style.

    Attributes:
        who: the places of composers in :class:`Idioms`, or a mean of figures, shape (SIZE,).
        usual: the mean log-probability, in nats, of excerpts in the style.
    """

    who: tuple[int, ...] | NDArray[np.float64]
    usual: float


@dataclass(frozen=True)
class Idioms:
    """Composers to compare with.

    Attributes:
        labels: the composers.
        eras: the era of each.
        means: their mean figures, shape (labels, SIZE).
        precision: the inverse of the covariance within a composer, shape (SIZE, SIZE).
        centre: the mean of composers' scores, shape (SIZE,).
        played: the mean of composers' performances, shape (SIZE,).
        usual: by composer and by era, the mean log-probability, in nats, of their excerpts from
            other works.
    """

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
        """Return the log-probabilities (nats) of the composers, or of other means.

        Args:
            found: figures, shape (..., SIZE).
            means: other means, shape (means, SIZE).

        Returns:
            Shape (..., means).
        """
        away = (self.means if means is None else means) - self.centre
        weights = self.precision @ away.T
        logits = SHARPNESS * ((found - self.centre) @ weights - (away * weights.T).sum(1) / 2)
        return np.asarray(logits - np.logaddexp.reduce(logits, -1, keepdims=True))

    def known(self, name: str) -> StyleProfile | None:
        """Return the profile of a composer or an era, None where the name is unknown."""
        places = tuple(
            k for k, names in enumerate(zip(self.labels, self.eras, strict=True)) if name in names
        )
        return StyleProfile(places, self.usual[name]) if places else None

    def likeness(self, melody: NoteTable, accompaniment: NoteTable, own: StyleProfile) -> float:
        """Compare an accompaniment with a style's own, in nats from :data:`LEAST` to 0.

        This is how much less likely it is in the style than the style's own accompaniments usually
        are. Still likelier is no better: it would be a caricature. An accompaniment of fewer than
        :data:`FEWEST` notes is in no style.
        """
        if len(accompaniment) < FEWEST:
            return LEAST
        probability = self.probability(figures(melody, accompaniment), own)
        return float(np.clip(probability - own.usual, LEAST, 0.0))

    def probability(self, found: NDArray[np.float64], own: StyleProfile) -> NDArray[np.float64]:
        """Return the log-probability (nats) that figures belong to a style, shape (...).

        The figures have shape (..., SIZE).
        """
        if isinstance(own.who, np.ndarray):
            means = np.concatenate([self.means, own.who[None]])
            return np.asarray(self.log_probabilities(found, means)[..., -1])
        ours = self.log_probabilities(found)[..., list(own.who)]
        return np.asarray(np.logaddexp.reduce(ours, -1))

    def on_beats(self, played: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn a mean of performances into one of scores, shape (SIZE,).

        It is moved by the difference between scores and performances; figures on beats become those
        that are to be expected with the others.
        """
        away = played - self.played
        covariance, free = np.linalg.inv(self.precision), ~ON_BEATS
        away[ON_BEATS] = covariance[np.ix_(ON_BEATS, free)] @ np.linalg.solve(
            covariance[np.ix_(free, free)], away[free]
        )
        return np.asarray(self.centre + away)

    def save(self, path: Path) -> None:
        """Write the composers as one safetensors file."""
        from safetensors.numpy import save_file

        head = {"labels": self.labels, "eras": self.eras, "usual": self.usual}
        arrays = {
            name: getattr(self, name).astype(np.float32)
            for name in ("means", "precision", "centre", "played")
        }
        save_file(arrays, path, metadata={"idioms": json.dumps(head)})

    @classmethod
    def load(cls, path: Path) -> Idioms:
        """Load what :meth:`save` wrote."""
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
    """Load the composers that come with the package."""
    return Idioms.load(ASSETS / "idioms.safetensors")


def save_profile(path: Path, own: StyleProfile) -> None:
    """Write a style's own mean."""
    from safetensors.numpy import save_file

    arrays = {"mean": np.asarray(own.who, np.float32), "usual": np.array([own.usual], np.float32)}
    save_file(arrays, path, metadata={"version": str(VERSION)})


def load_profile(path: Path) -> StyleProfile:
    """Load what :func:`save_profile` wrote.

    Raises:
        InputError: where the file holds no such mean, or one of another version.
    """
    from safetensors import SafetensorError, safe_open

    try:
        check_size(path)
        with safe_open(str(path), framework="numpy") as file:
            version = (file.metadata() or {}).get("version")
            mean, usual = (file.get_tensor(name).astype(float) for name in ("mean", "usual"))
    except (OSError, SafetensorError, ValueError, TypeError, AttributeError) as error:
        # TypeError and AttributeError: types that numpy doesn't have
        raise InputError(
            f"{path}: not the means of a style's figures ({error}); "
            "learn the style again, or delete it."
        ) from error

    shaped = mean.shape == (SIZE,) and usual.shape == (1,)
    if version != str(VERSION) or not shaped or not np.isfinite([*mean, *usual]).all():
        raise InputError(
            f"{path}: not the means of a style's figures of version {VERSION}; "
            "learn the style again, or delete it."
        )
    return StyleProfile(mean, float(usual[0]))
