"""A page as MusicXML, through music21.

music21 is imported only when a score is written.
"""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import groupby
from typing import Any

from styletransfer.engraving.grid import QUARTER, Bar
from styletransfer.engraving.page import Page, Symbol
from styletransfer.engraving.values import Value, written_values
from styletransfer.music.chord_names import SUFFIXES
from styletransfer.music.chord_symbols import NO_CHORD
from styletransfer.music.qualities import NONE, QUALITIES
from styletransfer.music.spelling import letter_and_alter

TYPES = ("breve", "whole", "half", "quarter", "eighth", "16th", "32nd", "64th", "128th")
VOICES = (("1", "2"), ("5", "6"))
"""MusicXML's numbers of the voices of an instrument's first and second staff, as most programs give
them."""
KINDS = tuple(
    "half-diminished-seventh" if name == "half-diminished" else name for name in QUALITIES
)
"""music21's names of the qualities of chords."""
_Sign = tuple[str, int]  # letter and octave


def musicxml_bytes(page: Page, title: str) -> bytes:
    """Write the page as a MusicXML file; the same page and title give the same bytes."""
    music21 = _music21()
    score = music21.stream.Score(id="score")
    score.metadata = music21.metadata.Metadata(title=title)
    parts = [_staff(page, number) for number in range(len(page.staves))]
    for part in parts:
        score.insert(0, part)
    for name, group in groupby(parts, key=lambda part: part.partName):
        if len(staves := list(group)) > 1:
            braced = music21.layout.StaffGroup(staves, name=name, symbol="brace", barTogether=True)
            score.insert(0, braced)
    exporter = music21.musicxml.m21ToXml.GeneralObjectExporter(score)
    exporter.makeNotation = False
    return _without_program(exporter.parse())


def _music21() -> Any:
    """Import music21, most of which has no types."""
    import music21
    import music21.musicxml.m21ToXml

    return music21


def _without_program(data: bytes) -> bytes:
    """Remove today's date, names of parts drawn by lot, and the placeholder composer."""
    text = re.sub(r"\s*<encoding-date>.*?</encoding-date>", "", data.decode("utf-8"))
    drawn = dict.fromkeys(re.findall(r' id="(P[0-9a-f]{32})"', text))
    for number, name in enumerate(drawn, 1):
        text = text.replace(f' id="{name}"', f' id="P{number}"')
    return re.sub(r"\s*<creator type=\"composer\">Music21</creator>", "", text).encode("utf-8")


def _staff(page: Page, number: int) -> Any:
    """Make the part of one staff; ``number`` is 0 for the first one."""
    music21 = _music21()
    staff = page.staves[number]
    instruments = [one.instrument for one in page.staves]
    of_two = instruments.count(staff.instrument) > 1
    part = (music21.stream.PartStaff if of_two else music21.stream.Part)(id=f"staff-{number + 1}")
    part.partName = staff.instrument
    names = VOICES[number - instruments.index(staff.instrument)]
    keys = {row[0]: row[1] for row in page.keys}
    tempos = dict(page.tempos)
    spelling = _Spelling(page.names)
    metre = (0, 0)
    pick_up = page.bars[0].offset > 0
    for index, bar in enumerate(page.bars):
        measure = music21.stream.Measure(number=index + (not pick_up))
        if (
            bar.length < bar.full
        ):  # a pick-up, or a bar that is cut short: it isn't counted as a whole one
            measure.showNumber = music21.stream.enums.ShowNumber.NEVER
        if bar.offset:
            measure.paddingLeft = Fraction(bar.offset, QUARTER)
        if not index or staff.clefs[index] != staff.clefs[index - 1]:
            measure.insert(0, music21.clef.clefFromString(staff.clefs[index]))
        if index in keys:
            measure.insert(0, music21.key.KeySignature(keys[index]))
            spelling.signature = keys[index]
        signature = music21.meter.TimeSignature(f"{bar.numerator}/{bar.denominator}")
        if (bar.numerator, bar.denominator) != metre:
            measure.insert(0, signature)
            metre = (bar.numerator, bar.denominator)
        if not number and index in tempos:
            measure.insert(0, _tempo_mark(tempos[index], bar))
        for symbol in () if number else page.symbols:
            if bar.start <= symbol.start < bar.end:
                measure.insert(Fraction(symbol.start - bar.start, QUARTER), _chord_symbol(symbol))
        values = [written_values(voice, bar) for voice in staff.voices]
        _fill(measure, values, bar, spelling, names, page.has_melody and not number)
        _beam(measure, signature)
        part.append(measure)

    if page.has_melody and not number:
        first = next(i for i, bar in enumerate(page.bars) if staff.voices[0][0].start < bar.end)
        words = music21.expressions.TextExpression("Melody")
        words.style.fontStyle, words.placement = "italic", "above"
        offset = Fraction(max(0, staff.voices[0][0].start - page.bars[first].start), QUARTER)
        part.getElementsByClass("Measure")[first].insert(offset, words)
    part.getElementsByClass("Measure")[-1].rightBarline = music21.bar.Barline("final")
    return part


