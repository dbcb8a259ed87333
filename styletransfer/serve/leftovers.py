"""Remove what killed servers have left behind."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from styletransfer.folders import home

PREFIX, LOCK, MARK = "styletransfer-", "server.lock", "page"
"""The prefix of a server's temporary folder, the file in it that a running server keeps locked, and
the file in a training's work folder which shows that the page began it."""


def work_folder(name: str) -> Path:
    """Return the folder in which a style of that name is trained."""
    return home() / f".{name}.work"


def mark_work(name: str) -> None:
    """Mark a training as the page's.

    One that the command line has left to be continued is not marked.
    """
    work = work_folder(name)
    with suppress(OSError):
        work.mkdir(parents=True)
        (work / MARK).touch()


def remove_work(name: str) -> None:
    """Remove what a training of the page has left.

    One that runs, or isn't the page's, stays.
    """
    work = work_folder(name)
    if (work / MARK).is_file():
        _remove_unheld(work, work / "lock")


def sweep(temporary: Path) -> None:
    """Remove the temporary folders and trainings of servers that are gone."""
    for folder in temporary.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if (folder / LOCK).is_file():
                _remove_unheld(folder, folder / LOCK)
    with suppress(OSError):
        for work in home().glob(".*.work"):
            remove_work(work.name[1 : -len(".work")])


def _remove_unheld(folder: Path, lock: Path) -> None:
    """Remove a folder unless a process holds its lock."""
    with suppress(Timeout, OSError):
        with FileLock(lock, timeout=0):
            pass
        shutil.rmtree(folder, ignore_errors=True)
