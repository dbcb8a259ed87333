"""Names of chords: symbols as on a lead sheet (``Bb``, ``F#dim7``, ``C7/E``), Roman numerals, cadences, and a line of symbols
as a user types it (``F C7 | F``)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from styletransfer.errors import InputError
from styletransfer.score.chords import CHORD_DTYPE, INTERVALS, NONE, ChordTable, tones_of
from styletransfer.score.harmony import Key
from styletransfer.score.notes import BarTable
from styletransfer.score.symbols import chord_tones

SUFFIXES = ("", "m", "dim", "aug", "7", "maj7", "m7", "m7b5", "dim7")
"""What follows the root in a symbol, by quality."""
NO_CHORD = "N.C."
SHARPS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
FLATS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
COMMON = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
"""Names in a key without sharps or flats."""

_NUMERALS = ("I", "bII", "II", "bIII", "III", "IV", "#IV", "V", "bVI", "VI", "bVII", "VII")
_MINOR_NUMERALS = ("I", "bII", "II", "III", "#III", "IV", "#IV", "V", "VI", "#VI", "VII", "#VII")
_FIGURES = {3: ("", "6", "64"), 4: ("7", "65", "43", "42")}
_MARKS = ("", "", "o", "+", "", "maj", "", "%", "o")
"""What stands between numeral and figure, by quality; % is half-diminished."""
_SMALL = (1, 2, 6, 7, 8)
"""Qualities whose numerals are written small: those with a minor third."""


def symbol(root: int, quality: int, bass: int, key: Key | None = None) -> str:
    """Spell a chord as a symbol, sharp or flat as the key is.

    >>> symbol(0, 4, 4), symbol(10, 1, 10), symbol(-1, -1, -1)
    ('C7/E', 'Bbm', 'N.C.')
    """
    if quality == NONE:
        return NO_CHORD
    names = COMMON if key is None or key.fifths == 0 else SHARPS if key.fifths > 0 else FLATS
    text = names[root] + SUFFIXES[quality]
    return text if bass in (root, NONE) else f"{text}/{names[bass]}"


def roman(root: int, quality: int, bass: int, key: Key) -> str:
    """Spell a chord as a Roman numeral of a key, with the figures of its inversion; a bass beside the chord after a stroke.

    >>> roman(7, 4, 11, Key(0, "major")), roman(2, 1, 2, Key(0, "major"))
    ('V65', 'ii')
    """
    if quality == NONE:
        return ""
    step = (root - key.tonic) % 12
    numeral = (_NUMERALS if key.mode == "major" else _MINOR_NUMERALS)[step]
    if quality in _SMALL:
        numeral = numeral.replace("I", "i").replace("V", "v")
    tones, stroke = tones_of(root, quality), ""
    if bass in tones:
        figure = _FIGURES[len(tones)][tones.index(bass)]
    else:
        figure, stroke = _FIGURES[len(tones)][0], "" if bass == NONE else f"/{symbol(bass, 0, bass, key)}"
    return numeral + _MARKS[quality] + figure + stroke


def chord_of_tones(tones: Sequence[int]) -> tuple[int, int]:
    """Name the root and quality that fit pitch classes best: most of its tones among them, then fewest left over.

    (-1, -1) for no tones.
    """
    if not tones:
        return NONE, NONE
    given = {tone % 12 for tone in tones}

    def fit(root: int, quality: int) -> tuple[float, int]:
        own = set(tones_of(root, quality))
        return len(own & given) - len(own - given) - 0.5 * len(given - own), -quality

    return max(((root, quality) for root in range(12) for quality in range(len(INTERVALS))), key=lambda one: fit(*one))


def chord_of_symbol(text: str) -> tuple[int, int, int]:
    """Read a symbol as root, quality and bass; richer chords as the triad or seventh that is nearest.

    >>> chord_of_symbol("C7/E"), chord_of_symbol("Bbm"), chord_of_symbol("N.C.")
    ((0, 4, 4), (10, 1, 10), (-1, -1, -1))

    Raises:
        InputError: where it isn't understood.
    """
    upper, _, lower = text.partition("/")
    if re.search("6/9$", text):
        upper, lower = text, ""
    tones, low = chord_tones(upper), chord_tones(lower[:1].upper() + lower[1:]) if lower else None
    if tones is None or (lower and not low):
        raise InputError(f"--chords: {text!r} isn't a chord symbol; write them as C, Am7, G/B or N.C.")
    if not tones:
        return NONE, NONE, NONE
    named = re.match(r"([A-G])([#b♯♭]?)", text)
    assert named is not None
    root = (SHARPS.index(named[1]) + {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}[named[2]]) % 12
    given = set(tones)
    quality = max(
        range(len(INTERVALS)),
        key=lambda one: (2 * len(given & {*tones_of(root, one)}) - len(tones_of(root, one)), -one),
    )
    letter = re.match(r"([A-Ga-g])([#b♯♭]?)", lower) if lower else None
    bass = root
    if letter is not None:
        bass = (SHARPS.index(letter[1].upper()) + {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}[letter[2]]) % 12
    return root, quality, bass


def chords_of_line(text: str, bars: BarTable) -> tuple[ChordTable, ChordTable]:
    """Read a line of symbols, bar by bar, as the chords of a song's bars.

    Bars are parted by ``|`` or line ends, and chords in a bar share it evenly, ``-`` being more of the one before, ``%`` the
    bar before again. ``.`` leaves its share free. A pick-up has no bar of its own unless the line has one bar more than the
    song has whole ones. Bars beyond the line are free.

    Returns:
        The spans that are fixed, and those that are free (each a chord table of one row a span).

    Raises:
        InputError: where a symbol isn't understood, or there are more bars than the song has.
    """
    lines = [part.strip() for part in re.split(r"[|\n]+", text.strip().strip("|").strip())]
    pickup = len(bars) > 1 and bars["start"][0] < 0 and len(lines) < len(bars)
    own = bars[1:] if pickup else bars
    if len(lines) > len(own):
        raise InputError(f"--chords: {len(lines)} bars of chords, and the song has {len(own)}.")
    fixed: list[tuple[float, float, int, int, int]] = []
    free: list[tuple[float, float, int, int, int]] = []
    before: list[str] = []
    for line, bar in zip(lines, own, strict=False):
        words = before if line == "%" else line.split()
        before = words
        share = float(bar["length"]) / max(len(words), 1)
        for place, word in enumerate(words):
            span = float(bar["start"]) + place * share, share
            if word == "." or (word == "-" and not fixed):
                free.append((*span, NONE, NONE, NONE))
            elif word == "-":
                fixed.append((*span, *fixed[-1][2:]))
            else:
                fixed.append((*span, *chord_of_symbol(word)))
    return np.array(fixed, CHORD_DTYPE), np.array(free, CHORD_DTYPE)
