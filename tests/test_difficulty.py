"""How hard an arrangement may be to play."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from styletransfer.errors import InputError
from styletransfer.formats.tunes import EXAMPLES, example
from styletransfer.music.key import Key
from styletransfer.tokens.codec import STEPS_PER_QUARTER, STEPS_PER_SECOND, Event
from styletransfer.tokens.plan import plan_of
from styletransfer.transfer.difficulty import DIFFICULTIES
from styletransfer.transfer.figures import Tune, draw_figures, library_of
from styletransfer.transfer.request import request_of
from tests.test_grammar import placed, playable, random_line
from tests.tiny import codec, random_piece


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_whatever_is_drawn_keeps_to_the_limits(name: str, level: str) -> None:
    limits = DIFFICULTIES[level]
    piece = example(name)
    qpm = piece.tempo.quarters_per_minute()
    plan = limits.limit(plan_of(codec(), codec().grid(piece)), qpm)
    assert plan.gap <= limits.seconds * STEPS_PER_QUARTER * qpm / 60 < plan.gap + 1

    for seed in range(2):
        line, _ = random_line(plan, seed)
        notes = placed(line)
        tune = set(zip(*(row.tolist() for row in plan.locked_notes[::2]), strict=True))
        own = sorted({now for now, event in notes if (now, event.pitch) not in tune})
        assert own
        assert all(later - now >= plan.gap for now, later in pairwise(own))
        for now in {now for now, _ in notes}:
            sounding = {e.pitch for begin, e in notes if begin <= now < begin + e.duration}
            assert playable(sounding, plan.span, limits.fingers)


def test_easy_music_is_in_eighths() -> None:
    plan = plan_of(codec(), codec().grid(example("twinkle")))
    places = np.flatnonzero(DIFFICULTIES["easy"].limit(plan, 60).subdivision)
    assert places.tolist() == [0, 12]
    assert DIFFICULTIES["hard"].limit(plan, 60).subdivision.tolist() == plan.subdivision.tolist()


def test_the_gap_of_a_performance_is_in_seconds() -> None:
    plan = plan_of(codec(), codec().grid(random_piece(1, "performance", 40)))
    easy = DIFFICULTIES["easy"].limit(plan, 60)
    assert easy.gap == int(0.45 * STEPS_PER_SECOND)
    assert easy.subdivision.all()


def test_figures_suit_the_difficulty() -> None:
    """A slow figure, a fast one and full chords are offered.

    The one with the most onsets is hard.
    """
    slow = [(0, 12, 48), (24, 12, 52), (48, 12, 55), (72, 12, 52)]
    fast = [(6 * k, 6, 48 + k) for k in range(16)]
    full = [(0, 48, pitch) for pitch in (36, 43, 48, 52, 55, 60, 64)]
    notes = [(number, *note) for number, own in enumerate((slow, fast, full)) for note in own]
    row = {
        "metre": "BAR_4/4",
        "length": 96,
        "composer": "mozart",
        "era": "classical",
        "tune": "part",
        "quarters_per_minute": 120.0,
        "tonic": 0,
    }
    library = library_of([row] * 3, np.array(notes, np.int16))
    base = Tune("part", "BAR_4/4", 96, 120.0, Key(0, "major"))

    def drawn(level: str) -> set[tuple[Event, ...]]:
        tune = replace(base, difficulty=DIFFICULTIES[level], gap=11 if level == "easy" else 0)
        return set(draw_figures("mozart", "classical", tune, 1, 0, library))

    assert drawn("easy") == {library.events(0, 0)}
    assert drawn("hard") == {library.events(1, 0)}
    for seed in range(8):
        tune = replace(base, difficulty=DIFFICULTIES["medium"], gap=0)
        (found,) = draw_figures("mozart", "classical", tune, 1, seed, library)
        assert found != library.events(2, 0)


def test_an_unknown_difficulty_is_refused() -> None:
    with pytest.raises(InputError, match="easy"):
        request_of("twinkle", "bach", difficulty="virtuoso")
    with pytest.raises(InputError, match="--span"):
        request_of("twinkle", "bach", span="huge")
