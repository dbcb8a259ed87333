"""How results are written: JSON with one row per line, and tables in Markdown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval import choice, harmony, judges_tables, results, weights
from styletransfer.evaluation.markdown import interval, table
from styletransfer.files import json_text

ROOT = Path(__file__).parents[1]
DEPTHS = {
    "eval/results/harmony.json": 3,
    "eval/results/judges.json": 4,
    "eval/results/readers.json": 3,
    "pretrain/results/baselines.json": 4,
}
"""Files of results, and the depth at which the commands that write them stop breaking lines."""

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
    """They once had ten thousand lines each, with one number per line."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text.count("\n") < 2000
    assert json_text(json.loads(text), DEPTHS[name]) == text


def test_values_with_intervals() -> None:
    assert interval(0.4428, 0.4131, 0.4752) == "0.443 (0.413 to 0.475)"
    assert interval(0.0047, form=".2%") == "0.47 %"
    assert interval(-0.0001, -0.01, 0.0, "+.2f") == "+0.00 (-0.01 to +0.00)"
    assert interval(1.0, None, None) == interval(1.0, float("nan"), float("nan")) == "1.000"
    assert interval(None) == interval(float("nan")) == ""


def test_table_in_markdown() -> None:
    expected = "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 |  |"
    assert table(["a", "b"], [["1", "2"], ["3", ""]]) == expected


def test_pages_of_results_are_what_their_commands_write(tmp_path: Path) -> None:
    """The tables were once made by a command that had changed since."""
    shown = ROOT / "eval" / "RESULTS.md"
    reports = ROOT / "eval" / "results"
    page = tmp_path / "RESULTS.md"
    page.write_text(shown.read_text(encoding="utf-8"), encoding="utf-8")
    judges = tmp_path / "JUDGES.md"
    judges.write_text((ROOT / "eval" / "JUDGES.md").read_text(encoding="utf-8"), encoding="utf-8")

    assert results.main(["--results", str(page), "--report", str(reports / "transfer.json")]) == 0
    for recipe in (choice, weights):
        report = reports / f"{recipe.__name__.split('.')[-1]}.json"
        assert recipe.main(["table", str(report), "--page", str(page)]) == 0
    files = ["--results", str(reports / "judges.json"), "--page", str(judges)]
    assert judges_tables.main([*files, "--protocols", str(page)]) == 0

    assert page.read_text(encoding="utf-8") == shown.read_text(encoding="utf-8")
    assert judges.read_text(encoding="utf-8") == (ROOT / "eval" / "JUDGES.md").read_text()


def test_harmony_page_is_what_its_command_writes() -> None:
    report = json.loads((ROOT / "eval/results/harmony.json").read_text(encoding="utf-8"))
    page = (ROOT / "eval" / "harmony.md").read_text(encoding="utf-8")
    assert harmony.page(report, report["command"]) == page
