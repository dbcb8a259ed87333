"""How alike the accompaniments of two bars are, and which bar a bar follows.

The figure of a bar is when its accompaniment begins notes, how many, and how high above the bar's
lowest note: what stays when the harmony changes. Two figures are as alike as the onsets that both
have, each weighted by how much of its thickness and height agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from styletransfer.tokens.codec import FROM_FIGURE, Codec, Event, Grid
from styletransfer.tokens.controls import FARTHEST

ALIKE = 0.5
"""The least likeness of a bar that is said to follow another. 42 % of the bars of composers' songs
follow one of the four before by a measure of this kind (evaluation: ``figure like one of the four
bars before``)."""
NEAR = 3
"""Semitones by which the height above the bass may differ: a third of another chord."""

Figure = dict[int, tuple[int, int]]
"""By step: the notes that begin there, and how far their lowest lies above the bar's."""

LIKE = 0.75
"""The least likeness of bars that are said to have the same figure."""
UNLIKE = 0.5
"""The greatest likeness of different figures of a piece."""
FEWEST_ONSETS, FEWEST_NOTES = 2, 3
"""The fewest onsets and notes of a bar that has a figure."""


def accompaniment(events: Iterable[Event], melody: Iterable[Event]) -> list[Event]:
    """Return the notes of a bar that aren't its melody's."""
    tune = {(event.step, event.pitch) for event in melody}
    return [event for event in events if (event.step, event.pitch) not in tune]


def figure_of(events: Sequence[Event]) -> Figure:
    """Return the figure of the accompaniment of a bar."""
    lowest = min((event.pitch for event in events), default=0)
    found: Figure = {}
    for event in events:
        count, above = found.get(event.step, (0, 128))
        found[event.step] = count + 1, min(above, event.pitch - lowest)
    return found


def likeness(one: Figure, other: Figure) -> float:
    """Compare two figures, from 0 to 1 for the same one.

    Two empty bars are alike.
    """
    if not one and not other:
        return 1.0
    total = 0.0
    for step, (count, above) in one.items():
        if step in other:
            theirs, height = other[step]
            total += 0.5
            if count == theirs:
                total += 0.25
            if abs(above - height) <= NEAR:
                total += 0.25
    return total / len(one.keys() | other.keys())


def carried_on(figures: Sequence[Figure], most_bars: int) -> list[tuple[int, int]]:
    """Find the bars of a piece that most others are like, each unlike those before it.

    Args:
        figures: of the bars.
        most_bars: how many bars with a figure, from the first, are considered.

    Returns:
        The bar, and how many have its figure, itself among them; the commonest first.
    """
    rich = [
        bar
        for bar, figure in enumerate(figures)
        if len(figure) >= FEWEST_ONSETS
        and sum(count for count, _ in figure.values()) >= FEWEST_NOTES
    ][:most_bars]
    table = np.array([[likeness(figures[a], figures[b]) for b in rich] for a in rich])
    if not rich:
        return []

    like = (table >= LIKE).sum(1)
    taken: list[int] = []
    for place in np.argsort(-like, kind="stable").tolist():
        if all(table[place, other] < UNLIKE for other in taken):
            taken.append(place)
    return [(rich[place], int(like[place])) for place in taken]


def reference_of(figure: Figure, before: Sequence[Figure], head: Figure | None = None) -> int:
    """Find the figure that another follows: the most alike of those before it.

    Of equals it is the nearest.

    Args:
        figure: of the bar.
        before: of the bars before it, the nearest first.
        head: the figure at the head of the sequence, if there is one.

    Returns:
        How many bars back, :data:`~styletransfer.tokens.codec.FROM_FIGURE`, or 0 where nothing is
        :data:`ALIKE`.
    """
    found = [(likeness(figure, one), -k, k) for k, one in enumerate(before[:FARTHEST], 1)]
    if head:
        found.append((likeness(figure, head), -FROM_FIGURE, FROM_FIGURE))
    best = max(found, default=(0.0, 0, 0))
    return best[2] if best[0] >= ALIKE else 0


def figures_of(codec: Codec, grid: Grid, bars: Iterable[int] | None = None) -> list[Figure]:
    """Return the figure of the accompaniment of each bar, or of some."""
    return [
        figure_of(accompaniment(codec.bar_events(grid, bar), codec.melody_events(grid, bar)))
        for bar in (range(grid.bars) if bars is None else bars)
    ]


def references_of(figures: Sequence[Figure], head: Figure | None = None) -> tuple[int, ...]:
    """Return which bar each bar follows; see :func:`reference_of`."""
    return tuple(
        reference_of(figure, figures[max(bar - FARTHEST, 0) : bar][::-1], head)
        for bar, figure in enumerate(figures)
    )
