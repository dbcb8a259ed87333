"""Measure a data set's accompaniments (:mod:`styletransfer.music.idiom`)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from styletransfer.data.library import Library, spread
from styletransfer.music.idiom import FEWEST, SIZE, StyleProfile, figures, shipped_idioms
from styletransfer.music.notes import Feel, NoteTable, make_notes

WINDOW: dict[Feel, float] = {"score": 32.0, "performance": 20.0}
"""The length of an excerpt in quarters or seconds: the same as a tune's."""
TOGETHER: dict[Feel, float] = {"score": 1 / 48, "performance": 0.03}
"""How far apart notes of one onset may begin, in quarters or seconds."""
MOST_A_PIECE = 6
"""The most excerpts taken from a piece."""
ENOUGH = 10
"""The fewest scores that show a style; with fewer, performances are measured, if there are any."""
DOUBT = 3
"""The mean of all composers counts as much as this many pieces, added to a style's own."""


def piece_figures(notes: NoteTable, feel: Feel) -> list[NDArray[np.float64]]:
    """Measure at most :data:`MOST_A_PIECE` excerpts of a piece, evenly spread.

    An excerpt has at least :data:`~styletransfer.music.idiom.FEWEST` notes of the melody and of the
    accompaniment.

    Returns:
        Figures of shape (SIZE,) for each.
    """
    rows = []
    starts = np.arange(
        0, max(float(notes["onset"].max(initial=0)) - WINDOW[feel] / 2, 1), WINDOW[feel]
    )
    for start in spread(starts.tolist(), MOST_A_PIECE):
        cut = notes[(notes["onset"] >= start) & (notes["onset"] < start + WINDOW[feel])]
        if min(cut["melody"].sum(), (~cut["melody"]).sum()) >= FEWEST:
            table = make_notes(
                cut["onset"] - start, cut["duration"], cut["pitch"], melody=cut["melody"]
            )
            rows.append(figures(table[table["melody"]], table[~table["melody"]], TOGETHER[feel]))
    return rows


def excerpt_figures(
    library: Library, indices: Iterable[int]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Measure excerpts of pieces, as :func:`piece_figures` does.

    Returns:
        The figures, shape (excerpts, SIZE), and the piece of each, shape (excerpts,).
    """
    rows, pieces = [], []
    for index in indices:
        own = piece_figures(library.notes(index), library.pieces[index].feel)
        rows += own
        pieces += [index] * len(own)
    return np.array(rows).reshape(-1, SIZE), np.array(pieces, np.int64)


def profile_of_library(library: Library) -> StyleProfile | None:
    """Measure the profile of a style by its training pieces, None without any.

    It is their mean figures, drawn towards the composers' mean the more, the fewer they are, and
    the usual log-probability of excerpts, by the mean of the other content groups.
    """
    idioms = shipped_idioms()
    scores, played = (library.select(split="train", feel=feel) for feel in ("score", "performance"))
    feel: Feel = "score" if len(scores) >= ENOUGH or not played else "performance"
    found, pieces = excerpt_figures(library, scores if feel == "score" else played)
    if not len(pieces):
        return None

    def mean(chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        every, count = found[chosen].mean(0), len(set(pieces[chosen].tolist()))
        return drawn(every if feel == "score" else idioms.on_beats(every), count)

    usual = usually()
    groups = np.array([library.pieces[one].group for one in pieces.tolist()])
    if feel == "score" and len(set(groups.tolist())) > 1:
        each = np.unique(groups)
        held = [
            idioms.probability(found[groups == one], StyleProfile(mean(groups != one), 0.0)).mean()
            for one in each
        ]
        usual = float(np.mean(held))
    return StyleProfile(mean(np.ones(len(pieces), bool)), usual)


def profile_of_score(notes: NoteTable) -> StyleProfile | None:
    """Measure the profile of one score, whose excerpts count as pieces."""
    rows = piece_figures(notes, "score")
    return StyleProfile(drawn(np.mean(rows, 0), len(rows)), usually()) if rows else None


def drawn(mean: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Draw the mean figures of some pieces towards the composers' mean, (SIZE,)."""
    centre = shipped_idioms().centre
    return np.asarray(centre + count / (count + DOUBT) * (mean - centre))


def usually() -> float:
    """Return the usual log-probability of excerpts by their own composers, in nats."""
    idioms = shipped_idioms()
    return float(np.mean([idioms.usual[label] for label in idioms.labels]))
