"""Parse blends of styles as a user writes them: ``bach:0.7,chopin:0.3``."""

from __future__ import annotations

import os
from pathlib import Path

from styletransfer.errors import InputError
from styletransfer.styles.card import Style
from styletransfer.styles.find import find_style, is_piece
from styletransfer.styles.names import heading, in_words, resolved
from styletransfer.tokens.controls import COMPOSERS

LARGEST_WEIGHT = 1000
"""The largest weight that may be given."""


def parse_style(text: str) -> list[tuple[Style, float]]:
    """Parse a style or a blend: ``bach`` or ``bach:0.7,chopin:0.3``.

    Returns:
        Styles and their weights, which are scaled to sum to 1.

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
            raise InputError(
                f"--style {text}: a weight is a number above 0, at most {LARGEST_WEIGHT}, as in"
                " bach:0.7,chopin:0.3."
            )
        found.append((find_style(name), amount))

    if not found:
        raise InputError(
            "--style: give the name of a style, or several with weights, as in bach:0.7,chopin:0.3."
        )
    if len({(style.name, style.path, style.piece) for style, _ in found}) < len(found):
        raise InputError(f"--style {text}: a style is named twice.")

    total = sum(amount for _, amount in found)
    return [(style, amount / total) for style, amount in found]


def pieces_in(text: str) -> list[Path]:
    """List the files of the pieces in a style or a blend."""
    return [style.piece for style, _ in parse_style(text) if style.piece is not None]


def named(text: str) -> str:
    """Write a style or a blend with the styles' own names.

    ``J.S. Bach`` becomes ``bach``.

    Folders, Hub ids and pieces stay as they are.

    Raises:
        InputError: where a style doesn't exist.
    """
    own = []
    for name, weight in _parts(text):
        elsewhere = "/" in name or os.path.exists(name) or is_piece(name)
        found = name if elsewhere else find_style(name).name
        own.append(found if weight is None else f"{found}:{weight}")
    return ",".join(own)


def shown(text: str) -> str:
    """Write a style or a blend for people.

    An example is "J. S. Bach (70 %) and Frédéric Chopin (30 %)". It is written so even where a
    style isn't there any more.
    """
    words, weights = [], []
    for name, weight in _parts(text):
        words.append(_shown(name))
        try:
            weights.append(float(weight or 1))
        except ValueError:
            weights.append(1.0)
    if len(set(weights)) > 1:
        total = sum(weights)
        words = [
            f"{word} ({100 * weight / total:.0f} %)"
            for word, weight in zip(words, weights, strict=True)
        ]
    *others, last = words or [""]
    return f"{', '.join(others)} and {last}" if others else last


def _shown(name: str) -> str:
    """Write the name of one style for people."""
    if is_piece(name):
        return f"“{heading(Path(name).stem)}”"
    try:
        return in_words(find_style(name).name)
    except InputError:
        return in_words(Path(name).name)


def moved_to(text: str, folder: Path) -> str:
    """Replace a style's missing pieces by those of their names in a folder."""
    found = []
    for name, weight in _parts(text):
        beside = folder / Path(name).name
        moved = is_piece(name) and not os.path.isfile(name) and beside.is_file()
        own = str(beside) if moved else name
        found.append(own if weight is None else f"{own}:{weight}")
    return ",".join(found)


def with_absolute_folders(text: str) -> str:
    """Name a style's folders and pieces so that they are found from anywhere."""
    absolute = []
    for name, weight in _parts(text):
        path = os.path.abspath(name)
        own = path if is_piece(name) or find_style(name).path == Path(path) else name
        absolute.append(own if weight is None else f"{own}:{weight}")
    return ",".join(absolute)


def _parts(text: str) -> list[tuple[str, str | None]]:
    """Split a blend into names and weights as written; without a weight, None."""
    whole = os.path.isfile(text) or resolved(text, COMPOSERS)  # "Bach, Johann Sebastian"
    texts = [text] if whole else filter(None, map(str.strip, text.split(",")))
    parts: list[tuple[str, str | None]] = []
    for part in texts:
        named = os.path.exists(part) or is_piece(part)  # a colon may belong to a file's name
        name, colon, weight = (part, "", "") if named else part.rpartition(":")
        parts.append((name.strip() or part, weight if colon else None))
    return parts
