"""What is printed: text whose control characters are shown instead of obeyed."""

from __future__ import annotations

import builtins
import re
from typing import TextIO

_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Controls but tab and newline, breaks of lines and paragraphs, and marks that turn the direction
of writing round."""


def visible(text: str) -> str:
    r"""Write control characters as escapes, such as ``\x1b``.

    A file's name may have some, with which it would move the cursor, colour what follows, or name
    the window.
    """
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def print(*values: object, file: TextIO | None = None, end: str = "\n") -> None:
    """Print as Python does, with control characters as escapes."""
    builtins.print(*(visible(str(value)) for value in values), file=file, end=end)
