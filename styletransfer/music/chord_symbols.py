"""Chord symbols of lead sheets (``Am7``, ``G/B``, ``F#dim``, ``N.C.``): root, quality, bass and
tones.

The spellings that are in use for one chord are many; those of K. Brandt and C. Roemer,
"Standardized Chord Symbol Notation" (1976), and of the ABC standard 2.1, section 4.18, are
understood.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from styletransfer.music.qualities import NONE, QUALITIES

NO_CHORD = "N.C."

_SYMBOL = re.compile(r"([A-G])([#b♯♭]?)([^/]*)(?:/([A-Ga-g])([#b♯♭]?))?")
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
"""Above C, of the natural notes."""
_SIGNS = {"#": 1, "♯": 1, "b": -1, "♭": -1, "": 0}
_NONE = re.compile(r"(?i)n\.?\s?c\.?|no chord|tacet")
_QUALITY = re.compile(
    r"(?P<less>(?:no|omit)[35])|(?P<half>ø7?|Ø7?|(?:m|-|min)7[b-]5)|(?P<altered>[#b♯♭](?P<degree>5|9|11|13)|[+-]5|(?<=[79])[+-](?P<signed>9|11|13))|(?P<major>(?:maj|Maj|MAJ|ma(?!dd)|Ma|M|Δ|△|\^|j)(?P<seventh>7|9|11|13)?)|(?P<dim>dim|o|°)"
    r"|(?P<aug>aug|\+)|(?P<minor>min|mi|m|-)|(?P<sus>sus(?P<step>[24]?))|(?P<add>add(?P<added>9|2|4|11|6))"
    r"|(?P<six>6)(?P<nine>/?9)?|(?P<power>5)|(?P<alt>alt)|(?P<extended>7|9|11|13)|(?P<degree2>[24])"
)
_LIKE_ONE = re.compile(r"[A-G][#b♯♭]?\S*[\d△Δ^+°ø]\S*")
_KINDS = {
    "major": "",
    "minor": "m",
    "augmented": "+",
    "diminished": "dim",
    "dominant": "7",
    "major-seventh": "maj7",
    "minor-seventh": "m7",
    "diminished-seventh": "dim7",
    "augmented-seventh": "+7",
    "half-diminished": "m7b5",
    "major-minor": "mmaj7",
    "major-sixth": "6",
    "minor-sixth": "m6",
    "dominant-ninth": "9",
    "major-ninth": "maj9",
    "minor-ninth": "m9",
    "dominant-11th": "11",
    "major-11th": "maj11",
    "minor-11th": "m11",
    "dominant-13th": "13",
    "major-13th": "maj13",
    "minor-13th": "m13",
    "suspended-second": "sus2",
    "suspended-fourth": "sus4",
    "power": "5",
    "Neapolitan": "",
}
"""What MusicXML calls the kinds of chords, as symbols; the augmented sixths and others are in
:data:`_RARE_KINDS`.
"""
_RARE_KINDS = {
    "Italian": ("It+6", {0, 6, 8}),
    "French": ("Fr+6", {0, 2, 6, 8}),
    "German": ("Gr+6", {0, 3, 6, 8}),
    "Tristan": ("tristan", {0, 3, 6, 10}),
    "pedal": ("pedal", {0}),
}
_DEGREE_OF = (1, 9, 9, 3, 3, 11, 5, 5, 5, 6, 7, 7)
"""The degree that a tone of so many semitones above the root is, most often."""
DEGREES = {1: 0, 2: 2, 3: 4, 4: 5, 5: 7, 6: 9, 7: 10, 9: 2, 10: 4, 11: 5, 12: 7, 13: 9}
"""Semitones of the degrees that are added to a chord, as those of a dominant chord."""
_DEGREES = {"2": 2, "4": 5, "5": 7, "6": 9, "9": 2, "11": 5, "13": 9}
MINOR_THIRD, THIRD, FIFTH, SEVENTH, MAJOR_SEVENTH = 3, 4, 7, 10, 11
_MAJOR, _MINOR, _DIMINISHED, _AUGMENTED, _SEVENTH, _MAJOR7, _MINOR7, _HALF, _DIMINISHED7 = range(
    len(QUALITIES)
)


class ChordSymbol(NamedTuple):
    """A chord symbol: its ``text`` as a file spells it, and what it says.

    ``root`` and ``bass`` are pitch classes, ``quality`` is an index into ``QUALITIES``, see
    :func:`quality_of`; all three are -1 for "no chord" and for what isn't understood. ``tones`` are
    all pitch classes that it names, ascending, its bass too; none where there is no chord.
    """

    text: str
    root: int = NONE
    quality: int = NONE
    bass: int = NONE
    tones: tuple[int, ...] = ()


def read_symbol(text: str) -> ChordSymbol | None:
    """Read a chord symbol; None where the text is none.

    >>> read_symbol("Gsus4/D")
    ChordSymbol(text='Gsus4/D', root=7, quality=0, bass=2, tones=(0, 2, 7))
    """
    spelled = " ".join(text.split())
    plain = re.sub(r"[\s(),]", "", text)
    if _NONE.fullmatch(plain):
        return ChordSymbol(spelled)
    found = _SYMBOL.fullmatch(plain.replace("6/9", "69"))
    above = None if found is None else _intervals(found[3])
    if found is None or above is None:
        return None
    root = (SEMITONES[found[1]] + _SIGNS[found[2]]) % 12
    bass = (SEMITONES[found[4].upper()] + _SIGNS[found[5]]) % 12 if found[4] else root
    tones = {(root + step) % 12 for step in above} | {bass}
    return ChordSymbol(spelled, root, quality_of(above), bass, tuple(sorted(tones)))


def quality_of(above: set[int]) -> int:
    """Name the quality, an index into ``QUALITIES``, of a chord whose tones lie so many semitones
    above its root.

    It is the triad or the seventh chord in a richer one. A sixth, and what is added without a
    seventh (6, 6/9, add9), leave the triad; 9, 11 and 13 the seventh chord, altered or not; a minor
    chord with a major seventh is minor. What has no third (sus2, sus4, a power chord) is major, and
    a dominant seventh where it has a minor seventh (7sus4).
    """
    if MINOR_THIRD in above and THIRD not in above:
        if 6 in above and FIFTH not in above:
            return _HALF if SEVENTH in above else _DIMINISHED7 if 9 in above else _DIMINISHED
        return _MINOR7 if SEVENTH in above else _MINOR
    if SEVENTH in above:
        return _SEVENTH
    if MAJOR_SEVENTH in above:
        return _MAJOR7
    return _AUGMENTED if 8 in above and FIFTH not in above else _MAJOR


def kind_steps(kind: str) -> dict[int, int] | None:
    """Semitones above the root by degree, of a chord that MusicXML or a symbol calls so; None where
    it isn't understood.
    """
    tones = _RARE_KINDS[kind][1] if kind in _RARE_KINDS else _intervals(usual_suffix(kind))
    if tones is None:
        return None
    steps: dict[int, int] = {}
    for tone in sorted(tones):
        degree = _DEGREE_OF[tone]
        steps[degree if degree not in steps else 20 + tone] = tone
    return steps


def usual_suffix(kind: str) -> str:
    """What is printed behind the root of a chord of a kind that MusicXML names; the kind itself
    where it has no such name.
    """
    return _RARE_KINDS[kind][0] if kind in _RARE_KINDS else _KINDS.get(kind, kind)


def looks_like_a_chord(text: str) -> bool:
    """Whether a text that isn't understood is a chord symbol rather than a word, as Coda or D.C."""
    return _LIKE_ONE.fullmatch(text.strip()) is not None


