"""Read ABC tune books as pieces, by the ABC standard 2.1.

See https://abcnotation.com/wiki/abc:standard:v2.1.

Read here rather than by music21, whose reader of ABC (10.5) lets an accidental lapse within its
bar, skips the fields and voices that stand inside the music (``[K:G]``, ``[V:2]``), takes the note
before ``::`` for a field, and lets an ending last one bar.

Repeats and endings are played out, so are "D.C. al Fine" and its like, as decorations or texts, and
the order of parts that ``P:`` states in the heading; tied notes become one, chord symbols are kept
as such, words and other decorations are left out. Grace notes take an eighth of a quarter each, as
in MusicXML. Rare things that are not understood: second lines within a voice (``&``: left out, with
a remark), and macros.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from styletransfer.errors import InputError
from styletransfer.formats.abc_voice import ACCIDENTALS, MOST_TURNS, Measure, Voice, written_length
from styletransfer.formats.titles import title_of
from styletransfer.formats.written import (
    FASTEST,
    MOST_SECTIONS,
    SLOWEST,
    Metre,
    Signs,
    Written,
    distinct_label,
    in_order,
    in_playing_order,
    played,
    sections_in_order,
)
from styletransfer.music.notes import Feel, Piece

_SHARPS = "FCGDAEB"
_MODES = {
    "": 0,
    "maj": 0,
    "ion": 0,
    "mix": -1,
    "dor": -2,
    "m": -3,
    "min": -3,
    "aeo": -3,
    "phr": -4,
    "loc": -5,
    "lyd": 1,
}

_LENGTH = r"(\d{0,4})(/{0,6})(\d{0,4})"
_PITCH = r"(\^\^|\^|=|__|_)?/?([A-Ga-g])([,']{0,6})"
_NOTE = re.compile(_PITCH + _LENGTH + r"\s*(-?)")
_LAST_NOTE = re.compile(r"([A-Ga-g][,']{0,6}\d{0,4}/{0,6}\d{0,4})(\s*\|?\s*)$")
_FIELD = re.compile(r"([A-Za-z]):(?![|:])\s*(.*)")
_KEY = re.compile(r"([A-G])([#b]?)\s*((?i:maj|min|mix|dor|phr|lyd|loc|ion|aeo|m(?![a-z]))?)")
_OLD_TEMPO = re.compile(rf"\s*C{_LENGTH}\s*=")
_TOKEN = re.compile(
    rf"""(?P<field>\[[A-Za-z]:[^\]]*\])                       # [K:G]
       | (?P<plus>\+(?=[a-g]*[A-G\d^_=])(?:{_PITCH}{_LENGTH}){{2,8}}\+)  # +CEG+, the chords of old
       | (?P<text>"[^"]*"|![^!\s]*!|\+[a-z][a-z.0-9<>()]*\+)     # chord symbols, decorations
       | (?P<space>y\d*)
       | (?P<bar>:*\[?\|[|\]:]*|::+)
       | (?P<ending>\[?\d[\d,.-]*)
       | (?P<tuplet>\(\d(?::\d?)?(?::\d?)?)
       | (?P<grace>\{{[^}}]*\}})
       | (?P<chord>\[[^\]|]*\]{_LENGTH}\s*-?)
       | (?P<note>{_PITCH}{_LENGTH}\s*-?)
       | (?P<rest>[zxZX]{_LENGTH})
       | (?P<broken><{{1,3}}|>{{1,3}})
       | (?P<overlay>&)""",
    re.VERBOSE,
)


LEFT_OUT = "%%left out"
"""Stands, among a tune's lines, for music after the empty line that ends it."""


class Tune(NamedTuple):
    """A tune of a book: its number and title as the book has them, and its lines.

    The lines come after the defaults of the book.
    """

    number: str
    title: str
    lines: tuple[str, ...]


def parse_abc(data: bytes, name: str, feel: Feel | None = None, tune: int | None = None) -> Piece:
    """Read the bytes of an ABC file as a piece.

    ``name`` is what error messages call the file. ``tune`` is the place of the tune in its book,
    from 0; None takes the first, with a remark where there are more.

    Raises:
        InputError: where the bytes are not ABC, or the tune has no notes, or hours of them.
    """
    found = tunes(data, name)
    reader = _Reader()
    if tune is None and len(found) > 1:
        reader.remarks.append(f"the file holds {len(found)} tunes; the first one was read")
    chosen = found[tune or 0]
    return replace(played(reader.read(chosen), name, feel), title=title_of(chosen.title))


