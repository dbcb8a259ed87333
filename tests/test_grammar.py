"""Test locked decoding.

Whatever is sampled, the melody is complete, nothing lies above it, and the sequence ends.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from styletransfer.formats.tunes import EXAMPLES, example
from styletransfer.music.grip import SPAN
from styletransfer.music.key import estimate_key
from styletransfer.music.notes import Feel, NoteTable, Piece, bars_of, make_notes
from styletransfer.tokens.codec import FREE_BAR_STEPS, LOWEST_PITCH, STEPS_PER_SECOND, Event
from styletransfer.tokens.grammar import (
    CLASH_BIAS,
    CROWD_BIAS,
    CROWD_SECONDS,
    MOST_NOTES_AT_ONCE,
    STALE_BIAS,
    USUAL_RATE,
    MelodyGrammar,
)
from styletransfer.tokens.plan import Plan, free_plan, plan_of
from tests.tiny import codec, random_piece

MOST_TOKENS = 20_000


def random_line(plan: Plan, seed: int) -> tuple[MelodyGrammar, list[int]]:
    """Draw tokens uniformly from those allowed, of which there is always one.

    Returned are the line and its whole sequence.
    """
    line, rng, ids = MelodyGrammar(codec(), plan), np.random.default_rng(seed), []
    while not line.done:
        if line.forced:
            index = line.forced[0]
        else:
            choices = np.flatnonzero(line.allowed())
            assert len(choices), f"nothing may follow {[codec().names[i] for i in ids[-12:]]}"
            index = int(rng.choice(choices))
        line.push(index)
        ids.append(index)
        assert len(ids) < MOST_TOKENS, "the line doesn't end"
    return line, ids


def check(plan: Plan, line: MelodyGrammar, ids: list[int]) -> None:
    """Check everything that the grammar guarantees for a locked line."""
    assert plan.melody is not None
    tune = [
        (int(plan.bar_start[b]) + e.step, e) for b, events in enumerate(plan.melody) for e in events
    ]
    bars = codec().decode(ids)
    assert bars == [codec().decode_events(bar) for bar in line.bars]
    assert len(bars) == plan.bars
    assert ids[-1] == codec().eos
    for bar, events in enumerate(bars):
        places = {(e.step, e.pitch): e.duration for e in plan.melody[bar]}
        own = [(e.step, e.pitch, e.duration) for e in events if (e.step, e.pitch) in places]
        assert own == [(e.step, e.pitch, e.duration) for e in plan.melody[bar]]
        for earlier, later in pairwise(events):
            assert later.step > earlier.step or later.pitch > earlier.pitch
        onsets = [e.step for e in events]
        assert max((onsets.count(step) for step in onsets), default=0) <= MOST_NOTES_AT_ONCE + 1
        assert all((e.velocity >= 0) == (plan.feel == "performance") for e in events)
        for event in events:
            assert plan.earliest[bar] <= event.step < plan.bar_length[bar]
            if (event.step, event.pitch) not in places:
                check_accompaniment(plan, event, int(plan.bar_start[bar]) + event.step, tune)


def check_accompaniment(plan: Plan, event: Event, now: int, tune: list[tuple[int, Event]]) -> None:
    """Check one accompaniment note.

    It lies on the subdivision and below the melody, is over before the melody comes to its pitch or
    lower, and begins before the melody's end.
    """
    assert plan.subdivision[event.step % len(plan.subdivision)]
    sounding = [note for at, note in tune if at <= now < at + note.duration]
    if sounding:
        assert event.pitch < sounding[-1].pitch
    if tune:
        assert event.pitch <= max(note.pitch for _, note in tune)
        assert now < max(at + note.duration for at, note in tune)
    for at, note in tune:
        assert not (at > now and note.pitch <= event.pitch and now + event.duration > at)


@st.composite
def melodies(draw: st.DrawFn, scale: int) -> NoteTable:
    """Draw up to 14 notes on steps, ``scale`` of them per second or quarter.

    There are rests and overlaps, from the lowest key to the highest.
    """
    now, rows = draw(st.integers(0, 60)), []
    for _ in range(draw(st.integers(1, 14))):
        rows.append((now / scale, draw(st.integers(1, 60)) / scale, draw(st.integers(21, 108))))
        now += draw(st.one_of(st.sampled_from([6, 12, 24]), st.integers(1, 70)))
    onset, duration, pitch = (list(column) for column in zip(*rows, strict=True))
    return make_notes(onset, duration, pitch, melody=True)


@st.composite
def score_plans(draw: st.DrawFn) -> Plan:
    """Draw the plan of a melody in any metre, with or without a pick-up.

    A change of metre may come a tick late.
    """
    notes = draw(melodies(24))
    metre = draw(st.sampled_from([(3, 4), (4, 4), (6, 8), (7, 8), (5, 16)]))
    signatures = [(0.0, 1, 8), (0.5, *metre)] if draw(st.booleans()) else [(0.0, *metre)]
    if draw(st.booleans()):
        signatures.append(
            (
                signatures[-1][0] + 4 * metre[0] / metre[1] + draw(st.sampled_from([1 / 480, 1.0])),
                3,
                4,
            )
        )
    end = float((notes["onset"] + notes["duration"]).max())
    return plan_of(codec(), codec().grid(Piece(notes, "score", bars_of(signatures, end))))


@settings(deadline=None, max_examples=80)
@given(score_plans(), st.integers(0, 1000))
def test_any_score_sequence_keeps_the_melody(plan: Plan, seed: int) -> None:
    check(plan, *random_line(plan, seed))


@settings(deadline=None, max_examples=60)
@given(melodies(48), st.integers(0, 1000))
def test_any_performance_sequence_keeps_the_melody(notes: NoteTable, seed: int) -> None:
    plan = plan_of(codec(), codec().grid_of("performance", notes, bars_of([], 0.0)[:0]))
    check(plan, *random_line(plan, seed))


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_any_sequence_keeps_the_example_tunes(name: str) -> None:
    piece = example(name)
    plan = plan_of(codec(), codec().grid(piece))
    assert plan.melody is not None
    assert sum(map(len, plan.melody)) == len(piece.notes)
    check(plan, *random_line(plan, 1))


def test_a_bar_of_no_steps_holds_no_note() -> None:
    """A change of metre a tick off the bar line leaves a bar shorter than half a step; notes were
    allowed in it, at the step of the next bar's first."""
    notes = make_notes([0.0, 4.25], [1.0, 1.0], [70, 72], melody=True)
    plan = plan_of(
        codec(),
        codec().grid(Piece(notes, "score", bars_of([(0.0, 4, 4), (4 + 1 / 480, 3, 4)], 6.0))),
    )
    assert 0 in plan.bar_length
    for seed in range(5):
        line, ids = random_line(plan, seed)
        check(plan, line, ids)
        assert line.bars[plan.bar_length.tolist().index(0)] == []


