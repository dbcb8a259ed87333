"""Write Markdown: tables, values with intervals, and marked parts of a page.

A marked part stands between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from styletransfer.errors import InputError


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table; the first cell of each row names it."""
    first, *others = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return "\n".join([first, "|" + "---|" * len(head), *others])


def page(title: str, about: str | None, text: str) -> str:
    """Write a page: a title, what it is about (as a recipe's docstring states it), and a text."""
    return f"# {title}\n\n{(about or '').strip()}\n\n{text}\n"


def interval(
    value: float | None, low: float | None = None, high: float | None = None, form: str = ".3f"
) -> str:
    """Write a value with its interval: ``0.443 (0.413 to 0.475)``.

    Args:
        value: None or NaN for none, which is written as nothing.
        low: the interval's lower end; None or NaN for a value without an interval.
        high: its upper end.
        form: how each number is formatted: ``+.2f`` with a sign, ``.1%`` in per cent.
    """
    if _missing(value):
        return ""
    if _missing(low) or _missing(high):
        return _number(value, form)
    return f"{_number(value, form)} ({_number(low, form)} to {_number(high, form)})"


def fill(text: str, parts: Mapping[str, str]) -> str:
    """Replace what stands between the markers of each part.

    Raises:
        InputError: where a part's markers aren't there exactly once.
    """
    for name, content in parts.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise InputError(f"the markers {begin} and {end} must occur exactly once.")
        text = pattern.sub(lambda _, block=f"{begin}\n\n{content}\n\n{end}": block, text)  # type: ignore[misc]
    return text


def _missing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def _number(value: float | None, form: str) -> str:
    """Format a number, without a minus before zero and with a space before ``%``."""
    before_width = 1 if form.startswith("+") else 0
    form = f"{form[:before_width]}z{form[before_width:]}"
    return f"{value:{form}}".replace("%", " %")
