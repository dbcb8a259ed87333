"""Test decoding under plans with chords, references, a figure and notes above.

The notes are above the tune. Whatever a model with random weights prefers, the tune is complete,
and training has sequences of the same form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from styletransfer.model import sampling
from styletransfer.model.decoder import Decoder
from styletransfer.model.sampling import Candidate, sample, voices_of
from styletransfer.model.settings import SamplingConfig
from styletransfer.model.weights import Weights
from styletransfer.music.chord_names import chords_of_line
from styletransfer.music.chords import CHORD_DTYPE
from styletransfer.music.qualities import NONE, QUALITIES
from styletransfer.tokens.codec import (
    FROM_FIGURE,
    HIGHEST_PITCH,
    LOWEST_PITCH,
    STEPS_PER_QUARTER,
    Chord,
    Event,
    Grid,
    chords_by_bar,
)
from styletransfer.tokens.controls import FARTHEST, Controls
from styletransfer.tokens.figures import figures_of, references_of
from styletransfer.tokens.grammar import (
    BASS_BIAS,
    HELD_BIAS,
    LOW_BIAS,
    SEVENTH_BIAS,
    THIRD_BIAS,
    MelodyGrammar,
    State,
)
from styletransfer.tokens.plan import Plan, plan_of
from tests.tiny import codec, random_piece, tiny_model, tune_of

BACH = Controls("score", "baroque", "bach", tune="part")
FIGURE = (Event(0, 24, 45, -1), Event(24, 12, 52, -1), Event(24, 12, 57, -1), Event(48, 24, 52, -1))
LINE = "C | F - G7/B | N.C. Am | C#dim7 - | C"


@lru_cache
def weights(context: int = 1024) -> Weights:
    model = tiny_model(context=context, seed=1)
    made = Weights(model.sizes, model.names)
    made.load_state_dict(model.state_dict())
    return made


def plan(bars: int = 5, upbeat: int = 1, silent: Sequence[int] = (2,), **chosen: Any) -> Plan:
    """Plan a tune with a pick-up and an empty bar, under chords on its beats.

    It has references, and notes above.
    """
    melody = tune_of(bars, upbeat, silent)
    chords = chords_of_line(
        LINE if bars == 5 else " | ".join(LINE.split(" | ")[k % 5] for k in range(bars)),
        melody.bars,
    )
    made = plan_of(codec(), codec().grid(melody))
    told = chords_by_bar(chords, made.bar_start, made.bar_length)
    return replace(made, **({"chords": told, "references": True, "above": True} | chosen))


class Walked(MelodyGrammar):
    """A grammar that remembers its tokens; ``made`` lists all of them."""

    made: list[Walked] = []  # noqa: RUF012  # emptied for each test

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.ids: list[int] = []
        self.made.append(self)

    def push(self, index: int) -> None:
        super().push(index)
        self.ids.append(index)


class Counted(Decoder):
    """A decoder that remembers what it began with."""

    starts: list[list[list[int]]] = []  # noqa: RUF012

    def start(self, sequences: Sequence[Sequence[int]]) -> Any:
        self.starts.append([list(ids) for ids in sequences])
        return super().start(sequences)


@pytest.fixture(autouse=True)
def _watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "MelodyGrammar", Walked)
    monkeypatch.setattr(sampling, "Decoder", Counted)
    monkeypatch.setattr(Walked, "made", [])
    monkeypatch.setattr(Counted, "starts", [])


def run(plan: Plan, context: int = 1024, **settings: Any) -> list[Candidate]:
    config = SamplingConfig(**({"candidates": 2, "strength": 1.0} | settings))
    return sample(
        voices_of(weights(context), [(weights(context), BACH, 1.0)], 1.0), codec(), plan, config
    )


def placed(plan: Plan, bars: Sequence[Sequence[int]]) -> list[tuple[int, Event]]:
    """Return the notes of decoded bars, each with its step from the start."""
    starts = plan.bar_start.tolist()
    return [
        (starts[bar] + event.step, event)
        for bar, ids in enumerate(bars)
        for event in codec().decode_events(ids)
    ]


def check(plan: Plan, bars: Sequence[Sequence[int]]) -> list[tuple[int, Event]]:
    """Check the guarantees for the bars of a locked line; return the accompaniment."""
    assert plan.melody is not None
    starts = plan.bar_start.tolist()
    tune = [
        (starts[bar] + event.step, event)
        for bar, events in enumerate(plan.melody)
        for event in events
    ]
    for bar, ids in enumerate(bars):
        events = codec().decode_events(ids)
        assert set(plan.melody[bar]) <= set(events), f"bar {bar} lacks a note of the tune"
        assert all(plan.earliest[bar] <= event.step < plan.bar_length[bar] for event in events)
        for one, two in pairwise(events):
            assert two.step > one.step or two.pitch > one.pitch

    rest = [(now, event) for now, event in placed(plan, bars) if (now, event) not in tune]
    for now, event in rest:
        for begin, note in tune:
            if note.pitch == event.pitch:
                assert not begin <= now < begin + note.duration, (
                    "a sounding note of the tune is struck"
                )
                assert not now <= begin < now + event.duration, (
                    "a note of the tune is struck while it sounds"
                )
    return rest


def grid_of(plan: Plan, bars: Sequence[Sequence[int]], references: Sequence[int]) -> Grid:
    """Return the decoded bars in the form that training has."""
    onset, _, pitch = plan.locked_notes
    tune = set(zip(onset.tolist(), pitch.tolist(), strict=True))
    notes = placed(plan, bars)
    rows = [
        (now, event.duration, event.pitch, 0, (now, event.pitch) in tune) for now, event in notes
    ]
    onset, duration, pitch, velocity, melody = np.array(rows, np.int64).T
    time = plan.bar_start, plan.bar_length, plan.bar_metre
    return Grid(
        "score",
        onset,
        duration,
        pitch,
        velocity,
        melody.astype(bool),
        *time,
        plan.chords,
        tuple(references),
    )


# --- what is decoded ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_the_tune_is_whole_and_nothing_strikes_it(seed: int) -> None:
    """There are a pick-up, an empty bar, and notes above the tune, some of which occur."""
    locked = plan()
    candidates = run(locked, seed=seed)
    assert len(candidates) == 2
    above = 0
    for one in candidates:
        assert len(one.bars) == locked.bars
        rest = check(locked, one.bars)
        above += sum(event.pitch > 78 for _, event in rest)
    assert above
    assert candidates == run(locked, seed=seed)


def test_below_the_tune_nothing_lies_above_it() -> None:
    below = plan(above=False)
    for one in run(below):
        onset, end, pitch = below.locked_notes
        rest = check(below, one.bars)
        assert rest
        for now, event in rest:
            assert event.pitch <= pitch.max()
            assert event.pitch < pitch[(onset <= now) & (end > now)].min(initial=128)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_decoded_is_what_training_has(seed: int) -> None:
    """The tokens are those of the decoded notes under the plan's chords and the references that
    were chosen.
    """
    locked = plan(figures=(FIGURE, ()))
    candidates = run(locked, seed=seed)
    for one, line in zip(candidates, Walked.made, strict=True):
        assert codec().decode(line.ids) == [codec().decode_events(ids) for ids in one.bars]
        stream, _ = codec().encode(grid_of(locked, one.bars, line.references), (), with_melody=True)
        assert line.ids == stream
        assert line.done


def test_references_are_of_existing_bars() -> None:
    """They reach back four bars at most, and to the figure only if the candidate has one."""
    chosen = []
    for seed in range(3):
        Walked.made.clear()
        candidates = run(plan(8, figures=(FIGURE, ())), seed=seed, candidates=3)
        assert [one.figure for one in candidates] == [FIGURE, (), FIGURE]
        for one, line in zip(candidates, Walked.made, strict=True):
            assert len(line.references) == len(one.bars)
            for bar, back in enumerate(line.references):
                assert (back == FROM_FIGURE and one.figure == FIGURE) or 0 <= back <= min(
                    bar, FARTHEST
                )
            chosen += line.references
    assert set(chosen) >= {0, 1, FROM_FIGURE}


def test_the_model_is_given_the_figure_and_the_chords() -> None:
    """The figure comes first, then the chords of the first two bars before the first bar; "no
    chord" has a token of its own.
    """
    locked = plan(figures=(FIGURE, ()))
    run(locked)
    first, second = Counted.starts[0]
    own = [codec().figure, *codec().encode_events(FIGURE)]
    head = len(BACH.tokens())
    assert first[head : head + len(own)] == own
    assert codec().figure not in second
    told = [codec().names[index] for index in second[head:]]
    assert told.index("PLAN") < told.index("PLAN", told.index("PLAN") + 1)
    assert [name for name in told if name.startswith(("CHORD", "BASS"))] == [
        *("CHORD_0:major", "BASS_0", "CHORD_0:major", "BASS_0")
    ]
    names = [codec().names[index] for index in Walked.made[1].ids]
    assert names[names.index("CHORD_none") + 1] == "BASS_none"
    assert names[names.index("CHORD_7:dominant-seventh") + 1] == "BASS_11"


# --- windows, given bars, Ctrl-C ------------------------------------------------------------------


def test_a_window_that_slides_under_a_plan_looks_as_in_training() -> None:
    """At any moment the context from some bars back is the beginning of a training sequence from
    that bar.
    """
    grid = codec().grid(random_piece(7, "score"))
    starts = grid.bar_start / STEPS_PER_QUARTER
    rows = [
        (start + add, 1.5, k % 12, k % 9, k % 12)
        for k, start in enumerate(starts)
        for add in (0.0, 1.5)
    ]
    told = chords_by_bar(np.array(rows, CHORD_DTYPE), grid.bar_start, grid.bar_length)
    grid = replace(grid, chords=told, references=references_of(figures_of(codec(), grid)))
    assert max(grid.references) > 1

    locked = replace(plan_of(codec(), grid, locked=False), chords=told, references=True)
    stream, _ = codec().encode(grid, (), with_melody=True)
    windows = [codec().encode(grid, (), bar, with_melody=True)[0] for bar in range(grid.bars)]
    line = MelodyGrammar(codec(), locked)
    for count, index in enumerate(stream[:-1], 1):
        line.push(index)
        if line.bar == 0 and line.forced:  # the first bar hasn't begun
            continue
        assert line.context(grid.bars) == stream[:count]
        for back in range(min(line.bar, 3) + 1):
            context, window = line.context(back), windows[line.bar - back]
            assert context == window[: len(context)]
    line.push(stream[-1])
    assert line.done


@pytest.mark.parametrize("seed", range(2))
def test_the_window_slides(seed: int) -> None:
    """Each new window begins with the figure and the last whole bars, like the training sequence
    from the first of these bars.
    """
    locked = plan(12, silent=(2, 3), figures=(FIGURE,))
    candidates = run(locked, 300, seed=seed)
    assert len(Counted.starts) > 2

    head = [codec().figure, *codec().encode_events(FIGURE)]
    streams = []
    for one, line in zip(candidates, Walked.made, strict=True):
        check(locked, one.bars)
        grid = grid_of(locked, one.bars, line.references)
        streams.append(
            [codec().encode(grid, (), bar, with_melody=True)[0] for bar in range(grid.bars)]
        )

    whole = 0
    for rows in Counted.starts:
        for ids, windows in zip(rows, streams, strict=True):
            assert len(ids) < 300
            told = ids[len(BACH.tokens()) :]
            assert told[: len(head)] == head
            recent = told[len(head) :]
            if recent[0] == codec().melody:  # else a bar that is longer than the window
                whole += any(window[: len(recent)] == recent for window in windows)

    assert whole > len(Counted.starts)


@pytest.mark.parametrize("context", [1024, 150])
def test_bars_that_are_given_stand(context: int) -> None:
    """The line continues as if it had decoded them, with the same references and the same tune, up
    to the last bar to decode.
    """
    locked = plan(10, figures=(FIGURE,))
    first = run(replace(locked, stop=6), context, candidates=1)[0]
    assert len(first.bars) == 6
    given = replace(locked, given=tuple(map(tuple, first.bars)))
    Walked.made.clear()
    for one in run(given, context, seed=3):
        assert one.bars[:6] == first.bars
        assert len(one.bars) == locked.bars
        check(locked, one.bars)
    line = Walked.made[0]
    assert len(line.references) == locked.bars - line.first
    assert (line.first > 0) == (context == 150)  # what a window can't reach isn't read
    figures = figures_of(codec(), grid_of(locked, first.bars, ()), range(6))[line.first :]
    own = references_of(figures, figures_of(codec(), _alone(FIGURE))[0])
    assert tuple(line.references[: 6 - line.first]) == own


def test_given_bars_follow_the_nearest_that_is_like_them() -> None:
    """Two alternating figures, each moved with the harmony, follow the bar two bars back, and
    otherwise the figure at the head.
    """
    waltz = (Event(0, 24, 45, -1), Event(24, 24, 52, -1), Event(48, 24, 52, -1))
    broken = tuple(
        Event(step, 12, pitch, -1)
        for step, pitch in zip((0, 12, 36, 60), (45, 49, 52, 49), strict=True)
    )
    locked = plan(6, 0, (), figures=(waltz,))
    given = []
    for number, figure in enumerate((broken, waltz, broken, waltz, broken)):
        moved = [event._replace(pitch=event.pitch + 2 * number) for event in figure]
        assert locked.melody is not None
        given.append(tuple(codec().encode_events(sorted([*locked.melody[number], *moved]))))

    assert MelodyGrammar(codec(), replace(locked, given=tuple(given), figures=())).references == [
        0,
        0,
        2,
        2,
        2,
    ]
    assert MelodyGrammar(codec(), replace(locked, given=tuple(given))).references == [
        0,
        FROM_FIGURE,
        2,
        2,
        2,
    ]


def _alone(events: Sequence[Event]) -> Grid:
    onset, duration, pitch, velocity = np.array(events, np.int64).T
    none = np.zeros(len(events), bool)
    return Grid(
        "score",
        onset,
        duration,
        pitch,
        velocity * 0,
        none,
        np.array([0]),
        np.array([72]),
        ("BAR_3/4",),
    )


@pytest.mark.parametrize("share", [0.2, 0.35, 0.6, 0.8])
def test_ctrl_c_leaves_whole_bars(share: float) -> None:
    locked = plan(figures=(FIGURE, ()))

    def progress(done: float) -> None:
        if done >= share:
            raise KeyboardInterrupt

    voices = voices_of(weights(), [(weights(), BACH, 1.0)], 1.0)
    config = SamplingConfig(candidates=3, strength=1.0)
    stopped = sample(voices, codec(), locked, config, progress, partial=True)
    whole = run(locked, candidates=3)
    for one, other in zip(stopped, whole, strict=True):
        assert one.stopped
        assert share * locked.bars <= len(one.bars) < locked.bars
        assert one.bars == other.bars[: len(one.bars)]
        check(locked, one.bars)
    with pytest.raises(KeyboardInterrupt):
        sample(voices, codec(), locked, config, progress)


def _walk(line: MelodyGrammar) -> MelodyGrammar:
    """Take all forced tokens, and the choice of no bar to follow."""
    while line.forced or line._state is State.REFERENCE:
        line.push(line.forced[0] if line.forced else codec().reference_ids[0])
    return line


def _strike(line: MelodyGrammar, pitch: int) -> None:
    """Begin and end an accompaniment note of a quarter."""
    line.push(codec().first_pitch + pitch - LOWEST_PITCH)
    line.push(codec().first_duration + int(np.searchsorted(codec().durations, STEPS_PER_QUARTER)))


def _biased(line: MelodyGrammar, nats: float) -> set[int]:
    """Return the pitches with so many nats more."""
    pitches = line.bias()[codec().first_pitch :][: HIGHEST_PITCH - LOWEST_PITCH + 1]
    return {int(place) + LOWEST_PITCH for place in np.flatnonzero(pitches == nats)}


def _under(*chords: Chord, tune: tuple[Event, ...] = ()) -> MelodyGrammar:
    """Begin a bar of 3/4 under chords, before its first note."""
    made = replace(plan(bars=1, upbeat=0, silent=()), chords=(chords,), melody=(tune,))
    return _walk(MelodyGrammar(codec(), made))


def test_a_planned_chord_gets_its_bass_its_third_and_its_seventh() -> None:
    """The bass comes first, in every octave of its range.

    Then the others follow above it, once each.
    """
    line = _under(Chord(0, 7, QUALITIES.index("dominant-seventh"), 7))
    assert _biased(line, BASS_BIAS) == {31, 43, 55}
    assert not _biased(line, THIRD_BIAS)

    _strike(line, 43)
    assert not _biased(line, BASS_BIAS) & {31, 43, 55}
    thirds, sevenths = _biased(line, THIRD_BIAS), _biased(line, SEVENTH_BIAS)
    assert {pitch % 12 for pitch in thirds} == {11}
    assert {pitch % 12 for pitch in sevenths} == {5}
    assert (min(thirds), min(sevenths)) == (59, 53)

    _strike(line, 59)
    assert not _biased(line, THIRD_BIAS)
    assert {pitch % 12 for pitch in _biased(line, SEVENTH_BIAS)} == {5}
    _strike(line, 65)
    assert not _biased(line, SEVENTH_BIAS)


@pytest.mark.parametrize(("pitch", "foreign"), [(59, True), (55, False), (60, False)])
def test_a_note_seldom_lasts_into_a_chord_that_it_is_not_in(pitch: int, foreign: bool) -> None:
    """A quarter of G major is followed by C major: B ends with the first, G and C may last."""
    major = QUALITIES.index("major")
    line = _under(Chord(0, 7, major, 7), Chord(STEPS_PER_QUARTER, 0, major, 0))
    line.push(codec().first_pitch + pitch - LOWEST_PITCH)
    durations = codec().durations
    added = line.bias()[codec().first_duration :][: len(durations)]
    assert (added == np.where(foreign & (durations > STEPS_PER_QUARTER), HELD_BIAS, 0)).all()


def test_seconds_and_thirds_low_down_are_made_less_likely() -> None:
    """Both cost the same, whatever a clash costs besides; from C3 upwards they are free."""
    for low, near in ((36, {*range(32, 41)} - {36}), (48, {*range(44, 48)}), (55, set())):
        line = _under(Chord(0, -1, NONE, -1))
        before = line.bias()
        _strike(line, low)
        added = (line.bias() - before)[codec().first_pitch :][: HIGHEST_PITCH - LOWEST_PITCH + 1]
        found = {int(place) + LOWEST_PITCH for place in np.flatnonzero(added <= LOW_BIAS)}
        assert found == near


def test_a_third_in_the_tune_is_enough() -> None:
    line = _under(Chord(0, 7, QUALITIES.index("major"), 7), tune=(Event(24, 24, 83, -1),))
    _strike(line, 43)
    assert not _biased(line, THIRD_BIAS)


def test_without_a_chord_nothing_is_missing() -> None:
    line = _under(Chord(0, -1, NONE, -1))
    assert not _biased(line, BASS_BIAS)
    _strike(line, 43)
    assert not _biased(line, THIRD_BIAS)
