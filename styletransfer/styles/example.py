"""A piece as a style: what an arrangement may take from one that the user names, as ``--style
sonata.mid``.

Its bars of accompaniment are the figures that candidates begin with
(:mod:`styletransfer.transfer.figures`); how its accompaniment is made is what the ranker likes
(:mod:`styletransfer.transfer.ranking.likeness`); its notes are what copies are looked for in. The
base knows composers and eras, not pieces: it is told whom the judges hear in the piece, where they
are sure.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from styletransfer.data.figures import example_figures
from styletransfer.data.library import Tune
from styletransfer.errors import InputError
from styletransfer.formats.read import read_score
from styletransfer.music.copies import Copies
from styletransfer.music.idiom import Own
from styletransfer.music.melody import extract_melody, tune_kind
from styletransfer.music.ngrams import accompaniment_of, sequence_of
from styletransfer.music.notes import Piece
from styletransfer.tokens.controls import COMPOSER_ERAS, UNKNOWN

HEARD_NOTES = 2000
"""Notes of the piece, from the first, that the judges hear: a second's work."""
SURE_OF_COMPOSER, SURE_OF_ERA = 0.9, 0.6
"""Probabilities from which a judge is believed: on validation scores, with which they were chosen,
the composer is then right in nine of ten, the era in six of seven (docs/decisions.md, "A piece is a
style")."""


@dataclass(frozen=True, eq=False)
class Example:
    """A piece on beats, its melody marked, which others accompany. ``composer`` and ``era``: as
    whose it is heard.
    """

    piece: Piece
    composer: str
    era: str

    @cached_property
    def tune(self) -> Tune:
        """Whether its melody is a part of its own."""
        return tune_kind(self.piece, self.piece.notes["melody"])

    @cached_property
    def own(self) -> Own | None:
        """How its accompaniment is made, for the ranker; None where it is too short."""
        return example_figures(self.piece.notes)

    @cached_property
    def copies(self) -> Copies:
        """The index in which its copies are found."""
        return Copies.build([sequence_of(self.piece), accompaniment_of(self.piece)])


def load_example(path: Path) -> Example:
    """Read a piece to follow; the same file is read once.

    Raises:
        InputError: where it can't be read, lies on no beats, or has no accompaniment.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return _load(path, 0, 0)  # reading it says why
    return _load(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _load(path: Path, changed: int, size: int) -> Example:
    piece = read_score(path)
    if piece.feel != "score":
        raise InputError(
            f"--style {path}: it lies on no beats, so that it has no bars to follow; name a score of it."
        )
    notes = piece.notes.copy()
    notes["melody"] = extract_melody(piece)
    if notes["melody"].all():
        raise InputError(
            f"--style {path}: it is a melody alone; name a piece with an accompaniment to follow."
        )
    piece = replace(piece, notes=notes)
    return Example(piece, *heard(piece))


def heard(piece: Piece) -> tuple[str, str]:
    """Tell whose music a piece is, as composer and era; each unknown where the judges aren't
    sure.
    """
    from styletransfer.evaluation.judges.judge import load_judge

    beginning = replace(piece, notes=piece.notes[:HEARD_NOTES])
    composers, eras = load_judge("j1-composers-13"), load_judge("j1-eras")
    try:
        composer = _likeliest(
            composers.probabilities(beginning), composers.labels, SURE_OF_COMPOSER
        )
        era = _likeliest(eras.probabilities(beginning), eras.labels, SURE_OF_ERA)
    except InputError:  # too few notes
        return UNKNOWN, UNKNOWN
    return composer, COMPOSER_ERAS.get(composer, era)


def _likeliest(probability: NDArray[np.float64], labels: tuple[str, ...], sure: float) -> str:
    best = int(probability.argmax())
    return labels[best] if probability[best] >= sure else UNKNOWN
