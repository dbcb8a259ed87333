"""A piece on the grid of a page: positions in whole ticks.

They lie on the subdivisions that notation has a sign for. Each beat of a stream of notes (the
melody, the accompaniment) gets the plainest subdivision on which its notes lie.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from styletransfer.errors import InputError
from styletransfer.music.notes import NoteTable, Piece

QUARTER = 3360
"""Ticks of a quarter on the page: 128th notes, triplets of 64ths, quintuplets and septuplets are
whole numbers."""
LEAST = QUARTER // 16
"""Ticks of a 64th note."""

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
"""How hard it is to read a quarter divided into so many parts. Where bars count eighths, an eighth
divided into n parts counts as a quarter divided into 2n."""
ONSET_TOLERANCE, END_TOLERANCE = 0.04, 0.2
"""Quarters by which a note may lie off a subdivision at a cost of 1: fingers aim at onsets."""
FARTHEST = {5: 0.02, 7: 0.02, 8: 0.02, 12: 0.006, 16: 0.006, 24: 0.006}
"""The most quarters by which a note may be moved to one of the finer subdivisions, which always
have some place nearby."""
HARD = 12.0
"""The cost of 12, 16 or 24 parts in an accompaniment: onsets that mix sixteenths and triplets in
one beat are moved by a twelfth of a quarter instead, as long as they stay apart."""
APART, PLAYED_APART = QUARTER // 32, QUARTER // 10
"""Ticks below which onsets may become one; in free playing, the notes of a chord are struck less
exactly together."""


class Tone(NamedTuple):
    """A note on the page's grid, in ticks."""

    start: int
    end: int
    pitch: int


@dataclass(frozen=True)
class Bar:
    """A bar, in ticks.

    ``offset`` is where its music begins within a full bar: above 0 for a pick-up.
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
        """Whether the page groups in threes, as in 6/8.

        That holds for 3/8 and 6/4 as well, which aren't compound by
        :func:`~styletransfer.music.notes.is_compound`.
        """
        return self.numerator % 3 == 0 and (self.denominator >= 8 or self.numerator > 3)

    @property
    def span(self) -> int:
        """What is subdivided: a quarter, or the shorter note that the metre counts.

        The shorter note counts only where beats aren't quarters.
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
    """Lay out the bars of a score; a pick-up begins with the first tick of the music.

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
    """Return the nearest tick that is a multiple of a 128th note or of its triplet."""
    return round(float(quarters) * 96) * (QUARTER // 96)


def quantise(notes: list[Tone], bars: list[Bar], *, exact: bool, apart: int = APART) -> list[Tone]:
    """Put one stream of notes, in the order given, on the subdivisions of its beats.

    Args:
        notes: the stream.
        bars: the bars of the page.
        exact: whether the finest subdivisions are taken too, as for a melody.
        apart: ticks beyond which onsets remain apart.
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


def raw_tones(notes: NoteTable, instruments: Sequence[str] = ()) -> list[Tone]:
    """Convert the notes of a sorted table to ticks, where they are.

    Each ends at the latest where its instrument begins its pitch again.

    Args:
        notes: the table.
        instruments: what plays each note; empty: one instrument plays all.
    """
    players = instruments or [""] * len(notes)
    starts: dict[tuple[str, int], list[int]] = defaultdict(list)
    tones = []
    for player, onset, duration, pitch in zip(
        players, *(notes[name].tolist() for name in ("onset", "duration", "pitch")), strict=True
    ):
        starts[player, pitch].append(round(onset * QUARTER))
        tones.append(Tone(round(onset * QUARTER), round((onset + duration) * QUARTER), pitch))

    def cut(player: str, tone: Tone) -> Tone:
        again = starts[player, tone.pitch]
        following = again[bisect_right(again, tone.start) :][:1]
        return tone._replace(end=min([tone.end, *following]))

    return [cut(player, tone) for player, tone in zip(players, tones, strict=True)]


def _span(bars: list[Bar], place: float) -> tuple[int, int]:
    """Return the span in which a place lies, as (start, length).

    A place less than a hundredth of a quarter before a span lies in it.
    """
    bar = bar_at(bars, place + QUARTER / 100)
    within = max(0.0, place + QUARTER / 100 - bar.start + bar.offset)
    return bar.start - bar.offset + int(within // bar.span) * bar.span, bar.span


def bar_at(bars: list[Bar], place: float) -> Bar:
    """Return the bar in which a tick lies, or the first or last bar for ticks outside."""
    return bars[max(0, bisect_right(bars, place, key=lambda bar: bar.start) - 1)]


def _grid(
    span: tuple[int, int], onsets: list[int], ends: set[int], exact: bool, apart: int
) -> tuple[int, dict[int, int]]:
    """Return the step of the subdivision that suits a span, and each onset's place."""
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

        placed = {onset: start + slot * step for onset, slot in zip(onsets, slots, strict=True)}
        off = max((abs(place - onset) / QUARTER for onset, place in placed.items()), default=0.0)
        beyond = [(end - start) / step for end in ends]
        end_off = max((abs(n - round(n)) * step / QUARTER for n in beyond), default=0.0)

        cost = (off / ONSET_TOLERANCE) ** 2 + (end_off / END_TOLERANCE) ** 2
        cost += HARD if parts > 8 and not exact else PLAIN[parts]
        if off > FARTHEST.get(parts, 1.0):
            cost += 10 * HARD
        if best is None or cost < best[0]:
            best = cost, step, placed
    assert best is not None, f"nothing divides {span}"
    return best[1:]


def _slots(places: list[float], apart: float, division: int) -> list[int] | None:
    """Return whole numbers near ascending places that keep apart what lies apart.

    None where there are too few of them.
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
