"""Measure accompaniments under their tunes, to compare them with composers'.

The measures put into numbers what readers of a blind jury named: whether the harmony anticipates
where the tune goes, a figure is carried through, rests are answered, and a dominant comes before
the end of a phrase. They explain differences between versions of one song, and choose nothing:
accompaniments that were picked by such measures reached composers' values and sounded worse, since
pedals and repeated chords score well.

Conventions: those of :mod:`styletransfer.evaluation.measures.passage`. Doublings of the tune are
left out except where "all notes" is stated, since composers' right hands often play along. Measures
are shares from 0 to 1 unless stated otherwise, and NaN where there is nothing to count. Each
function that takes some of them defines them, by name, in its docstring.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from styletransfer.evaluation.measures.chroma import sounding_time
from styletransfer.evaluation.measures.harmony import lowest_class
from styletransfer.evaluation.measures.passage import GOALS, TOGETHER, Passage, phrase_ends
from styletransfer.music.key import DIRECTIONS
from styletransfer.music.notes import NoteTable
from styletransfer.music.spelling import letter_and_alter, spell

Floats = NDArray[np.float64]

FIGURE_STEP = 4
"""Semitones in one step of a figure's shape.

Thirds and fourths above the bass are one step (3 to 6 semitones), fifths and sixths two, sevenths
to ninths three, tenths four, whatever the chord.
"""

LOOK_BACK = 4
"""How many bars back the figure of a bar is looked for: half a phrase."""

STEP = 0.25
"""The steps in which the tune may rest, in quarters: a 16th."""

BASS_BELOW = 60
"""A half bar has a bass if an accompaniment note below middle C sounds in it."""

KEY_BARS = 4
"""Bars in which the keys of tune and accompaniment are compared."""

CADENCES = ("root", "inverted", "plagal", "other")
"""Kinds of final cadences, see :func:`cadence`."""


def chord_measures(one: Passage) -> dict[str, float]:
    """Measure how much harmony there is, and what belongs to it.

    ``chords``: changes of root or quality, a bar. ``different_chords``: different (root, quality),
    a count. ``bass_stays``: half bars whose lowest note has the pitch class of the half bar's
    before. ``chord_tones``: accompaniment notes that belong to the chord at their onset.
    ``tune_at_chord``: of tune notes that begin with a chord, those that belong to it;
    ``tune_after_chord``: of those that begin while it lasts.
    """
    under = [one.tones_at(onset) for onset in one.rest["onset"].tolist()]
    pairs = zip(under, one.rest["pitch"].tolist(), strict=True)
    known = [pitch % 12 in tones for tones, pitch in pairs if tones]

    at: list[bool] = []
    after: list[bool] = []
    for note in one.tune:
        begin, pitch = float(note["onset"]), int(note["pitch"])
        if tones := one.tones_at(begin):
            start = one.chords[one.chord_at(begin)].start
            (at if abs(begin - start) < TOGETHER else after).append(pitch % 12 in tones)
    bass = lowest_class(one.rest, one.half_edges).tolist()

    return {
        "chords": len(one.chords) / len(one.bars),
        "different_chords": float(len({(chord.root, chord.quality) for chord in one.chords})),
        "bass_stays": _mean([a == b for a, b in pairwise(bass) if a >= 0 and b >= 0]),
        "chord_tones": _mean(known),
        "tune_at_chord": _mean(at),
        "tune_after_chord": _mean(after),
    }


def concord_measures(one: Passage) -> dict[str, float]:
    """Measure whether tune and accompaniment agree, and speak in turn.

    ``semitones``: of accompaniment notes that begin while the tune sounds, those a semitone from it
    (in any octave). ``unlike_bars``: bars in which the times that pitch classes sound in the tune
    and in the accompaniment correlate negatively. ``key_likeness``: Pearson's r, from -1 to 1, of
    the fits of 24 keys (:data:`styletransfer.music.key.DIRECTIONS`) to the two, a mean over
    windows of ``KEY_BARS`` bars. ``naturals_in_bar``, ``naturals_in_chord``: altered tune notes
    that are contradicted, see :func:`contradictions`.
    ``rests_answered``: of steps of ``STEP`` quarters in which the tune rests, those in which the
    accompaniment begins notes. ``note_above``, ``note_in_unison``: tune notes at whose onset an
    accompaniment note (of all notes) sounds above, or in unison.
    """
    semitones: list[bool] = []
    for note in one.rest:
        sounds = _sounding(one.tune, float(note["onset"]))
        away = one.tune["pitch"][sounds].astype(int) - int(note["pitch"])
        if len(away):
            semitones.append(bool(np.isin(away % 12, (1, 11)).any()))

    above: list[bool] = []
    unison: list[bool] = []
    for note in one.tune:
        pitch = one.every["pitch"][_sounding(one.every, float(note["onset"]))]
        above.append(bool((pitch > note["pitch"]).any()))
        unison.append(bool((pitch == note["pitch"]).any()))

    in_bar, in_chord = contradictions(one)
    by_bar = _spans(one, one.edges)
    wide = np.unique(np.append(one.edges[::KEY_BARS], one.edges[-1]))
    by_key = [(DIRECTIONS @ tune, DIRECTIONS @ rest) for tune, rest in _spans(one, wide)]

    return {
        "semitones": _mean(semitones),
        "unlike_bars": _mean([r < 0 for r in _correlations(by_bar)]),
        "key_likeness": _mean(_correlations(by_key)),
        "naturals_in_bar": _mean(in_bar),
        "naturals_in_chord": _mean(in_chord),
        "rests_answered": _mean(_answers(one)),
        "note_above": _mean(above),
        "note_in_unison": _mean(unison),
    }


def contradictions(one: Passage) -> tuple[list[bool], list[bool]]:
    """Find altered tune notes that meet the key's own note of that letter.

    A note is altered if its name (:mod:`styletransfer.music.spelling`) isn't in the signature of
    the tune's key: F sharp in C major, G sharp in A minor. F natural, or G natural, contradicts it.

    Returns:
        For each altered note, whether that sounds anywhere in the accompaniment of its bar; and for
        those at whose onset a chord is named, whether the chord has it.
    """
    fifths, count = one.key.fifths, len(one.tune)
    names = spell(one.tune, np.full(count, fifths))
    own = {letter_and_alter(name)[0]: name for name in range(fifths - 1, fifths + 6)}
    sounds = sounding_time(one.rest, one.edges) > TOGETHER

    in_bar: list[bool] = []
    in_chord: list[bool] = []
    onset = one.tune["onset"]
    for begin, bar, name in zip(onset.tolist(), one.bar_of(onset), names.tolist(), strict=True):
        natural = own[letter_and_alter(name)[0]]
        if natural != name:
            in_bar.append(bool(sounds[bar, natural * 7 % 12]))
            if tones := one.tones_at(begin):
                in_chord.append(natural * 7 % 12 in tones)
    return in_bar, in_chord


def texture_measures(one: Passage) -> dict[str, float]:
    """Measure whether an idea is carried through.

    ``figure``: likeness of a bar's figure to the most similar of the ``LOOK_BACK`` bars before;
    ``rhythm``: likeness of the places at which its notes begin to those of the bar before. A figure
    is a set of (place in the bar, steps of ``FIGURE_STEP`` above its lowest note); likeness is
    shared members over all members. ``commonest_rhythm``: bars with the commonest set of places,
    of those with notes. ``spread``: standard deviation of the number of notes that begin in a bar,
    over its mean, from 0. ``without_bass``: half bars without a note below ``BASS_BELOW``.
    ``repeated_bars``: bars with the notes of the bar before, literally; ``repeated_thrice``: with
    those of both bars before.
    """
    shapes = [_shape(figure) for figure in one.figures]
    rhythms = [frozenset(place for place, _ in figure) for figure in one.figures]
    nearest = [
        max(_likeness(shape, before) for before in earlier)
        for k, shape in enumerate(shapes)
        if shape and (earlier := [before for before in shapes[max(k - LOOK_BACK, 0) : k] if before])
    ]
    played = Counter(rhythm for rhythm in rhythms if rhythm)
    counts = np.bincount(one.bar_of(one.rest["onset"]), minlength=len(one.bars))
    low = one.rest[one.rest["pitch"] < BASS_BELOW]
    again = [bool(figure) and figure == before for before, figure in pairwise(one.figures)]

    return {
        "figure": _mean(nearest),
        "rhythm": _mean([_likeness(a, b) for a, b in pairwise(rhythms) if a and b]),
        "commonest_rhythm": max(played.values()) / played.total() if played else float("nan"),
        "spread": float(counts.std() / counts.mean()) if counts.any() else float("nan"),
        "without_bass": float((sounding_time(low, one.half_edges).sum(axis=1) < TOGETHER).mean()),
        "repeated_bars": _mean(again),
        "repeated_thrice": _mean([a and b for a, b in pairwise(again)]),
    }


def close_measures(one: Passage) -> dict[str, float]:
    """Measure how phrases end, and how the whole ends.

    ``dominant_before``: phrase ends (:func:`styletransfer.evaluation.measures.passage.phrase_ends`)
    under whose last chord's start stands a dominant of that chord. ``ends_on_dominant``: those
    whose last chord is the major chord, or seventh, on the fifth of the home key. ``cadence_…``: 1
    for the kind of the final cadence (:func:`cadence`), 0 for the others.
    """
    led: list[bool] = []
    open_: list[bool] = []
    for k in phrase_ends(one):
        index = one.chord_at(float(one.tune["onset"][k] + one.tune["duration"][k]) - 2 * TOGETHER)
        if index >= 0:
            goal = one.chords[index]
            led.append(index > 0 and one.chords[index - 1].is_dominant_of(goal))
            fifth = (goal.root - one.home.tonic) % 12 == 7
            open_.append(fifth and goal.quality in ("major", "dominant-seventh"))
    found = cadence(one)
    kinds = {f"cadence_{kind}": float(kind == found) for kind in CADENCES}
    return {"dominant_before": _mean(led), "ends_on_dominant": _mean(open_), **kinds}


def cadence(one: Passage) -> str:
    """Name the kind of the last two chords under the tune, one of ``CADENCES``.

    ``root``: V(7)-I, both in root position. ``inverted``: a dominant of the last chord in another
    position, or on the leading tone. Both hold for any degree: the excerpt may end in another key
    than it began. ``plagal``: IV-I in the home key. ``other``: all else, half closes too.
    """
    last = one.chord_at(float((one.tune["onset"] + one.tune["duration"]).max()) - 2 * TOGETHER)
    if last < 1:
        return "other"
    before, goal = one.chords[last - 1], one.chords[last]
    above = (before.root - goal.root) % 12
    if before.is_dominant_of(goal):
        at_root = above == 7 and before.bass == before.root and goal.bass == goal.root
        return "root" if at_root else "inverted"
    at_home = goal.root == one.home.tonic and goal.quality in GOALS
    return "plagal" if at_home and above == 5 and before.quality in GOALS else "other"


GROUPS: tuple[Callable[[Passage], dict[str, float]], ...] = (
    chord_measures,
    concord_measures,
    texture_measures,
    close_measures,
)


def measures(one: Passage) -> dict[str, float]:
    """Take all measures of a passage, by name."""
    return {name: value for group in GROUPS for name, value in group(one).items()}


def _sounding(notes: NoteTable, time: float) -> NDArray[np.bool_]:
    """Mark the notes that sound at a time; a note that ends then does not."""
    begun = notes["onset"] < time + TOGETHER
    return np.asarray(begun & (notes["onset"] + notes["duration"] > time + TOGETHER), bool)


def _spans(one: Passage, edges: Floats) -> list[tuple[Floats, Floats]]:
    """Measure how long pitch classes sound in tune and accompaniment, between edges."""
    return list(zip(sounding_time(one.tune, edges), sounding_time(one.rest, edges), strict=True))


def _answers(one: Passage) -> list[bool]:
    """Mark the steps with a new accompaniment note, of those in which the tune rests."""
    begin, end = one.tune["onset"], one.tune["onset"] + one.tune["duration"]
    onset = one.rest["onset"] + TOGETHER / 2
    found = []
    for step in np.arange(one.edges[0], one.edges[-1] - 1e-6, STEP):
        if not ((begin < step + STEP - TOGETHER) & (end > step + TOGETHER)).any():
            found.append(bool(((onset >= step) & (onset < step + STEP)).any()))
    return found


def _correlations(pairs: list[tuple[Floats, Floats]]) -> list[float]:
    """Compute Pearson's r of each pair; pairs of which one is constant are left out."""
    return [float(np.corrcoef(a, b)[0, 1]) for a, b in pairs if min(a.std(), b.std()) > 1e-9]


def _shape(figure: frozenset[tuple[int, int]]) -> frozenset[tuple[int, int]]:
    lowest = min((pitch for _, pitch in figure), default=0)
    return frozenset((place, (pitch - lowest + 1) // FIGURE_STEP) for place, pitch in figure)


def _likeness(a: frozenset[Hashable], b: frozenset[Hashable]) -> float:
    return len(a & b) / len(a | b)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
