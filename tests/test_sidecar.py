"""Test replays of sidecars.

They give the same bytes, or a report of the differences before any music is made.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from styletransfer.configuration import from_dict
from styletransfer.formats.midi_out import write_midi
from styletransfer.formats.read import read_score
from styletransfer.model import sampling
from styletransfer.model.adapters import LoraSettings, attach, save_adapter
from styletransfer.model.base import load_package
from styletransfer.model.loading import load_model
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.notes import Piece, bars_of, make_notes
from styletransfer.styles.card import WEIGHTS, Card
from styletransfer.transfer.inspection import describe
from styletransfer.transfer.provenance import provenance_of
from styletransfer.transfer.request import Request
from styletransfer.transfer.sidecar import read_sidecar, report_beside
from tests.command import ONE, Run, refused
from tests.tiny import codec, random_piece, save_tiny_package, short_song


@pytest.fixture
def arranged(run: Run, tiny_package: Path, tmp_path: Path) -> Path:
    """Arrange a short song with two candidates, and return the sidecar."""
    short_song(tmp_path / "song.mid")
    assert (
        run("apply", "song.mid", "-s", "bach", "--model", tiny_package, "--candidates", "2").code
        == 0
    )
    return tmp_path / "song-bach.json"


def edited(sidecar: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Write a copy of a sidecar, in its folder, with something changed in it."""
    data = json.loads(sidecar.read_text(encoding="utf-8"))
    change(data)
    path = sidecar.with_name("edited.json")
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.fixture
def no_music(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if anything is sampled from here on."""

    def refuse(*arguments: Any, **options: Any) -> None:
        pytest.fail("music was made")

    monkeypatch.setattr(sampling, "sample", refuse)


def test_replay_makes_the_same_bytes_from_anywhere(
    arranged: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    original = (tmp_path / "song-bach.mid").read_bytes()
    assert run("replay", "../song-bach.json") == (
        0,
        "song-bach-replay.mid\nthe same bytes as song-bach.mid\n",
        "",
    )
    assert (elsewhere / "song-bach-replay.mid").read_bytes() == original
    assert run("replay", "../song-bach.json", "--check") == (
        0,
        "the same bytes as song-bach.mid\n",
        "",
    )
    assert run("replay", "../song-bach.json", "-o", "new.mid").code == 0
    assert (elsewhere / "new.mid").read_bytes() == original
    assert sorted(path.name for path in elsewhere.iterdir()) == ["new.mid", "song-bach-replay.mid"]

    refused(run("replay", "../song-bach.json"), "song-bach-replay.mid", "exists already")
    refused(
        run("replay", "../song-bach.json", "-o", "../song.mid"), "song.mid", "one of the inputs"
    )
    (tmp_path / "song-bach.mid").write_bytes(b"edited")
    assert "changed since" in run("replay", "../song-bach.json", "--check").out


def test_what_a_sidecar_states(run: Run, tiny_package: Path, tmp_path: Path) -> None:
    song = short_song(tmp_path / "song.mid")
    outcome = run(
        "apply", song, "-s", "chopin", "--seed", "7", "--model", tiny_package, *ONE, "--json"
    )
    data = json.loads((tmp_path / "song-chopin.json").read_text(encoding="utf-8"))
    assert data["report"] == json.loads(outcome.out)
    assert data["report"]["sidecar"] == "song-chopin.json"
    assert data["melody"] == describe(read_score(song))[0]["melody"]
    assert set(data["settings"]) == {item.name for item in fields(Request)}
    settings = data["settings"]
    assert (settings["song"], settings["style"], settings["model"]) == (
        str(song),
        "chopin",
        str(tiny_package),
    )
    assert settings["sampling"] == vars(SamplingConfig(1, strength=1.0, seed=7))
    base = load_model(tiny_package)
    assert data["ingredients"]["the model"] == base.weights_hash
    assert data["ingredients"]["the tokenizer"] == base.tokenizer_hash == codec().hash
    assert [row["file"] for row in data["outputs"]] == ["song-chopin.mid"]


def test_the_melody_is_stated_as_it_stands_in_the_song(
    run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    """It isn't the one that was moved to make room below it."""
    notes = make_notes([0.0, 1.0, 2.0], [1.0, 1.0, 1.0], [40, 43, 47])
    write_midi(Piece(notes, "score", bars_of([(0.0, 3, 4)], 3.0)), tmp_path / "low.mid")
    assert run("apply", "low.mid", "-s", "bach", "--model", tiny_package, *ONE).code == 0
    data = json.loads((tmp_path / "low-bach.json").read_text(encoding="utf-8"))
    assert data["report"]["octaves_moved"] == 2
    assert [row["pitch"] for row in data["melody"]] == [40, 43, 47]


@dataclass(frozen=True)
class Wider(Request):
    """A request with settings that the sidecar doesn't know."""

    chosen: tuple[int, int] | None = None
    harmony: Path | None = None


def test_new_settings_are_carried_by_construction(
    tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    short_song(tmp_path / "song.mid")
    Path("chords.txt").write_text("C G")
    request = Wider(
        "song.mid",
        "bach",
        SamplingConfig(1),
        model=tiny_package,
        chosen=(5, 8),
        harmony=Path("chords.txt"),
    )
    first = provenance_of(request, load_model(tiny_package))
    assert isinstance(first.request, Wider)
    assert first.request.chosen == (5, 8)
    assert first.request.harmony == tmp_path / "chords.txt"

    plain = json.loads(
        json.dumps(vars(first.request) | {"sampling": vars(request.sampling)}, default=str)
    )
    assert from_dict(Wider, plain) == first.request

    Path("chords.txt").write_text("C F")
    again = provenance_of(request, load_model(tiny_package))
    assert [phrase.split(" (")[0] for phrase in first.differences(again)] == [
        "the file of --harmony"
    ]


def test_a_changed_song_is_reported_before_the_work(
    arranged: Path, run: Run, no_music: None, tmp_path: Path
) -> None:
    song = tmp_path / "song.mid"
    write_midi(random_piece(1, "score"), song, force=True)
    refused(run("replay", arranged.name), "the song (", "then", "now", "--anyway")
    song.unlink()
    refused(run("replay", arranged.name), "song.mid", "is no longer there")
    assert not (tmp_path / "song-bach-replay.mid").exists()


def test_a_song_that_moved_with_its_sidecar_is_found(
    arranged: Path, run: Run, tmp_path: Path
) -> None:
    """It is found even if another file is now in its old place."""
    moved = tmp_path / "moved"
    moved.mkdir()
    arranged.rename(moved / arranged.name)
    (tmp_path / "song.mid").rename(moved / "song.mid")
    assert run("replay", moved / arranged.name, "--check").code == 0
    write_midi(random_piece(1, "score"), tmp_path / "song.mid")
    assert run("replay", moved / arranged.name, "--check").code == 0


@pytest.mark.parametrize(
    "name", ["styletransfer", "torch", "the machine", "the tokenizer", "the adapter of bach"]
)
def test_another_version_machine_or_adapter_is_reported_before_the_work(
    name: str, arranged: Path, run: Run, no_music: None, tmp_path: Path
) -> None:
    other = edited(arranged, lambda data: data["ingredients"].update({name: "9.9"}))
    refused(run("replay", other), f"{name} (9.9 then", "--anyway")
    assert not (tmp_path / "edited-replay.mid").exists()


def test_anyway_lets_the_bytes_decide(arranged: Path, run: Run, tmp_path: Path) -> None:
    other = edited(arranged, lambda data: data["ingredients"].update({"torch": "0.4"}))
    outcome = run("replay", other, "--anyway")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("differs: torch (0.4 then")
    assert outcome.out.endswith("the same bytes as song-bach.mid\n")
    assert (tmp_path / "edited-replay.mid").read_bytes() == (
        tmp_path / "song-bach.mid"
    ).read_bytes()
    write_midi(random_piece(1, "score"), tmp_path / "song.mid", force=True)
    outcome = run("replay", arranged.name, "--anyway")
    assert outcome.code == 2
    assert (
        "came out with different bytes, as its ingredients differ; another melody was used"
        in outcome.err
    )
    assert (tmp_path / "song-bach-replay.mid").read_bytes() != (
        tmp_path / "song-bach.mid"
    ).read_bytes()


def test_another_model_is_reported(
    arranged: Path, run: Run, no_music: None, tmp_path: Path
) -> None:
    other = save_tiny_package(tmp_path / "other", seed=1)
    refused(
        run("replay", edited(arranged, lambda data: data["settings"].update(model=str(other)))),
        "the model (",
    )
    missing = edited(arranged, lambda data: data["settings"].update(model=str(tmp_path / "gone")))
    refused(run("replay", missing), "gone", "not a model folder")


def test_bytes_that_differ_without_a_cause_are_reported_too(
    arranged: Path, run: Run, tmp_path: Path
) -> None:
    """Nothing is written, since it isn't what was asked for."""
    other = edited(arranged, lambda data: data["outputs"][0].update(sha256="0" * 64))
    refused(
        run("replay", other),
        "song-bach.mid",
        "different bytes",
        "no recorded ingredient",
        "the same melody",
    )
    assert not (tmp_path / "edited-replay.mid").exists()


def test_a_style_in_a_folder_is_found_from_elsewhere(
    run: Run, tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = load_model(tiny_package)
    known = Card(
        "mine",
        "user",
        "unknown",
        "reserved-0",
        base.weights_hash,
        base.tokenizer_hash,
        9,
        40.0,
        9000,
        rank=2,
    )
    adapted = attach(
        load_package(tiny_package)[0],
        LoraSettings(rank=2),
        codec().vocabulary,
        "COMPOSER_reserved-0",
    )
    save_adapter(adapted, tmp_path / "runs/mine", known, "")
    short_song(tmp_path / "song.mid")
    assert (
        run(
            "apply",
            "song.mid",
            "-s",
            "runs/mine:2,bach",
            "--model",
            tiny_package,
            *ONE,
            "-o",
            "out.mid",
        ).code
        == 0
    )

    monkeypatch.chdir(tmp_path / "runs")
    assert run("replay", "../out.json", "--check").code == 0

    weights = tmp_path / "runs/mine" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    refused(run("replay", "../out.json", "--check"), "the adapter of mine (")
    weights.unlink()
    refused(run("replay", "../out.json", "--check"), "mine", "not a style's folder")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(format="other"),
        lambda data: data.pop("outputs"),
        lambda data: data.update(outputs=[]),
        lambda data: data["outputs"][0].update(file="../song.mid"),
        lambda data: data["outputs"][0].update(candidate=5),
        lambda data: data["outputs"][0].update(candidate="0"),
        lambda data: data.update(settings=3),
        lambda data: data["settings"].update(unheard=1),
        lambda data: data["settings"].update(song=None),
        lambda data: data["settings"].update(model=5),
        lambda data: data["settings"].update(melody_track=3),
        lambda data: data["settings"].update(feel="sleepy"),
        lambda data: data["settings"]["sampling"].update(top_p=9),
        lambda data: data["settings"].update(style="xyzzy"),
    ],
)
def test_a_damaged_sidecar_is_refused(
    change: Callable[[dict[str, Any]], Any], arranged: Path, run: Run, no_music: None
) -> None:
    refused(run("replay", edited(arranged, change)))


def test_what_is_no_sidecar_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "text.json").write_text("hello")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    for name in ("list.json", "text.json", "deep.json"):
        refused(run("replay", name), name, "not the sidecar")
    refused(run("replay", "missing.json"), "missing.json", "cannot be read")


