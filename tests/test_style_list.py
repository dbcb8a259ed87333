"""Test ``styletransfer styles``: the list, also as JSON, and a style's card."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from styletransfer.cli import app as cli
from styletransfer.errors import InputError
from styletransfer.styles import find as styles
from styletransfer.styles.find import all_styles, left_out
from styletransfer.tokens.controls import COMPOSERS, ERAS
from tests.command import Run, console
from tests.style_folders import GOOD, adapter, empty_place, in_hub

BASE = [*sorted(COMPOSERS), *sorted(ERAS)]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return empty_place(tmp_path, monkeypatch)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs ``styletransfer styles`` in this process."""
    return console(monkeypatch, capsys, "styles")


def rows_of(table: str) -> list[list[str]]:
    """Return a printed list's cells, without the note below it."""
    return [re.split(r" {2,}", line.strip()) for line in table.split("\n\n")[0].splitlines()]


def test_the_list(run: Run, tmp_path: Path) -> None:
    adapter(
        tmp_path / "shipped/bach",
        replace(GOOD, kind="composer", composer="bach", licence="CC BY [red]4.0"),
    )
    adapter(
        tmp_path / "home/styles/mine", replace(GOOD, minutes=4.25, style_bits=12.75, licence="")
    )
    outcome = run()
    assert (outcome.code, outcome.err) == (0, "")

    header, *rows = rows_of(outcome.out)
    assert header == [
        "style",
        "kind",
        "pieces",
        "minutes",
        "gain",
        "licence",
    ]
    assert [row[0] for row in rows] == [*BASE, "mine"]
    assert rows[0] == [
        "bach",
        "composer",
        "12",
        "34",
        "+1.25",
        "CC BY [red]4.0",
    ]
    assert rows[1] == [
        "bartok",
        "composer",
        "-",
        "-",
        "-",
        "the base's",
    ]
    assert rows[-1] == ["mine", "user", "12", "4.2", "-0.25", "-"]
    assert "\x1b" not in outcome.out


