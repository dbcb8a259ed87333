"""Read MuseScore's own files as pieces, as versions 2 to 4 save them.

``.mscz`` is an archive, and ``.mscx`` the XML in it. There is no definition but the program; what
is read here was compared with the MusicXML that it exports. Pitches sound as they are written,
except under octave lines, which shift them. Positions in a measure are sums of lengths, moved by
``<location>`` (3, 4) or ``<tick>`` (2). What is played counts: notes with ``<play>0``, and those of
drum sets, are left out. Repeats, voltas, markers and jumps are played out, and so is a text that
says "D.C.", as in MusicXML; a bar that repeats the ones before it has their notes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from xml.etree.ElementTree import Element

from styletransfer.errors import InputError
from styletransfer.formats.musicxml_part import key_as_sounds, word_said
from styletransfer.formats.musicxml_values import (
    LENGTHS,
    MOST_TURNS,
    decimal,
    ending_numbers,
    number,
    seconds_of,
    small,
    text_of,
)
from styletransfer.formats.parts import LEVELS, Content, Part, Score, check_size
from styletransfer.formats.titles import title_of_parts
from styletransfer.formats.written import GRACE_QUARTERS, Sound, played
from styletransfer.formats.xml_tree import tree, xml_of
from styletransfer.music.chord_symbols import NO_CHORD, ChordSymbol, read_symbol
from styletransfer.music.notes import Feel, Piece

LONGEST_NOTE = 1024
"""Quarters; a longer stated length is a mistake."""

_NOT_READ = frozenset(
    (
        *("Articulation", "BeamMode", "Bend", "Clef", "Fermata", "Fingering", "Groups", "HBox"),
        *("HairPin", "Hook", "LayerTag", "Slur", "Stem", "StemSlash", "StringData", "TBox"),
        *("TextLine", "VBox", "eid"),
    )
)
"""Elements that don't affect what sounds."""
_GRACES = {"acciaccatura", "appoggiatura", "grace4", "grace8", "grace16", "grace32"}
_GRACES_AFTER = {"grace8after", "grace16after", "grace32after"}
_OCTAVES = {"8va": 12, "8vb": -12, "15ma": 24, "15mb": -24, "22ma": 36, "22mb": -36}
_BARS_REPEATED = {"RepeatMeasure", "MeasureRepeat"}
_TEXTS = {"StaffText", "SystemText"}
_MARKERS = {"fine": "fine", "segno": "segno", "coda": "to coda", "codab": "coda"}
"""What the usual markers mean where a jump is only a text and names none."""
_FIFTHS = "FCGDAEB"


def parse_musescore(data: bytes, name: str, feel: Feel | None = None) -> Piece:
    """Read the bytes of a file of MuseScore as a piece.

    Args:
        data: an archive's or plain XML.
        name: what error messages call the file.
        feel: overrules ``score``.

    Raises:
        InputError: where the bytes are not such a file, hold no notes, or hold hours of music.
    """
    root = tree(xml_of(data, name, (".mscx",)), name, _NOT_READ)
    if root.tag != "museScore":
        raise InputError(
            f"{name}: it is XML but not a score of MuseScore (its root is <{root.tag}>); "
            "save or export it again."
        )
    score = root.find("Score")
    if score is None:
        raise InputError(
            f"{name}: it was saved by MuseScore 1; open it in a newer one and save it again."
        )
    version = int(decimal(root.get("version")) or 3)
    named = {e.get("name"): e.text for e in score.findall("metaTag")}
    title = title_of_parts(named.get("workTitle"), named.get("movementTitle"))
    return replace(played(_score(score, version, name).written(), name, feel), title=title)


def _score(score: Element, version: int, name: str) -> Score:
    """Return the score with its parts read."""
    described = score.findall("Part")
    staves = [staff for staff in score.findall("Staff") if staff.find("Measure") is not None]
    measures = [
        [m for m in staff.findall("Measure") if m.find("multiMeasureRest") is None]
        for staff in staves
    ]  # a rest of several measures stands beside them
    check_size(max(len(staves), len(described)), max(map(len, measures), default=0), name)
    top = measures[0] if measures else []
    frame = _Frame(score, top, version)

    parts: list[Part] = []
    names: list[str] = []
    left = list(measures)
    for part in described:
        count = max(len(part.findall("Staff")), 1)
        own, left = left[:count], left[count:]
        parts.append(_part(part, own, frame))
        names.append(_name_of(part))
    if parts:
        _repeats(parts[0], top, frame.lengths, _jumps(score))
    return Score(parts, names, name)


