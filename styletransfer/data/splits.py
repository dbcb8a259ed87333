"""Split pieces for training, validation and test by content, never by title.

Pieces with an official split (MAESTRO's, or a user's table) keep it. Any other piece goes where its
twins are: to test if any of its group is in test, else to validation if any is there. Groups
without an official split are drawn by a hash of their first id, so that the same files always get
the same split, whatever else is prepared with them.

A small folder, as is usual for fine-tuning, has no test split: what it can spare is for validation,
which stops the training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from styletransfer.data.fingerprint import groups
from styletransfer.data.library import SPLITS, Split

VALIDATION_SHARE = 0.04
TEST_SHARE = 0.04
SMALL_FOLDER = 100
"""With fewer pieces there is no test split."""
SMALL_FOLDER_VALIDATION = 0.15
"""The share of a small folder's pieces that is for validation."""
SMALLEST_FOLDER = 4
"""With fewer pieces everything is for training."""

Pair = tuple[int, int, float]


class SplitPlan(NamedTuple):
    """The split of each piece.

    ``splits``: of length (pieces,). ``groups``: the index of each piece's first twin, (pieces,).
    ``moved``: pieces that left their official split.
    """

    splits: list[Split]
    groups: list[int]
    moved: list[int]


def assign_splits(
    ids: Sequence[str],
    sources: Sequence[str],
    official: Sequence[Split | None],
    pairs: Sequence[Pair],
) -> SplitPlan:
    """Split pieces by ids, sources, official splits and similar pairs.

    An official split is None where there is none.
    """
    label = groups(len(ids), pairs)
    members: dict[int, list[int]] = {}
    for index, group in enumerate(label.tolist()):
        members.setdefault(group, []).append(index)

    splits: list[Split] = ["train"] * len(ids)
    # Groups without any official split, by the source of their first member.
    free: dict[str, list[list[int]]] = {}
    for group_members in members.values():
        known = [split for index in group_members if (split := official[index]) is not None]
        if known:
            worst = max(known, key=SPLITS.index)
            for index in group_members:
                splits[index] = official[index] or worst
        else:
            free.setdefault(sources[group_members[0]], []).append(group_members)

    for source, source_groups in free.items():
        size = sum(name == source for name in sources)
        for group_members, split in zip(
            source_groups, _draw(ids, source_groups, size), strict=True
        ):
            for index in group_members:
                splits[index] = split

    moved = _mend(splits, pairs)
    return SplitPlan(splits, label.tolist(), moved)


def _draw(ids: Sequence[str], source_groups: list[list[int]], size: int) -> list[Split]:
    """Draw the splits of a source's groups; ``size`` is the number of all its pieces."""
    value = [_uniform(min(ids[index] for index in members)) for members in source_groups]
    result: list[Split] = [_threshold(one) if size >= SMALL_FOLDER else "train" for one in value]
    if size >= SMALL_FOLDER:
        wanted = 0 if "validation" in result else 1
    else:
        wanted = max(round(SMALL_FOLDER_VALIDATION * size), 1) if size >= SMALLEST_FOLDER else 0

    # Small groups first, so that as much as possible is for training; at least one group stays.
    order = sorted(range(len(value)), key=lambda k: (len(source_groups[k]), value[k]))
    for group in order[:-1]:
        if wanted > 0:
            result[group] = "validation"
            wanted -= len(source_groups[group])
    return result


def _threshold(value: float) -> Split:
    if value < VALIDATION_SHARE:
        return "validation"
    return "test" if value < VALIDATION_SHARE + TEST_SHARE else "train"


def _uniform(text: str) -> float:
    """Return a number in [0, 1) that depends on the text only."""
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _mend(splits: list[Split], pairs: Sequence[Pair]) -> list[int]:
    """Move pieces, in place, to the split of a twin in a stricter one.

    Returns:
        The moved pieces.
    """
    moved: set[int] = set()
    while crossing := [(i, j) for i, j, _ in pairs if splits[i] != splits[j]]:
        for i, j in crossing:
            if splits[i] != splits[j]:
                weaker, stricter = sorted((i, j), key=lambda k: SPLITS.index(splits[k]))
                splits[weaker] = splits[stricter]
                moved.add(weaker)
    return sorted(moved)


def check_splits(pairs: Sequence[Pair], splits: Sequence[Split], ids: Sequence[str]) -> None:
    """Check that no two pieces with the same content are in different splits.

    Raises:
        ValueError: naming the pair with the highest containment.
    """
    crossing = [(value, i, j) for i, j, value in pairs if splits[i] != splits[j]]
    if crossing:
        value, i, j = max(crossing)
        raise ValueError(
            f"{len(crossing)} pairs of pieces cross a split; the worst: {ids[i]} ({splits[i]}) and"
            f" {ids[j]} ({splits[j]}) share {value:.0%} of their n-grams"
        )
