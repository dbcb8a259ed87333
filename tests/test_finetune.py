"""Test ``styletransfer finetune`` on a model of two layers.

A folder becomes a style that plays; the command is killed, repeated and refused.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from transformers import TrainerControl, TrainerState, TrainingArguments
from typer.testing import CliRunner

from styletransfer.cli.app import app
from styletransfer.data import sources
from styletransfer.data.library import Library
from styletransfer.errors import InputError
from styletransfer.folders import home
from styletransfer.formats.midi_out import write_midi
from styletransfer.formats.read import read_song
from styletransfer.model.base import load_package
from styletransfer.model.weights import weights_hash
from styletransfer.music.copies import match_of
from styletransfer.music.idiom import SIZE
from styletransfer.styles.card import Style
from styletransfer.styles.find import find_style, style_at
from styletransfer.training import finetune as module
from styletransfer.training import user_style
from styletransfer.training.checkpoints import last_checkpoint
from styletransfer.training.finetune import FinetuneConfig, StyleRun, finetune
from styletransfer.training.optimizer import WarmupStableDecay
from styletransfer.training.trainer import TimeBudget
from styletransfer.training.user_style import Reporter, finetune_source, pieces_of
from styletransfer.transfer.ranking.choice import indexes_for
from styletransfer.transfer.ranking.likeness import own_of
from tests.tiny import codec, random_piece

ROOT = Path(__file__).parents[1]
YAML = """
lora: {rank: 2}
batch: 2
steps: 12
learning_rate: 0.02
warmup: 2
evaluate_every: 4
evaluate_pieces: 1
"""
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STYLETRANSFER_HOME", str(tmp_path / "home"))
    return home()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(YAML)
    return path


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write eight pieces in two sub-folders, and a file that isn't music.

    One piece is there twice, under two names.
    """
    folder = tmp_path_factory.mktemp("songs")
    for number in range(8):
        path = folder / ("a", "b")[number % 2] / f"{number}.mid"
        path.parent.mkdir(exist_ok=True)
        write_midi(random_piece(number, "score"), path)
    (folder / "b" / "copy of 0.mid").write_bytes((folder / "a" / "0.mid").read_bytes())
    (folder / "broken.mid").write_bytes(b"MThd?")
    return folder


def settings() -> FinetuneConfig:
    import yaml

    from styletransfer.configuration import from_dict

    return from_dict(FinetuneConfig, yaml.safe_load(YAML))


