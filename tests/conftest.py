"""Make expensive fixtures once for all tests.

These are a prepared data set and a package of weights.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.command import Run, console
from tests.source_folders import table, tune, write
from tests.tiny import random_piece, save_tiny_package


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepare a data set: six scores and six performances by two composers.

    One of each is in validation.
    """
    from styletransfer.formats.midi_out import write_midi

    folder = tmp_path_factory.mktemp("music")
    rows = []
    for number in range(12):
        feel, name = ("score", "performance")[number % 2], f"{number}.mid"
        write_midi(random_piece(number, feel), folder / name)
        composer = "Frédéric Chopin" if number % 3 else "Johann Sebastian Bach"
        rows.append(
            {"file": name, "composer": composer, "split": "validation" if number < 2 else "train"}
        )
    return prepared(folder, rows, tmp_path_factory)


def prepared(
    folder: Path, rows: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Prepare a folder of pieces; ``rows`` state each file's composer and split."""
    from styletransfer.data.prepare import prepare

    table = tmp_path_factory.mktemp("table") / "composers.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["file", "composer", "split"])
        writer.writeheader()
        writer.writerows(rows)
    out = tmp_path_factory.mktemp("data") / "prepared"
    prepare([folder], out, composers_csv=table, workers=1)
    return out


@pytest.fixture(scope="session")
def tiny_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an untrained model's folder, as ``--model`` takes it."""
    return save_tiny_package(tmp_path_factory.mktemp("package"))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Return a function that runs the console script in this process.

    The current folder is an empty one.
    """
    monkeypatch.chdir(tmp_path)
    return console(monkeypatch, capsys)


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    """Write the scores of tunes 0, 1, 2 and of one that isn't performed.

    They have the form of the keyboard scores.
    """
    folder = tmp_path / "scores"
    rows: list[dict[str, object]] = []
    for seed in (0, 1, 2, 9):
        write(folder / f"chopin/{seed}.mid", tune(seed))
        row = {"file": f"chopin/{seed}.mid", "composer": "Frédéric Chopin", "title": f"op. {seed}"}
        rows.append(row | {"downbeats_on_bars": 1.0})
    table(folder / "metadata.csv", rows)
    return folder


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Start a scheduler and two workers; give its address, and their processes."""
    file = tmp_path / "scheduler.json"
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    common = ("--scheduler-file", str(file), "--no-dashboard")
    worker = ("worker", "--nthreads", "1", "--no-nanny", "--local-directory", str(tmp_path))
    with ExitStack() as stack:
        started = []
        for words in (("scheduler", "--port", "0"), worker, worker):
            command = [sys.executable, "-m", "dask", *words, *common]
            process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
            started.append(process)
        deadline = time.monotonic() + 120
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)

        from distributed import Client

        with Client(scheduler_file=str(file), timeout=120, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=120)
            address = client.scheduler.address
        yield address, started
