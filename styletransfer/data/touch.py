"""How performances are played: what of :class:`styletransfer.styles.touch.Touch` the notes of a
data set tell.
"""

from __future__ import annotations

import numpy as np

from styletransfer.data.library import Library

EXCERPT = 30.0
"""Seconds of the excerpts in which loudness is measured: as long as a tune, not as a sonata."""
FEWEST_NOTES = 15
"""Of the melody and of the accompaniment in an excerpt that counts."""


def loudness(library: Library) -> dict[str, float]:
    """``accompaniment`` and ``melody``, median velocities, and ``spread``, the standard deviation
    of the accompaniment's.

    Medians over excerpts of the training performances; nothing where there are none, or all is of
    one loudness, as no pianist plays it.
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
