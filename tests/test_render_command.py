"""The command ``render``, and the function of that name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import styletransfer
from styletransfer.errors import InputError
from styletransfer.outputs.loudness import TARGET, Levels
from styletransfer.outputs.render import open_file
from tests.command import ONE, Run, refused
from tests.midi_builder import midi, note
from tests.tiny import short_song


def test_a_song_becomes_sound_picture_and_score(run: Run, tmp_path: Path) -> None:
    outcome = run("render", "happy-birthday")
    assert (outcome.code, outcome.err) == (0, "")
    files = ["happy-birthday.wav", "happy-birthday.png", "happy-birthday.musicxml"]
    assert outcome.out.splitlines() == files
    samples, rate = soundfile.read(tmp_path / files[0], dtype="float32", always_2d=True)
    assert 13 < len(samples) / rate < 18
    assert Levels.of(samples).loudness == pytest.approx(TARGET, abs=0.1)
    assert (tmp_path / files[1]).read_bytes().startswith(b"\x89PNG")
    assert "<work-title>Happy" in (tmp_path / files[2]).read_text(encoding="utf-8")
    refused(run("render", "happy-birthday"), "happy-birthday.wav", "exists already")

    outcome = run("render", "happy-birthday.musicxml", "--plot", "a.png", "--json")
    report = json.loads(outcome.out)
    assert report["outputs"] == ["a.png"]
    assert report["notes"] == 25
    refused(run("render", "happy-birthday.musicxml", "--score", "happy-birthday.musicxml", "-f"))
    refused(run("render", "happy-birthday.wav", "--audio", "happy-birthday.wav", "--force"))


@pytest.mark.parametrize("feel", ["score", "performance"])
def test_an_earlier_arrangement_looks_as_it_did(
    feel: str, run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    """From its MIDI file, or from its sidecar."""
    common = ("-s", "bach", "--model", tiny_package, "--feel", feel, *ONE)
    written = ("--plot", "a.png", "--score", "a.musicxml")
    assert run("apply", "greensleeves", *common, *written, "-o", "air.mid").code == 0
    for number, name in enumerate(("air.mid", "air.json")):
        files = [f"{number}.png", f"{number}.musicxml"]
        outcome = run("render", name, "--plot", files[0], "--score", files[1])
        assert (outcome.code, outcome.err) == (0, "")
        for file in files:
            before = (tmp_path / file.replace(str(number), "a")).read_bytes()
            assert (tmp_path / file).read_bytes() == before

    assert open_file("air.json").midi == (tmp_path / "air.mid").read_bytes()
    assert open_file("air.json").title == "Greensleeves, in the style of J. S. Bach"
    (tmp_path / "air.mid").unlink()
    refused(run("render", "air.json"), "air.mid", "isn't beside its sidecar")


def test_what_lies_on_no_beats_has_no_score(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    notes = [note(int(pitch), int(rng.integers(200, 500))) for pitch in rng.integers(50, 80, 60)]
    (tmp_path / "free.mid").write_bytes(midi(b"".join(notes)))
    assert open_file("free.mid").page is None
    outcome = run("render", "free.mid")
    assert outcome.code == 0
    *_, remark, sound, roll = outcome.out.splitlines()
    assert "no score" in remark
    assert (sound, roll) == ("free.wav", "free.png")
    refused(run("render", "free.mid", "--score", "free.musicxml"), "free.mid", "on no beats")


def test_a_file_is_played_with_its_own_instruments(tmp_path: Path) -> None:
    flute = b"\x00\xc0\x49" + note(60, 960)
    (tmp_path / "flute.mid").write_bytes(midi(flute))
    opened = open_file(tmp_path / "flute.mid")
    assert opened.midi == (tmp_path / "flute.mid").read_bytes()
    assert opened.piece.melody["pitch"].tolist() == [60]


def test_mistakes_are_refused_before_anything_is_written(run: Run, tmp_path: Path) -> None:
    short_song(tmp_path / "song.mid")
    (tmp_path / "other.json").write_text("{}")
    refused(run("render", "missing.mid"), "missing.mid", "no such file")
    refused(run("render", "other.json"), "other.json", "not the sidecar")
    refused(run("render", "missing.json"), "missing.json")
    refused(run("render", "song.mid", "--audio", "a.aac"), "a.aac", "must end in .wav")
    refused(run("render", "song.mid", "--plot", "a.jpg"), "a.jpg", "must end in .png")
    refused(run("render", "song.mid", "--score", "a.txt"), "a.txt", "a score is written as")
    refused(run("render", "song.mid", "--plot", "a.png", "--audio", "no/a.wav"), "no folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.json", "song.mid"]


def test_python_renders_too(tmp_path: Path) -> None:
    short_song(tmp_path / "song.mid")
    paths = [tmp_path / "song.mp3", tmp_path / "song.png"]
    assert styletransfer.render(tmp_path / "song.mid", *paths) == paths
    assert all(path.stat().st_size > 1000 for path in paths)
    with pytest.raises(InputError, match="exists already"):
        styletransfer.render(tmp_path / "song.mid", *paths)
    with pytest.raises(InputError, match=r"ends in one of \.wav"):
        styletransfer.render(tmp_path / "song.mid", tmp_path / "song.txt")
