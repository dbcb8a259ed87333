"""What every token can know from the tokens before it, by addition and look-up.

A small model spends most of its training on finding out, by attention alone, how far into the bar
the time shifts have led and which melody note that is. So these are computed here and embedded with
each token (:mod:`styletransfer.model.features`): the place in the bar, the melody's next note, the
plan's chord and the one after it, what the bar that is followed does here, and the style, which
need not be fetched from hundreds of tokens ago.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from styletransfer.tokens.codec import FROM_FIGURE, STEPS_PER_QUARTER, steps_of
from styletransfer.tokens.controls import (
    BASSES,
    CHORDS,
    FARTHEST,
    FIGURE,
    MELODY,
    PLAN,
    REFERENCES,
    metre_of_token,
)

STEPS = 289  # positions in a bar, in steps; the last stands for all beyond
DISTANCES = 98  # steps to the next melody note, 97: there is none, 96: beyond
PITCHES = 128
CHORD_ROWS = len(CHORDS) + 1  # 0: no plan
BASS_ROWS = len(BASSES) + 1
OFFSETS = 50  # semitones of a note of the reference above its lowest, and 1; 0: no note
LEFT = 9  # notes of the reference left at this step, 7: no reference is given, 8: a new figure
UNTOLD, NEW = LEFT - 2, LEFT - 1


@dataclass(frozen=True)
class TokenLists:
    """What the tokens of a vocabulary mean, by id.

    ``kind`` is melody, plan, bar, figure, key, era, composer, tune, chord, bass, reference, or
    nothing. ``value`` is the number of a chord, bass or reference, and the length of a bar in steps
    (0: unknown).
    """

    shift: list[int]
    pitch: list[int]
    duration: list[int]
    kind: list[str]
    value: list[int]

    @classmethod
    def of(cls, names: Sequence[str]) -> TokenLists:
        """Make the lists of a vocabulary's names in the order of their ids."""
        numbers = {
            name: number
            for group in (CHORDS, BASSES, REFERENCES)
            for number, name in enumerate(group)
        }
        return cls(
            [_steps(name, "TimeShift") for name in names],
            [int(name.split("_")[1]) if name.startswith("Pitch_") else 0 for name in names],
            [_steps(name, "Duration") for name in names],
            [_kind(name) for name in names],
            [
                _bar_length(name) if name.startswith("BAR_") else numbers.get(name, 0)
                for name in names
            ],
        )


def _steps(name: str, kind: str) -> int:
    return steps_of(name) if name.startswith(kind + "_") else 0


def _kind(name: str) -> str:
    single = {MELODY: "melody", PLAN: "plan", FIGURE: "figure"}
    if name in single:
        return single[name]
    if name in REFERENCES:
        return "reference"
    head = name.split("_")[0].lower()
    return head if head in ("bar", "key", "era", "composer", "tune", "chord", "bass") else ""


def _bar_length(name: str) -> int:
    metre = metre_of_token(name)
    return metre[0] * 4 * STEPS_PER_QUARTER // metre[1] if metre else 0