@lru_cache(maxsize=4)  # a book is read once, not once for each of its tunes
def tunes(data: bytes, name: str) -> tuple[Tune, ...]:
    """Return the tunes of a book, at least one.

    A tune begins with ``X:`` and ends at the first empty line after music.

    Raises:
        InputError: where the bytes are not ABC.
    """
    text = _text(data)
    head: list[str] = []
    book: list[list[str]] = []
    over = False
    block = ""  # the name of a block of text, which ends with %%end and that name
    for line in (line.strip(" \t\v\f\x85\xa0") for line in re.split(r"\r\n|\n|\r", text)):
        if block:
            block = "" if line.startswith(f"%%end{block}") else block
        elif found := re.match(r"%%begin(\w+)", line):
            block = found[1]
        elif line.startswith("X:"):
            book.append([line])
            over = False
        elif not book:
            head.append(line)
        elif not line:
            over = over or _has_music(book[-1])
        elif not over:
            _append(book[-1], line)
        elif "|" in line and not _FIELD.match(line) and book[-1][-1] != LEFT_OUT:
            book[-1].append(LEFT_OUT)

    defaults = [line for line in head if line.startswith(("L:", "M:", "Q:"))] if book else []
    result = []
    for lines in book or [head]:
        if any(line.startswith("K:") for line in lines):
            fields = {
                match[1]: _plain(match[2])
                for line in reversed(lines)
                if (match := _FIELD.match(line))
            }
            result.append(Tune(fields.get("X", ""), fields.get("T", ""), (*defaults, *lines)))

    if "\0" in text or not result:
        raise InputError(
            f"{name}: it is not ABC (no tune in it has a K: line); "
            "correct it, or give MIDI or MusicXML."
        )
    return tuple(result)


def _append(lines: list[str], line: str) -> None:
    """Add a line to a tune's; a tie at its beginning is that of the note before."""
    if line.startswith("-") and _LAST_NOTE.search(lines[-1]) and not _FIELD.match(lines[-1]):
        lines[-1] = _LAST_NOTE.sub(r"\1-\2", lines[-1])
        line = line[1:]
    lines.append(line)


def _has_music(lines: list[str]) -> bool:
    """Return whether there is music after the key, which ends a tune's heading."""
    key = next((k for k, line in enumerate(lines) if line.startswith("K:")), len(lines))
    return any(not _FIELD.match(line) and not line.startswith("%") for line in lines[key + 1 :])


def _text(data: bytes) -> str:
    """Decode UTF-8, or UTF-16 with a byte-order mark, else what Windows uses."""
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


