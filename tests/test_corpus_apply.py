"""Run ``apply`` with many songs: in processes, on a cluster, stopped and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from styletransfer.formats.midi_out import write_midi
from styletransfer.outputs.manifest import LOCK, NAME, opened
from styletransfer.transfer.ranking import rank
from tests.command import ONE, Run, refused
from tests.tiny import random_piece, short_song

ROOT = Path(__file__).parents[1]
needs_signals = pytest.mark.skipif(os.name == "nt", reason="no such signals here")


def tunes(folder: Path, count: int, quarters: int = 12) -> Path:
    """Write a folder of tunes."""
    folder.mkdir()
    for number in range(count):
        write_midi(random_piece(number, "score", quarters), folder / f"{number}.mid")
    return folder


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    """Read a manifest: its rows by their outputs, of which none occurs twice."""
    lines = [json.loads(line) for line in (folder / NAME).read_text().splitlines()]
    found = {row["output"]: row for row in lines}
    assert len(found) == len(lines)
    return found


def midis(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.mid")}


def changed(folder: Path) -> dict[str, int]:
    """Return when each MIDI file of a folder was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.mid")}


def test_the_same_bytes_however_many_processes(
    run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    """A song that fails is in the manifest, and in the exit code."""
    tunes(tmp_path / "songs", 3)
    (tmp_path / "songs" / "broken.mid").write_bytes(b"this is no music")
    command = ("apply", "songs", "-s", "bach", "--model", tiny_package, *ONE)
    for jobs in ("1", "2"):
        outcome = run(*command, "-o", jobs, "--jobs", jobs)
        assert (outcome.code, outcome.out.splitlines()[-1]) == (2, "3 done, 1 failed")
        assert outcome.err.startswith("styletransfer: songs/broken.mid: ")
    assert midis(tmp_path / "1") == midis(tmp_path / "2")
    assert len(midis(tmp_path / "1")) == 3

    one, two = rows(tmp_path / "1"), rows(tmp_path / "2")
    assert list(one) == list(two) == [f"{name}-bach.mid" for name in (0, 1, 2, "broken")]
    for name, row in one.items():
        assert row | {"seconds": 0} == two[name] | {"seconds": 0}
    assert one["0-bach.mid"]["state"] == "done"
    assert one["0-bach.mid"]["seconds"] > 0
    assert "total" in one["0-bach.mid"]["scores"]
    assert one["broken-bach.mid"]["state"] == "failed"
    assert "not a MIDI file" in one["broken-bach.mid"]["error"]


def test_what_is_done_is_not_made_again(run: Run, tiny_package: Path, tmp_path: Path) -> None:
    """Only what failed, what is new, and what is gone; with other settings, nothing is replaced."""
    songs = tunes(tmp_path / "songs", 3)
    (songs / "9.mid").write_bytes(b"this is no music")
    command = ("apply", "songs", "-s", "bach", "--model", tiny_package, *ONE, "-o", "out")
    assert run(*command).code == 2
    before, bytes_before = changed(tmp_path / "out"), midis(tmp_path / "out")
    (songs / "9.mid").unlink()
    for name in ("4.mid", "9.mid"):
        short_song(songs / name)
    for suffix in (".mid", ".json"):
        (tmp_path / "out" / f"1-bach{suffix}").unlink()

    outcome = run(*command)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1] == "3 done, 2 done before, 0 failed"
    after = changed(tmp_path / "out")
    assert {name for name in before if before[name] != after[name]} == {"1-bach.mid"}
    assert bytes_before.items() <= midis(tmp_path / "out").items()

    outcome = run(*command, "--json")
    assert outcome.code == 0
    assert [row["input"] for row in json.loads(outcome.out)] == [
        f"songs/{name}.mid" for name in (0, 1, 2, 4, 9)
    ]
    outcome = run(*command, "--seed", "1")
    assert (outcome.code, outcome.out.splitlines()[-1]) == (2, "0 done, 5 failed")
    assert "exists already" in outcome.err
    assert changed(tmp_path / "out") == after
    assert run(*command).out.splitlines()[-1] == "0 done, 5 done before, 0 failed"


@needs_signals
@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_command_that_is_killed_continues(
    run: Run, tiny_package: Path, tmp_path: Path, jobs: str
) -> None:
    """Its processes end with it; nothing is lost, nothing is made twice."""
    tunes(tmp_path / "songs", 4, 24)
    command = ("apply", "songs", "-s", "bach", "--model", str(tiny_package), *ONE, "-o", "out")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "styletransfer", *command, "--jobs", jobs]
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL)
    wait_for_one(tmp_path / "out", process)
    process.kill()
    process.wait()
    time.sleep(1)
    before = changed(tmp_path / "out")
    assert not all((tmp_path / "out" / f"{number}-bach.mid").exists() for number in range(4))

    outcome = run(*command)
    assert (outcome.code, outcome.err) == (0, "")
    found = rows(tmp_path / "out")
    assert {row["state"] for row in found.values()} == {"done"}
    assert len(found) == 4
    first = min(before, key=lambda name: before[name])
    assert changed(tmp_path / "out")[first] == before[first]

    assert run(*command[:-1], "alone").code == 0
    assert midis(tmp_path / "alone") == midis(tmp_path / "out")


