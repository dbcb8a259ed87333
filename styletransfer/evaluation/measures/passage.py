"""A tune with its accompaniment, bar by bar.

:mod:`styletransfer.evaluation.measures.accompaniment` measures it. All times are in quarters. Notes
begin together within ``TOGETHER``. Only the bars up to the tune's last note count, and the
accompaniment notes that begin in them. Chords are spans of :mod:`styletransfer.music.chords`,
recognised in the accompaniment without doublings of the tune, so that the tune can't make its own
notes belong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from styletransfer.evaluation.measures.harmony import HALVED
from styletransfer.music.chords import ChordTable, tones_of
from styletransfer.music.key import Key, estimate_key
from styletransfer.music.notes import BarTable, NoteTable, bars_under
from styletransfer.music.qualities import NONE, QUALITIES

TOGETHER = 0.05
"""Quarters within which two notes begin together; a 64th note is 0.0625."""

PLACES = 12
"""Places of a quarter at which a figure's notes begin: triplets and 16ths fall on them exactly."""

REST = 1 / 8
"""The share of its bar that a rest of the tune needs to end a phrase: an eighth in 4/4."""

LONG = 2.0
"""A note this many times as long as the tune's median, up to a bar line, ends a phrase too."""

PHRASE = 4
"""The fewest tune notes of a phrase."""

DOMINANTS = ("major", "dominant-seventh", "augmented")
LEADING = ("diminished", "half-diminished", "diminished-seventh")
GOALS = ("major", "minor", "dominant-seventh", "major-seventh", "minor-seventh")
"""Qualities that a dominant, a chord on the leading tone, and the chord they lead to may have."""


@dataclass(frozen=True)
class Chord:
    """A named chord: its times in quarters, its root and bass as pitch classes."""

    start: float
    end: float
    root: int
    quality: str
    bass: int

    @property
    def tones(self) -> tuple[int, ...]:
        """Its pitch classes, the root first."""
        return tones_of(self.root, QUALITIES.index(self.quality))

    def is_dominant_of(self, goal: Chord) -> bool:
        """Return whether it is a dominant of ``goal``.

        It is V, V7, or the leading tone's.

        A diminished seventh may be spelt from any of its tones.
        """
        if goal.quality not in GOALS:
            return False
        above = (self.root - goal.root) % 12
        if self.quality == "diminished-seventh":
            return above % 3 == 2
        if self.quality in LEADING:
            return above == 11
        return above == 7 and self.quality in DOMINANTS


