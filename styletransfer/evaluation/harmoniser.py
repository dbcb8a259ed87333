"""Put block chords under a melody by rules: the baseline that has no style.

Each segment of a bar (:func:`styletransfer.evaluation.measures.harmony.segments`) gets one chord of
the melody's key. The chords are those of the best path (dynamic programming) by two criteria: how
long the melody's notes sound as chord tones, and how usual the step from one chord's function to
the next one's is. This is the textbook's harmonisation by function (H. Riemann, "Harmony
simplified", 1896) as a hidden Markov model without training; compare C.-H. Chuan and E. Chew, "A
hybrid system for automatic generation of style-specific accompaniment", 2007, which learns a style;
this has none.

Conventions: the chords are triads and the dominant seventh, in minor with the raised leading tone.
The bass plays the root, the right hand all tones in close position, as close to the chord before as
can be, below the melody. A pick-up has no chord.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from styletransfer.evaluation.measures.harmony import in_unit, segments
from styletransfer.music.key import Key, estimate_key
from styletransfer.music.notes import NoteTable, Piece, make_notes

Function = Literal["tonic", "subdominant", "dominant"]

SHAPES = {"major": (0, 4, 7), "minor": (0, 3, 7), "diminished": (0, 3, 6), "seventh": (0, 4, 7, 10)}
"""Semitones above the root."""

DEGREES: dict[str, tuple[tuple[int, str, Function, float], ...]] = {
    "major": (
        (0, "major", "tonic", 0.3),
        (2, "minor", "subdominant", 0.0),
        (4, "minor", "tonic", -0.3),
        (5, "major", "subdominant", 0.2),
        (7, "major", "dominant", 0.2),
        (7, "seventh", "dominant", 0.1),
        (9, "minor", "tonic", 0.0),
    ),
    "minor": (
        (0, "minor", "tonic", 0.3),
        (2, "diminished", "subdominant", -0.2),
        (3, "major", "tonic", 0.0),
        (5, "minor", "subdominant", 0.2),
        (7, "major", "dominant", 0.2),
        (7, "seventh", "dominant", 0.1),
        (8, "major", "subdominant", 0.0),
        (10, "major", "dominant", -0.1),
    ),
}
"""Chords of a key: semitones of the root above the tonic, shape, function, and a score of the chord
itself, added to a fit from -1 to 1. The scores are set by hand: primary triads first."""

STEPS: dict[tuple[Function, Function], float] = {
    ("tonic", "tonic"): 0.0,
    ("tonic", "subdominant"): 0.2,
    ("tonic", "dominant"): 0.2,
    ("subdominant", "tonic"): 0.0,
    ("subdominant", "subdominant"): 0.0,
    ("subdominant", "dominant"): 0.3,
    ("dominant", "tonic"): 0.3,
    ("dominant", "subdominant"): -0.5,
    ("dominant", "dominant"): 0.0,
}
"""The score of a step between functions.

Harmony moves round the circle, and not back from the dominant to the subdominant.
"""

SAME = 0.1
"""Added where a chord stays."""

OPENING, CLOSE = 0.3, 1.0
"""Added for a tonic chord at the beginning and at the end."""

DOWNBEAT = 2.0
"""How many times a melody note counts if it is struck as the segment begins."""

BASS = 36
"""The lowest bass note, C2; the bass stays within an octave above it."""

LOW, HIGH = 48, 67
"""The right hand's range, C3 to G4, where the melody leaves room; else it goes down to the bass."""

LOUDNESS = 56
"""MIDI velocity of the chords."""

PARTS = ("Melody", "Chords, right hand", "Bass, left hand")


@dataclass(frozen=True)
class Chord:
    """A chord of a key.

    Attributes:
        root: a pitch class.
        shape: one of :data:`SHAPES`.
        degree: semitones above the tonic.
        prior: how welcome it is by itself.
    """

    root: int
    shape: str
    function: Function
    degree: int
    prior: float

    @property
    def tones(self) -> tuple[int, ...]:
        """Pitch classes from the root up."""
        return tuple((self.root + step) % 12 for step in SHAPES[self.shape])


def chords_of(key: Key) -> tuple[Chord, ...]:
    """List the chords of a key."""
    return tuple(
        Chord((key.tonic + degree) % 12, shape, function, degree, prior)
        for degree, shape, function, prior in DEGREES[key.mode]
    )


