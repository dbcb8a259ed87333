"""Parts, measure by measure, and the score that they make up.

The readers of MusicXML and MuseScore's files have this in common. All parts begin each measure
together, and a measure is as long as the longest of them; the part with the most signs of repeats
speaks for all, jumps are taken from all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TypeVar

from styletransfer.errors import InputError
from styletransfer.formats.musicxml_values import small
from styletransfer.formats.written import (
    DEFAULT_VELOCITY,
    MOST_MEASURES,
    Metre,
    Signs,
    Sound,
    Written,
    distinct_label,
    in_order,
    in_playing_order,
)
from styletransfer.music.chord_symbols import ChordSymbol
from styletransfer.music.notes import INEXACT

MOST_PARTS = 200
LEVELS = {
    "pppp": 10,
    "ppp": 16,
    "pp": 33,
    "p": 49,
    "mp": 64,
    "mf": 80,
    "f": 96,
    "ff": 112,
    "fff": 126,
    "ffff": 127,
}
"""Velocities in steps of 16, as ``<sound dynamics>`` has them in files of MuseScore."""

_Value = TypeVar("_Value")


@dataclass
class Content:
    """What a part has in a measure.

    The ``part`` of its sounds is their staff. ``end`` is where its notes end, ``reach`` where the
    cursor came to. ``middle`` are repeat signs within the measure: how often the music is repeated
    that ends there, 0 where one begins.
    """

    sounds: list[Sound] = field(default_factory=list)
    end: Fraction = Fraction(0)
    reach: Fraction = Fraction(0)
    metre: Metre | None = None
    next_metre: Metre | None = None
    keys: dict[Fraction, tuple[int, bool]] = field(default_factory=dict)
    tempos: dict[Fraction, float] = field(default_factory=dict)  # by <sound>
    stated_tempos: dict[Fraction, float] = field(default_factory=dict)  # by metronome marks
    chords: dict[Fraction, ChordSymbol] = field(default_factory=dict)
    loudness: list[tuple[Fraction, int, int]] = field(
        default_factory=list
    )  # place, staff (0: all), velocity
    words: list[tuple[Fraction, str, str]] = field(default_factory=list)  # place, as in Signs
    begins: bool = False
    ends: int = 0
    after_jump: bool = False
    ending: frozenset[int] = frozenset()
    ending_stops: bool = False
    middle: dict[Fraction, int] = field(default_factory=dict)

    @property
    def bar_lines(self) -> int:
        """How many signs of repeats there are."""
        return self.begins + (self.ends > 0) + bool(self.ending) + len(self.middle)


class Part:
    """A part: what it has in each measure, and what was found while it was read."""

    def __init__(self) -> None:
        self.contents: list[Content] = []
        self.most_staves = 1
        self.sung: Counter[int] = Counter()  # syllables, by staff
        self.drums = self.cues = self.unread = self.rounded = 0  # notes

    def staves(self) -> int:
        """Return how many staves the part has."""
        return max(
            self.most_staves,
            *(sound.part for content in self.contents for sound in content.sounds),
            1,
        )

    def set_loudness(self) -> None:
        """Give notes without a stated velocity that of the last dynamics.

        They are those of their staff, or of all.
        """
        own = {staff for content in self.contents for _, staff, _ in content.loudness}
        now: dict[int, int] = {}
        for content in self.contents:
            changes = sorted(content.loudness)
            sounds = []
            for sound in sorted(content.sounds, key=lambda sound: sound.onset):
                while changes and changes[0][0] <= sound.onset:
                    _, staff, velocity = changes.pop(0)
                    now[staff] = velocity
                    if len(own) == 1:
                        now[0] = velocity
                stated = sound.velocity or now.get(sound.part) or now.get(0) or DEFAULT_VELOCITY
                sounds.append(sound._replace(velocity=stated))
            for _, staff, velocity in changes:
                now[staff if len(own) > 1 else 0] = velocity
            content.sounds = sounds


class Score:
    """A score while it is put together from its parts.

    Args:
        parts: with what they have in each measure.
        names: theirs; a part without a name gets a number.
        name: what error messages call the file.

    Raises:
        InputError: where there are too many parts or measures.
    """

    def __init__(self, parts: Sequence[Part], names: Sequence[str], name: str) -> None:
        check_size(len(parts), max((len(part.contents) for part in parts), default=0), name)
        self.parts = parts
        self.names = names
        self.remarks: list[str] = []
        self.contents = [
            [part.contents[k] for part in parts if k < len(part.contents)]
            for k in range(max((len(part.contents) for part in parts), default=0))
        ]
        self.metres, self.starts = self._bars()

    def written(self) -> Written:
        """Return the whole score."""
        sounds, names, sung = self._sounds()
        cuts, signs = self._signs()
        metres = [self.metres[k] for k, _ in cuts]
        places = [self.starts[k] + place for k, place in cuts]
        measures, runs = in_order(
            in_playing_order(signs), places, [*places[1:], self.starts[-1]], metres
        )

        self._count("cues", "silent cue note was", "silent cue notes were")
        self._count(
            "unread",
            "note whose pitch or length can't be read was",
            "notes whose pitch or length can't be read were",
        )
        if rounded := sum(part.rounded for part in self.parts):
            self.remarks.append(
                f"{rounded} quarter tone{'s were' if rounded > 1 else ' was'} rounded to semitones"
            )

        drums = sum(part.drums > 0 for part in self.parts)
        tempos = self._first(lambda c: c.stated_tempos) | self._first(lambda c: c.tempos)
        keys = next(
            (found for part in self.parts if (found := self._placed(part, lambda c: c.keys))), {}
        )

        return Written(
            sounds,
            names,
            measures,
            runs,
            tempos,
            keys,
            self._first(lambda c: c.chords),
            drums,
            tuple(self.remarks),
            sung,
        )

    def _count(self, what: str, one: str, many: str) -> None:
        count = sum(getattr(part, what) for part in self.parts)
        if count:
            self.remarks.append(f"{count} {many if count > 1 else one} left out")

    def _bars(self) -> tuple[list[Metre], list[Fraction]]:
        """Return the metre of each measure, and where measures begin and the last ends.

        Where parts have different metres, it is the first that is as long as the measure; before
        one is stated, what the measure's length implies.
        """
        metres: list[Metre] = []
        starts = [Fraction(0)]
        now: dict[int, Metre] = {}
        for k in range(max((len(part.contents) for part in self.parts), default=0)):
            contents = {
                number: part.contents[k]
                for number, part in enumerate(self.parts)
                if k < len(part.contents)
            }
            now |= {number: c.metre for number, c in contents.items() if c.metre}
            stated = [now[number] for number in sorted(now)]
            full = _quarters(stated[0]) if stated else None
            length = _length(list(contents.values()), full) or full or Fraction(4)
            if full and abs(length - full) < INEXACT:
                length = full
            fitting = [metre for metre in stated if _quarters(metre) == length]
            metres.append((fitting or stated or [_implied(length)])[0])
            starts.append(small(starts[-1] + length))
            now |= {number: c.next_metre for number, c in contents.items() if c.next_metre}

        return metres, starts

    def _placed(
        self, part: Part, of: Callable[[Content], dict[Fraction, _Value]]
    ) -> dict[Fraction, _Value]:
        """Return what a part's measures have, by written place."""
        return {
            self.starts[k] + place: value
            for k, content in enumerate(part.contents)
            for place, value in of(content).items()
        }

    def _first(self, of: Callable[[Content], dict[Fraction, _Value]]) -> dict[Fraction, _Value]:
        """Return what the measures of all parts have.

        Where several state something for one place, the first holds.
        """
        found: dict[Fraction, _Value] = {}
        for part in self.parts:
            found = self._placed(part, of) | found
        return found

    def _sounds(self) -> tuple[list[Sound], tuple[str, ...], tuple[int, ...]]:
        """Return the notes, the names of the parts with notes, and which have words.

        Each staff is a part.
        """
        sounds: list[Sound] = []
        names: list[str] = []
        sung: list[int] = []
        for part, name in zip(self.parts, self.names, strict=True):
            part.set_loudness()
            staves = part.staves()
            label_of_all = (name or f"part {len(names) + 1}")[:80]
            for staff in sorted(
                {sound.part for content in part.contents for sound in content.sounds}
            ):
                for start, content in zip(self.starts, part.contents, strict=False):
                    sounds += [
                        sound._replace(onset=start + sound.onset, part=len(names))
                        for sound in content.sounds
                        if sound.part == staff
                    ]
                label = label_of_all
                if staves == 2:
                    label = f"{label}, {'right' if staff == 1 else 'left'} hand"
                if part.sung[staff]:
                    sung.append(len(names))
                names.append(distinct_label(label, names))

        return sounds, tuple(names), tuple(sung)

    def _signs(self) -> tuple[list[tuple[int, Fraction]], list[Signs]]:
        """Return where measures and repeats within them begin, and their repeat signs.

        The places are (measure, quarters in it). The part with the most bar lines of repeats speaks
        for all; jumps are taken from all: programs often print "D.C. al Fine" over the top staff
        only.
        """
        leader = max(
            self.parts, key=lambda part: sum(c.bar_lines for c in part.contents), default=None
        )
        count = len(self.contents)
        lines = [
            leader.contents[k] if leader and k < len(leader.contents) else Content()
            for k in range(count)
        ]
        endings = _endings(lines)
        words = _words(self.contents)
        cuts: list[tuple[int, Fraction]] = []
        signs: list[Signs] = []
        for k, line in enumerate(lines):
            length = self.starts[k + 1] - self.starts[k]
            inner = {
                place: turns for place, turns in sorted(line.middle.items()) if 0 < place < length
            }
            for place in (Fraction(0), *inner):
                if place:
                    signs[-1] = signs[-1]._replace(ends=inner[place])
                begins = line.begins if not place else inner[place] == 0
                cuts.append((k, place))
                signs.append(Signs(begins, 0, endings[k], frozenset(), line.after_jump))
            first = len(cuts) - 1 - len(inner)
            early = frozenset(word for word in words[k] if word[0] in {"segno", "coda"})
            signs[first] = signs[first]._replace(words=early)
            signs[-1] = signs[-1]._replace(
                ends=line.ends, words=signs[-1].words | (words[k] - early)
            )

        return cuts, signs