def _tempo_mark(rate: float, bar: Bar) -> Any:
    """Make a metronome mark in the note that is a beat."""
    music21 = _music21()
    beat = music21.duration.Duration(Fraction(bar.beat, QUARTER) if bar.compound else 1.0)
    mark = music21.tempo.MetronomeMark(
        number=round(rate / float(beat.quarterLength)), referent=beat
    )
    mark.placement = "above"
    return mark


def _chord_symbol(symbol: Symbol) -> Any:
    """Make a chord symbol that sounds nothing."""
    harmony = _music21().harmony
    if symbol.quality == NONE:
        return harmony.NoChord(NO_CHORD)
    root, bass = (
        letter + ("-", "", "#")[alter + 1]
        for letter, alter in map(letter_and_alter, (symbol.root, symbol.bass))
    )
    return harmony.ChordSymbol(
        root=root, kind=KINDS[symbol.quality], kindStr=SUFFIXES[symbol.quality], bass=bass
    )


def _fill(
    measure: Any,
    voices: list[list[Value]],
    bar: Bar,
    spelling: _Spelling,
    names: tuple[str, str],
    melody: bool,
) -> None:
    """Put the voices of a bar into its measure.

    A voice that only rests is left out where another one has notes. So are rests of a beat or more
    during which the other voice sounds, and all of a second voice without a melody above it.
    """
    used = [
        number for number, voice in enumerate(voices) if any(value.pitches for value in voice)
    ] or [0]
    signs = spelling.accidentals([(number, value) for number in used for value in voices[number]])
    for number in used:
        stem = ("up", "down")[number] if len(used) > 1 else "up" if melody and number == 0 else None
        voice = _music21().stream.Voice(id=names[number])
        for value in voices[number]:
            element = _element(value, stem, signs.get((number, value.start), {}))
            shown = value.pitches or value.tuplet or (melody and not number)
            plain = number and 0 in used and not melody  # the upper voice shows the beats
            if not shown and (plain or _is_covered(value, voices[1 - number], bar)):
                element.style.hideObjectOnPrint = True
            voice.insert(Fraction(value.start - bar.start, QUARTER), element)
        measure.insert(0, voice)


def _is_covered(rest: Value, other: list[Value], bar: Bar) -> bool:
    """Return whether another voice sounds as long as a rest of whole beats lasts."""
    end = rest.start + rest.length
    sounding = sum(
        max(0, min(end, value.start + value.length) - max(rest.start, value.start))
        for value in other
        if value.pitches
    )
    return rest.length % bar.beat == 0 and sounding == rest.length


def _beam(measure: Any, signature: Any) -> None:
    """Beam the notes of a measure by its metre."""
    from music21.exceptions21 import Music21Exception

    for voice in measure.voices:
        elements = list(voice.notesAndRests)
        padding = measure.paddingLeft
        try:
            beams = signature.getBeams(elements, measureStartOffset=padding)
        except Music21Exception:  # a bar that is longer or shorter than its metre
            continue
        open_beams: set[int] = set()
        for element, found in zip(elements, beams, strict=True):
            if found is None or element.isRest:
                continue
            for beam in list(found):
                if beam.type in {"stop", "continue"} and beam.number not in open_beams:
                    found.beamsList.remove(
                        beam
                    )  # in a bar cut short, music21 ends beams that never began
                elif beam.type in {"start", "stop"}:
                    open_beams ^= {beam.number}
            element.beams = found


