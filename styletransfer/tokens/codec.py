"""Notes to tokens and back: MidiTok's TSD vocabulary, with bars and melody of our own around its
ids.

A sequence is ``BOS feel [tempo] key era composer [tune] [FIGURE <notes>]`` and then bar after bar.
With a melody, each bar is

    MELODY <melody of the *next* bar> [PLAN <chords of the next bar>] [REF_<bars back>] BAR_<metre>
    <every note of this bar>

(the first bar is preceded by its own melody and chords as well), so that the model reads one bar
ahead, and a song of any length is one stream. A plan's chords stand at their places, the first at
the bar's start; the reference says which bar before (or the figure ``FIGURE <notes>`` at the head
of the sequence) the accompaniment of this one follows. Both may be missing. Without a melody a bar
is ``BAR_<metre> <every note>``. ``FINAL`` stands with the melody of the last bar; ``EOS`` ends the
piece. Time is counted in steps: 24 a quarter in a score, 48 a second in a performance, whose bars
are two seconds. Notes carry their velocity in performances only: the scores that the model learns
from have none.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

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

STEPS_PER_QUARTER = 24
STEPS_PER_SECOND = 48
KEY_BARS = 24  # of melody, from which the key at the head of a sequence is taken
FEWEST_KEY_NOTES = 5
FREE_BAR_STEPS = 2 * STEPS_PER_SECOND
FROM_FIGURE = FARTHEST + 1
"""The reference of a bar that follows the figure at the head of the sequence."""
LOWEST_PITCH, HIGHEST_PITCH = 21, 108


class Chord(NamedTuple):
    """A chord of a plan inside a bar: its step, root and quality (index of ``QUALITIES``) and bass;
    -1: no chord.
    """

    step: int
    root: int
    quality: int
    bass: int

    def moved(self, semitones: int) -> Chord:
        """The chord transposed."""
        if self.quality == NONE:
            return self
        return self._replace(root=(self.root + semitones) % 12, bass=(self.bass + semitones) % 12)


class Event(NamedTuple):
    """A note inside a bar: onset in steps from the bar's start, duration in steps, MIDI pitch,
    velocity bin (-1: none).
    """

    step: int
    duration: int
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Grid:
    """A piece in steps. Arrays are (notes,) or (bars,); bars follow each other without gaps, the
    first may start below 0.

    ``chords`` are the plan of each bar, the first at the bar's start; ``references`` say which bar
    each follows (0: none, k: k bars back, :data:`FROM_FIGURE`: the ``figure``). They are empty
    where a sequence is to have none.
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
        """(bars + 1,) indices of the notes: bar b has the notes slices[b] to slices[b + 1]."""
        edges = np.append(self.bar_start, self.bar_start[-1] + self.bar_length[-1])
        return np.searchsorted(self.onset, edges, side="left")

    @property
    def bars(self) -> int:
        return len(self.bar_start)


