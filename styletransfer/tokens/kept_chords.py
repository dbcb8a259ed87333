"""Chords that an accompaniment is held to while it is decoded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from styletransfer.tokens.codec import STEPS_PER_QUARTER

PASSING = STEPS_PER_QUARTER // 2
"""Steps that a tone may last which isn't of the chord."""


@dataclass(frozen=True)
class KeptChords:
    """Chords to which accompaniment is held: ``start`` (chords,) in steps, ``tones`` (chords, 12)
    pitch classes.

    What begins with a chord is of its tones, and ends before a chord that it isn't of; between the
    beats another tone may pass that is short.
    """

    start: NDArray[np.int64]
    tones: NDArray[np.bool_]

    def allows(self, now: int) -> NDArray[np.bool_]:
        """(12,) the pitch classes that may begin at a step."""
        index = max(int(np.searchsorted(self.start, now, side="right")) - 1, 0)
        return self.tones[index] if now == self.start[index] else np.ones(12, bool)

    def longest(self, now: int, pitch: int) -> int:
        """How many steps a note that begins at a step may last."""
        index = max(int(np.searchsorted(self.start, now, side="right")) - 1, 0)
        foreign = np.flatnonzero(~self.tones[index:, pitch % 12])
        if not len(foreign):
            return 1 << 40
        return PASSING if foreign[0] == 0 else int(self.start[index + foreign[0]]) - now
