"""The console script as tests run it, in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

ONE = ("--candidates", "1", "--strength", "1")


class Outcome(NamedTuple):
    """Exit code, standard output and standard error."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


def refused(outcome: Outcome, *words: str) -> None:
    """One line on standard error that holds the words, nothing on standard output, exit code 2."""
    assert outcome.code == 2
    assert outcome.out == ""
    assert len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith("styletransfer: ")
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err
