"""Compare a candidate's accompaniment with the style's own ones."""

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
    """Load what is known of the parts of a style or a blend.

    Raises:
        InputError: where a style's file is damaged.
    """
    return [(own, weight) for one, weight in parse_style(style) if (own := own_of(one)) is not None]


def own_of(style: Style) -> StyleProfile | None:
    """Return the profile of a style's own accompaniments.

    It is that of a shipped composer, or of an era's composers; of a piece, its own; of any other
    style, what is in its folder, None where that has nothing.
    """
    if style.piece is not None:
        return load_example(style.piece).profile
    if style.path is not None and (style.path / IDIOM).is_file():
        return load_profile(style.path / IDIOM)
    return shipped_idioms().known(
        {"composer": style.composer, "era": style.era}.get(style.kind, "")
    )


def likeness(parts: Parts, melody: NoteTable, accompaniment: NoteTable) -> float:
    """Measure how like the style's own an accompaniment on beats is: nats, 0 or below.

    It is how much less likely the accompaniment is under the style than the style's own usually
    are; the weighted mean of a blend's parts.
    """
    return sum(
        weight * shipped_idioms().likeness(melody, accompaniment, own) for own, weight in parts
    )