def test_a_long_note_under_a_short_one_is_still_the_ceiling() -> None:
    """The melody's first note outlasts its second: nothing may be above it then. The grammar looked
    only at the latest note.
    """
    notes = make_notes([0.0, 0.5], [3.0, 0.25], [60, 84], melody=True)
    plan = plan_of(codec(), codec().grid(Piece(notes, "score", bars_of([(0.0, 4, 4)], 4.0))))
    for seed in range(10):
        check(plan, *random_line(plan, seed))


def test_finer_notes_come_only_where_the_melody_has_them() -> None:
    onset = np.array([0, 0.125, 0.25, 0.375, 1])
    piece = Piece(
        make_notes(onset, [0.1] * 5, [70] * 5, melody=True), "score", bars_of([(0.0, 4, 4)], 4.0)
    )
    assert plan_of(codec(), codec().grid(piece)).subdivision[3]
    assert not plan_of(codec(), codec().grid(example("ode-to-joy"))).subdivision[3]


def test_unlocked_lines_may_leave_the_melody_out() -> None:
    """``locked=False`` gives the melody without forcing it: the line still ends and decodes."""
    plan = plan_of(codec(), codec().grid(example("happy-birthday")), locked=False)
    line, ids = random_line(plan, 3)
    assert codec().decode(ids) == [codec().decode_events(bar) for bar in line.bars]
    assert plan.melody is not None
    found = {
        (bar, e.step, e.pitch) for bar, events in enumerate(codec().decode(ids)) for e in events
    }
    assert {
        (bar, e.step, e.pitch) for bar, events in enumerate(plan.melody) for e in events
    } - found


