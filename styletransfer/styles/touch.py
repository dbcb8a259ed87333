"""How pianists play a style: loudness, prominence of the melody, pedal.

It was measured in MAESTRO's performances: for composers and eras in ``assets/touch.json``, by
``finetune.touch``, for a trained style in its card.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import lru_cache

from styletransfer.folders import ASSETS
from styletransfer.styles.blend import parse_style
from styletransfer.styles.card import Style
from styletransfer.styles.find import find_style
from styletransfer.tokens.controls import COMPOSER_ERAS, ERAS


@dataclass(frozen=True)
class Touch:
    """How pianists play a style.

    ``accompaniment`` and ``melody``: median velocities. ``spread``: the standard deviation of the
    accompaniment's velocity. ``pedal``: the share of the time with the sustain pedal down.
    """

    accompaniment: float
    melody: float
    spread: float
    pedal: float


USUAL = Touch(57.0, 71.0, 14.4, 0.68)
"""The touch of all training performances of MAESTRO, by ``finetune.touch``.

It stands in for what neither a style's card nor its era's has.
"""


def touch_of(style: str) -> Touch:
    """Return the touch of a style, or the weighted mean of a blend's parts.

    Raises:
        InputError: where there is no such style.
    """
    parts = [(_own(one), weight) for one, weight in parse_style(style)]
    return Touch(
        *(sum(weight * getattr(own, item.name) for own, weight in parts) for item in fields(Touch))
    )


def _own(style: Style) -> Touch:
    """Return a style's own touch, completed by its era's and the usual one."""
    own = {item.name: getattr(USUAL, item.name) for item in fields(Touch)}
    names = [style.era, style.composer] if style.piece is not None else [style.era]
    tags = [find_style(name) for name in names if name in ERAS or name in COMPOSER_ERAS]
    for known in (*tags, style):
        own |= _measured().get(known.name, {}) if known.piece is None else {}
        own |= known.card.touch if known.card else {}
    return Touch(**own)


@lru_cache(maxsize=1)
def _measured() -> dict[str, dict[str, float]]:
    """Read the touch of composers and eras, by name."""
    path = ASSETS / "touch.json"
    styles: dict[str, dict[str, float]] = json.loads(path.read_text(encoding="utf-8"))["styles"]
    return styles
