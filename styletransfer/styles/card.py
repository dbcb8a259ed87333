"""A style, and its card: what is known of its adapter."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
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
"""All numbers of a card are below this."""
TOUCH = {"accompaniment": 127, "melody": 127, "spread": 127, "pedal": 1}
"""How pianists play a style (:class:`styletransfer.styles.touch.Touch`): the largest value of each.
"""


@dataclass(frozen=True)
class Card:
    """What is known of an adapter, as ``style.json`` holds it.

    ``era`` and ``composer``: the control tokens it was trained under, as
    :mod:`styletransfer.tokens.controls` names them. ``base``: the hash of the weights it belongs to
    (:func:`styletransfer.model.weights.weights_hash`). ``tokenizer_hash``: that of its tokens.
    ``pieces``, ``minutes`` and ``notes``: how much music it learnt from. ``base_bits`` and
    ``style_bits``: bits per note of ``held_out`` pieces, under the base without a style and under
    this one; None where nothing could be held out. ``begun_as``: the style whose adapter the
    training began with. ``touch``: how pianists play the style, by the names of :data:`TOUCH`;
    empty where it learnt from no performances.
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
        good = {
            "name": _is_text(self.name),
            "kind": self.kind in get_args(Kind),
            "era": _is_text(self.era) and f"ERA_{self.era}" in SPECIAL_TOKENS,
            "composer": _is_text(self.composer) and f"COMPOSER_{self.composer}" in SPECIAL_TOKENS,
            "base": _is_text(self.base),
            "tokenizer_hash": _is_text(self.tokenizer_hash),
            "pieces": _is_count(self.pieces),
            "minutes": _is_number(self.minutes),
            "notes": _is_count(self.notes),
            "held_out": _is_count(self.held_out),
            "base_bits": self.base_bits is None or _is_number(self.base_bits),
            "style_bits": self.style_bits is None or _is_number(self.style_bits),
            "licence": _is_text(self.licence),
            "data": _is_text(self.data),
            "rank": _is_count(self.rank),
            "steps": _is_count(self.steps),
            "tokens": _is_count(self.tokens),
            "begun_as": _is_text(self.begun_as),
            "touch": _is_touch(self.touch),
        }
        wrong = [f"{name} is {getattr(self, name)!r:.60}" for name in good if not good[name]]
        if wrong:
            raise ValueError(f"it can't be that {' and '.join(wrong)}")

    @property
    def gain(self) -> float | None:
        """Bits per note that the style saves on held-out pieces."""
        if self.base_bits is None or self.style_bits is None:
            return None
        return self.base_bits - self.style_bits

    def to_json(self) -> str:
        """Return the text of ``style.json``."""
        return json.dumps(asdict(self), indent=1) + "\n"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < LARGEST


def _is_touch(value: Any) -> bool:
    return isinstance(value, dict) and all(
        name in TOUCH and _is_number(size) and size <= TOUCH[name] for name, size in value.items()
    )


@dataclass(frozen=True)
class Style:
    """A style that can be asked for.

    ``path``: its adapter's folder, None where the base knows it by its control tokens alone.
    ``piece``: the file of the piece that is the style (:mod:`styletransfer.styles.example`).
    """

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
        """Return the control tokens that stand before the music."""
        return Controls(feel, self.era, self.composer, quarters_per_minute)