@pytest.mark.parametrize("feel", ["score", "performance"])
def test_free_lines_fill_their_bars(feel: Feel) -> None:
    plan = free_plan(
        feel,
        5,
        72 if feel == "score" else FREE_BAR_STEPS,
        "BAR_3/4" if feel == "score" else "BAR_free",
    )
    _, ids = random_line(plan, 4)
    bars = codec().decode(ids)
    assert len(bars) == 5
    assert all(event.step < plan.bar_length[0] for bar in bars for event in bar)
    assert codec().melody not in ids


@pytest.mark.parametrize("feel", ["score", "performance"])
@pytest.mark.parametrize("with_melody", [True, False])
def test_a_window_that_slides_looks_as_in_training(feel: Feel, with_melody: bool) -> None:
    """At any moment the context from some bars back is the beginning of the training sequence from
    that bar.
    """
    grid = codec().grid(random_piece(7, feel))
    plan = plan_of(codec(), grid, locked=False)
    plan = plan if with_melody else replace(plan, melody=None)
    stream, _ = codec().encode(grid, (), with_melody=with_melody)
    windows = [
        codec().encode(grid, (), bar, with_melody=with_melody)[0] for bar in range(grid.bars)
    ]
    line = MelodyGrammar(codec(), plan)
    for count, index in enumerate(stream[:-1], 1):
        line.push(index)
        if line.bar == 0 and line.forced:  # the first bar hasn't begun
            continue
        assert line.context(grid.bars) == stream[:count]
        for back in range(min(line.bar, 3) + 1):
            context, window = line.context(back), windows[line.bar - back]
            assert context == window[: len(context)]
            assert context[-1] == index or not with_melody or index == codec().melody
    line.push(stream[-1])
    assert line.done
    assert not line.forced


def test_a_forced_token_is_not_up_to_the_sampler() -> None:
    line = MelodyGrammar(codec(), plan_of(codec(), codec().grid(example("twinkle"))))
    with pytest.raises(ValueError, match="was forced"):
        line.push(codec().eos)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_begins_in_the_second_half_of_the_last_note(seed: int) -> None:
    """The accompaniment continued under Happy Birthday's last note,
    into a chord that is no close.
    """
    notes = make_notes([0.0, 1.0, 2.0], [1.0, 1.0, 4.0], [72, 74, 72], melody=True)
    melody = Piece(notes, "score", bars_of([(0.0, 3, 4)], 6.0))
    line = MelodyGrammar(codec(), plan_of(codec(), codec().grid(melody)))
    rng = np.random.default_rng(seed)
    for _ in range(5000):
        if line.done:
            break
        line.push(
            line.forced[0] if line.forced else int(rng.choice(np.flatnonzero(line.allowed())))
        )
    assert line.done
    starts = [
        3 * 24 * bar + event.step
        for bar, ids in enumerate(line.bars)
        for event in codec().decode_events(ids)
    ]
    assert 24 < max(starts) < 4 * 24


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ["happy-birthday", "ode-to-joy", "auld-lang-syne", "greensleeves"])
def test_a_tune_closes_on_its_tonic_triad(name: str, seed: int) -> None:
    """Happy Birthday in F ended on D minor under its last note, with an E struck after it."""
    melody = example(name)
    plan = plan_of(codec(), codec().grid(melody))
    line, _ = random_line(plan, seed)
    events = [
        (int(plan.bar_start[bar]) + e.step, e)
        for bar, ids in enumerate(line.bars)
        for e in codec().decode_events(ids)
    ]
    assert plan.melody is not None

    tune = [
        (int(plan.bar_start[bar]) + e.step, e) for bar, row in enumerate(plan.melody) for e in row
    ]
    close, tonic = tune[-1][0], estimate_key(melody.notes)
    sounding = [e.pitch for now, e in events if now + e.duration > close]
    classes = {pitch % 12 for pitch in sounding}
    assert classes <= set(tonic.triad)
    assert tonic.triad[1] in classes or tonic.triad[2] not in classes

    struck = [e.pitch for now, e in events if now == close]
    assert min(struck) % 12 == tonic.tonic or struck == [tune[-1][1].pitch]

    end = close + tune[-1][1].duration
    assert all(
        0 <= end - now - e.duration < e.duration / 2 for now, e in events if now >= close
    )  # the nearest there is


