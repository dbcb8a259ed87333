"""Read single elements of MusicXML.

These are numbers, lengths, metres, tempos, endings and chord symbols.
"""

from __future__ import annotations

import re
from fractions import Fraction
from xml.etree.ElementTree import Element

from styletransfer.formats.written import FASTEST, SLOWEST, Metre
from styletransfer.music.chord_symbols import (
    DEGREES,
    NO_CHORD,
    SEMITONES,
    ChordSymbol,
    kind_steps,
    quality_of,
    read_symbol,
    usual_suffix,
)

FINEST = 10_080
"""Parts of a quarter: what lies between them is rounded."""
MOST_TURNS = 16
"""The most times that a repeat is played, whatever the file states."""

LENGTHS = {
    name: Fraction(32) / 2**power
    for power, name in enumerate(
        ("maxima", "long", "breve", "whole", "half", "quarter", "eighth")
        + ("16th", "32nd", "64th", "128th", "256th", "512th", "1024th")
    )
}
"""Quarters of undotted notes, by their names in MusicXML and MuseScore."""
_NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_NUMBER = re.compile(r"\s*([-+]?)(\d{1,9})(?:\.(\d{1,6})\d*)?\s*")


def small(place: Fraction) -> Fraction:
    """Round a place so that sums of such places don't grow without end.

    It is put on a grid of :data:`FINEST`, if it isn't on a coarser one.
    """
    return place if place.denominator <= FINEST else Fraction(round(place * FINEST), FINEST)


def text_of(element: Element | None) -> str:
    """Return the text of an element and all in it, in one line."""
    return "" if element is None else " ".join("".join(element.itertext()).split())


def number(element: Element | None) -> Fraction | None:
    """Return an element's number, None where it isn't one of reasonable size."""
    return None if element is None else decimal(element.text)


def decimal(text: str | None) -> Fraction | None:
    found = _NUMBER.fullmatch(text or "")
    if not found:
        return None
    digits = found[3] or ""
    value = Fraction(int(found[2] + digits), 10 ** len(digits))
    return -value if found[1] == "-" else value


def length_by_type(note: Element) -> Fraction | None:
    """Return a note's quarters by how it is written: its type, dots and tuplet."""
    kind = LENGTHS.get(text_of(note.find("type")))
    if kind is None:
        return None
    length = kind * (2 - Fraction(1, 2 ** min(len(note.findall("dot")), 4)))
    actual, normal = (
        number(note.find(f"time-modification/{name}-notes")) for name in ("actual", "normal")
    )
    return (
        small(length * normal / actual)
        if actual and normal and actual > 0 and normal > 0
        else length
    )


def metre_of(time: Element) -> Metre | None:
    """Read a metre; of several one after another, as 2/4 + 3/8, return the sum."""
    tops = [[int(n) for n in re.findall(r"\d{1,4}", text_of(e))] for e in time.findall("beats")]
    bottoms = [
        int(value) for e in time.findall("beat-type") if (value := number(e)) and 0 < value <= 1024
    ]
    if not tops or len(tops) != len(bottoms) or not all(sum(top) for top in tops):
        return None
    bottom = max(bottoms)
    whole = (
        sum(
            (Fraction(sum(top), below) for top, below in zip(tops, bottoms, strict=True)),
            Fraction(0),
        )
        * bottom
    )
    return (int(whole), bottom) if whole.denominator == 1 and whole <= 1000 else None


def ending_numbers(text: str) -> frozenset[int]:
    """Return the numbers of an ending: 1, or 1, 3, or 1-3."""
    numbers: set[int] = set()
    for first, last in re.findall(r"(\d{1,3})(?:\s*-\s*(\d{1,3}))?", text):
        numbers |= set(range(int(first), min(int(last or first), MOST_TURNS) + 1))
    return frozenset(n for n in numbers if 0 < n <= MOST_TURNS) or frozenset({1})


def seconds_of(minute: Fraction | None) -> float | None:
    """Convert quarters per minute to seconds per quarter."""
    return (
        round(60e6 / float(minute)) / 1e6
        if minute is not None and SLOWEST <= minute <= FASTEST
        else None
    )