@pytest.mark.parametrize("text", ["NaN", "1e999", "-1e999", "9" * 5000, "[" * 5000 + "]" * 5000])
@pytest.mark.parametrize("key", ["report", "temperature", "candidates"])
def test_numbers_that_are_none_and_deep_lists_are_refused(
    text: str, key: str, arranged: Path, run: Run, no_music: None
) -> None:
    data = json.loads(arranged.read_text())
    (data if key == "report" else data["settings"]["sampling"])[key] = "@"
    arranged.write_text(json.dumps(data).replace('"@"', text))
    refused(run("replay", arranged), "not the sidecar")


def test_a_sidecar_of_20_gb_or_a_pipe_is_not_read(
    arranged: Path, run: Run, tmp_path: Path, no_music: None
) -> None:
    for name in ("large.json", "first.json"):
        (tmp_path / name).write_bytes(arranged.read_bytes())
        os.truncate(tmp_path / name, 20 << 30)
    os.mkfifo(tmp_path / "a.json")
    refused(run("replay", "large.json"), "it is larger than 64 MB")
    refused(run("replay", "a.json"), "it is no regular file")
    assert report_beside(tmp_path / "song-bach.mid") is not None


def test_a_sidecar_makes_no_more_files_than_candidates(
    arranged: Path, run: Run, no_music: None
) -> None:
    many = [{"file": f"{k}.mid", "candidate": k % 2, "sha256": ""} for k in range(5000)]
    path = edited(arranged, lambda data: data.update(outputs=many))
    refused(run("replay", path, "--anyway"), "a candidate twice")


