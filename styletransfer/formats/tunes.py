"""Six tunes that need no file, all in the public domain.

They were written down for this project.

The notation is music21's TinyNotation with bar lines: ``c`` is middle C, ``c'`` an octave above and
``C`` one below it, ``#`` and ``-`` are sharp and flat, the number is the note's value (4 a quarter)
and holds until the next one, dots lengthen, ``~`` ties to the next note, ``r`` rests. A first bar
that is short is a pick-up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from styletransfer.music.notes import Feel, Piece, TempoMap, bars_of, make_notes


@dataclass(frozen=True)
class Tune:
    """A melody as text.

    ``metre`` is (numerator, denominator), ``tempo`` quarters per minute, ``key`` (fifths, minor).
    """

    title: str
    source: str
    metre: tuple[int, int]
    tempo: float
    key: tuple[int, bool]
    notation: str

    @property
    def measures(self) -> list[str]:
        """The notation of each bar."""
        return [measure.strip() for measure in self.notation.split("|")]


EXAMPLES: dict[str, Tune] = {
    "auld-lang-syne": Tune(
        "Auld Lang Syne",
        "Scottish folk tune, printed with Burns's words in 1799",
        (4, 4),
        100,
        (-1, False),
        """c4 | f4. f8 f4 a | g4. f8 g4 a | f4. f8 a4 c' | d'2. d'4 | c'4. a8 a4 f
        | g4. f8 g4 a | f4. d8 d4 c | f2. d'4 | c'4. a8 a4 f | g4. f8 g4 d'
        | c'4. a8 a4 c' | d'2. d'4 | c'4. a8 a4 f | g4. f8 g4 a | f4. d8 d4 c | f2.""",
    ),
    "frere-jacques": Tune(
        "Frère Jacques",
        "French round, 18th century",
        (4, 4),
        112,
        (-1, False),
        """f4 g a f | f g a f | a b- c'2 | a4 b- c'2
        | c'8 d' c' b- a4 f | c'8 d' c' b- a4 f | f4 c f2 | f4 c f2""",
    ),
    "greensleeves": Tune(
        "Greensleeves",
        "English, registered in 1580",
        (6, 8),
        84,
        (0, True),
        """a8 | c'4 d'8 e'8. f'16 e'8 | d'4 b8 g8. a16 b8 | c'4 a8 a8. g#16 a8 | b4 g#8 e4 a8
        | c'4 d'8 e'8. f'16 e'8 | d'4 b8 g8. a16 b8 | c'8. b16 a8 g#8. f#16 g#8 | a2.
        | g'4. g'8. f'#16 e'8 | d'4 b8 g8. a16 b8 | c'4 a8 a8. g#16 a8 | b4 g#8 e4.
        | g'4. g'8. f'#16 e'8 | d'4 b8 g8. a16 b8 | c'8. b16 a8 g#8. f#16 g#8 | a4.~ a4""",
    ),
    "happy-birthday": Tune(
        "Happy Birthday to You",
        "Good Morning to All, Patty and Mildred Hill, 1893; in the public domain",
        (3, 4),
        108,
        (-1, False),
        """c8. c16 | d4 c f | e2 c8. c16 | d4 c g | f2 c8. c16
        | c'4 a f | e d b-8. b-16 | a4 f g | f2""",
    ),
    "ode-to-joy": Tune(
        "Ode to Joy",
        "Ludwig van Beethoven, Symphony no. 9, 1824",
        (4, 4),
        126,
        (2, False),
        """f#4 f# g a | a g f# e | d d e f# | f#4. e8 e2
        | f#4 f# g a | a g f# e | d d e f# | e4. d8 d2 | e4 e f# d
        | e f#8 g f#4 d | e f#8 g f#4 e | d e A f#~ | f# f# g a | a g f# e
        | d d e f# | e4. d8 d2""",
    ),
    "twinkle": Tune(
        "Twinkle, Twinkle, Little Star",
        "Ah! vous dirai-je, maman, French, printed in 1761",
        (4, 4),
        108,
        (0, False),
        """c4 c g g | a a g2 | f4 f e e | d d c2 | g4 g f f | e e d2 | g4 g f f | e e d2
        | c4 c g g | a a g2 | f4 f e e | d d c2""",
    ),
}

_STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_TOKEN = re.compile(r"(?:([A-Ga-g])('*)([#-]?)|r)(\d*)(\.*)(~?)")


def parse_notation(text: str) -> list[tuple[Fraction, Fraction, int]]:
    """Return the notes of a notation, ties merged.

    They are (onset, duration, pitch), in quarters.
    """
    notes: list[tuple[Fraction, Fraction, int]] = []
    position, value, tied = Fraction(0), Fraction(1), False
    for token in text.replace("|", " ").split():
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise ValueError(f"not a note: {token!r}")
        letter, primes, accidental, number, dots, tie = match.groups()
        if number:
            value = Fraction(4, int(number)) * (2 - Fraction(1, 2 ** len(dots)))
        elif dots:
            raise ValueError(f"a dot needs a number before it: {token!r}")
        if letter:
            octave = 60 if letter.islower() else 48
            pitch = (
                octave
                + _STEPS[letter.lower()]
                + 12 * len(primes)
                + {"#": 1, "-": -1, "": 0}[accidental]
            )
            if tied and notes[-1][2] == pitch:
                notes[-1] = (notes[-1][0], notes[-1][1] + value, pitch)
            else:
                notes.append((position, value, pitch))
        position, tied = position + value, bool(tie)

    return notes


def example(name: str, feel: Feel = "score") -> Piece:
    """Return an example tune as a piece of one part.

    The part is named "melody", and all of its notes are marked as melody.

    As a performance it has no bars and no key signature.

    Raises:
        KeyError: where no example has that name; ``EXAMPLES`` has the names.
    """
    tune = EXAMPLES[name]
    rows = parse_notation(tune.notation)
    first = parse_notation(tune.measures[0])
    pickup = first[-1][0] + first[-1][1]
    onset, duration = (np.array([float(row[column]) for row in rows]) for column in (0, 1))
    notes = make_notes(onset, duration, [row[2] for row in rows], velocity=80, melody=True)
    signatures = [(0.0, *tune.metre)]
    if pickup < Fraction(4 * tune.metre[0], tune.metre[1]):
        signatures.append((float(pickup), *tune.metre))

    bars = bars_of(signatures, float((onset + duration).max()))
    return Piece(
        notes=notes,
        feel=feel,
        bars=bars if feel == "score" else bars[:0],
        tempo=TempoMap.steady(round(60e6 / tune.tempo) / 1e6),
        ticks_per_quarter=480,
        parts=("melody",),
        key_signatures=((0.0, *tune.key),) if feel == "score" else (),
        title=tune.title,
    )
