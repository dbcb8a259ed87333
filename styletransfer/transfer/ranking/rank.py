"""Measure candidates, and weigh the measures: the higher the total, the better.

The ranker's measures are its own, apart from the judges that report style accuracy. Each is a
function of notes and one row of :data:`MEASURES`, which holds its name, its weight and its label;
a new measure is one row more.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from styletransfer.folders import ASSETS
from styletransfer.music.copies import NO_MATCH, Match
from styletransfer.music.hands import split_hands
from styletransfer.music.key import Key, estimate_key
from styletransfer.music.notes import BarTable, NoteTable, make_notes

USUAL_NOTES = 2.9
"""Accompaniment notes per quarter in real scores: the median of ``eval.ranker``'s excerpts."""
FULL_RATE = 9.0
"""Accompaniment notes per second of pianists.

The upper quartile of twenty-second windows of training performances.
"""
HAND = 16
"""The most semitones that a hand can strike at once: a tenth."""
FASTEST = 0.06
"""The fewest seconds between two onsets of a hand.

A trill of sixteen notes per second is about as fast as pianists play.
"""
PRIOR = 20.0
"""Changes of chord from what follows any chord, mixed into those counted after each."""
LIKELY = -2.2
"""Nats per chord; three in four of composers' excerpts have fewer; what is likelier is a drone."""
OPENING = 4.0
"""Quarters from the melody's first onset in which an accompaniment begins.

No composer's excerpt is silent for as long.
"""
LOW_CLOSE = 50
"""The lowest pitch under the last melody note of training scores: their upper quartile."""
LOW, FOURTH = 50, 5
"""Below this pitch, intervals smaller than so many semitones sound muddy."""
PROBES = 12
"""Moments per quarter at which the music is probed."""
CHORDS = np.array(
    [
        [(step - root) % 12 in one for step in range(12)]
        for one in ((0, 4, 7), (0, 3, 7), (0, 4, 7, 10))
        for root in range(12)
    ]
)
"""The pitch classes of each major and minor triad and dominant seventh, shape (36, 12).

Each kind is sorted by root.
"""
ROOTED = CHORDS + 0.01 * np.tile(np.eye(12), (3, 1))
"""The same; of chords that hold as much of what sounds, the best is one whose root sounds."""
TOGETHER = 1 / 48
"""The most quarters between notes that are struck together.

Half a step of the grid, on which the melody needn't lie.
"""
DISSONANT = (1, 2, 6, 10, 11)
"""Intervals against the melody, modulo an octave, that need care: seconds, tritone, sevenths."""


def dissonance(melody: NoteTable, accompaniment: NoteTable) -> float:
    """Return the share of melody onsets with a dissonance.

    Counted are those at which an accompaniment note is struck, with one that is dissonant with the
    melody's.
    """
    struck = clash = 0
    for note in melody:
        together = accompaniment["pitch"][
            np.abs(accompaniment["onset"] - note["onset"]) < TOGETHER
        ].astype(int)
        if len(together):
            struck += 1
            clash += bool(np.isin((int(note["pitch"]) - together) % 12, DISSONANT).any())
    return clash / struck if struck else 0.0


def emptiness(melody: NoteTable, accompaniment: NoteTable, quarters: float = np.inf) -> float:
    """Return the share of the melody's time without accompaniment.

    From 16 probes per quarter, of all the melody or of its first so many quarters.
    """
    if not len(melody):
        return 0.0
    start = float(melody["onset"][0])
    end = min(float((melody["onset"] + melody["duration"]).max()), start + quarters)
    probes = np.linspace(start, end, max(int((end - start) * 16), 2), endpoint=False)
    return float(1 - covered(accompaniment, probes).mean())


