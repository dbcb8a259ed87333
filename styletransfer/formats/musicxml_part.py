"""Read a part of a MusicXML score, measure by measure.

Places are quarters from the beginning of the measure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from xml.etree.ElementTree import Element

from styletransfer.errors import InputError
from styletransfer.formats.musicxml_values import (
    MOST_TURNS,
    decimal,
    ending_numbers,
    length_by_type,
    metre_of,
    number,
    seconds_of,
    small,
    symbol_of,
    tempo_of,
    text_of,
)
from styletransfer.formats.parts import LEVELS, Content, Part
from styletransfer.formats.written import GRACE_QUARTERS, Sound
from styletransfer.music.chord_symbols import SEMITONES

LONGEST_NOTE = 1024
"""Quarters; a longer stated length is a mistake."""
DRUM_CHANNEL = 10

_FORTE = 90
"""The velocity of which ``<sound dynamics>`` gives a percentage."""
_JUMPS = {
    "dacapo": "da capo",
    "dalsegno": "dal segno",
    "tocoda": "to coda",
    "fine": "fine",
    "segno": "segno",
    "coda": "coda",
}
_WORDS = {
    "da capo": re.compile(r"(?i)\bd\.\s*c\b|\bdc\b|\bda\s*capo\b"),
    "dal segno": re.compile(r"(?i)\bd\.\s*s\b|\bds\b|\bd(al|el)\s*segno\b"),
    "to coda": re.compile(r"(?i)\b(to|alla|zur)\s+(the\s+)?coda\b"),
    "fine": re.compile(r"(?i)^\W*(il\s+)?fine\b"),
    "coda": re.compile(r"(?i)^\W*coda\W*$"),
    "segno": re.compile(r"(?i)^\W*segno\W*$"),
}
"""The first that fits counts: "D.C. al Fine" isn't a fine."""


