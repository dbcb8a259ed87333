"""The styles that there are: shipped ones, a user's own, and adapters anywhere else.

A style is an adapter's folder (what PEFT writes, and ``style.json``, its card) and the control tokens it was trained under.
Shipped styles lie in ``assets/styles`` (where ``$STYLETRANSFER_WEIGHTS`` is set, in its folder ``styles``), a user's own in
``~/.local/share/styletransfer/styles`` or in ``$STYLETRANSFER_HOME/styles``; there, the folder's name is the style's. Wherever
a style's name is asked for, a folder, a Hub id (``owner/name``) or the file of a piece (``sonata.mid``) does as well. No torch
here: a list of styles is instant.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from styletransfer.errors import InputError
from styletransfer.tokens.controls import COMPOSER_ERAS, ERAS, SPECIAL_TOKENS, UNKNOWN, Controls

if TYPE_CHECKING:
    from styletransfer.score.notes import Feel

Kind = Literal["composer", "era", "other", "user", "example"]
CARD = "style.json"
WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
COPIES = "copies.safetensors"  # the index of what weights or a user's style learnt from: :mod:`styletransfer.score.copies`
IDIOM = "idiom.safetensors"  # how the style's accompaniments are made: :mod:`styletransfer.score.idiom`
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}  # of Windows
LARGEST = 10**12
LARGEST_WEIGHT = 1000
TOUCH = {"accompaniment": 127, "melody": 127, "spread": 127, "pedal": 1}
"""What a card may say of how pianists play the style (:class:`styletransfer.transfer.touch.Touch`), and the largest values."""


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
    "dict[str, float]": lambda value: isinstance(value, dict) and all(map(_is_touch, value.items())),
}


@dataclass(frozen=True)
class Card:
    """What is known of an adapter, as ``style.json`` holds it.

    ``era`` and ``composer``: the control tokens it was trained under, by the names of :mod:`.tokens.controls`. ``pieces``,
    ``minutes`` and ``notes`` of music it learnt from. ``base_bits`` and ``style_bits``: bits per note of ``held_out`` pieces
    under the base without a style, and under this one (None where nothing could be held out). ``base``: the weights it
    belongs to (:func:`styletransfer.model.base.weights_hash`), ``tokenizer_hash`` its tokens. ``begun_as``: the style whose
    adapter the training began with. ``touch``: how pianists play the style, by the names of :data:`TOUCH`; empty where it
    learnt from no performances.
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
        wrong = [item.name for item in fields(self) if not CHECKS[str(item.type)](values[item.name])]
        wrong += [name for name in ("era", "composer") if f"{name.upper()}_{values[name]}" not in SPECIAL_TOKENS]
        if wrong:
            told = dict.fromkeys(f"{name} is {values[name]!r:.60}" for name in wrong)
            raise ValueError(f"it can't be that {' and '.join(told)}")

    @property
    def gain(self) -> float | None:
        """Bits per note that the style saves on held-out pieces."""
        return None if self.base_bits is None or self.style_bits is None else self.base_bits - self.style_bits

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"


@dataclass(frozen=True)
class Style:
    """A style to ask for. ``path``: its adapter's folder, None where the base knows it by its control tokens alone.
    ``piece``: the file of the piece that is the style (:mod:`styletransfer.transfer.example`)."""

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
        return self.path is not None and self.path.parent == shipped()

    def controls(self, feel: Feel, quarters_per_minute: float = 100.0) -> Controls:
        """The control tokens that stand before the music."""
        return Controls(feel, self.era, self.composer, quarters_per_minute)


def home() -> Path:
    """The folder of the user's own styles (it need not exist)."""
    base = os.environ.get("STYLETRANSFER_HOME") or os.path.expanduser("~/.local/share/styletransfer")
    return Path(os.path.abspath(base)) / "styles"


def weights_folder() -> Path:
    """The folder of ``base``, ``styles`` and the index of what they learnt from: ``$STYLETRANSFER_WEIGHTS``, or ``assets``."""
    elsewhere = os.environ.get("STYLETRANSFER_WEIGHTS")
    return Path(os.path.abspath(elsewhere)) if elsewhere else Path(str(resources.files("styletransfer"))) / "assets"


