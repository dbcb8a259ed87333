"""A piece on the grid of a page: positions in whole ticks, on the subdivisions that notation has a
sign for.

Each beat of a stream of notes (the melody, the accompaniment) gets the plainest subdivision on
which its notes lie.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

from styletransfer.errors import InputError
from styletransfer.music.notes import NoteTable, Piece

QUARTER = 3360
"""Ticks of a quarter on the page: 128th notes, triplets of 64ths, quintuplets and septuplets are
whole numbers.
"""
LEAST = QUARTER // 16

PLAIN = {
    1: 0.0,
    2: 0.05,
    3: 0.15,
    4: 0.1,
    5: 1.0,
    6: 0.4,
    7: 1.2,
    8: 0.5,
    12: 1.5,
    16: 1.5,
    24: 3.0,
}
"""How hard it is to read a quarter divided so. An eighth, where bars count eighths, has the even
half of these.
"""
ONSET_TOLERANCE, END_TOLERANCE = 0.04, 0.2
"""Quarters by which a note may lie off a subdivision at a cost of 1: fingers aim at onsets."""
FARTHEST = {5: 0.02, 7: 0.02, 8: 0.02, 12: 0.006, 16: 0.006, 24: 0.006}
"""Quarters from which a note may be moved to the finer subdivisions, some of which are never far
away.
"""
HARD = 12.0
"""The cost of 12, 16 or 24 parts in an accompaniment: onsets that mix sixteenths and triplets in
one beat are rather moved by a twelfth of a quarter, as far as they stay apart."""
APART, PLAYED_APART = QUARTER // 32, QUARTER // 10
"""Onsets nearer than this may become one; in what is played freely, fingers strike a chord less
exactly.
"""


class Tone(NamedTuple):
    """A note on the page's grid, in ticks."""

    start: int
    end: int
    pitch: int


