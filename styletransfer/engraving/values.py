"""Sounds as written notes: cut at bar lines and beats into values that have a sign, with ties,
rests and tuplets.

The rules are the usual ones of engraving (E. Gould, *Behind Bars*, Faber 2011): a value shows the
beats that it fills, a syncopation may be one sign inside a larger beat, rests stand on beats, and a
bar without notes has one rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise

from styletransfer.engraving.grid import LEAST, QUARTER, Bar
from styletransfer.engraving.voices import Sound

TUPLETS = ((3, 3, 2), (6, 3, 2), (12, 3, 2), (24, 3, 2), (5, 5, 4), (7, 7, 4))
"""(parts of a quarter, notes, in the time of): triplets of eighths down to 64ths, quintuplets,
septuplets.
"""


@dataclass(frozen=True)
class Value:
    """A written note, chord or rest.

    ``start`` is its place in ticks, ``length`` its sounding and ``written`` its notated length, in
    ticks; a tuplet writes ``tuplet[0]`` in the time of ``tuplet[1]``. ``edge`` is "start" or "stop"
    at a tuplet's ends. ``pitches`` are none for a rest, ``tied_from`` and ``tied_to`` those that go
    on from the value before or into the next one; ``whole`` is a bar's rest.
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


Piece = tuple[
    int, int, int, tuple[int, int] | None, str
]  # start, length, written length, tuplet, edge of a tuplet


def written_values(voice: list[Sound], bar: Bar) -> list[Value]:
    """A bar of a voice, from its first tick to its last: notes, and rests where nothing sounds."""
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
            values += [_value(piece) for piece in _pieces(place, start, bar, tuplets, True)]
        pieces = list(_pieces(start, end, bar, tuplets, False))
        for piece in pieces:
            stop = piece[0] + piece[1]
            before = sound.tied if piece[0] == sound.start else frozenset(sound.pitches)
            after = (
                following.get(stop, frozenset()) if stop == sound.end else frozenset(sound.pitches)
            )
            values.append(_value(piece, sound.pitches, before, after))
        place = end
    if place < bar.end:
        values += [_value(piece) for piece in _pieces(place, bar.end, bar, tuplets, True)]
    return values


def _value(
    piece: Piece,
    pitches: tuple[int, ...] = (),
    before: frozenset[int] = frozenset(),
    after: frozenset[int] = frozenset(),
) -> Value:
    start, length, written, tuplet, edge = piece
    return Value(start, length, written, pitches, before, after & set(pitches), tuplet, edge)


@dataclass(frozen=True)
class _Tuplet:
    start: int
    length: int
    notes: int
    normal: int


def _tuplets(voice: list[Sound], bar: Bar) -> Iterator[_Tuplet]:
    """The tuplets of a bar: the spans in which a note begins or ends where no plain value does."""
    places = sorted(
        {p for s in voice for p in (s.start, s.end) if bar.start <= p <= bar.end}
        | {bar.start, bar.end}
    )
    origin = bar.start - bar.offset
    position = bar.start - (bar.start - origin) % bar.span  # a pick-up may begin inside a tuplet
    while position < bar.end:
        span, two = bar.span, 2 * bar.span
        pair = [p - position for p in places if position < p < position + two]
        if (
            bar.span == QUARTER
            and (position - origin) % (two if bar.numerator % 2 == 0 else QUARTER) == 0
            and position + two <= bar.end
            and pair
            and all(p % (two // 3) == 0 for p in pair)
        ):
            yield _Tuplet(position, two, 3, 2)
            position += two
            continue
        inner = [p - position for p in places if position < p < position + span]
        if any(p % (LEAST // 2) for p in inner):
            for parts, notes, normal in TUPLETS:
                if all(p * parts % QUARTER == 0 for p in inner):
                    yield _Tuplet(position, span, notes, normal)
                    break
            else:
                raise AssertionError(f"no tuplet has the places {inner} of {span}")
        position += span


def _pieces(start: int, end: int, bar: Bar, tuplets: list[_Tuplet], rest: bool) -> Iterator[Piece]:
    """A stretch cut into pieces that one sign each can write."""
    place = start
    for tuplet in tuplets:
        stop = tuplet.start + tuplet.length
        if stop <= place or tuplet.start >= end:
            continue
        if place < tuplet.start:
            yield from _plain(place, tuplet.start, bar, rest)
            place = tuplet.start
        until = min(end, stop)
        scale = Fraction(tuplet.notes, tuplet.normal)
        low, high = (int((p - tuplet.start) * scale) for p in (place, until))
        unit = tuplet.length // tuplet.normal
        for a, b in _cut(low, high, [unit, *_halves(unit)], partial(_fits_simply, strong=unit)):
            begin, finish = tuplet.start + int(a / scale), tuplet.start + int(b / scale)
            first, last = begin == max(tuplet.start, bar.start), finish == min(stop, bar.end)
            edge = ("startStop" if last else "start") if first else ("stop" if last else "")
            yield begin, finish - begin, b - a, (tuplet.notes, tuplet.normal), edge
        place = until
    if place < end:
        yield from _plain(place, end, bar, rest)


def _plain(start: int, end: int, bar: Bar, rest: bool) -> Iterator[Piece]:
    origin = bar.start - bar.offset
    units = _units(bar)

    def fits(a: int, b: int) -> bool:
        if rest:
            return _fits_as_rest(a, b, bar)
        return (
            _fits_in_compound(a, b, bar)
            if bar.compound
            else _fits_simply(a, b, units[0] if len(units) > 1 else QUARTER)
        )

    for a, b in _cut(start - origin, end - origin, units, fits):
        yield origin + a, b - a, b - a, None, ""


def _units(bar: Bar) -> list[int]:
    """The bar's levels at which a long note is cut, the strongest first."""
    units = [bar.beat, *([bar.span] if bar.compound else []), *_halves(bar.span)]
    beats = bar.full // bar.beat
    if beats % 4 == 0 and bar.full % bar.beat == 0:
        units.insert(0, 2 * bar.beat)
    return units


def _halves(unit: int) -> list[int]:
    """A value's halves, quarters and so on, down to 128ths of a whole note."""
    found = []
    while unit % 2 == 0 and unit > LEAST // 2:
        unit //= 2
        found.append(unit)
    return found


def _cut(
    a: int, b: int, units: list[int], fits: Callable[[int, int], bool]
) -> Iterator[tuple[int, int]]:
    """A stretch cut at the strongest places inside it until every part fits."""
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
    """(the value without its dot, dots) of a length that one sign writes; None where none does."""
    for dots, share in ((0, Fraction(1)), (1, Fraction(3, 2))):
        base = length / share
        whole = Fraction(4 * QUARTER) / base
        if base.denominator == 1 and (
            whole.denominator == 1 and whole.numerator & (whole.numerator - 1) == 0
        ):
            return int(base), dots
    return (2 * 4 * QUARTER, 0) if length == 8 * QUARTER else None


def _fits_simply(a: int, b: int, strong: int) -> bool:
    """Whether one sign may write a note where beats have two parts; ``strong`` is the highest level
    inside the bar.
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
    """Whether one sign may write a note where beats have three parts."""
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
    """Whether one rest may stand there: on its own beat, never over a stronger one."""
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