def shipped() -> Path:
    """The folder of the styles that come with the base."""
    return weights_folder() / "styles"


def all_styles() -> list[Style]:
    """Shipped composers, eras and others, then the user's own, each by name. A folder that is no style is left out."""
    known = _package_styles()
    return [*known.values(), *(style for style in _read(home())[0] if style.name not in known)]


def left_out() -> list[str]:
    """Why folders among the user's styles are not in :func:`all_styles`, a sentence each."""
    styles, problems = _read(home())
    taken = [style.name for style in styles if style.name in _package_styles()]
    return problems + [f"{home() / name}: a style of that name comes with the package; rename the folder." for name in taken]


def _package_styles() -> dict[str, Style]:
    if not weights_folder().is_dir():
        raise InputError(f"{weights_folder()}: there is no such folder of weights, which $STYLETRANSFER_WEIGHTS names.")
    known = {name: Style(name, "composer", era, name) for name, era in COMPOSER_ERAS.items()}
    known |= {era: Style(era, "era", era, UNKNOWN) for era in ERAS}
    known |= {style.name: style for style in _read(shipped())[0]}
    order = get_args(Kind)
    return dict(sorted(known.items(), key=lambda item: (order.index(item[1].kind), item[0])))


def _read(folder: Path) -> tuple[list[Style], list[str]]:
    """The styles in a folder, by name, and what is wrong with others. Names that :data:`NAME` forbids aren't looked at."""
    styles, problems = [], []
    for path in sorted(folder.glob("*")):
        if _holds(folder, path.name):
            try:
                styles.append(style_at(path))
            except InputError as error:
                problems.append(str(error))
    return styles, problems


def _holds(folder: Path, name: str) -> bool:
    return NAME.fullmatch(name) is not None and os.path.isfile(folder / name / CARD)