@pytest.mark.parametrize(
    "report",
    [
        {"harmony": [{"bar": 1e300, "chords": []}]},
        {"harmony": [{"bar": 10**19, "chords": [3]}]},
        {"harmony": [{"bar": 10**6, "chords": [{"symbol": "?"}]}]},
        {"harmony": [{"bar": 10**6}]},
        {"harmony": 5},
        {"harmony": [{"bar": 1, "chords": [{"quarter": 0, "symbol": "C"}] * 9999}]},
        {"harmony": [{"bar": 1, "chords": [{"quarter": 0, "symbol": "C" * 9**5}]}]},
        {"style": None},
        {"key": [1]},
        {"feel": {"a": 1}},
        {"title": "x" * 10**6},
    ],
)
def test_a_report_of_too_much_ends_in_no_traceback(
    report: dict[str, Any], arranged: Path, run: Run, tiny_package: Path
) -> None:
    """Bars that are not there, and more chords than a bar holds."""
    arranged.with_name("song-bach.json").write_text(
        json.dumps((data := json.loads(arranged.read_text())) | {"report": data["report"] | report})
    )
    for call in (
        ("apply", "song-bach.mid", "-s", "bach", "--bars", "2", "--model", tiny_package, "-o", "x"),
        ("render", "song-bach.mid", "--score", "x.musicxml"),
    ):
        done = run(*call, *(ONE if call[0] == "apply" else ()))
        if done.code:
            refused(done)


def test_apply_checks_the_sidecar_too(
    arranged: Path, run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    """It is an output like the others: never overwritten, and with a name of its own."""
    (tmp_path / "song-bach.mid").unlink()
    before = arranged.read_bytes()
    refused(
        run("apply", "song.mid", "-s", "bach", "--model", tiny_package, *ONE),
        "song-bach.json",
        "exists already",
    )
    assert arranged.read_bytes() == before
    refused(
        run("apply", "song.mid", "-s", "bach", "-o", "x.mid", "--plot", "x.json"),
        "x.json",
        "two outputs",
    )
    assert read_sidecar(arranged).provenance.request.song == str(tmp_path / "song.mid")