class _Frame:
    """What all staves of a score share.

    That is how long measures are and where they begin, in quarters, how many ticks a quarter has,
    and whether keys and chord symbols are saved as they sound.
    """

    def __init__(self, score: Element, measures: list[Element], version: int) -> None:
        self.version = version
        self.lengths = list(_lengths(measures))
        self.ticks = number(score.find("Division")) or Fraction(480)
        self.concert = text_of(score.find("Style/concertPitch")) == "1"
        self.starts = [Fraction(0)]
        for length in self.lengths:
            self.starts.append(self.starts[-1] + length)


def _lengths(measures: list[Element]) -> Iterator[Fraction]:
    """Yield how many quarters each measure lasts, as stated or else by its metre."""
    metre = Fraction(4)
    for measure in measures:
        for time in measure.iter("TimeSig"):
            if not (_is_local(time) or _is_warning(time)):
                metre = _metre_quarters(time) or metre
        stated = _fraction(measure.get("len"))
        yield 4 * stated if stated and 0 < 4 * stated <= LONGEST_NOTE else metre


def _part(part: Element, staves: list[list[Element]], frame: _Frame) -> Part:
    """Return a part with the measures of its staves."""
    found = Part()
    found.most_staves = min(max(len(staves), 1), 9)
    found.contents = [Content(reach=length) for length in frame.lengths]
    for staff, measures in enumerate(staves, 1):
        reader = _StaffReader(part, found, min(staff, 9), frame)
        reader.read(measures)
    for content in found.contents:
        ends = [sound.onset + sound.length for sound in content.sounds if not sound.grace]
        content.end = max(ends, default=Fraction(0))
    return found


def _name_of(part: Element) -> str:
    """Return a part's name: as it is printed, or as the mixer calls it."""
    for path in ("Instrument/longName", "trackName", "Instrument/trackName"):
        if name := text_of(part.find(path)):
            return name
    return ""