class _Reader:
    """A tune while it is read: its voices, and what holds for voices still to begin."""

    def __init__(self) -> None:
        self.voices: dict[str, Voice] = {}
        self.current: Voice | None = None
        self.labels: dict[str, str] = {}
        self.shifts: dict[str, int] = {}
        self.unit: Fraction | None = None
        self.metre: Metre | None = (4, 4)
        self.key: dict[str, int] = {}
        self.clef_shift = 0
        self.keys: dict[Fraction, tuple[int, bool]] = {}
        self.tempos: dict[Fraction, float] = {}
        self.old_tempo = (
            ""  # a tempo in the heading that counts units, whose length may be stated later
        )
        self.propagate = "pitch"
        self.transposed = 0
        self.sung: set[str] = set()
        self.part_order = ""
        self.parts: dict[str, Fraction] = {}  # where each begins, as written
        self.remarks: list[str] = []
        self.in_music = False

    def read(self, tune: Tune) -> Written:
        """Read the whole tune."""
        for line in tune.lines:
            if line == LEFT_OUT:
                self.remarks.append("music after an empty line, which ends a tune, was left out")
            elif line.startswith("%%"):
                self.directive(line[2:])
            line = _plain(line)
            if match := _FIELD.match(line):
                self.field(match[1], match[2])
                self.in_music = self.in_music or match[1] == "K"
            elif self.in_music and not line.startswith("+:"):  # a field that continues
                self.music(line)

        voices = [voice for voice in self.voices.values() if voice.place]
        voices = [voice for voice in voices if voice.sounds] or [
            voice for voice in voices if voice.chords
        ]
        names = self.name(voices)
        leader = max(
            voices,
            key=lambda v: len(v.words) + sum(m.begins or m.ends > 0 for m in v.measures),
            default=None,
        )
        if leader is None:
            return Written([], (), [], [])
        leader.place_words()

        written = [measure for measure in leader.measures if measure.start < leader.place]
        starts = [measure.start for measure in written]
        stops = [*starts[1:], max(voice.place for voice in voices)]
        order = self.playing_order([measure.signs for measure in written], starts)
        measures, runs = in_order(
            order, starts, stops, [measure.metre or (4, 4) for measure in written]
        )

        sounds = [sound for voice in voices for sound in voice.sounds]
        sung = tuple(part for part, voice in enumerate(voices) if voice.name in self.sung)
        chords = {place: symbol for voice in voices for place, symbol in voice.chords.items()}
        return Written(
            sounds,
            tuple(names),
            measures,
            runs,
            self.tempos,
            self.keys,
            chords,
            0,
            tuple(self.remarks),
            sung,
        )

    def name(self, voices: Sequence[Voice]) -> list[str]:
        """Return the names of the parts that voices become, and give them their notes."""
        names: list[str] = []
        for part, voice in enumerate(voices):
            voice.sounds = [
                sound._replace(part=part)
                for sound in voice.sounds
                if 0 <= sound.pitch <= 127 and sound.length
            ]
            own = "" if voice.name.isdigit() else voice.name
            names.append(
                distinct_label(self.labels.get(voice.name) or own or f"part {part + 1}", names)
            )
        return names

    def playing_order(self, signs: Sequence[Signs], starts: Sequence[Fraction]) -> list[int]:
        """Return the order in which measures are played.

        It is the order of parts where there is one, each part by its own signs.
        """
        if not self.part_order:
            return in_playing_order(signs)
        parts = sections_in_order(parts_in_order(self.part_order), self.parts, starts)
        if not parts:
            self.remarks.append(
                f"its order of parts (P:{self.part_order[:40]}) names parts that it doesn't have, "
                "and was left out"
            )
            return in_playing_order(signs)
        return [
            part.start + index
            for part in parts
            for index in in_playing_order(signs[part.start : part.stop])
        ]

    def directive(self, text: str) -> None:
        """Read a directive that changes the pitches of notes.

        These are ``%%propagate-accidentals``, ``%%MIDI transpose`` and ``%%MIDI nobarlines``.
        """
        name, *values = text.replace("=", " ").split() or [""]
        if name == "MIDI" and values:
            name, *values = values
        value = values[0] if values else ""
        if name == "propagate-accidentals" and value in {"not", "octave", "pitch"}:
            self.propagate = value
        elif name == "nobarlines":
            self.propagate = "not"
        elif name == "transpose" and re.fullmatch(r"[-+]?\d{1,2}", value):
            if self.current is None:
                self.transposed = int(value)
            else:
                self.current.transposed = int(value)
        for voice in self.voices.values():
            voice.propagate = self.propagate

    def field(self, letter: str, value: str) -> None:
        """Read a field.

        It stands in the heading, on a line of its own within the music, or inside a line of music.
        """
        voice = self.current
        if letter == "V":
            self.switch(value)
        elif letter == "K":
            self.key_field(value)
        elif letter == "Q":
            self.tempo_field(value)
        elif letter == "I":
            self.directive(value)
        elif letter == "P":
            self.part_field(value)
        elif letter == "M":
            self.metre_field(value)
        elif letter == "w" and voice:
            self.sung.add(voice.name)
        elif letter == "L" and (unit := _fraction(value)):
            if voice is None:
                self.unit = 4 * unit
            else:
                voice.unit = 4 * unit

    def tempo_field(self, value: str) -> None:
        """Read ``Q:``, a tempo, which in the heading may have notes without a length."""
        voice = self.current
        if voice is None and _OLD_TEMPO.match(value):
            self.old_tempo = value
        elif (tempo := _tempo(value, voice.unit if voice else Fraction(1))) is not None:
            self.tempos.setdefault(voice.place if voice else Fraction(0), tempo)

    def part_field(self, value: str) -> None:
        """Read ``P:``: in the heading the order of parts, then the part that begins."""
        voice = self.current
        if not self.in_music:
            self.part_order = value.strip()
            return
        self.parts.setdefault(value.strip()[:1], voice.place if voice else Fraction(0))
        if voice and self.part_order and voice.place > voice.measures[-1].start:
            voice.measures.append(Measure(voice.place, voice.metre))

    def metre_field(self, value: str) -> None:
        """Read ``M:``, the metre from here on."""
        voice = self.current
        if voice is None:
            self.metre = _metre(value)
            return
        voice.metre = _metre(value)
        if voice.place == voice.measures[-1].start:
            voice.measures[-1].metre = voice.metre

    def switch(self, value: str) -> None:
        """Read ``V:``, which describes a voice and, within the music, switches to it."""
        name, _, rest = value.strip().partition(" ")
        if label := re.search(r"\b(?:name|nm)\s*=\s*(?:\"([^\"]*)\"|(\S+))", rest):
            self.labels[name] = " ".join((label[1] or label[2] or "").replace("\\n", " ").split())[
                :80
            ]
        if (shift := _shift(rest)) is not None:
            self.shifts[name] = shift
        if not self.in_music:
            return
        if name not in self.voices:
            unit = self.unit or Fraction(
                1, 4 if self.metre and Fraction(*self.metre) < Fraction(3, 4) else 2
            )
            self.voices[name] = Voice(name, unit, self.metre, self.key, self.clef_shift, 0)
            self.voices[name].propagate, self.voices[name].transposed = (
                self.propagate,
                self.transposed,
            )
            if self.old_tempo and (tempo := _tempo(self.old_tempo, unit)) is not None:
                self.tempos.setdefault(Fraction(0), tempo)
            self.old_tempo = ""

        self.current = self.voices[name]
        self.current.shift = self.shifts.get(name, 0)

    def key_field(self, value: str) -> None:
        """Read ``K:``: a key, perhaps with a clef, or only a clef.

        A key may have accidentals of its own, and a clef may transpose.
        """
        voice = self.current
        if (shift := _shift(value)) is not None:
            if voice is None:
                self.clef_shift = shift
            else:
                voice.clef_shift = shift

        stated = _KEY.match(value)
        pipes = value.startswith(("HP", "Hp"))  # F and C sharp, G natural
        if not (stated or pipes or value.startswith("none")):
            return

        fifths = 2 if pipes else 0
        if stated:
            explicit = re.search(r"(?i)\bexp\b", value) is not None
            fifths = (
                0
                if explicit
                else _SHARPS.index(stated[1])
                - 1
                + {"#": 7, "b": -7, "": 0}[stated[2]]
                + _MODES[stated[3].lower()]
            )

        key = dict.fromkeys(_SHARPS[: max(fifths, 0)], 1) | dict.fromkeys(
            _SHARPS[::-1][: max(-fifths, 0)], -1
        )
        for accidental, letter in re.findall(r"(?<!\S)(\^\^|\^|=|__|_)([A-Ga-g])(?!\S)", value):
            key[letter.upper()] = ACCIDENTALS[accidental]

        first = voice is None or voice is next(iter(self.voices.values()))
        if first:
            minor = stated is not None and stated[3].lower() in {"m", "min", "aeo"}
            self.keys[voice.place if voice else Fraction(0)] = (fifths, minor)
        if voice is None:
            self.key = key
        else:
            voice.key, voice.accidentals = key, {}

    def music(self, line: str) -> None:
        """Read a line of music."""
        bar_end = -1
        for token in _TOKEN.finditer(line):
            kind, text = str(token.lastgroup), token.group()
            if kind == "field":
                self.field(text[1], text[3:-1])
                continue
            if self.current is None:
                self.switch("1")
            voice = self.current
            assert voice is not None

            if kind == "bar":
                voice.bar_line(text)
                voice.overlay = False
            elif kind == "ending":
                apart = line[bar_end : token.start()] if bar_end >= 0 else "no bar"
                loose = not apart.strip() and line[token.end() :][:1].isspace()
                if not apart or loose or text[0] == "[":  # "| 4F2" has lost a note
                    voice.ending(text)
            elif kind == "overlay":
                voice.overlay = True
                if (remark := "second lines within a voice (&) were left out") not in self.remarks:
                    self.remarks.append(remark)
            elif not voice.overlay:
                self.event(voice, kind, text)
            bar_end = token.end() if kind == "bar" else -1

    def event(self, voice: Voice, kind: str, text: str) -> None:
        """Read what is played, or what changes how the next note is played."""
        if kind == "note":
            voice.play([note for note in [_NOTE.match(text)] if note])
        elif kind in {"chord", "plus"}:
            inside, _, after = text[1:].partition("]" if kind == "chord" else "+")
            size = re.match(_LENGTH, after)
            if (notes := list(_NOTE.finditer(inside))) and size:
                voice.play(notes, written_length(*size.groups()), text.endswith("-"))
        elif kind == "rest":
            length = written_length(*re.match(_LENGTH, text[1:]).groups())  # type: ignore[union-attr]  # it matches anything
            bar = Fraction(4 * (voice.metre or (4, 4))[0], (voice.metre or (4, 4))[1])
            voice.rest(length * (bar if text[0] in "ZX" else voice.unit))
        elif kind == "grace":
            voice.graces += [
                voice.pitch(note[1], note[2], note[3]) for note in _NOTE.finditer(text)
            ]
        elif kind == "tuplet":
            voice.start_tuplet(text)
        elif kind == "broken":
            voice.broken(text)
        elif kind == "text":
            voice.word(text)


