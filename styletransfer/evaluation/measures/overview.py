"""Take all measures that need no judge, and compare them with real pieces.

They are plain numbers with names ``group.measure``: ``content`` (:mod:`.fidelity`), ``harmony``
(:mod:`.harmony`), ``quality`` (:mod:`.quality`, :mod:`.structure`), ``originality``
(:mod:`.originality`), ``size``; and, compared with real pieces of the style asked for, ``fit``
(:mod:`.profiles`) and ``distance``. Each module has the definitions. A measure that a piece doesn't
have is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from styletransfer.evaluation.measures.fidelity import fidelity
from styletransfer.evaluation.measures.harmony import harmony
from styletransfer.evaluation.measures.originality import NgramIndex
from styletransfer.evaluation.measures.profiles import duration_profile, interval_profile, style_fit
from styletransfer.evaluation.measures.quality import (
    bar_entropy,
    features,
    frechet_distance,
    groove_similarity,
    overlapped_area,
    pitch_class_entropy,
    standard_scores,
)
from styletransfer.evaluation.measures.structure import structureness
from styletransfer.music.ngrams import sequence_of
from styletransfer.music.notes import Piece

Features = dict[str, NDArray[np.float64]]

FEWEST_FOR_FRECHET = 20
"""The fewest pieces on a side: with fewer, a Fréchet distance of 32 numbers is only bias."""


@dataclass(frozen=True)
class Measured:
    """The measures of a piece.

    Attributes:
        numbers: by name.
        nearest: the nearest training piece, by mode of the index.
        features: for sets of pieces.
    """

    numbers: dict[str, float]
    nearest: dict[str, str | None]
    features: Features


def without_melody(piece: Piece) -> Piece:
    """Give the accompaniment alone."""
    return piece.with_notes(piece.notes[~piece.notes["melody"]])


def measure(
    piece: Piece,
    *,
    song: Piece | None = None,
    transposition: int = 0,
    indexes: Sequence[NgramIndex] = (),
) -> Measured:
    """Measure a piece by itself.

    Args:
        piece: its melody marked, at least one note.
        song: the song that it arranges, its melody marked; None for real pieces, whose melody isn't
            given.
        transposition: semitones that the arrangement is declared to be higher than the song.
        indexes: of the training pieces.
    """
    found = features(piece)
    numbers = {
        "size.notes": float(len(piece.notes)),
        "size.accompaniment": float((~piece.notes["melody"]).sum()),
    }
    numbers["size.density"] = float(found["density"][0])
    if song is not None:
        kept = fidelity(song, piece, transposition)
        numbers |= {
            "content.melody_f1": kept.melody.f1,
            "content.skyline_f1": kept.skyline.f1,
            "content.anywhere": kept.anywhere,
            "content.subsequence": kept.subsequence.f1,
            "content.chroma": kept.chroma,
        }

    numbers |= {f"harmony.{name}": float(value) for name, value in asdict(harmony(piece)).items()}
    numbers |= {
        "quality.pitch_class_entropy": pitch_class_entropy(piece.notes),
        "quality.bar_entropy": bar_entropy(piece),
        "quality.groove": groove_similarity(piece),
    }
    numbers |= {
        f"quality.structure_{name}": value for name, value in asdict(structureness(piece)).items()
    }
    nearest: dict[str, str | None] = {}
    notes = sequence_of(piece, given_melody=song is not None)
    for index in indexes:
        copied = index.originality(notes)
        numbers |= {f"originality.{index.mode}_{n}": share for n, share in copied.shares.items()}
        numbers[f"originality.{index.mode}_longest"] = float(copied.longest)
        nearest[index.mode] = copied.nearest

    return Measured(numbers, nearest, found)


@dataclass(frozen=True)
class Reference:
    """Real pieces of a style, cut to the arrangements' lengths, to compare these with.

    ``numbers``: of each measure, shape (pieces,). ``profiles``: the two histograms of all notes,
    and of the accompaniment.
    """

    numbers: dict[str, NDArray[np.float64]]
    profiles: dict[str, NDArray[np.float64]]
    features: tuple[Features, ...]

    @classmethod
    def of(cls, pieces: Sequence[Piece]) -> Reference:
        """Make a reference of scores, or of performances.

        It can't have both, as their units of time differ.
        """
        measured = [measure(piece) for piece in pieces]
        names = measured[0].numbers if measured else {}
        return cls(
            {name: np.array([one.numbers[name] for one in measured]) for name in names},
            _profiles(pieces),
            tuple(one.features for one in measured),
        )


def _profiles(pieces: Sequence[Piece]) -> dict[str, NDArray[np.float64]]:
    bare = [without_melody(piece) for piece in pieces]
    return {
        "intervals": interval_profile(pieces),
        "durations": duration_profile(pieces),
        "accompaniment_intervals": interval_profile(bare),
        "accompaniment_durations": duration_profile(bare),
    }


def beside(piece: Piece, numbers: dict[str, float], reference: Reference) -> dict[str, float]:
    """Measure how close a piece is to real ones.

    Returns:
        ``fit``, the cosine of its profiles and theirs; ``distance``, how many of their standard
        deviations its harmony and quality are from their mean, in absolute value;
        ``distance.harmony``, the mean of the six of harmony (of those that it has).
    """
    mine = _profiles([piece])
    result = {f"fit.{name}": style_fit(mine[name], reference.profiles[name]) for name in mine}
    apart = {}
    for name, value in numbers.items():
        if (
            name.startswith(("harmony.", "quality."))
            and name in reference.numbers
            and len(reference.features) > 1
        ):
            score = standard_scores(np.array([value]), reference.numbers[name])[0]
            apart[name] = float(abs(score))

    result |= {f"distance.{name.split('.')[1]}": value for name, value in apart.items()}
    known = [
        value
        for name, value in apart.items()
        if name.startswith("harmony.") and not np.isnan(value)
    ]
    result["distance.harmony"] = float(np.mean(known)) if known else float("nan")
    return result


def set_measures(found: Sequence[Features], reference: Reference) -> dict[str, float]:
    """Measure how alike a set of pieces and real ones are.

    Returns:
        ``overlap``, the mean overlapped area of the features, from 0 to 1, and ``frechet``; NaN for
        too few pieces.
    """
    if not len(found) or not len(reference.features):
        return {"overlap": float("nan"), "frechet": float("nan")}
    names = [name for name in found[0] if name != "scalars"]
    areas = [
        overlapped_area(
            np.array([one[name] for one in reference.features]),
            np.array([one[name] for one in found]),
        )
        for name in names
    ]
    enough = min(len(found), len(reference.features)) >= FEWEST_FOR_FRECHET
    return {
        "overlap": float(np.mean(areas)),
        "frechet": frechet_distance(reference.features, found) if enough else float("nan"),
    }
