"""Sounds as written notes, with ties, rests and tuplets.

Sounds are cut at bar lines and beats into values that have a sign. The rules are the usual ones of
engraving (E. Gould, *Behind Bars*, Faber 2011): a value shows the beats that it fills, a
syncopation may be one sign inside a larger beat, rests stand on beats, and a bar without notes has
one rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from styletransfer.engraving.grid import LEAST, QUARTER, Bar
from styletransfer.engraving.voices import Sound

TUPLETS = ((3, 3, 2), (6, 3, 2), (12, 3, 2), (24, 3, 2), (5, 5, 4), (7, 7, 4))
"""Tuplets as (parts of a quarter, notes, in the time of): triplets of eighths down to 64ths,
quintuplets, septuplets."""


@dataclass(frozen=True)
class Value:
    """A written note, chord or rest.

    Attributes:
        start: its place in ticks.
        length: its sounding length in ticks.
        written: its notated length in ticks.
        pitches: its pitches; none for a rest.
        tied_from: the pitches that continue from the value before.
        tied_to: the pitches that continue into the next value.
        tuplet: (notes, in the time of); None outside a tuplet.
        edge: "start", "stop" or "startStop" at a tuplet's ends.
        whole: whether it is the rest of a whole bar.
    """

    start: int
    length: int
    written: int
    pitches: tuple[int, ...] = ()
    tied_from: frozenset[int] = frozenset()
    tied_to: frozenset[int] = frozenset()
    tuplet: tuple[int, int] | None = None
    edge: str = ""
    whole: bool = False


class Stretch(NamedTuple):
    """A stretch of time that one sign writes; its fields are those of :class:`Value`."""

    start: int
    length: int
    written: int
    tuplet: tuple[int, int] | None = None
    edge: str = ""

    @property
    def end(self) -> int:
        return self.start + self.length


def written_values(voice: list[Sound], bar: Bar) -> list[Value]:
    """Write a bar of a voice from its first tick to its last.

    There are notes, and rests where nothing sounds.
    """
    inside = [sound for sound in voice if sound.start < bar.end and sound.end > bar.start]
    if not inside and bar.length == bar.full:
        return [Value(bar.start, bar.length, bar.length, whole=True)]

    tuplets = list(_tuplets(inside, bar))
    following = {
        first.end: second.tied for first, second in pairwise(voice) if first.end == second.start
    }
    values: list[Value] = []
    place = bar.start
    for sound in inside:
        start, end = max(sound.start, bar.start), min(sound.end, bar.end)
        if start > place:
            values += [_value(rest) for rest in _stretches(place, start, bar, tuplets, True)]
        for note in _stretches(start, end, bar, tuplets, False):
            whole = frozenset(sound.pitches)
            before = sound.tied if note.start == sound.start else whole
            after = following.get(note.end, frozenset()) if note.end == sound.end else whole
            values.append(_value(note, sound.pitches, before, after))
        place = end
    if place < bar.end:
        values += [_value(rest) for rest in _stretches(place, bar.end, bar, tuplets, True)]
    return values


def _value(
    stretch: Stretch,
    pitches: tuple[int, ...] = (),
    before: frozenset[int] = frozenset(),
    after: frozenset[int] = frozenset(),
) -> Value:
    """Return the note, chord or rest that fills a stretch, with its ties."""
    start, length, written, tuplet, edge = stretch
    return Value(start, length, written, pitches, before, after & set(pitches), tuplet, edge)


@dataclass(frozen=True)
class _Tuplet:
    """A tuplet: its place and length in ticks; ``notes`` in the time of ``normal``."""

    start: int
    length: int
    notes: int
    normal: int


def _tuplets(voice: list[Sound], bar: Bar) -> Iterator[_Tuplet]:
    """Find the tuplets of a bar.

    They are the spans in which a note begins or ends where no plain value does.
    """
    places = sorted(
        {p for s in voice for p in (s.start, s.end) if bar.start <= p <= bar.end}
        | {bar.start, bar.end}
    )
    origin = bar.start - bar.offset
    position = bar.start - (bar.start - origin) % bar.span  # a pick-up may begin inside a tuplet
    while position < bar.end:
        span, two = bar.span, 2 * bar.span
        pair = [p - position for p in places if position < p < position + two]
        if _is_large_triplet(pair, position, bar):
            yield _Tuplet(position, two, 3, 2)
            position += two
            continue

        inner = [p - position for p in places if position < p < position + span]
        if any(p % (LEAST // 2) for p in inner):
            yield _small_tuplet(inner, position, span)
        position += span


def _is_large_triplet(places: list[int], position: int, bar: Bar) -> bool:
    """Return whether two beats from a position are a triplet of quarters.

    ``places`` are the onsets and ends between them, in ticks from the position.
    """
    two = 2 * bar.span
    every = two if bar.numerator % 2 == 0 else QUARTER
    return (
        bar.span == QUARTER
        and (position - bar.start + bar.offset) % every == 0
        and position + two <= bar.end
        and bool(places)
        and all(place % (two // 3) == 0 for place in places)
    )


def _small_tuplet(places: list[int], position: int, span: int) -> _Tuplet:
    """Return the plainest tuplet inside a span that has all places.

    Places are in ticks from the position.
    """
    for parts, notes, normal in TUPLETS:
        if all(place * parts % QUARTER == 0 for place in places):
            return _Tuplet(position, span, notes, normal)
    raise AssertionError(f"no tuplet has the places {places} of {span}")


def _stretches(
    start: int, end: int, bar: Bar, tuplets: list[_Tuplet], rest: bool
) -> Iterator[Stretch]:
    """Cut the time from start to end into stretches that one sign each can write."""
    place = start
    for tuplet in tuplets:
        stop = tuplet.start + tuplet.length
        if stop <= place or tuplet.start >= end:
            continue
        if place < tuplet.start:
            yield from _plain(place, tuplet.start, bar, rest)
            place = tuplet.start
        until = min(end, stop)
        yield from _in_tuplet(place, until, tuplet, bar)
        place = until
    if place < end:
        yield from _plain(place, end, bar, rest)


def _in_tuplet(start: int, end: int, tuplet: _Tuplet, bar: Bar) -> Iterator[Stretch]:
    """Cut the time from start to end, which lies inside a tuplet."""
    stop = tuplet.start + tuplet.length
    scale = Fraction(tuplet.notes, tuplet.normal)
    low, high = (int((place - tuplet.start) * scale) for place in (start, end))
    unit = tuplet.length // tuplet.normal
    for a, b in _cut(low, high, [unit, *_halves(unit)], partial(_fits_simply, strong=unit)):
        begin, finish = tuplet.start + int(a / scale), tuplet.start + int(b / scale)
        first, last = begin == max(tuplet.start, bar.start), finish == min(stop, bar.end)
        edge = ("startStop" if last else "start") if first else ("stop" if last else "")
        yield Stretch(begin, finish - begin, b - a, (tuplet.notes, tuplet.normal), edge)


def _plain(start: int, end: int, bar: Bar, rest: bool) -> Iterator[Stretch]:
    """Cut the time from start to end, which lies outside tuplets."""
    origin = bar.start - bar.offset
    units = _units(bar)
    strong = units[0] if len(units) > 1 else QUARTER

    def fits(a: int, b: int) -> bool:
        if rest:
            return _fits_as_rest(a, b, bar)
        return _fits_in_compound(a, b, bar) if bar.compound else _fits_simply(a, b, strong)

    for a, b in _cut(start - origin, end - origin, units, fits):
        yield Stretch(origin + a, b - a, b - a)


def _units(bar: Bar) -> list[int]:
    """Return the bar's levels at which a long note is cut, the strongest first."""
    units = [bar.beat, *([bar.span] if bar.compound else []), *_halves(bar.span)]
    beats = bar.full // bar.beat
    if beats % 4 == 0 and bar.full % bar.beat == 0:
        units.insert(0, 2 * bar.beat)
    return units


