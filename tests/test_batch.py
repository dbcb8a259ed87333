"""Run ``apply`` with several songs, folders and styles, and with every candidate.

They check which files are written where, and what is reported as failed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from styletransfer.cli.apply import short_name
from styletransfer.cli.several import find_songs
from styletransfer.errors import InputError
from styletransfer.formats.read import read_score
from styletransfer.transfer.ranking import rank
from tests.command import ONE, Outcome, Run, refused
from tests.tiny import short_song

ABC = "X:1\nM:3/4\nL:1/4\nK:C\nceg|c'3|]\n"


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """Make a folder of three songs, one in a sub-folder, and files of other kinds.

    One of the files is broken.
    """
    folder = tmp_path / "songs"
    (folder / "more").mkdir(parents=True)
    (folder / ".git").mkdir()
    short_song(folder / "a.mid")
    short_song(folder / "more" / "a.mid")
    short_song(folder / ".git" / "hidden.mid")
    (folder / "._a.mid").write_bytes(b"a resource fork")
    (folder / "b.abc").write_text(ABC)
    (folder / "broken.mid").write_bytes(b"this is no music")
    (folder / "notes.txt").write_text("this is no music either")
    return folder


def written(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_folder_in_several_styles(
    songs: Path, run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    """The broken song fails in both styles, the others are arranged, and sub-folders are kept."""
    styles = ("-s", "bach", "-s", "chopin:3,bach")
    outcome = run(
        "apply", "songs", *styles, "-o", "out/new", "--model", tiny_package, *ONE, "--plot", "rolls"
    )
    assert outcome.code == 2
    assert outcome.out.splitlines()[-1] == "6 done, 2 failed"
    assert len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith("styletransfer: songs/broken.mid: ")
    names = [
        f"{song}-{style}"
        for song in ("a", "b", "more/a")
        for style in ("bach", "chopin-0.75-bach-0.25")
    ]
    files = [f"{name}{suffix}" for name in names for suffix in (".mid", ".json")]
    assert written(tmp_path / "out" / "new") == sorted([*files, "arrangements.jsonl"])
    assert written(tmp_path / "rolls") == sorted(f"{name}.png" for name in names)
    assert read_score(tmp_path / "out/new/b-bach.mid").parts[0] == "Melody"
    told = {line.split("  ")[0] for line in outcome.out.splitlines()[:-1]}
    assert told == {f"out/new/{name}.mid" for name in names}


def test_several_are_as_each_alone(
    songs: Path, run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    """They lie in the current folder by default; the exit code is 0 if all were arranged."""
    command = ("--model", tiny_package, *ONE, "--seed", "3")
    outcome = run("apply", songs / "a.mid", songs / "b.abc", "-s", "bach", *command)
    assert (outcome.code, outcome.err, outcome.out.splitlines()[-1]) == (0, "", "2 done, 0 failed")
    assert run("apply", songs / "b.abc", "-s", "bach", *command, "-o", "alone.mid").code == 0
    assert (tmp_path / "alone.mid").read_bytes() == (tmp_path / "b-bach.mid").read_bytes()
    assert run("replay", "a-bach.json", "--check").code == 0


def test_names_never_collide(songs: Path, run: Run, tiny_package: Path, tmp_path: Path) -> None:
    """Songs with the same name get different outputs.

    Also if the names differ only in capitals, which many file systems don't distinguish.
    """
    short_song(songs / "A.MID")
    (songs / "a.abc").write_text(ABC)
    given = [
        songs / "a.mid",
        songs / "more" / "a.mid",
        songs / "A.MID",
        songs / "a.abc",
        songs / "a.mid",
    ]
    outcome = run("apply", *given, "-s", "bach", "-o", "out", "--model", tiny_package, *ONE)
    assert (outcome.code, outcome.out.splitlines()[-1]) == (0, "4 done, 0 failed")

    sidecars = {
        path.name: json.loads(path.read_text())["settings"]["song"]
        for path in (tmp_path / "out").glob("*.json")
    }
    assert sidecars == {
        "a-bach.json": str(songs / "a.mid"),
        "a-2-bach.json": str(songs / "more" / "a.mid"),
        "A-3-bach.json": str(songs / "A.MID"),
        "a-4-bach.json": str(songs / "a.abc"),
    }


def test_arrangements_made_before_are_no_songs(songs: Path, run: Run, tiny_package: Path) -> None:
    command = ("--model", tiny_package, "--strength", "1", "--candidates", "2")
    assert (
        run("apply", songs / "a.mid", "-s", "bach", *command, "-o", songs / "a-bach.mid").code == 0
    )
    assert (
        run(
            "apply", songs / "b.abc", "-s", "bach", *command, "-o", songs / "b-bach.mid", "--all"
        ).code
        == 0
    )
    found, failures = find_songs([str(songs)])
    assert list(found.values()) == ["a", "b", "broken", "more/a"]
    assert failures.rows == []
    found, _ = find_songs([str(songs / "b-bach-2.mid")])  # where it is named, it is a song
    assert list(found.values()) == ["b-bach-2"]


def test_json_is_one_list(songs: Path, run: Run, tiny_package: Path, tmp_path: Path) -> None:
    short_song(tmp_path / "a-bach.mid")
    before = (tmp_path / "a-bach.mid").read_bytes()
    outcome = run(
        "apply", "songs", "missing.mid", "-s", "bach", "--model", tiny_package, *ONE, "--json"
    )
    assert (outcome.code, outcome.err, len(outcome.out.splitlines())) == (2, "", 1)
    reports = json.loads(outcome.out)
    done = {row["input"]: row["output"] for row in reports if "error" not in row}
    failed = {row["input"]: row["error"] for row in reports if "error" in row}
    assert done == {"songs/b.abc": "b-bach.mid", "songs/more/a.mid": "more/a-bach.mid"}
    assert set(failed) == {"songs/a.mid", "songs/broken.mid", "missing.mid"}
    assert "exists already" in failed["songs/a.mid"]
    assert (tmp_path / "a-bach.mid").read_bytes() == before


def test_mistakes_that_concern_all_end_it_before_any_work(
    songs: Path, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    before = written(tmp_path)
    refused(run("apply", "songs", "-s", "bach", "-s", "bahc"), "did you mean bach or brahms?")
    refused(run("apply", "songs", "-s", "bach", "-o", "file"), "-o file", "name a folder")
    refused(run("apply", "songs", "-s", "bach", "-o", "out.mid"), "-o out.mid", "name a folder")
    refused(
        run("apply", "songs/a.mid", "songs/b.abc", "-s", "bach", "--plot", "roll.png"),
        "--plot roll.png",
        "name a folder",
    )
    refused(run("apply", "songs", "-s", "bach", "--candidates", "0"), "--candidates")
    assert written(tmp_path) == before


def test_a_fault_of_the_program_costs_one_song_and_is_not_hidden(
    songs: Path, run: Run, tiny_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are made, and the traceback is shown.

    The exit code isn't that of a user's mistake.
    """
    score, calls = rank.score, []

    def faulty(music: rank.Music) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError("planted")
        return score(music)

    monkeypatch.setattr(rank, "score", faulty)
    outcome = run(
        "apply", songs / "a.mid", songs / "b.abc", "-s", "bach", "--model", tiny_package, *ONE
    )
    assert outcome.code == 1
    assert outcome.out.splitlines()[-1] == "1 done, 1 failed"
    assert "ZeroDivisionError: planted" in outcome.err
    assert "a.mid: a bug in this program" in outcome.err.splitlines()[-1]


