"""Cut excerpts of real music to compare with, and shuffle their notes.

Conventions: a score's excerpt begins on a bar line, lasts a number of quarters (whole bars), and
begins at 0; a performance's excerpt has a number of notes and begins with the first. Notes that
sound on beyond the end of a score's excerpt are cut there. The melody's notes are those
that the library marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from styletransfer.data.library import Library
from styletransfer.music.notes import BAR_DTYPE, Piece, TempoMap, make_notes

PERFORMED_QUARTER = 0.5
"""Seconds of a quarter in a performance, which has no quarters of its own."""

FEWEST_NOTES = 24
"""An excerpt with fewer notes shows nothing, and is left out."""


@dataclass(frozen=True)
class Excerpt:
    """A stretch of a real piece; ``id`` and ``group`` are the library's."""

    piece: Piece
    id: str
    group: str


def library_piece(library: Library, index: int) -> Piece:
    """Read a piece of a library as a :class:`Piece`."""
    info, packed = library.pieces[index], library.notes(index)
    unit = PERFORMED_QUARTER if info.feel == "performance" else 1.0
    notes = make_notes(
        packed["onset"].astype(float) / unit,
        packed["duration"].astype(float) / unit,
        packed["pitch"],
        packed["velocity"],
        packed["part"],
        packed["melody"],
    )
    parts = tuple(f"part {number + 1}" for number in range(int(packed["part"].max(initial=0)) + 1))
    if info.feel == "performance":
        return Piece(notes, "performance", parts=parts)
    tempo = TempoMap.steady(60.0 / info.quarters_per_minute)
    return Piece(notes, "score", library.bars(index).astype(BAR_DTYPE), tempo, parts=parts)


def score_excerpt(piece: Piece, quarters: float, place: float) -> Piece | None:
    """Cut the fewest whole bars of a score that last at least ``quarters``.

    Args:
        piece: a score.
        quarters: the length.
        place: where it begins, from 0 (the piece's first bar) to 1 (as late as the length allows).

    Returns:
        None where the piece is too short, or the excerpt has fewer than :data:`FEWEST_NOTES` notes.
    """
    bars = piece.bars
    ends = bars["start"] + bars["length"]
    latest = int(np.searchsorted(-(ends[-1] - bars["start"]), -(quarters - 1e-6), side="right")) - 1
    if latest < 0:
        return None

    first = round(place * latest)
    start = float(bars["start"][first])
    last = int(np.searchsorted(ends, start + quarters - 1e-6))
    end = float(ends[last])
    notes = piece.notes[
        (piece.notes["onset"] >= start - 1e-6) & (piece.notes["onset"] < end - 1e-6)
    ].copy()
    if len(notes) < FEWEST_NOTES:
        return None

    notes["onset"] = np.maximum(notes["onset"] - start, 0.0)
    notes["duration"] = np.minimum(notes["duration"], end - start - notes["onset"])
    rows = bars[first : last + 1].copy()
    rows["start"] -= start
    return Piece(notes, "score", rows, piece.tempo, piece.ticks_per_quarter, piece.parts)


def performance_excerpt(piece: Piece, notes: int, place: float) -> Piece | None:
    """Cut ``notes`` successive notes of a performance, or all where it has fewer.

    ``place`` is as in :func:`score_excerpt`.
    """
    count = min(notes, len(piece.notes))
    if count < FEWEST_NOTES:
        return None
    first = round(place * (len(piece.notes) - count))
    rows = piece.notes[first : first + count].copy()
    rows["onset"] -= rows["onset"][0]
    return Piece(rows, "performance", tempo=piece.tempo, parts=piece.parts)


def excerpts(
    library: Library, indices: Sequence[int], lengths: Sequence[float], most_a_piece: int = 8
) -> list[Excerpt | None]:
    """Cut an excerpt for each length, from as many content groups as there are.

    Each time a piece is used again, the excerpt is from another place of it.

    Args:
        library: where the pieces are.
        indices: scores or performances to take them from.
        lengths: quarters of each excerpt of a score, notes of each of a performance.
        most_a_piece: how often a piece is used at most.

    Returns:
        The excerpts, (lengths,), None where no piece is left that is long enough.
    """
    groups: dict[str, list[int]] = {}
    for index in indices:
        groups.setdefault(library.pieces[index].group, []).append(index)
    turns = range(max(map(len, groups.values()), default=0))
    order = [members[turn] for turn in turns for members in groups.values() if turn < len(members)]
    used = dict.fromkeys(order, 0)
    pieces: dict[int, Piece] = {}
    found: list[Excerpt | None] = []
    for number, length in enumerate(lengths):
        found.append(None)
        for index in sorted(order, key=lambda one: (used[one], order.index(one))):
            if used[index] >= most_a_piece:
                continue
            piece = pieces.setdefault(index, library_piece(library, index))
            # the golden ratio spreads them evenly
            place = (0.5 + used[index] * 0.618 + number * 0.01) % 1.0
            if piece.feel == "score":
                cut = score_excerpt(piece, length, place)
            else:
                cut = performance_excerpt(piece, int(length), place)
            if cut is not None:
                used[index] += 1
                found[-1] = Excerpt(cut, library.pieces[index].id, library.pieces[index].group)
                break

    return found


def shuffled(piece: Piece, rng: np.random.Generator) -> Piece:
    """Put distances between onsets, durations and pitches each in another order.

    What is left is their distributions: the floor for measures of music.
    """
    notes = piece.notes.copy()
    gaps = rng.permutation(np.diff(notes["onset"]))
    notes["onset"] = notes["onset"][0] + np.concatenate([[0.0], np.cumsum(gaps)])
    notes["duration"] = rng.permutation(notes["duration"])
    notes["pitch"] = rng.permutation(notes["pitch"])
    return piece.with_notes(notes)
