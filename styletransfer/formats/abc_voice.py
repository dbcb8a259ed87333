"""A voice of an ABC tune while it is read.

It holds pitches, lengths, ties, tuplets and bar lines.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from styletransfer.formats.written import DEFAULT_VELOCITY, GRACE_QUARTERS, Metre, Signs, Sound
from styletransfer.music.chord_symbols import (
    SEMITONES,
    ChordSymbol,
    looks_like_a_chord,
    read_symbol,
)

MOST_TURNS = 16
"""The most times that a repeat is played, whatever the file states."""
ACCIDENTALS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
_WORDS = {
    "segno": "segno",
    "coda": "coda",
    "fine": "fine",
    "(to|da|al)coda": "to coda",
    "(dc|dacapo)(al(la)?(fine|coda))?": "da capo",
    "(ds|dalsegno)(al(la)?(fine|coda))?": "dal segno",
}
_TIES = {
    (False, False): "",
    (False, True): "start",
    (True, True): "continue",
    (True, False): "stop",
}


@dataclass
class Measure:
    start: Fraction
    metre: Metre | None
    begins: bool = False
    ends: int = 0
    ending: frozenset[int] = frozenset()
    words: frozenset[tuple[str, str]] = frozenset()

    @property
    def signs(self) -> Signs:
        return Signs(self.begins, self.ends, self.ending, self.words)


@dataclass
class Voice:
    """A voice while it is read: its present state, and what was written so far."""

    name: str
    unit: Fraction  # quarters of a note without a length
    metre: Metre | None
    key: dict[str, int]
    clef_shift: int  # semitones, by the clef in K:
    shift: int  # semitones, by V:
    place: Fraction = Fraction(0)
    sounds: list[Sound] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    accidentals: dict[str, int] = field(default_factory=dict)
    graces: list[int] = field(default_factory=list)
    chords: dict[Fraction, ChordSymbol] = field(default_factory=dict)
    words: list[tuple[str, int, Fraction]] = field(
        default_factory=list
    )  # as in Signs; measure, place
    open_ties: dict[tuple[str, str], int] = field(
        default_factory=dict
    )  # letter and octave as written -> pitch
    last: tuple[int, Fraction] = (
        0,
        Fraction(0),
    )  # first sound and place of the last note, chord or rest
    stretch: Fraction = Fraction(1)  # of the next note, by a broken rhythm
    tuplet: Fraction = Fraction(1)
    tuplet_left: int = 0
    repeating: bool = False  # whether a |: waits for its :|
    overlay: bool = False
    propagate: str = (
        "pitch"  # an accidental holds for the bar: in all octaves, in its "octave" only, or "not"
    )
    transposed: int = 0  # semitones, by %%MIDI transpose

    def __post_init__(self) -> None:
        self.measures.append(Measure(self.place, self.metre))

    def pitch(self, accidental: str | None, letter: str, octave: str) -> int:
        """Return a MIDI number.

        It depends on the key, the accidentals of the bar, and a tie from the bar before.
        """
        step = letter.upper()
        place = letter + octave if self.propagate == "octave" else step
        alter = self.accidentals.get(place, self.key.get(step, 0))
        if accidental:
            alter = ACCIDENTALS[accidental]
            if self.propagate != "not":
                self.accidentals[place] = alter
        elif (letter, octave) in self.open_ties:
            return self.open_ties[letter, octave]
        height = 60 + 12 * (letter.islower() + octave.count("'") - octave.count(","))
        return height + SEMITONES[step] + alter + self.clef_shift + self.shift + self.transposed

    def play(
        self, notes: Sequence[re.Match[str]], size: Fraction = Fraction(1), tied: bool = False
    ) -> None:
        """Play a note or a chord, whose lengths are multiplied by ``size``.

        A chord lasts as long as its first note.
        """
        size *= self._factor() * self.unit
        rows, ties = [], {}
        for note in notes:
            accidental, letter, octave, *length, tie = note.groups()
            pitch = self.pitch(accidental, letter, octave)
            goes_on = tied or bool(tie)
            kind = _TIES[self.open_ties.get((letter, octave)) == pitch, goes_on]
            rows.append(
                Sound(self.place, written_length(*length) * size, pitch, DEFAULT_VELOCITY, 0, kind)
            )
            if goes_on:
                ties[letter, octave] = pitch
        for before, pitch in zip(range(len(self.graces), 0, -1), self.graces, strict=True):
            self.sounds.append(
                Sound(self.place, GRACE_QUARTERS, pitch, DEFAULT_VELOCITY, 0, "", before)
            )

        self.graces, self.open_ties = [], ties
        self.last = (len(self.sounds), self.place)
        self.sounds += rows
        self.place += rows[0].length

    def rest(self, length: Fraction) -> None:
        """Rest for so many quarters."""
        self.last, self.open_ties = (len(self.sounds), self.place), {}
        self.place += length * self._factor()

    def broken(self, marks: str) -> None:
        """Lengthen the note before ``>`` and shorten the one after it.

        ``<`` does the reverse.
        """
        short = Fraction(1, 2 ** len(marks))
        mine, self.stretch = (2 - short, short) if marks[0] == ">" else (short, 2 - short)
        first, place = self.last
        self.sounds[first:] = [
            sound._replace(length=sound.length * mine) for sound in self.sounds[first:]
        ]
        self.place = place + (self.place - place) * mine

    def start_tuplet(self, text: str) -> None:
        """Begin a tuplet ``(p:q:r``: p notes in the time of q, for the next r notes."""
        notes, time, count = (int(number or 0) for number in (text[1:] + "::").split(":")[:3])
        compound = self.metre is not None and self.metre[0] % 3 == 0 and self.metre[0] > 3
        time = time or {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(notes, 3 if compound else 2)
        self.tuplet, self.tuplet_left = Fraction(time, max(notes, 1)), count or notes

    def bar_line(self, sign: str) -> None:
        """End the measure at a bar line of any kind, and begin another one."""
        colons = re.findall(r":+(?=[|\]])", sign)  # wherever they stand in a run of bar lines
        ends = min(max(map(len, colons), default=0), MOST_TURNS - 1) if "|" in sign else 1
        begins = sign.endswith(":")
        double = sign not in {
            "|",
            ".|",
        }  # ends an ending; a repeat whose beginning is left out goes back to it
        self.repeating = begins or (self.repeating and not ends)
        begins = begins or (double and not ends and not self.repeating)
        if self.place > self.measures[-1].start:
            self.measures[-1].ends = ends
            self.measures.append(
                Measure(self.place, self.metre, begins, 0, self.measures[-1].ending)
            )
        else:  # two lines in one place
            if len(self.measures) > 1:
                self.measures[-2].ends = max(self.measures[-2].ends, ends)
            self.measures[-1].begins = self.measures[-1].begins or begins
        if double:
            self.measures[-1].ending = frozenset()
        self.accidentals = {}

    def ending(self, text: str) -> None:
        """Mark the music from here on as an ending, such as 1, or 1,3, or 1-3.

        It is played only at these turns of a repeat.
        """
        numbers: set[int] = set()
        for first, last in re.findall(r"(\d{1,3})(?:-(\d{1,3}))?", text):
            numbers |= set(range(int(first), min(int(last or first), MOST_TURNS) + 1))
        if self.place > self.measures[-1].start:
            self.measures.append(Measure(self.place, self.metre))
        before = self.measures[-2] if len(self.measures) > 1 else None
        if before is not None and before.ending and not before.ends:
            before.ends = 1  # "|1 … |2 …", with no sign of repeat between them
        self.measures[-1].ending = frozenset(
            number for number in numbers if 0 < number <= MOST_TURNS
        )

    def word(self, text: str) -> None:
        """Read a decoration or a text over the staff.

        It is a chord symbol, or may send the player elsewhere, as do D.C. al Fine, segno and To
        Coda.
        """
        if text[0] == '"' and (symbol := read_symbol(text[1:-1])) is not None:
            self.chords[self.place] = symbol
        elif text[0] == '"' and looks_like_a_chord(text[1:-1]):
            self.chords[self.place] = ChordSymbol(
                text[1:-1].strip()
            )  # not understood: no chord, rather than the one before
        plain = re.sub(r"[^a-z]", "", text.lower())
        for pattern, word in _WORDS.items():
            if re.fullmatch(pattern, plain):
                self.words.append((word, len(self.measures) - 1, self.place))

    def place_words(self) -> None:
        """Give the words to the measures that they are about, once all is read.

        A coda sign is where to leave from, if another one follows.
        """
        measures = [measure for measure in self.measures if measure.start < self.place]
        starts = [measure.start for measure in measures]
        codas = [k for k, (word, *_) in enumerate(self.words) if word == "coda"]
        if len(codas) > 1 and not any(word == "to coda" for word, *_ in self.words):
            self.words[codas[0]] = ("to coda", *self.words[codas[0]][1:])
        for word, index, place in self.words:
            if word == "to coda":
                index = bisect_left(starts, place) - 1
            elif word in {"segno", "coda"}:
                index = bisect_right(starts, place) - 1
            if index >= 0 and measures:
                measure = measures[min(index, len(measures) - 1)]
                measure.words |= {(word, "")}

    def _factor(self) -> Fraction:
        factor, self.stretch = self.stretch, Fraction(1)
        if self.tuplet_left:
            self.tuplet_left -= 1
            factor *= self.tuplet
        return factor


def written_length(number: str, slashes: str, divisor: str) -> Fraction:
    """Read a length in units: 3/2, /, //, /4, 2, or nothing for 1."""
    below = int(divisor or 2) if len(slashes) == 1 else 2 ** len(slashes)
    return Fraction(int(number or 1), below or 1)
