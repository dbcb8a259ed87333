"""How like the style's own accompaniments a candidate's is: a measure of the ranker's."""

from __future__ import annotations

from collections.abc import Sequence

from styletransfer.folders import IDIOM
from styletransfer.music.idiom import StyleProfile, load_profile, shipped_idioms
from styletransfer.music.notes import NoteTable
from styletransfer.styles.blend import parse_style
from styletransfer.styles.card import Style
from styletransfer.styles.example import load_example

Parts = Sequence[tuple[StyleProfile, float]]
"""A style or a blend, as the ranker knows it: whose accompaniments, and their weights."""


def parts_of(style: str) -> Parts:
    """The parts of a style or a blend that anything is known of.

    Raises:
        InputError: where a style's file is damaged.
    """
    return [(own, weight) for one, weight in parse_style(style) if (own := own_of(one)) is not None]


def own_of(style: Style) -> StyleProfile | None:
    """A shipped composer or an era's composers; of a piece, itself; of any other style, what is in
    its folder; None where that has nothing."""
    if style.piece is not None:
        return load_example(style.piece).profile
    if style.path is not None and (style.path / IDIOM).is_file():
        return load_profile(style.path / IDIOM)
    return shipped_idioms().known(
        {"composer": style.composer, "era": style.era}.get(style.kind, "")
    )


def likeness(parts: Parts, melody: NoteTable, accompaniment: NoteTable) -> float:
    """How much less likely an accompaniment on beats is the style's than the style's own usually
    are: nats, 0 or below; the weighted mean of a blend's parts."""
    return sum(
        weight * shipped_idioms().likeness(melody, accompaniment, own) for own, weight in parts
    )