@pytest.mark.parametrize("feel", ["score", "performance"])
def test_what_is_given_sounds_on(feel: Feel) -> None:
    """A line that continues after given bars has the same state as one that has chosen them itself:
    held notes, density.
    """
    heard = 0
    for seed in range(8):
        plan = plan_of(codec(), codec().grid(random_piece(seed, feel, 40)))
        walked, _ = random_line(replace(plan, stop=8), seed)
        first, fresh = (
            MelodyGrammar(codec(), plan),
            MelodyGrammar(codec(), replace(plan, given=tuple(tuple(ids) for ids in walked.bars))),
        )
        left = [*map(list, walked.bars)]
        while first.bar < 8 or first.forced:
            if first.forced:
                first.push(first.forced[0])
            else:
                first.push(left[first.bar].pop(0) if left[first.bar] else codec().melody)
        while fresh.forced:
            fresh.push(fresh.forced[0])
        np.testing.assert_array_equal(first.allowed(), fresh.allowed())
        np.testing.assert_array_equal(first.bias(), fresh.bias())
        heard += bool(fresh.bias().any())
    assert heard > 2


def line_at_close(span: int = 88) -> MelodyGrammar:
    """Return a line in C major alone, up to the tune's last note, a C6.

    The hands reach everything.
    """
    pitches = [84, 88, 91, 89, 86, 83, 84]
    notes = make_notes(np.arange(7.0), np.ones(7), pitches, melody=True)
    piece = Piece(notes, "score", bars_of([(0.0, 4, 4)], 7.0))
    line = MelodyGrammar(codec(), replace(plan_of(codec(), codec().grid(piece)), span=span))
    first = codec().first_pitch - LOWEST_PITCH
    while len(line.bars) < 2 or line.forced or line.now < 6 * 24:
        allowed = np.flatnonzero(line.allowed()) if not line.forced else [line.forced[0]]
        line.push(
            int(
                max(
                    allowed,
                    key=lambda k: (codec().kind_of(int(k))[0] == "shift", k - first in pitches),
                )
            )
        )
    return line


def pitches_allowed(line: MelodyGrammar) -> set[int]:
    return {
        int(k) + LOWEST_PITCH for k in np.flatnonzero(line.allowed()[codec().first_pitch :][:88])
    }


def strike(line: MelodyGrammar, pitch: int) -> None:
    """Choose a note of the longest duration that it may have."""
    line.push(codec().first_pitch + pitch - LOWEST_PITCH)
    line.push(int(np.flatnonzero(line.allowed())[-1]))


def test_a_close_has_a_low_bass() -> None:
    """Happy Birthday closed on F4 and C5 under F5, with the left hand silent. Above the bass any
    tone of the triad may follow, but a fifth only if a third fits between it and the tune.
    """
    line = line_at_close()
    assert pitches_allowed(line) == {24, 36, 48, 84}
    strike(line, 48)
    assert pitches_allowed(line) == {52, 55, 60, 64, 67, 72, 76, 84}


