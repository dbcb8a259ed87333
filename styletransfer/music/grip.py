"""What two hands hold at a moment, and what they can still reach.

The hands don't cross, so they part the sounding notes, in order of pitch, at one place. A note
stays in the hand that struck it. Which hand has it isn't decided early: all places are kept at
which both hands can hold what they have, with five fingers and within a span each.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

SPAN = 14
"""Semitones that a hand spans with ease: a ninth (a tenth, 16, is a stretch)."""
FINGERS = 5
"""The most notes of a hand: one for each finger."""
ALL_FINGERS = (FINGERS, FINGERS)
"""The most notes of the left hand, and of the right."""


@dataclass
class Grip:
    """The notes that are held, and the places at which the hands may part them.

    Attributes:
        span: the semitones that a hand spans.
        fingers: the most notes of the left hand, and of the right.
        pitches: of the held notes, in ascending order.
        ends: when each of these ends, in any unit of time.
        parts: the numbers of notes that the left hand may have, the lowest ones. Empty if two
            hands can't hold the notes.
    """

    span: int = SPAN
    fingers: tuple[int, int] = ALL_FINGERS
    pitches: list[int] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    parts: set[int] = field(default_factory=lambda: {0})

    def at(self, now: float) -> Grip:
        """Return what is still held at a time, as a grip that changes by itself."""
        grip = replace(self, pitches=self.pitches[:], ends=self.ends[:], parts=set(self.parts))
        grip.release(now)
        return grip

    def release(self, now: float) -> None:
        """Let go of the notes that have ended by now."""
        over = [index for index, end in enumerate(self.ends) if end <= now]
        for index in reversed(over):
            del self.pitches[index], self.ends[index]
            self.parts = {part - (index < part) for part in self.parts}

    def take(self, pitch: int, end: float) -> None:
        """Hold one more note; one that is held at its pitch is struck again."""
        index = bisect_left(self.pitches, pitch)
        if index < len(self.pitches) and self.pitches[index] == pitch:
            self.ends[index] = max(self.ends[index], end)
            return

        self.pitches.insert(index, pitch)
        self.ends.insert(index, end)
        left = {part + 1 for part in self.parts if index <= part}
        right = {part for part in self.parts if index >= part}
        self.parts = {part for part in left | right if self.fits(part)}

    def leave_to_pedal(self) -> None:
        """Let go of the notes that end first until two hands can hold the rest."""
        while not self.parts:
            self.parts = {part for part in range(len(self.pitches) + 1) if self.fits(part)}
            if not self.parts:
                first = min(range(len(self.ends)), key=self.ends.__getitem__)
                del self.pitches[first], self.ends[first]

    def fits(self, part: int) -> bool:
        """Return whether both hands can hold the notes that are divided at a place."""
        return all(
            len(hand) <= most and (not hand or hand[-1] - hand[0] <= self.span)
            for hand, most in zip(
                (self.pitches[:part], self.pitches[part:]), self.fingers, strict=True
            )
        )

    def within_reach(self, lowest: int, highest: int) -> NDArray[np.bool_]:
        """Return which pitches one of the hands can strike beside what it holds.

        Args:
            lowest, highest: the pitches asked about.

        Returns:
            Shape (highest - lowest + 1,).
        """
        found = np.zeros(highest - lowest + 1, bool)
        for first, last in self._ranges(lowest, highest):
            found[max(first, lowest) - lowest : max(min(last, highest) - lowest + 1, 0)] = True
        return found

    def _ranges(self, lowest: int, highest: int) -> Iterator[tuple[int, int]]:
        """Give the ranges of pitches, both ends included, that a hand can strike."""
        most_left, most_right = self.fingers
        for part in self.parts:
            left, right = self.pitches[:part], self.pitches[part:]
            if len(left) < most_left:
                low = left[-1] - self.span if left else lowest
                high = left[0] + self.span if left else highest
                yield low, min(high, right[0]) if right else high
            if len(right) < most_right:
                low = right[-1] - self.span if right else lowest
                high = right[0] + self.span if right else highest
                yield max(low, left[-1]) if left else low, high
