"""Limit what an arrangement of a difficulty may ask of a pianist's hands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from styletransfer.music.grip import ALL_FINGERS
from styletransfer.tokens.codec import STEPS_PER_QUARTER, STEPS_PER_SECOND
from styletransfer.tokens.plan import Plan


@dataclass(frozen=True)
class Difficulty:
    """The limits of the accompaniment.

    Attributes:
        fingers: the most notes of the left hand and of the right, the tune's among them.
        seconds: the least time between two onsets.
        step: onsets are at multiples of so many steps of a beat.
        span: the most semitones of a hand.
        busiest: take the figures with the most onsets, this share of those that suit.
    """

    fingers: tuple[int, int] = ALL_FINGERS
    seconds: float = 0.0
    step: int = 1
    span: int = 127
    busiest: float = 1.0

    def limit(self, plan: Plan, quarters_per_minute: float) -> Plan:
        """Return a plan with these limits, at a tempo."""
        subdivision, steps_a_second = plan.subdivision.copy(), float(STEPS_PER_SECOND)
        if plan.feel == "score":
            subdivision[[place % self.step > 0 for place in range(STEPS_PER_QUARTER)]] = False
            steps_a_second = STEPS_PER_QUARTER * quarters_per_minute / 60
        return replace(
            plan,
            subdivision=subdivision,
            fingers=self.fingers,
            gap=int(self.seconds * steps_a_second),
            span=min(plan.span, self.span),
        )

    def suits(self, onsets: Sequence[int], gap: int) -> bool:
        """Return whether a figure keeps to these limits, with a gap of so many steps.

        ``onsets``: the step of each of its notes.
        """
        at_once = Counter(onsets)
        places = sorted(at_once)
        return (
            max(at_once.values(), default=0) <= sum(self.fingers) - 1
            and all(place % self.step == 0 for place in places)
            and all(later - place >= gap for place, later in pairwise(places))
        )


AS_IT_IS = Difficulty()
DIFFICULTIES = {
    "easy": Difficulty((3, 1), 0.45, STEPS_PER_QUARTER // 2, 12),
    "medium": Difficulty((4, 2), 0.2),
    "hard": Difficulty(busiest=1 / 3),
}
"""Easy: the tune alone in the right hand, up to three notes within an octave in the left, in
eighths at the fastest, two a second. Medium: one more note beside the tune, four in the left hand,
up to five onsets a second. Hard: the busiest figures."""