@pytest.mark.parametrize("terminal", [False, True])
def test_the_list_fits_80_columns(
    terminal: bool, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for composer in COMPOSERS:
        card = replace(
            GOOD,
            kind="composer",
            composer=composer,
            pieces=1276,
            minutes=12345,
            licence="CC BY-NC-SA 4.0",
        )
        adapter(tmp_path / "shipped" / composer, card)
    monkeypatch.setenv("COLUMNS", "80" if terminal else "40")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    text = re.sub(r"\x1b\[[0-9;]*m", "", run().out)
    lines = text.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert len(lines) == 1 + len(COMPOSERS) + len(ERAS) + 4
    assert ["rachmaninoff", "12345", "CC BY-NC-SA 4.0"] in [
        [row[0], row[3], *row[5:]] for row in rows_of(text)
    ]


def test_the_list_as_json(run: Run, tmp_path: Path) -> None:
    folder = adapter(
        tmp_path / "home/styles/mine",
        replace(GOOD, base_bits=1.3, style_bits=1.0, licence="\ud800"),
    )
    outcome = run("--json")
    assert (outcome.code, outcome.err, len(outcome.out.splitlines())) == (0, "", 1)
    listed = {row["name"]: row for row in json.loads(outcome.out)}
    assert list(listed) == [style.name for style in all_styles()]
    assert listed["mine"] == {
        "name": "mine",
        "kind": "user",
        "pieces": 12,
        "minutes": 34.5,
        "gain_bits_per_note": 0.3,
        "licence": "\ud800",
        "path": str(folder),
        "example": "styletransfer apply twinkle --style mine",
    }
    assert [
        value for key, value in listed["bach"].items() if key not in ("name", "kind", "example")
    ] == [None] * 5


def test_examples_are_commands(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def apply(request: Any, progress: Any, **_: Any) -> None:
        asked.append(request.style)
        raise InputError("enough.")

    monkeypatch.setattr("styletransfer.transfer.pipeline.apply", apply)
    listed = json.loads(run("--json").out)
    for row in listed:
        monkeypatch.setattr(sys, "argv", row["example"].split())
        with pytest.raises(SystemExit):
            cli.main()
    assert asked == [row["name"] for row in listed]


@pytest.mark.parametrize("option", [(), ("--json",)])
def test_the_list_states_what_it_leaves_out(
    option: tuple[str, ...], run: Run, tmp_path: Path
) -> None:
    folder = adapter(tmp_path / "home/styles/broken", b"{}")
    outcome = run(*option)
    assert outcome.code == 0
    assert "broken" not in outcome.out
    assert outcome.err == f"left out: {left_out()[0]}\n"
    assert str(folder) in outcome.err


def test_show_prints_the_readme(run: Run, tmp_path: Path) -> None:
    adapter(
        tmp_path / "home/styles/mine", GOOD, "# Études\u00a0op. 1\n\n\x1b[31mred\x1b[0m\x07\tend\n"
    )
    assert run("show", "mine") == (0, "# Études op. 1\n\n[31mred[0m\tend\n", "")


def test_show_prints_the_cards_fields(run: Run, tmp_path: Path, here: Path) -> None:
    folder = adapter(here / "runs/mine", replace(GOOD, data="Two\x1b[2J lines", licence=""))
    outcome = run("show", "runs/mine")
    assert (outcome.code, outcome.err) == (0, "")
    shown = dict(re.split(r" {2,}", line, maxsplit=1) for line in outcome.out.splitlines())
    assert shown["name"] == "mine"
    assert (shown["era"], shown["composer"], shown["pieces"], shown["minutes"]) == (
        "romantic",
        "reserved-3",
        "12",
        "34.5",
    )
    assert (shown["gain"], shown["path"], shown["data"]) == ("1.25", str(folder), "Two[2J lines")
    assert shown["example"] == "styletransfer apply twinkle --style runs/mine"
    assert "licence" not in shown


def test_show_a_style_that_is_a_tag_alone(run: Run) -> None:
    outcome = run("show", "bach")
    shown = dict(re.split(r" {2,}", line, maxsplit=1) for line in outcome.out.splitlines())
    assert list(shown) == ["name", "kind", "era", "composer", "path", "example"]
    assert (shown["era"], shown["composer"], shown["path"][:5]) == ("baroque", "bach", "none;")


@pytest.mark.parametrize(
    "arguments", [("show", "some/mine", "--json"), ("--json", "show", "some/mine")]
)
def test_show_as_json(arguments: tuple[str, ...], run: Run, tmp_path: Path) -> None:
    folder = in_hub(tmp_path, "some/mine")
    outcome = run(*arguments)
    assert (outcome.code, outcome.err) == (0, "")
    shown = json.loads(outcome.out)
    assert shown["card"] == asdict(GOOD)
    assert (shown["name"], shown["path"], shown["era"], shown["composer"]) == (
        "mine",
        str(folder),
        "romantic",
        "reserved-3",
    )
    assert shown["example"] == "styletransfer apply twinkle --style some/mine"
    assert json.loads(run("show", "bach", "--json").out)["card"] is None


@pytest.mark.parametrize("name", ["bahc", "broken", "nobody/nothing", "home"])
def test_show_refuses_in_one_sentence(name: str, run: Run, tmp_path: Path) -> None:
    adapter(tmp_path / "home/styles/broken", b"{}")
    outcome = run("show", name)
    assert (outcome.code, outcome.out, len(outcome.err.splitlines())) == (2, "", 1)
    assert outcome.err.startswith("styletransfer: ")
    assert name in outcome.err


LOADED = """
import sys
sys.argv[1:] = {arguments!r}
from styletransfer.cli.app import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
heavy = {{"numpy", "torch", "transformers", "peft", "miditok", "huggingface_hub", "music21"}}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [["styles"], ["styles", "--json"], ["styles", "show", "bach"], ["styles", "--help"]],
)
def test_the_list_loads_nothing_heavy(arguments: list[str], here: Path) -> None:
    environment = dict(os.environ) | {"PYTHONPATH": str(Path(styles.__file__).parents[2])}
    command = [sys.executable, "-c", LOADED.format(arguments=arguments)]
    result = subprocess.run(
        command, cwd=here, env=environment, text=True, capture_output=True, check=True
    )
    assert result.stderr.strip() == "[]"
    assert len(result.stdout) > 100
