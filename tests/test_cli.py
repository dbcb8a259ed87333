"""Run the command line: what it prints, and what it writes.

Every user's mistake is reported in one sentence, with exit code 2.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from styletransfer.formats.midi_out import write_midi
from styletransfer.formats.read import read_score
from styletransfer.formats.tunes import EXAMPLES, example
from styletransfer.music.melody import extract_melody
from styletransfer.music.notes import Piece, bars_of, make_notes
from tests.command import ONE, Outcome, Run, refused
from tests.midi_builder import midi, note, scale, tempo
from tests.tiny import random_piece

ROOT = Path(__file__).parents[1]


def subprocess_run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "styletransfer", *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment(),
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
    )


def environment() -> dict[str, str]:

    return dict(os.environ) | {"PYTHONPATH": str(ROOT)}


# --- apply ----------------------------------------------------------------------------------------


def test_apply_writes_an_arrangement_and_reports_it(
    run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    outcome = run("apply", "happy-birthday", "--style", "bach", "--model", tiny_package, *ONE)
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[-2:] == ["happy-birthday-bach.mid", "happy-birthday-bach.json"]
    assert any(line.startswith("25/25 melody notes kept, ") for line in lines)
    written = read_score(tmp_path / "happy-birthday-bach.mid")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "happy-birthday-bach.json",
        "happy-birthday-bach.mid",
    ]
    assert written.parts[0] == "Melody"
    assert len(written.notes) > len(example("happy-birthday").notes)


def test_json_is_the_report_and_nothing_else(run: Run, tiny_package: Path, tmp_path: Path) -> None:
    song = tmp_path / "song.mid"
    write_midi(random_piece(2, "score"), song)
    outcome = run(
        "apply",
        song,
        "-s",
        "chopin",
        "-o",
        "out.mid",
        "--model",
        tiny_package,
        *ONE,
        "--seed",
        "5",
        "--json",
    )
    assert (outcome.code, outcome.err, len(outcome.out.splitlines())) == (0, "", 1)

    report = json.loads(outcome.out)
    source, written = read_score(song), read_score(tmp_path / "out.mid")
    assert (report["input"], report["output"], report["style"], report["seed"]) == (
        str(song),
        "out.mid",
        "chopin",
        5,
    )
    assert (
        report["melody_notes"] == report["melody_notes_kept"] == int(extract_melody(source).sum())
    )
    assert report["notes"] == len(written.notes)
    # a note that is struck again while it sounds ends there in the file, so that the file may be
    # shorter
    assert written.length_seconds - 0.01 <= report["seconds_of_music"] < written.length_seconds + 6
    assert report["seconds_taken"] > 0
    assert report["key"].split()[1] in ("major", "minor")


def test_the_same_command_in_another_process_gives_the_same_bytes(
    run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    """Its standard output is JSON alone, whatever libraries print as they load."""
    command = (
        "apply",
        "frere-jacques",
        "-s",
        "romantic",
        "--model",
        tiny_package,
        *ONE,
        "--json",
        "-o",
    )
    assert run(*command, "here.mid").code == 0
    there = subprocess_run(*command, "there.mid", cwd=tmp_path)
    assert (there.returncode, there.stderr) == (0, "")
    assert json.loads(there.stdout)["output"] == "there.mid"
    assert (tmp_path / "here.mid").read_bytes() == (tmp_path / "there.mid").read_bytes()


def test_nothing_is_written_over_without_force(
    run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    target = tmp_path / "twinkle-bach.mid"
    target.write_text("mine")
    command = ("apply", "twinkle", "--style", "bach", "--model", tiny_package, *ONE)
    refused(run(*command), "twinkle-bach.mid", "exists already", "--force")
    assert target.read_text() == "mine"
    plot = tmp_path / "roll.png"
    plot.write_text("mine")
    refused(run(*command, "-o", "new.mid", "--plot", plot), "roll.png", "exists already")
    assert not (tmp_path / "new.mid").exists()
    assert run(*command, "--force").code == 0
    assert read_score(target).parts[0] == "Melody"
    assert plot.read_text() == "mine"


@pytest.mark.parametrize(
    ("style", "near"),
    [
        ("bahc", "bach"),
        ("chpin", "chopin"),
        ("rachmaninof", "rachmaninoff"),
        ("baroqe", "baroque"),
    ],
)
def test_an_unknown_style_suggests_the_nearest(
    style: str, near: str, run: Run, tmp_path: Path
) -> None:
    for command in (("apply", "twinkle"), ("generate",)):
        refused(run(*command, "--style", style), f"did you mean {near}", "`styletransfer styles`")
    refused(run("apply", "twinkle", "--style", "xyzzy"), "no such style", "`styletransfer styles`")
    assert list(tmp_path.iterdir()) == []


BAD = {
    "empty.mid": (b"", "empty"),
    "text.mid": (b"Dear diary,\nthis is no music.\n" * 9, "not a MIDI file"),
    "short.mid": (midi(scale(8))[:-20], "cut short"),
    "silent.mid": (midi(b"", tempo(500_000)), "no notes"),
    "drums.mid": (midi(note(35, 100, channel=9) * 4), "only drums"),
    "song.mp3": (b"ID3\x04" + bytes(50), "the sound can't be read"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_files_end_in_one_sentence(name: str, run: Run, tmp_path: Path) -> None:
    data, words = BAD[name]
    (tmp_path / name).write_bytes(data)
    refused(run("apply", name, "--style", "bach"), name, words)
    refused(run("inspect", name), name, words)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("missing.mid", "--style", "bach"), ("missing.mid", "no such file")),
        (("folder", "--style", "bach"), ("folder", "the folder has no songs")),
        (("folder.mid", "--style", "bach"), ("folder.mid", "the folder has no songs")),
        (("hapy-birthday", "--style", "bach"), ("hapy-birthday", "happy-birthday")),
        (("", "--style", "bach"), ()),
        (("twinkle", "--style", "bach", "-o", "nowhere/out.mid"), ("no folder nowhere",)),
        (("twinkle", "--style", "bach", "-o", "folder"), ("folder", "it is a folder")),
        (("twinkle", "--style", "bach", "--plot", "nowhere/roll.png"), ("no folder nowhere",)),
        (("twinkle", "--style", "bach", "--model", "folder"), ("folder", "not a model folder")),
        (("twinkle", "--style", "bach", "--feel", "sleepy"), ("--feel sleepy", "performance")),
        (("twinkle", "--style", "bach", "--temperature", "-1"), ("--temperature", "from 0 to 5")),
        (("twinkle", "--style", "bach", "--candidates", "0"), ("--candidates", "from 1 to 64")),
        (("twinkle", "--style", "bach", "--seed", "-1"), ("--seed",)),
    ],
)
def test_bad_calls_end_in_one_sentence(
    arguments: tuple[str, ...], words: tuple[str, ...], run: Run, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.mid").mkdir()
    refused(run("apply", *arguments), *words)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "folder.mid"]


def test_a_real_process_ends_with_code_2_and_one_line(tmp_path: Path) -> None:
    result = subprocess_run("apply", "missing.mid", "--style", "bach", cwd=tmp_path)
    refused(Outcome(result.returncode, result.stdout, result.stderr), "missing.mid")
    assert list(tmp_path.iterdir()) == []


# --- generate and inspect -------------------------------------------------------------------------


def test_generate(run: Run, tiny_package: Path, tmp_path: Path) -> None:
    outcome = run(
        "generate",
        "-s",
        "debussy",
        "--seconds",
        "6",
        "--model",
        tiny_package,
        "--strength",
        "1",
        "--json",
    )
    assert (outcome.code, outcome.err) == (0, "")

    report = json.loads(outcome.out)
    assert report["output"] == "generated-debussy.mid"

    written = read_score(tmp_path / "generated-debussy.mid", "performance")
    assert report["notes"] == len(written.notes) > 0
    assert written.onset_seconds.max() < 6
    assert (
        read_score(tmp_path / "generated-debussy.mid").feel == "performance"
    )  # not on beats: it has none

    refused(
        run("generate", "-s", "debussy", "--seconds", "0", "-o", "x.mid", "--model", tiny_package),
        "--seconds",
    )


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_inspect_shows_the_melody(name: str, run: Run) -> None:
    outcome = run("inspect", name, "--json")
    assert (outcome.code, outcome.err, len(outcome.out.splitlines())) == (0, "", 1)
    report, source = json.loads(outcome.out), example(name)
    assert report["input"] == name
    assert [row["pitch"] for row in report["melody"]] == source.notes["pitch"].tolist()
    assert [row["onset_quarters"] for row in report["melody"]] == pytest.approx(
        source.notes["onset"].tolist()
    )
    assert [row["onset_seconds"] for row in report["melody"]] == pytest.approx(
        source.onset_seconds.tolist(), abs=1e-5
    )
    assert report["melody_notes"] == len(source.notes)
    assert report["feel"] == "score"


def test_inspect_in_words(run: Run, tmp_path: Path) -> None:
    notes = make_notes([0.0, 1.0, 2.0], [1.0, 1.0, 1.0], [60, 64, 67])
    write_midi(Piece(notes, "score", bars_of([(0.0, 3, 4)], 3.0)), tmp_path / "song.mid")
    outcome = run("inspect", "song.mid")
    assert (outcome.code, outcome.err) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in outcome.out.splitlines())
    assert rows["melody"] == "C4 E4 G4"
    assert rows["metre"] == "3/4"
    assert rows["feel"] == "score"


def test_the_melody_track_may_be_named(run: Run, tmp_path: Path) -> None:
    """A number, a name or a part of the name will do, for apply and the sidecar as well."""
    notes = make_notes(
        [0, 1, 2, 3] * 3,
        [1.0] * 12,
        [72, 74, 76, 72, 60, 64, 65, 67, 48] + [43] * 3,
        part=[0] * 4 + [1] * 4 + [2] * 4,
    )
    parts = ("Flute", "Vocal line", "Bass line")
    write_midi(
        Piece(notes, "score", bars_of([(0.0, 4, 4)], 4.0), parts=parts), tmp_path / "song.mid"
    )
    for track in ("2", "vocal LINE", "Vocal"):
        report = json.loads(run("inspect", "song.mid", "--melody-track", track, "--json").out)
        assert [note["pitch"] for note in report["melody"]] == [60, 64, 65, 67]
        assert report["melody_tracks"] == ["Vocal line"]
    assert "parts         1 Flute, 2 Vocal line, 3 Bass line" in run("inspect", "song.mid").out
    for track in ("line", "4", "0", "", "tuba"):
        outcome = run("inspect", "song.mid", "--melody-track", track)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.count("\n") == 1
        assert "1 Flute, 2 Vocal line, 3 Bass line" in outcome.err


# --- what is imported -----------------------------------------------------------------------------

HEAVY = """
import sys
sys.argv[1:] = {arguments!r}
from styletransfer.cli.app import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
heavy = {{"torch", "transformers", "miditok", "music21", "matplotlib"}}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""


def test_apply_loads_no_transformers(tiny_package: Path, tmp_path: Path) -> None:
    """Its import took more than half of the time until the first token."""
    code = HEAVY.format(
        arguments=["apply", "twinkle", "--style", "bach", "--model", str(tiny_package)]
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        text=True,
        capture_output=True,
        check=True,
    )
    assert result.stderr.splitlines()[-1] == "['torch']"


@pytest.mark.parametrize("arguments", [["--help"], ["apply", "--help"], ["inspect", "twinkle"]])
def test_help_loads_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    code = HEAVY.format(arguments=arguments)
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        text=True,
        capture_output=True,
        check=True,
    )
    assert result.stderr.strip() == "[]"
    assert len(result.stdout) > 100