def check_size(parts: int, measures: int, name: str) -> None:
    """Refuse a score of too many parts or measures.

    Raises:
        InputError: where it is one.
    """
    if parts > MOST_PARTS:
        raise InputError(f"{name}: it has more than {MOST_PARTS} parts; export fewer of them.")
    if measures >= MOST_MEASURES:
        raise InputError(
            f"{name}: it has {MOST_MEASURES:,} bars or more; cut it into shorter pieces."
        )


def _quarters(metre: Metre) -> Fraction:
    """Return how many quarters a measure of a metre lasts."""
    return Fraction(4 * metre[0], metre[1])


def _implied(length: Fraction) -> Metre:
    """Return the metre of a measure of so many quarters, 4/4 where there is none."""
    bottom = next(
        (bottom for bottom in (4, 8, 16, 32) if (length * bottom / 4).denominator == 1), 0
    )
    top = int(length * bottom / 4)
    return (top, bottom) if bottom and 0 < top <= 64 else (4, 4)


def _length(contents: list[Content], full: Fraction | None) -> Fraction:
    """Return the quarters that a measure lasts: as many as its longest part.

    ``full`` is how long its metre makes it.

    Silence beyond the metre counts only if all parts have it: some files have two rests where one
    is meant.
    """
    reached = [c.reach for c in contents if c.reach] or [Fraction(0)]
    silent = max(reached) if full is None else max(min(max(reached), full), min(reached))
    return max(silent, *(c.end for c in contents))


