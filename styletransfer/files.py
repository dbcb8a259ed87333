"""Files written whole or not at all, and never over what the user wants to keep."""

from __future__ import annotations

import json
import math
import os
import shutil
import stat
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import Any

from styletransfer.errors import InputError

MIDI_SUFFIXES = (".mid", ".midi")
OTHER_SUFFIXES = (
    ".wav",
    ".mp3",
    ".ogg",
    ".flac",
    ".png",
    ".jpg",
    ".musicxml",
    ".mxl",
    ".xml",
    ".svg",
    ".pdf",
    ".json",
)
"""Suffixes of files that aren't MIDI files, whatever is in them."""
NO_SCORE = "chord symbols stand above a score; name a .musicxml, .svg or .pdf file for it."
"""The sentence for chord symbols that have no score to stand above."""
LARGEST_FILE = 64 << 20
"""Bytes of the largest adapter or JSON file that is read."""
LARGEST_INDEX = 1 << 30
"""Bytes of the largest index of a style's pieces that is read."""


def check_writable(path: str | Path, force: bool = False) -> None:
    """Refuse, before any work is done, a path that can't be written or replaced.

    With ``force`` a regular file is replaced, and a link is followed to one; devices, pipes and
    links to nothing are refused.

    Raises:
        InputError: with the sentence for the user.
    """
    path = Path(path)
    folder = path.parent
    if not path.name or "\0" in str(path):
        raise InputError(f"{path}: it is no file name; name the file to write.")
    try:
        if path.is_dir():
            raise InputError(f"{path}: it is a folder; name the file to write in it.")
        if not folder.is_dir():
            raise InputError(f"{path}: there is no folder {folder}; make it first or name another.")
        if os.path.lexists(path) and not force:
            raise InputError(
                f"{path}: it exists already; name another file, or replace it with --force."
            )
        if os.path.lexists(path) and not path.is_file():
            kind = "a link that leads nowhere" if path.is_symlink() else "a device or a pipe"
            raise InputError(f"{path}: it is {kind}, no regular file; name another file.")
        folder = followed(path).parent
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: it cannot be written ({error}); name another file.") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{path}: no permission to write in the folder {folder}; name another.")


def write_bytes(path: str | Path, data: bytes, force: bool = False) -> None:
    """Write a file whole or not at all.

    The data go to a temporary name in the same folder, which then takes the real one. Where the
    file is a link, the file that it leads to is replaced, and the link stays.

    Raises:
        InputError: as :func:`check_writable`, or where the disk refuses.
    """
    path = Path(path)
    check_writable(path, force)
    try:
        write_atomically(followed(path), data)
    except OSError as error:
        raise InputError(
            f"{path}: it cannot be written ({error.strerror or error}); name another file."
        ) from None


def followed(path: Path) -> Path:
    """Return the file or the folder that a link leads to; any other path as it is."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def check_size(path: Path, most: int = LARGEST_FILE) -> None:
    """Refuse a file that is too large to be what it should be, before it is read.

    Raises:
        OSError: where there is no such file.
        ValueError: where it is larger than ``most`` bytes, or no regular file.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is no regular file")
    if status.st_size > most:
        raise ValueError(f"it is larger than {most >> 20} MB")


def read_bounded(path: Path) -> bytes:
    """Read a file of at most :data:`LARGEST_FILE` bytes.

    Raises:
        OSError: where it can't be read.
        ValueError: as :func:`check_size`.
    """
    check_size(path)
    return path.read_bytes()


def parse_json(text: str | bytes) -> Any:
    """Parse JSON that somebody else may have written.

    Raises:
        ValueError: where it is none, is nested too deep, or has a number that is none, is infinite,
            or is an integer of more than 64 bits.
    """
    try:
        return json.loads(
            text, parse_int=_integer, parse_float=_finite, parse_constant=_no_constant
        )
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _integer(text: str) -> int:
    if len(text) > 20 or abs(int(text)) >= 2**64:
        raise ValueError(f"{text[:12]}… is too large a number")
    return int(text)


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:12]} is too large a number")
    return value


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number of JSON")


def json_text(data: Any, depth: int) -> str:
    """Write data as JSON, one line for each value at a depth.

    Args:
        data: dictionaries with strings as keys, lists, and what ``json`` takes in them.
        depth: levels that are broken into lines and indented by a space; 0 for a single line.
    """
    return f"{_json_lines(data, depth, 0)}\n"


def _json_lines(data: Any, depth: int, level: int) -> str:
    if level == depth or not data or not isinstance(data, (dict, list, tuple)):
        return json.dumps(data, ensure_ascii=False)

    if isinstance(data, dict):
        rows = [
            f"{json.dumps(key, ensure_ascii=False)}: {_json_lines(value, depth, level + 1)}"
            for key, value in data.items()
        ]
    else:
        rows = [_json_lines(value, depth, level + 1) for value in data]

    begin, end = "{}" if isinstance(data, dict) else "[]"
    lines = ",\n".join(" " * (level + 1) + row for row in rows)
    return f"{begin}\n{lines}\n{' ' * level}{end}"


def refuse_overwriting_inputs(paths: Iterable[Path], given: Iterable[str | Path]) -> None:
    """Refuse to write over a file that was given as input, by whatever name.

    Raises:
        InputError: with the path in question.
    """
    refuse_places(paths, places_of(given))


def places_of(given: Iterable[str | Path]) -> set[tuple[int, int]]:
    """Return the device and the inode of each file that is there."""
    return {place for one in given if (place := _place(Path(one))) is not None}


def refuse_places(paths: Iterable[Path], inputs: Container[tuple[int, int]]) -> None:
    """Refuse to write over inputs, as :func:`places_of` gives them.

    Raises:
        InputError: with the path in question.
    """
    for path in paths:
        if (place := _place(path)) is not None and place in inputs:
            raise InputError(f"{path}: it is one of the inputs; name another file to write.")


def check_suffix(path: Path, *suffixes: str) -> None:
    """Refuse a name that says something else than what is written.

    Raises:
        InputError: naming what is.
    """
    if path.suffix.lower() not in suffixes:
        *others, last = suffixes
        words = f"{', '.join(others)} or {last}" if others else last
        raise InputError(f"{path}: the name must end in {words}.")


def _place(path: Path) -> tuple[int, int] | None:
    """Return the device and the inode of a file, None where there is no such file."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under a temporary name in its folder, then rename it.

    Raises:
        OSError: where the disk refuses; an older file then stays as it was.
    """
    temporary = path.parent / f".styletransfer-{os.getpid()}-{os.urandom(4).hex()}.part"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_folder_atomically(folder: Path, write: Callable[[Path], None]) -> None:
    """Write a folder under a hidden name beside its own, then rename it.

    Args:
        folder: the folder to write, or a link to it; an older one is removed only when the new one
            is whole.
        write: makes the folder that it is given, and writes its files.
    """
    folder = followed(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial, old = (
        folder.with_name(f".{folder.name}.{word}-{os.getpid()}") for word in ("partial", "old")
    )
    try:
        write(partial)
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