def key_of_events(bars: Iterable[tuple[int, Sequence[Event]]]) -> Key | None:
    """The key of a melody's bars, given as their first steps and their notes; None for few
    notes.
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
    """What the controls tell of the key of a melody's next bars; see :func:`key_of_events`.

    A model that knows it need not guess it from the first two bars, which is all it is told of the
    melody there. In an arrangement it follows from the tune, in training from the window's own
    melody: nothing that a caller couldn't know.
    """
    return token_of_key(key_of_events(bars))


def token_of_key(key: Key | None) -> str:
    """A key as the controls tell it."""
    return key.name.replace(" ", "-") if key else UNKNOWN


@dataclass(frozen=True)
class CodecConfig:
    """MidiTok's settings that matter for TSD: steps a beat as ((from, to), steps) pairs, and
    velocity bins.
    """

    beat_res: tuple[tuple[tuple[int, int], int], ...] = (
        ((0, 4), STEPS_PER_QUARTER),
        ((4, 12), STEPS_PER_QUARTER // 2),
    )
    velocities: int = 32


class Codec:
    """The default tokenizer.

    ``vocabulary`` maps MidiTok's token names to ids; ``hash`` identifies the vocabulary and its
    order: everything that was trained with it carries the hash, and a mismatch is refused. Given a
    vocabulary that was saved, MidiTok isn't imported.
    """

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
        self.plans = PLAN in self.vocabulary  # models before plans know nothing of them
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

    @cached_property
    def _velocity_names(self) -> list[str]:
        names = [name for name in self.vocabulary if name.startswith("Velocity_")]
        return sorted(names, key=lambda name: int(name.split("_")[1]))

    @cached_property
    def velocity_values(self) -> NDArray[np.int64]:
        """(bins,) the velocity that each bin stands for."""
        return np.array([int(name.split("_")[1]) for name in self._velocity_names])

    # --- notes to steps
    # ------------------------------------------------------------------------------------------------

    def grid(self, piece: Piece) -> Grid:
        """A piece on the steps of its feel: no note is lost; an onset moves by at most half a step.

        One that would round to the end of a score's last bar goes to the step before it, less than
        a step away.
        """
        if piece.feel == "score":
            return self.grid_of("score", piece.notes, piece.bars)
        notes = piece.notes.copy()
        notes["onset"], notes["duration"] = piece.onset_seconds, piece.duration_seconds
        return self.grid_of("performance", notes, piece.bars)

    def grid_of(
        self, feel: Feel, notes: NoteTable, bars: BarTable, chords: ChordTable | None = None
    ) -> Grid:
        """The same from a bare table whose onsets and durations are quarters (score) or seconds
        (performance).

        ``chords``: a plan for its bars (scores), in quarters.
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
            edges = np.floor(edges * scale + 0.5).astype(
                np.int64
            )  # as onsets: a note on a bar line stays on it
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
        """Durations that have a token, nearest to the given ones (in steps); the longest stands for
        all beyond.
        """
        index = np.clip(np.searchsorted(self.durations, steps), 1, len(self.durations) - 1)
        below, above = self.durations[index - 1], self.durations[index]
        return np.where(steps - below < above - steps, below, above)

    # --- steps to tokens
    # ------------------------------------------------------------------------------------------------

    def encode_events(self, events: Iterable[Event]) -> list[int]:
        """Tokens of the notes of one bar, which are sorted by step, then pitch; velocity -1 leaves
        the velocity out.
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
        """Time shift tokens, the largest first, that add up to ``steps``."""
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
        """The notes of a bar, with velocities for a performance."""
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
        """The melody's notes of a bar, without velocity; of several at one step the longest."""
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
        """The key that the controls tell for a sequence from bar ``first`` on; see
        :func:`key_token`.
        """
        bars = range(first, min(first + KEY_BARS, grid.bars))
        return key_token(
            [(int(grid.bar_start[bar]), self.melody_events(grid, bar)) for bar in bars]
        )

    def melody_segment(self, grid: Grid, bar: int) -> list[int]:
        """``MELODY`` and the melody of a bar; ``FINAL`` follows for the last bar and for the empty
        one after it.
        """
        return self.told(self.melody_events(grid, bar), last=bar >= grid.bars - 1)

    def told(self, events: Iterable[Event], *, last: bool) -> list[int]:
        """``MELODY`` and the melody of a bar, and ``FINAL`` where none comes after it."""
        ids = [self.melody, *self.encode_events(events)]
        return [*ids, self.final] if last else ids

    def plan_segment(self, chords: Sequence[Chord]) -> list[int]:
        """``PLAN`` and the chords of a bar at their places."""
        ids, now = [self.plan], 0
        for step, root, quality, bass in chords:
            if step > now:
                ids += self.encode_shift(step - now)
                now = step
            ids.append(self.chord_ids[-1 if quality == NONE else root * len(QUALITIES) + quality])
            ids.append(self.bass_ids[bass])  # -1: the last one, none
        return ids

    def bar_segment(self, grid: Grid, bar: int) -> list[int]:
        """``BAR_<metre>`` and every note of a bar."""
        return [self.bar_ids[grid.bar_metre[bar]], *self.encode_events(self.bar_events(grid, bar))]

    def before_bar(
        self, grid: Grid, bar: int, first: int, *, with_melody: bool
    ) -> tuple[list[int], list[bool]]:
        """What stands before ``BAR`` in a sequence from bar ``first`` on, and which of it belongs
        to the loss.

        The melody of the next bar is told; its chords and the reference are the model's own to
        plan.
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
        """What stands before everything in a sequence from bar ``first`` on: the figure, its first
        bar's melody and chords.
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
        """The sequence from bar ``first`` on, until the end or at least ``limit`` tokens.

        Returns the ids and, for each, whether it belongs to the loss: the arrangement's notes,
        whatever ends a bar, chords and references, but neither the controls nor what a caller would
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

    # --- tokens to notes
    # ------------------------------------------------------------------------------------------------

    def decode_events(self, ids: Sequence[int]) -> list[Event]:
        """Notes of one bar's tokens (without its ``BAR``); tokens that make no note are passed
        over.
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
        """A token's kind and value: shift and duration in steps, pitch as MIDI number, velocity as
        bin, else its id.
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
        """Notes of each bar of a whole sequence, the melody segments left aside."""
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
    """A chord table (in quarters) as the plan of each bar: the chord at its start, and those that
    begin inside it.
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
    """The ``miditok.TokenizerConfig`` of a piano tokenizer with our control tokens.

    Notes only, as the default tokenizer has it (time signatures and tempos are ours), but for what
    ``uses`` turns on or sets, under MidiTok's names: ``use_chords`` and the like.
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
    """Steps of a TimeShift or Duration token, from its name."""
    beats, position, resolution = (int(part) for part in name.split("_")[1].split("."))
    return round((beats + position / resolution) * STEPS_PER_QUARTER)
