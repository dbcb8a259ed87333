"""What is known of a style: its card, and the control tokens that stand for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from styletransfer import folders
from styletransfer.tokens.controls import SPECIAL_TOKENS, Controls

if TYPE_CHECKING:
    from styletransfer.music.notes import Feel

Kind = Literal["composer", "era", "other", "user", "example"]
CARD = "style.json"
WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
LARGEST = 10**12
TOUCH = {"accompaniment": 127, "melody": 127, "spread": 127, "pedal": 1}
"""What a card may say of how pianists play the style (:class:`styletransfer.styles.touch.Touch`),
and the largest values.
"""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < LARGEST


def _is_touch(item: tuple[Any, Any]) -> bool:
    return item[0] in TOUCH and _is_number(item[1]) and item[1] <= TOUCH[item[0]]


CHECKS: dict[str, Callable[[Any], bool]] = {  # by the annotations of Card's fields
    "str": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and _is_number(value),
    "float": _is_number,
    "float | None": lambda value: value is None or _is_number(value),
    "Kind": lambda value: value in get_args(Kind),
    "dict[str, float]": lambda value: (
        isinstance(value, dict) and all(map(_is_touch, value.items()))
    ),
}


@dataclass(frozen=True)
class Card:
    """What is known of an adapter, as ``style.json`` holds it.

    ``era`` and ``composer``: the control tokens it was trained under, by the names of
    :mod:`.tokens.controls`. ``pieces``, ``minutes`` and ``notes`` of music it learnt from.
    ``base_bits`` and ``style_bits``: bits per note of ``held_out`` pieces under the base without a
    style, and under this one (None where nothing could be held out). ``base``: the weights it
    belongs to (:func:`styletransfer.model.base.weights_hash`), ``tokenizer_hash`` its tokens.
    ``begun_as``: the style whose adapter the training began with. ``touch``: how pianists play the
    style, by the names of :data:`TOUCH`; empty where it learnt from no performances.
    """

    name: str
    kind: Kind
    era: str
    composer: str
    base: str
    tokenizer_hash: str
    pieces: int
    minutes: float
    notes: int
    held_out: int = 0
    base_bits: float | None = None
    style_bits: float | None = None
    licence: str = ""
    data: str = ""
    rank: int = 8
    steps: int = 0
    tokens: int = 0
    begun_as: str = ""
    touch: dict[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        values = asdict(self)
        wrong = [
            item.name for item in fields(self) if not CHECKS[str(item.type)](values[item.name])
        ]
        wrong += [
            name
            for name in ("era", "composer")
            if f"{name.upper()}_{values[name]}" not in SPECIAL_TOKENS
        ]
        if wrong:
            told = dict.fromkeys(f"{name} is {values[name]!r:.60}" for name in wrong)
            raise ValueError(f"it can't be that {' and '.join(told)}")

    @property
    def gain(self) -> float | None:
        """Bits per note that the style saves on held-out pieces."""
        return (
            None
            if self.base_bits is None or self.style_bits is None
            else self.base_bits - self.style_bits
        )

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"


@dataclass(frozen=True)
class Style:
    """A style to ask for. ``path``: its adapter's folder, None where the base knows it by its
    control tokens alone. ``piece``: the file of the piece that is the style
    (:mod:`styletransfer.styles.example`)."""

    name: str
    kind: Kind
    era: str
    composer: str
    path: Path | None = None
    card: Card | None = None
    piece: Path | None = None

    @property
    def ships(self) -> bool:
        """Whether its adapter came with the package."""
        return self.path is not None and self.path.parent == folders.shipped()

    def controls(self, feel: Feel, quarters_per_minute: float = 100.0) -> Controls:
        """The control tokens that stand before the music."""
        return Controls(feel, self.era, self.composer, quarters_per_minute)
