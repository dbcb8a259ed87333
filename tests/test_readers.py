"""Test the ranker's weights from readers' marks.

Known weights are recovered, and those that ship are the ones fitted to the marks.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eval import readers
from styletransfer.errors import InputError
from styletransfer.transfer.ranking import rank


def test_what_ships_is_what_the_readers_marks_give() -> None:
    report = readers.report_of(json.loads(readers.READ.read_text()))
    assert report["weights"] == {name: rank.WEIGHTS[name] for name in rank.FITTED}
    marks = report["marks"]
    assert (
        marks["by chance"]["value"]
        < marks["weights of the other tunes"]["value"]
        < marks["the best"]["value"]
    )


def test_weights_are_recovered() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4000, 3)) * [1.0, 0.1, 10.0]
    marks = values @ [0.5, -2.0, 0.0] + rng.normal(size=4000) * 0.1
    np.testing.assert_allclose(readers.fitted(values, marks), [0.5, -2.0, 0.0], atol=0.03)


def jury(tmp_path: Path, answer: dict[str, dict[str, dict[str, float]]]) -> list[dict[str, object]]:
    """Write the part of a reader's answer that is used, on two candidates for a tune."""
    (tmp_path / "key.json").write_text(
        json.dumps({"pages": {"1": {"song": "tune", "A": "1", "B": "0"}}})
    )
    (tmp_path / "tune.json").write_text(
        json.dumps({"style": "bach", "candidates": [{"total": 1.0}, {"total": 2.0}]})
    )
    (tmp_path / "jury-1.json").write_text(json.dumps(answer))
    before = [{"song": "other"}, {"song": "tune", "marks": [[0.0, 0.0]]}]
    return readers.take(tmp_path, tmp_path, before)


def test_marks_go_to_the_candidates_that_the_key_names(tmp_path: Path) -> None:
    other, tune = jury(
        tmp_path,
        {"1": {"A": {"harmony": 4.0, "texture": 3.0}, "B": {"harmony": 1.0, "texture": 2.0}}},
    )
    assert other == {"song": "other"}
    assert tune["marks"] == [[1.5, 3.5]]
    assert tune["candidates"] == [{"total": 1.0}, {"total": 2.0}]


@pytest.mark.parametrize("answer", [{}, {"1": {"A": {"harmony": 4.0}}}])
def test_a_reader_who_leaves_something_out_is_reported(
    answer: dict[str, dict[str, dict[str, float]]], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="piece 1"):
        jury(tmp_path, answer)
