"""Test splits of pieces by content.

Groups stay together, also in small folders, and the check finds what crosses.
"""

from __future__ import annotations

import pytest

from styletransfer.data.splits import SMALL_FOLDER, Pair, assign_splits, check_splits


def test_the_check_fails_where_a_twin_crosses() -> None:
    check_splits([(0, 1, 1.0)], ["train", "train"], ["a", "b"])
    with pytest.raises(ValueError, match=r"a \(train\) and b \(test\) share 100%"):
        check_splits([(0, 1, 1.0)], ["train", "test"], ["a", "b"])


def test_splits_of_groups() -> None:
    """A chain train - score - validation: the score goes to validation, and the training piece must
    follow it.
    """
    plan = assign_splits(
        ["p", "q", "s"], ["m", "m", "k"], ["train", "validation", None], [(0, 2, 0.5), (1, 2, 0.5)]
    )
    assert plan.splits == ["validation"] * 3
    assert plan.groups == [0, 0, 0]
    assert plan.moved == [0]
    ids = [f"k/{number}" for number in range(1000)]
    free = assign_splits(ids, ["k"] * 1000, [None] * 1000, []).splits
    assert 20 <= free.count("validation") <= 60
    assert 20 <= free.count("test") <= 60
    again = assign_splits(ids[500:], ["k"] * 500, [None] * 500, []).splits
    assert again == free[500:]  # what else is prepared doesn't matter
    one_group: list[Pair] = [(0, number, 1.0) for number in range(1, 8)]
    assert set(assign_splits(ids[:8], ["k"] * 8, [None] * 8, one_group).splits) == {"train"}


def test_splits_of_small_folders() -> None:
    """About 15 % for validation, from four pieces on; nothing for test; groups whole, and never all
    of them.
    """
    ids = [f"k/{number}" for number in range(SMALL_FOLDER + 40)]

    def drawn(count: int, pairs: list[Pair]) -> list[str]:
        return list(assign_splits(ids[:count], ["k"] * count, [None] * count, pairs).splits)

    for count in range(1, SMALL_FOLDER):
        splits = drawn(count, [])
        held_out = splits.count("validation")
        assert "test" not in splits
        if count < 4:
            assert held_out == 0
        elif count < 20:
            assert 1 <= held_out <= 3
        else:
            assert 0.12 * count <= held_out <= 0.18 * count
            assert held_out >= 2
    assert all("validation" in drawn(count, []) for count in range(SMALL_FOLDER, SMALL_FOLDER + 40))
    twins: list[Pair] = [(first, first + 1, 1.0) for first in range(0, 20, 2)]
    splits = drawn(20, twins)
    assert splits.count("validation") == 4
    assert splits[::2] == splits[1::2]
    halves: list[Pair] = [(0, number, 1.0) for number in range(1, 12)] + [
        (12, number, 1.0) for number in range(13, 20)
    ]
    assert drawn(20, halves) == ["train"] * 12 + ["validation"] * 8