def harmonise(melody: Piece, key: Key | None = None) -> Piece:
    """Put block chords below a melody, as a piece of the three :data:`PARTS`.

    Args:
        melody: nothing but the melody, at least one note; a score or a performance.
        key: by default the estimated one.
    """
    tune = in_unit(melody, np.ones(len(melody.notes), bool))
    edges = _from_downbeat(melody, segments(melody), float(tune["onset"].min()))
    path = best_path(tune, edges, chords_of(key or estimate_key(melody.notes)))
    end = float((tune["onset"] + tune["duration"]).max())
    onset, stop, pitch, part = [], [], [], []
    hand: tuple[int, ...] = ()
    for chord, begin, until in zip(path, edges[:-1], np.minimum(edges[1:], end), strict=True):
        hand = right_hand(chord, _lowest(tune, begin, until), hand)
        bass = BASS + (chord.root - BASS) % 12
        for note in (*(tone for tone in hand if tone != bass), bass):
            onset.append(float(begin))
            stop.append(float(until))
            pitch.append(note)
            part.append(2 if note == bass else 1)

    begins, ends = np.array(onset), np.array(stop)
    if melody.feel == "performance":
        begins, ends = melody.tempo.to_quarters(begins), melody.tempo.to_quarters(ends)
    accompaniment = make_notes(begins, ends - begins, pitch, LOUDNESS, part)
    own = melody.notes.copy()
    own["melody"], own["part"] = True, 0
    both = Piece(
        np.concatenate([own, accompaniment]),
        melody.feel,
        melody.bars,
        melody.tempo,
        melody.ticks_per_quarter,
        PARTS,
        melody.key_signatures,
    )
    return both.with_notes(both.notes)


def best_path(tune: NoteTable, edges: NDArray[np.float64], chords: Sequence[Chord]) -> list[Chord]:
    """Choose the best chord of each segment, by dynamic programming.

    Where the melody rests, the chord stays.

    Args:
        tune: the melody, in the unit of ``edges``.
        edges: borders, shape (segments + 1,).
        chords: those to choose from.
    """
    fit = fits(tune, edges, chords)
    gain = fit + np.array([chord.prior for chord in chords])
    tonic = np.array([chord.degree == 0 for chord in chords])
    gain[0] += OPENING * tonic
    gain[-1] += CLOSE * tonic
    step = np.array(
        [[STEPS[a.function, b.function] + SAME * (a == b) for b in chords] for a in chords]
    )
    total, back = gain[0], []
    stay = np.where(np.eye(len(chords), dtype=bool), 0.0, -np.inf)
    for row, sounds in zip(gain[1:], np.abs(fit[1:]).sum(axis=1) > 0, strict=True):
        reached = total[:, None] + (step if sounds else stay)
        back.append(reached.argmax(axis=0))
        total = reached.max(axis=0) + row

    index = [int(total.argmax())]
    for pointers in reversed(back):
        index.append(int(pointers[index[-1]]))

    return [chords[k] for k in reversed(index)]


def fits(
    tune: NoteTable, edges: NDArray[np.float64], chords: Sequence[Chord]
) -> NDArray[np.float64]:
    """Rate how well each chord carries each segment, from -1 to 1.

    It is the time of the melody's notes that are chord tones less that of the others, as a share;
    what is struck on the segment's beginning counts ``DOWNBEAT`` times.

    Returns:
        Shape (segments, chords).
    """
    result = np.zeros((len(edges) - 1, len(chords)))
    member = np.array(
        [[pitch_class in chord.tones for chord in chords] for pitch_class in range(12)]
    )
    for row, (begin, until) in enumerate(pairwise(edges)):
        sounding = np.minimum(tune["onset"] + tune["duration"], until) - np.maximum(
            tune["onset"], begin
        )
        weight = np.maximum(sounding, 0.0) * np.where(
            np.abs(tune["onset"] - begin) < 1e-3, DOWNBEAT, 1.0
        )
        if weight.sum() > 1e-6:
            result[row] = weight @ np.where(member[tune["pitch"] % 12], 1.0, -1.0) / weight.sum()

    return result


def right_hand(chord: Chord, below: int, before: Sequence[int] = ()) -> tuple[int, ...]:
    """Place a chord in close position, ascending, all below ``below``.

    Of the inversions between ``LOW`` and ``HIGH`` it takes the one nearest to the chord ``before``,
    or to the middle of that range at first; where the melody leaves no room there, the highest one
    that fits.
    """
    tones = sorted(chord.tones)
    ceiling = min(below - 1, HIGH)
    every = [
        tuple(12 * octave + one for one in (*tones[turn:], *(tone + 12 for tone in tones[:turn])))
        for octave in range(11)
        for turn in range(len(tones))
    ]
    fitting = [shape for shape in every if shape[-1] <= ceiling]
    inside = [shape for shape in fitting if shape[0] >= LOW]
    if not inside:
        return max(fitting, default=())
    centre = float(np.mean(before)) if len(before) else (LOW + HIGH) / 2
    return min(inside, key=lambda shape: (abs(float(np.mean(shape)) - centre), shape))


def _from_downbeat(melody: Piece, edges: NDArray[np.float64], first: float) -> NDArray[np.float64]:
    """Give the borders from the first full bar on, without a pick-up before the rest."""
    if (
        melody.feel == "performance"
        or not len(melody.bars)
        or first <= melody.bars["start"][0] + 1e-3
    ):
        return edges
    later = edges[edges >= melody.bars["start"][0] + melody.bars["length"][0] - 1e-6]
    return later if len(later) > 1 else edges


def _lowest(tune: NoteTable, begin: float, until: float) -> int:
    """Find the melody's lowest pitch in a segment, 128 where it rests."""
    here = (tune["onset"] < until - 1e-6) & (tune["onset"] + tune["duration"] > begin + 1e-6)
    return int(tune["pitch"][here].min()) if here.any() else 128