@dataclass
class Follower:
    """The features of one sequence as it grows."""

    lists: TokenLists
    step: int = 0
    inside: str = ""  # the segment: melody, plan, bar, figure, or none yet
    length: int = 0  # of the bar, in steps
    held: int = 0  # the pitch of the note at the last token
    key: int = 0
    era: int = 0
    composer: int = 0
    tune: int = 0
    # onset, pitch and duration of the notes of the last melody segment
    told: list[list[int]] = field(default_factory=list)
    here: list[list[int]] = field(default_factory=list)  # of the segment before: those of this bar
    # step, chord and bass of the last plan, the latter two plus 1
    planned: list[list[int]] = field(default_factory=list)
    chords: list[list[int]] = field(default_factory=list)  # of the plan before: those of this bar
    figure: list[list[int]] = field(default_factory=list)  # notes of the figure at the head
    # the accompaniments of the last bars, the nearest first
    before: list[list[list[int]]] = field(default_factory=list)
    played: list[list[int]] = field(default_factory=list)  # the accompaniment of this bar
    followed: list[list[int]] | None = None  # the accompaniment that the bar follows
    lowest: int = 0  # the lowest pitch of that
    reference: int = -1  # -1: not given yet
    count: int = 0  # notes of the accompaniment that have begun at this step
    accompanies: bool = False  # whether the last pitch was one of them

    def push(self, index: int) -> tuple[int, ...]:
        """Take a token, and return its features.

        The melody is known to tokens of a bar and of a plan.

        Returns:
            The step in the bar after the token; the pitch of the next melody note of the same bar
                that hasn't begun (0: none); the steps until it begins; the pitch of the last one
                that has (0: none), and its duration in steps; the ids of the tokens of key, era,
                composer and tune; the chord of the plan now (0: no plan) and its bass, the next
                chord, and the steps until it begins; of the bar that is followed the next note at
                this step, in semitones above the lowest and 1 (0: none), how many are left here,
                the steps until notes begin again, and the duration of the note.
        """
        lists = self.lists
        kind, pitch, shift, duration = (
            lists.kind[index],
            lists.pitch[index],
            lists.shift[index],
            lists.duration[index],
        )
        if kind:
            self._mark(kind, index)
        elif shift:
            self.step, self.held, self.count = self.step + shift, 0, 0
            self.accompanies = False
        elif pitch:
            self._begin(pitch)
        elif duration:
            if self.inside == "melody" and self.told:
                self.told[-1][2] = duration
            elif self.inside == "figure" and self.figure:
                self.figure[-1][2] = duration
            elif self.accompanies and self.played:
                self.played[-1][2] = duration
            self.accompanies = False

        style = self.key, self.era, self.composer, self.tune
        place = min(self.step, STEPS - 1)
        return place, *self._melody(), *style, *self._chords(), *self._reference()

    def _mark(self, kind: str, index: int) -> None:
        """Take a token that is neither of time nor of a note."""
        if kind in ("melody", "plan", "bar", "figure"):
            self.step, self.count, self.held, self.accompanies = 0, 0, 0, False
            if kind == "melody":
                self.here, self.told = self.told, []
                self.chords, self.planned = self.planned, []
            elif kind == "bar":
                self._open(index)
            self.inside = kind
        elif kind == "chord":
            self.planned.append([self.step, self.lists.value[index] + 1, 0])
        elif kind == "bass":
            if self.planned:
                self.planned[-1][2] = self.lists.value[index] + 1
        elif kind == "reference":
            self.reference = self.lists.value[index]
        else:
            setattr(self, kind, max(getattr(self, kind), index))

    def _open(self, index: int) -> None:
        """Begin a bar."""
        if self.length or self.played or self.before:
            self.before = [self.played, *self.before[: FARTHEST - 1]]
        self.played, self.length = [], self.lists.value[index] or 1
        self.followed = None
        if self.reference == FROM_FIGURE:
            self.followed = self.figure
        elif 0 < self.reference <= len(self.before):
            self.followed = self.before[self.reference - 1]
        if self.followed is not None:
            self.lowest = min((note[1] for note in self.followed), default=0)

    def _begin(self, pitch: int) -> None:
        """Begin a note."""
        self.held = pitch
        if self.inside == "melody":
            self.told.append([self.step, pitch, 0])
        elif self.inside == "figure":
            self.figure.append([self.step, pitch, 0])
        elif self.inside == "bar":
            self.accompanies = not any(
                note[0] == self.step and note[1] == pitch for note in self.here
            )
            if self.accompanies:
                self.played.append([self.step, pitch, 0])
                self.count += 1

    def _melody(self) -> tuple[int, int, int, int]:
        """Return the features of the melody: the next note and the last one."""
        after = last = None
        if self.inside in ("bar", "plan"):
            planning = (
                self.inside == "plan"
            )  # of the bar to come, where what begins with the chord has begun
            for note in self.told if planning else self.here:
                begun = note[0] < self.step or (
                    note[0] == self.step and (planning or note[1] == self.held)
                )
                if begun:
                    last = note if last is None or note[0] > last[0] else last
                else:
                    after = note if after is None or note[0] < after[0] else after
        next_pitch, distance = (
            (after[1], min(after[0] - self.step, DISTANCES - 2)) if after else (0, DISTANCES - 1)
        )
        last_pitch, duration = (last[1], min(last[2], STEPS - 1)) if last else (0, 0)
        return next_pitch, distance, last_pitch, duration

    def _chords(self) -> tuple[int, int, int, int]:
        """Return the features of the plan: the chord now and the next one."""
        now, bass, coming, distance = 0, 0, 0, DISTANCES - 1
        if self.inside == "plan":
            latest = self.planned or self.chords
            return (latest[-1][1], latest[-1][2], 0, distance) if latest else (0, 0, 0, distance)
        if self.inside != "bar":
            return now, bass, coming, distance
        for step, chord, low in self.chords:
            if step > self.step:
                return now, bass, chord, min(step - self.step, DISTANCES - 2)
            now, bass = chord, low
        if self.planned:
            coming = self.planned[0][1]
            distance = (
                min(max(self.length - self.step, 0), DISTANCES - 2)
                if self.length > 1
                else DISTANCES - 2
            )
        return now, bass, coming, distance

    def _reference(self) -> tuple[int, int, int, int]:
        """Return the features of the bar that is followed."""
        if self.inside != "bar" or self.followed is None:
            left = NEW if self.inside == "bar" and self.reference == 0 else UNTOLD
            return 0, left, DISTANCES - 1, 0
        offset = left = duration = number = 0
        distance = DISTANCES - 1
        for note in self.followed:
            if note[0] > self.step:
                distance = min(note[0] - self.step, DISTANCES - 2)
                break
            if note[0] == self.step:
                number += 1
                if number == self.count and self.accompanies:
                    duration = note[2]
                if number > self.count:
                    left = min(left + 1, UNTOLD - 1)
                    if left == 1:
                        offset = min(note[1] - self.lowest + 1, OFFSETS - 1)
                        duration = duration or note[2]
        return offset, left, distance, min(duration, STEPS - 1)