def every(run: Run, song: Path, package: Path, *more: str) -> Outcome:
    return run("apply", song, "-s", "bach", "--model", package, "--candidates", "3", *more)


def test_all_candidates_by_rank(songs: Path, run: Run, tiny_package: Path, tmp_path: Path) -> None:
    outcome = every(run, songs / "a.mid", tiny_package, "--all", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    names = [f"a-bach-{rank}.mid" for rank in (1, 2, 3)]
    report = json.loads(outcome.out)
    assert report["output"] == names[0]
    assert [row["file"] for row in report["outputs"]] == names
    scores = [report["candidates"][row["candidate"]]["total"] for row in report["outputs"]]
    assert scores == sorted(scores, reverse=True)
    assert report["outputs"][0]["candidate"] == report["candidate"]
    assert sorted(path.name for path in tmp_path.glob("a-bach*")) == [*names, "a-bach.json"]
    assert len({(tmp_path / name).read_bytes() for name in names}) == 3
    assert every(run, songs / "a.mid", tiny_package, "-o", "best.mid").code == 0
    assert (tmp_path / "best.mid").read_bytes() == (tmp_path / names[0]).read_bytes()
    assert run("replay", "a-bach.json", "-o", "again.mid").code == 0
    for number, name in enumerate(names, 1):
        assert (tmp_path / f"again-{number}.mid").read_bytes() == (tmp_path / name).read_bytes()


def test_all_reports_scores_and_overwrites_nothing(
    songs: Path, run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    (tmp_path / "a-bach-3.mid").write_text("mine")
    refused(every(run, songs / "a.mid", tiny_package, "--all"), "a-bach-3.mid", "exists already")
    assert sorted(path.name for path in tmp_path.glob("a-bach*")) == ["a-bach-3.mid"]
    assert (tmp_path / "a-bach-3.mid").read_text() == "mine"
    outcome = every(run, songs / "a.mid", tiny_package, "--all", "-o", "x.mid", "--plot", "x.png")
    lines = outcome.out.splitlines()[-5:]
    assert [line.split("  score ")[0] for line in lines] == [
        "x-1.mid",
        "x-2.mid",
        "x-3.mid",
        "x.json",
        "x.png",
    ]
    data = json.loads((tmp_path / "x.json").read_text())
    for line, row in zip(lines[:3], data["outputs"], strict=True):
        assert float(line.split("  score ")[1]) == pytest.approx(
            data["report"]["candidates"][row["candidate"]]["total"], abs=1e-3
        )


def test_short_names() -> None:
    assert short_name("bach") == "bach"
    assert short_name("bach:0.7, chopin:0.3") == "bach-0.7-chopin-0.3"
    with pytest.raises(InputError, match="no such style"):
        short_name("bahc")


def test_the_song_itself_is_never_written_over(
    run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    """``--force`` is for earlier outputs: ``-o song.mid`` replaced the user's song."""
    short_song(tmp_path / "song.mid")
    before = (tmp_path / "song.mid").read_bytes()
    for out in ("song.mid", tmp_path / "." / "song.mid"):
        outcome = run(
            "apply", "song.mid", "-s", "bach", "--model", tiny_package, *ONE, "-o", out, "--force"
        )
        refused(outcome, "one of the inputs")
    for command in (
        ("inspect", "song.mid", "--plot", "song.mid"),
        ("apply", "song.mid", "-s", "bach", "--plot", "song.mid"),
    ):
        refused(run(*command, "--force"), "one of the inputs")
    assert run("apply", "song.mid", "-s", "bach", "--model", tiny_package, *ONE).code == 0
    refused(run("replay", "song-bach.json", "-o", "song.mid", "--force"), "one of the inputs")
    refused(
        run("replay", "song-bach.json", "-o", "song-bach.json", "--force"), "-o names the MIDI file"
    )
    assert (tmp_path / "song.mid").read_bytes() == before


def test_another_song_is_never_written_over(run: Run, tiny_package: Path, tmp_path: Path) -> None:
    (tmp_path / "songs").mkdir()
    for name in ("a.mid", "a-bach.mid"):
        short_song(tmp_path / "songs" / name)
    before = (tmp_path / "songs" / "a-bach.mid").read_bytes()
    outcome = run(
        "apply", "songs", "-s", "bach", "--model", tiny_package, *ONE, "-o", "songs", "--force"
    )
    assert outcome.code == 2
    assert "one of the inputs" in outcome.err
    assert (tmp_path / "songs" / "a-bach.mid").read_bytes() == before


def test_outputs_that_say_what_they_are(run: Run, tiny_package: Path, tmp_path: Path) -> None:
    """A picture would overwrite the MIDI file under another name.

    MP3 and a false soundfont are refused.

    All are reported before any work is done.
    """
    short_song(tmp_path / "song.mid")
    (tmp_path / "text.sf2").write_text("no sound")
    for more, message in (
        (("--plot", tmp_path / "song-bach.mid"), "two outputs"),
        (("--audio", "song.aac"), "must end in .wav"),
        (("-o", "song.wav"), "-o names the MIDI file"),
        (("--plot", "song.jpg"), "must end in .png"),
        (("--audio", "song.wav", "--soundfont", "text.sf2"), "not a soundfont"),
    ):
        refused(
            run("apply", "song.mid", "-s", "bach", "--model", tiny_package, *ONE, *more), message
        )
    assert not list(tmp_path.glob("song-bach*"))
    refused(run("inspect", "song.mid", "--plot", "song.jpg"), "must end in .png")


def test_a_name_that_is_not_utf8(run: Run, tiny_package: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    try:
        short_song(tmp_path / f"{name}.mid")
    except OSError:
        pytest.skip("no such names here")
    assert (
        run(
            "apply", f"{name}.mid", "-s", "bach", "--model", tiny_package, *ONE, "--plot", "x.png"
        ).code
        == 0
    )
    assert run("replay", f"{name}-bach.json", "--check").code == 0
    assert run("inspect", f"{name}.mid", "--plot", "y.png").code == 0


def test_scores_of_several_songs_lie_in_a_folder(
    songs: Path, run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    """The folder wasn't made, although those of ``--audio`` and ``--plot`` were.

    The name of a file was used for a folder.
    """
    command = (
        "apply",
        songs / "a.mid",
        songs / "b.abc",
        "-s",
        "bach",
        "--model",
        tiny_package,
        *ONE,
    )
    refused(run(*command, "--score", "page.svg"), "--score", "name a folder")
    assert run(*command, "--score", "pages/new").code == 0
    assert written(tmp_path / "pages" / "new") == ["a-bach.musicxml", "b-bach.musicxml"]
