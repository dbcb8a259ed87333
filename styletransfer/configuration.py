"""Plain data and YAML files to frozen dataclasses; an unknown key is an error.

And the arguments that recipes have in common.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from styletransfer.errors import InputError

T = TypeVar("T")


def load_config(kind: type[T], path: str | Path) -> T:
    """Fill a dataclass, nested ones included, from a YAML file.

    Raises:
        InputError: where the file is missing, isn't YAML, or has a key or a value that the
            dataclass doesn't take.
    """
    return read_config(path, lambda data: from_dict(kind, data))


def read_config(path: str | Path, fill: Callable[[Any], T]) -> T:
    """Return what ``fill`` makes of a YAML file's plain data, {} of an empty file's.

    Raises:
        InputError: where the file is missing or isn't YAML, or ``fill`` raises a TypeError or a
            ValueError.
    """
    import yaml

    try:
        return fill(yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {})
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror})") from error
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise InputError(f"{path}: {' '.join(str(error).split())}") from error


def from_dict(kind: type[T], data: dict[str, Any]) -> T:
    """Fill a dataclass, nested ones included, from plain data.

    Raises:
        TypeError: where a key is unknown or a value has the wrong type.
    """
    if not isinstance(data, dict):
        raise TypeError(f"{kind.__name__} takes keys with values")
    hints = typing.get_type_hints(kind)
    names = {item.name for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(data) - names):
        raise TypeError(
            f"unknown key {unknown[0]!r}; {kind.__name__} has {', '.join(sorted(names))}"
        )
    return kind(**{name: _typed(name, value, hints[name]) for name, value in data.items()})


def _typed(name: str, value: Any, wanted: Any) -> Any:
    """Convert a value of plain data to the type of its field."""
    if value is not None:
        wanted = _without_none(wanted)
    if dataclasses.is_dataclass(wanted):
        return from_dict(wanted, value)  # type: ignore[arg-type]
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if wanted in (int, float, str, bool) and type(value) is not wanted:
        raise TypeError(f"{name} is {value!r}, not a {wanted.__name__}")
    if Path in (wanted, *typing.get_args(wanted)) and value is not None:
        if not isinstance(value, str):
            raise TypeError(f"{name} is {value!r}, not a path")
        return Path(value)
    return _tuples(value)


def _without_none(wanted: Any) -> Any:
    """Return the first dataclass or plain type of a union, else the type itself."""
    if typing.get_origin(wanted) not in (typing.Union, types.UnionType):
        return wanted
    for kind in typing.get_args(wanted):
        if dataclasses.is_dataclass(kind) or kind in (int, float, str, bool):
            return kind
    return wanted


def _tuples(value: Any) -> Any:
    """Convert lists to tuples, however deep they are nested."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def exit_code(work: Callable[[], int]) -> int:
    """Do a recipe's work; print a user's mistake as a sentence, and return 2 for it."""
    try:
        return work()
    except InputError as error:
        print(error, file=sys.stderr)
        return 2


def recipe_parser(description: str | None, *, data: bool = False) -> argparse.ArgumentParser:
    """Make the parser of a recipe's arguments, whose help is its docstring as written.

    With ``data`` it has ``--data``, the folder of the prepared data set.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if data:
        parser.add_argument(
            "--data",
            type=Path,
            default=Path("data/prepared"),
            help="made by `styletransfer data prepare`",
        )
    return parser