def wait_for_one(folder: Path, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until a manifest says that one arrangement is done."""
    while process is None or process.poll() is None:
        if (folder / NAME).exists() and '"done"' in (folder / NAME).read_text():
            return
        time.sleep(0.02)


@needs_signals
@pytest.mark.slow
def test_a_cluster_makes_the_same_bytes_though_a_worker_dies(
    run: Run,
    tiny_package: Path,
    tmp_path: Path,
    cluster: tuple[str, list[subprocess.Popen[bytes]]],
) -> None:
    tunes(tmp_path / "songs", 6, 24)
    command = ("apply", "songs", "-s", "bach", "--model", tiny_package, *ONE, "-o")
    address, (_, worker, other) = cluster

    def kill() -> None:
        wait_for_one(tmp_path / "there")
        worker.send_signal(signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    outcome = run(*command, "there", "--cluster", address)
    thread.join()
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1] == "6 done, 0 failed"
    assert (worker.wait(), other.poll()) == (-signal.SIGKILL, None)
    assert {row["state"] for row in rows(tmp_path / "there").values()} == {"done"}
    assert run(*command, "here").code == 0
    assert midis(tmp_path / "here") == midis(tmp_path / "there")
    assert len(midis(tmp_path / "here")) == 6


def test_files_of_an_earlier_try_are_replaced_and_no_others(
    run: Run, tiny_package: Path, tmp_path: Path
) -> None:
    """A command that was killed just after it wrote a file, and a file that somebody put there."""
    tunes(tmp_path / "songs", 2)
    command = ("apply", "songs", "-s", "bach", "--model", tiny_package, *ONE, "-o", "out")
    assert run(*command).code == 0
    whole = midis(tmp_path / "out")
    text = (tmp_path / "out" / NAME).read_text()
    text = text.replace('"state": "done"', '"state": "running"')
    rows_before = [json.loads(line) | {"sha256": ""} for line in text.splitlines()]
    lines = "".join(json.dumps(row) + "\n" for row in rows_before)
    (tmp_path / "out" / NAME).write_text(lines + '{"song": "half a li')
    (tmp_path / "out" / "0-bach.json").unlink()
    (tmp_path / "out" / "1-bach.mid").write_bytes(b"mine")

    outcome = run(*command)
    assert (outcome.code, outcome.out.splitlines()[-1]) == (2, "1 done, 1 failed")
    assert "1-bach.mid: it exists already" in outcome.err
    assert midis(tmp_path / "out") == whole | {"1-bach.mid": b"mine"}
    assert [row["state"] for row in rows(tmp_path / "out").values()] == ["done", "failed"]
    assert run("replay", "out/0-bach.json", "--check").code == 0


def test_a_bug_in_a_process_is_not_hidden(run: Run, tmp_path: Path, tiny_package: Path) -> None:
    """The same exit code and traceback as without processes."""
    tunes(tmp_path / "songs", 2)
    package = tmp_path / "package"
    package.mkdir()
    for path in tiny_package.iterdir():
        (package / path.name).write_bytes(path.read_bytes())
    manifest = json.loads((package / "manifest.json").read_text())
    manifest["model"]["heads"] = "two"  # no reader of models looks for this
    (package / "manifest.json").write_text(json.dumps(manifest))
    command = ("apply", "songs", "-s", "bach", "--model", package, *ONE)
    outcomes = [run(*command, "-o", jobs, "--jobs", jobs) for jobs in ("1", "2")]
    assert [outcome.code for outcome in outcomes] == [1, 1]
    for outcome in outcomes:
        assert outcome.err.count("Traceback") == 2
        assert "a bug in this program" in outcome.err.splitlines()[-1]


def test_what_is_refused_before_any_work(run: Run, tiny_package: Path, tmp_path: Path) -> None:
    tunes(tmp_path / "songs", 1)
    command = ("apply", "songs", "-s", "bach", "--model", tiny_package, *ONE, "-o", "out")
    refused(run(*command, "--jobs", "0"), "--jobs 0")
    refused(run(*command, "--jobs", "2", "--cluster", "tcp://here:1"), "give one of them")
    refused(run("apply", "songs/0.mid", "-s", "bach", "--cluster", "tcp://here:1"), "leave it out")
    (tmp_path / "out").mkdir(exist_ok=True)
    with opened(tmp_path / "out"):
        refused(run(*command), "another command is filling")
    assert not (tmp_path / "out" / LOCK).exists()
    (tmp_path / "out" / NAME).write_text('{"mine": 1}\n')
    refused(run(*command), f"{NAME}, line 1", "move the file")
    assert not midis(tmp_path / "out")


def test_a_manifest_names_what_ctrl_c_stopped(
    run: Run, tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tunes(tmp_path / "songs", 2)
    score, calls = rank.score, []

    def stop(music: rank.Music) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return score(music)

    monkeypatch.setattr(rank, "score", stop)
    command = ("apply", "songs", "-s", "bach", "--model", tiny_package, *ONE, "-o", "out")
    assert run(*command).code == 130
    assert [row["state"] for row in rows(tmp_path / "out").values()] == ["done", "stopped"]
    assert run(*command).out.splitlines()[-1] == "1 done, 1 done before, 0 failed"