def test_a_folder_becomes_a_style_that_plays(
    songs: Path,
    config: Path,
    tiny_package: Path,
    own_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    call = [
        "finetune",
        str(songs),
        "--name",
        "mine",
        "--config",
        str(config),
        "--model",
        str(tiny_package),
    ]
    result = CliRunner().invoke(app, call, catch_exceptions=False)
    assert result.exit_code == 0
    assert "broken.mid" in result.output
    assert "copy of 0.mid" in result.output or "a/0.mid: duplicate" in result.output
    assert "7 pieces to learn from" in result.output
    assert "less than 30 minutes" in result.output
    assert "styletransfer apply happy-birthday --style mine" in result.output

    style = find_style("mine")
    assert style.card is not None
    assert (style.kind, style.composer, style.card.pieces, style.card.held_out) == (
        "user",
        "reserved-0",
        7,
        1,
    )
    assert style.card.base == weights_hash(load_package(tiny_package)[2])
    assert style.card.gain is not None
    assert f"a gain of {style.card.gain:.2f}" in result.output
    assert {path.name for path in own_home.iterdir()} == {"mine"}
    assert (own_home / "mine" / "sample.mid").stat().st_size > 100
    assert len(indexes_for("mine,bach")) == 2

    own = own_of(style)
    assert own is not None
    assert np.shape(own.who) == (SIZE,)

    known = [
        match_of(read_song(path), indexes_for("mine")).notes >= 20
        for path in sorted(songs.glob("*/?.mid"))
    ]
    assert known.count(True) == 7  # what it learnt from, of eight; none is in the index that ships

    listed = json.loads(
        CliRunner().invoke(app, ["styles", "--json"], catch_exceptions=False).output
    )
    assert [row["path"] for row in listed if row["kind"] == "user"] == [str(own_home / "mine")]

    told = result.output.splitlines()[-1].split()
    assert told[:2] == ["styletransfer", "apply"]
    assert CliRunner().invoke(app, told[1:], catch_exceptions=False).exit_code == 0
    assert (tmp_path / "happy-birthday-mine.mid").is_file()

    call = [
        "apply",
        str(songs / "a" / "2.mid"),
        "--style",
        "mine:2,bach:1",
        "--model",
        str(tiny_package),
        "--json",
    ]
    report = json.loads(CliRunner().invoke(app, call, catch_exceptions=False).output)
    assert report["melody_notes_kept"] == report["melody_notes"]
    assert Path(report["output"]).is_file()

    again = CliRunner().invoke(
        app, ["finetune", str(songs), "--name", "mine", "--config", str(config)]
    )
    assert isinstance(again.exception, InputError)
    assert "--force" in str(again.exception)


def keep_log(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list that gets a run's validations before its folder is removed."""
    kept: list[float] = []
    remove = shutil.rmtree

    def read(path: Path, **rest: Any) -> None:
        log = Path(path) / "log.jsonl"
        if log.exists():
            rows = (json.loads(line) for line in log.read_text().splitlines())
            kept.extend(row["eval_bits_per_note"] for row in rows if "eval_bits_per_note" in row)
        remove(path, **rest)

    monkeypatch.setattr(shutil, "rmtree", read)
    return kept


def test_it_learns(
    tiny_data: Path, tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memorised pieces are likelier than before, and the best checkpoint is kept."""
    library = Library.load(tiny_data)
    learnt = [
        i for i, one in enumerate(library.pieces) if one.split == "train" and one.feel == "score"
    ][:2]
    pieces = library.view(learnt, era="unknown", composer="reserved-0")
    held = replace(
        pieces.pieces[1],
        split="validation",
        notes=pieces.pieces[0].notes,
        bars=pieces.pieces[0].bars,
    )
    pieces = replace(pieces, manifest=replace(pieces.manifest, pieces=(pieces.pieces[0], held)))
    config = replace(settings(), steps=40, evaluate_every=5, patience=20)
    kept = keep_log(monkeypatch)
    card = finetune(
        StyleRun(pieces, tiny_package, "mine", "user", config, tmp_path / "work", tmp_path / "out")
    )
    assert card.gain is not None
    assert card.gain > 1
    assert not (tmp_path / "work").exists()
    assert card.style_bits == pytest.approx(min(kept), abs=1e-3)


def test_it_stops_when_the_held_out_pieces_get_no_better(
    tiny_data: Path, tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The learning rate ruins the model; the ruined weights aren't kept."""
    library = Library.load(tiny_data).view(range(12), era="unknown", composer="reserved-0")
    config = replace(settings(), steps=400, evaluate_every=2, patience=2, learning_rate=10.0)
    kept = keep_log(monkeypatch)
    card = finetune(
        StyleRun(library, tiny_package, "mine", "user", config, tmp_path / "work", tmp_path / "out")
    )
    assert 4 <= card.steps < 60
    assert max(kept) > min(kept) + 1
    assert card.style_bits == pytest.approx(min(kept), abs=1e-2)


def test_the_minutes_end_it_and_the_last_step_is_heard(
    tiny_data: Path, tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps after the last validation were thrown away, and a run whose steps became slower
    exceeded its minutes.
    """
    library = Library.load(tiny_data).view(range(12), era="unknown", composer="reserved-0")
    config = replace(settings(), steps=100_000, evaluate_every=7000, patience=20)
    kept = keep_log(monkeypatch)
    begin = time.monotonic()
    card = finetune(
        StyleRun(
            library,
            tiny_package,
            "mine",
            "user",
            config,
            tmp_path / "work",
            tmp_path / "out",
            minutes=0.05,
        )
    )
    assert time.monotonic() - begin < 60
    assert len(kept) == 1
    assert card.style_bits == pytest.approx(kept[0], abs=1e-3)


def test_a_chorale_or_two_of_the_corpus(
    tiny_package: Path, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, few = sources.corpus_folder("bach"), tmp_path / "few"
    few.mkdir()
    for name in ("bwv281.mxl", "bwv102.7.mxl", "bwv323.mxl", "bwv37.6.mxl", "bwv26.6.mxl"):
        shutil.copy(corpus / name, few / name)
    monkeypatch.setattr(sources, "corpus_folder", lambda name: few)
    said: list[str] = []
    style = finetune_source(
        "corpus:bach", "bach-chorales", settings(), tiny_package, reporter=Reporter(say=said.append)
    )
    assert style.card is not None
    assert (style.card.pieces, style.card.held_out, style.card.data) == (4, 1, "corpus:bach")
    assert any("4 pieces to learn from" in sentence for sentence in said)


def test_a_killed_run_continues_to_the_same_style(
    songs: Path, config: Path, tiny_package: Path, own_home: Path, tmp_path: Path
) -> None:
    whole, killed = (tmp_path / name for name in ("whole", "killed"))
    call = [
        "finetune",
        str(songs),
        "--name",
        "mine",
        "--config",
        str(config),
        "--model",
        str(tiny_package),
    ]
    command = [sys.executable, "-m", "styletransfer", *call]
    subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"STYLETRANSFER_HOME": str(whole)},
        check=True,
        capture_output=True,
    )
    environment = os.environ | {"STYLETRANSFER_HOME": str(killed)}
    work = killed / "styles" / ".mine.work" / "run"
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None and last_checkpoint(work) is None:
            time.sleep(0.01)
        process.kill()

    assert process.returncode == -signal.SIGKILL
    assert not (killed / "styles" / "mine").exists()

    result = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    assert b"styletransfer apply" in result.stdout

    files = [root / "styles" / "mine" / "adapter_model.safetensors" for root in (whole, killed)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_run_killed_before_its_sample_is_finished(
    songs: Path, config: Path, tiny_package: Path, tmp_path: Path
) -> None:
    """The style is whole; the same command used to be refused for its name, whatever it lacked."""
    more = ["--config", str(config), "--model", str(tiny_package)]
    command = [sys.executable, "-m", "styletransfer", "finetune", str(songs), "--name", "mine"]
    command += more
    environment = os.environ | {"STYLETRANSFER_HOME": str(tmp_path)}
    out = tmp_path / "styles" / "mine"
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None and not out.exists():
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not (out / "sample.mid").exists()
    weights = out / "adapter_model.safetensors"
    before = weights.read_bytes(), weights.stat().st_mtime_ns
    assert style_at(out).card is not None

    other = [*command, "--era", "baroque"]
    result = subprocess.run(other, cwd=ROOT, env=environment, check=False, capture_output=True)
    assert (result.returncode, b"a style of that name exists" in result.stderr) == (2, True)

    result = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True)
    assert result.returncode == 0, result.stderr
    assert b"whole already" in result.stdout
    assert (out / "sample.mid").exists()
    assert before == (weights.read_bytes(), weights.stat().st_mtime_ns)
    assert [path.name for path in out.parent.iterdir()] == ["mine"]

    result = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True)
    assert (result.returncode, b"a style of that name exists" in result.stderr) == (2, True)


@pytest.mark.parametrize("older", [False, True])
def test_a_run_stopped_after_its_style_is_finished(
    songs: Path,
    tiny_package: Path,
    own_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    older: bool,
) -> None:
    """A style that is to be replaced by force is not taken for the new one."""
    call = partial(finetune_source, str(songs), "mine", base=tiny_package)
    if older:
        call(settings(), force=True, reporter=Reporter(say=lambda _: None))
    new = replace(settings(), seed=2)
    with monkeypatch.context() as patch:
        patch.setattr(user_style, "finetune", stop)
        with pytest.raises(KeyboardInterrupt):
            call(new, force=older, reporter=Reporter(say=lambda _: None))
    assert (own_home / "mine").exists() == older
    if older:
        with pytest.raises(InputError, match="a style of that name exists"):
            call(new)

    with pytest.raises(KeyboardInterrupt):
        call(new, force=older, reporter=Reporter(say=lambda _: None, finish=stop))
    monkeypatch.setattr(user_style, "finetune", lambda *_: pytest.fail("learnt again"))
    finished: list[Style] = []
    style = call(new, reporter=Reporter(say=lambda _: None, finish=finished.append))
    assert finished == [style]
    assert [path.name for path in own_home.iterdir()] == ["mine"]


def stop(*_: Any) -> None:
    """Do what Ctrl-C does."""
    raise KeyboardInterrupt


def test_what_cannot_be_is_refused_before_any_work(
    songs: Path, tiny_package: Path, own_home: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "home").mkdir()
    for source, name, more, message in (
        (songs, "../../x", {}, "lower-case letters"),
        (songs, "bach", {}, "comes with the package"),
        (songs, "mine", {"era": "stone age"}, "--era"),
        (empty, "mine", {}, "no piece could be read"),
        (tmp_path / "none", "mine", {}, "no such folder"),
        ("", "mine", {}, "give a folder"),
        (songs, "aux.1", {}, "lower-case letters"),
    ):
        with pytest.raises(InputError, match=message):
            finetune_source(str(source), name, settings(), tiny_package, **more)  # type: ignore[arg-type]
    assert not list(own_home.glob("*"))


def test_a_failure_while_writing_leaves_no_half_style(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older style of that name is kept."""
    out = tmp_path / "mine"
    out.mkdir()
    (out / "style.json").write_text("old")

    def fail(folder: Path) -> None:
        folder.mkdir()
        (folder / "style.json").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        module._publish(out, fail)
    assert (out / "style.json").read_text() == "old"
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if ".partial-" in path.name:
            raise PermissionError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PermissionError):
        module._publish(out, lambda folder: folder.mkdir())
    assert (out / "style.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == ["mine"]


def test_folders_of_something_else_are_left_alone(
    tiny_data: Path, tiny_package: Path, tmp_path: Path
) -> None:
    music = tmp_path / "music"
    music.mkdir()
    (music / "song.mid").write_bytes(b"MThd")
    library = Library.load(tiny_data).view(range(12), era="unknown", composer="reserved-0")
    for work, out in ((music, tmp_path / "out"), (tmp_path / "work", music)):
        with pytest.raises(InputError, match="something other"):
            finetune(
                StyleRun(
                    library,
                    tiny_package,
                    "mine",
                    "user",
                    replace(settings(), steps=2, evaluate_every=1),
                    work,
                    out,
                )
            )
    assert (music / "song.mid").read_bytes() == b"MThd"


def test_two_at_once_and_a_home_that_cannot_be(
    songs: Path, tiny_package: Path, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = own_home / ".mine.work"
    work.mkdir(parents=True)
    (work / "source").write_text("another's")
    with FileLock(work / "lock"), pytest.raises(InputError, match="another process"):
        finetune_source(str(songs), "mine", settings(), tiny_package)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STYLETRANSFER_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match="can't be written"):
        finetune_source(str(songs), "mine", settings(), tiny_package)


def test_nothing_of_another_run_is_lost(songs: Path, tiny_package: Path, own_home: Path) -> None:
    """An interrupted run's state stays, even with --force.

    So do the files that another process is reading, and a folder with other contents.
    """
    (own_home / "mine").mkdir(parents=True)
    (own_home / "mine" / "style.json").write_text("{}")
    checkpoint = own_home / ".mine.work" / "run" / "checkpoint"
    checkpoint.mkdir(parents=True)
    with pytest.raises(InputError, match="a style of that name exists"):
        finetune_source(str(songs), "mine", settings(), tiny_package)
    assert checkpoint.exists()
    reading = own_home / ".new.work"
    reading.mkdir()
    with FileLock(reading / "lock"), pytest.raises(InputError, match="another process"):
        finetune_source(str(songs), "new", settings(), tiny_package)
    assert reading.exists()
    (own_home / "music").mkdir()
    for force in (False, True):
        with pytest.raises(InputError, match="something other than a style"):
            finetune_source(str(songs), "music", settings(), tiny_package, force=force)
    assert not (own_home / ".music.work").exists()


def test_a_melody_alone_teaches_silence_which_is_reported(tiny_data: Path) -> None:
    library = Library.load(tiny_data)
    assert not any("a melody alone" in sentence for sentence in pieces_of(library))
    alone = replace(library, _notes=library._notes.copy())
    alone._notes["melody"] = True
    assert any(
        f"only a melody: {len(library.select(split='train'))}" in one for one in pieces_of(alone)
    )


def test_more_minutes_make_a_decay_longer() -> None:
    run = settings().run
    state, control = TrainerState(global_step=5), TrainerControl()
    for before, now, end in ((1.0, 2.0, 10), (2.0, 1.0, 6), (1.0, 9.0, 12), (None, 2.0, 6)):
        schedule = WarmupStableDecay(2, 2, 4)
        schedule.minutes = before
        budget = TimeBudget(schedule, run, now, keep=False)
        budget.on_train_begin(TrainingArguments(), state, control)
        assert schedule.end == end


@pytest.mark.parametrize(
    ("scores", "performances", "share"),
    [
        (100_000, 100_000, 0.5),  # enough of both
        (1_600, 100_000, 0.125),  # 12 passes over 1,600 notes are 100 windows of 768 tokens
        (100_000, 1_600, 0.875),
        (1_600, 3_200, 1 / 3),  # too few of both: as many passes over either
        (0, 100_000, 0.0),
    ],
)
def test_no_feel_is_learnt_by_heart(
    scores: int,
    performances: int,
    share: float,
    tiny_data: Path,
    tiny_package: Path,
    tmp_path: Path,
) -> None:
    """Half of the windows would have come from a composer's only score."""
    library = Library.load(tiny_data)
    first = {
        feel: next(one for one in library.pieces if one.feel == feel)
        for feel in ("score", "performance")
    }
    counts = {"score": scores, "performance": performances}
    pieces = tuple(
        replace(first[feel], split="train", notes=(0, count)) for feel, count in counts.items()
    )
    library = replace(library, manifest=replace(library.manifest, pieces=pieces))
    run = FinetuneConfig(steps=100, batch=8).run
    assert module._score_share(run, library, 768) == pytest.approx(share)


def test_few_pieces_are_learnt_without_any_held_out(
    tiny_data: Path, tiny_package: Path, tmp_path: Path
) -> None:
    library = Library.load(tiny_data)
    pieces = library.view(
        [i for i, one in enumerate(library.pieces) if one.split == "train"][:2],
        composer="reserved-0",
    )
    assert any("too few pieces" in sentence for sentence in pieces_of(pieces))
    card = finetune(
        StyleRun(
            pieces, tiny_package, "mine", "user", settings(), tmp_path / "work", tmp_path / "out"
        )
    )
    assert (card.held_out, card.gain, card.pieces) == (0, None, 2)
    assert 1 <= card.steps <= 12


def test_the_library_is_relabelled_and_not_changed(tiny_data: Path) -> None:
    library = Library.load(tiny_data)
    view = library.view([3, 1], era="modern", composer="reserved-0")
    assert [one.id for one in view.pieces] == [library.pieces[i].id for i in (3, 1)]
    assert {(one.era, one.composer) for one in view.pieces} == {("modern", "reserved-0")}
    assert (view.notes(0) == library.notes(3)).all()
    assert view.hash != library.hash
    assert library.pieces[3].era != "modern"
    assert codec().vocabulary["COMPOSER_reserved-0"] > 0