def _endings(lines: list[Content]) -> list[frozenset[int]]:
    """Return the numbers of the ending in which each measure is.

    Ends of repeats that endings lack are put in.

    An ending that never stops lasts to the end of its repeat, and if it has none, for a measure.
    """
    found: list[frozenset[int]] = [frozenset()] * len(lines)
    for k, line in enumerate(lines):
        if not line.ending:
            continue
        following = next(
            (j for j in range(k + 1, len(lines)) if lines[j].ending or lines[j].begins), len(lines)
        )
        stop = next((j for j in range(k, following) if lines[j].ending_stops), None)
        if stop is None and following < len(lines) and lines[following].ending:
            stop = next((j for j in range(k, following) if lines[j].ends), None)
        stop = k if stop is None else stop
        found[k : stop + 1] = [line.ending] * (stop + 1 - k)
        jumps = any(word in {"da capo", "dal segno"} for _, word, _ in lines[stop].words)
        goes_on = (
            stop + 1 < len(lines)
            and lines[stop + 1].ending
            and min(lines[stop + 1].ending) > max(line.ending)
        )
        if goes_on and not lines[stop].ends and not jumps:
            lines[stop] = replace(lines[stop], ends=1)

    return found


def _words(contents: list[list[Content]]) -> list[frozenset[tuple[str, str]]]:
    """Return the jumps and their destinations in each measure, of all parts.

    A coda sign is where to leave from, if another one follows; a segno or coda at the end of a
    measure is the next one's.
    """
    found: list[set[tuple[str, str]]] = [set() for _ in contents]
    said = [
        (k, place, content.reach, (word, label))
        for k, row in enumerate(contents)
        for content in row
        for place, word, label in content.words
    ]
    codas = sorted({(k, place) for k, place, _, word in said if word[0] == "coda"})
    leaving = (
        codas[0] if len(codas) > 1 and not any(word[0] == "to coda" for *_, word in said) else None
    )
    for k, place, end, word in said:
        if word[0] == "coda" and (k, place) == leaving:
            found[max(k - (place == 0), 0)].add(("to coda", word[1]))
        else:
            late = (
                word[0] in {"segno", "coda"}
                and place > 0
                and place >= end
                and k + 1 < len(contents)
            )
            found[k + late].add(word)

    return [frozenset(words) for words in found]