class _StaffReader:
    """A staff while it is read into its part.

    Places are quarters from a measure's beginning.
    """

    def __init__(self, described: Element, part: Part, staff: int, frame: _Frame) -> None:
        self.part = part
        self.staff = staff
        self.frame = frame
        self.drums = text_of(described.find("Instrument/useDrumset")) == "1"
        shift = number(described.find("Instrument/transposeChromatic")) or Fraction(0)
        self.shift = 0 if frame.concert else max(min(round(shift), 127), -127)
        self.here = Content()
        self.index = 0
        self.at = Fraction(0)
        self.stretch = Fraction(1)  # by a metre of this staff's own
        self.voice = 0
        self.tuplets: list[Fraction] = []  # the ratios of those that are open
        self.numbered: dict[str, Fraction] = {}  # the ratios of version 2's, by id
        self.graces: list[tuple[list[Sound], bool]] = []  # tones; whether they follow their note
        self.ottavas: list[tuple[Fraction, Fraction, int]] = []  # from, to, semitones
        self.open_lines: dict[str, tuple[Fraction, int]] = {}  # octave lines of version 2, by id
        self.tie_ids = set[str]()
        self.silent_ties = set[int]()  # pitches of tied notes that aren't played
        self.repeated: dict[int, int] = {}  # measures that repeat this many before them

    def read(self, measures: list[Element]) -> None:
        """Read all measures of the staff."""
        for index, measure in enumerate(measures[: len(self.frame.lengths)]):
            self.index, self.here = index, self.part.contents[index]
            self.numbered = {}
            voices = measure.findall("voice")
            for self.voice, voice in enumerate(voices or [measure]):
                self.at, self.tuplets = Fraction(0), []
                for element in voice:
                    self.element(element)
                self.flush_graces(self.at, Fraction(0))
            if any(next(measure.iter(tag), None) is not None for tag in _BARS_REPEATED):
                self.repeat_bars(measures, index)
        if self.staff == 1 and measures and not self.part.contents[0].keys:
            natural = key_as_sounds(0, self.shift if self.frame.version < 4 else 0)
            self.part.contents[0].keys[Fraction(0)] = (natural, False)
        for start, semitones in self.open_lines.values():
            self.ottavas.append((start, self.frame.starts[-1], semitones))
        self.open_lines = {}
        self.shift_octaves()
        for index, back in sorted(self.repeated.items()):
            self.copy(index, back)

    def element(self, element: Element) -> None:
        """Read an element of a voice."""
        tag = element.tag
        if tag in {"Chord", "Rest"}:
            self.chord_or_rest(element)
        elif tag == "location":
            self.at = self.within(self.at + _quarters_of(element.find("fractions")))
        elif tag == "tick":
            place = (number(element) or Fraction(0)) / self.frame.ticks
            self.at = self.within(place - self.frame.starts[self.index])
        elif tag == "Tuplet":
            ratio = _ratio(element)
            if element.get("id"):
                outer = self.numbered.get(text_of(element.find("Tuplet")), Fraction(1))
                self.numbered[element.get("id") or ""] = ratio * outer
            else:
                self.tuplets.append(ratio)
        elif tag == "endTuplet":
            self.tuplets = self.tuplets[:-1]
        elif tag in _BARS_REPEATED:
            self.at = self.frame.lengths[self.index]
        elif tag in {"Ottava", "endSpanner"} or element.get("type") == "Ottava":
            self.octave_line(element)
        else:
            self.sign(element)

    def sign(self, element: Element) -> None:
        """Read what holds from here on.

        That is a metre, key, tempo, loudness or chord symbol.
        """
        tag = element.tag
        if tag in {"TimeSig", "KeySig"} and _is_warning(element):
            return

        if tag == "TimeSig":
            self.metre(element)
        elif tag == "KeySig":
            self.key(element)
        elif tag == "Tempo":
            rate = decimal(text_of(element.find("tempo")))  # quarters a second
            if (seconds := seconds_of(60 * rate if rate else None)) is not None:
                self.here.tempos[self.at] = seconds
        elif tag in _TEXTS:
            word = word_said(text_of(element.find("text")))
            self.here.words += [(self.at, word, "")] if word else []
        elif tag == "Dynamic":
            stated = number(element.find("velocity"))
            level = LEVELS.get(text_of(element.find("subtype")))
            velocity = min(round(stated), 127) if stated and stated > 0 else level
            if velocity:
                self.here.loudness.append((self.at, self.staff, max(velocity, 1)))
        elif tag == "Harmony":
            self.harmony(element)
        elif tag == "FretDiagram":
            for harmony in element.iter("Harmony"):
                self.harmony(harmony)

    def metre(self, element: Element) -> None:
        """Read a metre, of all staves or of this one alone."""
        self.stretch = Fraction(1)
        if _is_local(element):
            over, under = (number(element.find(f"stretch{n}")) or Fraction(1) for n in "ND")
            self.stretch = abs(under / over)
            return
        top, bottom = (number(element.find(f"sig{n}")) or Fraction(0) for n in "ND")
        if 0 < top <= 255 and 0 < bottom <= 128 and top.denominator == bottom.denominator == 1:
            self.here.metre = (int(top), int(bottom))

    def key(self, element: Element) -> None:
        """Read a key signature, as it sounds."""
        sounding = number(element.find("concertKey"))
        stated = number(element.find("accidental")) if sounding is None else sounding
        if stated is not None and self.staff == 1:
            shift = self.shift if sounding is None else 0
            self.here.keys[self.at] = (key_as_sounds(round(stated), shift), _is_minor(element))

    def harmony(self, element: Element) -> None:
        """Read a chord symbol; without a root, only one that states "no chord"."""
        kind = text_of(element.find("harmonyType"))
        if kind and kind not in {"0", "standard"}:
            return  # analysis by Roman numerals or Nashville numbers
        source = element.find("harmonyInfo")
        source = element if source is None else source
        root = _tone_name(number(source.find("root")), self.shift)
        text = text_of(source.find("name"))
        if not root:
            read = read_symbol(text)
            if read is not None and not read.tones:
                self.here.chords[self.at] = ChordSymbol(NO_CHORD)
            return
        bass = _tone_name(number(source.find("base")), self.shift)
        symbol = root + text + (f"/{bass}" if bass else "")
        self.here.chords[self.at] = read_symbol(symbol) or ChordSymbol(symbol)

    def chord_or_rest(self, element: Element) -> None:
        """Read a chord, a rest, or a chord of grace notes."""
        names = {child.tag for child in element}
        grace, after = bool(names & _GRACES), bool(names & _GRACES_AFTER)
        length = Fraction(0) if grace or after else self.length(element)
        if length is None:
            self.part.unread += len(element.findall("Note"))
            return
        onset = self.at
        tones = self.tones(element, onset, length)
        if grace or after:
            self.graces.append((tones, after))
            return
        self.flush_graces(onset, length)
        self.here.sounds += tones
        self.at = small(onset + length)
        if element.find("Lyrics/text") is not None and tones:
            self.part.sung[tones[0].part] += 1

    def length(self, element: Element) -> Fraction | None:
        """Return the quarters of a chord or rest, None where they can't be read."""
        stated = element.find("duration")
        kind = text_of(element.find("durationType"))
        quarters: Fraction | None
        if kind == "measure":
            return self.frame.lengths[self.index]
        if stated is not None:
            quarters = _duration(stated)
        else:
            quarters = LENGTHS.get(kind)
            dots = number(element.find("dots")) or Fraction(0)
            if quarters is not None:
                quarters *= 2 - Fraction(1, 2 ** max(min(int(dots), 4), 0))
        if quarters is None or not 0 <= quarters <= LONGEST_NOTE:
            return None
        for ratio in self.tuplets:
            quarters *= ratio
        quarters *= self.numbered.get(text_of(element.find("Tuplet")), Fraction(1))
        return min(small(quarters * self.stretch), Fraction(LONGEST_NOTE))

    def tones(self, chord: Element, onset: Fraction, length: Fraction) -> list[Sound]:
        """Return the notes of a chord that sound."""
        tones = []
        moved = number(chord.find("staffMove")) or Fraction(0)
        staff = min(max(self.staff + round(moved), 1), self.part.most_staves)
        for note in chord.findall("Note"):
            pitch = number(note.find("pitch"))
            if self.drums:
                self.part.drums += 1
            elif pitch is None or not 0 <= pitch <= 127:
                self.part.unread += 1
            elif self.is_silent(note, round(pitch), tie := self.tie(note)):
                self.part.cues += 1
            else:
                tones.append(Sound(onset, length, round(pitch), 0, staff, tie, 0, str(self.voice)))
        return tones

    def is_silent(self, note: Element, pitch: int, tie: str) -> bool:
        """Return whether a note isn't played; of tied notes, the first decides."""
        silent = text_of(note.find("play")) == "0"
        if tie in {"stop", "continue"}:
            silent = pitch in self.silent_ties
        if silent and tie in {"start", "continue"}:
            self.silent_ties.add(pitch)
        else:
            self.silent_ties.discard(pitch)
        return silent

    def tie(self, note: Element) -> str:
        """Return whether a note is tied, in the words of :class:`Sound`."""
        spanners = [s for s in note.findall("Spanner") if s.get("type") == "Tie"]
        starts = any(s.find("next") is not None for s in spanners)
        stops = any(s.find("prev") is not None for s in spanners)
        ends = {end.get("id") or "" for end in note.findall("endSpanner")}
        stops = stops or bool(ends & self.tie_ids)
        for tie in note.findall("Tie"):
            starts = True
            self.tie_ids.add(tie.get("id") or "")
        return "continue" if starts and stops else "start" if starts else "stop" if stops else ""

    def flush_graces(self, onset: Fraction, length: Fraction) -> None:
        """Put the grace notes so far before their main note, or at its end."""
        for follows in (False, True):
            group = [tones for tones, after in self.graces if after == follows]
            group = group[::-1] if follows else group  # they are saved last to first
            for before, tones in zip(range(len(group), 0, -1), group, strict=True):
                place, order = onset, before
                if follows:
                    place, order = max(onset + length - before * GRACE_QUARTERS, onset), 0
                self.here.sounds += [
                    tone._replace(onset=place, length=GRACE_QUARTERS, grace=order, tie="")
                    for tone in tones
                ]
        self.graces = []

    def octave_line(self, element: Element) -> None:
        """Begin or end a line under which notes sound octaves away."""
        here = self.frame.starts[self.index] + self.at
        if element.tag == "endSpanner":
            if line := self.open_lines.pop(element.get("id") or "", None):
                self.ottavas.append((line[0], here, line[1]))
            return
        line_element = element if element.tag == "Ottava" else element.find("Ottava")
        semitones = (
            _OCTAVES.get(text_of(line_element.find("subtype")), 0)
            if line_element is not None
            else 0
        )
        if not semitones:
            return
        if element.tag == "Ottava":
            self.open_lines[element.get("id") or ""] = (here, semitones)
        elif (there := element.find("next/location")) is not None:
            measures = round(number(there.find("measures")) or 0)
            index = max(min(self.index + measures, len(self.frame.lengths)), self.index)
            end = self.frame.starts[index] + self.at + _quarters_of(there.find("fractions"))
            self.ottavas.append((here, end, semitones))

    def shift_octaves(self) -> None:
        """Shift the notes of this staff that octave lines are over, in place."""
        for start, end, semitones in self.ottavas:
            for begin, length, content in zip(
                self.frame.starts, self.frame.lengths, self.part.contents, strict=False
            ):
                if begin + length <= start or begin >= end:
                    continue
                content.sounds = [
                    sound._replace(pitch=max(min(sound.pitch + semitones, 127), 0))
                    if sound.part == self.staff and start <= begin + sound.onset < end
                    else sound
                    for sound in content.sounds
                ]

    def repeat_bars(self, measures: list[Element], index: int) -> None:
        """Give a group of measures the notes of those before it, as a sign asks."""
        sign = next(e for tag in _BARS_REPEATED for e in measures[index].iter(tag))
        size = max(min(round(number(sign.find("subtype")) or 1), 4), 1)
        counted = number(measures[index].find("measureRepeatCount"))
        first = index - (round(counted) - 1 if counted and 0 < counted <= size else 0)
        for repeated in range(max(first, 0), min(first + size, len(self.frame.lengths))):
            self.repeated[repeated] = size

    def copy(self, index: int, back: int) -> None:
        """Give a measure the notes that this staff has so many measures before it."""
        content, source = self.part.contents[index], index - back
        if source >= 0 and not any(sound.part == self.staff for sound in content.sounds):
            content.sounds += [
                sound._replace(tie="")
                for sound in self.part.contents[source].sounds
                if sound.part == self.staff and sound.onset < self.frame.lengths[index]
            ]

    def within(self, place: Fraction) -> Fraction:
        """Keep a place within this measure."""
        return min(max(small(place), Fraction(0)), self.frame.lengths[self.index])