class PartReader(Part):
    """A part while it is read: its present state, and what was written so far."""

    def __init__(self, described: Element | None, ties: str, name: str) -> None:
        super().__init__()
        self.name = name
        self.ties = ties  # the elements that state them
        self.divisions: Fraction | None = None
        self.shifts: dict[str, int] = {}  # by staff, "" for all
        instruments = [] if described is None else described.findall("midi-instrument")
        self.drum_kit = {
            e.get("id") or "" for e in instruments if number(e.find("midi-channel")) == DRUM_CHANNEL
        }
        self.only_drums = bool(instruments) and len(self.drum_kit) == len(
            {e.get("id") or "" for e in instruments}
        )
        self.here = Content()
        self.at = Fraction(0)
        self.ahead = Fraction(0)  # where the measure will end, if offsets are to stay in it
        self.last = Fraction(0)  # where the last note began, as do the others of its chord
        self.graces: list[list[Sound]] = []

    def read(self, measures: list[Element]) -> None:
        """Read all measures.

        Raises:
            InputError: where the file doesn't say how long notes last.
        """
        self.divisions = _divisions(measures, self.name)
        for measure in measures:
            self.here, self.at, self.last = Content(), Fraction(0), Fraction(0)
            self.contents.append(self.here)
            lines = measure.findall("barline")
            self.ahead = self._end_of(measure)
            for element in measure:
                self._element(element)
            self._flush(None)
            for line in lines:
                self._bar_line_words(line)

    def _end_of(self, measure: Element) -> Fraction:
        """Return roughly how far the notes of a measure reach.

        Offsets within that are heeded.
        """
        end = at = Fraction(0)
        for element in measure:
            if (
                element.tag in {"note", "forward"}
                and element.find("chord") is None
                and element.find("grace") is None
            ):
                at += self._quarters(element) or 0
            elif element.tag == "backup":
                at -= self._quarters(element) or 0
            end = max(end, at)
        return end

    def _element(self, element: Element) -> None:
        tag = element.tag
        if tag == "note":
            self._note(element)
        elif tag in {"backup", "forward"}:
            self._flush(None)
            length = self._quarters(element) or Fraction(0)
            self.at = max(
                small(self.at - length if tag == "backup" else self.at + length), Fraction(0)
            )
            self.here.reach = max(self.here.reach, self.at)
        elif tag == "attributes":
            self._attributes(element)
        elif tag == "direction":
            self._direction(element)
        elif tag == "sound":
            self._sound(element, self.at, 0)
        elif tag == "harmony":
            self._harmony(element)
        elif tag == "barline":
            self._bar_line(element)

    def _quarters(self, element: Element) -> Fraction | None:
        """Return an element's duration, None where it has no legible one."""
        value = number(element.find("duration"))
        if value is None or value < 0 or self.divisions is None:
            return None
        length = small(value / self.divisions)
        return length if length <= LONGEST_NOTE else None

    def _exact_quarters(self, note: Element) -> Fraction | None:
        """Return a note's duration, or what it was rounded from.

        The latter is returned where the divisions are too coarse for it.

        A sixteenth is 4 of 17 divisions in some files, and a bar of them is too short.
        """
        length = self._quarters(note)
        if not length or self.divisions is None:
            return length
        written = length_by_type(note)
        rounded = (
            written is not None
            and (written * self.divisions).denominator > 1
            and abs(written - length) * self.divisions < 1
        )
        return written if rounded else length

    def _attributes(self, element: Element) -> None:
        if (divisions := number(element.find("divisions"))) and divisions > 0:
            self.divisions = divisions
        self.most_staves = max(self.most_staves, min(int(number(element.find("staves")) or 1), 9))
        for transpose in element.findall("transpose"):
            steps = (number(transpose.find("chromatic")) or 0) + 12 * (
                number(transpose.find("octave-change")) or 0
            )
            self.shifts[transpose.get("number") or ""] = max(min(round(steps), 127), -127)
        if (time := element.find("time")) is not None and (metre := metre_of(time)):
            if self.at and (self.here.metre or len(self.contents) > 1):
                self.here.next_metre = metre
            else:
                self.here.metre = metre
        if (key := element.find("key")) is not None and (
            fifths := number(key.find("fifths"))
        ) is not None:
            self.here.keys[self.at] = (
                key_as_sounds(round(fifths), self._shift("1")),
                text_of(key.find("mode")) == "minor",
            )

    def _shift(self, staff: str) -> int:
        return self.shifts.get(staff, self.shifts.get("", 0))

    def _note(self, note: Element) -> None:
        grace = note.find("grace") is not None
        in_chord = note.find("chord") is not None
        silent = note.find("cue") is not None
        rest = note.find("rest")
        length = Fraction(0) if grace else self._exact_quarters(note)
        if length is None:
            length = length_by_type(note)
            if length is None and not (in_chord or silent):
                self.unread += rest is None
                return

        length = length or Fraction(0)
        if not grace and not in_chord:
            self.last, self.at = self.at, small(self.at + length)
            self.here.reach = max(self.here.reach, self.at)
            if rest is None:
                self.here.end = max(self.here.end, self.at)
        elif grace and not in_chord:
            self.last = self.at

        tones = [] if silent or rest is not None else self._tone(note, self.last, length)
        self.cues += silent and rest is None
        if grace or (length == 0 and tones):
            if in_chord and self.graces:
                self.graces[-1] += tones
            else:
                self.graces.append(tones)
            return
        if not in_chord:
            self._flush(self.last)

        self.here.sounds += tones
        self.here.end = max([self.here.end, *(tone.onset + tone.length for tone in tones)])

    def _tone(self, note: Element, onset: Fraction, length: Fraction) -> list[Sound]:
        """Return the note as a sound, if it is one that has a pitch.

        Its velocity is 0 where it states none.
        """
        instrument = note.find("instrument")
        if (
            note.find("unpitched") is not None
            or self.only_drums
            or (instrument is not None and instrument.get("id") in self.drum_kit)
        ):
            self.drums += 1
            return []

        staff = text_of(note.find("staff")) or "1"
        pitch = self._pitch(note.find("pitch"), staff)
        if pitch is None:
            self.unread += 1
            return []

        place = min(int(staff), 9) if staff.isdecimal() and int(staff) else 1
        self.sung[place] += any(text_of(lyric.find("text")) for lyric in note.findall("lyric"))
        kinds = {e.get("type") for e in note.iter(self.ties)}
        tie = (
            "continue"
            if {"start", "stop"} <= kinds
            else "start"
            if "start" in kinds
            else "stop"
            if "stop" in kinds
            else ""
        )
        stated = decimal(note.get("dynamics"))
        velocity = max(min(round(stated * _FORTE / 100), 127), 1) if stated is not None else 0
        return [Sound(onset, length, pitch, velocity, place, tie, 0, text_of(note.find("voice")))]

    def _pitch(self, element: Element | None, staff: str) -> int | None:
        if element is None:
            return None
        step, octave = (
            SEMITONES.get(text_of(element.find("step")).upper()),
            number(element.find("octave")),
        )
        alter = number(element.find("alter")) or Fraction(0)
        if step is None or octave is None:
            return None
        self.rounded += alter.denominator > 1
        pitch = 12 * (round(octave) + 1) + step + round(alter) + self._shift(staff)
        return pitch if 0 <= pitch <= 127 else None

    def _flush(self, onset: Fraction | None) -> None:
        """Put the grace notes so far before the main note that begins at ``onset``.

        Without one, they go before this place.
        """
        for before, tones in zip(range(len(self.graces), 0, -1), self.graces, strict=True):
            place, order = (self.last if onset is None else onset), before
            if onset is None and self.at:
                place, order = max(self.at - before * GRACE_QUARTERS, Fraction(0)), 0
            self.here.sounds += [
                tone._replace(onset=place, length=GRACE_QUARTERS, grace=order, tie="")
                for tone in tones
            ]
        self.graces = []

    def _direction(self, direction: Element) -> None:
        offset = direction.find("offset")
        place = self.at
        if offset is not None and offset.get("sound") == "yes":
            place = self._offset(offset)
        staff = text_of(direction.find("staff"))
        where = min(int(staff), 9) if staff.isdecimal() else 0
        sound = direction.find("sound")
        jumps = [] if sound is None else self._sound(sound, place, where)
        if not jumps:
            self.here.words += [(place, word, "") for word in _said(direction)]
        for mark in direction.iter("metronome"):
            if (tempo := tempo_of(mark)) is not None:
                self.here.stated_tempos.setdefault(place, tempo)
        if sound is None or sound.get("dynamics") is None:
            levels = [
                LEVELS[e.tag]
                for mark in direction.iter("dynamics")
                for e in mark
                if e.tag in LEVELS
            ]
            self.here.loudness += [(place, where, level) for level in levels[-1:]]

    def _offset(self, element: Element) -> Fraction:
        """Return the place to which an offset leads.

        It is the current one if the offset leads out of the measure.
        """
        value = number(element)
        place = (
            self.at
            if value is None or self.divisions is None
            else small(self.at + value / self.divisions)
        )
        return place if 0 <= place < max(self.ahead, self.here.reach) else self.at

    def _sound(self, sound: Element, place: Fraction, staff: int) -> list[str]:
        """Apply what a ``<sound>`` changes, and return the jumps that it states."""
        if (offset := sound.find("offset")) is not None:
            place = self._offset(offset)
        if (tempo := seconds_of(decimal(sound.get("tempo")))) is not None:
            self.here.tempos[place] = tempo
        if (dynamics := decimal(sound.get("dynamics"))) is not None:
            self.here.loudness.append(
                (place, staff, max(min(round(dynamics * _FORTE / 100), 127), 1))
            )
        if sound.get("forward-repeat") == "yes":
            self.here.begins = True
        jumps = [name for name in _JUMPS if sound.get(name, "no") not in {"no", ""}]
        self.here.words += [(place, _JUMPS[name], sound.get(name) or "") for name in jumps]
        return jumps

    def _harmony(self, harmony: Element) -> None:
        offset = harmony.find("offset")
        place = self.at if offset is None else self._offset(offset)
        self.here.chords[place] = symbol_of(
            harmony, self._shift(text_of(harmony.find("staff")) or "1")
        )

    def _bar_line(self, line: Element) -> None:
        location = line.get("location") or "right"
        ending, repeat = line.find("ending"), line.find("repeat")
        if ending is not None and ending.get("type") == "start":
            self.here.ending = ending_numbers(ending.get("number") or text_of(ending))
        elif ending is not None:
            self.here.ending_stops = True
        if repeat is None:
            return
        self.here.after_jump |= repeat.get("after-jump") == "yes"
        backward = repeat.get("direction") == "backward"
        times = decimal(repeat.get("times"))
        turns = (
            max(min(round(times) if times is not None else 2, MOST_TURNS) - 1, 1) if backward else 0
        )
        if location == "middle":
            self.here.middle[self.at] = turns
        elif backward:
            self.here.ends = turns
        else:
            self.here.begins = True

    def _bar_line_words(self, line: Element) -> None:
        """Read the segno or coda of a bar line.

        On the right, it stands at the end of the measure.
        """
        place = self.here.reach if (line.get("location") or "right") == "right" else Fraction(0)
        for word in ("segno", "coda"):
            if line.get(word) or line.find(word) is not None:
                self.here.words.append((place, word, line.get(word) or ""))


