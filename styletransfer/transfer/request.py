"""What a user asks for, what comes back, and the checks that come before any work."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from styletransfer.model.settings import SamplingConfig
from styletransfer.score.notes import Feel, Piece
from styletransfer.styles import parse_style


@dataclass(frozen=True)
class Request:
    """An arrangement to be made.

    ``song``: a file or an example's name. ``style``: a style's name, folder or Hub id, or several with weights
    (``bach:0.7,chopin:0.3``). ``feel``: overrules what the reader finds.
    ``keep_register``: never move the melody by octaves. ``model``: a folder of weights, the shipped ones by default.
    """

    song: str
    style: str
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    feel: Feel | Literal["auto"] = "auto"
    keep_register: bool = False
    model: Path | None = None

    def __post_init__(self) -> None:
        parse_style(self.style)


@dataclass(frozen=True)
class Result:
    """The arrangement, as a piece whose parts are the melody and the two hands, and the report of the run."""

    piece: Piece
    report: dict[str, Any]