def playable(pitches: set[int], span: int = SPAN, fingers: tuple[int, int] = (5, 5)) -> bool:
    """Return whether two hands that don't cross can hold all pitches.

    ``fingers`` are the most notes of the left hand, and of the right.
    """
    ordered = sorted(pitches)
    return any(
        all(
            len(hand) <= most and max(hand, default=0) - min(hand, default=0) <= span
            for hand, most in zip((ordered[:part], ordered[part:]), fingers, strict=True)
        )
        for part in range(len(ordered) + 1)
    )


def placed(line: MelodyGrammar) -> list[tuple[int, Event]]:
    """Return the notes of a line, each with its step from the start."""
    return [
        (int(start) + event.step, event)
        for start, ids in zip(line.plan.bar_start, line.bars, strict=True)
        for event in codec().decode_events(ids)
    ]


@pytest.mark.parametrize("above", [False, True])
@pytest.mark.parametrize("name", EXAMPLES)
def test_two_hands_can_play_any_sequence(name: str, above: bool) -> None:
    """At each onset they hold what is struck and what lasts, whatever was drawn."""
    grid = codec().grid(example(name))
    for seed, span in enumerate((12, 14, 16, 14)):
        plan = replace(plan_of(codec(), grid), span=span, above=above)
        line, _ = random_line(plan, seed)
        notes = placed(line)
        for now in {begin for begin, _ in notes}:
            sounding = {e.pitch for begin, e in notes if begin <= now < begin + e.duration}
            assert playable(sounding, span), (now, sounding)


def test_hands_reach_no_farther_than_their_span() -> None:
    """A bass of C3 under a C6: the left hand reaches D4, the right hand B4 and more."""
    line = line_at_close(span=14)
    strike(line, 48)
    assert pitches_allowed(line) == {52, 55, 60, 72, 76, 84}
    line = line_at_close(span=12)
    strike(line, 48)
    assert pitches_allowed(line) == {52, 55, 60, 72, 76, 84}
    line = line_at_close(span=16)
    strike(line, 48)
    assert pitches_allowed(line) == {52, 55, 60, 64, 72, 76, 84}


@pytest.mark.parametrize(
    ("struck", "then"),
    [([55], {64, 76}), ([55, 64], {67, 72, 76, 79, 84}), ([52, 55], {60, 64, 67, 72, 76, 79, 84})],
)
def test_a_close_has_no_bare_fifth(struck: list[int], then: set[int]) -> None:
    """One in seven arrangements closed like this, but only one in twenty-six of composers' scores:
    after a fifth, the third must follow.
    """
    line = line_at_close()
    for pitch in (48, *struck):
        strike(line, pitch)
    assert pitches_allowed(line) == then
    codes = set(np.flatnonzero(line.allowed()).tolist())
    assert codes == {
        pitch + codec().first_pitch - LOWEST_PITCH for pitch in then
    }  # the tune's note is due, too


def test_minor_seconds_and_ninths_are_made_less_likely() -> None:
    """They count against what sounds of the tune and of the accompaniment.

    So do the tune's notes that a long note would meet.
    """
    notes = make_notes([0.0, 1.0, 2.0], [1.0, 1.0, 1.0], [72, 65, 72], melody=True)
    plan = plan_of(codec(), codec().grid(Piece(notes, "score", bars_of([(0.0, 3, 4)], 3.0))))
    line, first, quarter = (
        MelodyGrammar(codec(), plan),
        codec().first_pitch - LOWEST_PITCH,
        codec().durations.tolist().index(24),
    )
    while line.forced:
        line.push(line.forced[0])
    assert {int(k) - first for k in np.flatnonzero(line.bias())} == {59, 71, 73, 85}
    line.push(first + 64)
    durations = line.bias()[codec().first_duration :][: len(codec().durations)]
    assert durations.tolist() == [0.0] * (quarter + 1) + [CLASH_BIAS] * (
        len(durations) - quarter - 1
    )  # F follows above E
    line.push(codec().first_duration + quarter)
    assert {int(k) - first for k in np.flatnonzero(line.bias())} == {59, 71, 73, 85, 51, 63, 65, 77}
    assert set(line.bias()) == {0.0, CLASH_BIAS}


