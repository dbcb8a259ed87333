"""Count the notes of kern by its tokens, without our reader.

The count is of the pitches that are struck, in their order, line by line.
"""

from __future__ import annotations

import re

STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_PITCH = re.compile(r"([a-gA-G])\1*")


def without_graces(text: str) -> str:
    """Put null tokens for grace notes, whose order is no one's, and return the kern."""
    return "\n".join(
        line
        if line[:1] in {"*", "!", "="}
        else "\t".join(
            " ".join(token for token in cell.split(" ") if "q" not in token.lower()) or "."
            for cell in line.split("\t")
        )
        for line in text.splitlines()
    )


def struck(text: str, ties: bool = False) -> list[tuple[int, ...]]:
    """Return the pitches that are struck together, line by line.

    Unisons count once. Of several pieces in a file, the first is taken. With ``ties``, the pitches
    of these lines are instead those that are later halves of ties.
    """
    kinds: list[str] = []
    found: list[tuple[int, ...]] = []
    for line in text.splitlines():
        cells = line.split("\t")
        if not line or line.startswith(("!", "=")):
            continue
        if line.startswith("**"):
            if found:
                break
            kinds = cells
        elif line.startswith("*"):
            kinds = _after(kinds, cells)
        else:
            tokens = [
                token
                for kind, cell in zip(kinds, cells, strict=False)
                if kind == "**kern"
                for token in cell.split(" ")
            ]
            new, held = (_pitches(tokens, tied) for tied in (False, True))
            found += [tuple(sorted(held if ties else new))] if new else []
    return found


def _pitches(tokens: list[str], tied: bool) -> set[int]:
    """Return the pitches of tokens that are later halves of ties, or of all others."""
    pitches = {_pitch(token) for token in tokens if ("_" in token or "]" in token) == tied}
    return {pitch for pitch in pitches if pitch is not None}


def _pitch(token: str) -> int | None:
    """Return a token's pitch, None of a rest, a null token or an unpitched note."""
    match = _PITCH.search(token)
    if not match or "r" in token or "R" in token:
        return None
    letters = match[0]
    octave = len(letters) - 1 if letters[0].islower() else -len(letters)
    return 60 + 12 * octave + STEPS[letters[0].lower()] + token.count("#") - token.count("-")


def _after(kinds: list[str], cells: list[str]) -> list[str]:
    """Return the columns after a line of interpretations.

    These split, join, exchange, end or begin columns.
    """
    columns: list[str] = []
    joining = False
    swapped = [k for k, cell in enumerate(cells) if cell == "*x"]
    kinds = list(kinds)
    if len(swapped) == 2:
        first, second = swapped
        kinds[first], kinds[second] = kinds[second], kinds[first]
    for kind, cell in zip(kinds, cells, strict=False):
        if cell == "*v" and joining:
            continue
        joining = cell == "*v"
        if cell != "*-":
            columns += [kind, kind] if cell == "*^" else [kind]
        if cell == "*+":
            columns.append("")
    return columns
