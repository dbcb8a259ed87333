"""Show the docstrings' own notation as Markdown in the API pages.

References (``:class:`Piece```) become code, and examples after ``>>>`` become blocks of code.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:mod|class|func|meth|data|attr|exc):`~?([^`]+)`")
EXAMPLE = re.compile(r"^(?:>>> .*\n?)+", re.MULTILINE)


class Roles(griffe.Extension):
    """Rewrite docstrings before they are shown."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.docstring is not None:
            text = ROLE.sub(r"`\1`", obj.docstring.value)
            obj.docstring.value = EXAMPLE.sub(
                lambda found: f"```pycon\n{found.group().rstrip()}\n```\n", text
            )
