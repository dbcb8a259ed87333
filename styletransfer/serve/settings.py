"""The settings of a server, given when it is started, and its limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from styletransfer.errors import InputError

PORT = 8765
MOST_CANDIDATES, MOST_SECONDS = 16, 600.0
"""The most candidates and seconds of an arrangement made here; the command line takes more."""
MEGABYTE = 1 << 20
ARRANGEMENT, VERSION, TIMES = "arrangement.mid", "version.json", "times.json"
"""Files in a version's folder: its music, its description, and the times of its pages' notes."""


@dataclass(frozen=True)
class Settings:
    """How the server listens, and how much it takes and keeps.

    ``public``: the origins under which a proxy serves it. ``song_bytes`` and ``training_bytes``: of
    an upload. ``songs`` and ``versions``: so many are kept, then the oldest are removed; ``queue``:
    jobs that may wait. ``light_seconds``: in which a song must be read or engraved;
    ``arranging_seconds``: in which an arrangement must be made, and a training be over beyond the
    minutes that it was given.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    public: tuple[str, ...] = ()
    model: Path | None = None
    song_bytes: int = 16 * MEGABYTE
    training_bytes: int = 256 * MEGABYTE
    songs: int = 100
    versions: int = 200
    queue: int = 16
    light_seconds: float = 120.0
    arranging_seconds: float = 3600.0
    readers: int = 2


def origins(given: Sequence[str]) -> tuple[str, ...]:
    """Return addresses of a proxy as browsers name origins.

    Raises:
        InputError: where one is none.
    """
    found = []
    for text in given:
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
            raise InputError(f"--public {text}: give an address as https://music.example.org.")
        found.append(f"{parts.scheme}://{parts.netloc}".lower())
    return tuple(found)


LIMITS: dict[str, dict[str, Any]] = {
    "candidates": {"minimum": 1, "maximum": MOST_CANDIDATES, "type": "integer"},
    "temperature": {"minimum": 0, "maximum": 5, "type": "number"},
    "top_p": {"minimum": 0.01, "maximum": 1, "type": "number"},
    "strength": {"minimum": 0, "maximum": 5, "type": "number"},
    "seed": {"minimum": 0, "maximum": 2**53, "type": "integer"},
    "feel": {"enum": ["auto", "score", "performance"], "type": "string"},
    "keep_register": {"type": "boolean"},
    "bars": {"pattern": "^[0-9]{1,6}(-[0-9]{1,6})?$", "type": "string"},
    "melody_track": {"type": "string"},
    "mode": {"enum": ["reharmonize", "regenerate", "continue"], "type": "string"},
    "keep": {"enum": ["exact", "ornamented"], "type": "string"},
    "seconds": {"minimum": 1, "maximum": MOST_SECONDS, "type": "number"},
    "chords": {"type": "string", "maxLength": 20_000},
    "on_top": {"type": "boolean"},
    "choose": {"enum": ["phrases", "whole"], "type": "string"},
    "span": {"enum": ["small", "medium", "large"], "type": "string"},
    "difficulty": {"enum": ["easy", "medium", "hard"], "type": "string"},
    "metre": {"pattern": "^[0-9]{1,2}/(1|2|4|8|16)$", "type": "string"},
    "tempo": {"minimum": 10, "maximum": 400, "type": "number"},
}
"""The limits of each option, in the words of JSON Schema."""


def option_table() -> dict[str, dict[str, Any]]:
    """Return every option with its default and its limits."""
    from styletransfer.transfer.request import options  # brings numpy: not at the start

    return {name: {"default": default} | LIMITS[name] for name, default in options().items()}
