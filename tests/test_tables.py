"""How results are written: JSON with a row on a line, and tables in Markdown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from styletransfer.files import json_text

ROOT = Path(__file__).parents[1]
DEPTHS = {
    "eval/results/harmony.json": 3,
    "eval/results/judges.json": 4,
    "eval/results/readers.json": 3,
    "pretrain/results/baselines.json": 4,
}
"""Files of results, and the depth at which the commands that write them stop to break lines."""

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(PLAIN, st.integers(0, 5))
def test_json_is_read_back_as_it_was(data: object, depth: int) -> None:
    text = json_text(data, depth)
    assert json.loads(text) == data
    assert text.endswith("\n")


def test_json_breaks_lines_down_to_a_depth() -> None:
    data = {"about": {"seed": 0}, "rows": [[1, 2], [3]], "none": []}
    assert json_text(data, 0) == '{"about": {"seed": 0}, "rows": [[1, 2], [3]], "none": []}\n'
    assert json_text(data, 2) == (
        '{\n "about": {\n  "seed": 0\n },\n "rows": [\n  [1, 2],\n  [3]\n ],\n "none": []\n}\n'
    )


@pytest.mark.parametrize("name", DEPTHS)
def test_long_results_are_compact(name: str) -> None:
    """They were once of ten thousand lines each, a number on a line."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text.count("\n") < 2000
    assert json_text(json.loads(text), DEPTHS[name]) == text
