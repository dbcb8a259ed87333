"""Divide a composer's training pieces into halves, for adapters and judges.

So an adapter is never rated by a judge that was trained on the same pieces: an adapter trained on
half A is rated by the judge trained on half B, and the other way round. Halves are of content
*groups*: all performances and scores of one piece fall into one half. Each composer's groups are
dealt out by their numbers of notes, the largest first, to the half that has fewer; nothing is
drawn, so that everybody gets the same halves of the same prepared data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

from styletransfer.data.library import PieceInfo

Half = Literal["A", "B"]
HALVES: tuple[Half, Half] = ("A", "B")


def halves(pieces: Iterable[PieceInfo]) -> dict[str, Half]:
    """Give the half of each content group among the training pieces.

    Other pieces are left out. A group that has several composers (an arrangement, a wrong label) is
    dealt out with the one who has most of its notes.
    """
    notes: dict[str, Counter[str]] = {}
    for piece in pieces:
        if piece.split == "train":
            notes.setdefault(piece.group, Counter())[piece.composer] += piece.count
    total = {group: sum(count.values()) for group, count in notes.items()}
    result: dict[str, Half] = {}
    filled: dict[str, list[int]] = {}
    for group in sorted(notes, key=lambda name: (-total[name], name)):
        composer = min(notes[group], key=lambda name: (-notes[group][name], name))
        both = filled.setdefault(composer, [0, 0])
        index = int(both[1] < both[0])
        both[index] += total[group]
        result[group] = HALVES[index]
    return result


def half_of(group: str, among: Iterable[PieceInfo] | Mapping[str, Half]) -> Half:
    """Find the half of one content group.

    Args:
        group: its name.
        among: a library's pieces, or what :func:`halves` made of them.

    Raises:
        KeyError: for a group without training pieces, which belongs to neither half.
    """
    known = among if isinstance(among, Mapping) else halves(among)
    return known[group]
