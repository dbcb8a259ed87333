"""Test that the pages are true: links, options, rooms and assets."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import typer

from styletransfer.cli.app import app
from tests.test_architecture import DOORS, GROUND, RECIPES, ROOMS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"] + [
    page for folder in ("docs", *RECIPES) for page in (ROOT / folder).rglob("*.md")
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
LONGEST_README = 120
DESCRIBED = {
    "apply": "arranging.md",
    "replay": "arranging.md",
    "inspect": "arranging.md",
    "render": "arranging.md",
    "generate": "arranging.md",
    "finetune": "styles.md",
    "evaluate": "evaluation.md",
    "prepare": "training.md",
}
"""The page that describes each command."""
RECIPES_OPTIONS = {"--quick"}
"""Options of recipes that these pages name."""


def options_of(command: str) -> set[str]:
    """Return the long names of a command's options, without ``--help``."""
    group = typer.main.get_command(app)
    commands = dict(group.commands) | dict(group.commands["data"].commands)  # type: ignore[attr-defined]
    names = {
        name for item in commands[command].params for name in (*item.opts, *item.secondary_opts)
    }
    return {name for name in names if name.startswith("--") and name != "--help"}


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_to_files(page: Path) -> None:
    """Anchors and the site's own links are checked by ``mkdocs build --strict``."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [target.partition("#")[0] for target in LINK.findall(text) if ":" not in target]
    missing = [target for target in targets if target and not (page.parent / target).exists()]
    assert not missing


def test_readme_is_short_and_has_the_lines_that_are_run() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_README
    for name, command in (("run", "styletransfer apply"), ("test", "pytest")):
        section = text.split(f"<!-- {name} -->")[1].split("<!-- end -->")[0]
        lines = [line for line in section.strip().splitlines() if not line.startswith("```")]
        assert len(lines) == 1
        assert command in lines[0]


@pytest.mark.parametrize("command", DESCRIBED)
def test_every_option_is_described(command: str) -> None:
    text = (DOCS / DESCRIBED[command]).read_text(encoding="utf-8")
    options = options_of(command)
    assert options
    assert not {name for name in options if f"`{name}" not in text}


def test_no_page_names_an_option_that_no_command_has() -> None:
    known = set().union(*(options_of(command) for command in DESCRIBED))
    for name in set(DESCRIBED.values()):
        text = FENCE.sub("", (DOCS / name).read_text(encoding="utf-8"))
        named = set(re.findall(r"`(--[a-z][a-z-]*)", text))
        assert named - known <= RECIPES_OPTIONS, name


def test_architecture_describes_every_room_recipe_and_asset() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    doors = {name for name in DOORS if not name.startswith("_")}
    for name in {*GROUND, *ROOMS, *doors}:
        assert f"`{name}`" in text, name
    for name in RECIPES:
        assert f"`{name}/`" in text, name
    for path in (ROOT / "styletransfer" / "assets").iterdir():
        assert f"`{path.name}{'/' if path.is_dir() else ''}`" in text, path.name


def test_decisions_are_listed_under_their_titles() -> None:
    index = (DOCS / "decisions" / "index.md").read_text(encoding="utf-8")
    pages = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    assert pages
    for page in pages:
        title = page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        assert f"[{title}]({page.name})" in index
    assert len(LINK.findall(index)) == len(pages) + 2  # the glossary and the evaluation


def test_log_is_newest_first() -> None:
    text = (DOCS / "lab-log.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (\d{4}-\d\d-\d\d): (.+)$", text, re.MULTILINE)
    assert len(headings) == len(re.findall(r"^## ", text, re.MULTILINE)), "a heading without a date"
    dates = [date for date, _ in headings]
    assert dates == sorted(dates, reverse=True)
    assert all(" — " in title for _, title in headings), "a heading without an outcome"


def test_version_has_one_place() -> None:
    found = subprocess.run(
        ["git", "grep", "-nE", r'^(__version__|version) = "'],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if found.returncode > 1:
        pytest.skip("no git checkout")
    assert [line.partition(":")[0] for line in found.stdout.splitlines()] == [
        "styletransfer/__init__.py"
    ]