def style_at(folder: Path) -> Style:
    """The style in an adapter's folder, under the folder's name.

    Raises:
        InputError: where there is no adapter with a card, or the card can't be read.
    """
    if not all(os.path.isfile(folder / name) for name in (CARD, WEIGHTS, CONFIG)):
        raise InputError(f"{folder}: not a style's folder; it needs {CARD}, {WEIGHTS} and {CONFIG}.")
    try:
        data = json.loads((folder / CARD).read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise ValueError("it is no JSON object")
        needed = [item.name for item in fields(Card) if item.default is MISSING and item.default_factory is MISSING]
        missing = [name for name in needed if name not in data]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
        card = Card(**{item.name: data[item.name] for item in fields(Card) if item.name in data})
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{folder / CARD}: the card can't be read ({error}).") from error
    kind: Kind = "user" if folder.parent == home() else card.kind
    return Style(folder.name, kind, card.era, card.composer, folder, card)


def find_style(name: str) -> Style:
    """A style by its name, its folder, its Hub id, or a piece of that style by its file.

    Raises:
        InputError: with the nearest name, where there is none; saying what is wrong, where its folder is damaged.
    """
    if is_piece(name):
        return _example(Path(os.path.abspath(name)))
    styles = {style.name: style for style in all_styles()}
    if _holds(shipped(), name):  # a damaged one is reported, rather than replaced by the base's control tokens
        return style_at(shipped() / name)
    if name in styles:
        return styles[name]
    if _holds(home(), name):
        return style_at(home() / name)
    if os.path.isfile(Path(name) / CARD) or ("/" in name and os.path.isdir(name)):
        return style_at(Path(os.path.abspath(name)))
    if HUB_ID.fullmatch(name) and not os.path.exists(name):
        return replace(style_at(_from_hub(name)), name=name.split("/")[1])  # its folder's name is a commit's hash
    near = [] if "/" in name else get_close_matches(name.lower().replace("_", "-"), styles, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else "."
    raise InputError(f"{name}: there is no such style{hint} The styles are {', '.join(styles)}.")


def parse_style(text: str) -> list[tuple[Style, float]]:
    """``bach`` or ``bach:0.7,chopin:0.3``: styles and their weights, which are made to sum to 1.

    Raises:
        InputError: where a style doesn't exist, or a weight is no number above 0.
    """
    found: list[tuple[Style, float]] = []
    for name, weight in _parts(text):
        try:
            amount = float(weight) if weight is not None else 1.0
        except ValueError:
            amount = 0.0
        if not 0 < amount <= LARGEST_WEIGHT:
            raise InputError(f"--style {text}: a weight is a number above 0, at most 1000, as in bach:0.7,chopin:0.3.")
        found.append((find_style(name), amount))
    if not found:
        raise InputError("--style: give the name of a style, or several with weights, as in bach:0.7,chopin:0.3.")
    if len({(style.name, style.path, style.piece) for style, _ in found}) < len(found):
        raise InputError(f"--style {text}: a style is named twice.")
    total = sum(amount for _, amount in found)
    return [(style, amount / total) for style, amount in found]


def is_piece(name: str) -> bool:
    """Whether a style's name is that of a file of music: by its suffix, whether it is there or not, unless a user's style has
    that name."""
    if not Path(name).suffix:
        return False
    from styletransfer.score.read import SCORE_SUFFIXES  # brings numpy

    there = os.path.isfile(name) or not (os.path.isdir(name) or _holds(home(), name))
    return there and Path(name).suffix.lower() in SCORE_SUFFIXES


def _example(path: Path) -> Style:
    from styletransfer.transfer.example import load_example

    found = load_example(path)
    return Style(path.stem, "example", found.era, found.composer, piece=path)


def pieces_in(text: str) -> list[Path]:
    """The files of the pieces in a style or a blend."""
    return [style.piece for style, _ in parse_style(text) if style.piece is not None]


def shown(text: str) -> str:
    """A style or a blend for people to read: pieces without their folders and suffixes."""
    named = [(Path(name).stem if is_piece(name) else name, weight) for name, weight in _parts(text)]
    return ",".join(name if weight is None else f"{name}:{weight}" for name, weight in named)


def moved_to(text: str, folder: Path) -> str:
    """The same style or blend, with pieces that aren't there any more named in a folder, if they are there."""
    found = []
    for name, weight in _parts(text):
        beside = folder / Path(name).name
        own = str(beside) if is_piece(name) and not os.path.isfile(name) and beside.is_file() else name
        found.append(own if weight is None else f"{own}:{weight}")
    return ",".join(found)


def with_absolute_folders(text: str) -> str:
    """The same style or blend, with the folders and pieces in it named so that they are found from anywhere."""
    absolute = []
    for name, weight in _parts(text):
        path = os.path.abspath(name)
        own = path if is_piece(name) or find_style(name).path == Path(path) else name
        absolute.append(own if weight is None else f"{own}:{weight}")
    return ",".join(absolute)


def _parts(text: str) -> list[tuple[str, str | None]]:
    """The names in a blend, and their weights as they are written, None where there is none."""
    parts: list[tuple[str, str | None]] = []
    for part in [text] if os.path.isfile(text) else filter(None, map(str.strip, text.split(","))):
        name, colon, weight = (part, "", "") if os.path.exists(part) or is_piece(part) else part.rpartition(":")
        parts.append((name.strip() or part, weight if colon else None))
    return parts


def check_name(name: str) -> None:
    """Refuse a name for a new style that is no plain name, or is taken by a shipped one.

    Raises:
        InputError: saying which.
    """
    if not NAME.fullmatch(name) or name.endswith(".") or name.split(".")[0] in DEVICES:
        raise InputError(f"--name {name}: give small letters, digits, '.', '_' and '-', a letter or digit first, at most 64.")
    if name in _package_styles() or _holds(shipped(), name):
        raise InputError(f"--name {name}: a style of that name comes with the package; choose another.")


@lru_cache
def _from_hub(name: str) -> Path:
    """The local folder of a Hub repository's adapter, brought up to date where the Hub can be reached."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=[CARD, WEIGHTS, CONFIG, COPIES, IDIOM, "README.md", "LICENSE*"]))
    except RepositoryNotFoundError as error:
        reason = "has no such repository, or it asks for a login"
        raise InputError(f"{name}: there is no such style here, and the Hub {reason}.") from error
    except Exception as error:  # the client has more kinds of errors than it names: connections, proxies, disks, ids
        reason = re.split(r"\.?\n|\. |\.$", str(error) or type(error).__name__)[0]
        raise InputError(f"{name}: there is no such style here, and the Hub gave none of that name ({reason}).") from error
