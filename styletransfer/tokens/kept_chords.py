"""Chords that an accompaniment keeps while it is decoded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from styletransfer.tokens.codec import STEPS_PER_QUARTER

FOREVER = 1 << 40
"""More steps than any music has."""
PASSING = STEPS_PER_QUARTER // 2
"""Steps that a tone outside the chord may last."""


@dataclass(frozen=True)
class KeptChords:
    """Chords that an accompaniment keeps.

    A note that begins with a chord is one of its tones, and ends before a chord that doesn't have
    it. Between the beats other tones may pass that are short.

    Attributes:
        start: where the chords begin, in steps, shape (chords,).
        tones: their pitch classes, shape (chords, 12).
    """

    start: NDArray[np.int64]
    tones: NDArray[np.bool_]

    def allows(self, now: int) -> NDArray[np.bool_]:
        """Return the pitch classes that may begin at a step, shape (12,)."""
        index = max(int(np.searchsorted(self.start, now, side="right")) - 1, 0)
        return self.tones[index] if now == self.start[index] else np.ones(12, bool)

    def longest(self, now: int, pitch: int) -> int:
        """Return how many steps a note may last that begins at a step."""
        index = max(int(np.searchsorted(self.start, now, side="right")) - 1, 0)
        foreign = np.flatnonzero(~self.tones[index:, pitch % 12])
        if not len(foreign):
            return FOREVER
        return PASSING if foreign[0] == 0 else int(self.start[index + foreign[0]]) - now
