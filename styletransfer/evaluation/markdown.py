"""Generated parts of a Markdown file: what stands between ``<!-- begin NAME -->`` and ``<!-- end
NAME -->``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from styletransfer.errors import InputError


def fill(text: str, parts: Mapping[str, str]) -> str:
    """The text with the content between each part's markers replaced.

    Raises:
        InputError: where a part's markers aren't there exactly once.
    """
    for name, content in parts.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise InputError(f"the markers {begin} and {end} must stand there once.")
        text = pattern.sub(lambda _, block=f"{begin}\n\n{content}\n\n{end}": block, text)  # type: ignore[misc]
    return text
