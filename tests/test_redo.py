"""Rewrite some bars of an earlier arrangement, with ``--bars``.

Every other note stays, to the tick.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from styletransfer.formats.midi_out import note_ticks, write_midi
from styletransfer.formats.read import read_score
from styletransfer.music.notes import Piece
from styletransfer.tokens.codec import FREE_BAR_STEPS, STEPS_PER_SECOND
from tests.command import ONE, Run, refused
from tests.tiny import random_piece, short_song

Row = tuple[str, int, int, int, int]


def rows(piece: Piece) -> set[Row]:
    """Return every note: part, ticks of onset and end, pitch, velocity."""
    onset, end = note_ticks(piece.notes, piece.ticks_per_quarter)
    notes = piece.notes
    columns = (onset.tolist(), end.tolist(), notes["pitch"].tolist(), notes["velocity"].tolist())
    return set(zip([piece.parts[part] for part in notes["part"]], *columns, strict=True))


def bar_of(piece: Piece, row: Row) -> int:
    """Return the bar of a note, from 1: of 3/4 from the start, or of two seconds."""
    quarter = row[1] / piece.ticks_per_quarter
    if piece.feel == "score":
        return int(quarter // 3) + 1
    return (
        int(float(piece.tempo.to_seconds(quarter)) * STEPS_PER_SECOND + 0.5) // FREE_BAR_STEPS + 1
    )


@pytest.mark.parametrize(
    ("feel", "bars"), [("score", "2-3"), ("score", "1"), ("score", "4"), ("performance", "2")]
)
def test_only_these_bars_change(
    feel: Any, bars: str, run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    write_midi(random_piece(3, feel, 12), tmp_path / "song.mid")
    common = ("-s", "bach", "--model", tiny_package, *ONE)
    assert run("apply", "song.mid", *common, "--feel", feel).code == 0

    before = read_score(tmp_path / "song-bach.mid", feel)
    outcome = run(
        "apply", "song-bach.mid", *common, "--bars", bars, "--seed", "5", "-o", "new.mid", "--json"
    )
    assert outcome.err == ""

    report = json.loads(outcome.out)
    after = read_score(tmp_path / "new.mid", feel)
    first, last = int(bars[0]), int(bars[-1])
    changed = rows(before) ^ rows(after)
    assert changed
    assert all(first <= bar_of(before, row) <= last and row[0] != "Melody" for row in changed)
    assert report["melody_notes_kept"] == report["melody_notes"]
    assert report["bars"] == bars
    assert run("replay", "new.json", "--check").code == 0

    (tmp_path / "song-bach.json").unlink()  # what it held is in the new sidecar
    assert run("replay", "new.json", "--check").code == 0

    write_midi(before, tmp_path / "song-bach.mid", force=True)
    (tmp_path / "song-bach.mid").write_bytes((tmp_path / "song-bach.mid").read_bytes() + b"x")
    refused(run("replay", "new.json", "--check"), "the song (")


def test_what_was_played_on_beats_stays_on_them(
    run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    """Where the first run's option was repeated, everything was read in seconds.

    Bars, pedal and other notes were lost.
    """
    write_midi(random_piece(3, "score", 12), tmp_path / "song.mid")
    common = ("-s", "bach", "--model", tiny_package, *ONE)
    assert run("apply", "song.mid", *common, "--feel", "performance").code == 0

    for number, more in enumerate(
        ((), ("--feel", "performance"), ("--feel", "score"), ("--score", "x.musicxml"))
    ):
        outcome = run(
            "apply",
            "song-bach.mid",
            *common,
            "--bars",
            "2",
            "--seed",
            "5",
            "-o",
            f"{number}.mid",
            *more,
        )
        assert (outcome.code, outcome.err) == (0, "")
    first, *others = ((tmp_path / f"{number}.mid").read_bytes() for number in range(4))
    assert all(other == first for other in others)
    assert (tmp_path / "x.musicxml").stat().st_size > 1000

    before = (tmp_path / "song-bach.json").read_bytes()
    refused(
        run("apply", "song-bach.mid", *common, "--bars", "2", "-o", "song-bach.midi", "--force"),
        "one of the inputs",
    )
    assert (tmp_path / "song-bach.json").read_bytes() == before


def test_music_after_the_tune_stays_on_the_page(
    run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    """The score ended with the tune, and all later notes were piled up on its last beat."""
    write_midi(random_piece(3, "score", 12), tmp_path / "song.mid")
    common = ("-s", "bach", "--model", tiny_package, *ONE)
    assert (
        run(
            "apply",
            "song.mid",
            *common,
            "--mode",
            "continue",
            "--seconds",
            "6",
            "--score",
            "a.musicxml",
        ).code
        == 0
    )
    assert (
        run(
            "apply",
            "song-bach.mid",
            *common,
            "--bars",
            "2",
            "-o",
            "new.mid",
            "--score",
            "b.musicxml",
        ).code
        == 0
    )

    pages = [
        (tmp_path / name).read_text().count("<measure ") for name in ("a.musicxml", "b.musicxml")
    ]
    assert pages[0] == pages[1] > 4

    refused(
        run("apply", "song-bach.mid", *common, "--bars", "5", "-o", "x.mid"),
        "the tune has the bars 1 to 4",
    )


def test_what_is_no_earlier_output_is_refused(run: Run, tiny_package: Path, tmp_path: Path) -> None:
    short_song(tmp_path / "song.mid")
    common = ("-s", "bach", "--model", tiny_package, *ONE)
    refused(run("apply", "song.mid", *common, "--bars", "1"), "song.mid", "no sidecar")
    refused(
        run("apply", "song.mid", *common, "--bars", "1", "--feel", "score"),
        "song.mid",
        "isn't an arrangement",
    )
    assert run("apply", "song.mid", *common).code == 0
    for bars in ("0", "2", "1-2"):
        refused(
            run("apply", "song-bach.mid", *common, "--bars", bars),
            f"--bars {bars}",
            "the bars 1 to 1",
        )
    for bars in ("two", "3-2", "-1", "1-", ""):
        refused(run("apply", "song-bach.mid", *common, f"--bars={bars}"), "give one bar")


def test_a_pick_up_is_bar_0(run: Run, tiny_package: Path, tmp_path: Path) -> None:
    common = ("-s", "bach", "--model", tiny_package, *ONE)
    assert run("apply", "happy-birthday", *common).code == 0
    refused(run("apply", "happy-birthday-bach.mid", *common, "--bars", "9"), "bars 0 to 8")
    outcome = run("apply", "happy-birthday-bach.mid", *common, "--bars", "0", "-o", "new.mid")
    assert (outcome.code, outcome.err) == (0, "")
    before, after = (read_score(tmp_path / name) for name in ("happy-birthday-bach.mid", "new.mid"))
    assert all(row[1] < before.ticks_per_quarter for row in rows(before) ^ rows(after))
