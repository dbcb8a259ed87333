"""Keep the manifest of many arrangements: what is done, and what is still to do.

It is a file of JSON lines in the folder of the MIDI files, a row for each arrangement. While a
command runs, rows are appended to it, and the last one of an output counts; at the end it is
written again with one row for each. So a command that was ended by anything, at any moment,
continues when it is given again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from filelock import FileLock, Timeout

from styletransfer.configuration import from_dict
from styletransfer.errors import InputError
from styletransfer.files import write_atomically

NAME = "arrangements.jsonl"
LOCK = ".arrangements.lock"

State = Literal["running", "done", "failed", "stopped"]


@dataclass(frozen=True)
class Row:
    """What the manifest states of an arrangement.

    ``output``: its MIDI file (with ``--all``, the best one), in the manifest's folder. ``state``:
    ``running`` while it is made, or where the command was ended by force; ``stopped`` where Ctrl-C
    ended it. ``seconds``: of work. ``scores``: the ranker's measures. ``error``: the sentence,
    where it failed. ``key``: a hash of all that goes into it; "" where it was never begun, since
    the output was there. ``sha256``: the hash of the MIDI file, "" where there is none.
    """

    song: str
    style: str
    seed: int
    output: str
    state: State
    seconds: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)
    error: str = ""
    key: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        if self.state not in get_args(State):
            raise ValueError(f"there is no state {self.state!r}")


class Manifest:
    """The rows of a folder, in a file that is always up to date.

    ``lines``: the last one of each output, as it stands in the file; as rows, many would need much
    memory.
    """

    def __init__(self, path: Path, lines: dict[str, bytes]) -> None:
        self.path, self.lines = path, lines

    def row(self, output: str) -> Row | None:
        """Return an output's row, if it has one."""
        line = self.lines.get(output)
        return None if line is None else _row(line, str(self.path))

    def add(self, row: Row) -> None:
        """Set an output's row, and write it so that it survives a power cut.

        Raises:
            InputError: where the disk refuses.
        """
        line = self.lines[row.output] = _line(row)
        try:
            with self.path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _refused(self.path, error) from None

    def tidy(self, first: Iterable[str] = ()) -> None:
        """Write the file again with one row for each output.

        Args:
            first: outputs whose rows come first, in this order.

        Raises:
            InputError: where the disk refuses.
        """
        if not self.lines:
            return
        order = dict.fromkeys([*(name for name in first if name in self.lines), *self.lines])
        try:
            write_atomically(self.path, b"".join(self.lines[name] for name in order))
        except OSError as error:
            raise _refused(self.path, error) from None


@contextmanager
def opened(folder: Path) -> Iterator[Manifest]:
    """Open the manifest of a folder, which no other command may fill meanwhile.

    Raises:
        InputError: where another command fills the folder, it can't be written, or the file of that
            name is no manifest.
    """
    path, lock = folder / NAME, FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(
            f"{folder}: another command is filling this folder; wait for it, or name another."
        ) from None
    except OSError as error:
        raise _refused(path, error) from None
    try:
        manifest = Manifest(path, _read(path))
        manifest.tidy()  # a command that was ended may have left half a line
        yield manifest
    finally:
        with suppress(OSError):
            (folder / LOCK).unlink()
        lock.release()


def _read(path: Path) -> dict[str, bytes]:
    """Read the lines of a manifest; the last one of an output counts.

    Raises:
        InputError: where it can't be read or is no manifest.
    """
    found: dict[str, bytes] = {}
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):  # half a line is what a power cut left
                    found[_row(line, f"{path}, line {number}").output] = line
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _refused(path, error) from None
    return found


def _row(line: bytes, place: str) -> Row:
    try:
        return from_dict(Row, json.loads(line))
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(
            f"{place}: this is no list of arrangements ({error}); move the file, or name another"
            " folder."
        ) from None


def _line(row: Row) -> bytes:
    return json.dumps(asdict(row)).encode() + b"\n"


def _refused(path: Path, error: OSError) -> InputError:
    reason: Any = error.strerror or error
    return InputError(f"{path}: it cannot be written ({reason}); name another folder with -o.")
