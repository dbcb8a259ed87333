"""What a user asks for, what comes back, and the checks that come before any work."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from styletransfer.model.settings import SamplingConfig
from styletransfer.score.notes import Feel, InputError, Piece
from styletransfer.tokens.controls import COMPOSER_ERAS, ERAS


@dataclass(frozen=True)
class Request:
    """An arrangement to be made.

    ``song``: a file or an example's name. ``style``: a composer or an era. ``feel``: overrules what the reader finds.
    ``keep_register``: never move the melody by octaves. ``model``: a folder of weights, the shipped ones by default.
    """

    song: str
    style: str
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    feel: Feel | Literal["auto"] = "auto"
    keep_register: bool = False
    model: Path | None = None

    def __post_init__(self) -> None:
        check_style(self.style)


@dataclass(frozen=True)
class Result:
    """The arrangement, as a piece whose parts are the melody and the two hands, and the report of the run."""

    piece: Piece
    report: dict[str, Any]


def style_names() -> list[str]:
    """The styles that there are: composers, then eras."""
    return [*sorted(COMPOSER_ERAS), *ERAS]


def check_style(style: str) -> None:
    """Raise :class:`InputError`, with the nearest name, where there is no such style."""
    names = style_names()
    if style in names:
        return
    near = get_close_matches(style.lower().replace("_", "-"), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    raise InputError(f"{style}: there is no such style; {hint}The styles are {', '.join(names)}.".replace("; The", ". The"))