def parts_in_order(text: str) -> list[str]:
    """Return the parts that ``P:`` of a heading names, one by one.

    It is written AABB, A2.B2, (AB)3C; the list is empty where it isn't an order of parts.
    """
    stack: list[list[str]] = [[]]
    last: list[str] = []  # what a number after it repeats
    for token in re.findall(r"[A-Za-z]|\d+|\S", text):
        if token.isalpha():
            last = [token]
            stack[-1] += last
        elif token.isdecimal() and last and 0 < int(token) <= MOST_TURNS:
            stack[-1] += last * (int(token) - 1)
            last = []
        elif token == "(":
            stack.append([])
            last = []
        elif token == ")" and len(stack) > 1:
            last = stack.pop()
            stack[-1] += last
        elif token != ".":
            return []
        if sum(map(len, stack)) > MOST_SECTIONS:
            return []
    return stack[0] if len(stack) == 1 else []


def _plain(line: str) -> str:
    """Return a line without its comment."""
    return re.split(r"(?<!\\)%", line, maxsplit=1)[0].strip()


def _fraction(value: str) -> Fraction | None:
    """Read a positive fraction at the start of a field, such as 1/8 or 1."""
    match = re.match(r"(\d{1,3})(?:\s*/\s*(\d{1,4}))?", value)
    return (
        Fraction(int(match[1]), int(match[2] or 1))
        if match and int(match[1]) and match[2] != "0"
        else None
    )


