"""Measure how performances are played: the loudness of melody and accompaniment.

It is a part of :class:`styletransfer.styles.touch.Touch`.
"""

from __future__ import annotations

import numpy as np

from styletransfer.data.library import Library

EXCERPT = 30.0
"""Seconds of an excerpt in which loudness is measured: as long as a tune, not as a sonata."""
FEWEST_NOTES = 15
"""How many notes an excerpt must have, both in the melody and in the accompaniment."""


def loudness(library: Library) -> dict[str, float]:
    """Measure the loudness of a library's training performances.

    Returns:
        ``accompaniment`` and ``melody``, median velocities, and ``spread``, the standard deviation
        of the accompaniment's, each the median over excerpts. Empty where there are none, or where
        all is equally loud, as no pianist plays it.
    """
    rows = []
    for index in library.select(split="train", feel="performance"):
        notes = library.notes(index)
        excerpt = (notes["onset"] // EXCERPT).astype(int)
        for number in np.unique(excerpt):
            chosen = notes[excerpt == number]
            melody, velocity = chosen["melody"], chosen["velocity"].astype(float)
            if min(melody.sum(), (~melody).sum()) >= FEWEST_NOTES:
                rows.append(
                    (
                        np.median(velocity[~melody]),
                        np.median(velocity[melody]),
                        velocity[~melody].std(),
                    )
                )

    if not rows:
        return {}
    names = ("accompaniment", "melody", "spread")
    found = {
        name: round(float(value), 1)
        for name, value in zip(names, np.median(rows, axis=0), strict=True)
    }
    return found if found["spread"] > 0 else {}
