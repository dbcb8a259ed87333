"""Tokens: encoding loses no note, and a second round trip changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from styletransfer.data.batches import transposed
from styletransfer.formats.tunes import EXAMPLES, example
from styletransfer.music.key import Key
from styletransfer.music.notes import Feel, NoteTable, Piece, TempoMap, bars_of, make_notes
from styletransfer.tokens import controls
from styletransfer.tokens.codec import (
    HIGHEST_PITCH,
    LOWEST_PITCH,
    STEPS_PER_QUARTER,
    STEPS_PER_SECOND,
    Codec,
    CodecConfig,
    Event,
    Grid,
    miditok_config,
)
from styletransfer.tokens.controls import (
    FINAL,
    KEYS,
    MELODY,
    SPECIAL_TOKENS,
    Controls,
    metre_of_token,
    metre_token,
)
from styletransfer.tokens.grammar import MelodyGrammar
from styletransfer.tokens.plan import plan_of
from tests.tiny import codec, random_piece

# 13/4 is longer than the longest time shift, and a bar of 1/128 is shorter than a step
METRES = [
    (4, 4),
    (3, 4),
    (6, 8),
    (5, 4),
    (7, 8),
    (11, 16),
    (1, 8),
    (2, 2),
    (12, 8),
    (13, 4),
    (1, 128),
]
CONTROLS = Controls("score").tokens()


@st.composite
def note_tables(draw: st.DrawFn, end: float) -> NoteTable:
    """Draw up to 40 notes before ``end``.

    Some lie off the keyboard, many at one onset, and some are very short or very long.
    """
    common = draw(st.lists(st.floats(0, end, exclude_max=True), min_size=1, max_size=6))
    onset = st.one_of(st.sampled_from(common), st.floats(0, end, exclude_max=True))
    duration = st.one_of(
        st.floats(1e-6, 0.05), st.floats(0.05, 20), st.sampled_from([1 / 3, 0.25, 0.5, 1.0, 12.0])
    )
    note = st.tuples(onset, duration, st.integers(0, 127), st.integers(1, 127), st.booleans())
    rows = draw(st.lists(note, min_size=1, max_size=40))
    columns: list[Any] = [list(column) for column in zip(*rows, strict=True)]
    return make_notes(columns[0], columns[1], columns[2], columns[3], 0, columns[4])


@st.composite
def scores(draw: st.DrawFn) -> Piece:
    """Draw scores of one to three metres, with pick-ups.

    Changes of metre may cut a bar short anywhere.
    """
    signatures: list[tuple[float, int, int]] = []
    position = 0.0
    if draw(st.booleans()):
        signatures.append((0.0, 1, 8))
        position = 0.5
    for metre in draw(st.lists(st.sampled_from(METRES), min_size=1, max_size=3)):
        signatures.append((position, *metre))
        position += draw(st.floats(0.01, 9))
    bars = bars_of(signatures, position)
    return Piece(draw(note_tables(float(bars["start"][-1] + bars["length"][-1]))), "score", bars)


@st.composite
def performances(draw: st.DrawFn) -> Piece:
    """Draw performances of up to 20 quarters, at tempos that change."""
    changes = sorted(draw(st.sets(st.floats(0.1, 20), max_size=2)))
    speed = draw(
        st.lists(st.floats(0.3, 1.0), min_size=len(changes) + 1, max_size=len(changes) + 1)
    )
    return Piece(
        draw(note_tables(20.0)),
        "performance",
        tempo=TempoMap(np.array([0.0, *changes]), np.array(speed)),
    )


pieces = st.one_of(scores(), performances())


def steps_of(piece: Piece) -> tuple[Any, Any]:
    """Return onsets and durations in steps, not rounded, (notes,)."""
    if piece.feel == "score":
        return piece.notes["onset"] * STEPS_PER_QUARTER, piece.notes["duration"] * STEPS_PER_QUARTER
    return piece.onset_seconds * STEPS_PER_SECOND, piece.duration_seconds * STEPS_PER_SECOND


@settings(deadline=None, max_examples=150)
@given(pieces)
def test_every_note_is_on_the_grid_and_in_the_tokens(piece: Piece) -> None:
    """There are as many notes as before, each within half a step and on the keyboard.

    Each has the nearest duration, and decoding returns it.
    """
    tokens = codec()
    grid = tokens.grid(piece)
    onset, duration = steps_of(piece)
    order = np.argsort(onset)
    moved = np.abs(np.sort(grid.onset) - onset[order])
    end = int(grid.bar_start[-1] + grid.bar_length[-1])
    assert len(grid.onset) == len(piece.notes)
    assert (moved <= np.where(onset[order] >= end - 0.5, 1, 0.5) + 1e-3).all()
    assert grid.onset.min() >= grid.bar_start[0]
    assert grid.onset.max() < end

    def row(index: int) -> tuple[int, int, int, bool]:
        note = piece.notes[index]
        nearest = min(tokens.durations, key=lambda value: (abs(value - duration[index]), -value))
        pitch = int(note["pitch"])
        while not LOWEST_PITCH <= pitch <= HIGHEST_PITCH:
            pitch += 12 if pitch < LOWEST_PITCH else -12
        return (
            min(int(np.floor(onset[index] + 0.5)), end - 1),
            int(nearest),
            pitch,
            bool(note["melody"]),
        )

    columns = (grid.onset, grid.duration, grid.pitch, grid.melody)
    assert sorted(zip(*(c.tolist() for c in columns), strict=True)) == sorted(
        row(i) for i in range(len(piece.notes))
    )
    for with_melody in (True, False):
        ids, _ = tokens.encode(grid, CONTROLS, with_melody=with_melody)
        assert tokens.decode(ids) == [tokens.bar_events(grid, bar) for bar in range(grid.bars)]
        assert sum(map(len, tokens.decode(ids))) == len(piece.notes)


@settings(deadline=None, max_examples=100)
@given(pieces)
def test_the_second_round_trip_changes_nothing(piece: Piece) -> None:
    """What was decoded, written as notes and laid on the grid again, gives the same events and the
    same tokens.
    """
    tokens = codec()
    grid = tokens.grid(piece)
    again = tokens.grid_of(grid.feel, notes_of(tokens, grid), piece.bars)
    bars = range(grid.bars)
    assert [tokens.bar_events(again, bar) for bar in bars] == [
        tokens.bar_events(grid, bar) for bar in bars
    ]
    assert tokens.encode(again, CONTROLS, with_melody=False) == tokens.encode(
        grid, CONTROLS, with_melody=False
    )


def notes_of(tokens: Codec, grid: Grid) -> NoteTable:
    """Make a note table of decoded tokens."""
    ids, _ = tokens.encode(grid, CONTROLS, with_melody=True)
    rows = [
        (grid.bar_start[bar] + e.step, e)
        for bar, events in enumerate(tokens.decode(ids))
        for e in events
    ]
    scale = STEPS_PER_QUARTER if grid.feel == "score" else STEPS_PER_SECOND
    velocity = [int(tokens.velocity_values[max(e.velocity, 0)]) for _, e in rows]
    onset, length = [at / scale for at, _ in rows], [e.duration / scale for _, e in rows]
    return make_notes(onset, length, [e.pitch for _, e in rows], velocity)


@settings(deadline=None, max_examples=60)
@given(pieces, st.integers(-40, 40))
def test_transposing_commutes_with_encoding(piece: Piece, semitones: int) -> None:
    tokens = codec()
    grid = tokens.grid(piece)
    moved = transposed(grid, semitones)
    real = int(moved.pitch[0] - grid.pitch[0])
    assert abs(real) <= abs(semitones)
    ids, scored = tokens.encode(grid, CONTROLS, with_melody=True)
    shifted = [index + real if tokens.kind_of(index)[0] == "pitch" else index for index in ids]
    assert tokens.encode(moved, CONTROLS, with_melody=True) == (shifted, scored)


def test_a_bars_token_states_its_metre() -> None:
    named = {f"BAR_{metre}": metre_of_token(f"BAR_{metre}") for metre in controls.METRES}
    assert [token for token, metre in named.items() if metre is None] == ["BAR_other", "BAR_free"]
    assert all(metre_token(*metre) == token for token, metre in named.items() if metre)
    assert named["BAR_12/8"] == (12, 8)


def test_a_note_on_a_bar_line_between_two_steps_stays_on_it() -> None:
    """Bars of 1/64 begin between steps. They were rounded half to even and onsets half up, so that
    every other note was a step late in its bar.
    """
    bars = bars_of([(0.0, 1, 64)], 1.0)
    notes = make_notes(bars["start"], np.full(len(bars), 0.05), np.full(len(bars), 60))
    grid = codec().grid(Piece(notes, "score", bars))
    assert [[e.step for e in codec().bar_events(grid, bar)] for bar in range(grid.bars)] == [
        [0]
    ] * grid.bars


# --- MidiTok --------------------------------------------------------------------------------------


@st.composite
def bar_events(draw: st.DrawFn) -> list[Event]:
    """Draw a bar of a performance.

    Each (step, pitch) occurs once, and durations have a token.
    """
    places = draw(
        st.sets(
            st.tuples(st.integers(0, 95), st.integers(LOWEST_PITCH, HIGHEST_PITCH)),
            min_size=1,
            max_size=30,
        )
    )
    duration, velocity = st.sampled_from(codec().durations.tolist()), st.integers(0, 31)
    return [Event(step, draw(duration), pitch, draw(velocity)) for step, pitch in sorted(places)]


@pytest.fixture(scope="module")
def miditok_tsd() -> Any:
    from miditok import TSD

    return TSD(miditok_config(CodecConfig()))


def test_tokens_of_a_bar_are_miditoks_own(miditok_tsd: Any) -> None:
    """MidiTok's TSD gives the same ids for the same notes, on a score of 24 ticks a quarter.

    Two quirks of MidiTok 3.1 are kept out of the comparison: it leaves notes of one onset in the
    order in which the track has them (ours are sorted by pitch), and it has no bars (its time shift
    from bar to bar is our BAR token).
    """
    import symusic

    @settings(deadline=None, max_examples=60)
    @given(bar_events())
    def check(events: list[Event]) -> None:
        score: Any = symusic.Score(24)
        score.tempos.append(symusic.Tempo(0, qpm=120))
        track: Any = symusic.Track()
        for step, duration, pitch, velocity in events:
            track.notes.append(
                symusic.Note(step, duration, pitch, int(codec().velocity_values[velocity]))
            )
        score.tracks.append(track)
        theirs = miditok_tsd(score)[0].ids
        assert codec().encode_events(events) == theirs
        assert codec().decode_events(theirs) == events

    check()


def test_vocabulary_is_miditoks_and_its_hash_is_known(miditok_tsd: Any) -> None:
    """A changed hash makes every trained model useless: change it knowingly."""
    assert list(codec().vocabulary) == [name.removesuffix("_None") for name in miditok_tsd.vocab]
    assert (codec().size, codec().hash) == (767, "5f6448e23e1d2b2e")
    assert Codec(vocabulary=codec().vocabulary).hash == codec().hash
    assert tuple(codec().vocabulary)[: len(SPECIAL_TOKENS)] == SPECIAL_TOKENS
    assert sorted(codec().vocabulary.values()) == list(range(codec().size))


@pytest.mark.parametrize("steps", [1, 95, 97, 288, 289, 1000])
def test_time_shifts_add_up(steps: int) -> None:
    """From four quarters on only even steps have a token, and none is longer than twelve
    quarters.
    """
    kinds = [codec().kind_of(index) for index in codec().encode_shift(steps)]
    assert {kind for kind, _ in kinds} == {"shift"}
    assert sum(value for _, value in kinds) == steps


# --- controls and the loss ------------------------------------------------------------------------


def test_controls_stand_in_their_fixed_order() -> None:
    names = Controls("score", "baroque", "bach", 100).tokens()
    assert names == [
        "BOS",
        "FEEL_score",
        "TEMPO_100",
        "KEY_unknown",
        "ERA_baroque",
        "COMPOSER_bach",
    ]
    played = Controls("performance", "modern", key="C#-minor").tokens()
    assert played == ["BOS", "FEEL_performance", "KEY_C#-minor", "ERA_modern", "COMPOSER_unknown"]
    assert Controls("score", quarters_per_minute=100.1).tokens()[2] == "TEMPO_120"
    assert Controls("score", quarters_per_minute=5000).tokens()[2] == "TEMPO_999"
    plain = Controls("score", "baroque", "bach", 61, "F-major").without_style()
    assert plain == Controls("score", quarters_per_minute=61, key="F-major")
    ids, _ = codec().encode(codec().grid(example("twinkle")), names, with_melody=True)
    assert [codec().names[index] for index in ids[:7]] == [*names, MELODY]


@pytest.mark.parametrize("feel", ["score", "performance"])
@pytest.mark.parametrize("first", [0, 2])
def test_loss_is_on_the_arrangement_alone(feel: Feel, first: int) -> None:
    """Notes count once each, and so does the token that ends a bar; controls, melody and a metre
    that is known don't.
    """
    grid = codec().grid(random_piece(5, feel))
    for with_melody in (True, False):
        ids, scored = codec().encode(grid, Controls(feel).tokens(), first, with_melody=with_melody)
        names = [codec().names[index] for index in ids]

        inside, bars, expected = False, 0, []
        for name in names:
            ends = name == "EOS" or (
                inside and name == (MELODY if with_melody else name) and name[:3] in ("MEL", "BAR")
            )
            if name.startswith("BAR"):
                bars += 1
                expected.append(not with_melody and inside)
                inside = True
            elif name == MELODY:
                expected.append(ends)
                inside = False
            else:
                expected.append(ends or inside)

        assert scored == expected
        assert bars == grid.bars - first
        notes = sum(
            flag and name.startswith("Pitch") for flag, name in zip(scored, names, strict=True)
        )
        assert notes == len(grid.onset) - grid.bar_slices[first]
        assert names.count(FINAL) == (
            2 if with_melody else 0
        )  # with the last melody and with the empty one after it

        some, flags = codec().encode(
            grid, Controls(feel).tokens(), first, with_melody=with_melody, limit=50
        )
        assert 50 <= len(some) < len(ids)
        assert (some, flags) == (ids[: len(some)], scored[: len(some)])


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_melody_segments_hold_the_whole_tune(name: str) -> None:
    grid = codec().grid(example(name))
    found = [
        (int(grid.bar_start[b]) + e.step, e.pitch)
        for b in range(grid.bars)
        for e in codec().melody_events(grid, b)
    ]
    assert found == list(zip(grid.onset.tolist(), grid.pitch.tolist(), strict=True))
    ids, _ = codec().encode(grid, CONTROLS, with_melody=True)
    told = [index for index in ids if codec().kind_of(index)[0] == "pitch"]
    assert len(told) == 2 * len(found)  # once as melody, once as arrangement


@pytest.mark.parametrize(
    ("name", "key"),
    [("happy-birthday", "F-major"), ("greensleeves", "A-minor"), ("twinkle", "C-major")],
)
def test_the_key_of_a_tune(name: str, key: str) -> None:
    """The grid and the plan that a decoder follows have the same key.

    A tune of few notes has none.
    """
    grid = codec().grid(example(name))
    assert codec().melody_key(grid, 0) == key
    assert MelodyGrammar(codec(), plan_of(codec(), grid)).melody_key(0) == key
    assert codec().melody_key(grid, grid.bars) == "unknown"
    assert f"KEY_{key}" in SPECIAL_TOKENS


def test_every_key_has_a_token() -> None:
    keys = {
        Key(tonic, mode).name.replace(" ", "-")
        for tonic in range(12)
        for mode in ("major", "minor")
    }  # type: ignore[arg-type]
    assert keys == set(KEYS)
    assert len(KEYS) == 24
