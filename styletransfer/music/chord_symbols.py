"""Chord symbols of lead sheets (``Am7``, ``G/B``, ``F#dim``, ``N.C.``).

A symbol is read as a root, a quality, a bass and tones. One chord has many spellings in use; those
of K. Brandt and C. Roemer, "Standardized Chord Symbol Notation" (1976), and of the ABC standard
2.1, section 4.18, are understood.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from styletransfer.music.qualities import NONE, QUALITIES

NO_CHORD = "N.C."

_SYMBOL = re.compile(r"([A-G])([#b♯♭]?)([^/]*)(?:/([A-Ga-g])([#b♯♭]?))?")
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
"""Semitones of the natural notes above C."""
_SIGNS = {"#": 1, "♯": 1, "b": -1, "♭": -1, "": 0}
_NONE = re.compile(r"(?i)n\.?\s?c\.?|no chord|tacet")
_QUALITY = re.compile(
    r"""
    (?P<less>(?:no|omit)[35])
    | (?P<half>ø7?|Ø7?|(?:m|-|min)7[b-]5)
    | (?P<altered>[#b♯♭](?P<degree>5|9|11|13)|[+-]5|(?<=[79])[+-](?P<signed>9|11|13))
    | (?P<major>(?:maj|Maj|MAJ|ma(?!dd)|Ma|M|Δ|△|\^|j)(?P<seventh>7|9|11|13)?)
    | (?P<dim>dim|o|°)
    | (?P<aug>aug|\+)
    | (?P<minor>min|mi|m|-)
    | (?P<sus>sus(?P<step>[24]?))
    | (?P<add>add(?P<added>9|2|4|11|6))
    | (?P<six>6(?P<nine>/?9)?)
    | (?P<power>5)
    | (?P<alt>alt)
    | (?P<extended>7|9|11|13)
    | (?P<single>[24])
    """,
    re.VERBOSE,
)
"""The parts of what follows a root, tried in this order."""
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
"""The symbol's suffix for each of MusicXML's kinds of chords; the augmented sixths and others are
in :data:`_RARE_KINDS`."""
_RARE_KINDS = {
    "Italian": ("It+6", {0, 6, 8}),
    "French": ("Fr+6", {0, 2, 6, 8}),
    "German": ("Gr+6", {0, 3, 6, 8}),
    "Tristan": ("tristan", {0, 3, 6, 10}),
    "pedal": ("pedal", {0}),
}
"""The augmented sixths and others: their suffix, and their semitones above the root."""
_DEGREE_OF = (1, 9, 9, 3, 3, 11, 5, 5, 5, 6, 7, 7)
"""The most usual degree of a tone, by its semitones above the root."""
DEGREES = {1: 0, 2: 2, 3: 4, 4: 5, 5: 7, 6: 9, 7: 10, 9: 2, 10: 4, 11: 5, 12: 7, 13: 9}
"""Semitones of the degrees that are added to a chord, as in a dominant chord."""
_DEGREES = {"2": 2, "4": 5, "5": 7, "6": 9, "9": 2, "11": 5, "13": 9}
MINOR_THIRD, THIRD, FIFTH, SEVENTH, MAJOR_SEVENTH = 3, 4, 7, 10, 11
_MAJOR, _MINOR, _DIMINISHED, _AUGMENTED, _SEVENTH, _MAJOR7, _MINOR7, _HALF, _DIMINISHED7 = range(
    len(QUALITIES)
)


class ChordSymbol(NamedTuple):
    """A chord symbol: its ``text`` as a file spells it, and its meaning.

    ``root`` and ``bass`` are pitch classes, ``quality`` is an index into ``QUALITIES`` (see
    :func:`quality_of`); all three are -1 for "no chord" and for what isn't understood. ``tones``
    are all pitch classes that it names, ascending, its bass among them; none where there is no
    chord.
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
    """Return the quality of a chord, as an index into ``QUALITIES``.

    A richer chord has the quality of the triad or seventh chord in it. Sixths, and what is added
    without a seventh (6, 6/9, add9), leave the triad; 9, 11 and 13, altered or not, leave the
    seventh chord. A minor chord with a major seventh is minor. A chord without a third (sus2, sus4,
    a power chord) is major, or a dominant seventh where it has a minor seventh (7sus4).

    Args:
        above: the semitones of the chord's tones above its root.
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
    """Return the semitones above the root of a kind of chord, by degree.

    Args:
        kind: a name of MusicXML's, or the suffix of a symbol.

    Returns:
        None where the kind isn't understood.
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
    """Return what is printed behind the root for one of MusicXML's kinds of chords.

    That is the kind itself where MusicXML has no such name.
    """
    return _RARE_KINDS[kind][0] if kind in _RARE_KINDS else _KINDS.get(kind, kind)


def looks_like_a_chord(text: str) -> bool:
    """Return whether a text that isn't understood is a chord symbol, not a word.

    Words are Coda, D.C. and the like.
    """
    return _LIKE_ONE.fullmatch(text.strip()) is not None


def _intervals(quality: str) -> set[int] | None:
    """Return the semitones above the root that a symbol's suffix names.

    None where it isn't understood.
    """
    chord, place = _Tones(), 0
    while place < len(quality):
        part = _QUALITY.match(quality, place)
        if part is None:
            return None
        if part.lastgroup == "power":
            return {0, FIFTH}
        chord.take(part)
        place = part.end()
    return chord.above_root()


_CHANGES: dict[str, tuple[int | None, int | None, frozenset[int]]] = {
    "half": (MINOR_THIRD, 6, frozenset({SEVENTH})),
    "dim": (MINOR_THIRD, 6, frozenset()),
    "aug": (None, 8, frozenset()),
    "minor": (MINOR_THIRD, None, frozenset()),
    "alt": (None, 6, frozenset({1, 3, 8, SEVENTH})),
}
"""Parts of a symbol that always mean the same third, fifth and added tones; None: no change."""


@dataclass
class _Tones:
    """The tones of a chord while its symbol is read, in semitones above the root."""

    third: int = THIRD
    fifth: int = FIFTH
    added: set[int] = field(default_factory=set)
    left_out: str = ""
    diminished: bool = False

    def above_root(self) -> set[int]:
        """Return all tones without those that are left out."""
        bare = {self.third} if "3" in self.left_out else set()
        bare |= {self.fifth} if "5" in self.left_out else set()
        return {0, self.third, self.fifth, *self.added} - bare

    def take(self, part: re.Match[str]) -> None:
        """Take the next part of the symbol."""
        kind = str(part.lastgroup)
        if kind in _CHANGES:
            third, fifth, added = _CHANGES[kind]
            self.third = self.third if third is None else third
            self.fifth = self.fifth if fifth is None else fifth
            self.added |= added
            self.diminished = self.diminished or kind == "dim"
        elif kind == "altered":
            self._alter(part)
        elif kind == "sus":
            self.third = 2 if part["step"] == "2" else 5
        elif kind == "less":
            self.left_out += part["less"][-1]
        else:
            self.added |= self._added_by(kind, part)

    def _alter(self, part: re.Match[str]) -> None:
        """Raise or lower a degree by a semitone."""
        degree = part["degree"] or part["signed"] or "5"
        tone = _DEGREES[degree] + (1 if part["altered"][0] in "#♯+" else -1)
        if degree == "5":
            self.fifth = tone
        else:
            self.added.add(tone)

    def _added_by(self, kind: str, part: re.Match[str]) -> set[int]:
        """Return the tones that a part adds to the triad."""
        if kind == "major":
            seventh = part["seventh"] or ("7" if part["major"] in "Δ△^" else "")
            return {MAJOR_SEVENTH, *_above(seventh)} if seventh else set()
        if kind == "extended":
            return {9 if self.diminished else SEVENTH, *_above(part["extended"])}
        if kind == "six":
            return {9, 2} if part["nine"] else {9}
        return {_DEGREES[part["added"] or part["single"]]}


def _above(seventh: str) -> set[int]:
    """Return what a ninth, eleventh or thirteenth adds to its seventh."""
    order = ("7", "9", "11", "13")
    return {_DEGREES[degree] for degree in order[1 : order.index(seventh) + 1]}
