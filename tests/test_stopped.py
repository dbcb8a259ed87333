"""Stop with Ctrl-C: complete bars are kept, and the report names them.

If there are none, nothing is written.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from styletransfer.cli import app as cli
from styletransfer.formats.midi_out import write_midi
from styletransfer.formats.read import read_score
from styletransfer.music.notes import NoteTable
from tests.command import ONE, SONG_AFTER_BACH, Run, refused
from tests.tiny import random_piece

Interrupt = Callable[[float], None]


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Iterator[Interrupt]:
    """Send the signal of Ctrl-C when a share is done.

    Background processes are started so that they ignore it.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def at(share: float) -> None:
        @contextmanager
        def bar(title: str, quiet: bool) -> Iterator[Callable[[float], None]]:
            yield lambda done: os.kill(os.getpid(), signal.SIGINT) if done >= share else None

        monkeypatch.setattr(cli, "progress_bar", bar)

    yield at
    signal.signal(signal.SIGINT, before)


def test_what_is_done_stays(
    run: Run, interrupt: Interrupt, tiny_package: Path, tmp_path: Path
) -> None:
    """Four of eight bars are as they would be without the signal, and not a note follows them."""
    song = random_piece(7, "score", 24)
    write_midi(song, tmp_path / "song.mid")
    common = (*SONG_AFTER_BACH, "--model", tiny_package)
    assert run(*common, "-o", "whole.mid", "--all").code == 0
    interrupt(0.5)
    outcome = run(*common, "-o", "part.mid", "--all", "--json")
    assert (outcome.code, outcome.err) == (
        130,
        "styletransfer: stopped after bar 4; the bars up to there were written.\n",
    )
    report = json.loads(outcome.out)
    assert report["stopped_after_bar"] == 4
    assert report["melody_notes_kept"] == (song.melody["onset"] < 12).sum() < report["melody_notes"]

    def starts(name: str) -> set[tuple[float, int]]:
        notes = read_score(tmp_path / name).notes
        return set(notes[notes["onset"] < 12 - 1e-6][["onset", "pitch"]].tolist())

    outputs = [
        json.loads((tmp_path / f"{name}.json").read_text())["outputs"] for name in ("whole", "part")
    ]
    ranks = [{row["candidate"]: row["file"] for row in rows} for rows in outputs]
    for candidate in (0, 1):
        part = read_score(tmp_path / ranks[1][candidate])
        assert starts(ranks[0][candidate]) == starts(ranks[1][candidate])
        assert (part.notes["onset"] + part.notes["duration"]).max() <= 12 + 1e-6
    refused(run("replay", "part.json"), "part.json", "stopped after bar 4", "can't be made again")


def test_what_is_done_of_a_later_phrase_stays(
    run: Run, interrupt: Interrupt, tiny_package: Path, tmp_path: Path
) -> None:
    """Eighteen of 24 bars stay: the phrases that were chosen, and two bars of the third."""
    song = random_piece(7, "score", 72)
    write_midi(song, tmp_path / "song.mid")
    common = (*SONG_AFTER_BACH, "--model", tiny_package)
    assert run(*common, "-o", "whole.mid").code == 0
    interrupt(0.75)
    outcome = run(*common, "-o", "part.mid", "--json")
    assert outcome.code == 130
    report = json.loads(outcome.out)
    assert report["stopped_after_bar"] == 18
    assert [one["bars"] for one in report["phrases"]] == [[1, 8], [9, 16]]
    whole, part = (read_score(tmp_path / f"{name}.mid").notes for name in ("whole", "part"))

    def starts(notes: NoteTable) -> set[tuple[float, int]]:
        return set(notes[notes["onset"] < 48 - 1e-6][["onset", "pitch"]].tolist())

    assert starts(part) == starts(whole)
    assert 48 < part["onset"].max() < 54


def test_nothing_done_leaves_nothing(
    run: Run, interrupt: Interrupt, tiny_package: Path, tmp_path: Path
) -> None:
    write_midi(random_piece(7, "score", 24), tmp_path / "song.mid")
    interrupt(0.0)
    outcome = run("apply", "song.mid", "-s", "bach", "--model", tiny_package, *ONE)
    assert (outcome.code, outcome.out) == (130, "")
    assert [path.name for path in tmp_path.iterdir()] == ["song.mid"]


def test_several_songs_stop_at_the_first(
    run: Run, interrupt: Interrupt, tiny_package: Path, tmp_path: Path
) -> None:
    for name in ("a.mid", "b.mid"):
        write_midi(random_piece(7, "performance", 12), tmp_path / name)
    interrupt(0.5)
    outcome = run("apply", "a.mid", "b.mid", "-s", "bach", "--model", tiny_package, *ONE)
    assert outcome.code == 130
    assert "1 done, 0 failed" in outcome.out
    assert sorted(path.name for path in tmp_path.glob("*-bach.*")) == ["a-bach.json", "a-bach.mid"]


def test_the_bars_that_are_redone(
    run: Run, interrupt: Interrupt, tiny_package: Path, tmp_path: Path
) -> None:
    """If it is stopped after one of two bars, the other stays as in the earlier output."""
    write_midi(random_piece(7, "score", 24), tmp_path / "song.mid")
    common = ("-s", "bach", "--model", tiny_package, *ONE)
    assert run("apply", "song.mid", *common).code == 0
    interrupt(0.5)
    outcome = run(
        "apply", "song-bach.mid", *common, "--bars", "3-4", "--seed", "5", "-o", "new.mid"
    )
    assert outcome.code == 130
    assert "stopped after bar 3" in outcome.err
    before, after = (read_score(tmp_path / name).notes for name in ("song-bach.mid", "new.mid"))
    columns = ["onset", "duration", "pitch", "velocity"]
    changed = set(before[columns].tolist()) ^ set(after[columns].tolist())
    assert changed
    assert all(6 - 1e-6 <= row[0] < 9 for row in changed)


def test_the_music_after_the_tune(
    run: Run, interrupt: Interrupt, tiny_package: Path, tmp_path: Path
) -> None:
    """If it is stopped there, the arrangement is whole."""
    write_midi(random_piece(7, "score", 6), tmp_path / "song.mid")
    common = (
        "apply",
        "song.mid",
        "-s",
        "bach",
        "--model",
        tiny_package,
        *ONE,
        "--mode",
        "continue",
        "--seconds",
        "6",
    )
    interrupt(0.6)
    outcome = run(*common)
    assert outcome.code == 130
    assert "stopped after bar 3" in outcome.err
    report = json.loads((tmp_path / "song-bach.json").read_text())["report"]
    assert report["melody_notes_kept"] == report["melody_notes"]
