"""Notes to tokens and back: MidiTok's TSD vocabulary with bars and a melody.

A sequence is ``BOS feel [tempo] key era composer [tune] [FIGURE <notes>]`` and then bar after bar.
With a melody, each bar is

    MELODY <melody of the *next* bar> [PLAN <chords of the next bar>] [REF_<bars back>] BAR_<metre>
    <every note of this bar>

(the first bar is preceded by its own melody and chords as well), so that the model reads one bar
ahead, and a song of any length is one stream. A plan's chords stand at their places, the first at
the bar's start; the reference states which bar before (or the figure ``FIGURE <notes>`` at the head
of the sequence) the accompaniment of this one follows. Both may be missing. Without a melody a bar
is ``BAR_<metre> <every note>``. ``FINAL`` stands with the melody of the last bar; ``EOS`` ends the
piece. Time is counted in steps: 24 per quarter in a score, 48 per second in a performance, whose
bars are two seconds. Notes carry their velocity in performances only: the scores that the model
learns from have none.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.chords import ChordTable
from styletransfer.music.key import Key, estimate_key
from styletransfer.music.notes import BarTable, Feel, NoteTable, Piece, make_notes
from styletransfer.music.qualities import NONE, QUALITIES
from styletransfer.tokens.controls import (
    BASSES,
    CHORDS,
    FARTHEST,
    FIGURE,
    FINAL,
    MELODY,
    METRES,
    PLAN,
    REFERENCES,
    SPECIAL_TOKENS,
    UNKNOWN,
    metre_token,
)
from styletransfer.tokens.tokenizer import Table, Tokenizer

STEPS_PER_QUARTER = 24
STEPS_PER_SECOND = 48
KEY_BARS = 24  # of melody, from which the key at the head of a sequence is taken
FEWEST_KEY_NOTES = 5
FREE_BAR_STEPS = 2 * STEPS_PER_SECOND
FROM_FIGURE = FARTHEST + 1
"""The reference of a bar that follows the figure at the head of the sequence."""
LOWEST_PITCH, HIGHEST_PITCH = 21, 108


class Chord(NamedTuple):
    """A chord of a plan inside a bar.

    It has a step, a root, a quality (an index into ``QUALITIES``) and a bass; -1 is no chord.
    """

    step: int
    root: int
    quality: int
    bass: int

    def moved(self, semitones: int) -> Chord:
        """Return the chord transposed."""
        if self.quality == NONE:
            return self
        return self._replace(root=(self.root + semitones) % 12, bass=(self.bass + semitones) % 12)


class Event(NamedTuple):
    """A note inside a bar.

    It has an onset in steps from the bar's start, a duration in steps, a MIDI pitch and a velocity
    bin (-1: none).
    """

    step: int
    duration: int
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Grid:
    """A piece in steps.

    Arrays have shape (notes,) or (bars,); bars follow each other without gaps, and the first may
    start below 0. ``chords`` are the plan of each bar, the first at the bar's start; ``references``
    state which bar each follows (0: none, k: k bars back, :data:`FROM_FIGURE`: the ``figure``).
    They are empty where a sequence is to have none.
    """

    feel: Feel
    onset: NDArray[np.int64]
    duration: NDArray[np.int64]
    pitch: NDArray[np.int64]
    velocity: NDArray[np.int64]
    melody: NDArray[np.bool_]
    bar_start: NDArray[np.int64]
    bar_length: NDArray[np.int64]
    bar_metre: tuple[str, ...]
    chords: tuple[tuple[Chord, ...], ...] = ()
    references: tuple[int, ...] = ()
    figure: tuple[Event, ...] = ()

    @cached_property
    def bar_slices(self) -> NDArray[np.int64]:
        """Where each bar's notes lie, shape (bars + 1,): bar b has notes [b] to [b + 1]."""
        edges = np.append(self.bar_start, self.bar_start[-1] + self.bar_length[-1])
        return np.searchsorted(self.onset, edges, side="left")

    @property
    def bars(self) -> int:
        return len(self.bar_start)


def key_of_events(bars: Iterable[tuple[int, Sequence[Event]]]) -> Key | None:
    """Estimate the key of a melody's bars, given as their first steps and their notes.

    None where there are few notes.
    """
    rows = [
        (start + event.step, event.duration, event.pitch)
        for start, events in bars
        for event in events
    ]
    if len(rows) < FEWEST_KEY_NOTES:
        return None
    onset, duration, pitch = np.array(rows).T
    return estimate_key(make_notes(onset / STEPS_PER_QUARTER, duration / STEPS_PER_QUARTER, pitch))


