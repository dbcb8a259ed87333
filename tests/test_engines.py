"""Run tasks one by one, in processes and on a cluster: none lost, none twice."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from styletransfer import engines
from styletransfer.engines import TRIES, Engine, Lost
from styletransfer.errors import InputError

needs_signals = pytest.mark.skipif(os.name == "nt", reason="no such signals here")


def write_pid(path: Path) -> int:
    """Append this process to a file, and return it."""
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
    return os.getpid()


def die_at_first(path: Path) -> int:
    """Kill this process the first time that a path is worked on."""
    first = not path.exists()
    pid = write_pid(path)
    if first and path.name == "2":
        os.kill(pid, signal.SIGKILL)
    return pid


def die(path: Path) -> int:
    """Kill this process whenever the path 2 is worked on."""
    pid = write_pid(path)
    if path.name == "2":
        os.kill(pid, signal.SIGKILL)
    return pid


def wait_for_long(path: Path) -> None:
    """Say that a path is worked on, and never end."""
    write_pid(path)
    time.sleep(600)


def tries(path: Path) -> int:
    return len(path.read_text().splitlines())


def finish(tasks: list[Path], engine: Engine, work: object) -> dict[Path, int | Lost]:
    """Run tasks, and check that each comes back once."""
    pairs = list(engine.run(work, iter(tasks)))  # type: ignore[arg-type]
    assert sorted(task for task, _ in pairs) == tasks
    return dict(pairs)


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_task_is_done_once(tmp_path: Path, jobs: int) -> None:
    tasks = [tmp_path / str(number) for number in range(7)]
    found = finish(tasks, Engine(jobs), write_pid)
    assert [tries(path) for path in tasks] == [1] * 7
    assert len(set(found.values())) <= jobs
    assert (os.getpid() in found.values()) == (jobs == 1)


@needs_signals
def test_a_task_whose_process_dies_is_done_by_another(tmp_path: Path) -> None:
    tasks = [tmp_path / str(number) for number in range(7)]
    found = finish(tasks, Engine(2), die_at_first)
    assert all(isinstance(pid, int) for pid in found.values())
    assert [tries(path) for path in tasks] == [1, 1, 2, 1, 1, 1, 1]


@needs_signals
def test_a_task_that_always_kills_is_given_up(tmp_path: Path) -> None:
    tasks = [tmp_path / str(number) for number in range(5)]
    found = finish(tasks, Engine(2), die)
    lost = found.pop(tmp_path / "2")
    assert isinstance(lost, Lost)
    assert lost.how == "signal 9"
    assert tries(tmp_path / "2") == TRIES
    assert all(isinstance(pid, int) for pid in found.values())


def test_tasks_are_taken_when_there_is_a_process_for_them(tmp_path: Path) -> None:
    """A list of any length needs no memory."""
    taken = []

    def tasks() -> Iterator[Path]:
        for number in range(50):
            taken.append(number)
            yield tmp_path / str(number)

    pairs = Engine(2).run(write_pid, tasks())
    next(pairs)
    assert len(taken) <= 4
    pairs.close()
    assert len(list(tmp_path.iterdir())) <= 4


def test_what_no_engine_does() -> None:
    for jobs in (0, -1, 1_000_000):
        with pytest.raises(InputError, match="--jobs"):
            Engine(jobs)
    with pytest.raises(InputError, match="give one of them"):
        Engine(2, "tcp://127.0.0.1:1")


def kill_when_there(process: subprocess.Popen[bytes], path: Path) -> None:
    """Kill a process as soon as there is a file."""
    while not path.exists():
        time.sleep(0.1)
    process.kill()


@pytest.mark.slow
@needs_signals
def test_a_cluster_does_every_task_once_though_a_worker_dies(
    cluster: tuple[str, list[subprocess.Popen[bytes]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor is it waited for a scheduler that has died."""
    (tmp_path / "tasks").mkdir()
    tasks = [tmp_path / "tasks" / str(number) for number in range(7)]
    found = finish(tasks, Engine(cluster=cluster[0]), die_at_first)
    assert all(isinstance(pid, int) for pid in found.values())
    assert tries(tasks[2]) == 2
    scheduler, *workers = cluster[1]
    assert sum(process.poll() is not None for process in workers) == 1

    monkeypatch.setattr(engines, "PATIENCE", 5)
    pairs = Engine(cluster=cluster[0]).run(wait_for_long, [tmp_path / "long"])
    threading.Thread(target=kill_when_there, args=(scheduler, tmp_path / "long")).start()
    with pytest.raises(InputError, match="its scheduler has ended"):
        next(pairs)
