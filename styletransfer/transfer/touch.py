"""How pianists play a style: how loudly, how much the melody sings, with how much pedal; measured, and in the style's card."""

from __future__ import annotations

from dataclasses import dataclass, fields

from styletransfer.styles import Style, find_style, parse_style
from styletransfer.tokens.controls import ERAS


@dataclass(frozen=True)
class Touch:
    """``accompaniment`` and ``melody``: median velocities; ``spread``: standard deviation of the accompaniment's; ``pedal``:
    share of the time with the sustain pedal down."""

    accompaniment: float
    melody: float
    spread: float
    pedal: float


USUAL = Touch(57.0, 71.0, 14.4, 0.68)
"""Of all training performances of MAESTRO, by ``finetune.touch``: for what neither a style's card nor its era's says."""


def touch_of(style: str) -> Touch:
    """The touch of a style or a blend, its parts weighted.

    Raises:
        InputError: where there is no such style.
    """
    parts = [(_own(one), weight) for one, weight in parse_style(style)]
    return Touch(*(sum(weight * getattr(own, item.name) for own, weight in parts) for item in fields(Touch)))


def _own(style: Style) -> Touch:
    cards = [style.card, find_style(style.era).card if style.era in ERAS else None]
    usual = {item.name: getattr(USUAL, item.name) for item in fields(Touch)}
    for card in reversed(cards):
        usual |= card.touch if card else {}
    return Touch(**usual)
