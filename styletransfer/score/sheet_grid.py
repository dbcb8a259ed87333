"""A piece on the grid of a page: positions in whole ticks, on the subdivisions that notation has a sign for.

Each beat of a stream of notes (the melody, the accompaniment) gets the plainest subdivision on which its notes lie.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

from styletransfer.score.notes import InputError, NoteTable, Piece

QUARTER = 3360
"""Ticks of a quarter on the page: 128th notes, triplets of 64ths, quintuplets and septuplets are whole numbers."""
LEAST = QUARTER // 16

PLAIN = {1: 0.0, 2: 0.05, 3: 0.15, 4: 0.1, 5: 0.7, 6: 0.4, 7: 0.9, 8: 0.5, 12: 0.8, 16: 0.95, 24: 1.0}
"""How hard it is to read a quarter divided so. An eighth, where it is what bars count, has the even half of these."""
ONSET_TOLERANCE, END_TOLERANCE = 0.03, 0.12
"""Quarters by which a note may lie off a subdivision at a cost of 1: fingers aim at onsets."""


class Tone(NamedTuple):
    """A note on the page's grid, in ticks."""

    start: int
    end: int
    pitch: int


@dataclass(frozen=True)
class Bar:
    """A bar, in ticks. ``offset`` is where its music begins within a full bar: above 0 for a pick-up."""

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
        """What is subdivided: a quarter, or the note that the metre counts where that is shorter and beats aren't quarters."""
        if self.denominator <= 4 or (self.denominator == 8 and self.numerator % 2 == 0 and not self.compound):
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


NO_BEATS = "a performance without beats cannot be written as a score; quantise it first, or leave --score out."


def ticks(quarters: float) -> int:
    """The nearest tick that is a whole number of 128th notes or of triplets of them."""
    return round(float(quarters) * 96) * (QUARTER // 96)


def quantise(notes: NoteTable, bars: list[Bar]) -> list[Tone]:
    """One stream of notes on the grid, in the order given."""
    raw = [(float(n["onset"]) * QUARTER, float(n["onset"] + n["duration"]) * QUARTER) for n in notes]
    found: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)  # (span's start, length): (place, tolerance)
    for start, end in raw:
        found[_span(bars, start)].append((start, ONSET_TOLERANCE))
        found[_span(bars, end)].append((end, END_TOLERANCE))
    grids = {span: _division(span, places) for span, places in found.items()}
    last = bars[-1].end
    tones = []
    for (start, end), pitch in zip(raw, notes["pitch"].tolist(), strict=True):
        span = _span(bars, start)
        step = span[1] // grids[span]
        onset = min(_snapped(start, span, grids), bar_at(bars, start).end, last - step)
        tones.append(Tone(onset, min(max(_snapped(end, _span(bars, end), grids), onset + step), last), pitch))
    return tones


def _span(bars: list[Bar], place: float) -> tuple[int, int]:
    """The span in which a place lies, as (start, length); a place less than a hundredth before one lies in it."""
    bar = bar_at(bars, place + QUARTER / 100)
    within = max(0.0, place + QUARTER / 100 - bar.start + bar.offset)
    return bar.start - bar.offset + int(within // bar.span) * bar.span, bar.span


def bar_at(bars: list[Bar], place: float) -> Bar:
    """The bar in which a place lies, in ticks; the first or the last one for places outside."""
    low, high = 0, len(bars)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if bars[middle].start <= place else (low, middle)
    return bars[low]


def _division(span: tuple[int, int], places: list[tuple[float, float]]) -> int:
    """The subdivision of a span that suits places in it, each with its tolerance."""
    start, length = span

    def cost(division: int) -> float:
        step = length / division
        off = max(abs((p - start) / step - round((p - start) / step)) * step / QUARTER / t for p, t in places)
        return off * off + PLAIN[division * QUARTER // length]

    return min((d for d in PLAIN if d * QUARTER // length in PLAIN and length % d == 0), key=cost)


def _snapped(place: float, span: tuple[int, int], grids: dict[tuple[int, int], int]) -> int:
    step = span[1] // grids[span]
    return max(0, span[0] + round((place - span[0]) / step) * step)
