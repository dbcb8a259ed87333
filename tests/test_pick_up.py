"""Pick-ups that a file writes as a first bar that begins with a rest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from styletransfer import StyleTransfer
from styletransfer.engraving.musicxml import musicxml_bytes
from styletransfer.engraving.page import lay_out
from styletransfer.formats.midi_out import midi_bytes
from styletransfer.formats.read import read_score
from styletransfer.music.notes import Piece, TempoMap, bars_of, make_notes
from styletransfer.music.pick_up import with_pick_up, with_rest
from styletransfer.transfer.inspection import describe
from tests.arrangements import elements


def song(first: list[tuple[float, float]], metre: tuple[int, int] = (4, 4)) -> Piece:
    """Make eight bars of quarters; the first has only these notes (onset, duration)."""
    full = 4 * metre[0] / metre[1]
    later = [(full + k, 1.0) for k in range(int(7 * full))]
    onset, duration = np.array([*first, *later]).T
    notes = make_notes(onset, duration, [60 + k % 5 for k in range(len(onset))])
    return Piece(
        notes,
        "score",
        bars_of([(0.0, *metre)], 8 * full),
        TempoMap(np.array([0.0, 6.0, 9.0]), np.array([0.5, 0.6, 0.4])),
        key_signatures=((0.0, 0, True), (8.0, 1, False)),
        pedals=((4.0, 6.0),),
        parts=("Tune",),
    )


@pytest.mark.parametrize(
    ("first", "metre", "lead"),
    [
        ([(3.0, 1.0)], (4, 4), 3.0),
        ([(2.0, 1.0), (3.0, 1.0)], (4, 4), 2.0),
        ([(2.5, 0.5)], (6, 8), 2.5),
        ([(3.0, 0.75)], (4, 4), 3.0),
        ([(1.0, 1.0), (2.0, 2.0)], (4, 4), 0.0),  # more music than silence
        ([(2.0, 0.25)], (4, 4), 0.0),  # it doesn't lead on to the bar line
        ([(0.0, 4.0)], (4, 4), 0.0),
    ],
)
def test_which_bars_are_pick_ups(
    first: list[tuple[float, float]], metre: tuple[int, int], lead: float
) -> None:
    piece = song(first, metre)
    found = with_pick_up(piece)
    assert found.lead == lead
    assert found.bars["start"][0] == -lead
    assert found.notes["onset"].min() == (0 if lead else first[0][0])
    assert found.onset_seconds == pytest.approx(piece.onset_seconds)
    assert found.length_seconds == pytest.approx(piece.length_seconds)


def test_what_is_written_is_the_file_again() -> None:
    piece = song([(3.0, 1.0)])
    assert midi_bytes(with_pick_up(piece)) == midi_bytes(piece)
    again = with_rest(with_pick_up(piece))
    assert again.notes.tolist() == piece.notes.tolist()
    assert again.bars.tolist() == piece.bars.tolist()
    assert again.key_signatures == piece.key_signatures
    assert again.pedals == piece.pedals


def test_songs_without_pick_ups_stay() -> None:
    piece = song([(3.0, 1.0)])
    late = piece.notes[piece.notes["onset"] != 4.0]
    assert with_pick_up(piece.with_notes(late)).lead == 0  # nothing on the first full bar's beat
    assert with_pick_up(replace(piece, feel="performance")).lead == 0
    short = replace(piece, bars=bars_of([(0.0, 1, 4), (1.0, 4, 4)], 32.0))
    assert with_pick_up(short) is short


def test_the_page_begins_with_a_short_bar() -> None:
    piece = with_pick_up(song([(3.0, 1.0)]))
    melody = piece.notes.copy()
    melody["melody"] = True
    data = musicxml_bytes(lay_out(piece.with_notes(melody)), "A title")
    first = elements(data, "measure")[0]
    assert (first.get("number"), first.get("implicit")) == ("0", "yes")
    assert len(first.findall("note")) == 2  # one in each staff, and no rest beside it
    assert not first.findall("note/rest") or len(first.findall("note/rest")) == 1


def test_inspect_has_no_chord_for_it() -> None:
    report, _ = describe(with_pick_up(song([(3.0, 1.0)])))
    assert report["pick_up_quarters"] == 1.0
    assert report["melody"][0]["onset_quarters"] == 3.0


def test_nothing_is_played_before_the_tune(tiny_package: Path, tmp_path: Path) -> None:
    (tmp_path / "song.mid").write_bytes(midi_bytes(song([(3.0, 1.0)])))
    music = StyleTransfer.from_pretrained(tiny_package).apply(
        tmp_path / "song.mid", "bach", candidates=1, keep_register=True
    )
    music.save(tmp_path / "out.mid")
    made, tune = read_score(tmp_path / "out.mid"), read_score(tmp_path / "song.mid").notes
    melody = made.notes[[made.parts[part] == "Melody" for part in made.notes["part"]]]
    for name in ("onset", "duration", "pitch"):
        assert melody[name].tolist() == tune[name].tolist()
    assert made.notes["onset"].min() == 3.0
    assert music.report["melody_notes_kept"] == len(tune)
