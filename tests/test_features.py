"""Test the features of each token, from the tokens before it.

A model without plans has fewer.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from styletransfer.data.batches import MixtureConfig, Windows
from styletransfer.data.library import Library
from styletransfer.model.decoder import Decoder
from styletransfer.model.features import FeatureEmbedding, followed
from styletransfer.model.weights import ModelConfig, Weights
from styletransfer.tokens.codec import FROM_FIGURE, Chord, Event, Grid
from styletransfer.tokens.controls import CHORDS, Controls
from styletransfer.tokens.figures import figures_of, references_of
from styletransfer.tokens.follower import DISTANCES, NEW, UNTOLD, Follower, TokenLists
from tests.tiny import codec, random_piece, tiny_model

NAMES = (
    *(
        "step",
        "next_pitch",
        "distance",
        "last_pitch",
        "last_duration",
        "key",
        "era",
        "composer",
        "tune",
    ),
    *("chord", "bass", "next_chord", "chord_distance", "offset", "left", "again", "duration"),
)
HEAD = Controls("score", "baroque", "bach", key="C-major", tune="part").tokens()


def lists() -> TokenLists:
    return TokenLists.of(sorted(codec().vocabulary, key=codec().vocabulary.__getitem__))


def told(ids: list[int]) -> list[dict[str, int]]:
    """Return the features after each token, by name."""
    follower = Follower(lists())
    return [dict(zip(NAMES, follower.push(index), strict=True)) for index in ids]


def song() -> Grid:
    """Make two bars of 4/4: a tune of two notes a bar over a bass and an offbeat.

    Both bars have the same figure, on C and then on G7.
    """
    rows = [(0, 48, 72, True), (0, 24, 48, False), (24, 24, 55, False), (48, 48, 74, True)]
    rows += [(96, 48, 71, True), (96, 24, 43, False), (120, 24, 53, False), (144, 48, 72, True)]
    onset, duration, pitch, melody = (
        np.array(column) for column in zip(*sorted(rows), strict=True)
    )
    chords = ((Chord(0, 0, 0, 0),), (Chord(0, 7, 4, 7), Chord(48, 0, 0, 0)))
    bars = np.array([0, 96]), np.array([96, 96]), ("BAR_4/4", "BAR_4/4")
    return Grid(
        "score", onset, duration, pitch, np.full(8, 15), melody.astype(bool), *bars, chords, (0, 1)
    )


def test_place_melody_and_style_follow_from_the_tokens() -> None:
    """They are worked out by hand for the first bar."""
    ids, _ = codec().encode(song(), HEAD, with_melody=True)
    bar = ids.index(codec().bar_ids["BAR_4/4"])
    after = told(ids)
    assert (after[bar]["next_pitch"], after[bar]["distance"], after[bar]["step"]) == (72, 0, 0)
    assert after[bar]["composer"] == codec().vocabulary["COMPOSER_bach"]
    assert after[bar]["tune"] == codec().vocabulary["TUNE_part"]

    shift = next(k for k in range(bar, len(ids)) if codec().kind_of(ids[k]) == ("shift", 24))
    assert (after[shift]["step"], after[shift]["next_pitch"], after[shift]["distance"]) == (
        24,
        74,
        24,
    )
    assert (after[shift]["last_pitch"], after[shift]["last_duration"]) == (72, 48)


def test_chords_are_known_where_they_sound_and_before_they_come() -> None:
    """They are the chord now, the next one, and the steps to it, over the bar line, too.

    There is nothing before the first bar.
    """
    ids, _ = codec().encode(song(), HEAD, with_melody=True)
    after = told(ids)
    first, second = (k for k, index in enumerate(ids) if index == codec().bar_ids["BAR_4/4"])
    c_major, g_seventh = (
        CHORDS.index("CHORD_0:major") + 1,
        CHORDS.index("CHORD_7:dominant-seventh") + 1,
    )

    assert (after[0]["chord"], after[0]["chord_distance"]) == (0, DISTANCES - 1)
    assert (after[first]["chord"], after[first]["bass"]) == (c_major, 1)
    assert (after[first]["next_chord"], after[first]["chord_distance"]) == (g_seventh, 96)
    assert (after[second]["chord"], after[second]["bass"]) == (g_seventh, 8)
    assert (after[second]["next_chord"], after[second]["chord_distance"]) == (c_major, 48)
    half = next(k for k in range(second, len(ids)) if after[k]["step"] == 48)
    assert (after[half]["chord"], after[half]["next_chord"]) == (c_major, 0)


def test_the_bar_that_is_followed_is_known_note_by_note() -> None:
    """The second bar follows the first: a bass on the beat, and a note seven semitones above it
    after a quarter.
    """
    ids, _ = codec().encode(song(), HEAD, with_melody=True)
    after = told(ids)
    first, second = (k for k, index in enumerate(ids) if index == codec().bar_ids["BAR_4/4"])
    assert (after[first]["left"], after[first]["again"]) == (NEW, DISTANCES - 1)
    assert (after[second]["offset"], after[second]["left"], after[second]["again"]) == (1, 1, 24)
    assert after[second]["duration"] == 24

    pitch = second + 1  # the bass: nothing of the bar that is followed is left at this place
    assert codec().kind_of(ids[pitch]) == ("pitch", 43)
    assert (after[pitch]["offset"], after[pitch]["left"], after[pitch]["duration"]) == (0, 0, 24)
    shift = next(k for k in range(second, len(ids)) if after[k]["step"] == 24)
    assert (after[shift]["offset"], after[shift]["left"], after[shift]["again"]) == (
        8,
        1,
        DISTANCES - 1,
    )


def test_a_figure_at_the_head_can_be_followed() -> None:
    """A bar that follows it knows its notes; without references there are no such features."""
    figure = (Event(0, 12, 40, -1), Event(0, 12, 52, -1), Event(36, 12, 47, -1))
    ids, scored = codec().encode(
        replace(song(), references=(FROM_FIGURE, 1), figure=figure), HEAD, with_melody=True
    )
    after = told(ids)
    first = ids.index(codec().bar_ids["BAR_4/4"])
    assert (after[first]["offset"], after[first]["left"], after[first]["again"]) == (1, 2, 36)
    assert [codec().names[index] for index, one in zip(ids, scored, strict=True) if one][:3] != []
    assert codec().decode(ids) == codec().decode(codec().encode(song(), HEAD, with_melody=True)[0])

    ids, _ = codec().encode(replace(song(), references=(), chords=()), HEAD, with_melody=True)
    assert {row["left"] for row in told(ids)} == {UNTOLD}
    assert {row["chord"] for row in told(ids)} == {0}


def test_plan_and_reference_are_learnt_and_the_melody_is_not() -> None:
    """The loss has chords, basses and references, and neither the melody nor the mark of a plan."""
    ids, scored = codec().encode(song(), HEAD, with_melody=True)
    names = [codec().names[index] for index in ids]
    counted = {name.split("_")[0] for name, one in zip(names, scored, strict=True) if one}
    assert {"CHORD", "BASS", "REF", "Pitch", "Duration", "EOS"} <= counted
    assert not {"PLAN", "FEEL", "KEY", "FINAL"} & counted
    first_bar = names.index("BAR_4/4")
    chords = [k for k, name in enumerate(names) if name.startswith("CHORD_")]
    assert [scored[k] for k in chords] == [False, *[True] * (len(chords) - 1)], (
        "the first bar's chords are told"
    )
    assert not any(scored[: names.index("MELODY")])
    assert first_bar < names.index("Duration_1.0.24", first_bar)


def test_likeness_of_figures() -> None:
    """The same figure a fifth lower is followed, another rhythm isn't;
    among equals the nearest is.
    """
    grid = song()
    assert references_of(figures_of(codec(), grid)) == (0, 1)
    other = replace(grid, onset=np.where(grid.onset == 120, 114, grid.onset))
    figures = figures_of(codec(), other)
    assert references_of(figures) == (0, 0)
    assert references_of([figures[0], figures[1], figures[0], figures[0]]) == (0, 0, 2, 1)


@pytest.mark.parametrize("groups", [0, 1])
def test_decoding_sees_what_training_sees(groups: int) -> None:
    """The decoder's logits are the model's, even with heads that share keys and values."""
    grid = codec().grid(random_piece(3, "score"))
    chords = tuple((Chord(0, bar % 12, bar % 9, bar % 12),) for bar in range(grid.bars))
    grid = replace(grid, chords=chords, references=references_of(figures_of(codec(), grid)))
    ids = codec().encode(grid, HEAD, with_melody=True)[0][:200]
    model = tiny_model(groups=groups)
    weights = Weights(model.sizes, model.names)
    weights.load_state_dict(model.state_dict())
    decoder = Decoder([weights], 1)
    with torch.inference_mode():
        whole = model(input_ids=torch.tensor([ids])).logits[0]
        found = torch.cat(
            [decoder.start([ids[:100]]), *(decoder.step([[index]]) for index in ids[100:])]
        )
    torch.testing.assert_close(found, whole[99:], atol=0.05, rtol=0.02)


def test_a_vocabulary_without_plans_has_no_tables_for_them() -> None:
    """Older models without plans load as they are, and read the features that they know."""
    names = [
        name
        for name in lists_names()
        if not name.startswith(("PLAN", "FIGURE", "TUNE", "CHORD", "BASS", "REF"))
    ]
    embedding = FeatureEmbedding(8, names)
    assert not embedding.plans
    assert len(embedding.tables()) == 8
    assert embedding(followed(torch.tensor([[1, 5, 200]]), embedding.lists)).shape == (1, 3, 8)
    assert FeatureEmbedding(8, lists_names()).plans
    assert ModelConfig(groups=2).groups == 2


def test_windows_can_bring_their_features(tiny_data: Path) -> None:
    """They are those that the model would find, and so are its logits."""
    model = tiny_model(context=96)
    windows = Windows(Library.load(tiny_data), codec(), MixtureConfig(score_share=1.0), 96, 0)
    assert "features" not in windows[0]
    windows.lists = model.features.lists
    row = {name: torch.from_numpy(value)[None] for name, value in windows[0].items()}
    torch.testing.assert_close(row["features"], followed(row["input_ids"], windows.lists))
    with torch.inference_mode():
        given = model(input_ids=row["input_ids"], features=row["features"]).logits
        torch.testing.assert_close(given, model(input_ids=row["input_ids"]).logits)


def lists_names() -> list[str]:
    return sorted(codec().vocabulary, key=codec().vocabulary.__getitem__)