def _repeats(
    part: Part, measures: list[Element], lengths: list[Fraction], jumps: dict[str, str]
) -> None:
    """Give a part's measures the first staff's repeats, endings and jumps."""
    voltas = set[str]()  # of version 2, by id
    again = "again" in jumps
    for index, (measure, content) in enumerate(zip(measures, part.contents, strict=False)):
        content.begins = content.begins or measure.find("startRepeat") is not None
        if (end := measure.find("endRepeat")) is not None:
            content.ends = max(min(round(number(end) or 2), MOST_TURNS) - 1, 1)
            content.after_jump = again

        played_yet = False
        for element in measure.iter():
            played_yet = played_yet or element.tag in {"Chord", "Rest"}
            if element.tag == "Volta":
                content.ending = ending_numbers(text_of(element.find("endings")))
                voltas.add(element.get("id") or "")
            elif element.tag == "Spanner" and element.find("Volta") is not None:
                last = _last_measure(element, index, len(part.contents))
                part.contents[last].ending_stops = True
            elif element.tag == "endSpanner" and element.get("id") in voltas:
                part.contents[max(index - (not played_yet), 0)].ending_stops = True
            elif element.tag == "Marker":
                content.words += _marked(element, jumps, lengths[index])
            elif element.tag == "Jump":
                goal = text_of(element.find("jumpTo"))
                word = ("da capo", "") if goal == "start" else ("dal segno", goal)
                content.words.append((lengths[index], *word))
            elif text_of(element) == "section" and index + 1 < len(part.contents):
                part.contents[index + 1].begins = True  # repeats don't go back beyond a section


