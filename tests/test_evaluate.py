"""Test ``styletransfer evaluate``: its reports on files and styles.

Made-up judges use only the register.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from styletransfer.cli import app as cli
from styletransfer.errors import InputError
from styletransfer.evaluation import assessment
from styletransfer.evaluation.assessment import COMPOSERS, ERAS, assess
from styletransfer.evaluation.judges.blocks import NAMES
from styletransfer.evaluation.judges.judge import Judge, save_judge
from styletransfer.evaluation.measures.originality import NgramIndex
from styletransfer.formats.midi_out import write_midi
from styletransfer.formats.read import read_song
from styletransfer.music.ngrams import sequence_of
from tests.tiny import random_piece

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def made_up_judges(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Install judges whose every feature speaks for the first label."""
    folder = tmp_path_factory.mktemp("judges")
    for name, labels in ((COMPOSERS, ("bach", "chopin")), (ERAS, ("baroque", "romantic"))):
        columns = np.arange(len(NAMES))
        weights = np.stack([np.full(len(columns), 0.01), np.zeros(len(columns))], axis=1).astype(
            np.float32
        )
        layer = (weights, np.zeros(2, np.float32))
        save_judge(
            Judge(name, labels, columns, np.zeros(len(columns), np.float32), 1.0, (layer,)), folder
        )
    monkeypatch.setattr("styletransfer.evaluation.judges.judge.FOLDER", folder)
    assessment._judge.cache_clear()
    yield
    assessment._judge.cache_clear()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["styletransfer", "evaluate", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as end:
            return int(end.code or 0), *capsys.readouterr()
        return 0, *capsys.readouterr()

    return call


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """Return a training piece of the tiny data set."""
    write_midi(random_piece(4, "score"), tmp_path / "song.mid")
    return tmp_path / "song.mid"


def test_an_octave_higher_is_the_same_tune() -> None:
    piece = random_piece(1, "score")
    notes = piece.notes.copy()
    notes["pitch"] += 12
    found = assess(piece.with_notes(notes), original=piece, label="chopin")
    assert (found.melody_f1, found.semitones) == (1.0, 12)
    assert sum(found.composers.values()) == pytest.approx(1)
    assert list(found.composers) == ["bach", "chopin"]  # the likeliest first
    assert set(found.evidence) == {"bach", "chopin", "baroque"}
    assert found.longest_match_notes is None


def test_a_copy_is_found_in_any_transposition() -> None:
    piece, other = random_piece(1, "score"), random_piece(2, "score")
    index = NgramIndex.build(["it"], [sequence_of(piece, given_melody=False)], "intervals")
    notes = piece.notes.copy()
    notes["pitch"] += 3
    copied = assess(piece.with_notes(notes), index=index)
    assert (copied.longest_match_notes, copied.longest_match_in) == (len(piece.notes), "it")
    assert assess(other, index=index).longest_match_notes == 0


def test_files_are_assessed(run: Run, song: Path) -> None:
    code, out, _ = run(song, "--style", "chopin", "--original", song, "--json")
    report = json.loads(out)
    assert code == 0
    assert set(report["composers"]) == {"bach", "chopin"}
    assert set(report["eras"]) == {"baroque", "romantic"}
    assert report["style_probability"] == report["composers"]["chopin"]
    assert report["melody_f1"] == 1
    assert (
        0 <= report["longest_match_notes"] < len(read_song(song).notes)
    )  # in the training pieces of the shipped weights
    assert report["longest_match_in"] is None
    assert isinstance(json.loads(run(song, song, "--json")[1]), list)
    code, out, _ = run(song, "--original", song)
    assert "composer     bach" in out
    assert "melody kept  F1 1.00" in out


def test_copies_are_looked_for_in_prepared_data(run: Run, song: Path, tiny_data: Path) -> None:
    for _ in range(2):  # the second time with the index that the first one kept
        code, out, _ = run(song, "--data", tiny_data, "--json")
        assert code == 0
        assert json.loads(out)["longest_match_notes"] > 12  # it is one of the pieces


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "files to evaluate"),
        (("song.mid", "--style", "sorabji"), "no such style"),
        (("song.mid", "--style", "grieg"), None),
        (("song.mid", "--melodies", "."), "--melodies needs"),
        (("--melodies", ".", "--style", "bach"), "no melody"),
        (("none.mid",), "none.mid"),
    ],
)
def test_mistakes(
    run: Run,
    arguments: tuple[str, ...],
    words: str | None,
    song: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    if "song.mid" not in arguments:
        song.unlink()
    code, _, err = run(*arguments)
    if words is None:  # a composer that the judges don't know is heard as his era
        assert code == 0
    else:
        assert code == 2
        assert words in err
        assert len(err.splitlines()) == 1


@pytest.mark.slow
def test_a_style_is_tried_on_melodies(run: Run, tmp_path: Path, tiny_package: Path) -> None:
    folder = tmp_path / "melodies"
    folder.mkdir()
    for number, name in enumerate(("a/tune.mid", "b/tune.mid")):  # two melodies, though of one name
        (folder / name).parent.mkdir()
        write_midi(random_piece(number, "score", 9), folder / name)

    (folder / "broken.mid").write_bytes(b"MThd")
    code, out, err = run(
        "--style",
        "chopin",
        "--melodies",
        folder,
        "--model",
        tiny_package,
        "--strength",
        "1",
        "--json",
    )
    assert code == 0, err

    report = json.loads(out)
    assert report["target"] == "chopin"
    assert report["melodies"] == ["a/tune.mid", "b/tune.mid"]
    assert report["left_out"][0][0] == "broken.mid"
    assert set(report["systems"]) == {"the melody alone", "no style", "the style"}
    assert report["systems"]["the style"]["melody_f1"][0] == 1

    low, value, high = (report["systems"]["the style"]["probability"][k] for k in (1, 0, 2))
    assert 0 <= low <= value <= high <= 1


def test_too_few_notes_are_not_judged() -> None:
    piece = random_piece(1, "score")
    with pytest.raises(InputError, match="too few"):
        assess(piece.with_notes(piece.notes[:5]))