def _metre(value: str) -> Metre | None:
    """Read a metre, such as 4/4, C, C|, 2+3/8; None for a tune without one."""
    if value.startswith("C"):
        return (2, 2) if value.startswith("C|") else (4, 4)
    match = re.match(r"\(?([\d+\s]{1,20})\)?\s*/\s*(\d{1,3})", value)
    above = sum(int(number) for number in re.findall(r"\d+", match[1])) if match else 0
    below = int(match[2]) if match else 0
    return (above, below) if 0 < above <= 255 and below in {1, 2, 4, 8, 16, 32, 64, 128} else None


def _tempo(value: str, unit: Fraction) -> float | None:
    """Read a tempo, and return the seconds per quarter.

    It is written 1/4=120, 3/8=50, or 120 alone, which is taken as quarters; C3=120 are three notes
    of a unit.
    """
    value = re.sub(r"\"[^\"]*\"", "", value)
    beat, equal, rate = value.rpartition("=")
    number = re.match(r"\s*(\d{1,4}(?:\.\d+)?)", rate)
    quarters = (
        4 * sum(f for text in beat.split() if (f := _fraction(text))) if equal else Fraction(1)
    )
    if old := _OLD_TEMPO.match(value):
        quarters = unit * written_length(*old.groups())
    quarters = quarters or Fraction(1)
    minute = float(quarters) * float(number[1]) if number else 0.0
    return round(60e6 / minute) / 1e6 if SLOWEST <= minute <= FASTEST else None


def _shift(value: str) -> int | None:
    """Return the semitones by which a clef or a voice transposes.

    None where it states nothing about that.
    """
    said = re.findall(
        r"(?:(?:transpose|t)=(-?\d{1,2})|octave=(-?\d)|(?<=[a-z])([+-])8)(?!\S)", value
    )
    if not said:
        return None
    return sum(
        int(steps or 0) + 12 * int(octave or 0) + {"+": 12, "-": -12, "": 0}[clef]
        for steps, octave, clef in said
    )
