"""Chord symbols of lead sheets (``Am7``, ``G/B``, ``F#dim``, ``N.C.``) as pitch classes.

The spellings that are in use for one chord are many; those of K. Brandt and C. Roemer, "Standardized Chord Symbol Notation"
(1976), and of the ABC standard 2.1, section 4.18, are understood.
"""

from __future__ import annotations

import re

_SYMBOL = re.compile(r"([A-G])([#b♯♭]?)([^/]*)(?:/([A-Ga-g])([#b♯♭]?))?")
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SIGNS = {"#": 1, "♯": 1, "b": -1, "♭": -1, "": 0}
_NONE = re.compile(r"(?i)n\.?\s?c\.?|no chord|tacet")
_QUALITY = re.compile(
    r"(?P<half>ø7?|Ø7?|(?:m|-|min)7[b-]5)|(?P<altered>[#b♯♭](?P<degree>5|9|11|13)|[+-]5)|(?P<major>(?:maj|Maj|MAJ|ma(?!dd)|Ma|M|Δ|△|\^|j)(?P<seventh>7|9|11|13)?)|(?P<dim>dim|o|°)"
    r"|(?P<aug>aug|\+)|(?P<minor>min|mi|m|-)|(?P<sus>sus(?P<step>[24]?))|(?P<add>add(?P<added>9|2|4|11|6))"
    r"|(?P<six>6)(?P<nine>/?9)?|(?P<power>5)|(?P<alt>alt)|(?P<extended>7|9|11|13)|(?P<degree2>[24])"
)
_LIKE_ONE = re.compile(r"[A-G][#b♯♭]?\S*[\d△Δ^+°ø]\S*")
_DEGREES = {"2": 2, "4": 5, "5": 7, "6": 9, "9": 2, "11": 5, "13": 9}
MINOR_THIRD, THIRD, FIFTH, SEVENTH, MAJOR_SEVENTH = 3, 4, 7, 10, 11


def chord_tones(text: str) -> tuple[int, ...] | None:
    """The pitch classes of a chord symbol, ascending; none for "no chord"; None where the text is no chord symbol."""
    text = "".join(text.split()).replace("(", "").replace(")", "").replace(",", "")
    if _NONE.fullmatch(text):
        return ()
    text = text.replace("6/9", "69")
    found = _SYMBOL.fullmatch(text)
    steps = None if found is None else _intervals(found[3])
    if found is None or steps is None:
        return None
    root = _SEMITONES[found[1]] + _SIGNS[found[2]]
    tones = {(root + step) % 12 for step in steps}
    if found[4]:
        tones.add((_SEMITONES[found[4].upper()] + _SIGNS[found[5]]) % 12)
    return tuple(sorted(tones))


def looks_like_a_chord(text: str) -> bool:
    """Whether a text that isn't understood is a chord symbol rather than a word, as Coda or D.C."""
    return _LIKE_ONE.fullmatch(text.strip()) is not None


def _intervals(quality: str) -> set[int] | None:
    """Semitones above the root, from what follows it; None where it isn't understood."""
    third, fifth, more = THIRD, FIFTH, set[int]()
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
            degree = found["degree"] or "5"
            step = _DEGREES[degree] + (1 if found["altered"][0] in "#♯+" else -1)
            fifth, more = (step, more) if degree == "5" else (fifth, more | {step})
        elif found["six"]:
            more |= {9, 2} if found["nine"] else {9}
        elif found["alt"]:
            fifth, more = 6, more | {1, 3, 8}
        elif found["power"]:
            return {0, FIFTH}
        elif found["extended"]:
            more |= {9 if diminished else SEVENTH, *_above(found["extended"])}
        else:
            more.add(_DEGREES[found["degree2"]])
    return {0, third, fifth, *more}


def _above(seventh: str) -> set[int]:
    """What a ninth, eleventh or thirteenth adds to its seventh."""
    order = ("7", "9", "11", "13")
    return {_DEGREES[degree] for degree in order[1 : order.index(seventh) + 1]}
