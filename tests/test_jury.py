"""Test a blind jury: songs to compare versions, its pages, its table of marks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval import jury, songs
from styletransfer.evaluation.songs import excerpt
from styletransfer.formats.midi_out import write_midi
from styletransfer.formats.read import read_score
from styletransfer.music.notes import Piece, TempoMap, bars_of, make_notes
from tests.source_folders import table


def song(seed: int, bars: int = 12, rest: int = 2) -> Piece:
    """Make a song in 3/4: two bars of the piano alone, then a tune in its own part.

    Chords are held over bar lines.
    """
    rng = np.random.default_rng(seed)
    count = 3 * bars
    pitch = 67 + np.cumsum(rng.integers(-4, 5, count)) % 12
    onset = [3.0 * rest + k for k in range(count)]
    tune = make_notes(onset, [1.0] * count, pitch, part=1)
    starts = [3.0 * k for k in range(bars + rest)]
    pitches = [pitch - 2 * (bar % 2) for bar in range(len(starts)) for pitch in (48, 53, 57)]
    chords = make_notes(np.repeat(starts, 3).tolist(), [4.0] * len(pitches), pitches)
    signatures = bars_of([(0.0, 3, 4)], 3.0 * (bars + rest))
    tempo = TempoMap(np.array([0.0, 9.0, 12.0]), np.array([0.5, 0.6, 0.7]))
    keys = ((0.0, 1, False), (9.0, 2, False))
    notes = np.concatenate([tune, chords])
    notes = notes[np.lexsort((notes["pitch"], notes["onset"]))]
    return Piece(notes, "score", signatures, tempo, parts=("Piano", "Voice"), key_signatures=keys)


@pytest.fixture
def archive(tmp_path: Path) -> tuple[Path, Path]:
    """Write a source of songs, and its data set.

    Three are for testing, one of them too short, and one for training.
    """
    from styletransfer.data.prepare import prepare

    folder, rows = tmp_path / "songs-archive", []
    for number, (composer, bars, split) in enumerate(
        [
            ("Franz Schubert", 12, "test"),
            ("Nobody", 12, "test"),
            ("Robert Franz", 5, "test"),
            ("Hugo Wolf", 12, "train"),
        ]
    ):
        file = f"folder{number}/{number}.mid"
        (folder / file).parent.mkdir(parents=True)
        write_midi(song(number, bars), folder / file)
        title = f"Lieder: {number + 1}. Nähe, Łódź"
        rows.append(
            {
                "file": file,
                "composer": composer,
                "title": title,
                "split": split,
                "era": "",
                "born": "",
                "died": "",
            }
        )
    table(folder / "metadata.csv", rows)  # type: ignore[arg-type]
    prepare([folder], tmp_path / "prepared", workers=1)
    return folder, tmp_path / "prepared"


def made(archive: tuple[Path, Path], out: Path, *more: str) -> dict[str, Any]:
    """Run the recipe on the archive, and return what it writes."""
    folder, data = archive
    assert (
        songs.main(
            ["--data", str(data), "--sources", str(folder), "--bars", "8", "--out", str(out), *more]
        )
        == 0
    )
    report: dict[str, Any] = json.loads((out / "songs.json").read_text())
    return report


def test_songs(archive: tuple[Path, Path], tmp_path: Path) -> None:
    """Eight bars from the voice's first, named and assigned to lists; songs that are too short are
    reported; two runs write the same bytes.
    """
    report = made(archive, tmp_path / "out")
    first, second = "folder1-2-nahe-lodz", "schubert-1-nahe-lodz"
    assert (
        list(report["songs"]) == sorted([*report["decision"], *report["final"]]) == [first, second]
    )
    assert report["left_out"] == {"too few bars": 1}
    assert (report["songs"][second]["style"], report["songs"][first]["style"]) == (
        "schubert",
        "romantic",
    )
    assert report["songs"][second]["metre"] == "3/4"

    whole = read_score(tmp_path / f"out/composer/{second}.mid", "score")
    tune = read_score(tmp_path / f"out/tunes/{second}.mid", "score")
    given = song(0)
    sung = given.notes[given.notes["part"] == 1][:24]
    assert whole.parts == ("Voice", "Piano")
    for notes in (tune.notes, whole.notes[whole.notes["part"] == 0]):
        np.testing.assert_array_equal(notes["pitch"], sung["pitch"])
        np.testing.assert_array_equal(notes["onset"], sung["onset"] - 6.0)
    assert (whole.notes["onset"] + whole.notes["duration"]).max() == 24.0
    assert whole.tempo.quarters.tolist() == [0.0, 3.0, 6.0]
    np.testing.assert_allclose(whole.tempo.seconds_per_quarter, [0.5, 0.6, 0.7], atol=1e-6)
    assert [key[:2] for key in whole.key_signatures] == [(0.0, 1), (3.0, 2)]

    made(archive, tmp_path / "again")
    for path in (tmp_path / "out").rglob("*.mid"):
        assert (
            path.read_bytes()
            == (tmp_path / "again" / path.relative_to(tmp_path / "out")).read_bytes()
        )


def test_songs_of_lists(
    archive: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Songs may have fewer bars if they are enough, and listed songs keep their names.

    Songs that were used before are avoided by name or id.
    """
    assert (
        made(archive, tmp_path / "six", "--fewest", "6")["songs"]["franz-3-nahe-lodz"]["bars"] == 6
    )
    (tmp_path / "used.txt").write_text("schubert-1-nahe-lodz\n")
    avoided = made(archive, tmp_path / "avoided", "--avoid", str(tmp_path / "used.txt"))
    assert (list(avoided["songs"]), avoided["left_out"]["used before"]) == (
        ["folder1-2-nahe-lodz"],
        1,
    )

    listed = tmp_path / "listed.json"
    listed.write_text(json.dumps({"songs": {"mine": {"piece": "songs-archive/folder0/0.mid"}}}))
    assert list(made(archive, tmp_path / "only", "--only", str(listed))["songs"]) == ["mine"]
    folder, data = archive
    command = [
        "--data",
        str(data),
        "--sources",
        str(folder),
        "--bars",
        "8",
        "--out",
        str(tmp_path / "none"),
    ]
    assert (
        songs.main(
            [*command, "--avoid", str(tmp_path / "used.txt"), str(tmp_path / "avoided/songs.json")]
        )
        == 2
    )
    assert "no such songs" in capsys.readouterr().err
    assert songs.main([*command[:-1], str(folder)]) == 2
    assert "name another folder" in capsys.readouterr().err


