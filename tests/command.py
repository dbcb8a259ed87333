"""The console script as tests run it, in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

ONE = ("--candidates", "1", "--strength", "1")
SONG_AFTER_BACH = ("apply", "song.mid", "-s", "bach", "--candidates", "2", "--strength", "1")


class Outcome(NamedTuple):
    """Exit code, standard output and standard error."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


def console(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *before: str
) -> Run:
    """Return a function that runs the console script in this process.

    ``before`` is put before the arguments of each call.
    """
    from styletransfer.cli import app as cli

    def call(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["styletransfer", *before, *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        return Outcome(code, *capsys.readouterr())

    return call


def refused(outcome: Outcome, *words: str) -> None:
    """Check that a call ended with one sentence that holds the words, and exit code 2.

    The sentence is one line on standard error; there is nothing on standard output.
    """
    assert outcome.code == 2
    assert outcome.out == ""
    assert len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith("styletransfer: ")
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err
