"""Which token may come next: a grammar that can't lose a melody note.

A :class:`Line` follows one sequence while it is decoded, bar after bar. What the caller knows (the
melody of the bars, their metre) is queued as forced tokens; between those, ``allowed`` marks every
token that keeps the sequence well-formed and the melody whole: time never passes a melody onset, at
which its pitch must come, with its duration, as the highest note; other notes lie below the melody
that sounds with them, in ascending order at one onset, and end before a melody note at or below
their pitch begins. Under a plan that says so, notes may lie above the melody, too, but not on its
pitch. The tune's last note is a close: where it is of the tonic triad, so is what begins with it or
later, a low root lowest, no fifth without the third, and is held as long as the tune's note;
nothing begins in its second half or after it. Music without a tune may close in the same way, with
a full chord on its last bar.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from styletransfer.music.key import Key
from styletransfer.tokens.codec import (
    FROM_FIGURE,
    HIGHEST_PITCH,
    KEY_BARS,
    LOWEST_PITCH,
    STEPS_PER_QUARTER,
    STEPS_PER_SECOND,
    Codec,
    Event,
    key_of_events,
    key_token,
    token_of_key,
)
from styletransfer.tokens.controls import FARTHEST, UNKNOWN
from styletransfer.tokens.figures import Figure, accompaniment, figure_of, reference_of
from styletransfer.tokens.plan import Plan

MOST_NOTES_AT_ONCE = 10  # as many as fingers
FULL_CHORD = 3  # notes of a close without a tune, at the least
CLOSE_BASS = 57
"""The highest bass of a close: nine of ten training scores have none that is higher under their
last melody note.
"""
ORNAMENT_BIAS = 4.0
"""Nats by which an ornament is made likelier: the melodies that the model was told in training are
whole, and so it writes none by itself. See the lab log."""
STALE_BIAS = -3.0
"""Nats by which each token is made likelier with which a bar without a tune goes on to say
literally, for a third time in a row, what both bars before say (docs/decisions.md)."""
PITCH_CLASSES = np.arange(LOWEST_PITCH, HIGHEST_PITCH + 1) % 12
CLASHES = np.array([-13, -1, 1, 13])
"""Semitones from a note that sounds to those that clash with it: minor seconds and ninths."""
CLASH_BIAS = -1.0
"""Nats by which a clash in a score is made likelier: the model samples more than twice as many as
composers write, with this as many as they do (docs/decisions.md)."""
NEW_FIGURE_BIAS = -2.0
"""Nats by which it is made likelier that a bar after the first follows none before it
(docs/decisions.md).
"""
CROWD_SECONDS = 2.0
USUAL_RATE = 6.0
"""Accompaniment notes a second of pianists: the median of twenty-second windows of training
performances.
"""
CROWD_BIAS = -3.0
"""Nats by which a further note in a performance is made likelier where the last
:data:`CROWD_SECONDS` have twice the usual number, in proportion to what is above it: what is dense
makes the model write denser still (docs/decisions.md)."""


@dataclass
class Line:
    """One sequence being decoded under a plan. ``forced`` tokens come before any choice; ``bars``
    collects the tokens.
    """

    codec: Codec
    plan: Plan
    first: int = 0
    bar: int = -1
    done: bool = False
    bars: list[list[int]] = field(default_factory=list)
    forced: deque[int] = field(default_factory=deque)
    _now: int = 0
    references: list[int] = field(default_factory=list)  # which bar each bar follows
    _figures: list[Figure] = field(default_factory=list)  # of the bars that are done
    _state: str = "bar"  # bar: nothing yet, note: after a whole note, shift: after a time shift, pitch, velocity, reference
    _pitch: int = -1
    _last: int = -1  # the last pitch at this onset
    _count: int = 0
    _pointer: int = 0  # the next melody note of this bar
    _is_melody: bool = False
    _is_ornament: bool = False
    _sounding: list[tuple[int, int]] = field(
        default_factory=list
    )  # pitch and end of what was sampled and still sounds
    _struck: deque[int] = field(
        default_factory=deque
    )  # steps at which the accompaniment's latest notes began

    def __post_init__(self) -> None:
        plan = self.plan
        self._melody_onset, self._melody_end, self._melody_pitch = plan.locked_notes
        self._locked = plan.locks is not None

        # The tune's last note is the close: nothing begins in its second half or later, what sounds
        # then may last.
        self._close = self._end = self._until = 1 << 40
        self._key: Key | None = None
        if plan.closes:
            last = int(plan.bar_start[-1])
            self._key, self._close = (
                plan.key,
                last + (plan.chords[-1][-1].step if plan.chords else 0),
            )
            self._end, self._until = self._close + 1, last + int(plan.bar_length[-1])
        elif self._locked and plan.melody is not None and len(self._melody_onset):
            self._close = int(self._melody_onset[-1])
            self._until = int(self._melody_end[-1])
            self._end = self._close + max((self._until - self._close) // 2, 1)
            starts = plan.bar_start.tolist()
            key = key_of_events(list(zip(starts, plan.melody, strict=True))[-KEY_BARS:])
            self._key = key if key and self._melody_pitch[-1] % 12 in key.triad else None
            if (
                self._key
                and plan.harmony
                and not plan.harmony.allows(self._close)[list(self._key.triad)].all()
            ):
                self._key = None  # the song's own last chord is another one
            if (
                self._key
                and plan.chords
                and plan.chord_at(self._close)[1:3] not in self._key.tonic_chords
            ):
                self._key = None  # the plan closes otherwise

        if plan.melody is not None:
            self.forced.extend(self.melody_segment(self.first))
        self._open(self.first)
        for ids in self.plan.given[self.first :]:
            self.bars[-1].extend(ids)
            self.forced.extend(ids)
            self._take(self.bar, self.codec.decode_events(ids))
            self._open(self.bar + 1)
        now = self._step
        self._sounding = [(pitch, end) for pitch, end in self._sounding if end > now]

    def _take(self, bar: int, events: Iterable[Event]) -> None:
        """Remember what of the notes of a bar that is given sounds on, and when its accompaniment
        was struck.
        """
        start, locks = int(self.plan.bar_start[bar]), self.plan.locks
        own = {(event.step, event.pitch) for event in locks[bar]} if locks else set()
        for event in events:
            now = start + event.step
            self._sounding.append((event.pitch, now + event.duration))
            if (event.step, event.pitch) not in own and event.pitch not in self.plan.ornaments_at(
                now
            ):
                self._struck.append(now)

    def melody_segment(self, bar: int) -> list[int]:
        """The forced tokens that tell the melody of a bar, and its chords; see
        :meth:`Codec.melody_segment`.
        """
        plan = self.plan
        assert plan.melody is not None
        ids = self.codec.told(
            plan.melody[bar] if bar < plan.bars else (), last=bar >= plan.bars - 1
        )
        return [*ids, *self.codec.plan_segment(plan.chords[bar])] if bar < len(plan.chords) else ids

    def _open(self, bar: int, ended: bool = False) -> None:
        """Queue what stands before a bar's notes; ``ended``: the token that ends the bar before was
        sampled already.
        """
        self.bar = bar
        self.bars.append([])
        if self.plan.melody is not None:
            segment = self.melody_segment(bar + 1)
            self.forced.extend(segment[1:] if ended else segment)
        self._now, self._state, self._last, self._count, self._pointer = 0, "bar", -1, 0, 0
        if self.plan.references:
            if bar > self.first:
                self._figures.append(self._figure(bar - 1, self.bars[-2]))
            if bar >= len(self.plan.given):
                self._state = "reference"
                return
            figure = self._figure(bar, self.plan.given[bar])
            head = figure_of(self.plan.figure) if self.plan.figure else None
            self.references.append(reference_of(figure, self._figures[::-1], head))
            self.forced.append(self.codec.reference_ids[self.references[-1]])
        if self.plan.melody is not None or not ended:
            self.forced.append(self.codec.bar_ids[self.plan.bar_metre[bar]])

    def _figure(self, bar: int, ids: Iterable[int]) -> Figure:
        """The figure of the accompaniment of a bar's tokens."""
        tune = self.plan.melody[bar] if self.plan.melody is not None else ()
        return figure_of(accompaniment(self.codec.decode_events(list(ids)), tune))

    # --- the melody of this bar
    # ------------------------------------------------------------------------------------------

    @property
    def _step(self) -> int:
        """Where the line is, in steps from the start."""
        return int(self.plan.bar_start[self.bar]) + self._now

    @property
    def _pending(self) -> Event | None:
        if self.plan.locks is None:
            return None
        events = self.plan.locks[self.bar]
        return events[self._pointer] if self._pointer < len(events) else None

    def _tune(self) -> NDArray[np.bool_]:
        """(locked notes,) which of them sound now."""
        return (self._melody_onset <= self._step) & (self._melody_end > self._step)

    def _heard(self) -> set[int]:
        """The pitch classes that sound now, at a close of what lasts."""
        now = self._step
        lasting = (now + self._until) // 2 if self._key and now >= self._close else now
        sampled = [pitch for pitch, end in self._sounding if end > lasting]
        return {int(pitch) % 12 for pitch in (*sampled, *self._melody_pitch[self._tune()])}

    def _bare(self, key: Key) -> bool:
        """Whether a fifth sounds without the third."""
        heard = self._heard()
        return key.triad[2] in heard and key.triad[1] not in heard

    def _ceiling(self) -> int:
        """Notes that begin now must lie below this pitch: the melody's, unless the plan lets them
        lie above it.
        """
        if self.plan.above or not self._locked or not len(self._melody_onset):
            return HIGHEST_PITCH + 1
        now = self._step
        sounding = self._melody_pitch[self._tune()]
        if len(
            sounding
        ):  # the latest: legato notes overlap, and a long one may outlast a short one
            return int(sounding[-1])
        if self.plan.closes and now >= int(self._melody_end.max()):
            return HIGHEST_PITCH + 1  # what goes on after a tune lies below nothing
        index = int(np.searchsorted(self._melody_onset, now, side="right")) - 1
        around = self._melody_pitch[max(index, 0) : index + 2]
        return int(around.max()) + 1

    def _longest(self, pitch: int) -> int:
        """A note that begins now must not last longer than this many steps."""
        now = self._step
        limit = (
            self.codec.longest
            if self.plan.harmony is None
            else self.plan.harmony.longest(now, pitch)
        )
        if self._locked:
            met = self._melody_pitch == pitch if self.plan.above else self._melody_pitch <= pitch
            later = (self._melody_onset > now) & met
            limit = min(
                limit,
                int(self._melody_onset[later][0]) - now if later.any() else self.codec.longest,
            )
        if (
            self._key
            and now < self._close
            and (self.plan.closes or pitch % 12 not in self._key.triad)
        ):
            return min(
                limit, self._close - now
            )  # a dissonance held into the close would never be resolved
        return limit

    # --- what may come, and what came
    # --------------------------------------------------------------------------------------

    def allowed(self) -> NDArray[np.bool_]:
        """(vocabulary,) tokens that may come next; only to be asked when nothing is forced and the
        line isn't done.
        """
        codec = self.codec
        mask = np.zeros(codec.size, bool)
        if self._state == "reference":
            mask[codec.reference_ids[: min(len(self._figures), FARTHEST) + 1]] = True
            mask[codec.reference_ids[FROM_FIGURE]] = bool(self.plan.figure)
            return mask
        if self._state == "pitch" and self.plan.feel == "performance":
            mask[codec.first_velocity : codec.first_velocity + len(codec.velocity_values)] = True
            return mask

        now = self._step
        if self._state in ("pitch", "velocity"):
            if self._is_melody:
                pending = self._pending
                assert pending is not None
                index = int(np.flatnonzero(codec.durations == pending.duration)[0])
                shortest = 0 if self.plan.held is not None and now < self._close else index
                mask[codec.first_duration + shortest : codec.first_duration + index + 1] = True
            else:
                held = self._key is not None and now >= self._close
                longest = self._until - now if held else self._longest(self._pitch)
                if self._is_ornament:
                    longest = int(self._melody_onset[self._melody_onset > now][0]) - now
                fits = max(int(np.searchsorted(codec.durations, longest, side="right")), 1)
                mask[
                    codec.first_duration + (fits - 1 if held else 0) : codec.first_duration + fits
                ] = True
            return mask

        pending = self._pending
        here = pending is not None and pending.step == self._now
        self._allow_pitches(mask, pending if here else None)
        if self._key and now >= self._close and self._last >= 0 and self._bare(self._key):
            thirds = codec.first_pitch + np.flatnonzero(np.isin(PITCH_CLASSES, self._key.triad[1]))
            if mask[thirds].any():
                only = np.zeros(codec.size, bool)
                only[thirds] = mask[thirds]
                return only
        if self.plan.closes and now == self._close and self._count < FULL_CHORD and mask.any():
            return mask

        if not here and self._state != "shift":
            limit = pending.step if pending is not None else int(self.plan.bar_length[self.bar]) - 1
            landing = self._now + codec.durations
            ok = (landing <= limit) & self._landable(landing)
            mask[codec.first_shift : codec.first_shift + len(ok)] = ok
            if pending is None:
                self._allow_end(mask)
            elif not ok.any():  # a gap that no single shift fits: step by step
                nearest = codec.durations <= pending.step - self._now
                mask[codec.first_shift + int(np.flatnonzero(nearest)[-1])] = True
        elif self._state == "shift" and not mask.any():
            # landed between two shifts, or where no note may stand
            if here or pending is None:
                self._allow_end(mask)
            else:
                nearest = codec.durations <= pending.step - self._now
                mask[codec.first_shift + int(np.flatnonzero(nearest)[-1])] = True
        return mask

    def _allow_pitches(self, mask: NDArray[np.bool_], pending: Event | None) -> None:
        codec = self.codec
        if self._now < self.plan.earliest[self.bar] or self._last > HIGHEST_PITCH:
            return
        if (
            self._now >= self.plan.bar_length[self.bar]
        ):  # a change of metre a tick late makes a bar of no steps
            return
        if pending is None and self._step >= self._end:
            return

        low = max(self._last + 1, LOWEST_PITCH)
        ornaments = range(0) if pending is not None else self.plan.ornaments_at(self._step)
        high = (
            pending.pitch
            if pending is not None
            else min(self._ceiling(), ornaments.start or HIGHEST_PITCH + 1)
        )
        if ornaments and self._on_grid(self._now):
            mask[
                codec.first_pitch
                + np.arange(max(low, ornaments.start), ornaments.stop)
                - LOWEST_PITCH
            ] = True

        if self._count < MOST_NOTES_AT_ONCE and self._on_grid(self._now) and low < high:
            pitch = np.arange(low, high)
            now = self._step
            if self.plan.above:
                pitch = pitch[~np.isin(pitch, self._melody_pitch[self._tune()])]
            if self.plan.harmony is not None:
                pitch = pitch[self.plan.harmony.allows(now)[pitch % 12]]
            if self._key and now >= self._close:
                lowest = now == self._close and self._last < 0
                if self.plan.closes:  # an octave of room for each note that has to come
                    pitch = pitch[
                        pitch <= HIGHEST_PITCH - 12 * max(FULL_CHORD - 1 - self._count, 0)
                    ]
                if lowest:
                    pitch = pitch[(pitch % 12 == self._key.tonic) & (pitch <= CLOSE_BASS)]
                pitch = pitch[np.isin(pitch % 12, self._key.triad)]
                if (
                    not lowest and self._key.triad[1] not in self._heard()
                ):  # a fifth leaves room for a third above it
                    third = pitch[pitch % 12 == self._key.triad[1]].max(initial=0)
                    pitch = pitch[(pitch % 12 != self._key.triad[2]) | (pitch < third)]
            mask[codec.first_pitch + pitch - LOWEST_PITCH] = True
        if pending is not None:
            mask[codec.first_pitch + pending.pitch - LOWEST_PITCH] = True

    def bias(self) -> NDArray[np.float64]:
        """(vocabulary,) what is added to the logits of the next choice."""
        codec, plan, now = self.codec, self.plan, self._step
        added = np.zeros(codec.size)
        if self._state == "reference":
            if plan.figure:
                added[codec.reference_ids[FROM_FIGURE]] = sum(plan.faith)
            if self.bar > 0:
                added[codec.reference_ids[0]] = NEW_FIGURE_BIAS
            return added

        chooses = self._state in (
            "bar",
            "note",
            "shift",
        )  # what comes next; else how loud, or how long
        if plan.feel == "score" and chooses:
            self._sounding = [(pitch, end) for pitch, end in self._sounding if end > now]
            heard = [
                *self._melody_pitch[self._tune()].tolist(),
                *(pitch for pitch, _ in self._sounding),
            ]
            near = np.add.outer(np.array(heard, np.int64), CLASHES)
            near = near[(near >= LOWEST_PITCH) & (near <= HIGHEST_PITCH)] - LOWEST_PITCH
            added[codec.first_pitch + near] = CLASH_BIAS
        elif plan.feel == "score" and not self._is_melody:
            met = self._melody_onset[
                (self._melody_onset > now) & np.isin(self._melody_pitch - self._pitch, CLASHES)
            ]
            if len(met):
                longer = np.flatnonzero(codec.durations > met[0] - now)
                added[codec.first_duration + longer] = CLASH_BIAS

        if plan.feel == "performance" and plan.melody is not None and chooses:
            while self._struck and self._struck[0] <= now - CROWD_SECONDS * STEPS_PER_SECOND:
                self._struck.popleft()
            above = len(self._struck) / (USUAL_RATE * CROWD_SECONDS) - 1
            if above > 0:
                added[self.accompaniment()] = CROWD_BIAS * above
        if (again := self._again()) is not None:
            added[again] += STALE_BIAS

        if plan.held is not None and chooses:
            added[codec.first_pitch + np.array(plan.ornaments_at(now), int) - LOWEST_PITCH] = (
                ORNAMENT_BIAS
            )
            landing = now + codec.durations[codec.durations < STEPS_PER_QUARTER]
            between = np.flatnonzero([bool(plan.ornaments_at(step)) for step in landing.tolist()])
            added[codec.first_shift + between] = ORNAMENT_BIAS / 2
        return added

    def _again(self) -> int | None:
        """The token with which a bar without a tune goes on to be the same as both bars before;
        None where it isn't so far.
        """
        plan, bar, so_far = self.plan, self.bars[-1], len(self.bars[-1])
        if (
            len(self.bars) < 3
            or self._state == "reference"
            or (plan.melody is not None and plan.melody[self.bar])
        ):
            return None
        before = self.bars[-2]
        if not before or before != self.bars[-3] or bar != before[:so_far]:
            return None
        return before[so_far] if so_far < len(before) else self._bar_end

    def pitches(self) -> NDArray[np.bool_]:
        """(vocabulary,) the pitches that are drawn cooler: those of a score's accompaniment."""
        return (
            self.accompaniment() if self.plan.feel == "score" else np.zeros(self.codec.size, bool)
        )

    def accompaniment(self) -> NDArray[np.bool_]:
        """(vocabulary,) all pitches but that of a melody note that is to come now."""
        mask = np.zeros(self.codec.size, bool)
        mask[self.codec.first_pitch : self.codec.first_pitch + HIGHEST_PITCH - LOWEST_PITCH + 1] = (
            True
        )
        pending = self._pending
        if pending is not None and pending.step == self._now:
            mask[self.codec.first_pitch + pending.pitch - LOWEST_PITCH] = False
        return mask

    def _on_grid(self, step: int) -> bool:
        return bool(self.plan.subdivision[step % STEPS_PER_QUARTER])

    def _landable(self, landing: NDArray[np.int64]) -> NDArray[np.bool_]:
        before_end = landing + int(self.plan.bar_start[self.bar]) < self._end
        on_grid = self.plan.subdivision[landing % STEPS_PER_QUARTER]
        ok: NDArray[np.bool_] = on_grid & before_end & (landing >= self.plan.earliest[self.bar])
        pending = self._pending
        return ok | (landing == pending.step) if pending is not None else ok

    def _allow_end(self, mask: NDArray[np.bool_]) -> None:
        mask[self._bar_end] = (
            self.bar + 1 < self.plan.bars or not self.plan.closes or self._step >= self._close
        )

    @property
    def _bar_end(self) -> int:
        """The token that ends this bar."""
        codec, plan = self.codec, self.plan
        if self.bar + 1 >= plan.bars:
            return codec.eos
        return (
            codec.melody if plan.melody is not None else codec.bar_ids[plan.bar_metre[self.bar + 1]]
        )

    def closed(self, logits: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        """(vocabulary,) logits, by which the piece ends where the model would go on for longer than
        ``mask`` allows.

        That is where it would end the last bar as any other, and where at a close it would go on in
        time. Else further notes at once, or hard upon these, would be all that is left, and the end
        be piled up.
        """
        if not mask[self._bar_end]:
            return logits
        codec = self.codec
        barred: list[int] = []
        if self.bar + 1 >= self.plan.bars:
            barred += (
                [codec.melody] if self.plan.melody is not None else list(codec.bar_ids.values())
            )
        if self._step >= self._close:
            shifts = codec.first_shift + np.arange(len(codec.durations))
            barred += shifts[~mask[shifts]].tolist()
        if not barred:
            return logits
        moved = logits.copy()
        moved[self._bar_end] = np.logaddexp.reduce([logits[self._bar_end], *logits[barred]])
        return moved

    def push(self, index: int) -> None:
        """Take the next token, forced or sampled."""
        if self.forced:
            expected = self.forced.popleft()
            if index != expected:
                raise ValueError(
                    f"{self.codec.names[index]} came where {self.codec.names[expected]} was forced"
                )
            return
        codec = self.codec
        kind, value = codec.kind_of(index)
        if self._state == "reference":
            self.references.append(codec.reference_ids.index(index))
            self.forced.append(codec.bar_ids[self.plan.bar_metre[self.bar]])
            self._state = "bar"
            return
        if kind == "special":
            if index == codec.eos or self.bar + 1 == self.plan.stop:
                self.done = True
            else:
                self._open(self.bar + 1, ended=True)
            return
        self.bars[-1].append(index)
        if kind == "shift":
            self._now += value
            self._state, self._last, self._count = "shift", -1, 0
        elif kind == "pitch":
            pending = self._pending
            self._pitch = value
            here = pending is not None and pending.step == self._now
            self._is_melody = here and pending is not None and pending.pitch == value
            self._is_ornament = not here and value in self.plan.ornaments_at(self._step)
            self._state = "pitch"
        elif kind == "velocity":
            self._state = "velocity"
        else:
            self._state = "note"
            self._sounding.append((self._pitch, self._step + value))
            on_top = self._is_melody or self._is_ornament
            if not on_top:
                self._struck.append(self._step)
            self._count += 1
            highest = self._is_ornament or (self._is_melody and not self.plan.above)
            self._last = HIGHEST_PITCH + 1 if highest else self._pitch
            self._pointer += self._is_melody

    def figure_ids(self) -> list[int]:
        """The tokens of the figure, which stand before those of :meth:`context`."""
        figure = self.plan.figure
        return [self.codec.figure, *self.codec.encode_events(figure)] if figure else []

    def melody_key(self, back: int) -> str:
        """The key that the controls tell for the sequence of :meth:`context`."""
        first = self.first + max(len(self.bars) - 1 - back, 0)
        bars = (
            range(first, min(first + KEY_BARS, self.plan.bars))
            if self.plan.melody is not None
            else ()
        )
        told = key_token([(int(self.plan.bar_start[bar]), self.plan.melody[bar]) for bar in bars])  # type: ignore[index]
        return token_of_key(self.plan.key) if told == UNKNOWN and self.plan.chords else told

    def context(self, bars: int) -> list[int]:
        """The sequence after the controls, from ``bars`` bars back to now: what a window that
        slides begins with.
        """
        begin = max(len(self.bars) - 1 - bars, 0)
        ids = [] if self.plan.melody is None else self.melody_segment(self.first + begin)
        for k in range(begin, len(self.bars)):
            if self.plan.melody is not None:
                ids += self.melody_segment(self.first + k + 1)
            if self.plan.references:
                if k == len(self.references):  # to be chosen now
                    break
                back = self.references[k]
                ids.append(
                    self.codec.reference_ids[
                        back if back == FROM_FIGURE or back <= k - begin else 0
                    ]
                )
            ids += [self.codec.bar_ids[self.plan.bar_metre[self.first + k]], *self.bars[k]]
        return ids[: len(ids) - len(self.forced)] if self.forced else ids