class _Spelling:
    """Names and accidentals, bar by bar."""

    def __init__(self, names: dict[tuple[int, int], int]) -> None:
        self.names = names
        self.signature = 0
        self.last: dict[int, int] = {}  # pitch: its name when it last began
        self.before: dict[
            _Sign, int
        ] = {}  # alterations in the bar before that are not the signature's

    def accidentals(
        self, values: list[tuple[int, Value]]
    ) -> dict[tuple[int, int], dict[int, tuple[str, int, int, bool]]]:
        """Return the accidentals of a bar, by (voice, tick) and pitch.

        Each is (letter, octave, alteration, whether it is printed). One is printed where the
        alteration isn't what the bar has so far, and as a reminder where the bar before had
        another. A note tied over the bar line has none.
        """
        current: dict[_Sign, int] = {}
        told: set[_Sign] = set()
        found: dict[tuple[int, int], dict[int, tuple[str, int, int, bool]]] = {}
        for voice, value in sorted(values, key=lambda row: (row[1].start, row[0])):
            chord = found.setdefault((voice, value.start), {})
            for pitch in value.pitches:
                if pitch not in value.tied_from:
                    self.last[pitch] = self.names.get((value.start, pitch), self.last.get(pitch, 0))
                letter, alter = letter_and_alter(self.last[pitch])
                sign = letter, (pitch - alter) // 12 - 1
                usual = _of_signature(letter, self.signature)
                shown = False
                if pitch not in value.tied_from:
                    reminder = sign not in told and self.before.get(sign, alter) != alter
                    shown = current.get(sign, usual) != alter or reminder
                    current[sign] = alter
                    told.add(sign)
                chord[pitch] = (*sign, alter, shown)

        self.before = {
            sign: alter
            for sign, alter in current.items()
            if alter != _of_signature(sign[0], self.signature)
        }
        return found


def _of_signature(letter: str, fifths: int) -> int:
    """Return the alteration of a letter in a key signature."""
    place = "FCGDAEB".index(letter)
    return int(place < fifths) if fifths > 0 else -int(6 - place < -fifths)


def _element(value: Value, stem: str | None, signs: dict[int, tuple[str, int, int, bool]]) -> Any:
    """Make a music21 note, chord or rest."""
    music21 = _music21()
    notes = []
    for pitch in value.pitches:
        written = music21.note.Note(_pitch(*signs[pitch]))
        tie = {(True, True): "continue", (True, False): "stop", (False, True): "start"}.get(
            (pitch in value.tied_from, pitch in value.tied_to)
        )
        if tie:
            written.tie = music21.tie.Tie(tie)
        notes.append(written)

    element = (
        music21.note.Rest()
        if not notes
        else notes[0]
        if len(notes) == 1
        else music21.chord.Chord(notes)
    )
    element.duration = _duration(value, stem)
    if value.whole:
        element.fullMeasure = True
    if notes and stem:
        element.stemDirection = stem

    return element


def _pitch(letter: str, octave: int, alter: int, shown: bool) -> Any:
    """Make a music21 pitch; ``shown`` states whether its accidental is printed."""
    music21 = _music21()
    made = music21.pitch.Pitch(step=letter, octave=octave)
    if alter or shown:
        made.accidental = music21.pitch.Accidental(alter)
        made.accidental.displayStatus = shown
    return made


def _duration(value: Value, stem: str | None) -> Any:
    """Make the music21 duration of a value."""
    duration = _music21().duration
    if value.whole:
        return duration.Duration(Fraction(value.length, QUARTER))
    name, dots = _type(value.written)
    made = duration.Duration(type=name, dots=dots)
    if value.tuplet:
        made.appendTuplet(duration.Tuplet(*value.tuplet))
        made.tuplets[0].type = value.edge or None
        made.tuplets[0].placement = {"up": "above", "down": "below"}.get(
            stem or ""
        )  # out of the other voice's way
    return made


def _type(length: int) -> tuple[str, int]:
    """Return the name and the dots of a written length in ticks."""
    for index, name in enumerate(TYPES):
        plain = 8 * QUARTER >> index
        if length == plain:
            return name, 0
        if 2 * length == 3 * plain:
            return name, 1
    raise AssertionError(f"no sign lasts {length} ticks")
