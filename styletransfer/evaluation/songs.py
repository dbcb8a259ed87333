"""Find held-out songs: the opening bars of scores whose tune is a part of its own.

Accompaniments are compared under their tunes. An excerpt begins with the bar in which the tune
begins and has whole bars of one metre; the tune has at least a note per bar, never two together,
and the accompaniment begins notes in three bars of four. What sounds on from before is left out,
what sounds on at the end is cut. One piece of a content group (:mod:`styletransfer.data.splits`) is
taken, the first by id, and none of a group with a performance in it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from styletransfer.data.library import Library, PieceInfo, Split
from styletransfer.formats.read import read_score
from styletransfer.music.composers import UNKNOWN
from styletransfer.music.melody import extract_melody
from styletransfer.music.notes import BarTable, Piece, TempoMap

PLAYED = 0.75  # the least share of bars in which the accompaniment begins notes
LONGEST_NAME = 36  # letters of a title in a song's name


@dataclass(frozen=True)
class Rule:
    """Which songs are taken.

    Attributes:
        bars: how many bars at most.
        fewest: how many at least.
        avoid: ids and names of songs that are left out.
        only: the names of the songs by their ids, if only those are taken.
    """

    bars: int = 16
    fewest: int = 16
    avoid: frozenset[str] = frozenset()
    only: Mapping[str, str] = field(default_factory=dict)


def excerpt(piece: Piece, count: int) -> Piece | str:
    """Cut the first ``count`` bars with the tune, or say why that can't be.

    The tune's part comes first.
    """
    notes = piece.notes
    parts = np.unique(notes["part"][extract_melody(piece)])
    if len(parts) != 1 or (notes["part"] == parts[0]).all():
        return "the tune is no part of its own"
    sings = notes["part"] == parts[0]
    first = (
        int(np.searchsorted(piece.bars["start"], notes["onset"][sings].min() + 1e-3, side="right"))
        - 1
    )
    bars = piece.bars[first : first + count].copy()
    if len(bars) < count:
        return "too few bars"
    length = 4.0 * bars["numerator"] / bars["denominator"]
    if (
        len(np.unique(bars[["numerator", "denominator"]])) > 1
        or np.abs(bars["length"] - length).max() > 1e-3
    ):
        return "the metre changes"

    start, end = float(bars["start"][0]), float(bars["start"][-1] + bars["length"][-1])
    inside = (notes["onset"] >= start - 1e-3) & (notes["onset"] < end - 1e-3)
    tune, rest = notes[inside & sings], notes[inside & ~sings]
    if len(tune) < count:
        return "too few notes in the tune"
    if len(np.unique(np.round(tune["onset"], 3))) < len(tune):
        return "the tune is no single line"
    if (
        len(np.unique(np.searchsorted(bars["start"], rest["onset"] + 1e-3, side="right")))
        < PLAYED * count
    ):
        return "the accompaniment rests too much"
    return part_first(between(piece, start, end, bars), int(parts[0]))


def between(piece: Piece, start: float, end: float, bars: BarTable) -> Piece:
    """Cut the notes that begin in a stretch of quarters, and move them to 0.

    The tempos and keys that hold there come with them.
    """
    notes = piece.notes[
        (piece.notes["onset"] >= start - 1e-3) & (piece.notes["onset"] < end - 1e-3)
    ].copy()
    notes["duration"] = np.minimum(notes["duration"], end - notes["onset"])
    notes["onset"] = np.maximum(notes["onset"] - start, 0.0)
    bars["start"] -= start

    tempo = piece.tempo
    now = int(np.searchsorted(tempo.quarters, start + 1e-6, side="right")) - 1
    stop = int(np.searchsorted(tempo.quarters, end - 1e-6))
    quarters = np.append(0.0, tempo.quarters[now + 1 : stop] - start)
    moved = TempoMap(quarters, tempo.seconds_per_quarter[max(now, 0) : max(stop, 1)])

    before = [(0.0, *key[1:]) for key in piece.key_signatures if key[0] <= start + 1e-6][-1:]
    later = [
        (key[0] - start, *key[1:])
        for key in piece.key_signatures
        if start + 1e-6 < key[0] < end - 1e-6
    ]
    keys = (*before, *later)
    return replace(
        piece,
        notes=notes,
        bars=bars,
        tempo=moved,
        key_signatures=keys,
        pedals=(),
        chords=(),
        remarks=(),
    )


def part_first(piece: Piece, part: int) -> Piece:
    """Put one part of a piece first."""
    order = [part, *(k for k in range(len(piece.parts)) if k != part)]
    notes = piece.notes.copy()
    notes["part"] = np.argsort(order)[notes["part"]]
    return replace(piece, notes=notes, parts=tuple(piece.parts[k] for k in order))


def longest_excerpt(piece: Piece, rule: Rule) -> Piece | str:
    """Cut as many bars as the rule allows, or say why there are too few."""
    found: Piece | str = ""
    for count in range(rule.bars, rule.fewest - 1, -1):
        found = excerpt(piece, count)
        if not isinstance(found, str):
            break
    return found


def songs_of(
    library: Library, split: Split, files: Mapping[str, Path], rule: Rule
) -> Iterator[tuple[PieceInfo, Piece | str]]:
    """Go through the pieces of a split that have a tune, by id.

    Yields:
        Each piece, with its excerpt or the reason why it has none.
    """
    played = {piece.group for piece in library.pieces if piece.feel == "performance"}
    avoided = {piece.group for piece in library.pieces if rule.avoid & {piece.id, name_of(piece)}}
    taken: set[str] = set()
    for piece in sorted(library.pieces, key=lambda one: one.id):
        known = piece.split == split and piece.tune == "part" and piece.id in files
        if not known or (rule.only and piece.id not in rule.only):
            continue
        found: Piece | str
        if piece.group in avoided:
            found = "used before"
        elif piece.group in played:
            found = "a performance in its group"
        elif piece.group in taken:
            found = "its group has a song"
        else:
            found = longest_excerpt(read_score(files[piece.id]), rule)
        if not isinstance(found, str):
            taken.add(piece.group)
        yield piece, found


def name_of(piece: PieceInfo) -> str:
    """Name a song by its composer (else its folder) and the last part of its title.

    The name has letters for file names.

    >>> slug("Die schöne Müllerin: 10. Tränenregen".split(": ")[-1]), slug("Żeleński, Władysław")
    ('10-tranenregen', 'zelenski-wladyslaw')
    """
    by = piece.composer if piece.composer != UNKNOWN else Path(piece.file).parts[0]
    return f"{slug(by)}-{slug(piece.title.split(': ')[-1])[:LONGEST_NAME].strip('-')}"


def slug(text: str) -> str:
    """Write a text with lower-case letters and hyphens alone."""
    plain = (
        unicodedata.normalize("NFKD", text.translate(str.maketrans("łŁ", "lL")))
        .encode("ascii", "ignore")
        .decode()
    )
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")


def numbered(names: Sequence[str]) -> list[str]:
    """Add numbers to names that occur more than once.

    >>> numbered(["a-lied", "b-lied", "a-lied"])
    ['a-lied1', 'b-lied', 'a-lied2']
    """
    seen: Counter[str] = Counter()
    result = []
    for name in names:
        seen[name] += 1
        result.append(f"{name}{seen[name]}" if names.count(name) > 1 else name)
    return result
