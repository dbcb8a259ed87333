"""What is reported about an arrangement while it is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from styletransfer.formats.midi_out import midi_bytes
from styletransfer.music.notes import NoteTable, Piece
from styletransfer.transfer.pipeline import apply
from styletransfer.transfer.request import request_of


@dataclass
class Listener:
    """Keeps all that it hears: bars by phrase, candidate and number."""

    melody: list[Piece] = field(default_factory=list)
    bars: dict[tuple[int, int, int], NoteTable] = field(default_factory=dict)
    picks: list[tuple[int, int]] = field(default_factory=list)

    def tune(self, melody: Piece) -> None:
        self.melody.append(melody)

    def bar(self, phrase: int, candidate: int, bar: int, notes: NoteTable, time: Piece) -> None:
        assert (phrase, candidate, bar) not in self.bars
        self.bars[phrase, candidate, bar] = notes

    def chosen(self, phrase: int, candidate: int) -> None:
        self.picks.append((phrase, candidate))


@pytest.mark.parametrize("feel", ["score", "performance"])
def test_bars_are_heard_as_they_come_out(tiny_package: Path, feel: str) -> None:
    """Each bar of each candidate is reported once, as it is in the arrangement, whose bytes are the
    same as without a listener.
    """
    request = request_of("greensleeves", "bach", tiny_package, candidates=2, feel=feel)
    live = Listener()
    result = apply(request, live=live)
    assert midi_bytes(result.piece) == midi_bytes(apply(request).piece)

    report, count = result.report, len(result.piece.bars)
    assert len(live.melody) == 1
    assert len(live.melody[0].notes) == report["melody_notes"]
    assert live.picks == [(k, row["candidate"]) for k, row in enumerate(report["phrases"])]
    assert {(candidate, bar) for _, candidate, bar in live.bars} == {
        (candidate, bar) for candidate in range(2) for bar in range(count)
    }
    picked = dict(live.picks)
    rows = [notes for (phrase, one, _), notes in live.bars.items() if picked[phrase] == one]
    heard = np.concatenate(rows)
    final = result.piece.notes[~result.piece.notes["melody"]]
    assert len(final)
    np.testing.assert_array_equal(np.sort(heard["pitch"]), np.sort(final["pitch"]))
    late = 0.05  # of a quarter: a pianist's hand comes a trifle after the beat
    gap = np.abs(np.sort(heard["onset"]) - np.sort(final["onset"]))
    assert gap.max(initial=0.0) <= (late if feel == "performance" else 1e-3)