def _last_measure(spanner: Element, index: int, count: int) -> int:
    """Return the last measure of a spanner that begins with a measure."""
    there = spanner.find("next/location")
    measures = fractions = Fraction(0)
    if there is not None:
        measures = number(there.find("measures")) or Fraction(0)
        fractions = _quarters_of(there.find("fractions"))
    last = index + round(measures) - (fractions <= 0)
    return max(min(last, count - 1), index)


def _jumps(score: Element) -> dict[str, str]:
    """Return the purpose of each marker's label, by the jumps that name it.

    Where a text alone says "D.C." or the like, as in many songs, it has its usual meaning.
    """
    texts = {word_said(text_of(e.find("text"))) for tag in _TEXTS for e in score.iter(tag)}
    found = dict(_MARKERS) if texts & {"da capo", "dal segno"} else {}
    for jump in score.iter("Jump"):
        goal, until, onward = (
            text_of(jump.find(tag)) for tag in ("jumpTo", "playUntil", "continueAt")
        )
        if goal not in {"", "start", "end"}:
            found[goal] = "segno"
        if until not in {"", "start", "end"}:
            found[until] = "to coda" if onward else "fine"
        if onward not in {"", "start", "end"}:
            found[onward] = "coda"
        if text_of(jump.find("playRepeats")) == "1":
            found["again"] = ""
    return found