def _divisions(measures: list[Element], name: str) -> Fraction | None:
    """Return the parts of a quarter in which durations are counted.

    They are the first that are stated, else what notes' types imply; None where no duration needs
    them.
    """
    implied = None
    needed = False
    for measure in measures:
        for element in measure.iter():
            if element.tag == "divisions" and (value := number(element)) and value > 0:
                return value
            if (
                element.tag == "note"
                and implied is None
                and (value := number(element.find("duration")))
            ):
                needed = True
                length = length_by_type(element)
                implied = value / length if length and value > 0 else None

    if needed and implied is None:
        raise InputError(
            f"{name}: it doesn't say how long its notes last (<divisions>); export it again."
        )
    return implied


def key_as_sounds(fifths: int, shift: int) -> int:
    """Return the sharps of a key as it sounds.

    They are found from those that a transposing instrument reads; -99 where there is no such key.
    """
    if not -7 <= fifths <= 7:
        return -99
    found = fifths + (7 * shift + 5) % 12 - 5
    return found - 12 if found > 7 else found + 12 if found < -7 else found


def _said(direction: Element) -> Iterator[str]:
    """Yield the jumps and destinations that a direction states by signs and words."""
    words = " ".join(text_of(e) for e in direction.iter("words"))
    signs = [sign for sign in ("segno", "coda") if next(direction.iter(sign), None) is not None]
    if word := word_said(words):
        yield word
    elif "coda" in signs and re.search(r"(?i)\bto\b", words):
        yield "to coda"
    else:
        yield from signs


def word_said(words: str) -> str:
    """Return the jump, or a jump's destination, that words over the music state.

    It is named as in :class:`Signs`.
    """
    return next((word for word, pattern in _WORDS.items() if pattern.search(words)), "")
