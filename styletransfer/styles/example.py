"""Take a piece as a style that an arrangement follows: ``--style sonata.mid``.

Candidates begin with its bars of accompaniment (:mod:`styletransfer.transfer.figures`), the ranker
prefers accompaniments that are made like its own (:mod:`styletransfer.transfer.ranking.likeness`),
and copies of its notes are found. The base knows composers and eras, not pieces: it is given the
composer or era that the judges recognise in the piece, where they are sure.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from styletransfer.data.figures import profile_of_score
from styletransfer.data.library import Tune
from styletransfer.errors import InputError
from styletransfer.formats.read import read_score
from styletransfer.music.copies import Copies
from styletransfer.music.idiom import StyleProfile
from styletransfer.music.melody import extract_melody, tune_kind
from styletransfer.music.ngrams import accompaniment_of, sequence_of
from styletransfer.music.notes import Piece
from styletransfer.tokens.controls import COMPOSER_ERAS, UNKNOWN

HEARD_NOTES = 2000
"""How many notes from the start of the piece the judges read, which takes a second."""
SURE_OF_COMPOSER, SURE_OF_ERA = 0.9, 0.6
"""The probabilities from which a judge is believed.

On the validation scores by which they were chosen, the composer is then right in nine of ten, the
era in six of seven (docs/decisions/0052, "A piece is a style").
"""


@dataclass(frozen=True, eq=False)
class Example:
    """A piece on beats with its melody marked, and other notes that accompany it.

    ``composer`` and ``era``: those that the judges recognise in it, or unknown.
    """

    piece: Piece
    composer: str
    era: str

    @cached_property
    def tune(self) -> Tune:
        """Whether its melody is a part of its own or a texture."""
        return tune_kind(self.piece, self.piece.notes["melody"])

    @cached_property
    def profile(self) -> StyleProfile | None:
        """How its accompaniment is made, for the ranker; None where it is too short."""
        return profile_of_score(self.piece.notes)

    @cached_property
    def copies(self) -> Copies:
        """The index in which copies of it are found."""
        return Copies.build([sequence_of(self.piece), accompaniment_of(self.piece)])


def load_example(path: Path) -> Example:
    """Read a piece to follow; an unchanged file is read once.

    Raises:
        InputError: where it can't be read, lies on no beats, or has no accompaniment.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return _load(path, 0, 0)  # reading it reports why
    return _load(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _load(path: Path, changed: int, size: int) -> Example:
    piece = read_score(path)
    if piece.feel != "score":
        raise InputError(
            f"--style {path}: it has no beats, and so no bars to follow; give a score of it."
        )

    notes = piece.notes.copy()
    notes["melody"] = extract_melody(piece)
    if notes["melody"].all():
        raise InputError(
            f"--style {path}: it is only a melody; give a piece with an accompaniment to follow."
        )
    piece = replace(piece, notes=notes)
    return Example(piece, *recognise(piece))


def recognise(piece: Piece) -> tuple[str, str]:
    """Recognise a piece's composer and era, each unknown where the judges aren't sure."""
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