@dataclass(frozen=True)
class Passage:
    """A tune with an accompaniment; :func:`passage` makes one, cut to the same bars.

    Attributes:
        tune: a note table.
        every: a note table of all accompaniment notes.
        bars: those under the tune.
        spans: a chord table of the accompaniment.
        key: the tune's, the same in all versions.
        home: that of tune and accompaniment together: a tune alone leaves open whether it is in G
            major or E minor.
    """

    tune: NoteTable
    every: NoteTable
    bars: BarTable
    spans: ChordTable
    key: Key
    home: Key

    @cached_property
    def rest(self) -> NoteTable:
        """The accompaniment without doublings of the tune."""
        return without_doublings(self.every, self.tune)

    @cached_property
    def edges(self) -> NDArray[np.float64]:
        """Borders of the bars, (bars + 1,)."""
        return np.append(self.bars["start"], self.bars["start"][-1] + self.bars["length"][-1])

    @cached_property
    def half_edges(self) -> NDArray[np.float64]:
        """Borders of half bars; a bar of odd numerator, or under 3 quarters, is one."""
        halved = (self.bars["numerator"] % 2 == 0) & (self.bars["length"] >= HALVED - 1e-6)
        middles = (self.bars["start"] + self.bars["length"] / 2)[halved]
        return np.sort(np.concatenate([self.edges, middles]))

    @cached_property
    def chords(self) -> list[Chord]:
        """The named chords; one with the root and quality of the last belongs to it.

        The bass is that of the longest position.
        """
        found: list[Chord] = []
        basses: list[Counter[int]] = []
        for row in self.spans[self.spans["quality"] != NONE]:
            start, end = float(row["start"]), float(row["start"] + row["length"])
            quality, bass = QUALITIES[int(row["quality"])], int(row["bass"])
            one = Chord(start, end, int(row["root"]), quality, bass)
            if found and (found[-1].root, found[-1].quality) == (one.root, one.quality):
                found[-1] = replace(found[-1], end=end)
            else:
                found.append(one)
                basses.append(Counter())
            basses[-1][bass] += round((end - start) * 1000)
        pairs = zip(found, basses, strict=True)
        return [replace(one, bass=count.most_common(1)[0][0]) for one, count in pairs]

    @cached_property
    def figures(self) -> list[frozenset[tuple[int, int]]]:
        """Each bar's notes, without doublings: (twelfth of a quarter, pitch)."""
        bar = self.bar_of(self.rest["onset"])
        place = np.round((self.rest["onset"] - self.edges[bar]) * PLACES).astype(int)
        found: list[set[tuple[int, int]]] = [set() for _ in self.bars]
        for index, *note in zip(bar, place.tolist(), self.rest["pitch"].tolist(), strict=True):
            found[index].add((note[0], note[1]))
        return [frozenset(figure) for figure in found]

    def bar_of(self, onset: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the indices of the bars in which notes begin."""
        index = np.searchsorted(self.edges, onset + TOGETHER / 2, side="right") - 1
        return np.clip(index, 0, len(self.bars) - 1)

    def chord_at(self, time: float) -> int:
        """Return the index of the chord at a time, or of the last one before.

        It is -1 where there is none.
        """
        starts = [chord.start for chord in self.chords]
        return int(np.searchsorted(starts, time + TOGETHER / 2, side="right")) - 1

    def tones_at(self, time: float) -> tuple[int, ...]:
        """Return the tones of the chord that is named at a time, none without one."""
        index = int(np.searchsorted(self.spans["start"], time + TOGETHER / 2, side="right")) - 1
        if index < 0 or self.spans["quality"][index] == NONE:
            return ()
        return tones_of(int(self.spans["root"][index]), int(self.spans["quality"][index]))


def passage(
    tune: NoteTable,
    accompaniment: NoteTable,
    bars: BarTable,
    spans: ChordTable,
    whole: Passage | None = None,
) -> Passage:
    """Cut a tune and its accompaniment to the bars up to the tune's last note.

    Args:
        tune: the tune's notes, in quarters.
        accompaniment: all other notes.
        bars: of the song, from the first one that counts.
        spans: chords of the accompaniment without doublings.
        whole: what this is a part of, whose keys it takes; by default they are estimated.
    """
    under = bars_under(bars, tune)
    start, end = float(under["start"][0]), float(under["start"][-1] + under["length"][-1])

    def inside(notes: NoteTable) -> NoteTable:
        near = TOGETHER / 2
        return notes[(notes["onset"] >= start - near) & (notes["onset"] < end - near)]

    kept = spans.copy()
    stop = np.minimum(kept["start"] + kept["length"], end)
    kept["start"] = np.maximum(kept["start"], start)
    kept["length"] = stop - kept["start"]
    kept = kept[kept["length"] > 1e-3]
    tune, accompaniment = inside(tune), inside(accompaniment)
    key = whole.key if whole else estimate_key(tune)
    home = whole.home if whole else estimate_key(np.concatenate([tune, accompaniment]))
    return Passage(tune, accompaniment, under, kept, key, home)


def windows(whole: Passage, bars: int) -> Iterator[Passage]:
    """Cut a passage into windows of so many bars, each with tune and accompaniment."""
    for first in range(0, len(whole.bars) - bars + 1, bars):
        part = whole.bars[first : first + bars]
        start, end = float(part["start"][0]), float(part["start"][-1] + part["length"][-1])
        onset = whole.tune["onset"]
        tune = whole.tune[(onset >= start - TOGETHER / 2) & (onset < end - TOGETHER / 2)]
        if len(tune):
            found = passage(tune, whole.every, part, whole.spans, whole)
            if len(found.rest):
                yield found


def without_doublings(accompaniment: NoteTable, tune: NoteTable) -> NoteTable:
    """Leave out notes that begin with a tune note, in unison or an octave away.

    The lowest note of an onset may be an octave away: it is the bass.
    """
    keep = np.ones(len(accompaniment), bool)
    pitch = accompaniment["pitch"].astype(int)
    for note in tune:
        struck = np.abs(accompaniment["onset"] - note["onset"]) < TOGETHER
        if struck.any():
            distance = np.abs(pitch - int(note["pitch"]))
            above_bass = pitch > pitch[struck].min()
            keep &= ~(struck & ((distance == 0) | ((distance == 12) & above_bass)))
    return accompaniment[keep]


def phrase_ends(one: Passage) -> list[int]:
    """Find the tune notes that end phrases, by index; the last one always does.

    A phrase has at least ``PHRASE`` notes. It ends where the tune rests for ``REST`` of a bar, or
    with a note that lasts up to a bar line and ``LONG`` times as long as the tune's median note.
    """
    onset, duration = one.tune["onset"], one.tune["duration"]
    end = onset + duration
    bar = one.bars["length"][one.bar_of(onset)]
    long = LONG * float(np.median(duration)) - 1e-3

    found, before = [], -1
    for k in range(len(onset) - 1):
        rests = onset[k + 1] - end[k] >= REST * bar[k] - 1e-3
        at_line = np.abs(one.edges - end[k]).min() < TOGETHER
        if k - before >= PHRASE and (rests or (at_line and duration[k] >= long)):
            found.append(k)
            before = k
    return [*found, len(onset) - 1]
