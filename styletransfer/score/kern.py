"""Humdrum's ``**kern`` to pieces, through music21 (imported only when a file needs it).

Kern is written at sounding pitch. Sections are played in the order that the file's list of them states (``*>[A,A,B]``), without
one, repeat signs are played out as in MusicXML. Text, dynamics and other spines are left out.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from styletransfer.errors import InputError
from styletransfer.score.music21_score import through_music21, whole_score
from styletransfer.score.notes import Feel, Piece

KEYBOARDS = {"*Ipiano", "*Iforte", "*Icemba", "*Iclavi", "*Iklav", "*Iorgan", "*Iporta", "*Ireedo"}
"""Humdrum's codes of instruments for two hands."""


def parse_kern(data: bytes, name: str, feel: Feel | None = None) -> Piece:
    """A piece from the bytes of a kern file; ``name`` is what its error messages call it.

    Raises:
        InputError: where the bytes are not kern, hold no notes, or hold hours of music.
    """
    text = text_of(data)
    opening = next((line for line in text.splitlines() if line.startswith("**")), "")
    if "**kern" not in opening.split("\t"):
        raise InputError(f"{name}: it is not kern (no column begins with **kern); export it again or as MusicXML.")
    piece = through_music21(lambda: _load(text), name, "kern", feel)
    pieces = len(re.findall(r"(?m)^!!!!SEGMENT", text))
    more = (f"the file holds {pieces} pieces; the first one was read",) if pieces > 1 else ()
    return replace(piece, remarks=piece.remarks + more)


def text_of(data: bytes) -> str:
    """Text in UTF-8, or in Latin-1 where it isn't that."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _load(text: str) -> Any:
    """music21's score, with the names of the parts that the file states."""
    from music21 import converter

    found = converter.parseData(text, format="humdrum")
    score = whole_score(next(iter(found.scores), found) if hasattr(found, "scores") else found)
    names = _names(text)
    for part in score.parts:
        column = re.fullmatch(r"spine_(\d+)", str(part.id))
        part.partName = (names.get(int(column[1])) if column else None) or part.partName
        if column and not part.partName:
            part.id = ""  # "spine_6" says nothing to anyone
    return score


def _names(text: str) -> dict[int, str]:
    """The parts' names by column: what ``*I"`` states, the hands of a keyboard, ``*I:`` or a comment under the heading.

    Only the lines before the first bar are looked at, and only while the columns are those of the heading.
    """
    kinds: list[str] = []
    stated: dict[int, str] = {}
    classes: dict[int, str] = {}
    staves: dict[int, str] = {}
    for line in text.splitlines():
        cells = line.split("\t")
        if not kinds:
            kinds = cells if line.startswith("**") else []
            continue
        if line.startswith("!!"):
            continue
        if line[:1] not in {"*", "!"} or len(cells) != len(kinds) or {"*^", "*v", "*+", "*-", "*x"} & set(cells):
            break
        for column, cell in enumerate(cells):
            if cell.startswith('*I"'):
                stated[column] = cell[3:].strip()
            elif cell.startswith("*I:"):
                stated.setdefault(column, cell[3:].strip("[] ").capitalize())
            elif cell in KEYBOARDS:
                classes[column] = cell
            elif cell.startswith("*part"):
                staves[column] = cell
    columns = [column for column, kind in enumerate(kinds) if kind == "**kern"]
    if len(columns) == 2:
        left, right = columns  # kern begins with the lowest part
        one_player = len({staves.get(column, column) for column in columns}) == 1
        if one_player or all(column in classes for column in columns):
            whole = stated.get(right) or stated.get(left) or "Piano"
            return {left: f"{whole}, left hand", right: f"{whole}, right hand"}
    return {column: stated[column] for column in columns if stated.get(column)}
