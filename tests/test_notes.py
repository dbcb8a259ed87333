"""The note table: ends of notes, the accompaniment, beats of a metre."""

import numpy as np
import pytest

from styletransfer.music.notes import (
    Piece,
    bars_of,
    bars_under,
    beat_of,
    is_compound,
    make_notes,
    note_ends,
)


@pytest.mark.parametrize(
    ("metre", "quarters"),
    [
        *(("6/8", 1.5), ("9/8", 1.5), ("12/8", 1.5), ("6/16", 0.75), ("12/16", 0.75)),
        *(("2/4", 1.0), ("4/4", 1.0), ("5/4", 1.0), ("2/2", 2.0), ("5/8", 0.5), ("7/8", 0.5)),
        *(("3/8", 0.5), ("3/4", 1.0), ("6/4", 1.0), ("9/4", 1.0), ("3/2", 2.0)),
    ],
)
def test_beats(metre: str, quarters: float) -> None:
    """Three eighths in 6/8, but none in 3/8; in 6/4 each quarter is a beat."""
    numerator, denominator = map(int, metre.split("/"))
    assert beat_of(numerator, denominator) == quarters
    assert is_compound(numerator, denominator) == (quarters * denominator == 12)


def test_compound_metres_of_all_bars_at_once() -> None:
    bars = bars_of([(0.0, 6, 8), (3.0, 3, 4), (6.0, 3, 8)], 7.5)
    found = is_compound(bars["numerator"].astype(int), bars["denominator"].astype(int))
    assert found.tolist() == [True, False, False]


def test_ends_and_accompaniment() -> None:
    notes = make_notes([0.0, 0.0, 1.0], [4.0, 1.0, 0.5], [48, 72, 74], melody=[False, True, True])
    piece = Piece(notes, "score", bars_of([(0.0, 2, 4)], 8.0))
    assert note_ends(notes).tolist() == [4.0, 1.0, 1.5]
    assert note_ends(notes[:0]).shape == (0,)
    assert piece.accompaniment["pitch"].tolist() == [48]
    assert piece.melody["pitch"].tolist() == [72, 74]
    np.testing.assert_array_equal(bars_under(piece.bars, piece.melody)["start"], [0.0])