def _marked(
    marker: Element, jumps: dict[str, str], end: Fraction
) -> list[tuple[Fraction, str, str]]:
    """Return what a marker stands for, in the form of :class:`Content`.

    It is nothing where no jump names the marker.
    """
    label = text_of(marker.find("label"))
    word = jumps.get(label, "")
    if not word:
        return []
    return [
        (end if word in {"fine", "to coda"} else Fraction(0), word, label if word != "fine" else "")
    ]


def _is_local(time: Element) -> bool:
    """Return whether a metre is one of its staff alone.

    Such a staff's notes are stretched to the others'.
    """
    return any((number(time.find(f"stretch{n}")) or 1) not in {0, 1} for n in "ND")


def _is_warning(sign: Element) -> bool:
    """Return whether a metre or key at the end of a bar warns of the next bar's."""
    return text_of(sign.find("isCourtesy")) == "1"


def _metre_quarters(time: Element) -> Fraction | None:
    top, bottom = (number(time.find(f"sig{n}")) for n in "ND")
    return 4 * top / bottom if top and bottom and 0 < top <= 255 and bottom > 0 else None


def _is_minor(key: Element) -> bool:
    return text_of(key.find("mode")) == "minor"


def _fraction(text: str | None) -> Fraction | None:
    """Read a fraction as 3/4, perhaps negative; None where it is none."""
    found = re.fullmatch(r"\s*(-?\d{1,6})(?:/(\d{1,6}))?\s*", text or "")
    return Fraction(int(found[1]), int(found[2] or 1)) if found and found[2] != "0" else None


def _quarters_of(element: Element | None) -> Fraction:
    """Return the quarters of a distance in whole notes, 0 where there is none."""
    return 4 * (_fraction(text_of(element)) or Fraction(0))


def _duration(element: Element) -> Fraction | None:
    """Return the quarters of a duration.

    Version 2 has an attribute for each of its numbers.
    """
    if element.get("z"):
        value = _fraction(f"{element.get('z')}/{element.get('n') or 1}")
    else:
        value = _fraction(text_of(element))
    return None if value is None else 4 * value


def _ratio(tuplet: Element) -> Fraction:
    """Return by how much a tuplet's notes are shorter than they look."""
    normal, actual = (number(tuplet.find(f"{n}Notes")) for n in ("normal", "actual"))
    fits = normal and actual and 0 < normal <= 1000 and 0 < actual <= 1000
    return small(normal / actual) if fits and normal and actual else Fraction(1)


def _tone_name(line: Fraction | None, shift: int) -> str:
    """Return a tone's name, as it sounds, by its place on the line of fifths.

    C is at 14.
    """
    if line is None or not -8 <= line <= 40:
        return ""
    place = round(line) + 1 + (7 * shift + 5) % 12 - 5 if shift else round(line) + 1
    alter = place // 7 - 2
    return _FIFTHS[place % 7] + ("#" * alter or "b" * -alter)
