"""Print the list of styles, and the card of one."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from typing import Any

from styletransfer.styles.card import Style
from styletransfer.styles.find import all_styles, find_style, left_out
from styletransfer.terminal import print

COMMAND = "styletransfer"
NONE = "-"
PIPED_WIDTH = 400
"""Width of a list not printed to a terminal, in which each style stays on one line."""


def print_styles(as_json: bool) -> None:
    """Print all styles as a table, or as a JSON list.

    Folders of the user's that aren't styles are listed on standard error, with the reason.
    """
    rows = [describe(style) for style in all_styles()]
    for problem in left_out():
        print(f"left out: {problem}", file=sys.stderr)
    if as_json:
        print(json.dumps(rows))
    else:
        _print_table(rows)


def print_style(name: str, as_json: bool) -> None:
    """Print one style's card, by the style's name, folder or Hub id."""
    style = find_style(name)
    row = describe(style, name)
    if as_json:
        card = asdict(style.card) if style.card else None
        print(json.dumps(row | {"era": style.era, "composer": style.composer, "card": card}))
        return
    print(_readme(style) or _fields(style, row))


def describe(style: Style, asked: str | None = None) -> dict[str, Any]:
    """Describe a style for a list.

    Values are None if the base knows the style without an adapter, or if nothing was held out.
    ``asked``: the style's name in the example, if it differs.
    """
    card = style.card
    return {
        "name": style.name,
        "kind": style.kind,
        "pieces": card.pieces if card else None,
        "minutes": card.minutes if card else None,
        "gain_bits_per_note": round(card.gain, 4) if card and card.gain is not None else None,
        "licence": card.licence if card else None,
        "path": str(style.path or style.piece) if style.path or style.piece else None,
        "example": shlex.join([COMMAND, "apply", "twinkle", "--style", asked or style.name]),
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("style", "kind", "pieces", "minutes", "gain", "licence"):
        right = title in ("pieces", "minutes", "gain")
        table.add_column(
            title,
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=right or title == "kind",
        )
    for row in rows:
        table.add_row(*(Text(_printable(cell)) for cell in _cells(row)))
    console = Console() if sys.stdout.isatty() else Console(width=PIPED_WIDTH, force_terminal=False)
    console.print(table)
    print(
        "\ngain: bits per note saved on held-out pieces"
        f"\n{NONE}: the base knows the style by its tag alone"
        f"\nfor example: {COMMAND} apply twinkle --style {rows[0]['name']}"
    )


def _cells(row: dict[str, Any]) -> list[str]:
    pieces, minutes, gain = row["pieces"], row["minutes"], row["gain_bits_per_note"]
    return [
        row["name"],
        row["kind"],
        NONE if pieces is None else str(pieces),
        NONE if minutes is None else f"{minutes:.0f}" if minutes >= 10 else f"{minutes:.1f}",
        NONE if gain is None else f"{gain:+.2f}",
        "the base's" if row["path"] is None else row["licence"].partition(";")[0] or NONE,
    ]


def _readme(style: Style) -> str:
    try:
        text = (
            (style.path / "README.md").read_text(encoding="utf-8", errors="replace")
            if style.path
            else ""
        )
    except OSError:
        return ""
    return _printable(text).strip()


def _fields(style: Style, row: dict[str, Any]) -> str:
    known = asdict(style.card) if style.card else {"era": style.era, "composer": style.composer}
    shown = {"name": row["name"], "kind": row["kind"]} | {
        key: known[key] for key in known if key not in ("name", "kind")
    }
    shown |= {"gain": row["gain_bits_per_note"], "path": row["path"], "example": row["example"]}
    if style.path is None and style.piece is None:
        shown["path"] = "none; the base model knows the style by its tag"
    filled = {
        key.replace("_", " "): value for key, value in shown.items() if value not in (None, "")
    }
    return "\n".join(f"{key:<15} {_printable(str(value))}" for key, value in filled.items())


def _printable(text: str) -> str:
    """Remove control characters for terminals: cards come from anywhere."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else " " if letter.isspace() else ""
        for letter in text
    )