def tempo_of(mark: Element) -> float | None:
    """Return the seconds per quarter of a metronome mark, which may be "c. 108"."""
    beat = LENGTHS.get(text_of(mark.find("beat-unit")))
    rate = re.search(r"\d{1,4}(?:[.,]\d{1,3})?", text_of(mark.find("per-minute")))
    if beat is None or rate is None:
        return None
    dots = len(mark.findall("beat-unit-dot"))
    return seconds_of(
        Fraction(rate[0].replace(",", ".")) * beat * (2 - Fraction(1, 2 ** min(dots, 4)))
    )


def symbol_of(harmony: Element, shift: int) -> ChordSymbol:
    """Return a chord symbol, ``shift`` semitones above what is written.

    It is spelled as the file spells it. MusicXML states a chord twice, by its kind and degrees and
    by what is printed. What is printed is the symbol, if it is understood as the same tones; else
    the kind's usual spelling, if that is; else root, bass and tones count by themselves. A kind
    that states nothing leaves it to what is printed.
    """
    kind = harmony.find("kind")
    value, printed = (
        text_of(kind),
        " ".join(((kind.get("text") if kind is not None else "") or "").split()),
    )
    if value == "none":
        return ChordSymbol(printed if read_symbol(printed) else NO_CHORD)

    root, bass = (_named(harmony, name, shift) for name in ("root", "bass"))
    if root is None:
        return ChordSymbol(printed or value or text_of(harmony) or "?")

    degrees = harmony.findall("degree")
    changes = "".join(_change_of(degree) for degree in degrees)
    slash = f"/{bass[0]}" if bass and bass[1] != root[1] else ""
    steps = kind_steps(value) if value not in {"", "other"} or not printed else None
    above = None if steps is None else _changed(steps, degrees)
    low = bass[1] if bass else root[1]
    tones = tuple(sorted({(root[1] + step) % 12 for step in above} | {low})) if above else ()
    for suffix in (
        *([printed, printed + changes] if printed else []),
        usual_suffix(value) + changes,
    ):
        read = read_symbol(root[0] + suffix + slash)
        if read is not None and read.tones and (read.tones == tones or len(tones) < 2):
            return read

    text = f"{root[0]}{printed or usual_suffix(value)}{changes if not printed else ''}{slash}"
    return (
        ChordSymbol(text, root[1], quality_of(above), low, tones)
        if above and len(tones) > 1
        else ChordSymbol(text)
    )


def _changed(steps: dict[int, int], degrees: list[Element]) -> set[int] | None:
    """Return a chord's semitones above its root after changes of its degrees.

    Degrees are added, altered and left out.
    """
    added = set[int]()
    for degree in degrees:
        where, alter = (
            number(degree.find("degree-value")),
            round(number(degree.find("degree-alter")) or 0),
        )
        natural = DEGREES.get(int(where or 0))
        how = text_of(degree.find("degree-type"))
        if where is None or natural is None:
            return None
        if how == "subtract":
            steps.pop(int(where), None)
        elif how == "alter":
            steps[int(where)] = (steps.get(int(where), natural) + alter) % 12
        else:
            added.add((natural + alter) % 12)
    return added | set(steps.values())


def _change_of(degree: Element) -> str:
    """Return a degree that a chord adds, alters or leaves out, as it is printed.

    Such are b9, add9, no3.
    """
    where, how = text_of(degree.find("degree-value")), text_of(degree.find("degree-type"))
    alter = max(min(round(number(degree.find("degree-alter")) or 0), 2), -2)
    return (
        f"no{where}"
        if how == "subtract"
        else ("#" * alter or "b" * -alter or ("add" if how == "add" else "")) + where
    )


def _named(harmony: Element, name: str, shift: int) -> tuple[str, int] | None:
    """Return the name and the pitch class of a chord symbol's root or bass."""
    step = text_of(harmony.find(f"{name}/{name}-step")).upper()
    alter = round(number(harmony.find(f"{name}/{name}-alter")) or 0)
    if step not in SEMITONES:
        return None
    tone = (SEMITONES[step] + alter + shift) % 12
    spelled = not shift % 12 and abs(alter) < 2
    return (step + ("#" * alter or "b" * -alter) if spelled else _NAMES[tone]), tone
