"""What a user asks for, and the checks that come before any work."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from styletransfer.configuration import from_dict
from styletransfer.errors import InputError
from styletransfer.model.settings import SamplingConfig
from styletransfer.music.ensemble import PIANO, Ensemble
from styletransfer.music.grip import SPAN
from styletransfer.music.notes import Feel
from styletransfer.styles.blend import named, parse_style
from styletransfer.transfer.difficulty import DIFFICULTIES

CHORDS_SUFFIX = ".txt"
"""Suffix of a file that holds chords, where songs are named."""

SPANS = {"small": 12, "medium": SPAN, "large": 16}
"""Semitones that a hand spans."""


@dataclass(frozen=True)
class Request:
    """An arrangement to be made.

    Raises:
        InputError: where a value isn't one that its option takes, or options don't go together.
    """

    song: str
    """A file or an example's name; a text file of chords; or "" where ``chords`` are all there is.
    """
    style: str
    """A style's name, folder or Hub id, the file of a piece to follow, or several with weights
    (``bach:0.7,chopin:0.3``)."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    feel: Feel | Literal["auto", "played"] = "auto"
    """``auto`` leaves a song on its beats where it has some, ``score`` takes it to have some,
    ``performance`` plays what lies on beats as a pianist would (what has none is a performance
    anyway); ``played``: an earlier arrangement was played this way."""
    keep_register: bool = False
    """Never move the melody by octaves."""
    model: Path | None = None
    """A folder of weights; None: those that ship."""
    bars: str | None = None
    """Make only these bars (``5-8``) of an earlier arrangement, the ``song``, again."""
    melody_track: str | None = None
    """The number (from 1) or the name of the part that has the melody; None: it is found."""
    mode: Literal["reharmonize", "regenerate", "continue"] = "reharmonize"
    """``reharmonize`` locks the melody, ``regenerate`` only shows it to the model, ``continue``
    continues after the locked melody."""
    keep: Literal["exact", "ornamented"] = "exact"
    """Lock all notes of the melody, or its structural ones, with ornaments between them."""
    seconds: float | None = None
    """Seconds of music after the melody, in mode ``continue``."""
    chords: str = "new"
    """``new`` harmony, that of the song's own accompaniment or symbols (``keep``), a line of chord
    symbols bar by bar (:func:`~styletransfer.music.chord_names.chords_of_line`), or a file of it.
    """
    on_top: bool | None = None
    """Whether the accompaniment stays below the melody, as in a piano piece, or may go above, as
    under a singer; None: as most of the style's pieces have it."""
    choose: Literal["phrases", "whole"] = "phrases"
    """Choose the best of the candidates phrase by phrase, or among whole arrangements."""
    span: Literal["small", "medium", "large"] = "medium"
    """What a hand can reach: an octave, a ninth or a tenth (:data:`SPANS`)."""
    difficulty: Literal["easy", "medium", "hard"] | None = None
    """How hard it may be to play (:mod:`.difficulty`); None: as the style has it."""
    metre: str | None = None
    """The metre of chords by themselves; None: 4/4."""
    tempo: float | None = None
    """The tempo of chords by themselves, in beats per minute; None: 100 quarters per minute."""

    def __post_init__(self) -> None:
        self._check_choices()
        self._check_time()
        if self.of_chords:
            self._check_chords()
        elif self.metre is not None or self.tempo is not None:
            raise InputError(
                "--metre and --tempo are for chords without a song; a song has its own;"
                " leave them out."
            )
        if self.bars is not None:
            self._check_bars()
        parse_style(self.style)
        object.__setattr__(self, "style", named(self.style))  # the dataclass is frozen

    @property
    def of_chords(self) -> bool:
        """Whether chords are all that there is of a song."""
        return not self.song or Path(self.song).suffix.lower() == CHORDS_SUFFIX

    @property
    def ensemble(self) -> Ensemble:
        """Who plays the arrangement: always a pianist, as no option says otherwise."""
        return PIANO

    def _check_choices(self) -> None:
        """Refuse words that an option doesn't know, and those that don't go together."""
        if self.feel != "played" or self.bars is None:
            _check_choice("feel", self.feel, "auto", "score", "performance")
        _check_choice("mode", self.mode, "reharmonize", "regenerate", "continue")
        if (self.mode == "continue") != (self.seconds is not None):
            raise InputError("--mode continue and --seconds go together: give both or neither.")
        if self.seconds is not None and not 1 <= self.seconds <= 3600:
            raise InputError(f"--seconds {self.seconds:g}: give a number from 1 to 3600.")

        _check_choice("keep", self.keep, "exact", "ornamented")
        if self.mode == "regenerate" and self.keep != "exact":
            raise InputError("--mode regenerate keeps no notes; leave out --keep.")
        if not self.chords.strip():
            raise InputError("--chords: give new, keep, or chords, such as 'F C7 | F'.")
        _check_choice("span", self.span, *SPANS)
        if self.difficulty is not None:
            _check_choice("difficulty", self.difficulty, *DIFFICULTIES)
        _check_choice("choose", self.choose, "phrases", "whole")

    def _check_time(self) -> None:
        """Refuse a metre or a tempo that is none."""
        if self.metre is not None:
            metre_of(self.metre)
        if self.tempo is not None and not 10 <= self.tempo <= 400:
            raise InputError(f"--tempo {self.tempo:g}: give beats per minute, from 10 to 400.")

    def _check_chords(self) -> None:
        """Refuse what needs a song."""
        if not self.song and self.chords in ("new", "keep"):
            raise InputError(
                "give a song to arrange, or --chords to play by themselves, such as 'F C7 | F'."
            )
        if self.song and self.chords != "new":
            raise InputError(
                f"--chords: {self.song} already has the chords; leave out the option or the file."
            )
        default = (self.mode, self.keep) == ("reharmonize", "exact")
        if not default or self.melody_track is not None or self.bars is not None:
            raise InputError(
                "chords by themselves have no tune;"
                " leave out --mode, --keep, --melody-track and --bars."
            )

    def _check_bars(self) -> None:
        """Refuse what an earlier arrangement has settled already."""
        assert self.bars is not None
        bar_range(self.bars)
        if self.melody_track is not None:
            raise InputError(
                "--melody-track: with --bars, the melody is that of the earlier output;"
                " leave it out."
            )
        if self.mode != "reharmonize" or self.keep != "exact":
            raise InputError(
                "--bars keeps the earlier output's melody as it is; leave out --mode and --keep."
            )


