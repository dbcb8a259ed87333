"""Find styles: shipped ones, a user's own, and adapters anywhere else.

A style is an adapter's folder (what PEFT writes, and ``style.json``, its card) and the control
tokens it was trained under. Shipped styles lie in ``assets/styles``, or in ``styles`` of
``$STYLETRANSFER_WEIGHTS``; a user's own in the system's folder for user data
(``~/.local/share/styletransfer/styles`` on Linux), or in ``$STYLETRANSFER_HOME/styles``. There, the
folder's name is the style's. Wherever a style's name is asked for, a folder, a Hub id
(``owner/name``) or the file of a piece (``sonata.mid``) does as well. There is no torch here, so
that styles are listed instantly.
"""

from __future__ import annotations

import os
import re
from dataclasses import MISSING, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import get_args

from styletransfer import folders
from styletransfer.errors import InputError
from styletransfer.files import parse_json, read_bounded
from styletransfer.folders import COPIES, IDIOM, home, weights_folder
from styletransfer.formats.read import SCORE_SUFFIXES
from styletransfer.styles.card import CARD, CONFIG, WEIGHTS, Card, Kind, Style
from styletransfer.styles.names import nearest, resolved
from styletransfer.tokens.controls import COMPOSER_ERAS, ERAS, UNKNOWN

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{number}" for port in ("com", "lpt") for number in range(10)),
}
"""Names of devices on Windows, where no file can have them."""


def all_styles() -> list[Style]:
    """List shipped composers, eras and others, then the user's own, by name.

    A folder that is no style is left out.
    """
    known = _package_styles()
    return [*known.values(), *(style for style in _read(home())[0] if style.name not in known)]


def left_out() -> list[str]:
    """Return a sentence for each of the user's folders that is left out."""
    styles, problems = _read(home())
    taken = [style.name for style in styles if style.name in _package_styles()]
    return problems + [
        f"{home() / name}: a style of that name comes with the package; rename the folder."
        for name in taken
    ]


def _package_styles() -> dict[str, Style]:
    """Return the shipped styles by name, in the order of kinds and names."""
    if not weights_folder().is_dir():
        raise InputError(
            f"{weights_folder()}: $STYLETRANSFER_WEIGHTS names this folder of weights, which"
            " doesn't exist."
        )
    known = {name: Style(name, "composer", era, name) for name, era in COMPOSER_ERAS.items()}
    known |= {era: Style(era, "era", era, UNKNOWN) for era in ERAS}
    known |= {style.name: style for style in _read(folders.shipped())[0]}
    order = get_args(Kind)
    return dict(sorted(known.items(), key=lambda item: (order.index(item[1].kind), item[0])))


def _read(folder: Path) -> tuple[list[Style], list[str]]:
    """List the styles in a folder by name, and what is wrong with other folders.

    Names that :data:`NAME` forbids are passed over.
    """
    styles, problems = [], []
    for path in sorted(folder.glob("*")):
        if _holds(folder, path.name):
            try:
                styles.append(style_at(path))
            except InputError as error:
                problems.append(str(error))
    return styles, problems


def _holds(folder: Path, name: str) -> bool:
    """Check whether a folder has a style of this name, whole or damaged."""
    return NAME.fullmatch(name) is not None and os.path.isfile(folder / name / CARD)


def style_at(folder: Path) -> Style:
    """Read the style in an adapter's folder; its name is the folder's.

    Raises:
        InputError: where there is no adapter with a card, or the card can't be read.
    """
    if not all(os.path.isfile(folder / name) for name in (CARD, WEIGHTS, CONFIG)):
        raise InputError(
            f"{folder}: not a style's folder; it needs {CARD}, {WEIGHTS} and {CONFIG}."
        )
    try:
        data = parse_json(read_bounded(folder / CARD))
        if not isinstance(data, dict):
            raise ValueError("it is no JSON object")
        needed = [
            item.name
            for item in fields(Card)
            if item.default is MISSING and item.default_factory is MISSING
        ]
        missing = [name for name in needed if name not in data]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
        card = Card(**{item.name: data[item.name] for item in fields(Card) if item.name in data})
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / CARD}: the card can't be read ({error}).") from error

    kind: Kind = "user" if folder.parent == home() else card.kind
    return Style(folder.name, kind, card.era, card.composer, folder, card)


def find_style(name: str) -> Style:
    """Find a style by its name, its folder, its Hub id, or the file of a piece.

    Its name may be any that people use (:func:`.names.resolved`).

    Raises:
        InputError: where there is none, with the nearest names; where its folder is damaged, with
            what is wrong.
    """
    if is_piece(name):
        return _example(Path(os.path.abspath(name)))

    # A damaged shipped style is reported rather than replaced by the base's control tokens.
    if _holds(folders.shipped(), name):
        return style_at(folders.shipped() / name)
    styles = {style.name: style for style in all_styles()}
    if name in styles:
        return styles[name]
    if _holds(home(), name):
        return style_at(home() / name)
    if os.path.isfile(Path(name) / CARD) or ("/" in name and os.path.isdir(name)):
        return style_at(Path(os.path.abspath(name)))
    if HUB_ID.fullmatch(name) and not os.path.exists(name):
        # The folder of the Hub's cache is named by a commit.
        return replace(style_at(_from_hub(name)), name=name.split("/")[1])

    if meant := resolved(name, styles):
        return styles[meant]

    *others, last = nearest(name, styles) or [""]
    near = f"{', '.join(others)} or {last}" if others else last
    hint = f"; did you mean {near}?" if near else "."
    raise InputError(
        f"{name}: there is no such style{hint} `styletransfer styles` lists all {len(styles)}."
    )


def is_piece(name: str) -> bool:
    """Decide by its suffix whether a style's name is that of a file of music.

    The file need not be there, unless a folder or a user's style has that name.
    """
    if not Path(name).suffix:
        return False

    there = os.path.isfile(name) or not (os.path.isdir(name) or _holds(home(), name))
    return there and Path(name).suffix.lower() in SCORE_SUFFIXES


def _example(path: Path) -> Style:
    """Read a piece as a style."""
    from styletransfer.styles.example import load_example

    found = load_example(path)
    return Style(path.stem, "example", found.era, found.composer, piece=path)


def check_name(name: str) -> None:
    """Refuse a new style's name that isn't plain, or that a shipped style has.

    Raises:
        InputError: with the reason.
    """
    if not NAME.fullmatch(name) or name.endswith(".") or name.split(".")[0] in DEVICES:
        raise InputError(
            f"--name {name}: use lower-case letters, digits, '.', '_' and '-', a letter or digit"
            " first, at most 64."
        )
    if name in _package_styles() or _holds(folders.shipped(), name):
        raise InputError(
            f"--name {name}: a style of that name comes with the package; choose another."
        )


@lru_cache
def _from_hub(name: str) -> Path:
    """Return a Hub adapter's local folder, updated if the Hub can be reached.

    Raises:
        InputError: where there is no such repository, nor a copy of it in the cache.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return Path(
            snapshot_download(
                name, allow_patterns=[CARD, WEIGHTS, CONFIG, COPIES, IDIOM, "README.md", "LICENSE*"]
            )
        )
    except RepositoryNotFoundError as error:
        reason = "has no such repository, or it asks for a login"
        raise InputError(f"{name}: there is no such style here, and the Hub {reason}.") from error
    except Exception as error:  # the client raises others, too: of connections, disks and ids
        reason = re.split(r"\.?\n|\. |\.$", str(error) or type(error).__name__)[0]
        raise InputError(
            f"{name}: there is no such style here, and the Hub gave none ({reason})."
        ) from error