def test_what_is_no_song() -> None:
    """The tune isn't in a part of its own, the metre changes, the accompaniment rests, or the tune
    has too few notes.
    """
    piece = song(0)
    assert not isinstance(excerpt(piece, 8), str)
    assert (
        excerpt(piece.with_notes(piece.notes[piece.notes["part"] == 1]), 8)
        == "the tune is no part of its own"
    )
    assert excerpt(piece, 13) == "too few bars"
    sparse = piece.notes[(piece.notes["part"] == 1) | (piece.notes["onset"] < 20)]
    assert excerpt(piece.with_notes(sparse), 8) == "the accompaniment rests too much"
    changing = replace(piece, bars=bars_of([(0.0, 3, 4), (12.0, 2, 4)], 42.0))
    assert excerpt(changing, 8) == "the metre changes"
    tune = piece.notes[
        (piece.notes["part"] == 0) | (piece.notes["onset"] % 4 == 2) | (piece.notes["onset"] < 8)
    ]
    assert excerpt(piece.with_notes(tune), 8) == "too few notes in the tune"


def versions(tmp_path: Path) -> list[str]:
    """Write two songs with two versions each, a high chord and a low one.

    Returned are the arguments.
    """
    for name in ("one", "two"):
        tune = make_notes([0.0, 2.0, 4.0, 6.0], [2.0] * 4, [72, 74, 76, 72])
        for version, pitch in (("tunes", []), ("high", [64, 72]), ("low", [36, 43])):
            (tmp_path / version).mkdir(exist_ok=True)
            chord = make_notes([0.0] * len(pitch), [1.5] * len(pitch), pitch, part=1)
            whole = Piece(
                np.concatenate([tune, chord]),
                "score",
                bars_of([(0.0, 4, 4)], 8.0),
                parts=("Voice", "Piano"),
            )
            write_midi(whole.with_notes(whole.notes), tmp_path / version / f"{name}.mid")
    return [str(tmp_path / "tunes"), f"low={tmp_path / 'low'}", f"high={tmp_path / 'high'}"]


def test_pages(tmp_path: Path) -> None:
    """Pages show the notes in another key and don't name the version, which the key file does;
    notes that double the tune are left out.
    """
    out = tmp_path / "jury"
    assert jury.main(["pages", str(out), *versions(tmp_path)]) == 0
    key = json.loads((out / "key.json").read_text())
    assert key["versions"] == ["low", "high"]
    for number, names in key["pages"].items():
        page = (out / "pages" / f"{number}.txt").read_text()
        assert "low" not in page.replace("below", "")
        assert "high" not in page
        parts = page.split("Version ")[1:]
        lines = {names[part[0]]: part.split("\n")[2] for part in parts}
        assert parts[0].count("bar ") == 2
        low, high = (lines[name].split(" | ") for name in ("low", "high"))
        assert low[1] == high[1] != "C5:2"
        assert (len(low[3].split()), low[2]) == (2, "")
        assert (len(high[2].split()), high[3]) == (1, "")
    assert sorted(names["song"] for names in key["pages"].values()) == ["one", "two"]


def test_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both readers of two songs mark the high version one better on each axis: +1, with no width;
    missing marks are reported.
    """
    out = tmp_path / "jury"
    assert jury.main(["pages", str(out), *versions(tmp_path)]) == 0
    assert jury.main(["table", str(out)]) == 2
    assert "no jury-*.json" in capsys.readouterr().err

    pages = json.loads((out / "key.json").read_text())["pages"]
    answer: dict[str, Any] = {}
    for number, names in pages.items():
        own = {
            letter: dict.fromkeys(jury.AXES, 4 if name == "high" else 3)
            for letter, name in names.items()
            if letter != "song"
        }
        answer[number] = own | {
            "ranking": sorted(own, key=lambda letter: names[letter])
        }  # high, low
    for reader in (1, 2):
        (out / f"jury-{reader}.json").write_text(json.dumps(answer))

    assert jury.main(["table", str(out), "--write", str(tmp_path / "jury.json")]) == 0
    report = json.loads((tmp_path / "jury.json").read_text())
    assert report["less_first"] == {"high": {"value": 1.0, "low": 1.0, "high": 1.0, "groups": 2}}
    assert report["versions"]["high"] == dict.fromkeys((*jury.AXES, "mean"), 4.0) | {
        "rank": 1.0,
        "preferred_to_first": 4,
    }
    assert (
        "high less low: +1.00 (+1.00 to +1.00); preferred in 4 of 4 readings"
        in capsys.readouterr().out
    )

    del answer["1"]["A"]["texture"]
    (out / "jury-2.json").write_text(json.dumps(answer))
    assert jury.main(["table", str(out)]) == 2
    assert "page 1 lacks a mark" in capsys.readouterr().err