def covered(notes: NoteTable, probes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Find the probes (in quarters) at which any of the notes sounds, shape (probes,)."""
    begins = np.sort(notes["onset"])
    ends = np.sort(notes["onset"] + notes["duration"])
    return np.searchsorted(begins, probes, side="right") > np.searchsorted(
        ends, probes, side="right"
    )


def piano_roll(notes: NoteTable) -> NDArray[np.bool_]:
    """Draw which pitches sound, shape (128, quarters * :data:`PROBES`).

    A column is the middle of each twelfth of a quarter, from the first onset's pair of quarters to
    the last end.
    """
    begin = 2 * int(notes["onset"].min() // 2) if len(notes) else 0
    end = float((notes["onset"] + notes["duration"]).max()) if len(notes) else 0.0
    probes = begin + (np.arange(int(np.ceil(end - begin - 1e-6)) * PROBES) + 0.5) / PROBES
    change = np.zeros((128, len(probes) + 1), np.int32)
    np.add.at(change, (notes["pitch"], np.searchsorted(probes, notes["onset"])), 1)
    np.add.at(
        change, (notes["pitch"], np.searchsorted(probes, notes["onset"] + notes["duration"])), -1
    )
    return np.asarray(change.cumsum(1)[:, :-1] > 0)


def quarters_of(melody: NoteTable) -> float:
    """Return how long a melody lasts, in quarters, at least one."""
    return max(float((melody["onset"] + melody["duration"]).max() - melody["onset"][0]), 1.0)


def thinness(melody: NoteTable, accompaniment: NoteTable) -> float:
    """Return how many doublings the notes lack to be as many as usual.

    In notes per quarter, compared with real accompaniments (:data:`USUAL_NOTES`); 0 for as many or
    more.
    """
    if not len(melody):
        return 0.0
    return float(
        np.clip(np.log2(USUAL_NOTES * quarters_of(melody) / max(len(accompaniment), 0.5)), 0, None)
    )


def crowding(melody: NoteTable, accompaniment: NoteTable, quarters_per_minute: float) -> float:
    """Return how many halvings bring the notes down to :data:`FULL_RATE`.

    In notes per second; 0 for as few or fewer.
    """
    if not len(melody):
        return 0.0
    rate = len(accompaniment) / (quarters_of(melody) * 60 / quarters_per_minute)
    return float(np.log2(max(rate / FULL_RATE, 1.0)))


def bare(melody: NoteTable, accompaniment: NoteTable) -> float:
    """Return the share of the melody's quarters with fewer than three pitch classes.

    Those of melody and accompaniment together.
    """
    if not len(melody):
        return 0.0
    start, end = float(melody["onset"][0]), float((melody["onset"] + melody["duration"]).max())
    notes = np.concatenate([melody, accompaniment])
    counts = []
    for quarter in np.arange(start, max(end, start + 1) - TOGETHER):
        sounds = (notes["onset"] < quarter + 1 - TOGETHER) & (
            notes["onset"] + notes["duration"] > quarter + TOGETHER
        )
        counts.append(len(np.unique(notes["pitch"][sounds] % 12)))
    return float(np.mean(np.array(counts) < 3))


def covering(melody: NoteTable, accompaniment: NoteTable) -> float:
    """Return the share of accompaniment notes that begin above the sounding melody."""
    if not len(melody) or not len(accompaniment):
        return 0.0
    now = accompaniment["onset"][:, None] + TOGETHER
    sounds = (melody["onset"] <= now) & (melody["onset"] + melody["duration"] > now)
    highest = np.where(sounds, melody["pitch"].astype(int), 0).max(1)
    return float(((highest > 0) & (accompaniment["pitch"] > highest)).mean())


def muddy(accompaniment: NoteTable) -> float:
    """Return the share of onsets with low notes too close together.

    That is, struck less than a fourth apart below :data:`LOW`.
    """
    steps = np.round(accompaniment["onset"] / TOGETHER).astype(np.int64)
    found = []
    for step in np.unique(steps):
        pitch = np.sort(accompaniment["pitch"][steps == step].astype(int))
        found.append(bool((np.diff(pitch[pitch < LOW]) < FOURTH).any()))
    return float(np.mean(found)) if found else 0.0


def same_bars(accompaniment: NoteTable, bars: BarTable | None) -> float:
    """Return the share of bars whose notes begin as in the bar before, pitch by pitch.

    An empty bar is like no other.
    """
    if bars is None or len(bars) < 2:
        return 0.0
    steps = np.round(accompaniment["onset"] / TOGETHER).astype(np.int64)
    edges = np.append(np.round(bars["start"] / TOGETHER).astype(np.int64), np.iinfo(np.int64).max)
    found: list[set[tuple[int, int]]] = []
    for begin, end in pairwise(edges.tolist()):
        inside = (steps >= begin) & (steps < end)
        found.append(
            set(
                zip(
                    (steps[inside] - begin).tolist(),
                    accompaniment["pitch"][inside].tolist(),
                    strict=True,
                )
            )
        )
    return float(np.mean([one == other and bool(one) for one, other in pairwise(found)]))


def still(accompaniment: NoteTable) -> float:
    """Return the share of half notes whose bass is that of the half note before.

    The bass is the lowest pitch that is struck in it; the first half note doesn't count.
    """
    if not len(accompaniment):
        return 0.0
    half = (accompaniment["onset"] // 2).astype(np.int64)
    lowest = np.full(int(half.max()) + 1, 128)
    np.minimum.at(lowest, half, accompaniment["pitch"])
    both = (lowest[1:] < 128) & (lowest[:-1] < 128)
    return float((lowest[1:] == lowest[:-1])[both].mean()) if both.any() else 0.0


def chroma(roll: NDArray[np.bool_], quarters: int) -> NDArray[np.int64]:
    """Count the probes at which each pitch class sounds, shape (windows, 12).

    A pitch in two octaves counts twice. Windows are of so many quarters; silent ones are left out.
    """
    padded = np.pad(roll, ((0, 4), (0, -roll.shape[1] % (quarters * PROBES))))
    found = padded.reshape(11, 12, -1, quarters * PROBES).sum((0, 3)).T
    return np.asarray(found[found.any(1)], np.int64)


def clarity(roll: NDArray[np.bool_]) -> float:
    """Return the share of what sounds that belongs to one chord.

    The chord is the best of :data:`CHORDS`; the mean of windows of two quarters.
    """
    windows = chroma(roll, 2)
    return float(((windows @ CHORDS.T).max(1) / windows.sum(1)).mean()) if len(windows) else 0.0


def fifths(roll: NDArray[np.bool_]) -> float:
    """Return the share of fifths and fourths among the changes of root.

    The root is that of a quarter's best chord; 0 where it never changes.
    """
    steps = np.diff((chroma(roll, 1) @ ROOTED.T).argmax(1) % 12) % 12
    return float(np.isin(steps[steps > 0], (5, 7)).mean()) if steps.any() else 0.0


def path(roll: NDArray[np.bool_], key: Key) -> NDArray[np.int64]:
    """Name the best chord of each quarter that isn't silent, shape (quarters,).

    It is one of :data:`CHORDS`, its root counted from the key's tonic.
    """
    best = (chroma(roll, 1) @ ROOTED.T).argmax(1)
    return np.asarray((best % 12 - key.tonic) % 12 + 12 * (best // 12), np.int64)


@lru_cache(maxsize=1)
def progressions() -> dict[str, NDArray[np.float64]]:
    """Load how likely each chord is after another, by mode: shape (36, 36).

    Log-probabilities of a quarter's chord (columns) after the one before (rows), from what
    ``eval.ranker`` counted in training scores.
    """
    file = ASSETS / "chords.json"
    found = {}
    for mode, counts in json.loads(file.read_text(encoding="utf-8"))["counts"].items():
        after = np.array(counts, float)
        usual = (after.sum(0) + 0.5) / (after.sum(0) + 0.5).sum()
        found[mode] = np.log((after + PRIOR * usual) / (after.sum(1, keepdims=True) + PRIOR))
    return found


def progression(roll: NDArray[np.bool_], key: Key) -> float:
    """Return how likely each quarter's chord is after the one before, in the key.

    The mean log-probability in nats in composers' scores, no higher than :data:`LIKELY`. Of fewer
    than two chords, it is that of a chord by chance.
    """
    chords = path(roll, key)
    if len(chords) < 2:
        return -float(np.log(len(CHORDS)))
    return min(float(progressions()[key.mode][chords[:-1], chords[1:]].mean()), LIKELY)


def clash(roll: NDArray[np.bool_]) -> float:
    """Return the share of time with a semitone between pitch classes.

    Of the time in which two pitches or more sound.
    """
    classes = np.pad(roll, ((0, 4), (0, 0))).reshape(11, 12, -1).any(0)
    several = roll.sum(0) > 1
    return (
        float((classes & np.roll(classes, 1, 0))[:, several].any(0).mean())
        if several.any()
        else 0.0
    )


def stretch(melody: NoteTable, accompaniment: NoteTable) -> float:
    """Return the share of a hand's onsets that span more than :data:`HAND` semitones."""
    notes = np.concatenate([melody, accompaniment])
    if not len(notes):
        return 0.0
    steps = np.round(notes["onset"] * 96).astype(np.int64) * 2 + split_hands(notes)
    order = np.lexsort((notes["pitch"], steps))
    first = np.flatnonzero(np.diff(steps[order], prepend=-1))
    pitch = notes["pitch"][order].astype(int)
    return float((np.maximum.reduceat(pitch, first) - pitch[first] > HAND).mean())


def rush(notes: NoteTable, quarters_per_minute: float) -> float:
    """Return the share of a hand's onsets that come too soon after the one before.

    That is, sooner than :data:`FASTEST`; ``notes``: all that both hands play.
    """
    if not len(notes):
        return 0.0
    hands, shortest = split_hands(notes), FASTEST * quarters_per_minute / 60
    gaps = [np.diff(np.unique(np.round(notes["onset"][hands == hand], 6))) for hand in (0, 1)]
    return float(
        (np.concatenate(gaps) < shortest).sum() / max(sum(len(one) + 1 for one in gaps), 1)
    )


def repeated(accompaniment: NoteTable) -> float:
    """Return the share of notes whose pitch was struck one or two onsets before.

    The mean over onsets; 1 for a drone, or for two pitches in turn.
    """
    steps = np.round(accompaniment["onset"] / TOGETHER).astype(np.int64)
    struck = [set(accompaniment["pitch"][steps == step].tolist()) for step in np.unique(steps)]
    again = [
        len(now & (first | second)) / len(now)
        for first, second, now in zip([set(), *struck], struck, struck[1:], strict=False)
    ]
    return float(np.mean(again)) if again else 0.0


def open_end(melody: NoteTable, accompaniment: NoteTable, key: Key) -> float:
    """Return how far the last sonority is from a close in the key.

    Half for a bass that isn't the tonic, half for notes outside its triad, up to half for a bass an
    octave above :data:`LOW_CLOSE`; 1.5 where nothing sounds with the melody's last note. A song
    that ends elsewhere has the same in all its candidates.
    """
    ends = accompaniment["onset"] + accompaniment["duration"]
    if not (ends > melody["onset"].max(initial=0) + TOGETHER).any():
        return 1.5
    last = accompaniment["pitch"][ends >= ends.max() - 1e-3].astype(int)
    wrong = (int(last.min()) % 12 != key.tonic, not np.isin(last % 12, key.triad).all())
    return 0.5 * (sum(wrong) + float(np.clip((last.min() - LOW_CLOSE) / 12, 0, 1)))


@dataclass(frozen=True, eq=False)
class Music:
    """A candidate, as the ranker's measures take it.

    ``melody``, ``accompaniment``: its notes. ``quarters_per_minute``: the tempo. ``bars``: of the
    music; where there is no melody, they say how long it ought to be. ``closes``: whether
    the piece ends here, so that an open end counts. ``style_logprob``, ``base_logprob``: mean
    log-probability of a chosen token with the style and without it, in nats; 0 for
    ``base_logprob``: not asked. ``match``: the longest run of notes that training pieces have too.
    ``idiom``: as :func:`styletransfer.transfer.ranking.likeness.likeness` gives it.
    """

    melody: NoteTable
    accompaniment: NoteTable
    quarters_per_minute: float = 100.0
    bars: BarTable | None = None
    closes: bool = True
    style_logprob: float = 0.0
    base_logprob: float = 0.0
    match: Match = NO_MATCH
    idiom: float = 0.0

    @cached_property
    def notes(self) -> NoteTable:
        """All notes."""
        return np.concatenate([self.melody, self.accompaniment])

    @cached_property
    def roll(self) -> NDArray[np.bool_]:
        """The piano roll of all notes, shape (128, quarters * :data:`PROBES`)."""
        return piano_roll(self.notes)

    @cached_property
    def key(self) -> Key:
        """The melody's key, or the accompaniment's where there is no melody."""
        return estimate_key(self.melody if len(self.melody) else self.accompaniment)

    @property
    def contrast(self) -> float:
        """How much likelier the style makes a chosen token than the base does: mean nats."""
        return self.style_logprob - self.base_logprob if self.base_logprob else 0.0

    @cached_property
    def time(self) -> NoteTable:
        """The melody, or one note as long as the bars where there is none."""
        bars = self.bars
        if len(self.melody) or bars is None or not len(bars):
            return self.melody
        begin, end = float(bars["start"][0]), float(bars["start"][-1] + bars["length"][-1])
        return make_notes([begin], [end - begin], [0])


@dataclass(frozen=True)
class Measure:
    """A measure of candidates.

    ``name``: as the report has it. ``weight``: marks of 1 to 5 for each unit of it; 0: only
    reported. ``label``: its words in a table. ``of``: its value. ``fitted``: whether the weight is
    fitted to readers' marks, or set by hand. ``more_is_better``: whether the candidate with most of
    it is chosen, where it chooses alone.
    """

    name: str
    weight: float
    label: str
    of: Callable[[Music], float]
    fitted: bool = False
    more_is_better: bool = False


MEASURES = (
    Measure("likelihood", 0.0, "likelihood, nats per token",
            lambda m: m.style_logprob, more_is_better=True),
    Measure("contrast", 0.0, "contrast, nats per token", lambda m: m.contrast, more_is_better=True),
    Measure("clarity", 0.0, "clear chords", lambda m: clarity(m.roll), more_is_better=True),
    Measure("fifths", 0.0, "roots by fifths", lambda m: fifths(m.roll), more_is_better=True),
    Measure("clash", 0.0, "semitone clashes", lambda m: clash(m.roll)),
    Measure("late", 0.0, "silent opening", lambda m: emptiness(m.time, m.accompaniment, OPENING)),
    Measure("dissonance", 0.0, "dissonant under the melody",
            lambda m: dissonance(m.melody, m.accompaniment)),
    Measure("longest_match_notes", 0.0, "longest run found in training pieces",
            lambda m: m.match.notes),

    Measure("progression", 0.44, "progressions, nats per chord",
            lambda m: progression(m.roll, m.key), fitted=True, more_is_better=True),
    Measure("emptiness", -1.0, "silence",
            lambda m: emptiness(m.time, m.accompaniment), fitted=True),
    Measure("repeated", -0.63, "repeated notes", lambda m: repeated(m.accompaniment), fitted=True),
    Measure("thinness", -0.34, "thinness, doublings",
            lambda m: thinness(m.time, m.accompaniment), fitted=True),
    Measure("crowding", -0.15, "crowding, halvings",
            lambda m: crowding(m.time, m.accompaniment, m.quarters_per_minute), fitted=True),
    Measure("bare", -0.91, "bare quarters",
            lambda m: bare(m.melody, m.accompaniment), fitted=True),
    Measure("covering", -1.88, "above the melody",
            lambda m: covering(m.melody, m.accompaniment), fitted=True),
    Measure("muddy", -1.16, "muddy onsets", lambda m: muddy(m.accompaniment), fitted=True),
    Measure("same_bars", -0.89, "bars like the one before",
            lambda m: same_bars(m.accompaniment, m.bars), fitted=True),
    Measure("still", -0.37, "basses that stay", lambda m: still(m.accompaniment), fitted=True),

    Measure("stretch", -10.0, "beyond a hand", lambda m: stretch(m.melody, m.accompaniment)),
    Measure("rush", -1.0, "too fast for a hand", lambda m: rush(m.notes, m.quarters_per_minute)),
    Measure("open_end", -0.3, "open close",
            lambda m: open_end(m.time, m.accompaniment, m.key) if m.closes else 0.0),
    Measure("idiom", 0.2, "idiom, nats", lambda m: m.idiom, more_is_better=True),
    Measure("copied", -25.0, "copies", lambda m: float(m.match.is_copy(len(m.notes)))),
)  # fmt: skip
"""All measures, in the order in which a report has them.

Fitted weights are by ``eval.readers``, from what blind readers thought of the candidates under 49
tunes. The others are set by hand: readers see neither hands, style nor copies, and excerpts have no
ends. ``idiom`` costs 0.05 marks at this weight, and keeps what it said about the style
(docs/decisions/0053). Nothing outweighs a copy.

How likely the tokens are, under the style or against the base, has no weight: what is likeliest is
thin and repeats itself, and what is likeliest against the base exaggerates, more than any
composer's own music does.
"""
WEIGHTS = {one.name: one.weight for one in MEASURES if one.weight}
"""The weights by name."""
FITTED = tuple(one.name for one in MEASURES if one.fitted)
"""The measures whose weights are fitted to readers' marks."""
LABELS = {one.name: one.label for one in MEASURES}
"""The words for each measure in a table."""


def score(music: Music) -> dict[str, float]:
    """Measure a candidate: every one of :data:`MEASURES`, and their ``total``.

    The total is the sum of the measures times their weights.
    """
    values = {one.name: one.of(music) for one in MEASURES}
    total = sum(weight * values[name] for name, weight in WEIGHTS.items())
    return {name: round(value, 4) for name, value in (values | {"total": total}).items()}
