"""Test the forty melodies of the transfer report.

All are there, single lines of whole bars, and not all alike.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from styletransfer.formats.read import read_song, read_tunes
from styletransfer.formats.tunes import EXAMPLES
from styletransfer.music.notes import Piece

FOLDER = Path(__file__).parents[1] / "eval" / "melodies"
PATHS = sorted(FOLDER.glob("*.abc"))
FIELDS = "XTCOMLQK"


def metre(piece: Piece) -> str:
    return f"{piece.bars[-1]['numerator']}/{piece.bars[-1]['denominator']}"


def field(path: Path, name: str) -> str:
    return next(
        line[2:]
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith(f"{name}:")
    )


def test_there_are_forty() -> None:
    assert len(PATHS) == 40
    assert len({field(path, "T") for path in PATHS}) == 40
    assert {path.stem for path in PATHS} & EXAMPLES.keys() == {
        "happy-birthday"
    }  # the others were listened to before


@pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
def test_one_line_in_whole_bars(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert "".join(line[0] for line in lines[: len(FIELDS)]) == FIELDS
    assert len(read_tunes(path)) == 1
    piece = read_song(str(path))
    notes, bars = piece.notes, piece.bars
    assert piece.feel == "score"
    assert not piece.remarks
    assert (notes["onset"][1:] >= notes["onset"][:-1] + notes["duration"][:-1] - 1e-9).all(), (
        "two notes sound together"
    )
    full = 4 * bars["numerator"] / bars["denominator"]
    np.testing.assert_allclose(bars["length"], full)
    written = len([bar for bar in "".join(lines[len(FIELDS) :]).strip("|]: ").split("|") if bar])
    assert len(bars) == written * (
        2 if "|:" in lines[len(FIELDS)] else 1
    )  # no bar has more or less than its metre
    assert 8 <= len(bars) - (bars["start"][0] < 0) <= 32
    assert notes["pitch"].min() >= 55
    assert notes["pitch"].max() <= 84
    assert 7 <= np.ptp(notes["pitch"]) <= 21
    assert len(notes) >= 25


def test_they_differ() -> None:
    pieces = [read_song(str(path)) for path in PATHS]
    metres = Counter(map(metre, pieces))
    assert set(metres) == {"2/4", "3/4", "4/4", "6/8"}
    assert min(metres.values()) >= 5
    keys = Counter(piece.key_signatures[0][1:] for piece in pieces)
    assert len(keys) >= 9
    named = Counter(field(path, "K")[-3:].lstrip("ABCDEFGb") for path in PATHS)
    assert named["m"] >= 5  # minor
    assert named["dor"] >= 3
    assert sum(piece.bars["start"][0] < 0 for piece in pieces) >= 10  # pick-ups


def test_a_melody_that_everyone_knows() -> None:
    """Silent Night, in B flat: the first two bars, in eighths."""
    notes = read_song(str(FOLDER / "silent-night.abc")).notes[:4]
    assert notes["pitch"].tolist() == [65, 67, 65, 62]
    assert (notes["duration"] * 2).tolist() == [1.5, 0.5, 1, 3]