def _intervals(quality: str) -> set[int] | None:
    """Semitones above the root, from what follows it; None where it isn't understood."""
    third, fifth, more, less = THIRD, FIFTH, set[int](), ""
    place, diminished = 0, False
    while place < len(quality):
        found = _QUALITY.match(quality, place)
        if found is None:
            return None
        place = found.end()
        if found["half"]:
            third, fifth, more = MINOR_THIRD, 6, more | {SEVENTH}
        elif found["major"]:
            seventh = found["seventh"] or ("7" if found["major"] in "Δ△^" else "")
            more |= {MAJOR_SEVENTH, *_above(seventh)} if seventh else set()
        elif found["dim"]:
            third, fifth, diminished = MINOR_THIRD, 6, True
        elif found["aug"]:
            fifth = 8
        elif found["minor"]:
            third = MINOR_THIRD
        elif found["sus"]:
            third = 2 if found["step"] == "2" else 5
        elif found["add"]:
            more.add(_DEGREES[found["added"]])
        elif found["altered"]:
            degree = found["degree"] or found["signed"] or "5"
            step = _DEGREES[degree] + (1 if found["altered"][0] in "#♯+" else -1)
            fifth, more = (step, more) if degree == "5" else (fifth, more | {step})
        elif found["six"]:
            more |= {9, 2} if found["nine"] else {9}
        elif found["alt"]:
            fifth, more = 6, more | {1, 3, 8, SEVENTH}
        elif found["less"]:
            less += found["less"][-1]
        elif found["power"]:
            return {0, FIFTH}
        elif found["extended"]:
            more |= {9 if diminished else SEVENTH, *_above(found["extended"])}
        else:
            more.add(_DEGREES[found["degree2"]])
    bare = {third} if "3" in less else set()
    bare |= {fifth} if "5" in less else set()
    return {0, third, fifth, *more} - bare


def _above(seventh: str) -> set[int]:
    """What a ninth, eleventh or thirteenth adds to its seventh."""
    order = ("7", "9", "11", "13")
    return {_DEGREES[degree] for degree in order[1 : order.index(seventh) + 1]}