def _halves(unit: int) -> list[int]:
    """Return a value's halves, quarters and so on, down to 128th notes."""
    found = []
    while unit % 2 == 0 and unit > LEAST // 2:
        unit //= 2
        found.append(unit)
    return found


def _cut(
    a: int, b: int, units: list[int], fits: Callable[[int, int], bool]
) -> Iterator[tuple[int, int]]:
    """Cut a stretch at the strongest places inside it until every part fits."""
    if fits(a, b):
        yield a, b
        return
    for unit in units:
        first, last = (a // unit + 1) * unit, (b - 1) // unit * unit
        if a < first < b:
            middle = last if a % unit == 0 else first
            yield from _cut(a, middle, units, fits)
            yield from _cut(middle, b, units, fits)
            return
    raise AssertionError(f"no value lasts from {a} to {b}")


def _base(length: int) -> tuple[int, int] | None:
    """Return the value without its dot, and the dots, of a length.

    None where no single sign writes the length.
    """
    for dots, share in ((0, Fraction(1)), (1, Fraction(3, 2))):
        base = length / share
        whole = Fraction(4 * QUARTER) / base
        if base.denominator == 1 and (
            whole.denominator == 1 and whole.numerator & (whole.numerator - 1) == 0
        ):
            return int(base), dots
    return (2 * 4 * QUARTER, 0) if length == 8 * QUARTER else None


def _fits_simply(a: int, b: int, strong: int) -> bool:
    """Return whether one sign may write a note where beats have two parts.

    ``strong`` is the highest level inside the bar.
    """
    found = _base(b - a)
    if found is None:
        return False
    base, dots = found
    if not dots:
        inside = a // (2 * base) == (b - 1) // (2 * base)
        return (
            a % base == 0
            or (a % (base // 2 or 1) == 0 and inside)
            or (base > strong and a % strong == 0)
        )
    if a % (2 * base) == 0 or b % (2 * base) == 0:
        return True
    return (base >= QUARTER and a % base == 0 and a // strong == (b - 1) // strong) or (
        base >= strong and a % base == 0
    )


def _fits_in_compound(a: int, b: int, bar: Bar) -> bool:
    """Return whether one sign may write a note where beats have three parts."""
    found = _base(b - a)
    if found is None:
        return False
    base, dots = found
    if (b - a) % bar.beat == 0:
        return a % bar.beat == 0
    if a // bar.beat != (b - 1) // bar.beat:
        return False
    place = a % bar.beat
    if base > bar.span:
        return place % bar.span == 0
    inside = dots == 1 or place // (2 * base) == (place + base - 1) // (2 * base)
    return place % base == 0 or (place % (base // 2 or 1) == 0 and inside)


def _fits_as_rest(a: int, b: int, bar: Bar) -> bool:
    """Return whether one rest may stand there: on its own beat, over no stronger one."""
    found = _base(b - a)
    if found is None:
        return False
    base, dots = found
    if bar.compound:
        if (b - a) % bar.beat == 0:
            return a % (b - a) == 0
        inside = a // bar.beat == (b - 1) // bar.beat
        return inside and not dots and a % bar.beat % base == 0
    return not dots and a % base == 0 and (base <= QUARTER or bar.full % (2 * base) == 0)