def _check_choice(option: str, value: str, *choices: str) -> None:
    """Refuse a word that isn't one of an option's."""
    if value not in choices:
        words = f"{', '.join(choices[:-1])} or {choices[-1]}"
        raise InputError(f"--{option} {value}: give {words}.")


def metre_of(text: str) -> tuple[int, int]:
    """Read the two numbers of a metre as ``3/4``.

    Raises:
        InputError: where it is none.
    """
    found = re.fullmatch(r"([0-9]{1,2})/(1|2|4|8|16)", text)
    if not found or not 1 <= int(found[1]) <= 24:
        raise InputError(f"--metre {text}: give a metre, such as 3/4 or 6/8.")
    return int(found[1]), int(found[2])


def bar_range(bars: str) -> tuple[int, int]:
    """Read the first and the last of some bars: ``5-8`` or ``5``.

    Raises:
        InputError: where it is neither.
    """
    found = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", bars) if isinstance(bars, str) else None
    if not found or int(found[2] or found[1]) < int(found[1]):
        raise InputError(f"--bars {bars}: give one bar, such as 5, or a range, such as 5-8.")
    return int(found[1]), int(found[2] or found[1])


def options() -> dict[str, Any]:
    """Name the options of a request beside song, style and model, with their defaults.

    They are those of the command ``apply`` and the keywords of
    :meth:`styletransfer.StyleTransfer.apply`.
    """
    named = [
        item for item in fields(Request) if item.name not in ("song", "style", "sampling", "model")
    ]
    return {item.name: item.default for item in (*fields(SamplingConfig), *named)}


def request_of(
    song: str | Path | None, style: str | Path, model: Path | None = None, /, **chosen: Any
) -> Request:
    """Make a request from keywords, as :func:`options` names them.

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
