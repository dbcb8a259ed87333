"""YAML files to frozen dataclasses: an unknown key is an error."""

from __future__ import annotations

import dataclasses
import types
import typing
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
    import yaml

    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        return from_dict(kind, data)
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror})") from error
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise InputError(f"{path}: {' '.join(str(error).split())}") from error


def from_dict(kind: type[T], data: dict[str, Any]) -> T:
    """A dataclass from plain data; unknown keys and wrong types raise ``TypeError``."""
    if not isinstance(data, dict):
        raise TypeError(f"{kind.__name__} takes keys with values")
    hints = typing.get_type_hints(kind)
    names = {item.name for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(data) - names):
        raise TypeError(
            f"unknown key {unknown[0]!r}; {kind.__name__} has {', '.join(sorted(names))}"
        )
    values = {}
    for name, value in data.items():
        wanted = hints[name]
        if value is not None:  # of "one of these or None", the one
            kinds = (
                typing.get_args(wanted)
                if typing.get_origin(wanted) in (typing.Union, types.UnionType)
                else ()
            )
            wanted = next(
                (
                    kind
                    for kind in kinds
                    if dataclasses.is_dataclass(kind) or kind in (int, float, str, bool)
                ),
                wanted,
            )
        if dataclasses.is_dataclass(wanted):
            value = from_dict(wanted, value)  # type: ignore[arg-type]
        elif wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        elif wanted in (int, float, str, bool) and type(value) is not wanted:
            raise TypeError(f"{name} is {value!r}, not a {wanted.__name__}")
        elif Path in (wanted, *typing.get_args(wanted)) and value is not None:
            if not isinstance(value, str):
                raise TypeError(f"{name} is {value!r}, not a path")
            value = Path(value)
        elif isinstance(value, list):
            value = _tuples(value)
        values[name] = value
    return kind(**values)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
