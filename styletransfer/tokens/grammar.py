"""Which token may come next: a grammar that can't lose a melody note.

A :class:`MelodyGrammar` follows one sequence while it is decoded, bar after bar. What the caller
knows already (the melody of the bars, their metre) is queued as forced tokens. Between those,
:meth:`MelodyGrammar.allowed` marks every token that keeps the sequence well-formed and the melody
whole:

- **The melody.** Time never passes a melody onset. There its pitch must come, with its duration, as
  the highest note.
- **The accompaniment.** Other notes lie below the melody that sounds with them, ascend at one
  onset, and end before a melody note at or below their pitch begins. Where the plan allows it they
  may lie above the melody, too, but not on its pitch.
- **The close.** The tune's last note is a close. Where it belongs to the tonic triad, so does
  whatever begins with it or later: a low root comes lowest, no fifth stands without the third, and
  all is held as long as the tune's note. Nothing begins in its second half or after it. Music
  without a tune may close in the same way, with a full chord on its last bar.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.chords import tones_of
from styletransfer.music.grip import FINGERS, Grip
from styletransfer.music.key import Key
from styletransfer.music.qualities import NONE
from styletransfer.tokens.codec import (
    FROM_FIGURE,
    HIGHEST_PITCH,
    KEY_BARS,
    LOWEST_PITCH,
    STEPS_PER_QUARTER,
    STEPS_PER_SECOND,
    Chord,
    Codec,
    Event,
    key_of_events,
    key_token,
    token_of_key,
)
from styletransfer.tokens.controls import FARTHEST, UNKNOWN
from styletransfer.tokens.figures import Figure, accompaniment, figure_of, reference_of
from styletransfer.tokens.plan import Plan

Mask = NDArray[np.bool_]

MOST_NOTES_AT_ONCE = 10
"""Accompaniment notes that may begin at one step: as many as there are fingers."""
FULL_CHORD = 3
"""The fewest notes of a close without a tune."""
CLOSE_BASS = 57
"""The highest bass of a close. Nine of ten training scores have no higher bass under their last
melody note."""
ORNAMENT_BIAS = 4.0
"""Nats added to the logit of an ornament. The melodies given to the model in training are whole, so
it writes no ornaments by itself (see the lab log)."""
STALE_BIAS = -3.0
"""Nats added to each token with which a bar without a tune would literally repeat, for a third time
in a row, the two bars before it (docs/decisions/0056)."""
CLASHES = np.array([-13, -1, 1, 13])
"""Semitones from a sounding note to those that clash with it: minor seconds and ninths."""
CLASH_BIAS = -1.0
"""Nats added to a clash in a score. Without it the model samples more than twice as many clashes as
composers write, with it as many (docs/decisions/0025)."""
BASS_BIAS, THIRD_BIAS, SEVENTH_BIAS = 3.0, 4.0, 3.0
"""Nats added to the bass of a planned chord while it has none, and to its third and its seventh
while neither tune nor accompaniment has them (docs/decisions/0065, 0066)."""
LOWEST_BASS, HIGHEST_BASS, LOWEST_THIRD = 28, 57, 48
"""The range of the biased bass, and the lowest biased third or seventh, unless it is the bass."""
HELD_BIAS = -2.0
"""Nats added to the durations with which a note would last into a planned chord that it isn't a
tone of (docs/decisions/0066)."""
LOW_BIAS, LOW = -2.0, 48
"""Nats added to a second or a third on a note below a pitch, C3 (docs/decisions/0066)."""
NEW_FIGURE_BIAS = -2.0
"""Nats added, after the first bar, to following no earlier bar (docs/decisions/0058)."""
CROWD_SECONDS = 2.0
USUAL_RATE = 6.0
"""Accompaniment notes per second of pianists: the median of twenty-second windows of training
performances."""
CROWD_BIAS = -3.0
"""Nats added to a further note of a performance where the last :data:`CROWD_SECONDS` have twice the
usual number of notes, and in proportion to the excess elsewhere. Dense music makes the model write
still denser music (docs/decisions/0037)."""

PITCHES = HIGHEST_PITCH - LOWEST_PITCH + 1
PITCH_CLASSES = np.arange(LOWEST_PITCH, HIGHEST_PITCH + 1) % 12
ABOVE_ALL = HIGHEST_PITCH + 1
STRUCK = STEPS_PER_SECOND // 20
"""The steps for which a note of a performance is held for certain; then the pedal may have it."""

NEVER = 1 << 40
"""A step that no music reaches."""


class State(Enum):
    """What came last in a bar, which decides what may come next."""

    REFERENCE = auto()  # nothing yet, and the bar to follow is to be chosen
    BAR = auto()  # nothing yet
    SHIFT = auto()  # a time shift
    PITCH = auto()  # the pitch of a note
    VELOCITY = auto()  # the pitch and the velocity of a note
    NOTE = auto()  # a whole note


BETWEEN_NOTES = frozenset({State.BAR, State.SHIFT, State.NOTE})
"""The states in which a note, a time shift or the end of the bar may come."""


@dataclass(frozen=True)
class LockedMelody:
    """The melody notes that must come: onset, end and pitch, each of shape (notes,).

    Onsets and ends are steps from the start, in ascending order of onset. There are no notes where
    the plan locks none.
    """

    onset: NDArray[np.int64]
    end: NDArray[np.int64]
    pitch: NDArray[np.int64]

    def sounding(self, now: int) -> NDArray[np.int64]:
        """Return the pitches that sound at a step."""
        return self.pitch[(self.onset <= now) & (self.end > now)]

    def ceiling(self, now: int, goes_on: bool) -> int:
        """Return the pitch below which accompaniment stays that begins at a step.

        Args:
            now: the step.
            goes_on: whether the music continues after the melody, where nothing lies above it.
        """
        if not len(self.onset):
            return ABOVE_ALL
        sounding = self.sounding(now)
        if len(
            sounding
        ):  # the latest: legato notes overlap, and a long one may outlast a short one
            return int(sounding[-1])
        if goes_on and now >= int(self.end.max()):
            return ABOVE_ALL

        index = int(np.searchsorted(self.onset, now, side="right")) - 1
        around = self.pitch[max(index, 0) : index + 2]
        return int(around.max()) + 1

    def room(self, now: int, pitch: int, above: bool) -> int:
        """Return the steps until a note that begins now would run into the melody.

        It runs into a melody note at its pitch, or also below it unless notes may lie ``above`` the
        melody.
        """
        met = self.pitch == pitch if above else self.pitch <= pitch
        later = self.onset[(self.onset > now) & met]
        return int(later[0]) - now if len(later) else NEVER


@dataclass(frozen=True)
class Close:
    """Where the music closes, in steps from the start, and on which triad.

    Attributes:
        start: the step at which the close begins.
        end: the step from which on no accompaniment begins.
        until: the step until which the notes of the close are held.
        key: the key on whose tonic triad the music closes; None leaves the notes free.
        alone: whether the close is a chord of its own, not the one under a tune's last note.
    """

    start: int = NEVER
    end: int = NEVER
    until: int = NEVER
    key: Key | None = None
    alone: bool = False

    @classmethod
    def of(cls, plan: Plan) -> Close:
        """Return the close of a plan, or one that is never reached."""
        if plan.closes:
            bar = int(plan.bar_start[-1])
            start = bar + (plan.chords[-1][-1].step if plan.chords else 0)
            return cls(start, start + 1, bar + int(plan.bar_length[-1]), plan.key, True)

        onset, end, _ = plan.locked_notes
        if plan.melody is None or not len(onset):
            return cls()
        start, until = int(onset[-1]), int(end[-1])
        return cls(start, start + max((until - start) // 2, 1), until, cls._key_of(plan, start))

    @staticmethod
    def _key_of(plan: Plan, start: int) -> Key | None:
        """Return the key of a melody's close, None where it closes on no tonic triad.

        Neither the last melody note, nor the chords that are kept, nor the planned chord may
        contradict the triad.
        """
        assert plan.melody is not None
        starts = plan.bar_start.tolist()
        key = key_of_events(list(zip(starts, plan.melody, strict=True))[-KEY_BARS:])
        if key is None or plan.locked_notes[2][-1] % 12 not in key.triad:
            return None
        if plan.harmony and not plan.harmony.allows(start)[list(key.triad)].all():
            return None
        if plan.chords and plan.chord_at(start)[1:3] not in key.tonic_chords:
            return None
        return key

    @cached_property
    def _triad(self) -> Mask:
        """Masks of the root, the third and the fifth, shape (3, pitches)."""
        assert self.key is not None
        return np.asarray(np.equal.outer(np.array(self.key.triad), PITCH_CLASSES))

    @cached_property
    def _tones(self) -> Mask:
        return np.asarray(self._triad.any(axis=0))

    @cached_property
    def _bass(self) -> Mask:
        return np.asarray(self._triad[0]) & (np.arange(PITCHES) <= CLOSE_BASS - LOWEST_PITCH)

    @cached_property
    def _third_and_fifth(self) -> tuple[int, int]:
        assert self.key is not None
        return self.key.triad[1:]

    def holds(self, now: int) -> bool:
        """Return whether notes that begin at a step must be of the closing triad."""
        return self.key is not None and now >= self.start

    def chord(self, pitches: Mask, bass: bool, heard: Collection[int], count: int) -> Mask:
        """Narrow accompaniment pitches to those that build the closing triad.

        Args:
            pitches: the pitches that other rules allow, shape (pitches,).
            bass: whether the close's lowest note is due.
            heard: the pitch classes that sound.
            count: the accompaniment notes that begin at this step so far.
        """
        if self.alone and count < FULL_CHORD - 1:  # leave an octave for each note still to come
            pitches = pitches.copy()
            pitches[PITCHES - 12 * (FULL_CHORD - 1 - count) :] = False
        if bass:
            return pitches & self._bass
        pitches = pitches & self._tones
        if self._third_and_fifth[0] in heard:
            return pitches

        _, third, fifth = self._triad  # a fifth leaves room for a third above it
        thirds = np.flatnonzero(pitches & third)
        fifths: Mask = pitches & fifth
        fifths[: thirds[-1] if len(thirds) else 0] = False
        pitches = pitches & ~fifths
        return pitches

    def missing_third(self, pitches: Mask, heard: Collection[int]) -> Mask | None:
        """Return the thirds among pitches where a fifth sounds without one, else None."""
        third, fifth = self._third_and_fifth
        if third in heard or fifth not in heard:
            return None
        thirds: Mask = pitches & self._triad[1]
        return thirds if thirds.any() else None

    def longest(self, now: int) -> int:
        """Return the most steps that a note may last which begins before the close.

        A dissonance held into the close would never be resolved, and a hand that holds a note can't
        play the chord.
        """
        return NEVER if self.key is None or now >= self.start else self.start - now


class MelodyGrammar:
    """What may come next in one sequence that is decoded under a plan.

    Attributes:
        first: the bar of the plan at which the sequence begins.
        bar: the bar that is being decoded.
        bars: the tokens of each bar from ``first`` on.
        forced: tokens that come before anything may be chosen.
        references: which bar each bar follows, from ``first`` on.
        done: whether the sequence has ended.
    """

    def __init__(self, codec: Codec, plan: Plan, first: int = 0) -> None:
        self.codec, self.plan, self.first = codec, plan, first
        self.bar, self.done = -1, False
        self.bars: list[list[int]] = []
        self.forced: deque[int] = deque()
        self.references: list[int] = []

        self._melody = LockedMelody(*plan.locked_notes)
        self._close = Close.of(plan)
        self._figures: list[Figure] = []  # of the bars that are done
        self._sounding: list[tuple[int, int]] = []  # pitch and end of each note that still sounds
        self._grip = Grip(plan.span, plan.fingers)
        self._begun: list[tuple[int, int]] = []  # step and pitch of each note of this bar
        self._struck: deque[int] = deque()  # onsets of the latest accompaniment notes

        self._state = State.BAR
        self._step = 0  # steps from the bar's start
        self._pitch = -1  # of the note that has begun
        self._last = -1  # the last pitch at this onset
        self._count = 0  # accompaniment notes at this onset
        self._pointer = 0  # the next melody note of the bar
        self._is_melody = self._is_ornament = False

        if plan.melody is not None:
            self.forced.extend(self.melody_segment(first))
        self._open(first)
        for ids in plan.given[first:]:
            self.bars[-1].extend(ids)
            self.forced.extend(ids)
            self._remember(self.bar, codec.decode_events(ids))
            self._open(self.bar + 1)
        self._sounding = [(pitch, end) for pitch, end in self._sounding if end > self.now]

    def _remember(self, bar: int, events: Iterable[Event]) -> None:
        """Note what of a given bar still sounds, and when its accompaniment was struck."""
        start, locks = int(self.plan.bar_start[bar]), self.plan.locks
        melody = {(event.step, event.pitch) for event in locks[bar]} if locks else set()
        for event in events:
            now = start + event.step
            self._strike(event.pitch, now, event.duration)
            ornament = event.pitch in self.plan.ornaments_at(now)
            if (event.step, event.pitch) not in melody and not ornament:
                self._struck.append(now)

    def _strike(self, pitch: int, now: int, duration: int) -> None:
        """Note that a hand strikes a note now, and holds it."""
        self._sounding.append((pitch, now + duration))
        self._grip.release(now)
        self._grip.take(pitch, now + self._held(duration))
        self._grip.leave_to_pedal()

    def _held(self, duration: int) -> int:
        """Return the steps for which a note is held that lasts for some steps."""
        return duration if self.plan.feel == "score" else min(duration, STRUCK)

    def melody_segment(self, bar: int) -> list[int]:
        """Return the forced tokens that state the melody of a bar, and its chords.

        See :meth:`Codec.melody_segment`.
        """
        plan = self.plan
        assert plan.melody is not None
        events = plan.melody[bar] if bar < plan.bars else ()
        ids = self.codec.told(events, last=bar >= plan.bars - 1)
        return [*ids, *self.codec.plan_segment(plan.chords[bar])] if bar < len(plan.chords) else ids

    def _open(self, bar: int, ended: bool = False) -> None:
        """Queue what stands before a bar's notes.

        Args:
            bar: the bar.
            ended: whether the token that ends the bar before was sampled already.
        """
        self.bar = bar
        self.bars.append([])
        self._begun.clear()
        if self.plan.melody is not None:
            segment = self.melody_segment(bar + 1)
            self.forced.extend(segment[1:] if ended else segment)
        self._state = State.BAR
        self._step, self._last, self._count, self._pointer = 0, -1, 0, 0

        if self.plan.references:
            if bar > self.first:
                self._figures.append(self._figure(bar - 1, self.bars[-2]))
            if bar >= len(self.plan.given):
                self._state = State.REFERENCE
                return
            figure = self._figure(bar, self.plan.given[bar])
            head = figure_of(self.plan.figure) if self.plan.figure else None
            self.references.append(reference_of(figure, self._figures[::-1], head))
            self.forced.append(self.codec.reference_ids[self.references[-1]])
        if self.plan.melody is not None or not ended:
            self.forced.append(self.codec.bar_ids[self.plan.bar_metre[bar]])

    def _figure(self, bar: int, ids: Iterable[int]) -> Figure:
        """Return the figure of the accompaniment of a bar's tokens."""
        tune = self.plan.melody[bar] if self.plan.melody is not None else ()
        return figure_of(accompaniment(self.codec.decode_events(list(ids)), tune))

    # --- where the sequence is --------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Steps from the start of the music."""
        return int(self.plan.bar_start[self.bar]) + self._step

    @property
    def _pending(self) -> Event | None:
        """The next locked melody note of this bar."""
        if self.plan.locks is None:
            return None
        events = self.plan.locks[self.bar]
        return events[self._pointer] if self._pointer < len(events) else None

    @property
    def _due(self) -> Event | None:
        """The locked melody note that must come at this step."""
        pending = self._pending
        return pending if pending is not None and pending.step == self._step else None

    def _heard(self) -> set[int]:
        """Return the pitch classes that sound now; in a close, those that last."""
        now = self.now
        lasting = (now + self._close.until) // 2 if self._close.holds(now) else now
        sampled = [pitch for pitch, end in self._sounding if end > lasting]
        return {int(pitch) % 12 for pitch in (*sampled, *self._melody.sounding(now))}

    def _rested(self, step: int) -> bool:
        """Return whether the last onset of the accompaniment is long enough before a step."""
        then = int(self.plan.bar_start[self.bar]) + step
        last = self._struck[-1] if self._struck else -NEVER
        return last == then or then - last >= self.plan.gap

    def _on_grid(self) -> bool:
        """Return whether accompaniment may begin on this subdivision of the beat."""
        return bool(self.plan.subdivision[self._step % STEPS_PER_QUARTER])

    @property
    def _bar_end(self) -> int:
        """The token that ends this bar."""
        codec, plan = self.codec, self.plan
        if self.bar + 1 >= plan.bars:
            return codec.eos
        return (
            codec.melody if plan.melody is not None else codec.bar_ids[plan.bar_metre[self.bar + 1]]
        )

    # --- what may come ----------------------------------------------------------------------------

    def allowed(self) -> Mask:
        """Return which tokens may come next, shape (vocabulary,).

        Only to be asked when nothing is forced and the sequence isn't done.
        """
        codec = self.codec
        mask = np.zeros(codec.size, bool)
        if self._state is State.REFERENCE:
            mask[codec.reference_ids[: min(len(self._figures), FARTHEST) + 1]] = True
            mask[codec.reference_ids[FROM_FIGURE]] = bool(self.plan.figure)
        elif self._state is State.PITCH and self.plan.feel == "performance":
            mask[codec.first_velocity : codec.first_velocity + len(codec.velocity_values)] = True
        elif self._state not in BETWEEN_NOTES:
            shortest, longest = self._durations()
            mask[codec.first_duration + shortest : codec.first_duration + longest + 1] = True
        else:
            self._allow_notes_and_time(mask)
        return mask

    def _durations(self) -> tuple[int, int]:
        """Return the indices of the shortest and the longest duration that may come."""
        durations, now = self.codec.durations, self.now
        if self._is_melody:
            pending = self._pending
            assert pending is not None
            own = int(np.searchsorted(durations, pending.duration))
            return (0 if self.plan.held is not None and now < self._close.start else own), own

        closing = self._close.holds(now)
        if self._is_ornament:
            onset = self._melody.onset
            limit = int(onset[np.searchsorted(onset, now, side="right")]) - now
        elif closing:
            limit = self._close.until - now
        else:
            limit = self._longest(self._pitch)
        longest = max(int(np.searchsorted(durations, limit, side="right")) - 1, 0)
        return (longest if closing else 0), longest

    def _longest(self, pitch: int) -> int:
        """Return the most steps that an accompaniment note may last which begins now."""
        now, harmony = self.now, self.plan.harmony
        return min(
            self.codec.longest,
            self._melody.room(now, pitch, self.plan.above),
            self._until_released(pitch),
            self._close.longest(now),
            harmony.longest(now, pitch) if harmony is not None else NEVER,
        )

    def _grip_now(self) -> Grip:
        """Return what the hands hold now, with the melody note that is due."""
        grip, due = self._grip.at(self.now), self._due
        if due is not None:
            grip.take(due.pitch, self.now + self._held(due.duration))
        return grip

    def _until_released(self, pitch: int) -> int:
        """Return the steps for which a note that begins now can be held under the tune."""
        now, melody = self.now, self._melody
        grip = self._grip_now()
        grip.take(pitch, now + self._held(self.codec.longest))
        first, last = np.searchsorted(melody.onset, (now, now + self.codec.longest), side="right")
        for index in range(first, last):
            onset = int(melody.onset[index])
            grip.release(onset)
            if pitch not in grip.pitches:
                break
            grip.take(int(melody.pitch[index]), onset + self._held(int(melody.end[index]) - onset))
            if not grip.parts:
                return onset - now
        return NEVER

    def _allow_notes_and_time(self, mask: Mask) -> None:
        """Mark the notes, the time shifts and the end of the bar that may come now."""
        now, first = self.now, self.codec.first_pitch
        pitches = self._pitches()
        any_pitch = bool(pitches.any())

        if self._last >= 0 and self._close.holds(now):
            thirds = self._close.missing_third(pitches, self._heard())
            if thirds is not None:
                mask[first : first + PITCHES] = thirds
                return

        mask[first : first + PITCHES] = pitches
        thin = self._close.alone and now == self._close.start and self._count < FULL_CHORD
        if not (thin and any_pitch):
            self._allow_time(mask, any_pitch)

    def _pitches(self) -> Mask:
        """Return the pitches at which a note may begin now, shape (pitches,)."""
        plan, due, now = self.plan, self._due, self.now
        pitches = np.zeros(PITCHES, bool)
        begun = plan.earliest[self.bar] <= self._step < plan.bar_length[self.bar]
        if not begun or self._last >= ABOVE_ALL or (due is None and now >= self._close.end):
            return pitches

        low = max(self._last + 1, LOWEST_PITCH)
        ornaments = range(0) if due is not None else plan.ornaments_at(now)
        if self._on_grid() and self._rested(self._step):
            if self._count < MOST_NOTES_AT_ONCE:
                high = self._ceiling(due, ornaments)
                if low < high:
                    pitches[low - LOWEST_PITCH : high - LOWEST_PITCH] = True
                    pitches = self._accompaniment(pitches)
            if ornaments:
                lowest = max(low, ornaments.start)
                pitches[lowest - LOWEST_PITCH : ornaments.stop - LOWEST_PITCH] = True
        if due is not None:
            pitches[due.pitch - LOWEST_PITCH] = True
        return pitches

    def _ceiling(self, due: Event | None, ornaments: range) -> int:
        """Return the pitch below which accompaniment must stay now."""
        if due is not None:
            return due.pitch
        high = ornaments.start if ornaments else ABOVE_ALL
        return (
            high
            if self.plan.above
            else min(high, self._melody.ceiling(self.now, self._close.alone))
        )

    def _accompaniment(self, pitches: Mask) -> Mask:
        """Narrow accompaniment pitches by the hands, tune, kept chords and close."""
        plan, now = self.plan, self.now
        pitches &= self._grip_now().within_reach(LOWEST_PITCH, HIGHEST_PITCH)
        if plan.above:
            pitches[self._melody.sounding(now) - LOWEST_PITCH] = False
        if plan.harmony is not None:
            pitches &= plan.harmony.allows(now)[PITCH_CLASSES]
        if self._close.holds(now):
            bass = now == self._close.start and self._last < 0
            pitches = self._close.chord(pitches, bass, self._heard(), self._count)
        return pitches

    def _allow_time(self, mask: Mask, any_pitch: bool) -> None:
        """Mark the time shifts that may come now, and the end of the bar.

        Two time shifts in a row are allowed only where no note may stand between them.
        """
        pending = self._pending
        due = pending is not None and pending.step == self._step
        if self._state is not State.SHIFT:
            if not due:
                self._allow_shifts(mask, pending)
        elif not any_pitch:  # landed between two shifts, or where no note may stand
            if due or pending is None:
                self._allow_end(mask)
            else:
                self._allow_one_shift(mask, pending)

    def _allow_shifts(self, mask: Mask, pending: Event | None) -> None:
        """Mark every time shift up to the next melody note or the end of the bar."""
        codec = self.codec
        limit = pending.step if pending is not None else int(self.plan.bar_length[self.bar]) - 1
        landing = self._step + codec.durations
        shifts = (landing <= limit) & self._landable(landing)
        mask[codec.first_shift : codec.first_shift + len(shifts)] = shifts
        if pending is None:
            self._allow_end(mask)
        elif not shifts.any():
            self._allow_one_shift(mask, pending)

    def _landable(self, landing: NDArray[np.int64]) -> Mask:
        """Return at which steps of the bar a time shift may end."""
        plan, pending = self.plan, self._pending
        before_end = landing < self._close.end - int(plan.bar_start[self.bar])
        on_grid = plan.subdivision[landing % STEPS_PER_QUARTER]
        found: Mask = on_grid & before_end & (landing >= plan.earliest[self.bar])
        if len(self._grip.pitches) >= min(FINGERS, *plan.fingers) or plan.gap:
            last = plan.bar_length[self.bar] if pending is None else pending.step
            for index in np.flatnonzero(found & (landing < last)):
                step = int(landing[index])
                found[index] = self._rested(step) and self._has_room(step)
        return found | (landing == pending.step) if pending is not None else found

    def _has_room(self, step: int) -> bool:
        """Return whether the hands can strike a note at a later step of the bar."""
        then = int(self.plan.bar_start[self.bar]) + step
        reach = self._grip.at(then).within_reach(LOWEST_PITCH, HIGHEST_PITCH)
        if self.plan.above:
            reach[self._melody.sounding(then) - LOWEST_PITCH] = False
        else:
            reach[self._melody.ceiling(then, self._close.alone) - LOWEST_PITCH :] = False
        return bool(reach.any())

    def _allow_one_shift(self, mask: Mask, pending: Event) -> None:
        """Mark the longest time shift up to a melody note that no single shift reaches."""
        fits = np.searchsorted(self.codec.durations, pending.step - self._step, side="right")
        mask[self.codec.first_shift + int(fits) - 1] = True

    def _allow_end(self, mask: Mask) -> None:
        """Mark the end of the bar, unless a close is still to come in it."""
        last = self.bar + 1 >= self.plan.bars
        mask[self._bar_end] = not (last and self._close.alone and self.now < self._close.start)

    # --- what is made likelier --------------------------------------------------------------------

    def bias(self) -> NDArray[np.float64]:
        """Return what is added to the logits of the next choice, shape (vocabulary,).

        It is in nats.
        """
        plan = self.plan
        added = np.zeros(self.codec.size)
        if self._state is State.REFERENCE:
            if plan.figure:
                added[self.codec.reference_ids[FROM_FIGURE]] = sum(plan.faith)
            if self.bar > 0:
                added[self.codec.reference_ids[0]] = NEW_FIGURE_BIAS
            return added

        choosing = self._state in BETWEEN_NOTES  # else how loud, or how long
        if plan.feel == "score":
            if choosing:
                self._add_clashes(added)
                self._add_low_intervals(added)
                self._add_chord_tones(added)
            elif not self._is_melody:
                self._add_later_clashes(added)
                self._add_later_chords(added)
        elif plan.melody is not None and choosing:
            self._add_crowd(added)

        repeated = self._repetition()
        if repeated is not None:
            added[repeated] += STALE_BIAS
        if plan.held is not None and choosing:
            self._add_ornaments(added)
        return added

    def _add_clashes(self, added: NDArray[np.float64]) -> None:
        """Bias the pitches that would clash with what sounds now."""
        now = self.now
        self._sounding = [(pitch, end) for pitch, end in self._sounding if end > now]
        heard = [*self._melody.sounding(now).tolist(), *(pitch for pitch, _ in self._sounding)]
        near = np.add.outer(np.array(heard, np.int64), CLASHES)
        near = near[(near >= LOWEST_PITCH) & (near <= HIGHEST_PITCH)] - LOWEST_PITCH
        added[self.codec.first_pitch + near] = CLASH_BIAS

    def _add_low_intervals(self, added: NDArray[np.float64]) -> None:
        """Bias the pitches that would make a second or a third low down."""
        near: set[int] = set()
        for pitch in self._under_tune():
            near.update(range(max(pitch - 4, LOWEST_PITCH), min(pitch, LOW)))
            if pitch < LOW:
                near.update(range(pitch + 1, pitch + 5))
        added[self.codec.first_pitch - LOWEST_PITCH + np.array(sorted(near), int)] += LOW_BIAS

    def _add_chord_tones(self, added: NDArray[np.float64]) -> None:
        """Bias the planned chord's bass, third and seventh while they are missing."""
        plan, bar = self.plan, self.bar
        if bar >= len(plan.chords) or self._step >= plan.bar_length[bar]:
            return
        chord = plan.chord_at(self.now)
        if chord.quality == NONE or chord.step > self._step or self.now >= self._close.start:
            return

        begun = [pitch for step, pitch in self._begun if step >= chord.step]
        if self._last < 0 and min(begun, default=HIGHEST_PITCH) > HIGHEST_BASS:
            added[self._octaves_of(chord.bass, LOWEST_BASS, HIGHEST_BASS)] += BASS_BIAS

        below = self._under_tune()
        heard = {pitch % 12 for pitch in (*begun, *below, *self._tune_over(chord))}
        below += [self._last] if self._last >= 0 else []
        tones = tones_of(chord.root, chord.quality)
        for tone, bias in zip(tones[1::2], (THIRD_BIAS, SEVENTH_BIAS), strict=False):
            if tone not in heard and (below or chord.bass == tone):
                lowest = 0 if chord.bass == tone else LOWEST_THIRD
                lowest = max(lowest, min(below, default=0) + 1)
                added[self._octaves_of(tone, lowest, HIGHEST_PITCH)] += bias

    def _under_tune(self) -> list[int]:
        """Return the pitches of the accompaniment that sound now."""
        tune = self._melody.sounding(self.now).tolist()
        return [pitch for pitch, _ in self._sounding if pitch not in tune]

    def _octaves_of(self, tone: int, lowest: int, highest: int) -> NDArray[np.int64]:
        """Return the tokens of a pitch class's pitches in a range, the lowest first."""
        first = max(lowest, LOWEST_PITCH)
        first += (tone - first) % 12
        return self.codec.first_pitch - LOWEST_PITCH + np.arange(first, highest + 1, 12)

    def _tune_over(self, chord: Chord) -> list[int]:
        """Return the pitches of the locked melody that sound with a chord of this bar."""
        start, chords = int(self.plan.bar_start[self.bar]), self.plan.chords[self.bar]
        later = [one.step for one in chords if one.step > chord.step]
        end = start + min(later, default=int(self.plan.bar_length[self.bar]))
        melody = self._melody
        over: list[int] = melody.pitch[
            (melody.onset < end) & (melody.end > start + chord.step)
        ].tolist()
        return over

    def _add_later_clashes(self, added: NDArray[np.float64]) -> None:
        """Bias the durations with which the note would clash with a later melody note."""
        codec, melody, now = self.codec, self._melody, self.now
        met = melody.onset[(melody.onset > now) & np.isin(melody.pitch - self._pitch, CLASHES)]
        if len(met):
            longer = np.flatnonzero(codec.durations > met[0] - now)
            added[codec.first_duration + longer] = CLASH_BIAS

    def _add_later_chords(self, added: NDArray[np.float64]) -> None:
        """Bias the durations with which the note would last into a chord that it isn't in."""
        plan, durations = self.plan, self.codec.durations
        end = self.now + int(durations[-1])
        for bar in range(self.bar, len(plan.chords)):
            for chord in plan.chords[bar]:
                begin = int(plan.bar_start[bar]) + chord.step
                if begin >= end:
                    return
                if begin > self.now and chord.quality != NONE:
                    tones = {chord.bass, *tones_of(chord.root, chord.quality)}
                    if self._pitch % 12 not in tones:
                        longer = np.flatnonzero(durations > begin - self.now)
                        added[self.codec.first_duration + longer] += HELD_BIAS
                        return

    def _add_crowd(self, added: NDArray[np.float64]) -> None:
        """Bias further notes where the last seconds have more than usual."""
        while self._struck and self._struck[0] <= self.now - CROWD_SECONDS * STEPS_PER_SECOND:
            self._struck.popleft()
        excess = len(self._struck) / (USUAL_RATE * CROWD_SECONDS) - 1
        if excess > 0:
            added[self.accompaniment()] = CROWD_BIAS * excess

    def _add_ornaments(self, added: NDArray[np.float64]) -> None:
        """Bias ornaments, and the time shifts that lead to where one may stand."""
        codec, plan, now = self.codec, self.plan, self.now
        here = np.array(plan.ornaments_at(now), int)
        added[codec.first_pitch + here - LOWEST_PITCH] = ORNAMENT_BIAS
        landing = now + codec.durations[codec.durations < STEPS_PER_QUARTER]
        between = np.flatnonzero([bool(plan.ornaments_at(step)) for step in landing.tolist()])
        added[codec.first_shift + between] = ORNAMENT_BIAS / 2

    def _repetition(self) -> int | None:
        """Return the token with which a bar without a tune repeats both bars before it.

        None where it differs from them already.
        """
        plan, bar = self.plan, self.bars[-1]
        so_far = len(bar)
        if len(self.bars) < 3 or (plan.melody is not None and plan.melody[self.bar]):
            return None
        before = self.bars[-2]
        if not before or before != self.bars[-3] or bar != before[:so_far]:
            return None
        return before[so_far] if so_far < len(before) else self._bar_end

    def pitches(self) -> Mask:
        """Return the pitches that are drawn cooler, those of a score's accompaniment.

        The shape is (vocabulary,).
        """
        if self.plan.feel == "score":
            return self.accompaniment()
        return np.zeros(self.codec.size, bool)

    def accompaniment(self) -> Mask:
        """Return all pitches but that of a melody note due now, shape (vocabulary,)."""
        first, due = self.codec.first_pitch, self._due
        mask = np.zeros(self.codec.size, bool)
        mask[first : first + PITCHES] = True
        if due is not None:
            mask[first + due.pitch - LOWEST_PITCH] = False
        return mask

    def closed(self, logits: NDArray[np.float64], mask: Mask) -> NDArray[np.float64]:
        """Move to the bar's end what the logits give to music longer than ``mask`` allows.

        That is the token with which the last bar would end like any other, and at a close every
        time shift that isn't allowed. Otherwise all that is left would be further notes at once, or
        hard upon these, and the end would be piled up. Logits have shape (vocabulary,).
        """
        end = self._bar_end
        if not mask[end]:
            return logits

        codec = self.codec
        barred: list[int] = []
        if self.bar + 1 >= self.plan.bars:
            free = self.plan.melody is None
            barred += list(codec.bar_ids.values()) if free else [codec.melody]
        if self.now >= self._close.start:
            shifts = codec.first_shift + np.arange(len(codec.durations))
            barred += shifts[~mask[shifts]].tolist()
        if not barred:
            return logits

        moved = logits.copy()
        moved[end] = np.logaddexp.reduce([logits[end], *logits[barred]])
        return moved

    # --- what came --------------------------------------------------------------------------------

    def push(self, index: int) -> None:
        """Take the next token, forced or sampled.

        Raises:
            ValueError: where another token is forced.
        """
        if self.forced:
            expected = self.forced.popleft()
            if index != expected:
                names = self.codec.names
                raise ValueError(f"{names[index]} came where {names[expected]} was forced")
        elif self._state is State.REFERENCE:
            self.references.append(self.codec.reference_ids.index(index))
            self.forced.append(self.codec.bar_ids[self.plan.bar_metre[self.bar]])
            self._state = State.BAR
        else:
            self._take(index)

    def _take(self, index: int) -> None:
        """Take a token that was chosen inside a bar, or ended it."""
        kind, value = self.codec.kind_of(index)
        if kind == "special":
            if index == self.codec.eos or self.bar + 1 == self.plan.stop:
                self.done = True
            else:
                self._open(self.bar + 1, ended=True)
            return

        self.bars[-1].append(index)
        if kind == "shift":
            self._step += value
            self._state, self._last, self._count = State.SHIFT, -1, 0
        elif kind == "pitch":
            due = self._due
            self._pitch = value
            self._is_melody = due is not None and due.pitch == value
            self._is_ornament = due is None and value in self.plan.ornaments_at(self.now)
            self._state = State.PITCH
        elif kind == "velocity":
            self._state = State.VELOCITY
        else:
            self._end_note(value)

    def _end_note(self, duration: int) -> None:
        """Take the duration of a note, which makes it whole."""
        now = self.now
        self._state = State.NOTE
        self._strike(self._pitch, now, duration)
        self._begun.append((self._step, self._pitch))
        if not self._is_melody and not self._is_ornament:
            self._struck.append(now)
        self._count += 1
        highest = self._is_ornament or (self._is_melody and not self.plan.above)
        self._last = ABOVE_ALL if highest else self._pitch
        if self._is_melody:
            self._pointer += 1

    # --- the sequence so far ----------------------------------------------------------------------

    def figure_ids(self) -> list[int]:
        """Return the tokens of the figure, which stand before those of :meth:`context`."""
        figure = self.plan.figure
        return [self.codec.figure, *self.codec.encode_events(figure)] if figure else []

    def melody_key(self, back: int) -> str:
        """Return the key that the controls give to the sequence of :meth:`context`."""
        plan = self.plan
        bars: list[tuple[int, tuple[Event, ...]]] = []
        if plan.melody is not None:
            first = self.first + max(len(self.bars) - 1 - back, 0)
            starts = plan.bar_start[first : first + KEY_BARS].tolist()
            bars = list(zip(starts, plan.melody[first : first + KEY_BARS], strict=True))
        found = key_token(bars)
        return token_of_key(plan.key) if found == UNKNOWN and plan.chords else found

    def context(self, bars: int) -> list[int]:
        """Return the sequence after the controls, from ``bars`` bars back to now.

        This is what a sliding window begins with.
        """
        codec, plan = self.codec, self.plan
        begin = max(len(self.bars) - 1 - bars, 0)
        ids = [] if plan.melody is None else self.melody_segment(self.first + begin)
        for k in range(begin, len(self.bars)):
            if plan.melody is not None:
                ids += self.melody_segment(self.first + k + 1)
            if plan.references:
                if k == len(self.references):  # to be chosen now
                    break
                back = self.references[k]
                inside = back == FROM_FIGURE or back <= k - begin
                ids.append(codec.reference_ids[back if inside else 0])
            ids += [codec.bar_ids[plan.bar_metre[self.first + k]], *self.bars[k]]
        return ids[: len(ids) - len(self.forced)] if self.forced else ids