def test_what_is_dense_gets_no_denser() -> None:
    """In a performance another note costs in proportion to the excess of notes in the last seconds;
    a due melody note costs nothing, and the cost fades with time.
    """
    melody = Piece(make_notes([0.0, 20.0], [20.0, 1.0], [100, 60], melody=True), "performance")
    line = MelodyGrammar(codec(), plan_of(codec(), codec().grid(melody)))
    pitches = slice(codec().first_pitch, codec().first_pitch + 88)

    def take(index: int) -> None:
        while line.forced:
            line.push(line.forced[0])
        line.push(index)

    def strike(pitch: int) -> None:
        for index in (
            codec().first_pitch + pitch - LOWEST_PITCH,
            codec().first_velocity,
            codec().first_duration,
        ):
            take(index)

    strike(100)
    take(codec().first_shift)
    usual = round(USUAL_RATE * CROWD_SECONDS)
    for struck in range(2 * usual):
        assert set(line.bias()[pitches]) == {CROWD_BIAS * max(struck / usual - 1, 0.0)}
        if struck % 8 == 7:
            take(codec().first_shift)
        strike(30 + struck % 8)
    assert not line.bias()[: codec().first_pitch].any()
    take(codec().first_shift + int(np.flatnonzero(codec().durations == STEPS_PER_SECOND)[0]))
    assert set(line.bias()[pitches]) == {CROWD_BIAS}
    line.push(codec().melody)
    take(codec().first_shift + int(np.flatnonzero(codec().durations == STEPS_PER_SECOND)[0]))
    assert set(line.bias()[pitches]) == {0.0}


def test_a_close_is_not_piled_up() -> None:
    """Nothing may begin later, so excerpts of songs closed on ten notes up to C8."""
    line = line_at_close()
    for pitch in (48, 64, 84):
        strike(line, pitch)
    mask = line.allowed()
    shifts = codec().first_shift + np.arange(len(codec().durations))
    late = shifts[codec().durations > 12]  # in the second half of the tune's last note or after it
    assert not mask[late].any()
    logits = np.full(codec().size, -90.0)
    logits[late[3]] = 0.0
    closed = line.closed(logits, mask)
    assert closed[codec().eos] == pytest.approx(0.0)
    rest = np.delete(np.arange(codec().size), codec().eos)
    np.testing.assert_array_equal(closed[rest], logits[rest])

    begun = MelodyGrammar(codec(), line.plan)  # in the middle of the tune, the bar goes on
    while begun.forced:
        begun.push(begun.forced[0])
    np.testing.assert_array_equal(begun.closed(logits, begun.allowed()), logits)


@pytest.mark.parametrize("told", [False, True])
def test_a_bar_for_the_third_time_is_made_less_likely(told: bool) -> None:
    """Each token is, up to the bar's end, as long as it is the same as both bars before.

    A different bar costs nothing.
    """
    plan = replace(
        free_plan("performance", 4, FREE_BAR_STEPS, "BAR_free"), melody=((),) * 4 if told else None
    )
    again = codec().encode_events([Event(0, 48, 60, 9), Event(48, 48, 64, 9)])
    given = replace(plan, given=(tuple(again), tuple(again)))
    end = codec().melody if told else codec().bar_ids["BAR_free"]
    line = MelodyGrammar(codec(), given)
    for token in [*again, end]:
        while line.forced:
            line.push(line.forced[0])
        assert np.flatnonzero(line.bias()).tolist() == [token]
        assert line.bias()[token] == STALE_BIAS
        line.push(token)

    other = MelodyGrammar(codec(), given)
    while other.forced:
        other.push(other.forced[0])
    other.push(again[0] + 1)
    assert not other.bias().any()
    assert not MelodyGrammar(codec(), replace(plan, given=(tuple(again), ()))).bias().any()