@dataclass(frozen=True)
class Bar:
    """A bar, in ticks. ``offset`` is where its music begins within a full bar: above 0 for a
    pick-up.
    """

    start: int
    length: int
    offset: int
    numerator: int
    denominator: int

    @property
    def end(self) -> int:
        return self.start + self.length

    @property
    def full(self) -> int:
        """Length of a full bar of the metre."""
        return 4 * QUARTER * self.numerator // self.denominator

    @property
    def compound(self) -> bool:
        """Whether beats have three parts, as in 6/8 or 6/4."""
        return self.numerator % 3 == 0 and (self.denominator >= 8 or self.numerator > 3)

    @property
    def span(self) -> int:
        """What is subdivided: a quarter, or the note that the metre counts where that is shorter
        and beats aren't quarters.
        """
        if self.denominator <= 4 or (
            self.denominator == 8 and self.numerator % 2 == 0 and not self.compound
        ):
            return QUARTER
        return max(4 * QUARTER // self.denominator, LEAST)

    @property
    def beat(self) -> int:
        """A beat: three of what the metre counts where it is compound."""
        return 3 * self.span if self.compound else self.span


def page_bars(piece: Piece) -> list[Bar]:
    """The bars of a score; a pick-up begins with the first tick of the music's time.

    Raises:
        InputError: where the piece has none.
    """
    if not len(piece.bars):
        raise InputError(NO_BEATS)
    edges = [max(0, ticks(bar["start"])) for bar in piece.bars]
    edges.append(ticks(piece.bars[-1]["start"] + piece.bars[-1]["length"]))
    bars = []
    for row, start, end in zip(piece.bars, edges[:-1], edges[1:], strict=True):
        numerator, denominator = int(row["numerator"]), int(row["denominator"])
        offset = start - ticks(row["start"]) if row["start"] < 0 else 0
        if end > start:
            bars.append(Bar(start, end - start, offset, numerator, denominator))
    return bars


NO_BEATS = (
    "music without beats cannot be written as a score; quantise it first, or leave --score out."
)


def ticks(quarters: float) -> int:
    """The nearest tick that is a whole number of 128th notes or of triplets of them."""
    return round(float(quarters) * 96) * (QUARTER // 96)


def quantise(notes: list[Tone], bars: list[Bar], *, exact: bool, apart: int = APART) -> list[Tone]:
    """One stream of notes, in the order given, on the subdivisions of its beats.

    ``exact`` (a melody) takes the finest ones too. Onsets that are more than ``apart`` ticks apart
    remain apart.
    """
    onsets: dict[tuple[int, int], set[int]] = defaultdict(set)  # by span, which is (start, length)
    ends: dict[tuple[int, int], set[int]] = defaultdict(set)
    for note in notes:
        onsets[_span(bars, note.start)].add(note.start)
        ends[_span(bars, note.end)].add(note.end)
    grids = {
        span: _grid(span, sorted(onsets[span]), ends[span], exact, apart)
        for span in onsets.keys() | ends.keys()
    }
    last = bars[-1].end
    tones = []
    for note in notes:
        step, slots = grids[_span(bars, note.start)]
        start = max(0, min(slots[note.start], bar_at(bars, note.start).end, last - step))
        span = _span(bars, note.end)
        step_there = grids[span][0]
        end = span[0] + round((note.end - span[0]) / step_there) * step_there
        tones.append(Tone(start, min(max(end, start + step), last), note.pitch))
    return tones


def raw_tones(notes: NoteTable) -> list[Tone]:
    """The notes of a sorted table in ticks, where they are; each ends at the latest where its pitch
    begins again.
    """
    starts: dict[int, list[int]] = defaultdict(list)
    tones = []
    for onset, duration, pitch in zip(
        *(notes[name].tolist() for name in ("onset", "duration", "pitch")), strict=True
    ):
        starts[pitch].append(round(onset * QUARTER))
        tones.append(Tone(round(onset * QUARTER), round((onset + duration) * QUARTER), pitch))
    return [
        tone._replace(
            end=min(
                [tone.end, *starts[tone.pitch][bisect_right(starts[tone.pitch], tone.start) :][:1]]
            )
        )
        for tone in tones
    ]


def _span(bars: list[Bar], place: float) -> tuple[int, int]:
    """The span in which a place lies, as (start, length); a place less than a hundredth before one
    lies in it.
    """
    bar = bar_at(bars, place + QUARTER / 100)
    within = max(0.0, place + QUARTER / 100 - bar.start + bar.offset)
    return bar.start - bar.offset + int(within // bar.span) * bar.span, bar.span


def bar_at(bars: list[Bar], place: float) -> Bar:
    """The bar in which a place lies, in ticks; the first or the last one for places outside."""
    return bars[max(0, bisect_right(bars, place, key=lambda bar: bar.start) - 1)]


def _grid(
    span: tuple[int, int], onsets: list[int], ends: set[int], exact: bool, apart: int
) -> tuple[int, dict[int, int]]:
    """The step of the subdivision that suits the notes in a span, and where it puts each onset."""
    start, length = span
    best: tuple[float, int, dict[int, int]] | None = None
    for division in PLAIN:
        parts = division * QUARTER // length
        if parts not in PLAIN or length % division:
            continue
        step = length // division
        slots = _slots([(onset - start) / step for onset in onsets], apart / step, division)
        if slots is None:
            continue
        off = max(
            (
                abs(start + slot * step - onset) / QUARTER
                for onset, slot in zip(onsets, slots, strict=True)
            ),
            default=0.0,
        )
        end_off = max(
            (
                abs((end - start) / step - round((end - start) / step)) * step / QUARTER
                for end in ends
            ),
            default=0.0,
        )
        cost = (off / ONSET_TOLERANCE) ** 2 + (end_off / END_TOLERANCE) ** 2
        cost += HARD if parts > 8 and not exact else PLAIN[parts]
        if off > FARTHEST.get(parts, 1.0):
            cost += 10 * HARD
        if best is None or cost < best[0]:
            best = (
                cost,
                step,
                {onset: start + slot * step for onset, slot in zip(onsets, slots, strict=True)},
            )
    assert best is not None, f"nothing divides {span}"
    return best[1:]


def _slots(places: list[float], apart: float, division: int) -> list[int] | None:
    """Whole numbers near ascending places, such that what lies apart stays apart; None where there
    are too few.
    """
    slots: list[int] = []
    for index, place in enumerate(places):
        slot = math.ceil(place - 0.5 - 1e-9)
        if index:
            slot = max(slot, slots[-1] + (place - places[index - 1] > apart))
        slots.append(slot)
    limit = division - 1 if places and places[-1] <= division - 0.5 else division
    for index in range(len(slots) - 1, -1, -1):
        slots[index] = min(slots[index], limit)
        limit = slots[index] - (index > 0 and places[index] - places[index - 1] > apart)
    return None if slots and slots[0] < 0 else slots
