"""The example tunes, checked against music21's own reading of the same notation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from styletransfer.formats.tunes import EXAMPLES, example, parse_notation

COUNTS = {
    "auld-lang-syne": 56,
    "frere-jacques": 32,
    "greensleeves": 70,
    "happy-birthday": 25,
    "ode-to-joy": 62,
    "twinkle": 42,
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_music21_agrees(name: str) -> None:
    from music21 import converter

    tune, piece = EXAMPLES[name], example(name)
    text = f"tinyNotation: {tune.metre[0]}/{tune.metre[1]} " + tune.notation.replace("|", " ")
    stream: list[Any] = list(converter.parse(text).stripTies().flatten().notes)
    assert len(stream) == len(piece.notes) == COUNTS[name]
    assert [int(n.pitch.midi) for n in stream] == piece.notes["pitch"].tolist()
    np.testing.assert_allclose([float(n.quarterLength) for n in stream], piece.notes["duration"])
    np.testing.assert_allclose([float(n.offset) for n in stream], piece.notes["onset"])


@pytest.mark.parametrize("name", EXAMPLES)
def test_bars_are_full(name: str) -> None:
    """Each written bar fills its metre; a pick-up and the last bar make one together."""
    tune, piece = EXAMPLES[name], example(name)
    lengths = []
    for measure in tune.measures:
        rows = parse_notation(measure.replace("~", ""))
        lengths.append(float(rows[-1][0] + rows[-1][1]))
    full = 4 * tune.metre[0] / tune.metre[1]
    pick_up = lengths[0] < full
    assert set(lengths[1:-1]) == {full}
    assert lengths[0] + lengths[-1] == (full if pick_up else 2 * full)
    assert len(piece.bars) == len(tune.measures)
    assert piece.bars["start"][0] == (lengths[0] - full if pick_up else 0)
    assert set(piece.bars["length"].tolist()) == {full}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_tune_is_marked_as_melody_and_in_key(name: str) -> None:
    piece = example(name)
    assert piece.feel == "score"
    assert piece.melody.size == piece.notes.size
    assert piece.parts == ("melody",)
    fifths, minor = EXAMPLES[name].key
    tonic = (7 * fifths + (9 if minor else 0)) % 12
    assert piece.notes["pitch"][-1] % 12 == tonic
    assert (
        np.isin((piece.notes["pitch"].astype(int) - 7 * fifths) % 12, [0, 2, 4, 5, 7, 9, 11]).mean()
        > 0.8
    )  # Greensleeves raises its sixth and seventh


def test_happy_birthday_as_everyone_knows_it() -> None:
    notes = example("happy-birthday").notes
    assert notes["pitch"][:6].tolist() == [60, 60, 62, 60, 65, 64]
    assert notes["duration"][:6].tolist() == [0.75, 0.25, 1, 1, 1, 2]
    assert notes["pitch"].max() == 72


def test_the_ode_is_tied_over_the_bar() -> None:
    notes = example("ode-to-joy").notes
    tied = notes[notes["onset"] == 47]
    assert tied["pitch"].tolist() == [66]
    assert tied["duration"].tolist() == [2]


def test_notation_that_makes_no_sense_is_refused() -> None:
    for text in ("h4", "c.", "c4 d?"):
        with pytest.raises(ValueError, match=r"note|dot"):
            parse_notation(text)