def key_token(bars: Iterable[tuple[int, Sequence[Event]]]) -> str:
    """Return the key of a melody's next bars as the controls state it.

    See :func:`key_of_events`. A model that is given the key need not guess it from the first two
    bars, which are all that it is given of the melody there. In an arrangement the key follows from
    the tune, in training from the window's own melody: nothing that a caller couldn't know.
    """
    return token_of_key(key_of_events(bars))


def token_of_key(key: Key | None) -> str:
    """Return a key as the controls state it."""
    return key.name.replace(" ", "-") if key else UNKNOWN


@dataclass(frozen=True)
class CodecConfig:
    """MidiTok's settings that matter for TSD.

    ``beat_res`` holds steps per beat as ((from, to), steps) pairs, ``velocities`` the number of
    bins.
    """

    beat_res: tuple[tuple[tuple[int, int], int], ...] = (
        ((0, 4), STEPS_PER_QUARTER),
        ((4, 12), STEPS_PER_QUARTER // 2),
    )
    velocities: int = 32


class Codec(Tokenizer):
    """The default tokenizer.

    ``vocabulary`` maps MidiTok's token names to ids. ``hash`` identifies the vocabulary and its
    order: everything that was trained with it carries the hash, and a mismatch is refused. Given a
    vocabulary that was saved, MidiTok isn't imported.
    """

    settings: ClassVar[type] = CodecConfig

    def __init__(
        self, config: CodecConfig | None = None, vocabulary: dict[str, int] | None = None
    ) -> None:
        self.config = config or CodecConfig()
        self.vocabulary = vocabulary or _vocabulary(self.config)
        self.names = {index: name for name, index in self.vocabulary.items()}
        self.size = len(self.vocabulary)
        self.hash = hashlib.sha256(json.dumps(self.vocabulary).encode()).hexdigest()[:16]

        self.pad, self.bos, self.eos = (self.vocabulary[name] for name in ("PAD", "BOS", "EOS"))
        self.melody, self.final = self.vocabulary[MELODY], self.vocabulary[FINAL]
        self.plans = PLAN in self.vocabulary  # older models have no plans
        self.plan, self.figure = (self.vocabulary.get(name, -1) for name in (PLAN, FIGURE))
        self.chord_ids, self.bass_ids, self.reference_ids = (
            [self.vocabulary[name] for name in names if self.plans]
            for names in (CHORDS, BASSES, REFERENCES)
        )

        self.bar_ids = {f"BAR_{metre}": self.vocabulary[f"BAR_{metre}"] for metre in METRES}

        values = sorted(
            (steps_of(name), index)
            for name, index in self.vocabulary.items()
            if name.startswith("Dur")
        )
        self.durations = np.array([steps for steps, _ in values])
        self.first_duration = values[0][1]
        self.first_shift = self.vocabulary["TimeShift_0.1.24"]
        self.first_pitch = self.vocabulary[f"Pitch_{LOWEST_PITCH}"]
        self.first_velocity = self.vocabulary[self._velocity_names[0]]
        self._value_index = {int(steps): index for index, steps in enumerate(self.durations)}
        self.longest = int(self.durations[-1])

    @classmethod
    def make(cls, settings: CodecConfig, tables: Callable[[int], Iterable[Table]]) -> Self:
        """Make the tokenizer of a training run; nothing about it is learnt."""
        return cls(settings)

    @cached_property
    def _velocity_names(self) -> list[str]:
        names = [name for name in self.vocabulary if name.startswith("Velocity_")]
        return sorted(names, key=lambda name: int(name.split("_")[1]))

    @cached_property
    def velocity_values(self) -> NDArray[np.int64]:
        """The velocity that each bin stands for, shape (bins,)."""
        return np.array([int(name.split("_")[1]) for name in self._velocity_names])

    # --- notes to steps ---------------------------------------------------------------------------

    def grid(self, piece: Piece) -> Grid:
        """Put a piece on the steps of its feel.

        No note is lost; an onset moves by at most half a step. An onset that would round to the end
        of a score's last bar goes to the step before it, less than a step away.
        """
        if piece.feel == "score":
            return self.grid_of("score", piece.notes, piece.bars)
        notes = piece.notes.copy()
        notes["onset"], notes["duration"] = piece.onset_seconds, piece.duration_seconds
        return self.grid_of("performance", notes, piece.bars)

    def grid_of(
        self, feel: Feel, notes: NoteTable, bars: BarTable, chords: ChordTable | None = None
    ) -> Grid:
        """Put a bare table on the steps of its feel.

        Args:
            feel: the unit of onsets and durations: quarters (score) or seconds (performance).
            notes: the notes.
            bars: the bars of a score.
            chords: a plan for the bars (scores), in quarters.
        """
        scale = STEPS_PER_QUARTER if feel == "score" else STEPS_PER_SECOND
        onset = np.floor(notes["onset"].astype(float) * scale + 0.5).astype(np.int64)
        duration = self.nearest_duration(notes["duration"].astype(float) * scale)
        pitch = notes["pitch"].astype(np.int64)
        pitch = np.where(pitch < LOWEST_PITCH, pitch + 12 * -((pitch - LOWEST_PITCH) // 12), pitch)
        pitch = np.where(
            pitch > HIGHEST_PITCH, pitch - 12 * -((HIGHEST_PITCH - pitch) // 12), pitch
        )
        nearest = np.abs(self.velocity_values[None, :] - np.arange(128)[:, None]).argmin(1)
        velocity = nearest[notes["velocity"]]
        if feel == "score":
            finish = float(bars["start"][-1] + bars["length"][-1])
            edges = np.append(bars["start"].astype(float), finish)
            # rounded as onsets are: a note on a bar line stays on it
            edges = np.floor(edges * scale + 0.5).astype(np.int64)
            start, end = edges[:-1], max(int(edges[-1]), math.ceil(finish * scale - 1e-3))
            metre = tuple(
                metre_token(int(bar["numerator"]), int(bar["denominator"])) for bar in bars
            )
        else:
            last = int(onset.max()) if len(onset) else 0
            start = np.arange(0, last + 1, FREE_BAR_STEPS)
            end = int(start[-1]) + FREE_BAR_STEPS
            metre = ("BAR_free",) * len(start)

        length = np.diff(np.append(start, end))
        onset = np.clip(onset, start[0], end - 1)
        order = np.lexsort((duration, pitch, onset))
        return Grid(
            feel,
            onset[order],
            duration[order],
            pitch[order],
            velocity[order],
            notes["melody"][order].astype(bool),
            start,
            length,
            metre,
            chords_by_bar(chords, start, length) if chords is not None and feel == "score" else (),
        )

    def nearest_duration(self, steps: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the durations with a token that are nearest to some, in steps.

        The longest stands for all beyond.
        """
        index = np.clip(np.searchsorted(self.durations, steps), 1, len(self.durations) - 1)
        below, above = self.durations[index - 1], self.durations[index]
        return np.where(steps - below < above - steps, below, above)

    # --- steps to tokens --------------------------------------------------------------------------

    def encode_events(self, events: Iterable[Event]) -> list[int]:
        """Return the tokens of the notes of one bar, sorted by step, then pitch.

        Velocity -1 leaves the velocity out.
        """
        ids: list[int] = []
        now = 0
        for step, duration, pitch, velocity in events:
            if step > now:
                ids += self.encode_shift(step - now)
                now = step
            ids.append(self.first_pitch + pitch - LOWEST_PITCH)
            if velocity >= 0:
                ids.append(self.first_velocity + velocity)
            ids.append(self.first_duration + self._value_index[duration])
        return ids

    def encode_shift(self, steps: int) -> list[int]:
        """Return time shift tokens, the largest first, that add up to ``steps``."""
        ids: list[int] = []
        while steps > 0:
            value = (
                steps
                if steps in self._value_index
                else int(self.durations[self.durations <= steps][-1])
            )
            ids.append(self.first_shift + self._value_index[value])
            steps -= value
        return ids

    def bar_events(self, grid: Grid, bar: int) -> list[Event]:
        """Return the notes of a bar, with velocities for a performance."""
        low, high = grid.bar_slices[bar], grid.bar_slices[bar + 1]
        velocity = (
            grid.velocity[low:high] if grid.feel == "performance" else np.full(high - low, -1)
        )
        columns = (
            grid.onset[low:high] - grid.bar_start[bar],
            grid.duration[low:high],
            grid.pitch[low:high],
            velocity,
        )
        return [Event(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def melody_events(self, grid: Grid, bar: int) -> list[Event]:
        """Return the melody notes of a bar, without velocity.

        Of several at one step there is the longest.
        """
        if bar >= grid.bars:
            return []
        low, high = grid.bar_slices[bar], grid.bar_slices[bar + 1]
        found: dict[int, Event] = {}
        for index in np.flatnonzero(grid.melody[low:high]) + low:
            event = Event(
                int(grid.onset[index] - grid.bar_start[bar]),
                int(grid.duration[index]),
                int(grid.pitch[index]),
                -1,
            )
            if event.step not in found or found[event.step].duration < event.duration:
                found[event.step] = event
        return [found[step] for step in sorted(found)]

    def melody_key(self, grid: Grid, first: int) -> str:
        """Return the key that the controls state for a sequence from bar ``first`` on.

        See :func:`key_token`.
        """
        bars = range(first, min(first + KEY_BARS, grid.bars))
        return key_token(
            [(int(grid.bar_start[bar]), self.melody_events(grid, bar)) for bar in bars]
        )

    def melody_segment(self, grid: Grid, bar: int) -> list[int]:
        """Return ``MELODY`` and the melody of a bar.

        ``FINAL`` follows for the last bar and for the empty one after it.
        """
        return self.told(self.melody_events(grid, bar), last=bar >= grid.bars - 1)

    def told(self, events: Iterable[Event], *, last: bool) -> list[int]:
        """Return ``MELODY`` and the melody of a bar, and ``FINAL`` if it is the last."""
        ids = [self.melody, *self.encode_events(events)]
        return [*ids, self.final] if last else ids

    def plan_segment(self, chords: Sequence[Chord]) -> list[int]:
        """Return ``PLAN`` and the chords of a bar at their places."""
        ids, now = [self.plan], 0
        for step, root, quality, bass in chords:
            if step > now:
                ids += self.encode_shift(step - now)
                now = step
            ids.append(self.chord_ids[-1 if quality == NONE else root * len(QUALITIES) + quality])
            ids.append(self.bass_ids[bass])  # -1: the last one, none
        return ids

    def bar_segment(self, grid: Grid, bar: int) -> list[int]:
        """Return ``BAR_<metre>`` and every note of a bar."""
        return [self.bar_ids[grid.bar_metre[bar]], *self.encode_events(self.bar_events(grid, bar))]

    def before_bar(
        self, grid: Grid, bar: int, first: int, *, with_melody: bool
    ) -> tuple[list[int], list[bool]]:
        """Return what stands before ``BAR`` in a sequence from bar ``first`` on.

        The second list states which tokens belong to the loss. The melody of the next bar is given;
        its chords and the reference are the model's own to plan.
        """
        ids: list[int] = self.melody_segment(grid, bar + 1) if with_melody else []
        scored = [bar > first] + [False] * (len(ids) - 1) if ids else []
        if with_melody and bar + 1 < len(grid.chords):
            plan = self.plan_segment(grid.chords[bar + 1])
            ids += plan
            scored += [False] + [True] * (len(plan) - 1)
        if grid.references:
            reference = grid.references[bar]
            if reference != FROM_FIGURE and reference > bar - first:
                reference = 0
            ids.append(self.reference_ids[reference])
            scored.append(True)
        return ids, scored

    def head(self, grid: Grid, first: int, *, with_melody: bool) -> list[int]:
        """Return what stands before all bars in a sequence from bar ``first`` on.

        That is the figure, and the first bar's melody and chords.
        """
        ids = [self.figure, *self.encode_events(grid.figure)] if grid.figure else []
        if with_melody:
            ids += self.melody_segment(grid, first)
            if first < len(grid.chords):
                ids += self.plan_segment(grid.chords[first])
        return ids

    def encode(
        self,
        grid: Grid,
        controls: Sequence[str],
        first: int = 0,
        *,
        with_melody: bool,
        limit: int | None = None,
    ) -> tuple[list[int], list[bool]]:
        """Encode from bar ``first`` on, until the end or at least ``limit`` tokens.

        Returns:
            The ids and, for each, whether it belongs to the loss: the arrangement's notes, whatever
                ends a bar, chords and references, but neither the controls nor what a caller would
                know beforehand (the melody and the metre of a bar with a melody).
        """
        ids = [self.vocabulary[name] for name in controls] + self.head(
            grid, first, with_melody=with_melody
        )
        scored = [False] * len(ids)
        for bar in range(first, grid.bars):
            before, counts = self.before_bar(grid, bar, first, with_melody=with_melody)
            notes = self.bar_segment(grid, bar)
            ids += before + notes
            ends = not before and bar > first  # the bar's own token ends the one before it
            scored += counts + [ends] + [True] * (len(notes) - 1)
            if limit is not None and len(ids) >= limit:
                return ids, scored

        return [*ids, self.eos], [*scored, True]

    # --- tokens to notes --------------------------------------------------------------------------

    def decode_events(self, ids: Sequence[int]) -> list[Event]:
        """Return the notes of one bar's tokens, without its ``BAR``.

        Tokens that make no note are passed over.
        """
        events: list[Event] = []
        now, pitch, velocity = 0, None, -1
        for index in ids:
            kind, value = self.kind_of(index)
            if kind == "shift":
                now, pitch, velocity = now + value, None, -1
            elif kind == "pitch":
                pitch, velocity = value, -1
            elif kind == "velocity":
                velocity = value
            elif kind == "duration" and pitch is not None:
                events.append(Event(now, value, pitch, velocity))
                pitch, velocity = None, -1
        return events

    def kind_of(self, index: int) -> tuple[str, int]:
        """Return a token's kind and value.

        The value is in steps for shifts and durations, a MIDI number for pitches, a bin for
        velocities, else the id.
        """
        if self.first_pitch <= index < self.first_pitch + HIGHEST_PITCH - LOWEST_PITCH + 1:
            return "pitch", index - self.first_pitch + LOWEST_PITCH
        if self.first_velocity <= index < self.first_velocity + len(self.velocity_values):
            return "velocity", index - self.first_velocity
        if self.first_duration <= index < self.first_duration + len(self.durations):
            return "duration", int(self.durations[index - self.first_duration])
        if self.first_shift <= index < self.first_shift + len(self.durations):
            return "shift", int(self.durations[index - self.first_shift])
        return "special", index

    def decode(self, ids: Sequence[int]) -> list[list[Event]]:
        """Return the notes of each bar of a whole sequence, without the melody segments."""
        bars: list[list[int]] = []
        inside = False
        bar_ids = set(self.bar_ids.values())
        for index in ids:
            if index in bar_ids:
                bars.append([])
                inside = True
            elif index in (self.melody, self.eos):
                inside = False
            elif inside and index not in self.reference_ids:
                bars[-1].append(index)
        return [self.decode_events(bar) for bar in bars]


def chords_by_bar(
    chords: ChordTable, bar_start: NDArray[np.int64], bar_length: NDArray[np.int64]
) -> tuple[tuple[Chord, ...], ...]:
    """Turn a chord table (in quarters) into the plan of each bar.

    A bar has the chord at its start, and those that begin inside it.
    """
    start = np.floor(chords["start"].astype(float) * STEPS_PER_QUARTER + 0.5).astype(np.int64)
    rows = list(
        zip(
            start.tolist(),
            *(chords[name].tolist() for name in ("root", "quality", "bass")),
            strict=True,
        )
    )
    found = []
    for first, length in zip(bar_start.tolist(), bar_length.tolist(), strict=True):
        here = max(int(np.searchsorted(start, first, side="right")) - 1, 0)
        plan: list[Chord] = []
        for begin, root, quality, bass in rows[here:]:
            if plan and begin >= first + length:
                break
            chord = Chord(max(begin - first, 0), root, quality, bass)
            if plan and plan[-1].step == chord.step:
                plan[-1] = chord
            elif not plan or plan[-1][1:] != chord[1:]:
                plan.append(chord)
        found.append(tuple(plan) or (Chord(0, NONE, NONE, NONE),))

    return tuple(found)


def _vocabulary(config: CodecConfig) -> dict[str, int]:
    from miditok import TSD

    tokenizer = TSD(miditok_config(config))
    names: dict[str, int] = tokenizer.vocab
    return {name.removesuffix("_None"): index for name, index in names.items()}


def miditok_config(
    config: CodecConfig, special: Sequence[str] = SPECIAL_TOKENS, **uses: Any
) -> Any:
    """Return the settings of a piano tokenizer of MidiTok with our control tokens.

    It has notes only, as the default tokenizer has (time signatures and tempos are ours), but for
    what ``uses`` turns on or sets, under MidiTok's names: ``use_chords`` and the like.
    """
    from miditok import TokenizerConfig

    switches = {"use_chords": False, "use_tempos": False, "use_time_signatures": False} | uses
    return TokenizerConfig(
        pitch_range=(LOWEST_PITCH, HIGHEST_PITCH + 1),
        beat_res=dict(config.beat_res),
        num_velocities=config.velocities,
        special_tokens=list(special),
        use_programs=False,
        use_pitchdrum_tokens=False,
        **switches,
    )


def steps_of(name: str) -> int:
    """Return the steps of a TimeShift or Duration token from its name."""
    beats, position, resolution = (int(part) for part in name.split("_")[1].split("."))
    return round((beats + position / resolution) * STEPS_PER_QUARTER)
