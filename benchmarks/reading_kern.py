"""A count of the notes of kern by its tokens, without our reader: which pitches are struck in which
order, line by line.
"""

from __future__ import annotations

import re

STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_PITCH = re.compile(r"([a-gA-G])\1*")


def without_graces(text: str) -> str:
    """The same kern with null tokens instead of grace notes, whose order is no one's."""
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
    """The pitches that are struck together, line by line; unisons count once. Of several pieces in
    a file, those of the first. With ``ties``, the pitches of these lines that are later halves of
    ties, instead.
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
    """The pitches of those tokens that are later halves of ties, or of all others."""
    pitches = {_pitch(token) for token in tokens if ("_" in token or "]" in token) == tied}
    return {pitch for pitch in pitches if pitch is not None}


def _pitch(token: str) -> int | None:
    """A token's pitch; none of a rest, a null token or an unpitched note."""
    match = _PITCH.search(token)
    if not match or "r" in token or "R" in token:
        return None
    letters = match[0]
    octave = len(letters) - 1 if letters[0].islower() else -len(letters)
    return 60 + 12 * octave + STEPS[letters[0].lower()] + token.count("#") - token.count("-")


def _after(kinds: list[str], cells: list[str]) -> list[str]:
    """The columns after a line of interpretations: split, joined, exchanged, ended or begun."""
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
