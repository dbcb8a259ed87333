"""Assess a piece: whose it sounds like and why, its tune, and what is copied."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol

from styletransfer.evaluation.judges.judge import Judge, load_judge
from styletransfer.evaluation.measures.fidelity import fidelity
from styletransfer.music.melody import marked
from styletransfer.music.ngrams import NoteSequence, sequence_of
from styletransfer.music.notes import Piece

COMPOSERS, ERAS = "j1-composers-13", "j1-eras"
"""The judges that are asked."""
OCTAVES = (0, 12, -12, 24, -24)
"""Semitones by which an arrangement may have moved its tune."""


class Index(Protocol):
    """What finds copies: an index of training pieces, or the filter that ships.

    The filter is :mod:`styletransfer.music.copies`.
    """

    def longest(self, piece: NoteSequence) -> tuple[int, str | None]:
        """Find the longest run that training pieces have.

        Returns:
            Its number of notes, 0 below 12, and the training piece, where that is known.
        """
        ...


@dataclass(frozen=True)
class Assessment:
    """An assessment of a piece.

    Attributes:
        composers: their probabilities, the likeliest first.
        eras: likewise.
        evidence: for the likeliest composer and era (and whatever label was asked for), the
            features that spoke most, with what each added to the score.
        melody_f1: note F1 against the original's melody (0 to 1); None without an original.
        semitones: by how much the melody is moved in that.
        longest_match_notes: notes of the longest run that is found in training pieces, in any
            transposition, the tune's own left out (0: none of 12 notes or more); None without an
            index.
        longest_match_in: the piece it is found in.
    """

    composers: dict[str, float]
    eras: dict[str, float]
    evidence: dict[str, list[tuple[str, float]]]
    melody_f1: float | None = None
    semitones: int | None = None
    longest_match_notes: int | None = None
    longest_match_in: str | None = None

    def report(self, label: str | None = None) -> dict[str, Any]:
        """Return it as plain values, as ``evaluate --json`` prints it.

        With a ``label``, a composer or an era, its probability stands there by itself, too.
        """
        found: dict[str, Any] = {"composers": self.composers, "eras": self.eras}
        if label is not None:
            found |= {"style": label, "style_probability": (self.composers | self.eras)[label]}
        return found | {
            "evidence": {name: dict(parts) for name, parts in self.evidence.items()},
            "melody_f1": self.melody_f1,
            "melody_moved_semitones": self.semitones,
            "longest_match_notes": self.longest_match_notes,
            "longest_match_in": self.longest_match_in,
        }


def assess(
    piece: Piece,
    *,
    original: Piece | None = None,
    on_beats: Piece | None = None,
    index: Index | None = None,
    label: str | None = None,
) -> Assessment:
    """Assess a piece as it was read from a file.

    Args:
        piece: its melody need not be marked.
        original: the song that it arranges.
        on_beats: the same file read as a score: an arrangement that is played from a score keeps
            the tune on its beats, not in its seconds. The reading with the higher F1 counts.
        index: of training pieces.
        label: a composer or an era whose evidence is wanted in addition to that of the likeliest.

    Raises:
        InputError: if the piece has too few notes to be judged.
    """
    evidence: dict[str, list[tuple[str, float]]] = {}
    found: list[dict[str, float]] = []
    for name in (COMPOSERS, ERAS):
        judge = _judge(name)
        values = sorted(
            zip(judge.labels, judge.probabilities(piece).tolist(), strict=True),
            key=lambda row: -row[1],
        )
        found.append(dict(values))
        for one in dict.fromkeys((values[0][0], label)):
            if one in judge.labels:
                evidence[one] = judge.evidence(piece, one, count=5)

    result = Assessment(found[0], found[1], evidence)
    tune = with_melody(piece)
    if original is not None:
        song = with_melody(original)
        readings = [tune] if on_beats is None else [tune, with_melody(on_beats)]
        kept = [
            (fidelity(song, reading, move).melody.f1, move)
            for reading in readings
            for move in OCTAVES
        ]
        best = max(kept, key=lambda row: (row[0], -abs(row[1])))
        result = replace(result, melody_f1=best[0], semitones=best[1])

    if index is not None:
        run, where = index.longest(sequence_of(tune, given_melody=original is not None))
        result = replace(result, longest_match_notes=run, longest_match_in=where)
    return result


def with_melody(piece: Piece) -> Piece:
    """Give the piece with its melody marked.

    It stays as it is where it comes from an arrangement; else the melody is searched for.
    """
    return piece if piece.notes["melody"].any() else marked(piece)


def label_of(composer: str, era: str) -> str | None:
    """Find the judges' label for a style of that composer and era.

    Returns:
        None where they know neither.
    """
    known = (*_judge(COMPOSERS).labels, *_judge(ERAS).labels)
    return next((label for label in (composer, era) if label in known), None)


@lru_cache(maxsize=4)
def _judge(name: str) -> Judge:
    return load_judge(name)
