"""What a user asks for, what comes back, and the checks that come before any work."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from styletransfer.configuration import from_dict
from styletransfer.errors import InputError
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.notes import Feel
from styletransfer.styles.blend import parse_style

PARTS = ("Melody", "Accompaniment, right hand", "Accompaniment, left hand")
"""The parts of every arrangement."""
CHORDS_SUFFIX = ".txt"
"""Of a file that holds chords, where songs are named."""


@dataclass(frozen=True)
class Request:
    """An arrangement to be made.

    ``song``: a file or an example's name; a text file of chords, or "" where the ``chords`` are all
    there is, which are then arranged by themselves, in bars of ``metre`` (4/4) at ``tempo`` beats a
    minute (100 quarters). ``style``: a style's name, folder or Hub id, the file of a piece to
    follow, or several with weights (``bach:0.7,chopin:0.3``). ``feel``: ``auto`` leaves a song on
    its beats where it has some, ``score`` takes it to have some, ``performance`` plays what lies on
    beats as a pianist would (what has none is a performance anyway); ``played``: an earlier
    arrangement was played so. ``keep_register``: never move the melody by octaves. ``model``: a
    folder of weights, the shipped ones by default. ``melody_track``: the number (from 1) or name of
    the song's part that is its melody; found, where it is None. ``mode``: ``reharmonize`` locks the
    melody, ``regenerate`` only tells it, ``continue`` goes on after the locked melody for so many
    ``seconds``. ``keep``: whether all its notes are locked (``exact``), or the structural ones,
    with ornaments between them (``ornamented``). ``chords``: ``new`` harmony, that of the song's
    own accompaniment or symbols (``keep``), or a line of chord symbols, bar by bar
    (:func:`~styletransfer.music.chord_names.chords_of_line`), or a file that holds one. ``on_top``:
    whether the accompaniment stays below the tune, as in a piano piece, or may go above, as under a
    singer; None: as most of the style's pieces have it. ``choose``: whether the best of the
    candidates is taken phrase by phrase, or of whole arrangements. ``bars``: of an earlier
    arrangement, which then is the ``song``, only these bars (``5-8``) are made anew.
    """

    song: str
    style: str
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    feel: Feel | Literal["auto", "played"] = "auto"
    keep_register: bool = False
    model: Path | None = None
    bars: str | None = None
    melody_track: str | None = None
    mode: Literal["reharmonize", "regenerate", "continue"] = "reharmonize"
    keep: Literal["exact", "ornamented"] = "exact"
    seconds: float | None = None
    chords: str = "new"
    on_top: bool | None = None
    choose: Literal["phrases", "whole"] = "phrases"
    metre: str | None = None
    tempo: float | None = None

    def __post_init__(self) -> None:
        if self.feel not in ("auto", "score", "performance") and not (
            self.feel == "played" and self.bars is not None
        ):
            raise InputError(f"--feel {self.feel}: give auto, score or performance.")
        if self.mode not in ("reharmonize", "regenerate", "continue"):
            raise InputError(f"--mode {self.mode}: give reharmonize, regenerate or continue.")
        if (self.mode == "continue") != (self.seconds is not None):
            raise InputError("--mode continue and --seconds go together: give both or neither.")
        if self.seconds is not None and not 1 <= self.seconds <= 3600:
            raise InputError(f"--seconds {self.seconds:g}: give a number from 1 to 3600.")
        if self.keep not in ("exact", "ornamented"):
            raise InputError(f"--keep {self.keep}: give exact or ornamented.")
        if self.mode == "regenerate" and self.keep != "exact":
            raise InputError("--mode regenerate keeps no notes; leave out --keep.")
        if not self.chords.strip():
            raise InputError("--chords: give new, keep, or chords, as 'F C7 | F'.")
        if self.choose not in ("phrases", "whole"):
            raise InputError(f"--choose {self.choose}: give phrases or whole.")
        if self.metre is not None:
            metre_of(self.metre)
        if self.tempo is not None and not 10 <= self.tempo <= 400:
            raise InputError(f"--tempo {self.tempo:g}: give beats a minute, from 10 to 400.")
        if self.of_chords:
            self._check_chords()
        elif self.metre is not None or self.tempo is not None:
            raise InputError(
                "--metre and --tempo are for chords without a song, which has its own; leave them out."
            )
        if self.bars is not None:
            bar_range(self.bars)
            if self.melody_track is not None:
                raise InputError(
                    "--melody-track: with --bars, the melody is that of the earlier output; leave it out."
                )
            if self.mode != "reharmonize" or self.keep != "exact":
                raise InputError(
                    "--bars keeps the earlier output's melody as it is; leave out --mode and --keep."
                )
        parse_style(self.style)

    @property
    def of_chords(self) -> bool:
        """Whether chords are all that there is of a song."""
        return not self.song or Path(self.song).suffix.lower() == CHORDS_SUFFIX

    def _check_chords(self) -> None:
        """Refuse what needs a song."""
        if not self.song and self.chords in ("new", "keep"):
            raise InputError(
                "give a song to arrange, or --chords to be played by themselves, as 'F C7 | F'."
            )
        if self.song and self.chords != "new":
            raise InputError(
                f"--chords: {self.song} has the chords already; leave the option out, or the file."
            )
        if (
            self.mode != "reharmonize"
            or self.keep != "exact"
            or self.melody_track is not None
            or self.bars is not None
        ):
            raise InputError(
                "chords by themselves have no tune; leave out --mode, --keep, --melody-track and --bars."
            )


def metre_of(text: str) -> tuple[int, int]:
    """The two numbers of a metre as ``3/4``.

    Raises:
        InputError: where it is none.
    """
    found = re.fullmatch(r"([0-9]{1,2})/(1|2|4|8|16)", text)
    if not found or not 1 <= int(found[1]) <= 24:
        raise InputError(f"--metre {text}: give a metre, as 3/4 or 6/8.")
    return int(found[1]), int(found[2])


def bar_range(bars: str) -> tuple[int, int]:
    """The first and the last of some bars: ``5-8`` or ``5``.

    Raises:
        InputError: where it is neither.
    """
    found = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", bars) if isinstance(bars, str) else None
    if not found or int(found[2] or found[1]) < int(found[1]):
        raise InputError(f"--bars {bars}: give one bar, as 5, or a range of bars, as 5-8.")
    return int(found[1]), int(found[2] or found[1])


def options() -> dict[str, Any]:
    """The names and defaults of everything that a request may be given beside song, style and
    model.

    They are the options of the command ``apply`` and the keywords of
    :meth:`styletransfer.StyleTransfer.apply`.
    """
    named = [
        item for item in fields(Request) if item.name not in ("song", "style", "sampling", "model")
    ]
    return {item.name: item.default for item in (*fields(SamplingConfig), *named)}


def request_of(
    song: str | Path | None, style: str | Path, model: Path | None = None, /, **chosen: Any
) -> Request:
    """A request from keywords, as :func:`options` names them.

    Raises:
        TypeError: where there is no such option.
        InputError: where a value isn't one that the option takes, or there is no such style.
    """
    known = options()
    if unknown := [name for name in chosen if name not in known]:
        raise TypeError(f"there is no option {unknown[0]!r}; the options are {', '.join(known)}")
    chosen = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in chosen.items()
    }
    if type(chosen.get("melody_track")) is int:
        chosen["melody_track"] = str(chosen["melody_track"])
    sampling = {
        item.name: chosen.pop(item.name) for item in fields(SamplingConfig) if item.name in chosen
    }
    try:
        named = {
            "song": "" if song is None else str(song),
            "style": str(style),
            "sampling": sampling,
        }
        request = from_dict(Request, named | chosen)
    except (TypeError, ValueError) as error:
        raise InputError(f"{error}.") from error
    return replace(request, model=model)
